"""What a learning device minimizes, against the same in NumPy."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax

from clients.losses import balanced_loss, plain_loss


def by_hand(logits, labels, mask):
    """Compute one device's loss as the docstring says it, window by window."""
    held = sorted({int(label) for label, counts in zip(labels, mask, strict=True) if counts})
    among = held if len(held) > 1 else range(logits.shape[1])
    means = []
    for activity in held:
        rows = [i for i in range(len(labels)) if mask[i] and labels[i] == activity]
        own = [-log_softmax(logits[i, list(among)])[list(among).index(activity)] for i in rows]
        means.append(sum(own) / len(own))
    return sum(means) / len(means) if means else 0.0


def loss_of(logits, labels, mask=None):
    mask = np.ones(np.shape(labels), np.bool_) if mask is None else np.asarray(mask)
    labels = np.asarray(labels, np.int32)
    return balanced_loss(tf.constant(logits, tf.float64), labels, mask).numpy()


def gradient_of(logits, labels, mask):
    logits = tf.constant(logits, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = tf.reduce_sum(balanced_loss(logits, np.asarray(labels, np.int32), mask))
    return tape.gradient(loss, logits).numpy()


def test_classes_weigh_the_same_however_many_windows_they_have():
    # Among classes 0 and 1, with logits 0 against log 3: losses log 4 (class 0), log 4/3 (class 1).
    logits = np.tile([0.0, np.log(3.0), 7.0], (1, 4, 1))
    loss = loss_of(logits, [[0, 1, 1, 1]])
    np.testing.assert_allclose(loss, [(np.log(4.0) + np.log(4.0 / 3.0)) / 2.0], rtol=1e-12)


def test_a_batch_of_one_class_is_learnt_by_plain_cross_entropy():
    logits = np.random.default_rng(0).normal(size=(1, 5, 4))
    expected = -log_softmax(logits[0], axis=1)[:, 2].mean()
    np.testing.assert_allclose(loss_of(logits, [[2] * 5]), [expected], rtol=1e-12)


@given(st.data())
def test_each_device_has_the_loss_that_it_has_by_hand(data):
    devices, batch, classes = (data.draw(st.integers(1, most)) for most in (3, 7, 5))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    logits = 3.0 * random.normal(size=(devices, batch, classes))
    labels = random.integers(classes, size=(devices, batch))
    mask = random.random((devices, batch)) < 0.7
    expected = [by_hand(*each) for each in zip(logits, labels, mask, strict=True)]
    np.testing.assert_allclose(loss_of(logits, labels, mask), expected, rtol=1e-9, atol=1e-12)


def test_masked_windows_do_not_matter():
    random = np.random.default_rng(1)
    logits = random.normal(size=(2, 6, 4))
    labels = np.array([[0, 1, 1, 3, 2, 2], [2, 2, 2, 0, 1, 3]])
    mask = np.array([[True] * 3 + [False] * 3] * 2)
    short = loss_of(logits[:, :3], labels[:, :3])
    np.testing.assert_allclose(loss_of(logits, labels, mask), short, rtol=1e-12)
    gradient = gradient_of(logits, labels, mask)
    assert not gradient[:, 3:].any()
    assert gradient[:, :3].any()


def test_a_device_whose_windows_are_all_masked_learns_nothing():
    logits = np.random.default_rng(2).normal(size=(2, 3, 4))
    mask = np.array([[True] * 3, [False] * 3])
    labels = [[0, 1, 2], [0, 1, 2]]
    assert loss_of(logits, labels, mask)[1] == 0.0
    assert not gradient_of(logits, labels, mask)[1].any()


def test_classes_that_a_mixed_batch_lacks_are_not_pushed_down():
    logits = 2.0 * np.random.default_rng(3).normal(size=(1, 6, 5))
    gradient = gradient_of(logits, [[1, 1, 1, 4, 4, 1]], np.ones((1, 6), np.bool_))
    assert np.abs(gradient[:, :, [0, 2, 3]]).max() < 1e-15
    assert np.abs(gradient[:, :, [1, 4]]).min() > 1e-4


def test_the_loss_is_of_the_type_of_the_logits():
    logits = tf.zeros([2, 3, 4], tf.float32)
    loss = balanced_loss(logits, np.zeros((2, 3), np.int32), np.ones((2, 3), np.bool_))
    assert (loss.dtype, loss.shape) == (tf.float32, (2,))


def test_plain_loss_is_the_mean_cross_entropy_of_what_there_is():
    logits = np.array([[[2.0, 0.0, -1.0], [0.5, 0.5, 0.0], [9.0, 9.0, 9.0]]])
    labels, mask = np.array([[0, 2, -1]], np.int32), np.array([[True, True, False]])
    first = np.log(np.exp([0.0, -2.0, -3.0]).sum())
    second = np.log(np.exp([0.5, 0.5, 0.0]).sum())
    found = plain_loss(tf.constant(logits), tf.constant(labels), tf.constant(mask))
    np.testing.assert_allclose(found, [(first + second) / 2], rtol=1e-12)


def test_gradient_of_the_plain_loss_is_that_of_finite_differences():
    random = np.random.default_rng(5)
    logits = random.standard_normal((2, 4, 3))
    labels = random.integers(0, 3, (2, 4)).astype(np.int32)
    mask = np.array([[True, True, False, True], [False, False, False, False]])

    def loss(values):
        return plain_loss(tf.constant(values), tf.constant(labels), tf.constant(mask)).numpy()

    given = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(given)
        total = tf.reduce_sum(plain_loss(given, tf.constant(labels), tf.constant(mask)))
    found, step = tape.gradient(total, given).numpy(), 1e-6
    for place in np.ndindex(logits.shape):
        moved = logits.copy()
        moved[place] += step
        slope = (loss(moved).sum() - loss(logits).sum()) / step
        assert found[place] == pytest.approx(slope, abs=1e-5)

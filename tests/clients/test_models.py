"""Architectures over stacked parameters, against the same in NumPy."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from clients.augment import rotations
from clients.errors import BadInput
from clients.models import MODELS
from clients.models.features import _KNOTS
from clients.models.layers import convolve, dense, normal

every_model = pytest.mark.parametrize("name", sorted(MODELS))


def length_of(name, length):
    """Return 1 where a model takes single samples."""
    return 1 if name.startswith("tracker") else length


def convolve_by_hand(x, kernel, bias, taps, stride):
    """Slide one device's filters over its windows [B, T, C], sample by sample."""
    span, rows = taps * stride, []
    for first in range(0, x.shape[1] // stride * stride - span + 1, stride):
        seen = x[:, first : first + span].reshape(len(x), -1)
        rows.append(seen @ kernel + bias)
    return np.stack(rows, axis=1)


@given(
    devices=st.integers(1, 3),
    batch=st.integers(1, 4),
    channels=st.integers(1, 3),
    taps=st.integers(1, 4),
    stride=st.integers(1, 3),
    more=st.integers(0, 7),
)
def test_a_convolution_slides_each_devices_filters_over_time(
    devices, batch, channels, taps, stride, more
):
    random = np.random.default_rng(more)
    x = random.normal(size=(devices, batch, taps * stride + more, channels))
    kernel = random.normal(size=(devices, taps * stride * channels, 2))
    bias = random.normal(size=(devices, 2))
    found = convolve(tf.constant(x), kernel, bias, taps=taps, stride=stride)
    expected = [convolve_by_hand(*own, taps, stride) for own in zip(x, kernel, bias, strict=True)]
    np.testing.assert_allclose(found, np.stack(expected), rtol=1e-9, atol=1e-9)


def test_a_dense_layer_gives_each_device_its_own_product():
    random = np.random.default_rng(0)
    x, kernel, bias = (random.normal(size=s) for s in ((3, 4, 5), (3, 5, 2), (3, 2)))
    expected = [x[d] @ kernel[d] + bias[d] for d in range(3)]
    np.testing.assert_allclose(dense(tf.constant(x), kernel, bias), expected, rtol=1e-9)


def test_a_kernel_scales_the_mean_square_of_its_inputs_by_its_variance():
    random = np.random.default_rng(1)
    kernel = normal(random, 200, 3000, variance=2.0)
    x = random.normal(size=200)
    outputs = x @ kernel
    # 3000 outputs: the relative standard error of their mean square is sqrt(2 / 3000) = 2.6%.
    assert np.mean(outputs**2) / np.mean(x**2) == pytest.approx(2.0, rel=0.1)
    assert kernel.dtype == np.float32


@every_model
def test_first_parameters_depend_on_the_generator_alone(name):
    once, again, other = (
        MODELS[name](length_of(name, 40), 3, 5).init(np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    assert all(once[key].tobytes() == again[key].tobytes() for key in once)
    assert any(once[key].tobytes() != other[key].tobytes() for key in once)
    assert all(value.dtype == np.float32 for value in once.values())


@every_model
@pytest.mark.parametrize(("length", "channels", "classes"), [(80, 3, 6), (25, 1, 2)])
def test_logits_come_by_device_window_and_class(name, length, channels, classes):
    length = length_of(name, length)
    model = MODELS[name](length, channels, classes)
    each = [model.init(np.random.default_rng(seed)) for seed in (1, 2)]
    params = {key: tf.constant(np.stack([one[key] for one in each])) for key in each[0]}
    x = np.random.default_rng(3).normal(size=(2, 4, length, channels)).astype(np.float32)
    logits = model.forward(params, tf.constant(x))
    assert logits.shape == (2, 4, classes)
    for d in range(2):
        own = {key: value[None] for key, value in each[d].items()}
        alone = model.forward(own, tf.constant(x[d : d + 1]))[0]
        np.testing.assert_allclose(logits[d], alone, rtol=1e-4, atol=1e-5)


@every_model
def test_the_head_names_some_parameters_but_not_all(name):
    model = MODELS[name](length_of(name, 40), 3, 5)
    names = model.init(np.random.default_rng(0))
    heads = [key for key in names if any(key.startswith(p.rstrip("*")) for p in model.head)]
    assert 0 < len(heads) < len(names)


@pytest.mark.parametrize("name", ["cnn", "gravity_cnn", "gravity_cnn_small"])
def test_a_cnn_needs_windows_long_enough_for_its_convolutions(name):
    # 24 samples: 12 steps, less 2 are 10; 5 steps, less 2 are 3; less 2 is 1.
    assert MODELS[name](24, 3, 5).length == 24
    with pytest.raises(BadInput, match=f'"{name}": windows of 23 samples are too short'):
        MODELS[name](23, 3, 5)


@pytest.mark.parametrize(
    ("name", "count"), [("cnn", 8549), ("gravity_cnn", 17773), ("gravity_cnn_small", 8837)]
)
def test_a_cnn_has_as_many_parameters_as_it_says(name, count):
    params = MODELS[name](80, 3, 5).init(np.random.default_rng(0))
    assert sum(value.size for value in params.values()) == count
    assert f"{count:,} parameters" in MODELS[name].__doc__


def gravity_logits(x, raw, derived):
    """Compute logits of `gravity_cnn` where one part of the channels weighs and the other not."""
    model = MODELS["gravity_cnn"](x.shape[1], 3, 5)
    params = model.init(np.random.default_rng(4))
    weighs = np.tile(np.repeat([raw, derived], 3), 6)[:, None]  # 3 taps of 2 samples
    params["conv1/kernel"] = (params["conv1/kernel"] * weighs).astype(np.float32)
    stacked = {key: tf.constant(value[None]) for key, value in params.items()}
    return model.forward(stacked, tf.constant(x[None], tf.float32))[0].numpy()


def test_what_gravity_tells_does_not_depend_on_how_a_watch_is_turned():
    random = np.random.default_rng(5)
    x = random.normal(size=(6, 40, 3)) + np.array([0.5, -1.0, 2.0])
    turned = x @ rotations(6, 180.0, random)
    np.testing.assert_allclose(
        gravity_logits(x, 0.0, 1.0), gravity_logits(turned, 0.0, 1.0), rtol=1e-4, atol=1e-4
    )
    assert np.abs(gravity_logits(x, 1.0, 0.0) - gravity_logits(turned, 1.0, 0.0)).max() > 0.1


def test_a_still_wrist_gives_nothing_but_its_orientation():
    # What is along gravity, across it, and the size are then gravity itself, zero, and gravity.
    still = np.tile(np.array([0.0, 1.2, 1.6]), (1, 40, 1))
    np.testing.assert_allclose(gravity_logits(still, 0.0, 1.0), np.zeros((1, 5)), atol=0.02)


def test_windows_of_nothing_have_no_direction_and_finite_logits():
    assert np.isfinite(gravity_logits(np.zeros((2, 40, 3)), 1.0, 1.0)).all()


def test_features_count_from_knot_to_knot():
    model = MODELS["features"](1, 2, 3)
    params = model.init(np.random.default_rng(1))
    params["features/weight"] = np.array([0.7, 1.3], np.float32)
    values = [-30.0, -2.3, -2.1, -2.0, -0.45, 0.0, 0.2, 2.9, 3.0, 30.0]

    def encoded(value):
        """Walk from knot to knot: 1 for those passed, a share for the one under way, else 0."""
        cells = [(value - low) / (high - low) for low, high in itertools.pairwise(_KNOTS)]
        first = min(max(cells[0], -2.0), 1.0)
        return np.array([first, *(min(max(cell, 0.0), 1.0) for cell in cells[1:])]) - 0.5

    for one in values:
        for two in (-1.0, 0.7):
            inputs = np.concatenate([0.7 * encoded(one), 1.3 * encoded(two)])
            hidden = np.maximum(inputs @ params["hidden/kernel"] + params["hidden/bias"], 0.0)
            expected = hidden @ params["classes/kernel"] + params["classes/bias"]
            stacked = {key: tf.constant(value[None]) for key, value in params.items()}
            x = np.array([one, two], np.float32).reshape(1, 1, 1, 2)
            found = model.forward(stacked, tf.constant(x))[0, 0]
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_feature_weighs_as_much_as_it_tells_one_persons_activities_apart():
    random = np.random.default_rng(4)
    people, activities, each = 3, 2, 400
    users, labels, _ = (a.ravel() for a in np.indices((people, activities, each)))
    noise = random.normal(size=(users.size, 4))
    # What tells activities apart; the same, but only by who wears it; nothing; and a constant.
    apart = np.stack([labels, users, np.zeros_like(users), np.zeros_like(users)], axis=1)
    x = (apart + noise * [0.1, 1.0, 1.0, 0.0]).astype(np.float32)[:, None]
    found = MODELS["features"](1, 4, activities).informed(x, labels, users)["features/weight"]
    # Variances: of 0 and 1, 1/4; of 0, 1 and 2, 2/3; of the noise, 0.01 and 1.
    expected = np.array([(0.25 + 0.01) / 0.01, (2 / 3 + 1.0) / 1.0, 1.0, 0.0])
    np.testing.assert_allclose(found, expected / np.sqrt(np.mean(expected**2)), rtol=0.15)


def test_features_of_a_single_window_or_of_constants_weigh_something_finite():
    for x in (np.zeros((1, 1, 3)), np.zeros((6, 1, 3))):
        none = np.zeros(len(x), np.int32)
        found = MODELS["features"](1, 3, 2).informed(x.astype(np.float32), none, none)
        assert np.isfinite(found["features/weight"]).all()

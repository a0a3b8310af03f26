"""The base model, trained offline on donors."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from clients.augment import Augmentation
from clients.donors import Donated
from clients.errors import BadInput
from clients.export import Blueprint
from clients.training import Recipe, predict_windows, scaled, train_base

LENGTH, SPAN = 10, 15
BLUEPRINT = Blueprint("dense", LENGTH, 3, ("lying", "sitting", "standing"))
RECIPE = Recipe(
    steps=60,
    look_every=30,
    patience=10,
    batch=32,
    learning_rate=0.01,
    weight_decay=0.01,
    average=0.9,
    validation=0.3,
    refit=False,
    augmentation=Augmentation(warp=1.1, tilt_deg=5.0, gain=1.1, noise=0.1),
)
BRIEF = replace(RECIPE, steps=10, look_every=10)
GRAVITY = np.array([[9.8, 0.0, 0.0], [0.0, 9.8, 0.0], [0.0, 0.0, 9.8]])


def donate(users, per_activity=12, seed=0):
    """Make spans of three activities told apart by where gravity points; users lie apart a bit."""
    random = np.random.default_rng(seed)
    labels = np.tile(np.repeat([0, 1, 2], per_activity), len(users)).astype(np.int32)
    owners = np.repeat(np.array(users, np.int32), 3 * per_activity)
    x = GRAVITY[labels][:, None] + 0.1 * owners[:, None, None]
    x = x + random.normal(0.0, 0.5, (labels.size, SPAN, 3))
    return Donated(x.astype(np.float32), labels, owners)


def trained(donated, recipe=BRIEF, seed=1, progress=None):
    return train_base(BLUEPRINT, donated, recipe, np.random.default_rng(seed), progress)


def raw(base):
    arrays = {**base.params, "mean": base.mean, "scale": base.scale}
    return {name: value.tobytes() for name, value in arrays.items()}


@pytest.fixture(scope="module")
def base():
    return trained(donate([1, 2, 3, 4]), RECIPE)


@pytest.fixture(scope="module")
def held_out():
    """Train on two of the donors 10, 20 and 30; the third validates."""
    return trained(donate([10, 20, 30]))


def test_a_separable_problem_is_learnt_in_a_few_steps(base):
    unseen = donate([9], per_activity=40, seed=5)
    params = {name: tf.constant(value[None]) for name, value in base.params.items()}
    x = scaled(unseen.x[:, :LENGTH], base.mean, base.scale)
    said = predict_windows(BLUEPRINT.model(), params, x)
    assert np.mean(said[:, 0] == unseen.labels) > 0.95
    assert base.validation_accuracy > 0.95
    assert base.steps in (30, 60)
    assert said.dtype == np.int32


def test_equal_seeds_give_equal_bytes_and_others_do_not(base):
    assert raw(trained(donate([1, 2, 3, 4]), RECIPE)) == raw(base)
    assert raw(trained(donate([1, 2, 3, 4]), RECIPE, seed=2)) != raw(base)


@pytest.mark.parametrize("users", [[], [7]])
def test_fewer_than_two_donors_are_refused(users):
    with pytest.raises(BadInput, match=rf"at least 2 donors.*there are {len(users)}: give more"):
        trained(donate(users))


def mean_of(donated):
    return donated.x.astype(np.float64).mean(axis=(0, 1))


def test_scaling_is_fitted_to_those_who_train_alone(held_out):
    donated = donate([10, 20, 30])
    pairs = [donated.of(np.array(pair)) for pair in ([10, 20], [10, 30], [20, 30])]
    matching = [np.allclose(held_out.mean, mean_of(pair), atol=1e-4) for pair in pairs]
    assert sum(matching) == 1
    training = pairs[matching.index(True)]
    deviation = training.x.astype(np.float64).std(axis=(0, 1))
    np.testing.assert_allclose(held_out.scale, deviation, rtol=1e-4)


def test_scaling_keeps_directions_where_they_matter():
    blueprint = replace(BLUEPRINT, program="gravity_cnn_small", length=24)
    random = np.random.default_rng(0)
    x = random.normal(0.0, [1.0, 2.0, 3.0], (60, 36, 3)) + np.array([0.0, 5.0, 9.0])
    labels = np.tile([0, 1, 2], 20).astype(np.int32)
    donated = Donated(x.astype(np.float32), labels, np.repeat([1, 2], 30).astype(np.int32))
    base = train_base(blueprint, donated, replace(BRIEF, refit=True), np.random.default_rng(1))
    assert base.mean.tolist() == [0.0, 0.0, 0.0]
    # The root of the mean variance: sqrt((1 + 4 + 9) / 3) = 2.16, within a sampling error of 2%.
    assert base.scale.tolist() == pytest.approx([2.16] * 3, rel=0.06)


def test_smoothed_labels_are_never_quite_believed():
    unseen = donate([9], per_activity=40, seed=5)
    sure = []
    for smoothing in (0.0, 0.3):
        long = replace(RECIPE, steps=600, look_every=600, smoothing=smoothing)
        base = trained(donate([1, 2, 3, 4]), long)
        x = scaled(unseen.x[:, :LENGTH], base.mean, base.scale).reshape(len(unseen.x), -1)
        p = base.params
        hidden = np.maximum(x @ p["hidden/kernel"] + p["hidden/bias"], 0.0)
        powers = np.exp(hidden @ p["classes/kernel"] + p["classes/bias"])
        sure.append(np.median(powers.max(axis=1) / powers.sum(axis=1)))
    # Smoothed by 0.3 over three activities the label has 0.7 + 0.1.
    assert sure[0] > 0.98
    assert sure[1] == pytest.approx(0.8, abs=0.05)


def test_windows_of_those_who_validate_are_never_learnt():
    donated = donate([10, 20])
    before = raw(trained(donated))
    unchanged = []
    for user in (10, 20):
        x = donated.x.copy()
        x[donated.users == user] *= -3.0
        unchanged.append(raw(trained(Donated(x, donated.labels, donated.users))) == before)
    # One look is taken, so the validating donor has no say at all, and the other has.
    assert sorted(unchanged) == [False, True]


def test_refitting_takes_the_best_number_of_steps_with_all_donors(held_out):
    donated = donate([10, 20, 30])
    refitted = trained(donated, replace(BRIEF, refit=True))
    np.testing.assert_allclose(refitted.mean, mean_of(donated), atol=1e-4)
    assert not np.allclose(held_out.mean, refitted.mean, atol=1e-4)
    assert refitted.steps == held_out.steps
    assert refitted.validation_accuracy == held_out.validation_accuracy


def test_without_validation_all_steps_are_taken_with_all_donors_at_once():
    looks = []
    recipe = replace(BRIEF, steps=20, patience=1, validation=0.0, refit=True)
    base = trained(donate([10, 20, 30]), recipe, progress=lambda *look: looks.append(look))
    assert [taken for taken, _, _ in looks] == [10, 20]
    assert base.steps == 20
    assert base.validation_accuracy is None
    np.testing.assert_allclose(base.mean, mean_of(donate([10, 20, 30])), atol=1e-4)


def test_training_stops_when_patience_is_over():
    looks = []
    # Without any learning rate no look is better than the first.
    recipe = replace(RECIPE, steps=300, look_every=5, patience=3, learning_rate=0.0)
    base = trained(donate([1, 2]), recipe, progress=lambda *look: looks.append(look))
    assert [taken for taken, _, _ in looks] == [5, 10, 15, 20]
    assert {steps for _, steps, _ in looks} == {300}
    assert base.steps == 5
    assert base.validation_accuracy == looks[0][2]


def test_missing_values_are_left_out_of_the_scaling_and_count_as_average():
    x = np.array([[[1.0, np.nan]], [[3.0, 4.0]]], np.float32)
    mean, scale = np.array([2.0, 4.0], np.float32), np.array([1.0, 2.0], np.float32)
    assert scaled(x, mean, scale).tolist() == [[[-1.0, 0.0]], [[1.0, 0.0]]]
    holes = donate([10, 20])
    holes.x[:, 3, 1] = np.nan
    base = trained(holes)
    assert all(np.isfinite(value).all() for value in base.params.values())
    assert np.isfinite(base.mean).all()


def test_feature_rows_are_trained_on_as_they_are():
    blueprint = Blueprint("dense", 1, 4, ("a", "b"))
    labels = np.tile([0, 1], 20).astype(np.int32)
    x = np.zeros((40, 1, 4), np.float32)
    x[:, 0, 2] = labels
    donated = Donated(x, labels, np.repeat([1, 2], 20).astype(np.int32))
    base = train_base(blueprint, donated, RECIPE, np.random.default_rng(0))
    assert base.validation_accuracy == 1.0
    # What never varies is not blown up.
    assert base.scale.tolist() == pytest.approx([1e-3, 1e-3, 0.5, 1e-3])


def test_predictions_do_not_depend_on_how_windows_are_batched():
    params = BLUEPRINT.model().init(np.random.default_rng(0))
    stacked = {name: tf.constant(value[None]) for name, value in params.items()}
    x = np.random.default_rng(1).normal(size=(600, LENGTH, 3)).astype(np.float32)
    said = predict_windows(BLUEPRINT.model(), stacked, x)
    hidden = np.maximum(x.reshape(600, -1) @ params["hidden/kernel"] + params["hidden/bias"], 0)
    logits = hidden @ params["classes/kernel"] + params["classes/bias"]
    clear = np.diff(np.sort(logits, axis=1)[:, -2:], axis=1)[:, 0] > 1e-4
    assert (said[:, 0] == logits.argmax(axis=1))[clear].all()
    assert clear.mean() > 0.9


def test_what_a_model_takes_from_donors_comes_from_those_who_train():
    labels = np.tile([0, 1], 60).astype(np.int32)
    users = np.repeat([1, 2, 3], 40).astype(np.int32)
    random = np.random.default_rng(5)
    x = random.normal(size=(120, 1, 2)).astype(np.float32)
    x[:, 0, 0] += 3.0 * labels
    recipe = replace(RECIPE, steps=10, learning_rate=0.0, refit=False, validation=0.3)
    blueprint = Blueprint("features", 1, 2, ("a", "b"))

    def weights(changed):
        """Train where one user's second feature tells activities apart too."""
        own = x.copy()
        own[users == changed, 0, 1] = labels[users == changed]
        base = train_base(blueprint, Donated(own, labels, users), recipe, np.random.default_rng(0))
        return base.params["features/weight"]

    of_none = weights(0)
    moved = [not np.allclose(weights(user), of_none) for user in (1, 2, 3)]
    assert sorted(moved) == [False, True, True]  # one of them validates
    assert of_none[0] > 2 * of_none[1]

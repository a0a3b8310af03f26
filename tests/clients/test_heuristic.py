"""Thresholds without learning."""

import numpy as np
import pytest

from clients.errors import RunFailed
from clients.heuristic import Heuristic, describe
from clients.wisdm.features import FEATURE_NAMES

RATE_HZ, SAMPLES = 20.0, 80


def windows(count, *, hz, size, mean=(0.0, 0.0, 9.8), seed=0):
    """Make windows that swing at a cadence about a mean, with a little noise."""
    random = np.random.default_rng(seed)
    turn = 2.0 * np.pi * hz * np.arange(SAMPLES) / RATE_HZ
    swing = np.sin(turn + random.uniform(0.0, 6.0, (count, 1)))[:, :, None]
    x = np.array(mean) + size * swing * np.array([0.3, 0.5, 1.0])
    return (x + random.normal(0.0, 0.02, (count, SAMPLES, 3))).astype(np.float32)


def taught(classes=3):
    x = np.concatenate(
        [
            windows(30, hz=1.0, size=0.0, seed=1),
            windows(30, hz=2.0, size=4.0, seed=2),
        ]
    )
    labels = np.repeat([0, 2], 30).astype(np.int32)
    return Heuristic(x, labels, classes=classes, rate_hz=RATE_HZ)


def test_a_window_is_described_by_means_deviations_and_cadence():
    turn = 2.0 * np.pi * 2.5 * np.arange(SAMPLES) / RATE_HZ
    x = np.stack([np.full(SAMPLES, 1.0), np.full(SAMPLES, -2.0), 9.0 + 3.0 * np.sin(turn)], axis=1)
    (row,) = describe(x[None].astype(np.float32), RATE_HZ)
    np.testing.assert_allclose(row[:3], [1.0, -2.0, 9.0], atol=1e-5)
    # A sine of amplitude 3 has the standard deviation 3 / sqrt(2).
    still, swinging = np.log(0.05), np.log(3.0 / np.sqrt(2.0) + 0.05)
    np.testing.assert_allclose(row[3:6], [still, still, swinging], atol=1e-4)
    assert row[6] == 2.5


def test_drift_slower_than_half_a_hertz_is_no_cadence():
    turn = 2.0 * np.pi * np.arange(SAMPLES) / RATE_HZ
    z = 10.0 + 3.0 * np.sin(0.25 * turn) + np.sin(1.5 * turn)
    x = np.stack([np.zeros(SAMPLES), np.zeros(SAMPLES), z], axis=1)
    assert describe(x[None].astype(np.float32), RATE_HZ)[0, 6] == 1.5


def test_a_feature_row_is_described_by_its_own_columns():
    values = dict.fromkeys(FEATURE_NAMES, 77.0)
    values |= {"XAVG": 1.0, "YAVG": 2.0, "ZAVG": 3.0}
    values |= {"XPEAK": 800.0, "YPEAK": 500.0, "ZPEAK": 900.0}
    values |= {name: np.e - 0.05 for name in FEATURE_NAMES if name.endswith("STANDDEV")}
    assert sum(name.endswith("STANDDEV") for name in FEATURE_NAMES) == 3
    row = np.array([[[values[name] for name in FEATURE_NAMES]]], np.float32)
    # Half a second between peaks is a cadence of 2 Hz.
    np.testing.assert_allclose(describe(row, 0.1)[0], [1, 2, 3, 1, 1, 1, 2], rtol=1e-5)


def test_a_missing_time_between_peaks_leaves_the_others_to_tell_the_cadence():
    row = np.full((1, 1, 43), 1.0, np.float32)
    row[0, 0, [33, 34, 35]] = [np.nan, 500.0, 800.0]
    assert describe(row, 0.1)[0, 6] == 2.0


def test_what_a_feature_row_lacks_is_as_donors_rows_usually_are():
    generator = np.random.default_rng(1)
    x = generator.normal(1.0, 0.1, (40, 1, 43)).astype(np.float32)
    x[20:, 0, 30:33] += 8.0
    labels = np.repeat([0, 1], 20).astype(np.int32)
    heuristic = Heuristic(x, labels, classes=2, rate_hz=0.1)
    lacking = x[[3, 33]].copy()
    lacking[:, 0, 33:36] = np.nan
    assert heuristic.predict(lacking).classes.tolist() == [0, 1]
    assert heuristic.predict(np.full((1, 1, 43), np.nan, np.float32)).classes[0] in (0, 1)


def test_stillness_is_told_from_movement():
    heuristic = taught()
    still = heuristic.predict(windows(20, hz=1.0, size=0.0, seed=3))
    moving = heuristic.predict(windows(20, hz=2.0, size=4.0, seed=4))
    assert still.classes.tolist() == [0] * 20
    assert moving.classes.tolist() == [2] * 20
    assert still.classes.dtype == np.int32
    assert still.logits is None


def test_a_class_that_donors_lacked_is_never_predicted():
    odd = [
        windows(10, hz=hz, size=size, mean=mean)
        for hz in (0.6, 2.0, 9.0)
        for size in (0.0, 0.5, 30.0)
        for mean in ((0.0, 0.0, 9.8), (-20.0, 5.0, 0.0))
    ]
    for classes in (3, 6):
        said = taught(classes).predict(np.concatenate(odd)).classes
        assert set(said.tolist()) <= {0, 2}


def test_one_window_of_a_class_suffices():
    x = np.concatenate([windows(5, hz=1.0, size=0.0), windows(1, hz=2.0, size=4.0)])
    labels = np.array([0] * 5 + [1], np.int32)
    heuristic = Heuristic(x, labels, classes=2, rate_hz=RATE_HZ)
    assert heuristic.predict(windows(5, hz=1.0, size=0.0, seed=9)).classes.tolist() == [0] * 5
    assert heuristic.predict(windows(1, hz=2.0, size=4.0)).classes.tolist() == [1]


def test_thresholds_refuse_to_learn():
    with pytest.raises(RunFailed, match="asked to learn"):
        taught().learn(windows(2, hz=1.0, size=0.0), np.zeros(2, np.int32))


def test_thresholds_have_no_variables_and_refuse_some():
    heuristic = taught()
    assert heuristic.read_parameters() == {}
    assert heuristic.read_state() == {}
    assert heuristic.read_context() == {}
    heuristic.assign_state({})
    heuristic.assign_context({})
    for assign in (heuristic.assign_state, heuristic.assign_parameters, heuristic.assign_context):
        with pytest.raises(RunFailed, match="classes/bias"):
            assign({"classes/bias": np.zeros(3)})


def mixed():
    """Give windows of the two activities by turns, and which they are."""
    still, moving = windows(9, hz=1.0, size=0.0, seed=5), windows(9, hz=2.0, size=4.0, seed=6)
    return np.stack([still, moving], axis=1).reshape(18, SAMPLES, 3), [0, 2] * 9


def test_single_samples_are_looked_at_together_as_one_window():
    heuristic, (x, expected) = taught(), mixed()
    said = heuristic.predict_questions(x[:, :, None])
    assert (said.shape, said.dtype) == ((18, SAMPLES), np.int32)
    assert said.tolist() == [[label] * SAMPLES for label in expected]
    assert said[:, 0].tolist() == heuristic.predict(x).classes.tolist()
    for series, label in zip(x[:4], expected, strict=False):
        for question in (series, series[:20]):  # a bout may end within a question
            one = heuristic.predict(question[:, None])
            assert (one.classes.dtype, one.logits) == (np.int32, None)
            assert one.classes.tolist() == [label] * len(question)


def test_a_question_of_one_sample_is_a_still_one():
    assert taught().predict(np.array([[[0.0, 0.0, 9.8]]], np.float32)).classes.tolist() == [0]


def test_windows_are_looked_at_one_by_one_whichever_question_they_are_of():
    heuristic, (x, expected) = taught(), mixed()
    for batch in (1, 3, 18):
        said = heuristic.predict_questions(x.reshape(-1, batch, SAMPLES, 3))
        assert said.tolist() == np.reshape(expected, (-1, batch)).tolist()
        assert said.dtype == np.int32


def test_rows_of_features_are_looked_at_one_by_one_though_they_are_one_sample_long():
    generator = np.random.default_rng(1)
    x = generator.normal(1.0, 0.1, (40, 1, 43)).astype(np.float32)
    x[1::2, 0, 30:33] += 8.0
    labels = np.array([0, 1] * 20, np.int32)
    heuristic = Heuristic(x, labels, classes=2, rate_hz=0.1)
    said = heuristic.predict_questions(x.reshape(8, 5, 1, 43))
    assert said.tolist() == labels.reshape(8, 5).tolist()
    assert heuristic.predict(x[:5]).classes.tolist() == labels[:5].tolist()
    assert heuristic.predict_aside(x[:5]).classes.tolist() == labels[:5].tolist()

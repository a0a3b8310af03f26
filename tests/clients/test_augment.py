"""Windows as other people, watches and days might have given them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.augment import Augmentation, augment, rotations

STILL = {"warp": 1.0, "tilt_deg": 0.0, "gain": 1.0, "noise": 0.0}


def changed(spans, length, seed=0, **how):
    return augment(spans, length, Augmentation(**(STILL | how)), np.random.default_rng(seed))


def waves(count, samples, period):
    """Make spans that repeat every `period` samples, about a mean of (1, -2, 9)."""
    turn = 2.0 * np.pi * np.arange(samples) / period
    wave = np.stack([np.sin(turn), np.cos(turn), np.sin(turn + 1.0)], axis=1)
    return np.tile(np.array([1.0, -2.0, 9.0]) + wave, (count, 1, 1)).astype(np.float32)


@given(st.integers(1, 20), st.floats(0.0, 180.0), st.integers(0, 2**32))
def test_rotations_keep_lengths_and_handedness_and_stay_within_the_angle(count, most_deg, seed):
    turned = rotations(count, most_deg, np.random.default_rng(seed)).astype(np.float64)
    products = turned @ turned.transpose(0, 2, 1)
    np.testing.assert_allclose(products, np.tile(np.eye(3), (count, 1, 1)), atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(turned), np.ones(count), atol=1e-5)
    # The trace of a rotation by an angle a is 1 + 2 cos(a).
    cosine = (np.trace(turned, axis1=1, axis2=2) - 1.0) / 2.0
    assert (cosine >= np.cos(np.deg2rad(most_deg)) - 1e-5).all()


def test_rotations_use_the_angles_and_the_axes_that_they_may():
    turned = rotations(4000, 30.0, np.random.default_rng(3)).astype(np.float64)
    angles = np.rad2deg(np.arccos((np.trace(turned, axis1=1, axis2=2) - 1.0) / 2.0))
    # Evenly spread from 0 to 30 degrees: mean 15, standard error 8.7 / sqrt(4000) = 0.14.
    assert abs(angles.mean() - 15.0) < 0.6
    axes = np.stack([turned[:, 2, 1], turned[:, 0, 2], turned[:, 1, 0]], axis=1)
    assert np.abs(axes.mean(axis=0)).max() < 0.02
    assert np.ptp(np.square(axes).mean(axis=0)) < 0.01


def test_windows_that_are_to_stay_as_they_are_are_pieces_of_their_spans():
    ramp = np.tile(np.arange(15, dtype=np.float32)[:, None], (40, 1, 3))
    windows = changed(ramp, 10)
    assert windows.shape == (40, 10, 3)
    assert windows.dtype == np.float32
    np.testing.assert_allclose(np.diff(windows, axis=1), 1.0, atol=1e-5)
    assert windows.min() >= 0.0
    assert windows.max() <= 14.0
    assert len(set(windows[:, 0, 0].tolist())) > 30


@given(
    length=st.integers(2, 30),
    longer=st.floats(1.05, 2.0),
    warp=st.floats(1.0, 3.0),
    seed=st.integers(0, 2**32),
)
def test_time_runs_at_one_pace_within_the_span(length, longer, warp, seed):
    samples = max(length + 1, round(length * longer))
    # Each sample holds its own number, so a window tells where it was taken.
    ramp = np.tile(np.arange(samples, dtype=np.float32)[:, None], (8, 1, 3))
    at = changed(ramp, length, seed, warp=warp)[:, :, 0].astype(np.float64)
    assert at.min() >= 0.0
    assert at.max() <= samples - 1 + 1e-4
    pace = np.diff(at, axis=1)
    assert np.ptp(pace, axis=1).max() < 1e-4
    assert pace.max() <= min(warp, (samples - 1) / (length - 1)) + 1e-4
    assert pace.min() >= 1.0 / warp - 1e-4


def test_gain_scales_what_moves_and_keeps_the_mean():
    # Windows hold whole periods, so their mean is that of the wave wherever they begin.
    spans = waves(200, 30, period=10)
    plain, scaled = changed(spans, 20), changed(spans, 20, gain=1.5)
    np.testing.assert_allclose(scaled.mean(axis=1), plain.mean(axis=1), atol=1e-5)
    moved, scaled_moved = (w - w.mean(axis=1, keepdims=True) for w in (plain, scaled))
    size, scaled_size = (np.sqrt(np.square(w).sum(axis=(1, 2))) for w in (moved, scaled_moved))
    gain = scaled_size / size
    assert gain.min() >= 1.0 / 1.5 - 0.02
    assert gain.max() <= 1.5 + 0.02
    assert gain.min() < 0.8 < 1.25 < gain.max()


def test_a_rotated_still_wrist_feels_as_much_gravity_as_before():
    spans = np.tile(np.array([0.0, 0.0, 9.81], np.float32), (50, 15, 1))
    windows = changed(spans, 10, tilt_deg=40.0)
    np.testing.assert_allclose(np.linalg.norm(windows, axis=2), 9.81, rtol=1e-5)
    np.testing.assert_allclose(windows, windows[:, :1].repeat(10, axis=1), atol=1e-5)
    # It never points further away than the angle.
    assert windows[:, :, 2].min() >= 9.81 * np.cos(np.deg2rad(40.0)) - 1e-4
    assert np.abs(windows[:, 0, 0]).max() > 1.0


def test_mirrored_windows_have_the_x_axis_of_the_other_wrist():
    spans = waves(400, 30, period=10)
    plain, mirrored = changed(spans, 20), changed(spans, 20, mirror=0.25)
    assert np.array_equal(mirrored[:, :, 1:].mean(axis=1), plain[:, :, 1:].mean(axis=1))
    # The mean of x is 1 wherever a window begins.
    side = mirrored[:, :, 0].mean(axis=1)
    np.testing.assert_allclose(np.abs(side), 1.0, atol=1e-5)
    # A quarter of 400: 100, standard deviation 8.7.
    assert abs((side < 0).sum() - 100) < 35


def test_mirroring_no_window_draws_nothing():
    spans = waves(20, 30, period=7)
    how = {"warp": 1.2, "tilt_deg": 20.0, "gain": 1.2, "noise": 0.2}
    left_out = augment(spans, 20, Augmentation(**how), np.random.default_rng(3))
    assert left_out.tobytes() == changed(spans, 20, 3, **how, mirror=0.0).tobytes()


def test_noise_is_added_up_to_its_most():
    windows = changed(np.zeros((300, 150, 3), np.float32), 100, noise=0.5)
    deviations = windows.std(axis=(1, 2))
    # Evenly spread from 0 to 0.5: mean 0.25, standard error 0.144 / sqrt(300) = 0.0083.
    assert abs(deviations.mean() - 0.25) < 0.035
    assert deviations.max() < 0.5 * 1.2


@pytest.mark.parametrize("key", ["warp", "tilt_deg", "gain", "noise"])
def test_equal_generators_change_alike(key):
    how = {key: 1.4}
    first, again, other = (changed(waves(5, 30, 7), 20, seed, **how) for seed in (1, 1, 2))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_each_window_is_changed_in_its_own_way():
    windows = changed(waves(6, 30, 10), 20, tilt_deg=30.0)
    assert len({window.tobytes() for window in windows}) == 6

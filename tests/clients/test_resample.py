"""Segments on to one rate."""

import numpy as np
import pytest

from clients.wisdm.resample import native_rates_hz, resample


def tone(frequency_hz, time_s):
    return np.sin(2 * np.pi * frequency_hz * time_s)[:, None].astype(np.float32)


def test_samples_on_the_grid_come_back_unchanged():
    time = np.arange(100) / 20.0
    values = np.random.default_rng(1).normal(size=(100, 3)).astype(np.float32)
    np.testing.assert_allclose(resample(time, values, 20.0), values, atol=1e-6)


def test_straight_line_stays_straight_over_uneven_steps():
    time = np.array([0.0, 0.03, 0.11, 0.14, 0.21, 0.5])
    values = np.stack([time, -2 * time, 5 + time], axis=1).astype(np.float32)
    grid = np.arange(11) / 20.0
    expected = np.stack([grid, -2 * grid, 5 + grid], axis=1)
    np.testing.assert_allclose(resample(time, values, 20.0), expected, atol=1e-6)


def test_length_is_the_whole_steps_that_fit():
    time = np.arange(0, 2.049, 0.05)  # ends at 2.0 s
    assert len(resample(time, tone(1, time), 20.0)) == 41
    assert len(resample(time, tone(1, time), 7.0)) == 15
    assert len(resample(time + 1e6, tone(1, time), 20.0)) == 41


@pytest.mark.parametrize("native_hz", [25.0, 50.0, 100.0])
def test_slow_sine_survives_the_change_to_20_hz(native_hz):
    time = np.arange(0, 10, 1 / native_hz)
    got = resample(time, tone(1.0, time), 20.0)[:, 0]
    expected = tone(1.0, np.arange(got.size) / 20.0)[:, 0]
    # Linear interpolation halfway between samples scales a sine by cos(pi f / native): 0.992 at 25.
    np.testing.assert_allclose(got[20:-20], expected[20:-20], atol=0.01)


@pytest.mark.parametrize(("tone_hz", "native_hz"), [(22.0, 50.0), (14.0, 50.0), (33.0, 100.0)])
def test_tone_that_20_hz_cannot_carry_is_removed(tone_hz, native_hz):
    time = np.arange(0, 10, 1 / native_hz)
    got = resample(time, tone(tone_hz, time), 20.0)[20:-20, 0]
    assert np.abs(got).max() < 0.01


def test_without_a_filter_the_tone_would_come_back_as_2_hz():
    """The control for the test above: 22 Hz sampled at 20 Hz looks like 2 Hz."""
    time = np.arange(0, 10, 1 / 50.0)
    plain = np.interp(np.arange(200) / 20.0, time, tone(22.0, time)[:, 0])
    assert np.abs(plain).max() > 0.5


def test_only_the_fast_stretch_of_a_mixed_segment_is_filtered():
    """As in the watch data: 20 Hz, a pause of 0.25 s, then 100 Hz."""
    slow = np.arange(100) * 0.05
    fast = slow[-1] + 0.25 + np.arange(500) * 0.01
    time = np.concatenate([slow, fast])
    values = np.concatenate([tone(2.5, slow), tone(33.0, fast)])
    got = resample(time, values, 20.0)[:, 0]
    np.testing.assert_allclose(got[:100], values[:100, 0], atol=1e-5)
    assert np.abs(got[125:-20]).max() < 0.01
    assert np.abs(values[100:]).max() > 0.99


def test_constant_stays_constant_through_the_filter_to_its_edges():
    time = np.arange(300) / 100.0
    got = resample(time, np.full((300, 3), 9.81, np.float32), 20.0)
    np.testing.assert_allclose(got, 9.81, rtol=1e-6)


def test_pause_within_a_fast_stretch_is_not_filtered_across():
    first = np.arange(200) * 0.01
    second = first[-1] + 0.3 + np.arange(200) * 0.01
    time = np.concatenate([first, second])
    values = np.concatenate([np.zeros(200), np.ones(200)]).astype(np.float32)[:, None]
    got = resample(time, values, 20.0)[:, 0]
    np.testing.assert_allclose(got[:40], 0.0, atol=1e-6)
    np.testing.assert_allclose(got[46:], 1.0, atol=1e-6)


def test_native_rates_are_listed_by_the_time_that_they_cover():
    assert native_rates_hz(np.full(100, 0.04)) == pytest.approx((25.0,))
    mixed = np.concatenate([np.full(1000, 0.05), np.full(2000, 0.01)])  # 50 s and 20 s
    assert native_rates_hz(mixed) == pytest.approx((20.0, 100.0))
    brief = np.concatenate([np.full(1000, 0.05), np.full(200, 0.01)])  # 50 s and 2 s
    assert native_rates_hz(brief) == pytest.approx((20.0,))


def test_jitter_does_not_split_a_rate():
    steps = 0.05 + np.random.default_rng(3).uniform(-0.01, 0.01, 2000)
    rates = native_rates_hz(steps)
    assert len(rates) == 1
    assert rates[0] == pytest.approx(20.0, rel=0.05)

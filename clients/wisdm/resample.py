"""Segments at any rate -> samples at exactly one rate."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["native_rates_hz", "resample"]

FASTER = 1.2  # a stretch this much faster than the target is filtered first
_LOCAL_STEPS = 11  # steps whose median is the local step
_SMALLEST_SHARE = 0.05  # of a series' time; rarer rates are not listed


def resample(
    time_s: NDArray[np.float64], samples: NDArray[np.float32], rate_hz: float
) -> NDArray[np.float32]:
    """Put one segment on a regular grid that starts at its first sample.

    Stretches that were sampled clearly faster than `rate_hz` first pass a low-pass filter (linear
    phase, half amplitude at 0.45 `rate_hz`), so that what the new rate cannot carry does not come
    back as a slower movement. All values are then interpolated linearly.

    Args:
        time_s: float64 [N], strictly increasing, seconds.
        samples: float32 [N, C].
        rate_hz: samples per second of the result.

    Returns:
        float32 [M, C], M = floor(duration x rate_hz) + 1.
    """
    time_s = time_s - time_s[0]
    values = _anti_alias(time_s, samples.astype(np.float64), rate_hz)
    # The small term keeps a last sample whose time lies a rounding error before the grid.
    grid = np.arange(math.floor(time_s[-1] * rate_hz + 1e-6) + 1) / rate_hz
    columns = [np.interp(grid, time_s, values[:, c]) for c in range(values.shape[1])]
    return np.stack(columns, axis=1).astype(np.float32)


def native_rates_hz(steps_s: NDArray[np.float64]) -> tuple[float, ...]:
    """Find the rates at which a series was sampled.

    Rates within 20% of each other count as one. A watch may change its rate on the way.

    Args:
        steps_s: float64 [N], seconds between samples, gaps left out.

    Returns:
        Rates in Hz, the one that covers the most time first.
    """
    if not steps_s.size:
        return ()
    local = _local_steps(steps_s)
    bins = np.round(np.log(local) / np.log(1.05)).astype(np.int64)
    rates = []
    left = np.ones(steps_s.size, dtype=np.bool_)
    total = float(steps_s.sum())
    while float(steps_s[left].sum()) >= _SMALLEST_SHARE * total:
        levels, where = np.unique(bins[left], return_inverse=True)
        commonest = levels[np.argmax(np.bincount(where, weights=steps_s[left]))]
        typical = float(np.median(local[left & (bins == commonest)]))
        near = left & (np.abs(np.log(local / typical)) < math.log(1.2))
        if float(steps_s[near].sum()) >= _SMALLEST_SHARE * total:
            rates.append(1.0 / typical)
        left &= ~near
    return tuple(rates)


def _local_steps(steps_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the running median of steps, float64 [N]."""
    local: NDArray[np.float64] = ndimage.median_filter(steps_s, size=_LOCAL_STEPS, mode="nearest")
    return local


def _anti_alias(
    time_s: NDArray[np.float64], values: NDArray[np.float64], rate_hz: float
) -> NDArray[np.float64]:
    """Low-pass the fast stretches of one segment, each at its own rate."""
    steps = np.diff(time_s)
    longest_fast = 1.0 / (FASTER * rate_hz)
    if np.count_nonzero(steps < longest_fast) <= _LOCAL_STEPS // 2:
        return values
    local = _local_steps(steps)
    fast = (local < longest_fast) & (steps < 3.0 * local)
    edges = np.flatnonzero(np.diff(fast, prepend=False, append=False))
    filtered = values.copy()
    for first, after in zip(edges[0::2], edges[1::2], strict=True):
        native_hz = 1.0 / float(np.median(steps[first:after]))
        taps = _low_pass(native_hz, rate_hz)
        stretch = slice(first, after + 1)
        filtered[stretch] = ndimage.convolve1d(values[stretch], taps, axis=0, mode="nearest")
    return filtered


def _low_pass(native_hz: float, rate_hz: float) -> NDArray[np.float64]:
    """Design the filter: passes up to 0.35 `rate_hz`, stops from 0.55 `rate_hz` by 60 dB.

    Kaiser 1974, "Nonrecursive digital filter design using the I0-sinh window function":
    length = (A - 7.95) / (2.285 x transition width in radians) + 1, shape for A = 60 dB.
    """
    half = math.ceil((60.0 - 7.95) / (2.285 * 2.0 * math.pi * 0.2 * rate_hz / native_hz) / 2)
    cutoff = 2.0 * 0.45 * rate_hz / native_hz
    taps = np.sinc(cutoff * np.arange(-half, half + 1)) * np.kaiser(2 * half + 1, 5.653)
    normalised: NDArray[np.float64] = taps / taps.sum()
    return normalised

"""Measures of drift: what each user's accuracy lost, when it was noticed, when it came back.

Pure functions of arrays, nothing is read here. A device's accuracy is held against the same
device's accuracy before its drift, never against that of others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

__all__ = [
    "Decline",
    "Detection",
    "DetectionSummary",
    "decline",
    "detection",
    "detection_summary",
    "poisson_interval",
    "wilson_interval",
]

_NAN = float("nan")
_ROUNDING = 1e-9  # accuracies are shares of few windows: what is closer than this is equal
_TAIL = 0.025  # on either side of a 95% interval


@dataclass(frozen=True, slots=True)
class Decline:
    """What one spell of drift did to one device; NaN where it is unknown.

    Attributes:
        reference: accuracy before the spell.
        drop: reference minus the accuracy at the first scoring under drift; negative for a gain.
        largest_drop: reference minus the lowest accuracy under drift.
        recovery_rounds: rounds under drift up to recovery, that of its scoring included; NaN also
            where it never recovered.
        recovery_answered: answered windows under drift up to that scoring, NaN likewise.
        recovered_at_end: 1 if the last scoring under drift is within the margin, else 0.
        lost_windows: area lost while down: how far accuracy was below the reference, in windows.
    """

    reference: float
    drop: float = _NAN
    largest_drop: float = _NAN
    recovery_rounds: float = _NAN
    recovery_answered: float = _NAN
    recovered_at_end: float = _NAN
    lost_windows: float = _NAN


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """How the alarms of one device met its B spells of drift.

    Attributes:
        delay: float64 [B], answered windows from the begin of each spell to its first alarm, NaN
            where the spell was missed.
        false_alarms: alarms before the first spell; all of them where there is none.
        watched: windows in which these could come: answered ones, or all.
    """

    delay: NDArray[np.float64]
    false_alarms: int
    watched: int


@dataclass(frozen=True, slots=True)
class DetectionSummary:
    """Detection over all spells of all devices; `low` and `high` bound a figure at 95%.

    Attributes:
        spells: that were there to detect.
        missed: those without an alarm until their end.
        within, within_low, within_high: share of all spells detected in time, Wilson's interval.
        median_delay: in answered windows, over the spells that were detected, however late.
        false_alarms: of all devices.
        watched: windows in which these could come: answered ones, or all.
        false_rate, false_rate_low, false_rate_high: false alarms per 1,000 of these windows, the
            exact Poisson interval.
    """

    spells: int
    missed: int
    within: float
    within_low: float
    within_high: float
    median_delay: float
    false_alarms: int
    watched: int
    false_rate: float
    false_rate_low: float
    false_rate_high: float


def decline(
    accuracy: NDArray[np.float64],
    rounds: NDArray[np.int64],
    windows: NDArray[np.int64],
    answered: NDArray[np.int64],
    in_force: NDArray[np.bool_],
    begin: int,
    end: int | None = None,
    *,
    last: int = 3,
    margin: float = 0.05,
    hold: int = 1,
) -> Decline:
    """Measure what one spell of drift did to one device.

    The reference is the mean of the last scorings before the spell in which no drift was in force.
    The device has recovered at the first scoring under drift that is at most `margin` below it, if
    the next `hold` scorings, as far as there are any, are, too: a single lucky one does not count.
    A scoring stands for the windows under drift since the one before it, so lost windows, the area
    lost while down, are the sum over scorings of their windows times max(0, reference - accuracy);
    those after the last scoring are not counted.

    Args:
        accuracy: float64 [S], after each of some rounds, NaN where it was not scored.
        rounds: int64 [S], which rounds these are, ascending. Where they are all rounds, counts
            since the begin are exact, however few of them were scored.
        windows: int64 [S], streamed under drift so far.
        answered: int64 [S], windows answered so far.
        in_force: bool [S], whether a drift is in force after each of these rounds.
        begin: the first round after which the spell is in force.
        end: the first one after which it no longer is; None if it stays.
        last: scorings that make up the reference, at least 1; fewer where there are fewer.
        margin: how far below the reference still counts as recovered.
        hold: scorings that must confirm a recovery.
    """
    scored, before = ~np.isnan(accuracy), rounds < begin
    under = scored & ~before & (rounds < (np.inf if end is None else end))
    own = accuracy[scored & before & ~in_force][-last:]
    reference = float(own.mean()) if own.size else _NAN
    drops = reference - accuracy[under]
    if np.isnan(drops).all():
        return Decline(reference)
    up = drops <= margin + _ROUNDING
    held = np.array([up[one : one + hold + 1].all() for one in range(up.size)])
    recovered = int(held.argmax()) if held.any() else None
    new_answers = answered[under] - answered[before].max(initial=0)
    new_windows = np.diff(windows[under], prepend=windows[before].max(initial=0))
    return Decline(
        reference=reference,
        drop=float(drops[0]),
        largest_drop=float(drops.max()),
        recovery_rounds=_NAN if recovered is None else float(rounds[under][recovered] - begin + 1),
        recovery_answered=_NAN if recovered is None else float(new_answers[recovered]),
        recovered_at_end=float(up[-1]),
        lost_windows=float(new_windows @ np.maximum(drops, 0.0)),
    )


def detection(
    alarms: NDArray[np.int64],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    total: tuple[int, int],
    *,
    on_answers: bool = True,
) -> Detection:
    """Tell detections from false alarms on one device.

    A place is how many windows the device has seen so far, and how many answered ones: before a
    spell begins or ends, and with the one that raised an alarm. So the first alarm in (begin, end]
    detects a spell, by windows; the delay is in answered ones. Any later alarm, also one between
    two spells, is neither a detection nor false.

    Args:
        alarms: int64 [A, 2], places, in any order.
        begins: int64 [B, 2], where the spells of drift begin, ascending; no drift if B = 0.
        ends: int64 [B, 2], where they end, each no later than the next begins.
        total: windows of the whole stream, and answered ones.
        on_answers: whether the detector watches answered windows alone.
    """
    alarms = alarms[np.argsort(alarms[:, 0], kind="stable")]
    unit = 1 if on_answers else 0
    if not len(begins):
        return Detection(np.zeros(0), len(alarms), total[unit])
    first = np.searchsorted(alarms[:, 0], begins[:, 0], side="right")
    place = np.append(alarms.astype(np.float64), [[np.inf, np.inf]], axis=0)[first]
    in_time = place[:, 0] <= ends[:, 0]
    delay = np.where(in_time, place[:, 1] - begins[:, 1], np.nan)
    return Detection(delay, int(first[0]), int(begins[0, unit]))


def detection_summary(devices: Sequence[Detection], within: int = 40) -> DetectionSummary:
    """Sum up the detections of some devices; `within` so many answered windows is in time."""
    delay = np.concatenate([np.zeros(0), *(device.delay for device in devices)])
    found = delay[~np.isnan(delay)]
    in_time = int((found <= within).sum())
    low, high = wilson_interval(in_time, delay.size)
    false_alarms = sum(device.false_alarms for device in devices)
    watched = sum(device.watched for device in devices)
    rates = np.array([false_alarms, *poisson_interval(false_alarms)])
    rate, rate_low, rate_high = 1000.0 * rates / watched if watched else np.full(3, np.nan)
    return DetectionSummary(
        spells=delay.size,
        missed=delay.size - found.size,
        within=in_time / delay.size if delay.size else _NAN,
        within_low=low,
        within_high=high,
        median_delay=float(np.median(found)) if found.size else _NAN,
        false_alarms=false_alarms,
        watched=watched,
        false_rate=float(rate),
        false_rate_low=float(rate_low),
        false_rate_high=float(rate_high),
    )


def wilson_interval(hits: int, trials: int) -> tuple[float, float]:
    """Return the 95% interval of a share (Wilson 1927), NaN without trials."""
    if not trials:
        return _NAN, _NAN
    found = stats.binomtest(hits, trials).proportion_ci(1.0 - 2.0 * _TAIL, method="wilson")
    return float(found.low), float(found.high)


def poisson_interval(count: int) -> tuple[float, float]:
    """Return the exact 95% interval of the mean of which `count` was seen (Garwood 1936)."""
    low = stats.chi2.ppf(_TAIL, 2 * count) / 2.0 if count else 0.0
    return float(low), float(stats.chi2.ppf(1.0 - _TAIL, 2 * count + 2) / 2.0)

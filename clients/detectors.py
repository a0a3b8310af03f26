"""What a device can notice about itself from the answers that it gets: River's drift detectors.

A detector reads the errors of a device's answered windows, one after the other: 1 where the
prediction differs from the answer, 0 where it does not. Its alarms are those of River's class of
the same name (Montiel et al. 2021, "River: machine learning for streaming data in Python"), which
starts anew after each. River's defaults are made for long streams and are silent, or nearly, on the
150 windows of a device or alarm without cause, so that each detector has one number left open, its
strength, to be set on the streams of donors; its other numbers let it fire within such a stream.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from math import inf
from operator import itemgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from river.drift import KSWIN
    from river.drift.binary import HDDMA, HDDMW

__all__ = ["DETECTORS", "Detector", "Kind", "Watch", "alarms"]

_KSWIN_WINDOW, _KSWIN_SIZE = 50, 20  # values, and how many of the last are tested against others
_KSWIN_LEAST = 0.1  # difference of two shares up to which River's KSWIN does not fire


class Detector(Protocol):
    """What River's drift detectors have in common."""

    @property
    def drift_detected(self) -> bool:
        """Whether the last value raised an alarm."""

    def update(self, x: int) -> object:
        """Take the next value, 0 or 1; after an alarm, the first one of a new start."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One of River's detectors.

    Attributes:
        parameter: River's name of the number that is its strength.
        grid: strengths from one that is never reached, hence mute, to an eager one.
        build: makes River's object from a strength and a seed, which only KSWIN uses.
    """

    parameter: str
    grid: tuple[float, ...]
    build: Callable[[float, int], Detector]

    def make(self, strength: float, seed: int = 0) -> Detector:
        """Make a detector that has seen nothing.

        Args:
            strength: the value of `parameter`.
            seed: decides which of the older values KSWIN looks at.
        """
        return self.build(strength, seed)


def alarms(
    name: str, strength: float, errors: NDArray[np.signedinteger[Any]], seed: int = 0
) -> NDArray[np.int64]:
    """Return where a detector fires on one stream.

    Args:
        name: one of `DETECTORS`.
        strength: see `Kind`.
        errors: int8 [n], 1 = error, 0 = none; a value of -1 is passed over.
        seed: see `Kind.make`.

    Returns:
        int64 [m], the places in `errors` at which an alarm is raised.
    """
    detector, places = DETECTORS[name].make(strength, seed), []
    for place, error in enumerate(errors.tolist()):
        if error >= 0:
            detector.update(error)
            if detector.drift_detected:
                places.append(place)
    return np.array(places, np.int64)


class Watch:
    """One detector on each of D devices.

    A detector is a function of the values that it was given: these are the whole state.

    Attributes:
        seen: int64 [D], values that each device was given so far.
    """

    def __init__(self, devices: int, name: str, strength: float, seed: int = 0) -> None:
        """Watch from now on.

        Args:
            devices: D.
            name: one of `DETECTORS`.
            strength: see `Kind`.
            seed: see `Kind.make`; the same for all devices, so that none depends on the others.
        """
        self._make = partial(DETECTORS[name].make, strength, seed)
        self._detectors = [self._make() for _ in range(devices)]
        self._errors = np.full((devices, 0), -1, np.int8)
        self.seen: NDArray[np.int64] = np.zeros(devices, np.int64)

    def update(self, errors: NDArray[np.signedinteger[Any]]) -> NDArray[np.int64]:
        """Give each device its next values.

        Args:
            errors: int8 [D, n], 1 = error, 0 = none, in order; -1 where there is no answer.

        Returns:
            int64 [D], how many values a device had seen, in all its life, when it raised the first
            alarm of this update: 1 stands for the very first value; -1 without an alarm.
        """
        there = errors >= 0
        rows = np.flatnonzero(there.any(axis=1))
        first = np.full(self.seen.size, -1, np.int64)
        for row, own in zip(rows.tolist(), errors[rows].tolist(), strict=True):
            place = self._run(self._detectors[row], own)
            if place:
                first[row] = self.seen[row] + place
        self._remember(errors, there)
        return first

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Return the whole state: `errors`, int8 [D, H], what each device was given, then -1."""
        return {"errors": self._errors[:, : self.seen.max(initial=0)].copy()}

    def restore(self, snapshot: Mapping[str, NDArray[Any]]) -> None:
        """Become what a snapshot of as many devices holds, by running through its values again."""
        self._detectors = [self._make() for _ in self._detectors]
        self._errors, self.seen = self._errors[:, :0], np.zeros_like(self.seen)
        self.update(snapshot["errors"])

    def _run(self, detector: Detector, errors: Sequence[int]) -> int:
        """Give values to one detector; return at which of those that are there it first fired."""
        update, place, first = detector.update, 0, 0
        for error in errors:
            if error >= 0:
                place += 1
                update(error)
                if detector.drift_detected and not first:
                    first = place
        return first

    def _remember(self, errors: NDArray[np.signedinteger[Any]], there: NDArray[np.bool_]) -> None:
        """Put values behind those that each device was given before."""
        rows, columns = np.nonzero(there)
        place = (self.seen[:, None] + there.cumsum(axis=1) - 1)[rows, columns]
        self.seen += there.sum(axis=1)
        short = int(self.seen.max(initial=0)) - self._errors.shape[1]
        if short > 0:
            grown = max(short, self._errors.shape[1])  # twofold, so that growing stays rare
            self._errors = np.pad(self._errors, [(0, 0), (0, grown)], constant_values=-1)
        self._errors[rows, place] = errors[rows, columns]


def _adwin(strength: float, _: int) -> Detector:
    """Adaptive windowing (Bifet & Gavaldà 2007), which looks at every value, not each 32nd."""
    from river.drift import ADWIN

    detector: Detector = ADWIN(  # type: ignore[no-untyped-call]
        delta=strength, clock=1, min_window_length=5, grace_period=10
    )
    return detector


def _page_hinkley(strength: float, _: int) -> Detector:
    """Page-Hinkley (Page 1954) for a rise: fewer errors are what learning is for, not drift."""
    from river.drift import PageHinkley

    return PageHinkley(threshold=strength, min_instances=16, delta=0.005, mode="up")


def _ddm(strength: float, _: int) -> Detector:
    """Drift detection method (Gama et al. 2004).

    Where no error comes before its warm start ends, the first one that comes is an alarm at any
    finite strength, as in the paper: the smallest deviation seen so far is 0.
    """
    from river.drift.binary import DDM

    return DDM(drift_threshold=strength, warm_start=30)


def _eddm(strength: float, _: int) -> Detector:
    """Early drift detection method (Baena-García et al. 2006), after 8 errors rather than 30."""
    from river.drift.binary import EDDM

    return EDDM(beta=strength, alpha=1.0, warm_start=8)


def _hddm_a(strength: float, _: int) -> Detector:
    """Hoeffding's bound on means (Frías-Blanco et al. 2015), for a rise."""
    return _quick_hddm_a()(drift_confidence=strength)


def _hddm_w(strength: float, _: int) -> Detector:
    """McDiarmid's bound on weighted means (Frías-Blanco et al. 2015), for a rise."""
    return _quick_hddm_w()(drift_confidence=strength, lambda_val=0.05)


def _kswin(strength: float, seed: int) -> Detector:
    """Kolmogorov's and Smirnov's test of the last values against older ones (Raab et al. 2020)."""
    return _quick_kswin()(
        alpha=strength, window_size=_KSWIN_WINDOW, stat_size=_KSWIN_SIZE, seed=seed
    )


_CHANCES = (1e-100, *(10.0**-k for k in (20, 15, 12, 10, 9, 8, 7, 6, 5, 4)), 3e-4, 1e-3, 3e-3)
_CHANCES = (*_CHANCES, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
_HALVES = tuple(k / 2 for k in range(20, 1, -1))

DETECTORS: Mapping[str, Kind] = MappingProxyType(
    {
        "adwin": Kind("delta", _CHANCES, _adwin),
        "page-hinkley": Kind("threshold", (inf, 50.0, 30.0, 20.0, 15.0, *_HALVES), _page_hinkley),
        "ddm": Kind("drift_threshold", (inf, 100.0, 50.0, 30.0, 20.0, 15.0, *_HALVES), _ddm),
        "eddm": Kind("beta", tuple(k / 20 for k in range(20)), _eddm),
        "hddm-a": Kind("drift_confidence", _CHANCES, _hddm_a),
        "hddm-w": Kind("drift_confidence", _CHANCES, _hddm_w),
        "kswin": Kind("alpha", _CHANCES, _kswin),
    }
)


# River copies the statistics of HDDM with `clone` and `deepcopy`, and KSWIN tests values of any
# kind, at 20 to 300 microseconds a value. The classes below compute the same at 2 to 5.


@cache
def _quick_hddm_a() -> type[HDDMA]:
    """Return River's HDDM_A with means that are copied quickly."""
    from river.drift.binary import HDDMA
    from river.stats import Mean

    class QuickMean(Mean):
        def clone(self, *_: object, **__: object) -> QuickMean:
            copy = QuickMean()
            copy.n, copy._mean = self.n, self._mean
            return copy

    class QuickHDDMA(HDDMA):
        def _reset(self) -> None:
            super()._reset()  # type: ignore[no-untyped-call]
            self._z = QuickMean()  # of which the other two become copies

    return QuickHDDMA


@cache
def _quick_hddm_w() -> type[HDDMW]:
    """Return River's HDDM_W with weighted means that are copied quickly."""
    from river.drift.binary import HDDMW
    from river.drift.binary.hddm_w import SampleInfo

    class QuickInfo(SampleInfo):
        def __init__(self, weight: float) -> None:
            self._weight, self._value = weight, 0.0
            self._is_init, self._ibc = False, 1.0
            self._lambd_sq, self._c_lambd_sq = weight * weight, (1 - weight) ** 2

        def update(self, x: int) -> None:
            weight = self._weight
            self._value = weight * x + (1 - weight) * self._value if self._is_init else float(x)
            self._is_init = True
            self._ibc = self._lambd_sq + self._c_lambd_sq * self._ibc

        @property
        def ewma(self) -> float:
            return self._value

        def __deepcopy__(self, _: object) -> QuickInfo:
            copy = QuickInfo.__new__(QuickInfo)
            copy.__dict__.update(self.__dict__)
            return copy

    class QuickHDDMW(HDDMW):
        def _reset(self) -> None:
            super()._reset()  # type: ignore[no-untyped-call]
            self._total = QuickInfo(self.lambda_val)  # of which the others become copies

        def _update_decr_stats(self, x: int, confidence: float) -> None:
            """Leave out what only a test for a fall would need."""

    return QuickHDDMW


@cache
def _quick_kswin() -> type[KSWIN]:
    """Return River's KSWIN for values of 0 and 1, of which only the number of ones matters."""
    from river.drift import KSWIN

    class QuickKSWIN(KSWIN):
        def update(self, x: int | float) -> None:
            if self.drift_detected:
                self._reset()  # type: ignore[no-untyped-call]
            self.n += 1
            self.window.append(x)
            if len(self.window) < _KSWIN_WINDOW:
                return
            values = list(self.window)
            place = self.n - _KSWIN_WINDOW  # draws begin with the first full window
            older = sum(_draw(self.seed or 0, place)(values))
            difference, p_value = _smirnov(int(older), int(sum(values[-_KSWIN_SIZE:])))
            self._drift_detected = p_value <= self.alpha and difference > _KSWIN_LEAST

    return QuickKSWIN


@cache
def _source(seed: int) -> tuple[random.Random, list[Callable[..., Any]]]:
    """Return what River's KSWIN draws from, and what was drawn from it so far."""
    return random.Random(seed), []


def _draw(seed: int, place: int) -> Callable[..., Any]:
    """Return what picks the older values of a window: KSWIN's draw number `place`."""
    source, drawn = _source(seed)
    while len(drawn) <= place:
        older = range(_KSWIN_WINDOW - _KSWIN_SIZE)
        drawn.append(itemgetter(*source.sample(older, _KSWIN_SIZE)))
    return drawn[place]


@cache
def _smirnov(ones: int, others: int) -> tuple[float, float]:
    """Test two samples with so many ones, else zeros: Kolmogorov's difference, its p-value."""
    from scipy import stats

    samples = ([1] * count + [0] * (_KSWIN_SIZE - count) for count in (ones, others))
    tested = stats.ks_2samp(*samples, method="auto")
    return float(tested.statistic), float(tested.pvalue)

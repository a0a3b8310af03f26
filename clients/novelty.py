"""What a device can notice about itself from its inputs alone: windows unlike those it has had.

Each window is summed up in a few numbers, some of which say how the device lies and measures, the
others how its wearer moves. A window is novel where the device never lay like this before while its
wearer moved like this: the distance to the nearest of the device's own earlier windows is compared
with the one that donors' windows let expect, given how near the nearest *movement* is. So a new
activity, new in all respects, is no alarm, and one rotated wrist is. What is novel adds up, window
by window, as in a cumulative sum (Page 1954, "Continuous inspection schemes").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients import chance
from clients.errors import BadInput

__all__ = ["REST", "STRENGTHS", "Expected", "Novelty", "expect", "summarize"]

STRENGTHS = (inf, 50.0, 40.0, 32.0, 25.0, *(k / 2 + 0.25 for k in range(40, 3, -1)))
"""Sums that raise an alarm, from mute to eager; none is a multiple of what one window adds at most,
or rounding would decide."""

REST = 24
"""Windows after an alarm in which no other is raised."""

_GRAVITY = 9.81  # m/s²
_AXES = 3
_MOVEMENT = 4  # numbers of a summary, its last ones, that no turn of the device changes
_SOFT, _SOFT_STEP, _SOFT_REST = 0.15, 0.1, 0.3  # m/s², below which differences are noise
_FAR = 0.05  # the same for distances, in units of what is usual between windows in succession
_LAG = 24  # windows that must have passed until one is known: what is new stays new for so long
_LEAST = REST  # known windows before novelty is told, and windows of rest after an alarm
_KNOWN = 160  # latest windows of a device that are kept
_MOST, _ALLOWED = 1.0, 0.4  # of one window's novelty; of novelty that is no sign, in deviations
_ORDERS = 8  # in which each donor's bouts are put
_BLOCK = 2**16  # distances that are computed together, to stay in the processor's cache
_WINDOWS = 128  # that are summed up together, likewise
_State = Mapping[str, NDArray[Any]]
_NAMES = ("kept", "seen", "start", "sum")


def summarize(windows: NDArray[np.float32], rest: float | None = None) -> NDArray[np.float32]:
    """Sum up windows; one that holds single rows is summed up as its row.

    Args:
        windows: float32 [..., T, C]; the samples of a question, where windows are single samples,
            make up one window here.
        rest: norm of the mean of a window without movement: gravity in m/s² for three axes, and 0
            for other rows, unless given.

    Returns:
        float32 [..., F] with F = 3 C + 5: the mean of each channel; the logarithms of each one's
        standard deviation and mean step from sample to sample; how far the norm of the mean is from
        `rest`, in units of the deviation in all; and what no turn changes, the logarithms of the
        deviation in all, the deviation of the norm, its mean step and the mean norm of a step.
    """
    *shape, length, channels = windows.shape
    if rest is None:
        rest = _GRAVITY if channels == _AXES else 0.0
    flat = windows.reshape(-1, length, channels)
    summaries = np.empty((len(flat), 3 * channels + 1 + _MOVEMENT), np.float32)
    for low in range(0, len(flat), _WINDOWS):
        some = slice(low, low + _WINDOWS)
        summaries[some] = _summaries(flat[some], rest)
    return summaries.reshape(*shape, summaries.shape[1])


def _summaries(windows: NDArray[np.float32], rest: float) -> NDArray[np.float32]:
    """Sum up windows [N, T, C]: float32 [N, F]."""
    values = np.ascontiguousarray(windows.transpose(0, 2, 1))  # sums run fastest along the last
    mean = values.mean(axis=2)
    spread = _root_mean(values - mean[..., None])
    in_all = _norm(spread)[:, None]
    pull = (_norm(mean)[:, None] - np.float32(rest)) / (np.float32(_SOFT_REST) + in_all)
    norm = _norm(values)
    norm_spread = _root_mean(norm - norm.mean(axis=1, keepdims=True))
    if values.shape[2] > 1:
        change, norm_change = np.diff(values, axis=2), np.diff(norm, axis=1)
    else:
        change, norm_change = np.zeros_like(values), np.zeros_like(norm)
    parts = (
        mean,
        np.log(spread + np.float32(_SOFT)),
        np.log(np.abs(change).mean(axis=2) + np.float32(_SOFT_STEP)),
        pull,
        np.log(in_all + np.float32(_SOFT)),
        np.log(norm_spread[:, None] + np.float32(_SOFT)),
        np.log(np.abs(norm_change).mean(axis=1, keepdims=True) + np.float32(_SOFT_STEP)),
        np.log(_norm(change).mean(axis=1, keepdims=True) + np.float32(_SOFT_STEP)),
    )
    return np.concatenate(parts, axis=1)


def _root_mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the square root of the mean of squares [..., T]: float32 [...]."""
    return np.asarray(np.sqrt(np.square(values).mean(axis=-1)))


def _norm(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the norms of vectors [N, C, ...]: float32 [N, ...]."""
    return np.asarray(np.sqrt(np.square(values).sum(axis=1)))


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """How far windows are from those before, of people whose device stayed as it was.

    Attributes:
        scale: float32 [F], what the numbers of a summary usually change by from window to window.
        weights: float64 [3], of 1, of the logarithm of the number of known windows, and of that of
            the distance to the nearest movement; their sum is the expected logarithm of distance.
        deviation: standard deviation of the logarithm of distance from what is expected.
    """

    scale: NDArray[np.float32]
    weights: NDArray[np.float64]
    deviation: float


class Novelty:
    """Tells for each of D devices when its windows are no longer like those that it has had.

    A device tells nothing until it has had 48 windows. After an alarm it rests for 24, and of what
    came before it knows the last 24 windows alone: what is new by then has become usual.

    Attributes:
        kept: float32 [D, F, 160], the summaries of the latest windows, scaled; window i is in
            place i modulo 160.
        seen: int64 [D], windows so far.
        start: int64 [D], the first window that counts as known.
        sum: float64 [D], the cumulative sum, which raises an alarm above the strength.
    """

    def __init__(self, devices: int, expected: Expected, strength: float) -> None:
        """Begin with devices that have seen nothing.

        Args:
            devices: D.
            expected: from the donors of the devices' fold.
            strength: the sum that raises an alarm, such as one of `STRENGTHS`.
        """
        self._expected, self._strength = expected, strength
        self.kept: NDArray[np.float32] = np.zeros(
            (devices, expected.scale.size, _KNOWN), np.float32
        )
        self.seen: NDArray[np.int64] = np.zeros(devices, np.int64)
        self.start: NDArray[np.int64] = np.zeros(devices, np.int64)
        self.sum: NDArray[np.float64] = np.zeros(devices)

    def update(self, summaries: NDArray[np.float32], there: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Give each device its next windows.

        Args:
            summaries: float32 [D, n, F], as `summarize` returns them, in order.
            there: bool [D, n], which of them are windows; those with values that are not finite are
                passed over as well.

        Returns:
            int64 [D], how many windows a device had seen, in all its life, when it raised the first
            alarm of this update: 1 stands for the very first window; -1 without an alarm.
        """
        first = np.full(self.seen.size, -1, np.int64)
        for low in range(0, summaries.shape[1], _LAG):
            some = slice(low, low + _LAG)
            alarm = self._advance(*self._next(summaries[:, some], there[:, some]))
            first = np.where(first < 0, alarm, first)
        return first

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Return copies of `kept`, `seen`, `start` and `sum`, which are the whole state."""
        return {name: getattr(self, name).copy() for name in _NAMES}

    def restore(self, snapshot: _State) -> None:
        """Become what a snapshot of as many devices holds."""
        for name in _NAMES:
            getattr(self, name)[...] = snapshot[name]

    def _next(
        self, summaries: NDArray[np.float32], there: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.int64]]:
        """Scale summaries, and number those that are windows: the last is their place, [D, n]."""
        there = there & np.isfinite(summaries).all(axis=2)
        scaled = np.where(there[..., None], summaries / self._expected.scale, np.float32(0))
        place = self.seen[:, None] + there.cumsum(axis=1, dtype=np.int64) - 1
        return scaled, there, place

    def _advance(
        self, scaled: NDArray[np.float32], there: NDArray[np.bool_], place: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Take windows [D, n], of which none is known to another as n is at most the lag."""
        novelty = np.zeros(place.shape)
        known = self._known(place)
        rows = np.flatnonzero((there & (known >= _LEAST)).any(axis=1))
        if rows.size:
            lies, moves = self._nearest(scaled[rows], place[rows], rows)
            parts = self._expected.weights[:, None, None] * _regressors(known[rows], moves)
            novelty[rows] = (lies - parts.sum(axis=0)) / self._expected.deviation
        first = np.full(self.seen.size, -1, np.int64)
        for i in range(place.shape[1]):
            # Counted anew, as an alarm moves the start: a device then rests until after these.
            told = there[:, i] & (self._known(place[:, i]) >= _LEAST)
            gained = np.minimum(novelty[:, i], _MOST) - _ALLOWED
            self.sum = np.where(told, np.maximum(self.sum + gained, 0.0), self.sum)
            alarm = np.flatnonzero(told & (self.sum > self._strength))
            self.sum[alarm] = 0.0
            self.start[alarm] = place[alarm, i] - _LAG + 1
            first[alarm] = place[alarm, i] + 1
        self._keep(scaled, there, place)
        return first

    def _known(self, place: NDArray[np.int64]) -> NDArray[np.int64]:
        """Count what devices know when window number `place` [D] or [D, n] comes."""
        start = self.start.reshape(-1, *[1] * (place.ndim - 1))
        return np.asarray(place - _LAG + 1 - np.maximum(start, place - _KNOWN))

    def _nearest(
        self, scaled: NDArray[np.float32], place: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the logarithms [n, N] of the distances to the nearest known window and movement.

        Sums are taken number by number, so that no distance depends on what is computed beside it.
        """
        lies, moves = np.empty(place.shape), np.empty(place.shape)
        block = max(1, _BLOCK // (place.shape[1] * _KNOWN))
        for low in range(0, rows.size, block):
            some = slice(low, low + block)
            own, now, at = rows[some], scaled[some], place[some, :, None]
            last = self.seen[own, None] - 1
            held = last - (last - np.arange(_KNOWN)) % _KNOWN  # which window is in a place
            least = np.maximum(self.start[own, None, None], at - _KNOWN)
            unknown = (held[:, None] < least) | (held[:, None] > at - _LAG)
            kept, count = self.kept[own], now.shape[2] - _MOVEMENT
            for found, numbers in (
                (lies, range(count)),
                (moves, range(count, count + _MOVEMENT)),
            ):
                total = np.where(unknown, np.float32(1e30), np.float32(0))
                for i in numbers:
                    apart = now[:, :, None, i] - kept[:, None, i]
                    apart *= apart
                    total += apart
                nearest = total.min(axis=2).astype(np.float64) / len(numbers)
                found[some] = np.log(np.sqrt(nearest) + _FAR)
        return lies, moves

    def _keep(
        self, scaled: NDArray[np.float32], there: NDArray[np.bool_], place: NDArray[np.int64]
    ) -> None:
        rows, columns = np.nonzero(there)
        self.kept[rows, :, place[rows, columns] % _KNOWN] = scaled[rows, columns]
        self.seen += there.sum(axis=1)


def expect(bouts: Sequence[Sequence[NDArray[np.float32]]], seed: int) -> Expected:
    """Learn from donors how far windows are from those before, when nothing drifts.

    Each donor's bouts are put into a few random orders, as streams are.

    Args:
        bouts: for each donor, the summaries float32 [n, F] of each of their bouts.
        seed: the scenario's, which decides the orders.

    Raises:
        BadInput: where no donor has enough windows that any would be told to be novel.
    """
    scale = _scale([bout for own in bouts for bout in own])
    rows: list[NDArray[np.float64]] = []
    for donor, own in enumerate(bouts):
        count = sum(map(len, own))
        if count <= _LAG + _LEAST:
            continue
        orders = [
            chance.generator(seed, "novelty", donor, i).permutation(len(own))
            for i in range(_ORDERS)
        ]
        streams = np.stack([np.concatenate([own[i] for i in order]) for order in orders])
        rows.append(_distances(streams, scale))
    if not rows:
        raise BadInput(
            f"no donor has more than {_LAG + _LEAST} windows, from which to learn how new a "
            "window usually is: give donors with longer recordings, or shorter windows"
        )
    lies, *regressors = np.concatenate(rows, axis=1)
    fitted = np.stack(regressors, axis=1)
    weights = np.linalg.lstsq(fitted, lies, rcond=None)[0]
    deviation = float((lies - fitted @ weights).std())
    return Expected(scale, weights, max(deviation, _FAR))


def _scale(bouts: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return what numbers usually change by: float32 [F]; 1 for those that never change."""
    changes = np.concatenate([np.abs(np.diff(bout, axis=0)) for bout in bouts])
    usual = 1.5 * np.median(changes, axis=0)  # of normal numbers, about the standard deviation
    usual = np.where(usual > 0, usual, np.sqrt(np.mean(np.square(changes), axis=0)))
    return np.where(usual > 0, usual, 1.0).astype(np.float32)


def _distances(streams: NDArray[np.float32], scale: NDArray[np.float32]) -> NDArray[np.float64]:
    """Run through streams [S, N, F]: float64 [4, n], logarithms of distances and regressors."""
    device = Novelty(len(streams), Expected(scale, np.zeros(3), 1.0), inf)
    every = np.arange(len(streams))
    rows = []
    for low in range(0, streams.shape[1], _LAG):
        part = streams[:, low : low + _LAG]
        scaled, there, place = device._next(part, np.ones(part.shape[:2], np.bool_))
        known = device._known(place)
        if known.max() >= _LEAST:
            lies, moves = device._nearest(scaled, place, every)
            told = known >= _LEAST
            rows.append(np.vstack([lies[told], _regressors(known[told], moves[told])]))
        device._keep(scaled, there, place)
    return np.concatenate(rows, axis=1)


def _regressors(known: NDArray[np.int64], moves: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what the logarithm of distance is expected from: float64 [..., 3], as rows first."""
    return np.stack([np.ones(known.shape), np.log(np.maximum(known, 1)), moves])

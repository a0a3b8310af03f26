"""What changes while a device is worn: drift that is put in, each for a part of the stream.

A drift of the signal (a strap that turned, a clock that runs fast) is a variation on top of the
device's own and is applied to a window's span when it is read. A drift of the stream (another
wearer, a new activity) decides which windows reach the device (`clients.stream_drift`). Which of a
scenario's drifts are in force is a state, a bit for each of them. A window of the stream keeps the
state that it was measured in, also when it is rehearsed later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clients import chance
from clients.drift_plugins import signal_of
from clients.pool import Pool
from clients.variation import Variations, rotations

__all__ = ["MOST_DRIFTS", "SIGNALS", "Change", "Course", "Drift", "Signal", "changed"]

MOST_DRIFTS = 8  # of one scenario, a bit each

_NOISE_ROWS = 2**16


@dataclass(frozen=True, slots=True)
class Course:
    """When a drift is in force, as shares of a device's stream.

    Attributes:
        at: where it begins.
        over: how long it takes until every question is drifted: questions are, with a probability
            that rises evenly; 0 is sudden.
        period: how long a spell takes together with the pause after it, of the same length; 0
            stays in force.
    """

    at: float
    over: float = 0.0
    period: float = 0.0

    def begins(self, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the first question that may be drifted, of streams of some lengths [D]."""
        return np.asarray(np.rint(self.at * lengths), np.int64)

    def in_force(
        self, lengths: NDArray[np.int64], draws: NDArray[np.float64] | float, questions: int
    ) -> NDArray[np.bool_]:
        """Tell which questions are drifted: bool [D, Q].

        Args:
            lengths: int64 [D], questions of each stream.
            draws: float64 [D, Q] in [0, 1), which decide while the drift is on its way; a half
                takes the more likely.
            questions: Q.
        """
        since = np.arange(questions) - self.begins(lengths)[:, None]
        if self.period:
            half = np.maximum(np.rint(0.5 * self.period * lengths).astype(np.int64), 1)[:, None]
            return np.asarray((since >= 0) & (since // half % 2 == 0))
        takes = np.rint(self.over * lengths)[:, None]
        return np.asarray(draws < (since + 1) / (takes + 1))


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """One drift of a scenario.

    Attributes:
        kind: of `SIGNALS` or of another package, or of the stream.
        course: when it is in force.
        devices: bool [devices of the fleet], whom it befalls.
        numbers: how strong it is, by name.
        choices: what else it needs to know, by name.
    """

    kind: str
    course: Course
    devices: NDArray[np.bool_]
    numbers: Mapping[str, float] = field(default_factory=dict)
    choices: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Drift:
    """What D devices measure under drift, and when.

    Attributes:
        variations: state of the signal -> what the devices measure in it; 0 is left out.
        signals: the bits of states that say something of the signal.
        question: uint8 [D, Q], the state in which each question of the stream is met; 0 after it.
        lengths: int64 [D], questions of the streams.
        settled: uint8 [D, Q], the more likely state after each question.
        spans: int64 [D, 2, 2], the windows that the stream may hold, first and after the last:
            the wearer's, and those of who wears the device later, none where nobody does.
        window: uint8 [D, M], the state in which each of these windows is measured, the wearer's
            first.
        of_stream: the bit of states that says something of the stream, 0 where none does.
        usual: int32 [D, H], the windows that are scored without that drift, -1 where there is none.
        later: int32 [D, H], likewise with it.
    """

    variations: Mapping[int, Variations]
    signals: int
    question: NDArray[np.uint8]
    lengths: NDArray[np.int64]
    settled: NDArray[np.uint8]
    spans: NDArray[np.int64]
    window: NDArray[np.uint8]
    of_stream: int
    usual: NDArray[np.int32]
    later: NDArray[np.int32]

    def take(self, rows: ArrayLike) -> Drift:
        """Return the drift of some of the devices."""
        chosen = np.asarray(rows, np.int64)
        return replace(
            self,
            variations={state: each.take(chosen) for state, each in self.variations.items()},
            question=self.question[chosen],
            lengths=self.lengths[chosen],
            settled=self.settled[chosen],
            spans=self.spans[chosen],
            window=self.window[chosen],
            usual=self.usual[chosen],
            later=self.later[chosen],
        )

    @property
    def befallen(self) -> NDArray[np.bool_]:
        """Which devices meet some drift: bool [D]."""
        return np.asarray(self.question.any(axis=1))

    def reaches(self, drifts: int) -> NDArray[np.bool_]:
        """Tell which of so many drifts each device meets in some question: bool [D, n]."""
        bits = self.question[..., None] >> np.arange(drifts, dtype=np.uint8) & 1
        return np.asarray(bits.any(axis=1))

    def examined(self, state: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Return the windows that are scored in some states, uint8 [D]: int32 [D, H]."""
        changed = (state & np.uint8(self.of_stream)) > 0
        return np.where(changed[:, None], self.later, self.usual)

    def after(self, questions: int) -> NDArray[np.uint8]:
        """Return the state in force after so many questions, or a stream's last: uint8 [D]."""
        last = np.minimum(questions, self.lengths) - 1
        state = self.settled[np.arange(len(last)), np.maximum(last, 0)]
        return np.where(last >= 0, state, 0).astype(np.uint8)

    def of_windows(
        self, windows: NDArray[np.int32], rows: NDArray[np.int64] | None = None
    ) -> NDArray[np.uint8]:
        """Return in which state windows of the stream are measured.

        Args:
            windows: int32 [n, ...], -1 where there is none.
            rows: int64 [n], whose they are; None stands for all devices.

        Returns:
            uint8 [n, ...], 0 where there is no window.
        """
        own = np.arange(len(self.window)) if rows is None else rows
        flat = windows.reshape(len(windows), -1)
        first, stop = (self.spans[own, 0, i][:, None] for i in (0, 1))
        place = flat - first
        guests = (flat < first) | (flat >= stop)
        if guests.any():
            place = np.where(guests, flat - self.spans[own, 1, 0][:, None] + stop - first, place)
        place = np.clip(place, 0, self.window.shape[1] - 1)
        state = np.where(flat >= 0, self.window[own[:, None], place], np.uint8(0))
        return state.reshape(windows.shape)

    def overwrite(
        self,
        values: NDArray[np.float32],
        pool: Pool,
        windows: NDArray[np.int32],
        rows: NDArray[np.int64] | None,
        state: NDArray[np.uint8],
    ) -> None:
        """Read those windows anew that are measured under a drift of the signal.

        Args:
            values: float32 [n, ..., T, 3], as they are without.
            pool: whose windows.
            windows: int32 [n, ...].
            rows: int64 [n], whose they are; None stands for all devices.
            state: uint8 [n, ...].
        """
        of_signal = state & np.uint8(self.signals)
        flat, held = windows.reshape(len(windows), -1), of_signal.reshape(len(windows), -1)
        joined = values.reshape(*flat.shape, *values.shape[-2:])
        for one in np.unique(held[held > 0]):
            row, place = np.nonzero(held == one)
            own = self.variations[int(one)].take(row if rows is None else rows[row])
            joined[row, place] = own.read(pool, flat[row, place][:, None])[:, 0]


def changed(
    seed: int,
    devices: NDArray[np.int64],
    changes: Sequence[Change],
    plain: Variations,
    states: Sequence[int],
) -> dict[int, Variations]:
    """Return what devices measure in each state of the signal.

    Args:
        seed: the scenario's.
        devices: int64 [D], their indices, on which the draws depend.
        changes: the scenario's drifts; bit i of a state stands for the ith of them.
        plain: what the devices measure without drift.
        states: the states that occur, without bits of other than signals.
    """
    found = {}
    for state in states:
        variations = plain
        for number, change in enumerate(changes):
            if state >> number & 1:
                draws = chance.uniforms(seed, f"drift-{number}", 0, devices, 3)
                signal = SIGNALS.get(change.kind) or signal_of(change.kind)
                variations = signal(variations, change, draws)
        found[state] = variations
    return found


Draws = NDArray[np.float64]
Signal = Callable[[Variations, Change, Draws], Variations]

_AXES = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}


def _turned(now: Variations, by: NDArray[np.float64]) -> Variations:
    """Multiply what is measured by matrices [3, 3] or [D, 3, 3] from the right."""
    turn = (now.turn @ by).astype(np.float32)
    bias = (now.bias[:, None] @ by)[:, 0].astype(np.float32)
    return replace(now, turn=turn, bias=bias)


def _rotation(now: Variations, change: Change, draws: Draws) -> Variations:
    """Turn the device by `angle_deg` about `axis`, a random one of each device if "any"."""
    angle = np.full(len(draws), np.radians(change.numbers["angle_deg"]))
    axis = change.choices["axis"]
    if axis == "any":
        return _turned(now, rotations(draws[:, :2], angle))
    z, (x, y, height) = draws[:, :2].copy(), _AXES[axis]
    z[:, 0] = 0.5 * (height + 1.0)
    z[:, 1] = np.arctan2(y, x) / (2.0 * np.pi)
    return _turned(now, rotations(z, angle))


def _swap_wrist(now: Variations, change: Change, draws: Draws) -> Variations:
    """Mirror x, which runs along the forearm (see `clients.augment`)."""
    del change, draws
    return _turned(now, np.diag([-1.0, 1.0, 1.0]))


def _gain(now: Variations, change: Change, draws: Draws) -> Variations:
    """Scale all readings by `factor`."""
    del draws
    factor = change.numbers["factor"]
    return replace(_turned(now, factor * np.eye(3)), noise=now.noise * np.float32(factor))


def _bias(now: Variations, change: Change, draws: Draws) -> Variations:
    """Add `offset`, m/s², in a random direction of each device."""
    z, around = 2.0 * draws[:, 0] - 1.0, 2.0 * np.pi * draws[:, 1]
    flat = np.sqrt(1.0 - z**2)
    towards = np.stack([flat * np.cos(around), flat * np.sin(around), z], axis=1)
    offset = change.numbers["offset"] * towards
    return replace(now, bias=(now.bias + offset).astype(np.float32))


def _noise(now: Variations, change: Change, draws: Draws) -> Variations:
    """Add noise of standard deviation `deviation`, m/s²."""
    noise = np.hypot(now.noise, change.numbers["deviation"]).astype(np.float32)
    return replace(now, noise=noise, offset=_elsewhere(now, draws))


def _rate(now: Variations, change: Change, draws: Draws) -> Variations:
    """Let the clock run wrong: `factor` samples' time passes in the time of one."""
    del draws
    return replace(now, cadence=now.cadence * change.numbers["factor"])


def _dropout(now: Variations, change: Change, draws: Draws) -> Variations:
    """Lose `share` of the samples; the last one stands in."""
    kept = (1.0 - now.missing) * (1.0 - change.numbers["share"])
    return replace(now, missing=1.0 - kept, offset=_elsewhere(now, draws))


def _gait(now: Variations, change: Change, draws: Draws) -> Variations:
    """Move at another `cadence` and `amplitude`, as after an injury or by a new habit."""
    del draws
    amplitude = now.amplitude * np.float32(change.numbers["amplitude"])
    return replace(now, cadence=now.cadence * change.numbers["cadence"], amplitude=amplitude)


def _elsewhere(now: Variations, draws: Draws) -> NDArray[np.int64]:
    """Let devices without a place in the table of noise have one of their own."""
    return np.where(now.offset > 0, now.offset, (draws[:, 2] * _NOISE_ROWS).astype(np.int64))


SIGNALS: Mapping[str, Signal] = {
    "rotation": _rotation,
    "swap-wrist": _swap_wrist,
    "gain": _gain,
    "bias": _bias,
    "noise": _noise,
    "rate": _rate,
    "dropout": _dropout,
    "gait": _gait,
}
"""Drifts of the signal: what a device measures -> what it measures under one of them."""

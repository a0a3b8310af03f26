"""What a cohort's devices notice of drift, told as events: where it begins and ends, and alarms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients.detectors import Watch
from clients.novelty import Novelty, summarize
from clients.outcome import Outcome
from clients.user import NO_ANSWER
from clients.wear import Wear
from simulator.base.prepared import Threshold
from simulator.folder.event import Event

__all__ = ["Noticing"]

_PREFIX = "noticing/"


_AXES = 3
_BLOCK = 64  # devices whose windows are summed up together


def _by_window(wear: Wear, windows: NDArray[np.int32]) -> NDArray[np.float32]:
    """Sum up windows [D, Q, B] as the devices measured them: float32 [D, Q B, F]."""
    flat = windows.reshape(len(windows), -1)
    rows = np.arange(len(flat))
    parts = [rows[first : first + _BLOCK] for first in range(0, rows.size, _BLOCK)]
    return np.concatenate([summarize(wear.read(flat[part], part)) for part in parts])


def _by_question(wear: Wear, windows: NDArray[np.int32]) -> NDArray[np.float32]:
    """Sum up the samples of each question, [D, Q, B], as one window: float32 [D, Q, F]."""
    x = wear.read(windows)[:, :, :, 0]
    count = (windows >= 0).sum(axis=2)
    found = np.zeros((*count.shape, 3 * x.shape[3] + 5), np.float32)
    for size in np.unique(count[count > 0]):
        which = count == size
        found[which] = summarize(x[which][:, :size])
    return found


class Noticing:
    """The detectors of D devices, and what is known of when they drift.

    A device gets its answers at the end of the round in which they arrive.
    """

    def __init__(
        self,
        wear: Wear,
        drifts: Sequence[str],
        thresholds: Mapping[str, Threshold],
        seed: int,
        delay_rounds: int,
    ) -> None:
        """Begin to watch.

        Args:
            wear: who wears the devices.
            drifts: kinds of the scenario's drifts; bit i of a state stands for the ith.
            thresholds: by detector.
            seed: of detectors that draw.
            delay_rounds: until an answer arrives.
        """
        self._wear, self._drifts, self._delay = wear, drifts, delay_rounds
        self._watches = {
            kind: Watch(len(wear), kind, one.strength, seed)
            for kind, one in thresholds.items()
            if one.expected is None
        }
        self._novelty = {
            kind: Novelty(len(wear), one.expected, one.strength)
            for kind, one in thresholds.items()
            if one.expected is not None
        }
        self._windows = np.zeros(len(wear), np.int64)
        self._answered = np.zeros(len(wear), np.int64)
        self._state = np.zeros(len(wear), np.uint8)
        self._late: list[tuple[int, NDArray[np.int8]]] = []

    def hear(self, round_: int, outcome: Outcome) -> list[Event]:
        """Take in what came of a round; returns what befell, device by device."""
        there = outcome.windows >= 0
        answered = there & (outcome.answer != NO_ANSWER)[..., None]
        wrong = outcome.predicted != outcome.answer[..., None]
        errors = np.where(answered, wrong, -1).astype(np.int8).reshape(len(there), -1)
        events = self._drifting(outcome, there.sum(axis=2), answered.sum(axis=2))
        events += self._novel(outcome, answered)
        # Where the nth answered window of the round stands among all of them.
        flat = answered.reshape(len(there), -1)
        stands = np.cumsum(there.reshape(flat.shape), axis=1)
        begun = self._windows.copy(), self._answered.copy()
        self._windows += there.sum(axis=(1, 2))
        self._answered += answered.sum(axis=(1, 2))
        self._late.append((round_ + self._delay, errors))
        due = [late for when, late in self._late if when <= round_]
        self._late = [late for late in self._late if late[0] > round_]
        for arrived in due:
            for kind, watch in self._watches.items():
                place = watch.update(arrived)
                for row in np.flatnonzero(place >= 0).tolist():
                    windows, count = int(self._windows[row]), int(self._answered[row])
                    if not self._delay:
                        nth = int(place[row] - begun[1][row])
                        index = np.flatnonzero(flat[row])[nth - 1]
                        windows, count = int(begun[0][row] + stands[row, index]), int(place[row])
                    events.append(Event(row, "alarm", kind, windows, count))
        return sorted(events, key=lambda event: event.row)

    def _drifting(
        self, outcome: Outcome, windows: NDArray[np.int64], answered: NDArray[np.int64]
    ) -> list[Event]:
        """Tell where drifts begin and end among a round's questions, [D, Q] windows each."""
        if self._wear.drift is None:
            return []
        state = self._wear.drift.of_windows(outcome.windows[..., 0])
        before = np.concatenate([self._state[:, None], state], axis=1)
        counted = self._answered[:, None] + np.cumsum(answered, axis=1) - answered
        seen = self._windows[:, None] + np.cumsum(windows, axis=1) - windows
        there = outcome.label >= 0
        events = []
        for number, kind in enumerate(self._drifts):
            bits = before >> number & 1
            change = np.diff(bits.astype(np.int8), axis=1)
            for row, place in zip(*np.nonzero((change != 0) & there), strict=True):
                what = "drift-begins" if change[row, place] > 0 else "drift-ends"
                where = int(seen[row, place]), int(counted[row, place])
                events.append(Event(int(row), what, kind, *where))
        last = np.maximum(there.sum(axis=1) - 1, 0)
        now = state[np.arange(len(state)), last] if state.size else self._state
        self._state = np.where(there.any(axis=1), now, self._state).astype(np.uint8)
        return events

    def _novel(self, outcome: Outcome, answered: NDArray[np.bool_]) -> list[Event]:
        """Look at the inputs of a round, [D, Q, B] of which so many were answered."""
        if not self._novelty:
            return []
        there, events = outcome.windows >= 0, []
        if self._wear.pool.length == 1 and self._wear.pool.channels == _AXES:  # of samples
            summaries, there = (
                _by_question(self._wear, outcome.windows),
                np.asarray(there.any(axis=2)),
            )
            answered_so_far = np.cumsum(answered.sum(axis=2), axis=1)
            seen_so_far = np.cumsum((outcome.windows >= 0).sum(axis=2), axis=1)
        else:
            summaries = _by_window(self._wear, outcome.windows)
            there = there.reshape(len(there), -1)
            answered_so_far = np.cumsum(answered.reshape(there.shape), axis=1)
            seen_so_far = np.cumsum(there, axis=1)
        there = there & np.isfinite(summaries).all(axis=2)  # as the detectors pass over the others
        for kind, novelty in self._novelty.items():
            seen = novelty.seen.copy()
            place = novelty.update(summaries, there)
            for row in np.flatnonzero(place >= 0).tolist():
                index = np.flatnonzero(there[row])[place[row] - seen[row] - 1]
                windows = int(self._windows[row] + seen_so_far[row, index])
                count = int(self._answered[row] + answered_so_far[row, index])
                events.append(Event(row, "alarm", kind, windows, count))
        return events

    def _detectors(self) -> Iterator[tuple[str, Watch | Novelty]]:
        """Go through all detectors, by kind."""
        yield from self._watches.items()
        yield from self._novelty.items()

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Return the whole state, as named arrays [D, ...]."""
        kept: dict[str, NDArray[Any]] = {
            "windows": self._windows.copy(),
            "answered": self._answered.copy(),
            "state": self._state,
        }
        kept |= {f"late/{when}": errors for when, errors in self._late}
        for kind, watch in self._detectors():
            kept |= {f"watch/{kind}/{name}": value for name, value in watch.snapshot().items()}
        return {_PREFIX + name: value for name, value in kept.items()}

    def restore(self, snapshot: Mapping[str, NDArray[Any]]) -> None:
        """Become what a snapshot of the same devices holds."""
        own = {k.removeprefix(_PREFIX): v for k, v in snapshot.items() if k.startswith(_PREFIX)}
        self._windows, self._answered = own["windows"].copy(), own["answered"].copy()
        self._state = own["state"].copy()
        late = sorted(int(k.removeprefix("late/")) for k in own if k.startswith("late/"))
        self._late = [(when, own[f"late/{when}"]) for when in late]
        for kind, watch in self._detectors():
            start = f"watch/{kind}/"
            watch.restore({k.removeprefix(start): v for k, v in own.items() if k.startswith(start)})

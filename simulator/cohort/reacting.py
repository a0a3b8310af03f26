"""What devices do about an alarm, from the round after it.

A reaction changes a device's state as a checkpoint holds it, so that it is one for both engines and
all methods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from clients.methods.groups import PARAMETERS, SLOTS, prefix_of
from clients.naming import slot_of
from clients.outcome import Outcome
from clients.user import NO_ANSWER
from simulator.base.prepared import Prepared
from simulator.folder.event import Event
from simulator.measures.fading import Faded
from simulator.scenario.scenario import Arm

__all__ = ["Reacting"]

Arrays = Mapping[str, NDArray[Any]]

_PREFIX = "reacting/"
_LEAST_WEIGHT = 13.8  # of faded answers, those of 16 windows, from when on a version may be good
_EMPTY = {"memory/windows": -1, "memory/labels": -1, "memory/seen": 0, "memory/full": False}


class Reacts(Protocol):
    """Devices whose state can be changed."""

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Return all that the devices are, as named arrays [D, ...]."""
        ...

    def restore(self, snapshot: Arrays) -> None:
        """Become what a snapshot of the same devices holds."""
        ...

    def allow(self, budget: NDArray[np.int64]) -> None:
        """Let each device, int64 [D], ask so many questions a round."""
        ...


class Reacting:
    """One arm's reaction on the D devices of a cohort."""

    def __init__(
        self, arm: Arm, prepared: Prepared, devices: int, budget: int, rate: float
    ) -> None:
        """Wait for the first alarm.

        Args:
            arm: with a reaction.
            prepared: what the devices start with.
            devices: D.
            budget: questions that a device asks in a round at most, when it does not react.
            rate: learning rate, likewise.
        """
        self._arm, self._prepared = arm, prepared
        self._budget, self._rate = budget, rate
        self._alarmed = np.zeros(devices, np.bool_)
        self._until = np.zeros(devices, np.int64)  # last round of a reaction that passes
        self._faded = Faded.before(devices)
        self._best = np.zeros(devices)
        self._good: dict[str, NDArray[Any]] = {}

    def act(self, round_: int, devices: Reacts) -> list[Event]:
        """React to the alarms of the round before, as a round begins."""
        arm, rows = self._arm, np.flatnonzero(self._alarmed)
        over = np.flatnonzero(self._until == round_ - 1) if round_ > 1 else rows[:0]
        self._until[rows] = round_ - 1 + arm.lasting("reaction_rounds")
        if arm.reaction == "ask-more":
            more = round(self._budget * arm.lasting("reaction_factor"))
            devices.allow(np.where(self._until >= round_, more, self._budget))
        elif rows.size or (arm.reaction == "learn-faster" and over.size):
            state = {name: value.copy() for name, value in devices.snapshot().items()}
            self._change(state, rows, np.setdiff1d(over, rows))
            devices.restore(state)
        self._alarmed[:] = False
        return [Event(row, "reaction", str(arm.reaction), -1, -1) for row in rows.tolist()]

    def hear(self, outcome: Outcome, events: Sequence[Event], devices: Reacts) -> None:
        """Take in what came of a round, and the alarms in it."""
        for event in events:
            if event.kind == "alarm" and event.reason == self._arm.detector:
                self._alarmed[event.row] = True
        if self._arm.reaction != "last-good":
            return
        there = (outcome.windows >= 0) & (outcome.answer != NO_ANSWER)[..., None]
        correct = there & (outcome.predicted == outcome.answer[..., None])
        flat = (len(there), -1 if there.size else 0)
        self._faded = self._faded.after(correct.reshape(flat), there.reshape(flat))
        score = np.nan_to_num(self._faded.accuracy(), nan=-1.0)
        known = self._faded.weight >= _LEAST_WEIGHT
        better = known & (score >= self._best) & ~self._alarmed & there.any(axis=(1, 2))
        if better.any() or not self._good:
            now = {k: v for k, v in devices.snapshot().items() if k.startswith(_VERSION)}
            if not self._good:
                self._good = {name: value.copy() for name, value in now.items()}
            for name, value in now.items():
                self._good[name][better] = value[better]
            self._best[better] = score[better]

    def _change(
        self, state: dict[str, NDArray[Any]], rows: NDArray[np.int64], over: NDArray[np.int64]
    ) -> None:
        """Change the state of devices that react, int64 [n], and of those whose reaction ends."""
        kind = self._arm.reaction
        if kind == "clear-memory":
            for name, empty in _EMPTY.items():
                state[name][rows] = empty
        elif kind == "reset-head":
            self._reset_head(state, rows)
        elif kind == "last-good":
            for name, value in self._good.items():
                state[name][rows] = value[rows]
            self._best[rows] = 0.0
            self._faded.weight[rows] = self._faded.total[rows] = 0.0
        else:
            for name in [name for name in state if name.endswith("/learning_rate")]:
                state[name][rows] = self._rate * self._arm.lasting("reaction_factor")
                state[name][over] = self._rate

    def _reset_head(self, state: dict[str, NDArray[Any]], rows: NDArray[np.int64]) -> None:
        """Give back the head that the base model had; its optimizer starts afresh."""
        patterns = self._prepared.parts.head
        head = [
            name
            for name in self._prepared.params
            if any(fnmatchcase(name, pattern) for pattern in patterns)
        ]
        for group in (PARAMETERS, "personal"):
            for name in head:
                key = prefix_of(group) + name
                if key in state:
                    state[key][rows] = self._prepared.params[name]
        start = prefix_of(SLOTS)
        for key in [key for key in state if key.startswith(start)]:
            if slot_of(key.removeprefix(start)) in head:
                state[key][rows] = 0.0

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Return the whole state, as named arrays [D, ...]."""
        devices = self._alarmed.size
        kept = {
            "alarmed": self._alarmed.copy(),
            "until": self._until.copy(),
            "best": self._best.copy(),
            "faded/total": self._faded.total.copy(),
            "faded/weight": self._faded.weight.copy(),
        }
        for name, value in self._good.items():
            kept[f"good/{name}"] = np.broadcast_to(value, (devices, *value.shape[1:])).copy()
        return {_PREFIX + name: value for name, value in kept.items()}

    def restore(self, snapshot: Arrays) -> None:
        """Become what a snapshot of the same devices holds."""
        own = {k.removeprefix(_PREFIX): v for k, v in snapshot.items() if k.startswith(_PREFIX)}
        self._alarmed, self._until = own["alarmed"].copy(), own["until"].copy()
        self._best = own["best"].copy()
        self._faded = Faded(own["faded/total"].copy(), own["faded/weight"].copy())
        self._good = {
            k.removeprefix("good/"): v.copy() for k, v in own.items() if k.startswith("good/")
        }


_VERSION = ("program/", "method/")
"""How the names of what makes up a version of a device begin."""

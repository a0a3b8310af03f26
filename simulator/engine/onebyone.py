"""A cohort of devices that are computed one after the other, each with its own program.

This is the reference engine, and the way in which the fleet engine runs foreign programs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients.device import Device
from clients.learner import Learner
from clients.methods import Arrays, Method
from clients.methods.groups import Groups
from clients.outcome import Outcome, Sent
from clients.wear import Exam, Habits, Wear

__all__ = ["OneByOne"]


class OneByOne:
    """The devices of a cohort, one after the other."""

    def __init__(
        self, wear: Wear, habits: Habits, programs: Sequence[Learner], method: Method
    ) -> None:
        """Give every device a fresh start.

        Args:
            wear: who wears the devices.
            habits: how the wearers answer and the devices learn.
            programs: one for each device.
            method: of the first round.
        """
        self._devices = [
            Device(wear.take([row]), habits, program, method)
            for row, program in enumerate(programs)
        ]

    def begin(
        self, method: Method, shared: Groups, downloads: NDArray[np.bool_], round_: int
    ) -> None:
        """Take in what the server sent; the optimizer starts afresh for it.

        Args:
            method: mixes the shared and the private arrays.
            shared: what the server sent, groups of arrays.
            downloads: bool [D], who receives it.
            round_: which begins, from 1.
        """
        for row in np.flatnonzero(downloads):
            self._devices[row].begin(method, shared, round_)

    def work(
        self,
        round_: int,
        learns: NDArray[np.bool_],
        method: Method,
        shared: Groups,
        until: NDArray[np.float64] | None = None,
    ) -> Outcome:
        """Work through the questions of one round.

        Args:
            round_: the round, from 1.
            learns: bool [D], whose answers lead to steps; those of others only fill the memory.
            method: says what a step is.
            shared: what the server sent to those who learn, if it did: groups of arrays.
            until: float64 [D], after which share of the round each stops to learn; None: none
                does.
        """
        ends = np.ones(len(self._devices)) if until is None else until
        return Outcome.joined(
            [
                device.work(
                    round_,
                    learns=bool(learns[row]),
                    method=method,
                    shared=shared,
                    until=float(ends[row]),
                )
                for row, device in enumerate(self._devices)
            ]
        )

    def updates(self, method: Method, shared: Groups, uploads: NDArray[np.bool_]) -> Iterator[Sent]:
        """Give what devices send to the server after a round, one by one."""
        for row in np.flatnonzero(uploads):
            yield self._devices[row].update(method, shared)._replace(rows=np.array([row]))

    def score_holdout(
        self, method: Method, shared: Groups | None, round_: int, exam: Exam
    ) -> NDArray[np.int64]:
        """Score the windows that are never learnt: int64 [D, K, K], rows are true classes.

        Args:
            method: takes in what the server sent.
            shared: what it would send now, groups of arrays; None scores the devices as they are.
            round_: after which, from 0.
            exam: which windows, and how they are measured.
        """
        return np.stack(
            [
                device.score_holdout(method, shared, round_, exam.take([row]))
                for row, device in enumerate(self._devices)
            ]
        )

    def state(
        self, method: Method, shared: Groups | None, row: int, round_: int
    ) -> dict[str, NDArray[Any]]:
        """Return all variables of a device's SavedModel, by their names in the checkpoint.

        Args:
            method: takes in what the server sent.
            shared: what it would send now, groups of arrays; None takes the device as it is.
            row: which device.
            round_: after which.
        """
        return self._devices[row].state(method, shared, round_)

    def allow(self, budget: NDArray[np.int64]) -> None:
        """Let each device, int64 [D], ask so many questions a round."""
        for device, own in zip(self._devices, budget, strict=True):
            device.allow(own)

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Return all that the devices are, as named arrays [D, ...]."""
        each = [device.snapshot() for device in self._devices]
        return {name: np.concatenate([one[name] for one in each]) for name in each[0]}

    def restore(self, snapshot: Arrays) -> None:
        """Become what a snapshot of the same devices holds."""
        for row, device in enumerate(self._devices):
            device.restore({name: value[row : row + 1] for name, value in snapshot.items()})

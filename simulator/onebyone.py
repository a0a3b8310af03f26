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
from clients.outcome import Outcome
from clients.wear import Habits, Wear

__all__ = ["OneByOne"]


class OneByOne:
    """The devices of a cohort, one after the other."""

    def __init__(self, wear: Wear, habits: Habits, programs: Sequence[Learner]) -> None:
        """Give every device a fresh start.

        Args:
            wear: who wears the devices.
            habits: how the wearers answer and the devices learn.
            programs: one for each device.
        """
        self._devices = [
            Device(wear.take([row]), habits, program) for row, program in enumerate(programs)
        ]

    def begin(self, method: Method, shared: Arrays, downloads: NDArray[np.bool_]) -> None:
        """Take in what the server sent; the optimizer starts afresh for it.

        Args:
            method: mixes the shared and the private arrays.
            shared: what the server sent.
            downloads: bool [D], who receives it.
        """
        for row in np.flatnonzero(downloads):
            self._devices[row].begin(method, shared)

    def work(self, round_: int, learns: NDArray[np.bool_]) -> Outcome:
        """Work through the questions of one round.

        Args:
            round_: the round, from 1.
            learns: bool [D], whose answers lead to steps; those of others only fill the memory.
        """
        return Outcome.joined(
            [
                device.work(round_, learns=bool(learns[row]))
                for row, device in enumerate(self._devices)
            ]
        )

    def updates(
        self, method: Method, uploads: NDArray[np.bool_]
    ) -> Iterator[tuple[NDArray[np.int64], Arrays]]:
        """Give what devices send to the server after a round: row [1], arrays [1, ...]."""
        for row in np.flatnonzero(uploads):
            arrays = self._devices[row].update(method)
            yield np.array([row]), {name: value[None] for name, value in arrays.items()}

    def score_holdout(self, method: Method, shared: Arrays | None) -> NDArray[np.int64]:
        """Score the windows that are never learnt: int64 [D, K, K], rows are true classes.

        Args:
            method: gives the model that answers the user from the shared and the private arrays.
            shared: the server's arrays; None scores the devices' own models.
        """
        return np.stack([device.score_holdout(method, shared) for device in self._devices])

    def state(self, method: Method, shared: Arrays | None, row: int) -> dict[str, NDArray[Any]]:
        """Return all variables of a device's SavedModel, by their names in the checkpoint.

        Args:
            method: gives the model that answers the user from the shared and the private arrays.
            shared: the server's arrays; None takes the device's own model.
            row: which device.
        """
        return self._devices[row].state(method, shared)

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Return all that the devices are, as named arrays [D, ...]."""
        each = [device.snapshot() for device in self._devices]
        return {name: np.concatenate([one[name] for one in each]) for name in each[0]}

"""Updates on their way to the server, for arms that do not wait for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients.methods import Arrays
from clients.outcome import Update

__all__ = ["Flights"]


@dataclass(frozen=True, slots=True, eq=False)
class _Flight:
    """One update on its way; it carries by how much the device changed what it had received."""

    arrives: float
    shuffled: float
    device: int
    update: Update


class Flights:
    """Updates on their way, each until the round in which it arrives."""

    def __init__(self) -> None:
        self._flights: list[_Flight] = []

    def start(
        self,
        round_: int,
        updates: Mapping[int, Update],
        received: Arrays,
        version: int,
    ) -> None:
        """Let updates start at the beginning of a round.

        Args:
            round_: the round, from 1; it lasts from round_ - 1 to round_.
            updates: by device; each tells how many `rounds` it takes, and what share of a round
                it is `shuffled` behind others.
            received: what the devices began from.
            version: of that, on the server.
        """
        for device, update in updates.items():
            change = {name: value - received[name] for name, value in update.arrays.items()}
            told = update.told
            flying = replace(update, arrays=change, told={"version": version})
            arrives = round_ - 1 + told["rounds"]
            self._flights.append(_Flight(arrives, told["shuffled"], device, flying))

    def land(self, round_: int) -> dict[int, Update]:
        """Take out the updates that arrive until the end of a round, in order of arrival."""
        due = [flight for flight in self._flights if flight.arrives <= round_]
        self._flights = [flight for flight in self._flights if flight.arrives > round_]
        ordered = sorted(due, key=lambda one: (one.arrives + one.shuffled, one.device))
        return {flight.device: flight.update for flight in ordered}

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Return all that is on its way, as named arrays."""
        kept: dict[str, NDArray[Any]] = {}
        for flight in self._flights:
            update = flight.update
            facts = [flight.arrives, flight.shuffled]
            facts += [update.examples, update.loss, update.told["version"]]
            kept[f"{flight.device}/facts"] = np.array(facts)
            kept |= {f"{flight.device}/arrays/{n}": v for n, v in update.arrays.items()}
        return kept

    def restore(self, snapshot: Arrays) -> None:
        """Become what a snapshot holds."""
        self._flights = [
            self._flight(snapshot, int(key.split("/")[0]))
            for key in snapshot
            if key.endswith("/facts")
        ]

    @staticmethod
    def _flight(snapshot: Arrays, device: int) -> _Flight:
        arrives, shuffled, examples, loss, version = snapshot[f"{device}/facts"].tolist()
        prefix = f"{device}/arrays/"
        arrays = {k.removeprefix(prefix): v for k, v in snapshot.items() if k.startswith(prefix)}
        told = {"version": int(version)}
        return _Flight(arrives, shuffled, device, Update(arrays, int(examples), loss, told))

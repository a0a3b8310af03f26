"""What befalls devices in a round: drawn for each of them, chosen or not, and alike in all arms."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clients import chance
from simulator.scenario.fault_table import CORRUPTIONS, Faults
from simulator.scenario.trace import read_trace

__all__ = ["Fate", "Outages", "fate_of", "trace_of"]

_NONE = -1


@dataclass(frozen=True, slots=True, eq=False)
class Fate:
    """What befalls D devices in one round, if they take part in it.

    Attributes:
        until: float64 [D], after which share of its questions a device drops out; 1 for one that
            does not, 0 for one that does before it begins.
        lost: bool [D], whose update never arrives.
        duplicated: bool [D], whose update arrives twice.
        late_rounds: int64 [D], rounds by which an update is held up.
        shuffled: float64 [D] in [0, 1), share of a round by which an update is overtaken; 0 where
            it is not.
        corruption: int64 [D], what happens to the update on its way, an index into CORRUPTIONS, or
            -1.
    """

    until: NDArray[np.float64]
    lost: NDArray[np.bool_]
    duplicated: NDArray[np.bool_]
    late_rounds: NDArray[np.int64]
    shuffled: NDArray[np.float64]
    corruption: NDArray[np.int64]


def fate_of(faults: Faults, seed: int, devices: NDArray[np.int64], round_: int) -> Fate:
    """Draw what befalls devices, int64 [D], in a round from 1."""
    draws = chance.uniforms(seed, "fate", round_, devices, 12).T
    drops = draws[0] < faults.dropout
    before = {"before": True, "middle": False}.get(faults.dropout_when, draws[1] < 0.5)
    until = np.where(drops, np.where(before, 0.0, draws[2]), 1.0)
    late = np.ceil(draws[6] * faults.late_rounds).clip(1).astype(np.int64)
    kinds = np.array([CORRUPTIONS.index(kind) for kind in faults.corruptions])
    which = kinds[(draws[8] * kinds.size).astype(np.int64)]
    return Fate(
        until=until,
        lost=draws[3] < faults.lost,
        duplicated=draws[4] < faults.duplicated,
        late_rounds=np.where(draws[5] < faults.late, late, 0),
        shuffled=np.where(draws[9] < faults.reordered, draws[10], 0.0),
        corruption=np.where(draws[7] < faults.corrupted, which, _NONE),
    )


class Outages:
    """Which of some devices can be reached, round after round.

    By a trace, or by chance: each round by itself, or as a Markov chain of two states. An outage
    ends with a probability that its mean length decides; as many begin as end.
    """

    def __init__(
        self,
        faults: Faults,
        seed: int,
        devices: NDArray[np.int64],
        trace: NDArray[np.bool_] | None = None,
    ) -> None:
        """Begin before the first round.

        Args:
            faults: of the scenario.
            seed: of the scenario.
            devices: int64 [D].
            trace: bool [devices of the run, rounds], where a trace says who can be reached.
        """
        self._faults, self._seed, self._devices, self._trace = faults, seed, devices, trace
        self._round, self._state = 0, np.ones(devices.size, np.bool_)

    def reachable(self, round_: int) -> NDArray[np.bool_]:
        """Tell which devices can be reached in a round from 1: bool [D]."""
        faults = self._faults
        if self._trace is not None:
            return np.asarray(self._trace[self._devices, round_ - 1])
        if faults.availability >= 1.0:
            return np.ones(self._devices.size, np.bool_)
        if faults.outage_rounds == "independent":
            return np.asarray(self._drawn(round_)[0] < faults.availability)
        if round_ < self._round:  # a chain is only followed forwards
            self._round = 0
        for each in range(self._round + 1, round_ + 1):
            self._step(each, 1.0 / faults.outage_rounds)
        self._round = round_
        return self._state.copy()

    def _step(self, round_: int, ends: float) -> None:
        """Take one step of the chain, in which each outage ends with some probability."""
        draws, share = self._drawn(round_), self._faults.availability
        begins = ends * (1.0 - share) / share
        later = np.where(self._state, draws[1] >= begins, draws[1] < ends)
        self._state = draws[0] < share if round_ == 1 else later

    def _drawn(self, round_: int) -> NDArray[np.float64]:
        return chance.uniforms(self._seed, "available", round_, self._devices, 2).T


def trace_of(faults: Faults, names: list[str], rounds: int) -> NDArray[np.bool_] | None:
    """Read the scenario's trace, if it has one: bool [devices of the run, rounds]."""
    return read_trace(Path(faults.trace), names, rounds) if faults.trace else None

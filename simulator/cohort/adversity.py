"""What goes wrong with the devices of a cohort, round by round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients.outcome import Outcome
from clients.wear import Wear
from simulator.cohort.accounts import FATES, Accounts, Underway
from simulator.cohort.journey import REASONS, Journey
from simulator.cohort.reply import Reply
from simulator.faults.battery import Batteries
from simulator.faults.fate import Fate, Outages, fate_of
from simulator.faults.latency import paces_of
from simulator.folder.event import Event
from simulator.plan.plan import Plan

__all__ = ["WHEN_DROPPED", "Adversity", "Befallen"]

WHEN_DROPPED = ("before", "middle")
"""When devices drop out: before they begin a round, or in the middle of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Befallen:
    """What befell D devices in a round.

    Attributes:
        reachable: bool [D], who could be reached.
        hostile: bool [D], who means harm.
        sent: int64 [D], updates that they sent in this round, duplicates included.
        updates: int64 [D, 3], updates of theirs that were accepted, refused and lost in this round.
        took_s: float64 [D], simulated seconds that an update of this round took, or would have
            taken, to be with the server; NaN without one.
        battery: float64 [D], share that is left, NaN where batteries do not matter.
    """

    reachable: NDArray[np.bool_]
    hostile: NDArray[np.bool_]
    sent: NDArray[np.int64]
    updates: NDArray[np.int64]
    took_s: NDArray[np.float64]
    battery: NDArray[np.float64]

    @classmethod
    def nothing(cls, devices: int) -> Befallen:
        """Return that nothing befell so many devices."""
        return cls(
            np.ones(devices, np.bool_),
            np.zeros(devices, np.bool_),
            np.zeros(devices, np.int64),
            np.zeros((devices, len(FATES)), np.int64),
            np.full(devices, np.nan),
            np.full(devices, np.nan),
        )


class Adversity:
    """What goes wrong with the D devices of one cohort in one arm."""

    def __init__(self, plan: Plan, wear: Wear) -> None:
        """Begin before the first round."""
        self._plan, self._wear = plan, wear
        faults, seed = plan.scenario.faults, plan.scenario.seed
        self._faults, self._seed = faults, seed
        self._outages = Outages(faults, seed, wear.devices, plan.trace)
        self._paces = paces_of(faults, seed, wear.devices)
        self._underway = Underway()
        self._batteries = Batteries(faults, seed, wear.devices) if faults.battery else None

    def before(self) -> Befallen:
        """Return what has befallen the devices before the first round."""
        nothing, hostile = Befallen.nothing(len(self._wear)), self._wear.hostile
        return nothing if hostile is None else replace(nothing, hostile=hostile.rows)

    @property
    def ready(self) -> NDArray[np.bool_]:
        """Tell which devices have enough battery left to take part: bool [D]."""
        if self._batteries is None:
            return np.ones(len(self._wear), np.bool_)
        return self._batteries.ready

    def reachable(self, round_: int) -> NDArray[np.bool_]:
        """Tell which devices can be reached in a round, and have battery left: bool [D]."""
        return self._outages.reachable(round_) & self.ready

    def fate(self, round_: int) -> Fate:
        """Return what befalls the devices that take part in a round."""
        return fate_of(self._faults, self._seed, self._wear.devices, round_)

    def journey(
        self, round_: int, fate: Fate, bytes_down: NDArray[np.int64], *, waits: bool
    ) -> Journey:
        """Return what the updates of a round meet on their way."""
        return Journey(
            faults=self._faults,
            seed=self._seed,
            round_=round_,
            rounds=self._plan.rounds,
            waits=waits,
            devices=self._wear.devices,
            fate=fate,
            paces=self._paces,
            hostile=self._wear.hostile,
            bytes_down=bytes_down,
        )

    def settle(
        self,
        round_: int,
        joins: NDArray[np.bool_],
        uploads: NDArray[np.bool_],
        fate: Fate,
        outcome: Outcome,
        bytes_moved: NDArray[np.int64],
        reply: Reply | None,
    ) -> tuple[Befallen, list[Event]]:
        """Close a round's accounts, and tell what befell whom.

        Args:
            round_: from 1.
            joins: bool [D], whom the server chose to send it an update.
            uploads: bool [D], who of them did.
            fate: what befell who took part.
            outcome: of the round.
            bytes_moved: int64 [D], that each downloaded and sent.
            reply: of the cohort, None where nobody sent anything.
        """
        closed = self._underway.close(round_, Accounts.empty() if reply is None else reply.accounts)
        if self._batteries is not None:
            self._batteries.spend(round_, outcome.gradients, bytes_moved)
        nothing = self.before()
        befallen = replace(
            nothing,
            reachable=self._outages.reachable(round_),
            sent=uploads * (1 + fate.duplicated.astype(np.int64)),
            updates=closed.counted(len(self._wear)),
            took_s=nothing.took_s if reply is None else reply.took_s,
            battery=nothing.battery if self._batteries is None else self._batteries.level,
        )
        return befallen, _dropouts(joins, fate) + _told(closed)

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Return what goes on from round to round, as named arrays."""
        own = {} if self._batteries is None else self._batteries.snapshot()
        return own | self._underway.snapshot()

    def restore(self, snapshot: Mapping[str, NDArray[Any]]) -> None:
        """Become what a snapshot holds."""
        self._underway.restore(snapshot)
        if self._batteries is not None:
            self._batteries.restore(snapshot)


def _dropouts(joins: NDArray[np.bool_], fate: Fate) -> list[Event]:
    """Tell who dropped out."""
    return [
        Event(row, "dropped-out", WHEN_DROPPED[int(fate.until[row] > 0.0)])
        for row in np.flatnonzero(joins & (fate.until < 1.0)).tolist()
    ]


def _told(closed: Accounts) -> list[Event]:
    """Tell which updates were refused or lost, and why."""
    accepted = FATES.index("accepted")
    told = closed.take(np.flatnonzero(closed.fate != accepted))
    facts = zip(
        told.row.tolist(), told.fate.tolist(), told.reason.tolist(), told.norm.tolist(), strict=True
    )
    return [Event(row, FATES[fate], REASONS[why], norm=norm) for row, fate, why, norm in facts]

"""The way of updates to the server: who alters them, what befalls them, when they come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clients import chance
from clients.hostile import Hostile
from clients.methods import Arrays
from clients.outcome import Outcome
from server.guard import REFUSALS, Checked, check, check_message
from simulator.cohort.accounts import FATES, Accounts
from simulator.faults.corruption import IN_FORM, Message, corrupted
from simulator.faults.fate import Fate
from simulator.faults.latency import Paces
from simulator.scenario.fault_table import CORRUPTIONS, Faults

__all__ = ["LOSSES", "REASONS", "Arrived", "Journey"]

LOSSES = ("network", "late", "deadline", "run-over")
"""Why updates are lost: never arrived, held up, too slow, or still on their way at the end."""

REASONS = (*REFUSALS, *LOSSES)
"""Why updates are refused or lost."""

_ACCEPTED, _REFUSED, _LOST = range(len(FATES))
_NO_REASON = -1


class Arrived(NamedTuple):
    """What came of n updates on their way.

    Attributes:
        arrays: what arrived, [n, ...]; the rows of those that did not, or in another form, are
            as they were sent.
        checked: what the guard says of them.
        counts: bool [n], which are with the server and good.
        came: bool [n], which are with the server.
        rounds: float64 [n], how long each took, in rounds.
        accounts: of them and their duplicates.
    """

    arrays: Arrays
    checked: Checked
    counts: NDArray[np.bool_]
    came: NDArray[np.bool_]
    rounds: NDArray[np.float64]
    accounts: Accounts


@dataclass(frozen=True, slots=True, eq=False)
class Journey:
    """What the updates of a cohort's D devices meet in one round.

    Attributes:
        faults: of the scenario.
        seed: of the scenario.
        round_: from 1.
        rounds: of the run.
        waits: whether the server waits for a round's updates, and for no others; else each counts
            when it arrives.
        devices: int64 [D], their numbers in the fleet.
        fate: what befalls them.
        paces: how fast they are.
        hostile: who of them means harm, None where nobody does.
        bytes_down: int64 [D], that each downloaded.
    """

    faults: Faults
    seed: int
    round_: int
    rounds: int
    waits: bool
    devices: NDArray[np.int64]
    fate: Fate
    paces: Paces
    hostile: Hostile | None
    bytes_down: NDArray[np.int64]

    def means_harm(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which of some devices, int64 [n], mean harm: bool [n]."""
        if self.hostile is None:
            return np.zeros(rows.size, np.bool_)
        return self.hostile.rows[rows]

    def took_s(self, outcome: Outcome, bytes_up: int) -> NDArray[np.float64]:
        """Return how long an update of each device takes, simulated seconds: float64 [D]."""
        return self.paces.took_s(outcome.gradients, self.bytes_down + bytes_up)

    def travel(
        self,
        begun: Arrays,
        arrays: Arrays,
        rows: NDArray[np.int64],
        took_s: NDArray[np.float64],
        bound: float | None,
    ) -> Arrived:
        """Let updates that began from the same arrays travel, and check what arrives.

        Args:
            begun: what the devices began from.
            arrays: what they learnt, [n, ...].
            rows: int64 [n], which of the D devices they are.
            took_s: float64 [n], how long each takes, in seconds, unless it is held up.
            bound: largest norm that is accepted, None for any finite one.
        """
        if self.hostile is not None:
            arrays = self.hostile.falsified(begun, arrays, rows)
        rounds = took_s / self.faults.round_s + self.fate.late_rounds[rows]
        arrives, losses = self._arrivals(rows, took_s, rounds)
        arrays, messages = self._corrupted(begun, arrays, rows, losses == _NO_REASON)
        checked = check(begun, arrays, bound)
        reasons, kinds, norms = list(checked.reasons), list(checked.kinds), checked.norms.copy()
        for place, message in messages:
            alone = check_message(begun, message, bound)
            reasons[place], kinds[place], norms[place] = (
                alone.reasons[0],
                alone.kinds[0],
                alone.norms[0],
            )
        checked = Checked(norms, tuple(reasons), tuple(kinds))
        came = losses == _NO_REASON
        accounts = self._accounts(rows, checked, losses, arrives)
        return Arrived(arrays, checked, came & checked.accepted, came, rounds, accounts)

    def _arrivals(
        self,
        rows: NDArray[np.int64],
        took_s: NDArray[np.float64],
        rounds: NDArray[np.float64],
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return in which round each arrives, int64 [n], and why it is lost, or -1."""
        fate, faults = self.fate, self.faults
        lost = np.full(rows.size, _NO_REASON)
        arrives = np.full(rows.size, self.round_)
        if self.waits:
            if faults.deadline_s != "none":
                lost[took_s > faults.deadline_s] = REASONS.index("deadline")
            lost[fate.late_rounds[rows] > 0] = REASONS.index("late")
        else:
            ends = np.minimum(self.round_ - 1 + rounds, self.rounds + 1)  # as it may be huge
            arrives = np.maximum(arrives, np.ceil(ends).astype(np.int64))
            lost[arrives > self.rounds] = REASONS.index("run-over")
            arrives = np.minimum(arrives, self.rounds)
        gone = fate.lost[rows]
        lost[gone] = REASONS.index("network")
        return np.where(gone, self.round_, arrives), lost

    def _corrupted(
        self, begun: Arrays, arrays: Arrays, rows: NDArray[np.int64], came: NDArray[np.bool_]
    ) -> tuple[Arrays, list[tuple[int, Message]]]:
        """Return what arrives: arrays [n, ...], and by their places those in another form."""
        hit = np.flatnonzero(came & (self.fate.corruption[rows] >= 0))
        if not hit.size:
            return arrays, []
        copies = {name: np.array(value) for name, value in arrays.items()}
        apart = []
        for place, kind, random in self._hits(hit, rows):
            one = {name: value[place] for name, value in arrays.items()}
            message = corrupted(kind, begun, one, random)
            if kind in IN_FORM:
                for name, value in message.items():
                    copies[name][place] = value
            else:
                apart.append((place, message))
        return copies, apart

    def _hits(
        self, hit: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> Iterator[tuple[int, str, np.random.Generator]]:
        for place in hit.tolist():
            device = int(self.devices[rows[place]])
            random = chance.generator(self.seed, "corruption", self.round_, device)
            yield place, CORRUPTIONS[self.fate.corruption[rows[place]]], random

    def _accounts(
        self,
        rows: NDArray[np.int64],
        checked: Checked,
        losses: NDArray[np.int64],
        arrives: NDArray[np.int64],
    ) -> Accounts:
        """Return what becomes of each update, and of its duplicate, if there is one."""
        refused = np.array([REASONS.index(k) if k else _NO_REASON for k in checked.kinds], np.int64)
        lost = losses != _NO_REASON
        reason = np.where(lost, losses, refused)
        fate = np.where(lost, _LOST, np.where(refused != _NO_REASON, _REFUSED, _ACCEPTED))
        norm = np.where(lost, np.nan, checked.norms)
        first = Accounts(rows, fate, reason, norm, arrives)
        again = first.take(self.fate.duplicated[rows])
        theirs = again.fate == _LOST
        second = Accounts(
            again.row,
            np.where(theirs, _LOST, _REFUSED),
            np.where(theirs, again.reason, REASONS.index("duplicate")),
            again.norm,
            again.round_,
        )
        return Accounts.joined(first, second)

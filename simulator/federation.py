"""One arm in one fold: who takes part in a round, and what the server makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord
from numpy.typing import NDArray

from clients import chance
from clients.messages import pack, unpack
from clients.methods import Arrays
from clients.outcome import Update
from server.guard import Guard
from server.strategies import STRATEGIES
from simulator.arms import method_in_round
from simulator.fleet import Fleet
from simulator.grid import EVERYBODY, FleetGrid
from simulator.plan import Plan
from simulator.prepared import Prepared
from simulator.reply import joined
from simulator.scenario import Arm

__all__ = ["Server", "Session"]

_NOBODY = np.zeros(0, np.int64)


@dataclass(slots=True)
class Session:
    """One arm in one fold while it runs."""

    arm: Arm
    fold: int
    shared: Arrays = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    done: int = -1


class Server:
    """The server of one arm in one fold, where the arm has one."""

    def __init__(self, plan: Plan, session: Session, prepared: Prepared, fleet: Fleet) -> None:
        self._plan, self._session, self._prepared, self._fleet = plan, session, prepared, fleet
        self._round, self._participants = 0, _NOBODY
        half = STRATEGIES.get(session.arm.method)
        self._strategy = half.strategy() if half else None
        self._folds = half is not None and half.folds
        bound = plan.scenario.guard.max_norm
        self._guard = Guard(None if bound == "off" else float(bound))
        self._grid = FleetGrid(self._work)
        if self._strategy is not None:
            method = method_in_round(session.arm, 1, prepared.head)
            self._session.shared = method.end(prepared.params)[0]

    def round(self, round_: int) -> Arrays | None:
        """Run one round; returns the shared arrays where the devices are scored with them."""
        self._round, session = round_, self._session
        method = method_in_round(session.arm, round_, self._prepared.head)
        if self._strategy is None or not method.uploads:
            sent = session.shared if method.downloads == "all" else None
            self._fleet.work(round_, _NOBODY, sent, None, self._folds)
            return None
        self._participants = self._choose(round_)
        self._grid.addressed = self._nodes()
        messages = (
            self._strategy.configure_train(round_, pack(session.shared), ConfigRecord(), self._grid)
            if self._participants.size
            else []
        )
        replies = list(self._grid.send_and_receive(messages))
        arrays, _ = self._strategy.aggregate_train(round_, replies) if replies else (None, None)
        if isinstance(arrays, ArrayRecord):
            session.shared = unpack(arrays)
        return session.shared

    def _choose(self, round_: int) -> NDArray[np.int64]:
        """Choose the participants among the devices whose stream goes on, seeded: int64 [n]."""
        plan, arm = self._plan, self._session.arm
        devices = plan.folds[self._session.fold].devices
        draws = chance.uniforms(plan.scenario.seed, "participants", round_, devices, 1)[:, 0]
        ranked = devices[np.argsort(draws, kind="stable")]
        ranked = ranked[plan.goes_on(ranked, round_)]
        share = 1.0 if arm.participation is None else arm.participation
        return np.sort(ranked[: max(1, round(share * len(ranked)))])

    def _nodes(self) -> list[int]:
        """Return whom the strategy sends to: the participants, or one node for all if they fold."""
        return [EVERYBODY] if self._folds else [int(device) for device in self._participants]

    def _work(self, shared: Arrays) -> Mapping[int, Update]:
        """Run one round of all devices; returns updates by node, and remembers the refusals."""
        replies = self._fleet.work(
            self._round, self._participants, shared, self._guard.bound, self._folds
        )
        updates: dict[int, Update] = {}
        for reply in replies:
            for device, reason in sorted(reply.refused.items()):
                self._refused(device, reason)
            updates |= reply.singles
        folded = joined(replies)
        if folded is not None:
            updates[EVERYBODY] = folded
        if replies:
            self._guard.rebound(
                np.concatenate([reply.norms for reply in replies]),
                np.concatenate([reply.accepted for reply in replies]),
            )
        return updates

    def _refused(self, device: int, reason: str) -> None:
        self._session.events.append(
            {
                "arm": self._session.arm.name,
                "fold": self._session.fold,
                "round": self._round,
                "device": self._plan.name_of(device),
                "kind": "refused",
                "reason": reason,
            }
        )

"""One arm in one fold: who takes part in a round, and what the server makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord

from clients import chance
from clients.messages import pack, unpack
from clients.methods import Arrays
from server.guard import Guard
from server.strategies import STRATEGIES
from simulator.arms import method_in_round
from simulator.fleet import Fleet
from simulator.grid import FleetGrid
from simulator.plan import Plan, Prepared
from simulator.scenario import Arm

__all__ = ["Server", "Session"]


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
        self._round = 0
        make = STRATEGIES.get(session.arm.method)
        self._strategy = make() if make else None
        bound = plan.scenario.guard.max_norm
        self._grid = FleetGrid(
            self._work, Guard(None if bound == "off" else float(bound)), self._refused
        )
        if self._strategy is not None:
            method = method_in_round(session.arm, 1, prepared.head)
            self._session.shared = method.end(prepared.params)[0]

    def round(self, round_: int) -> Arrays | None:
        """Run one round; returns the shared arrays where the devices are scored with them."""
        self._round = round_
        arm, session = self._session.arm, self._session
        method = method_in_round(arm, round_, self._prepared.head)
        if self._strategy is None or not method.uploads:
            self._fleet.work(round_, (), session.shared if method.downloads == "all" else None)
            return None
        self._grid.participants = self._choose(round_)
        messages = (
            self._strategy.configure_train(round_, pack(session.shared), ConfigRecord(), self._grid)
            if self._grid.participants
            else []
        )
        replies = list(self._grid.send_and_receive(messages))
        arrays, _ = self._strategy.aggregate_train(round_, replies) if replies else (None, None)
        if isinstance(arrays, ArrayRecord):
            session.shared = unpack(arrays)
        return session.shared

    def _choose(self, round_: int) -> list[int]:
        """Choose the participants among the devices whose stream goes on, seeded."""
        plan, arm = self._plan, self._session.arm
        devices = plan.folds[self._session.fold].devices
        per_round = plan.scenario.stream.questions_per_round
        draws = chance.uniforms(plan.scenario.seed, "participants", round_, devices, 1)[:, 0]
        wearing = [
            bool(plan.wears[device].stream.questions(round_, per_round)) for device in devices
        ]
        ranked = [devices[i] for i in np.argsort(draws, kind="stable") if wearing[i]]
        share = 1.0 if arm.participation is None else arm.participation
        return sorted(ranked[: max(1, round(share * len(ranked)))])

    def _work(self, participants: Sequence[int], shared: Arrays) -> Any:
        return self._fleet.work(self._round, participants, shared)

    def _refused(self, device: int, reason: str) -> None:
        self._session.events.append(
            {
                "arm": self._session.arm.name,
                "fold": self._session.fold,
                "round": self._round,
                "device": self._plan.wears[device].name,
                "kind": "refused",
                "reason": reason,
            }
        )

"""One arm in one fold: who takes part in a round, and what the server makes of it."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord
from numpy.typing import NDArray

from clients import chance
from clients.messages import pack, unpack
from clients.methods import Arrays, Method
from clients.methods.groups import flat
from clients.outcome import Update
from server.guard import Guard
from server.strategies import STRATEGIES
from server.strategies.buffered import BufferedFedAvg
from server.strategies.kept import restore, state
from server.strategies.private import PrivateFedAvg
from server.strategies.remembering import RememberingFedAvg
from simulator.arms import keys_of, method_in_round
from simulator.fleet import Fleet
from simulator.flight import Flights
from simulator.grid import FleetGrid
from simulator.participants import choose, duration_rounds
from simulator.plan import Plan
from simulator.prepared import Prepared
from simulator.reply import Reply, Terms, joined
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
        arm, fold = session.arm, plan.folds[session.fold]
        self._half = STRATEGIES.get(arm.method)
        self._strategy = None
        self._grid = FleetGrid(self._work)  # it silences what strategies say of themselves
        if self._half is not None:
            options = {
                **keys_of(plan.scenario, arm),
                "devices": fold.devices.size,
                "seed": chance.key(plan.scenario.seed, f"noise-{fold.index}"),
            }
            self._strategy = self._half.strategy(options)
            gc.freeze()  # some of Flower's strategies collect garbage for every single reply
        if self._half is not None or arm.method == "pooled":
            session.shared = flat(self._method(1).offer(prepared.params))
        bound = plan.scenario.guard.max_norm
        private = isinstance(self._strategy, PrivateFedAvg)  # a bound would tell of the others
        self._guard = Guard(None if bound == "off" or private else float(bound))
        self._flights = Flights()
        self._losses = np.full(plan.devices, np.nan)

    def round(self, round_: int) -> Arrays | None:
        """Run one round; returns the shared arrays where the devices are scored with them."""
        self._round, session = round_, self._session
        method = self._method(round_)
        if self._strategy is None or not method.uploads:
            sent = session.shared if method.downloads == "all" else None
            self._fleet.work(round_, _NOBODY, sent, Terms())
            if session.arm.method != "pooled":
                return None
            session.shared = self._fleet.pool(round_)
            return session.shared
        arm, busy = session.arm, self._flights.busy(self._plan.devices)
        self._participants = choose(self._plan, arm, session.fold, round_, self._losses, busy)
        self._grid.addressed = self._nodes(method)
        # What a private arm releases must not tell that nobody took part.
        private = isinstance(self._strategy, PrivateFedAvg)
        messages = (
            self._strategy.configure_train(round_, pack(session.shared), ConfigRecord(), self._grid)
            if self._participants.size or private
            else []
        )
        replies = list(self._grid.send_and_receive(messages))
        if isinstance(self._strategy, RememberingFedAvg):
            self._strategy.sent = dict(session.shared)  # nobody may have been addressed
        if replies or private:
            arrays, _ = self._strategy.aggregate_train(round_, replies)
            if isinstance(arrays, ArrayRecord):
                # Some of Flower's strategies compute with, and return, float64.
                session.shared = {
                    name: np.asarray(value, session.shared[name].dtype)
                    for name, value in unpack(arrays).items()
                }
            else:
                told = f"{len(replies)} updates are too few for method {session.arm.method}"
                self._tell("not-aggregated", "", told)
        return session.shared

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Return all that the server is, as named arrays."""
        kept = {f"shared/{name}": value for name, value in self._session.shared.items()}
        if self._half is None or self._strategy is None:
            return kept
        bound = self._guard.bound
        kept["losses"] = self._losses
        kept["bound"] = np.array([np.nan if bound is None else bound])
        strategy = state(self._strategy, self._half.keeps)
        kept |= {f"strategy/{name}": value for name, value in strategy.items()}
        return kept | {f"flights/{name}": v for name, v in self._flights.snapshot().items()}

    def restore(self, snapshot: Arrays) -> None:
        """Become what a snapshot of the same arm and fold holds."""

        def under(start: str) -> dict[str, NDArray[Any]]:
            return {k.removeprefix(start): v for k, v in snapshot.items() if k.startswith(start)}

        shared = under("shared/")
        # In its own order, by which some of Flower's strategies go; a file has another one.
        self._session.shared = {name: shared[name] for name in self._session.shared}
        if self._half is None or self._strategy is None:
            return
        self._losses = snapshot["losses"].copy()
        bound = float(snapshot["bound"][0])
        self._guard.bound = None if np.isnan(bound) else bound
        restore(self._strategy, self._half.keeps, under("strategy/"))
        self._flights.restore(under("flights/"))

    def _method(self, round_: int) -> Method:
        return method_in_round(self._session.arm, round_, self._prepared.parts)

    def _nodes(self, method: Method) -> list[int]:
        """Return whom the strategy sends to: the participants, or a node for all who fold."""
        if self._half is not None and self._half.folds == "none":
            return [int(device) for device in self._participants]
        return list(range(max(1, method.clusters)))

    def _terms(self) -> Terms:
        if self._half is None:
            return Terms()
        terms = Terms(self._half.folds, self._half.weighs, self._guard.bound)
        if isinstance(self._strategy, PrivateFedAvg):
            terms = replace(terms, clip=self._strategy.clip)
        return terms

    def _work(self, shared: Arrays) -> Mapping[int, Update]:
        """Run one round of all devices; returns updates by node, in the order of their arrival."""
        terms = self._terms()
        replies = self._fleet.work(self._round, self._participants, shared, terms)
        for reply in replies:
            self._losses[reply.devices] = reply.losses
            for device, reason in sorted(reply.refused.items()):
                self._tell("refused", self._plan.name_of(device), reason)
        if replies:
            self._guard.rebound(
                np.concatenate([reply.norms for reply in replies]),
                np.concatenate([reply.accepted for reply in replies]),
            )
        updates = {device: one for reply in replies for device, one in reply.singles.items()}
        if terms.folds != "none":
            updates = {
                cluster: replace(mean, told=self._told(cluster, replies, terms))
                for cluster, mean in joined(replies).items()
            }
        updates = dict(sorted(updates.items()))
        if isinstance(self._strategy, BufferedFedAvg):
            durations = duration_rounds(self._plan, np.array(list(updates), np.int64)).tolist()
            takes = dict(zip(updates, durations, strict=True))
            self._flights.start(self._round, updates, shared, self._strategy.version, takes)
            return self._flights.land(self._round)
        return updates

    def _told(self, cluster: int, replies: list[Reply], terms: Terms) -> dict[str, float]:
        """Return what the strategy needs to know of a mean beside it."""
        if terms.folds == "cluster":
            return {"cluster": cluster}
        if terms.clip is None:
            return {}
        return {"within": sum(int((r.norms[r.accepted] <= terms.clip).sum()) for r in replies)}

    def _tell(self, kind: str, device: str, reason: str) -> None:
        """Note what happened in the simulation; what befell no one device names none."""
        self._session.events.append(
            {
                "arm": self._session.arm.name,
                "fold": self._session.fold,
                "round": self._round,
                "device": device,
                "kind": kind,
                "reason": reason,
            }
        )

"""One arm in one fold: who takes part in a round, and what the server makes of it."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, Message
from numpy.typing import NDArray

from clients.messages import unpack
from clients.methods import Arrays, Method
from clients.methods.groups import flat
from clients.outcome import Update
from server.guard import Guard
from server.strategies.buffered import BufferedFedAvg
from server.strategies.kept import restore, state
from server.strategies.private import PrivateFedAvg
from server.strategies.remembering import RememberingFedAvg
from simulator.base.arms import method_in_round
from simulator.base.prepared import Prepared
from simulator.cohort.reply import Reply, Terms, joined
from simulator.faults.fate import Outages
from simulator.plan.participants import choose
from simulator.plan.plan import Plan
from simulator.running.fleet import Fleet
from simulator.running.flight import Flights
from simulator.running.grid import FleetGrid
from simulator.running.server_half import aggregate_of, half_on_server, messages_of, options_of
from simulator.scenario.scenario import Arm

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
        self._sent = self._good = self._needed = 0  # updates of this round
        arm, fold = session.arm, plan.folds[session.fold]
        self._half = half_on_server(arm.method)
        self._strategy = None
        self._grid = FleetGrid(self._work)  # it silences what strategies say of themselves
        if self._half is not None:
            options = options_of(plan, arm, fold)
            self._strategy = self._half.strategy(options)
            least = max(plan.scenario.guard.least_updates, self._half.least(options))
            # A buffer has a size of its own; a round without any good update is told all the same.
            self._needed = 1 if isinstance(self._strategy, BufferedFedAvg) else least
            gc.freeze()  # some of Flower's strategies collect garbage for every single reply
        if self._half is not None or arm.method == "pooled":
            session.shared = flat(self._method(1).offer(prepared.params))
        bound = plan.scenario.guard.max_norm
        private = isinstance(self._strategy, PrivateFedAvg)  # a bound would tell of the others
        max_norm = None if bound == "off" or private else float(bound)
        self._guard = Guard(max_norm, session.shared)
        self._flights = Flights()
        self._losses = np.full(plan.devices, np.nan)
        faults, seed = plan.scenario.faults, plan.scenario.seed
        self._outages = Outages(faults, seed, fold.devices, plan.trace)
        self._flat = np.zeros(plan.devices, np.bool_)
        self._until = np.zeros(plan.devices)  # rounds; whose update is on its way, good or not

    def round(self, round_: int) -> Arrays | None:
        """Run one round; returns the shared arrays where the devices are scored with them."""
        self._round, session = round_, self._session
        method = self._method(round_)
        if self._strategy is None or not method.uploads:
            sent = session.shared if method.downloads in ("all", "once") else None
            self._fleet.work(round_, _NOBODY, sent, Terms())
            if session.arm.method != "pooled":
                return None
            session.shared = self._fleet.pool(round_)
            return session.shared
        self._participants = choose(
            self._plan, session.arm, session.fold, round_, self._losses, self._free(round_)
        )
        self._grid.addressed = self._nodes(method)
        # What a private arm releases must not tell that nobody took part.
        private = isinstance(self._strategy, PrivateFedAvg)
        messages: list[Message] = []
        if self._participants.size or private:
            messages = messages_of(
                session.arm.method, self._strategy, round_, session.shared, self._grid
            )
        replies = list(self._grid.send_and_receive(messages))
        if isinstance(self._strategy, RememberingFedAvg):
            self._strategy.sent = dict(session.shared)  # nobody may have been addressed
        buffered = isinstance(self._strategy, BufferedFedAvg)  # it takes each as it comes
        if private or (replies and (buffered or self._good >= self._needed)):
            arrays = aggregate_of(
                session.arm.method, self._strategy, round_, replies, session.shared
            )
            if isinstance(arrays, ArrayRecord):
                # Some of Flower's strategies compute with, and return, float64.
                session.shared = {
                    name: np.asarray(value, session.shared[name].dtype)
                    for name, value in unpack(arrays).items()
                }
            else:
                self._too_few()
        elif self._good < self._needed and self._expects(buffered):
            self._too_few()
        return session.shared

    def _free(self, round_: int) -> NDArray[np.bool_]:
        """Tell who can be reached, has battery left and nothing on its way: bool [devices]."""
        found = np.zeros(self._plan.devices, np.bool_)
        found[self._plan.folds[self._session.fold].devices] = self._outages.reachable(round_)
        return found & ~self._flat & (self._until < round_)

    def _expects(self, buffered: bool) -> bool:
        """Tell whether updates might have come in this round: somebody's stream goes on.

        Where there is a buffer nobody may be free, as all are at work on an update.
        """
        devices = self._plan.folds[self._session.fold].devices
        goes_on = bool(self._plan.goes_on(devices, self._round).any())
        return self._sent > 0 if buffered else goes_on

    def _too_few(self) -> None:
        """Tell that the shared arrays stay as they are."""
        self._tell(
            "not-aggregated",
            f"{self._good} good updates of {self._sent}: method {self._session.arm.method} needs "
            f"{self._needed}; the shared parameters stay",
        )

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Return all that the server is, as named arrays."""
        kept = {f"shared/{name}": value for name, value in self._session.shared.items()}
        if self._half is None or self._strategy is None:
            return kept
        bound = self._guard.bound
        kept["losses"] = self._losses
        kept["flat"], kept["until"] = self._flat, self._until
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
        self._losses, self._flat, self._until = (
            snapshot[name].copy() for name in ("losses", "flat", "until")
        )
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
        terms = Terms(
            self._half.folds,
            self._half.weighs,
            self._guard.bound,
            apart=self._plan.scenario.faults.attack == "copies",
            waits=not isinstance(self._strategy, BufferedFedAvg),
        )
        if isinstance(self._strategy, PrivateFedAvg):
            terms = replace(terms, clip=self._strategy.clip)
        return terms

    def _work(self, shared: Arrays) -> Mapping[int, Update]:
        """Run one round of all devices; returns updates by node, in the order of their arrival."""
        terms = self._terms()
        replies, flat = self._fleet.work(self._round, self._participants, shared, terms)
        self._flat[:] = False
        self._flat[flat] = True
        self._sent = sum(reply.accounts.row.size for reply in replies)
        self._good = sum(int(reply.accepted.sum()) for reply in replies)
        for reply in replies:
            if not terms.waits:
                # It lands when a round has ended by which its time is over.
                self._until[reply.senders] = np.ceil(self._round - 1 + reply.rounds)
        if replies:
            self._hear(
                np.concatenate([reply.devices for reply in replies]),
                np.concatenate([reply.losses for reply in replies]),
                np.concatenate([reply.accepted for reply in replies]),
            )
            self._guard.rebound(
                np.concatenate([reply.norms for reply in replies]),
                np.concatenate([reply.accepted for reply in replies]),
            )
        singles = {device: one for reply in replies for device, one in reply.singles.items()}
        singles = dict(sorted(singles.items()))
        if terms.apart:
            singles = self._copied(singles)
        if isinstance(self._strategy, BufferedFedAvg):
            self._flights.start(self._round, singles, shared, self._strategy.version)
            return self._flights.land(self._round)
        if terms.folds == "none":
            return {device: replace(one, told={}) for device, one in singles.items()}
        return {
            cluster: replace(mean, told=self._told(cluster, replies, terms))
            for cluster, mean in joined(replies, list(singles.values())).items()
        }

    def _hear(
        self,
        devices: NDArray[np.int64],
        losses: NDArray[np.float64],
        accepted: NDArray[np.bool_],
    ) -> None:
        """Remember the loss that each device told, by which later participants may be chosen.

        A refused update tells nothing that can be trusted. Its device keeps the loss that it told
        before, or is taken for one like the others: else lies would buy it a place in every round.
        """
        good = accepted & np.isfinite(losses)
        self._losses[devices[good]] = losses[good]
        unknown = devices[~good & np.isnan(self._losses[devices])]
        if good.any():
            self._losses[unknown] = np.median(losses[good])

    def _copied(self, singles: Mapping[int, Update]) -> dict[int, Update]:
        """Let all hostile devices send what the first of them does: one identity, many names."""
        hostile = self._plan.hostile
        theirs = [device for device in singles if hostile is not None and hostile[device]]
        copied = dict(singles)
        for device in theirs:
            told = {**singles[device].told, "cluster": singles[theirs[0]].told["cluster"]}
            copied[device] = replace(singles[theirs[0]], told=told)
        return copied

    def _told(self, cluster: int, replies: list[Reply], terms: Terms) -> dict[str, float]:
        """Return what the strategy needs to know of a mean beside it."""
        if terms.folds == "cluster":
            return {"cluster": cluster}
        if terms.clip is None:
            return {}
        return {"within": sum(int((r.norms[r.accepted] <= terms.clip).sum()) for r in replies)}

    def _tell(self, kind: str, reason: str) -> None:
        """Note what happened to the server."""
        self._session.events.append(
            {
                "arm": self._session.arm.name,
                "fold": self._session.fold,
                "round": self._round,
                "kind": kind,
                "reason": reason,
            }
        )

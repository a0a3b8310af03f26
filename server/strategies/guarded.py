"""Federated averaging over the devices that learnt something, and sent what can be averaged."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
from flwr.app import ArrayRecord, Message, MetricRecord

from server.decoding import decoded
from server.guard import Guard, check
from server.strategies.remembering import RememberingFedAvg
from server.strategies.replies import number_of, record_of

__all__ = ["GuardedFedAvg"]

_FORMAT = "numpy.ndarray"
_TOLD = {"train": {"num-examples", "loss"}, "evaluate": {"num-examples", "holdout-accuracy"}}
"""The numbers that a reply must carry, and no others."""

_MOST_HOLDOUT = 100_000
"""Windows of one device that are held out: ten seconds each for eleven days."""

_log = logging.getLogger("flwr")


class _Judged(NamedTuple):
    """Why an update is refused, empty where it is not, and how far it moved, NaN if unknown."""

    reason: str
    norm: float = float("nan")


class GuardedFedAvg(RememberingFedAvg):
    """FedAvg that refuses single replies and says why, instead of failing with them.

    What a real node sends is anybody's guess: its update is checked by the guard, and its form and
    numbers as well, since Flower's average takes replies of one form for granted. A device whose
    user answered nothing is passed over; Flower divides by the number of examples, which may be 0.
    Where too few updates are good, the shared arrays stay what they are.

    Attributes:
        guard: remembers the bound on the norm.
    """

    def __init__(self, guard: Guard, *, min_updates: int, max_examples: int, **common: Any) -> None:
        """Set up.

        Args:
            guard: of the whole run.
            min_updates: good updates without which a round changes nothing.
            max_examples: answered windows that a device can have learnt from in a round; what
                claims more would outweigh all others.
            common: of Flower's FedAvg.
        """
        super().__init__(**common)
        self.guard = guard
        self._min_updates, self._max_examples = min_updates, max_examples

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Aggregate the good updates, and set the bound for the next round by them."""
        came = list(replies)
        failed = [reply for reply in came if reply.has_error()]
        judged = [(reply, self._judge(reply)) for reply in came if not reply.has_error()]
        for reply, verdict in judged:
            if verdict.reason:
                _tell_refused(server_round, reply, verdict.reason)
        # Those who learnt nothing have not moved, and would draw the bound to nothing.
        taught = [(r, v) for r, v in judged if v.reason or number_of(r, "num-examples") > 0]
        self.guard.rebound(
            np.array([verdict.norm for _, verdict in taught], np.float64),
            np.array([not verdict.reason for _, verdict in taught], np.bool_),
        )
        if len(judged) > len(taught):
            idle = len(judged) - len(taught)
            _log.info("round %d: %d devices had nothing to learn from", server_round, idle)
        good = [reply for reply, verdict in taught if not verdict.reason]
        if len(good) < max(1, self._min_updates):
            _log.warning(
                "round %d: %d good updates of %d replies, fewer than min-updates = %d: the shared "
                "arrays stay as they are",
                server_round,
                len(good),
                len(came),
                max(1, self._min_updates),
            )
            good = []
        return super().aggregate_train(server_round, good + failed)

    def aggregate_evaluate(
        self, server_round: int, replies: Iterable[Message]
    ) -> MetricRecord | None:
        """Aggregate the scores that can be averaged."""
        kept = []
        for reply in replies:
            reason = "" if reply.has_error() else self._misformed(reply, "evaluate")
            if reason:
                _tell_refused(server_round, reply, reason)
            elif reply.has_error() or number_of(reply, "num-examples") > 0:
                kept.append(reply)
        return super().aggregate_evaluate(server_round, kept)

    def _judge(self, reply: Message) -> _Judged:
        """Find out what is wrong with an update, if anything is.

        What was judged takes the place of what came, so that nothing reads those bytes otherwise.
        """
        if reason := self._misformed(reply, "train"):
            return _Judged(reason)
        (record,) = reply.content.array_records.values()
        if record.keys() != self.sent.keys():
            return _Judged(f"arrays {sorted(record)} instead of {sorted(self.sent)}")
        update = {}
        for name, like in self.sent.items():
            array = record[name]
            if array.stype != _FORMAT:
                return _Judged(f"{name} comes as {array.stype!r:.40} instead of {_FORMAT!r}")
            try:
                update[name] = decoded(array.data, like)[None]
            except ValueError as error:
                return _Judged(f"{name} {error}")
        record.update(record_of({name: value[0] for name, value in update.items()}))
        checked = check(self.sent, update, self.guard.bound)
        return _Judged(checked.reasons[0], float(checked.norms[0]))

    def _misformed(self, reply: Message, kind: str) -> str:
        """Say how the records of a reply differ from what a device sends."""
        arrays = [self.arrayrecord_key] if kind == "train" else []
        found = sorted(reply.content.array_records), len(reply.content.metric_records)
        if found != (arrays, 1):
            return (
                f"array records {found[0]} and {found[1]} metric records instead of {arrays} and 1"
            )
        (metrics,) = reply.content.metric_records.values()
        if metrics.keys() != _TOLD[kind]:
            return f"metrics {sorted(metrics)} instead of {sorted(_TOLD[kind])}"
        bad = [n for n, v in metrics.items() if isinstance(v, list) or not isfinite(v)]
        if bad:
            return f"{', '.join(bad)} not a finite number"
        most = {
            "num-examples": self._max_examples if kind == "train" else _MOST_HOLDOUT,
            "holdout-accuracy": 1.0,
        }
        for name in sorted(most.keys() & metrics.keys()):
            if not 0.0 <= number_of(reply, name) <= most[name]:
                return f"{name} = {number_of(reply, name):.7g} instead of 0 to {most[name]:.7g}"
        return ""


def _tell_refused(server_round: int, reply: Message, reason: str) -> None:
    node = reply.metadata.src_node_id
    _log.warning("round %d: refused the reply of node %s: %s", server_round, node, reason)

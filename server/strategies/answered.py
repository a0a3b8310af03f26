"""Federated averaging over the devices whose users answered."""

from __future__ import annotations

from collections.abc import Iterable

from flwr.app import ArrayRecord, Message, MetricRecord
from flwr.serverapp.strategy import FedAvg

from server.strategies.replies import number_of

__all__ = ["AnsweredFedAvg"]


class AnsweredFedAvg(FedAvg):
    """FedAvg that passes over replies without examples.

    A device whose user answered nothing learnt nothing; Flower's average divides by the number of
    examples, which may then be zero. A round without any answer leaves the shared arrays.
    """

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Aggregate the replies that carry what somebody learnt."""
        kept = [r for r in replies if r.has_error() or number_of(r, "num-examples") > 0]
        return super().aggregate_train(server_round, kept)

"""Federated averaging over the devices whose users answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg
from numpy.typing import NDArray

from server.strategies.replies import number_of
from server.strategies.sound import sound_replies

__all__ = ["AnsweredFedAvg"]


class AnsweredFedAvg(FedAvg):
    """FedAvg that passes over replies without examples.

    A device whose user answered nothing learnt nothing; Flower's average divides by the number of
    examples, which may then be zero. A round without any answer leaves the shared arrays.

    Attributes:
        sent: the arrays that nodes were sent last; replies that do not match them are passed over.
    """

    sent: Mapping[str, NDArray[Any]] | None = None

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Choose the nodes of a round, and remember what they are sent."""
        self.sent = {name: array.numpy() for name, array in arrays.items()}
        return super().configure_train(server_round, arrays, config, grid)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Aggregate the replies that carry what somebody learnt."""
        if self.sent is not None:
            replies = sound_replies(replies, self.sent, self.arrayrecord_key)
        kept = [r for r in replies if r.has_error() or number_of(r, "num-examples") > 0]
        return super().aggregate_train(server_round, kept)

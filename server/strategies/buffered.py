"""FedBuff's server (Nguyen et al. 2022, "Federated learning with buffered asynchronous ...")."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from flwr.app import ArrayRecord, Message, MetricRecord
from numpy.typing import NDArray

from server.strategies.remembering import RememberingFedAvg
from server.strategies.replies import arrays_of, number_of, record_of, without_errors

__all__ = ["BufferedFedAvg"]


class BufferedFedAvg(RememberingFedAvg):
    """Adds up changes as they arrive, and moves the shared arrays when enough are there.

    A reply carries by how much a device changed what it had received, and the `version` that it
    had received. It weighs its examples (all the same in the paper, which has no counts), scaled
    down by 1 / sqrt(1 + s), s being the versions since then (their section 5). The sum is divided
    by the examples behind it, not by their scaled weights, so that old changes also move less.

    Attributes:
        version: of the shared arrays, from 0.
        held: changes in the buffer.
        weight: examples behind them.
        total: their weighted sum by name.
    """

    def __init__(
        self, buffer: int | Literal["round"], server_learning_rate: float, **common: Any
    ) -> None:
        """Set up.

        Args:
            buffer: changes that move the shared arrays; "round" takes all that come in a round.
            server_learning_rate: theirs is called eta_g.
            common: of Flower's FedAvg.
        """
        super().__init__(**common)
        self._buffer, self._rate = buffer, server_learning_rate
        self.version, self.held, self.weight = 0, 0, 0.0
        self.total: dict[str, NDArray[np.float64]] = {}

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Take changes in, in the order in which they arrived."""
        del server_round
        shared, begun = dict(self.sent), self.version
        for reply in without_errors(replies):
            self._hold(reply)
            if self.held == self._buffer:
                shared = self._moved(shared)
        if self._buffer == "round" and self.held:
            shared = self._moved(shared)
        told = MetricRecord({"versions": self.version - begun, "held": self.held})
        return record_of(shared), told

    def _hold(self, reply: Message) -> None:
        examples = number_of(reply, "num-examples")
        stale = self.version - int(number_of(reply, "version"))
        for name, change in arrays_of(reply).items():
            total = self.total.setdefault(name, np.zeros(change.shape))
            total += examples / np.sqrt(1.0 + stale) * change
        self.held, self.weight = self.held + 1, self.weight + examples

    def _moved(self, shared: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Move the shared arrays by what is in the buffer, and empty it."""
        moved = {
            name: np.asarray(value + self._rate * self.total[name] / self.weight, value.dtype)
            for name, value in shared.items()
        }
        self.version, self.held, self.weight, self.total = self.version + 1, 0, 0.0, {}
        return moved

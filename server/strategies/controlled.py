"""SCAFFOLD's server (Karimireddy et al. 2020, algorithm 1, lines 16 and 17)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flwr.app import ArrayRecord, Message, MetricRecord

from server.strategies.remembering import RememberingFedAvg
from server.strategies.replies import number_of, record_of, without_errors

__all__ = ["ControlledFedAvg"]

_CONTROL = "control/"


class ControlledFedAvg(RememberingFedAvg):
    """Averages parameters as they are, and control variates by the share of devices that took part.

    x += rate (mean y - x); c += S / N (mean of what came - c), S of N devices having sent.
    """

    def __init__(self, devices: int, server_learning_rate: float, **common: Any) -> None:
        """Set up.

        Args:
            devices: N, all there are.
            server_learning_rate: theirs is called eta_g.
            common: of Flower's FedAvg.
        """
        super().__init__(**common)
        self._devices, self._rate = devices, server_learning_rate

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Aggregate means of devices, each weighed by how many devices it is of."""
        kept = without_errors(replies)
        count = sum(number_of(reply, "num-examples") for reply in kept)
        record, metrics = super().aggregate_train(server_round, kept)
        if record is None:
            return None, metrics
        shares = {True: count / self._devices, False: self._rate}
        moved = {}
        for name, array in record.items():
            sent, mean = self.sent[name], array.numpy()
            share = sent.dtype.type(shares[name.startswith(_CONTROL)])
            moved[name] = mean if share == 1 else sent + share * (mean - sent)
        return record_of(moved), metrics

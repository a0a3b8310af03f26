"""A strategy that remembers what it sent, as the next shared arrays start from there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, Message
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg
from numpy.typing import NDArray

__all__ = ["RememberingFedAvg"]


class RememberingFedAvg(FedAvg):
    """FedAvg that keeps what it sent in this round.

    Attributes:
        sent: by name, with the network's names.
    """

    sent: dict[str, NDArray[Any]]

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Send the shared arrays, and keep them."""
        self.sent = {name: array.numpy() for name, array in arrays.items()}
        return super().configure_train(server_round, arrays, config, grid)

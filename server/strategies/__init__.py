"""Server strategies by method name, one small file for each that Flower lacks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flwr.serverapp.strategy import Strategy

from server.strategies.answered import AnsweredFedAvg

__all__ = ["STRATEGIES", "ServerHalf"]


def _fedavg() -> Strategy:
    """Average what every addressed device sends; the simulator chooses whom to address."""
    return AnsweredFedAvg(
        fraction_train=1.0,
        fraction_evaluate=0.0,
        min_train_nodes=1,
        min_evaluate_nodes=0,
        min_available_nodes=1,
    )


@dataclass(frozen=True, slots=True)
class ServerHalf:
    """The half of a method that runs on the server.

    Attributes:
        strategy: makes the strategy.
        folds: whether updates of several devices may reach it as one weighted mean.
    """

    strategy: Callable[[], Strategy]
    folds: bool


STRATEGIES: dict[str, ServerHalf] = {
    "fedavg": ServerHalf(_fedavg, folds=True),
    "finetune": ServerHalf(_fedavg, folds=True),
    "fedper": ServerHalf(_fedavg, folds=True),
}
"""By method."""

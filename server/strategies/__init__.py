"""Server strategies by method name, one small file for each that Flower lacks."""

from __future__ import annotations

from collections.abc import Callable

from flwr.serverapp.strategy import Strategy

from server.strategies.answered import AnsweredFedAvg

__all__ = ["STRATEGIES"]


def _fedavg() -> Strategy:
    """Average what every addressed device sends; the simulator chooses whom to address."""
    return AnsweredFedAvg(
        fraction_train=1.0,
        fraction_evaluate=0.0,
        min_train_nodes=1,
        min_evaluate_nodes=0,
        min_available_nodes=1,
    )


STRATEGIES: dict[str, Callable[[], Strategy]] = {
    "fedavg": _fedavg,
    "finetune": _fedavg,
    "fedper": _fedavg,
}
"""Method -> the half of it that runs on the server."""

"""A method's half on the server: a strategy that is built in, or one that another package adds."""

from __future__ import annotations

from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, Message
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from clients import chance
from clients.messages import pack
from clients.methods import Arrays
from server.strategies import STRATEGIES, ServerHalf
from simulator.base.arms import keys_of
from simulator.plan.plan import Fold, Plan
from simulator.running.added_strategy import aggregated, configured, half_of
from simulator.scenario.scenario import Arm
from simulator.scenario.ways import strategy_of

__all__ = ["aggregate_of", "half_on_server", "messages_of", "options_of", "try_strategies"]


def half_on_server(method: str) -> ServerHalf | None:
    """Return what makes a method's strategy, built in or added; None where it has no server."""
    added = _added(method)
    return half_of(added) if added else STRATEGIES.get(strategy_of(method))


def options_of(plan: Plan, arm: Arm, fold: Fold) -> dict[str, Any]:
    """Return what a strategy is made from."""
    return {
        **keys_of(plan.scenario, arm),
        "devices": fold.devices.size,
        "seed": chance.key(plan.scenario.seed, f"noise-{fold.index}"),
    }


def try_strategies(plan: Plan) -> None:
    """Make the strategies that other packages add, before a run begins.

    Raises:
        BadInput: one cannot be made.
    """
    for arm in plan.scenario.arms:
        added = _added(arm.method)
        if added:
            half, options = half_of(added), options_of(plan, arm, plan.folds[0])
            half.strategy(options)
            half.least(options)


def messages_of(
    method: str, strategy: Strategy, round_: int, shared: Arrays, grid: Grid
) -> list[Message]:
    """Return what a strategy sends to whom in a round."""
    added, given = _added(method), (round_, pack(shared), ConfigRecord(), grid)
    if added:
        return configured(added, strategy, *given)
    return list(strategy.configure_train(*given))


def aggregate_of(
    method: str, strategy: Strategy, round_: int, replies: list[Message], shared: Arrays
) -> ArrayRecord | None:
    """Return what a strategy makes of updates; None where it makes nothing of them."""
    added = _added(method)
    if added:
        return aggregated(added, strategy, round_, replies, shared)[0]
    return strategy.aggregate_train(round_, replies)[0]


def _added(method: str) -> str:
    """Return the strategy of a method by its name where another package adds it, else ""."""
    name = strategy_of(method)
    return name if name and name not in STRATEGIES else ""

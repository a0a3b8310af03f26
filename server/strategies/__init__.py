"""Server strategies by method name, one small file for each that Flower lacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from flwr.serverapp.strategy import (
    FedAdagrad,
    FedAdam,
    FedAvg,
    FedAvgM,
    FedMedian,
    FedTrimmedAvg,
    FedYogi,
    QFedAvg,
    Strategy,
)

from server.strategies.buffered import BufferedFedAvg
from server.strategies.centred import CentredBulyan, CentredKrum, CentredMultiKrum
from server.strategies.clustered import ClusteredFedAvg
from server.strategies.controlled import ControlledFedAvg
from server.strategies.private import PrivateFedAvg

__all__ = ["EVERYBODY", "STRATEGIES", "Options", "ServerHalf"]

Options = Mapping[str, Any]
Folds = Literal["mean", "cluster", "none"]

EVERYBODY: dict[str, Any] = {
    "fraction_train": 1.0,
    "fraction_evaluate": 0.0,
    "min_train_nodes": 1,
    "min_evaluate_nodes": 0,
    "min_available_nodes": 1,
}
"""The simulator chooses whom to address; a strategy addresses them all."""


def _one(options: Options) -> int:
    del options
    return 1


def _outvoting(times: int) -> Callable[[Options], int]:
    """Return how many updates outvote the liars (Blanchard et al. 2017; El Mhamdi et al. 2018)."""

    def least(options: Options) -> int:
        return times * int(options["liars"]) + 3

    return least


@dataclass(frozen=True, slots=True)
class ServerHalf:
    """The half of a method that runs on the server.

    Attributes:
        strategy: makes the strategy from the arm's keys, and `devices`, how many there are,
            `learning_rate`, of the devices, and `seed`.
        folds: whether updates of several devices may reach it as one mean, or one for each of the
            server's models, or not at all.
        weighs: what an update weighs in that mean: the answered windows behind it, or as much as
            any other.
        keeps: names of the strategy's attributes that change from round to round.
        least: fewest updates that it can make something of, from the arm's keys.
    """

    strategy: Callable[[Options], Strategy]
    folds: Folds = "mean"
    weighs: Literal["examples", "devices"] = "examples"
    keeps: tuple[str, ...] = ()
    least: Callable[[Options], int] = _one


def _made(strategy: Callable[..., Strategy], **keys: str) -> Callable[[Options], Strategy]:
    """Return what makes a strategy, whose arguments are called otherwise by an arm."""

    def make(options: Options) -> Strategy:
        return strategy(**EVERYBODY, **{name: options[key] for name, key in keys.items()})

    return make


_fedavg = ServerHalf(_made(FedAvg))
_adaptive = {"eta": "server_learning_rate", "tau": "tau", "eta_l": "learning_rate"}
_with_betas = {**_adaptive, "beta_1": "beta_1", "beta_2": "beta_2"}
_moments = ("current_arrays", "m_t", "v_t")
_single = partial(ServerHalf, folds="none")

STRATEGIES: dict[str, ServerHalf] = {
    "fedavg": _fedavg,
    "fedprox": _fedavg,
    "fedavgm": ServerHalf(
        _made(
            FedAvgM,
            server_learning_rate="server_learning_rate",
            server_momentum="server_momentum",
        ),
        keeps=("current_arrays", "momentum_vector"),
    ),
    "fedadam": ServerHalf(_made(FedAdam, **_with_betas), keeps=_moments),
    "fedyogi": ServerHalf(_made(FedYogi, **_with_betas), keeps=_moments),
    "fedadagrad": ServerHalf(_made(FedAdagrad, **_adaptive), keeps=_moments),
    "qfedavg": _single(
        _made(partial(QFedAvg, train_loss_key="loss"), q="q", client_learning_rate="learning_rate")
    ),
    "scaffold": ServerHalf(
        _made(ControlledFedAvg, devices="devices", server_learning_rate="server_learning_rate"),
        weighs="devices",
    ),
    "fedbuff": _single(
        _made(BufferedFedAvg, buffer="buffer", server_learning_rate="server_learning_rate"),
        keeps=("version", "total", "weight", "held"),
    ),
    "fedmedian": _single(_made(FedMedian)),
    "fedtrimmedavg": _single(_made(FedTrimmedAvg, beta="trim")),
    "krum": _single(_made(CentredKrum, num_malicious_nodes="liars"), least=_outvoting(2)),
    "multikrum": _single(
        _made(CentredMultiKrum, num_malicious_nodes="liars", num_nodes_to_select="selected"),
        least=_outvoting(2),
    ),
    "bulyan": _single(_made(CentredBulyan, num_malicious_nodes="liars"), least=_outvoting(4)),
    "dpfedavg": ServerHalf(
        _made(
            PrivateFedAvg,
            noise="noise",
            clip="clip",
            clip_quantile="clip_quantile",
            clip_learning_rate="clip_learning_rate",
            participation="participation",
            devices="devices",
            seed="seed",
        ),
        weighs="devices",
        keeps=("clip",),
    ),
    "finetune": _fedavg,
    "fedper": _fedavg,
    "fedrep": _fedavg,
    "fedbn": _fedavg,
    "ditto": _fedavg,
    "apfl": _fedavg,
    "pfedme": ServerHalf(
        _made(FedAvgM, server_learning_rate="server_learning_rate"),
        weighs="devices",
        keeps=("current_arrays",),
    ),
    "perfedavg": _fedavg,
    "ifca": ServerHalf(_made(ClusteredFedAvg), folds="cluster"),
}
"""By method."""

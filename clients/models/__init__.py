"""Architectures, one small file each, written once over stacked parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from clients.models.added import Added
from clients.models.cnn import Cnn
from clients.models.dense import Dense, TrackerDense
from clients.models.features import Features
from clients.models.gravity import GravityCnn, GravityCnnSmall
from clients.models.model import Carried, Informed, Model, Normalized, answer, moves
from clients.models.normalized import CnnNorm
from clients.models.recurrent import Bilstm, Gru, TrackerLstm
from clients.plugins import MODELS as GROUP
from clients.plugins import plugin_names

__all__ = ["MODELS", "Carried", "Informed", "Model", "Normalized", "answer", "built", "moves"]

MODELS: dict[str, Callable[[int, int, int], Model]] = {
    "bilstm": Bilstm,
    "cnn": Cnn,
    "cnn_norm": CnnNorm,
    "dense": Dense,
    "features": Features,
    "gravity_cnn": GravityCnn,
    "gravity_cnn_small": GravityCnnSmall,
    "gru": Gru,
    "tracker_dense": TrackerDense,
    "tracker_lstm": TrackerLstm,
}
"""Name -> constructor(samples per window, channels, classes)."""


def built(program: str, length: int, channels: int, classes: int) -> Model:
    """Build the architecture of a program, a built-in one or one of another package.

    Raises:
        BadInput: one of another package that cannot be used.
    """
    if program in MODELS:
        return MODELS[program](length, channels, classes)
    if program not in plugin_names(GROUP, MODELS):
        raise KeyError(program)
    added: Any = Added(program, length, channels, classes)
    return cast(Model, added)

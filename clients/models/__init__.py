"""Architectures, one small file each, written once over stacked parameters."""

from __future__ import annotations

from collections.abc import Callable

from clients.models.cnn import Cnn
from clients.models.dense import Dense, TrackerDense
from clients.models.features import Features
from clients.models.gravity import GravityCnn, GravityCnnSmall
from clients.models.model import Carried, Informed, Model, Normalized, answer, moves
from clients.models.normalized import CnnNorm
from clients.models.recurrent import Bilstm, Gru, TrackerLstm

__all__ = ["MODELS", "Carried", "Informed", "Model", "Normalized", "answer", "moves"]

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

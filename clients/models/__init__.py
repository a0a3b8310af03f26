"""Architectures, one small file each, written once over stacked parameters."""

from __future__ import annotations

from collections.abc import Callable

from clients.models.cnn import Cnn
from clients.models.dense import Dense, TrackerDense
from clients.models.features import Features
from clients.models.gravity import GravityCnn, GravityCnnSmall
from clients.models.model import Carried, Model, answer
from clients.models.recurrent import Bilstm, Gru, TrackerLstm

__all__ = ["MODELS", "Carried", "Model", "answer"]

MODELS: dict[str, Callable[[int, int, int], Model]] = {
    "bilstm": Bilstm,
    "cnn": Cnn,
    "dense": Dense,
    "features": Features,
    "gravity_cnn": GravityCnn,
    "gravity_cnn_small": GravityCnnSmall,
    "gru": Gru,
    "tracker_dense": TrackerDense,
    "tracker_lstm": TrackerLstm,
}
"""Name -> constructor(samples per window, channels, classes)."""

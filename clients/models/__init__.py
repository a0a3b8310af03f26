"""Architectures, one small file each, written once over stacked parameters."""

from __future__ import annotations

from collections.abc import Callable

from clients.models.cnn import Cnn
from clients.models.dense import Dense
from clients.models.model import Model

__all__ = ["MODELS", "Model"]

MODELS: dict[str, Callable[[int, int, int], Model]] = {"cnn": Cnn, "dense": Dense}
"""Name -> constructor(samples per window, channels, classes)."""

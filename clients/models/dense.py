"""A dense network: on whole windows, on feature rows, or on single samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from clients.errors import BadInput
from clients.models.layers import dense, normal

__all__ = ["Dense", "TrackerDense"]


class Dense:
    """One hidden layer over all values of a window."""

    head: ClassVar[tuple[str, ...]] = ("classes/*",)
    tracks = False
    isotropic = False
    carried: ClassVar[Mapping[str, tuple[int, ...]]] = {}
    _hidden = 64

    def __init__(self, length: int, channels: int, classes: int) -> None:
        self.length, self.channels, self.classes = length, channels, classes

    def init(self, random: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """Draw one device's parameters."""
        return {
            "hidden/kernel": normal(
                random, self.length * self.channels, self._hidden, variance=2.0
            ),
            "hidden/bias": np.zeros(self._hidden, np.float32),
            "classes/kernel": normal(random, self._hidden, self.classes, variance=0.3),
            "classes/bias": np.zeros(self.classes, np.float32),
        }

    def forward(self, params: dict[str, tf.Tensor], x: tf.Tensor) -> tf.Tensor:
        """Compute logits [D, B, K] from parameters [D, ...] and scaled inputs [D, B, T, C]."""
        x = tf.reshape(x, [-1, tf.shape(x)[1], self.length * self.channels])
        x = tf.nn.relu(dense(x, params["hidden/kernel"], params["hidden/bias"]))
        return dense(x, params["classes/kernel"], params["classes/bias"])


class TrackerDense(Dense):
    """What the original tracker fell back to: single samples, each looked at by itself."""

    tracks = True

    def __init__(self, length: int, channels: int, classes: int) -> None:
        if length != 1:
            raise BadInput(
                f'program "tracker_dense": takes single samples, and windows have {length}; use '
                'program "dense"'
            )
        super().__init__(length, channels, classes)

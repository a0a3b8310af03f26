"""A model: a dense network over the means of eight parts of a window."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from clients.models.dense import Dense

_PARTS = 8


class Blurred:
    """Little to learn, and little to send."""

    head = Dense.head
    tracks = isotropic = False
    carried: dict[str, tuple[int, ...]] = {}  # noqa: RUF012

    def __init__(self, length: int, channels: int, classes: int) -> None:
        self.length, self.channels, self.classes = length, channels, classes
        self._dense = Dense(_PARTS, channels, classes)

    def init(self, random: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw one device's parameters."""
        return self._dense.init(random)

    def forward(self, params: dict[str, tf.Tensor], x: tf.Tensor) -> tf.Tensor:
        """Compute logits [D, B, K] from parameters [D, ...] and scaled inputs [D, B, T, C]."""
        each = self.length // _PARTS
        parts = tf.reshape(
            x[:, :, : _PARTS * each], [-1, tf.shape(x)[1], _PARTS, each, self.channels]
        )
        return self._dense.forward(params, tf.reduce_mean(parts, axis=3))

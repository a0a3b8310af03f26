"""A network for rows of features, which looks at each feature in steps, as a tree does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from clients.models.layers import dense, normal

__all__ = ["Features"]

_KNOTS = (
    *(-2.1, -1.9, -1.7, -1.55, -1.4, -1.25, -1.1, -0.9),
    *(-0.6, -0.3, 0.0, 0.4, 0.8, 1.4, 2.2, 3.0),
)
"""Standard deviations from a feature's mean; close together at the low end, where features that
cannot be negative, such as deviations of a body at rest, differ by little that matters."""


class Features:
    """One hidden layer over a piecewise linear encoding of every value.

    Between two knots a value counts from 0 to 1, so that the hidden layer can treat any stretch of
    any feature by itself, whatever the feature's scale (Gorishniy, Rubachev, Babenko 2022, "On
    embeddings for numerical features in tabular deep learning", section 3.1, with fixed knots).
    Below the first knot it goes on falling, down to -2.
    """

    head: ClassVar[tuple[str, ...]] = ("classes/*",)
    tracks = False
    isotropic = False
    carried: ClassVar[Mapping[str, tuple[int, ...]]] = {}
    _hidden = 128

    def __init__(self, length: int, channels: int, classes: int) -> None:
        self.length, self.channels, self.classes = length, channels, classes

    def init(self, random: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """Draw one device's parameters."""
        encoded = self.length * self.channels * (len(_KNOTS) - 1)
        return {
            "hidden/kernel": normal(random, encoded, self._hidden, variance=2.0),
            "hidden/bias": np.zeros(self._hidden, np.float32),
            "classes/kernel": normal(random, self._hidden, self.classes, variance=0.3),
            "classes/bias": np.zeros(self.classes, np.float32),
        }

    def forward(self, params: dict[str, tf.Tensor], x: tf.Tensor) -> tf.Tensor:
        """Compute logits [D, B, K] from parameters [D, ...] and scaled inputs [D, B, T, C]."""
        knots = np.array(_KNOTS)
        low = np.where(np.arange(len(knots) - 1) == 0, -2.0, 0.0)
        first = tf.constant(knots[:-1], x.dtype)
        per_unit = tf.constant(1.0 / np.diff(knots), x.dtype)
        steps = tf.reshape(x, [-1, tf.shape(x)[1], self.length * self.channels, 1]) - first
        steps = tf.clip_by_value(steps * per_unit, tf.constant(low, x.dtype), tf.ones((), x.dtype))
        encoded = self.length * self.channels * (len(knots) - 1)
        x = tf.reshape(steps - 0.5, [-1, tf.shape(x)[1], encoded])
        x = tf.nn.relu(dense(x, params["hidden/kernel"], params["hidden/bias"]))
        return dense(x, params["classes/kernel"], params["classes/bias"])

"""A network for rows of features, which looks at each feature in steps, as a tree does.

It looks most at the features that tell one person's activities apart.
"""

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

_TINY = 1e-3  # a variance that is as good as none, where the total is 1


class Features:
    """One hidden layer over a piecewise linear encoding of every value.

    Between two knots a value counts from 0 to 1, so that the hidden layer can treat any stretch of
    any feature by itself, whatever the feature's scale (Gorishniy, Rubachev, Babenko 2022, "On
    embeddings for numerical features in tabular deep learning", section 3.1, with fixed knots).
    Below the first knot it goes on falling, down to -2.

    Each feature has a weight, which is learnt like the rest. It starts at the donors' total
    variance over that within one person's windows of one activity, which is how much a discriminant
    of people's own activities would heed it (Fisher 1936, "The use of multiple measurements in
    taxonomic problems", for uncorrelated features), and a root mean square of 1 over all features.
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
            "features/weight": np.ones(self.length * self.channels, np.float32),
            "hidden/kernel": normal(random, encoded, self._hidden, variance=2.0),
            "hidden/bias": np.zeros(self._hidden, np.float32),
            "classes/kernel": normal(random, self._hidden, self.classes, variance=0.3),
            "classes/bias": np.zeros(self.classes, np.float32),
        }

    def informed(
        self, x: NDArray[np.float32], labels: NDArray[np.int32], users: NDArray[np.int32]
    ) -> dict[str, NDArray[np.float32]]:
        """Return the weights that donors' windows give the features.

        Args:
            x: float32 [N, T, C], scaled.
            labels: int32 [N].
            users: int32 [N], a number for each user.
        """
        rows = x.reshape(len(x), -1).astype(np.float64)
        _, cell = np.unique(np.stack([users, labels], axis=1), axis=0, return_inverse=True)
        count = np.bincount(cell.ravel())[:, None]
        sums = np.zeros((len(count), rows.shape[1]))
        np.add.at(sums, cell.ravel(), rows)
        within = np.mean(np.square(rows - (sums / count)[cell.ravel()]), axis=0)
        weight = rows.var(axis=0) / (within + _TINY)
        size = np.sqrt(np.mean(np.square(weight)))
        return {"features/weight": np.asarray(weight / max(size, _TINY), np.float32)}

    def forward(self, params: dict[str, tf.Tensor], x: tf.Tensor) -> tf.Tensor:
        """Compute logits [D, B, K] from parameters [D, ...] and scaled inputs [D, B, T, C]."""
        knots = np.array(_KNOTS)
        low = np.where(np.arange(len(knots) - 1) == 0, -2.0, 0.0)
        first = tf.constant(knots[:-1], x.dtype)
        per_unit = tf.constant(1.0 / np.diff(knots), x.dtype)
        steps = tf.reshape(x, [-1, tf.shape(x)[1], self.length * self.channels, 1]) - first
        steps = tf.clip_by_value(steps * per_unit, tf.constant(low, x.dtype), tf.ones((), x.dtype))
        steps = (steps - 0.5) * params["features/weight"][:, None, :, None]
        encoded = self.length * self.channels * (len(knots) - 1)
        x = tf.reshape(steps, [-1, tf.shape(x)[1], encoded])
        x = tf.nn.relu(dense(x, params["hidden/kernel"], params["hidden/bias"]))
        return dense(x, params["classes/kernel"], params["classes/bias"])

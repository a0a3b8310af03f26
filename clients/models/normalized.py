"""A convolutional network with batch normalisation."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from clients.models.cnn import Cnn
from clients.models.layers import convolve, dense

__all__ = ["CnnNorm"]

_TINY = 1e-3  # keeps the spread of a constant from being nothing


class CnnNorm(Cnn):
    """`cnn`, each convolution followed by batch normalisation (Ioffe & Szegedy 2015).

    For windows of 80 x 3 and five activities: 8,837 parameters (35 KiB), of which 192 are running
    statistics.
    """

    _name: ClassVar = "cnn_norm"

    def init(self, random: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """Draw one device's parameters."""
        params = super().init(random)
        for number, (name, _, filters) in enumerate(self._layers, start=1):
            del params[f"{name}/bias"]  # whatever it is, the mean takes it away again
            params[f"norm{number}/scale"] = np.ones(filters, np.float32)
            params[f"norm{number}/shift"] = np.zeros(filters, np.float32)
            params[f"norm{number}/running_mean"] = np.zeros(filters, np.float32)
            params[f"norm{number}/running_variance"] = np.ones(filters, np.float32)
        return params

    def forward(self, params: dict[str, tf.Tensor], x: tf.Tensor) -> tf.Tensor:
        """Compute logits [D, B, K] from parameters [D, ...] and scaled inputs [D, B, T, C]."""
        return self._forward(params, x, None, None)[0]

    def learn(
        self, params: Any, x: tf.Tensor, mask: tf.Tensor, mixed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Compute logits as a step sees them, and the statistics of its windows.

        Args:
            params: [D, ...].
            x: scaled, [D, B, T, C].
            mask: bool [D, B], which windows there are.
            mixed: bool [D], whose windows are of several activities; the features of others are
                normalised by the running statistics.

        Returns:
            logits [D, B, K], and by name the statistics [D, F] that the running ones follow.
        """
        return self._forward(params, x, mask, mixed)

    def _forward(
        self, params: Any, x: tf.Tensor, mask: tf.Tensor | None, mixed: tf.Tensor | None
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        x, found = self._look_at(x), {}
        for number, (name, stride, _) in enumerate(self._layers, start=1):
            kernel = params[f"{name}/kernel"]
            none = tf.zeros_like(kernel[:, 0])
            x = convolve(x, kernel, none, taps=self._taps, stride=stride)
            layer = f"norm{number}"
            mean, variance = params[f"{layer}/running_mean"], params[f"{layer}/running_variance"]
            if mask is not None and mixed is not None:
                own = _statistics(x, mask)
                found[f"{layer}/running_mean"], found[f"{layer}/running_variance"] = own
                mean, variance = (
                    tf.where(mixed[:, None], *pair)
                    for pair in zip(own, (mean, variance), strict=True)
                )
            scale = params[f"{layer}/scale"] * tf.math.rsqrt(variance + _TINY)
            shift = params[f"{layer}/shift"] - mean * scale
            x = tf.nn.relu(x * scale[:, None, None] + shift[:, None, None])
        x = tf.concat([tf.reduce_mean(x, axis=2), tf.reduce_max(x, axis=2)], axis=2)
        return dense(x, params["classes/kernel"], params["classes/bias"]), found


def _statistics(x: tf.Tensor, mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return mean and variance of features [D, B, L, F] over the windows of a mask: [D, F]."""
    there = tf.cast(mask, x.dtype)[:, :, None, None]
    count = tf.maximum(tf.reduce_sum(there, axis=[1, 2, 3]), 1.0)[:, None] * x.shape[2]
    mean = tf.reduce_sum(x * there, axis=[1, 2]) / count
    away = tf.square(x - mean[:, None, None]) * there
    return mean, tf.reduce_sum(away, axis=[1, 2]) / count

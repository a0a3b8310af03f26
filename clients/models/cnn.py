"""A small convolutional network on windows."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from clients.models.layers import convolve, dense, glorot, he

__all__ = ["Cnn"]


class Cnn:
    """Three convolutions over time, mean and maximum over time, one hidden layer."""

    head: ClassVar[tuple[str, ...]] = ("classes/*",)
    _layers = (("conv1", 16, 9, 2), ("conv2", 24, 5, 2), ("conv3", 32, 5, 1))
    _hidden = 32

    def __init__(self, length: int, channels: int, classes: int) -> None:
        self.length, self.channels, self.classes = length, channels, classes

    def init(self, random: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """Draw one device's parameters."""
        params: dict[str, NDArray[np.float32]] = {}
        width = self.channels
        for name, features, taps, _ in self._layers:
            params[f"{name}/kernel"] = he(random, taps * width, features)
            params[f"{name}/bias"] = np.zeros(features, np.float32)
            width = features
        params["hidden/kernel"] = he(random, 2 * width, self._hidden)
        params["hidden/bias"] = np.zeros(self._hidden, np.float32)
        params["classes/kernel"] = glorot(random, self._hidden, self.classes)
        params["classes/bias"] = np.zeros(self.classes, np.float32)
        return params

    def forward(self, params: dict[str, tf.Tensor], x: tf.Tensor) -> tf.Tensor:
        """Compute logits [D, B, K] from parameters [D, ...] and scaled inputs [D, B, T, C]."""
        for name, _, taps, stride in self._layers:
            kernel, bias = params[f"{name}/kernel"], params[f"{name}/bias"]
            x = tf.nn.relu(convolve(x, kernel, bias, width=taps, stride=stride))
        x = tf.concat([tf.reduce_mean(x, axis=2), tf.reduce_max(x, axis=2)], axis=2)
        x = tf.nn.relu(dense(x, params["hidden/kernel"], params["hidden/bias"]))
        return dense(x, params["classes/kernel"], params["classes/bias"])

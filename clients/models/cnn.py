"""A small convolutional network on windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from clients.errors import BadInput
from clients.models.layers import convolve, dense, normal

__all__ = ["Cnn"]


class Cnn:
    """Three convolutions over time, mean and maximum over time, one layer to the classes.

    For windows of 80 x 3 and five activities: 8,549 parameters, 0.27 MFLOP a prediction.
    """

    head: ClassVar[tuple[str, ...]] = ("classes/*",)
    tracks = False
    isotropic = False
    carried: ClassVar[Mapping[str, tuple[int, ...]]] = {}
    _name: ClassVar = "cnn"
    _layers: ClassVar[tuple[tuple[str, int, int], ...]] = (
        ("conv1", 2, 16),
        ("conv2", 2, 32),
        ("conv3", 1, 48),
    )
    """Name, samples taken together as one step (a stride), filters."""
    _taps: ClassVar = 3
    _derived: ClassVar = 0
    """Channels that `_look_at` adds to those of the samples."""

    def __init__(self, length: int, channels: int, classes: int) -> None:
        steps = length
        for _, stride, _ in self._layers:
            steps = steps // stride - self._taps + 1
        if steps < 1:
            raise BadInput(
                f'program "{self._name}": windows of {length} samples are too short for its three '
                'convolutions; make them longer (data.window_s), or use program "dense"'
            )
        self.length, self.channels, self.classes = length, channels, classes

    def init(self, random: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """Draw one device's parameters."""
        params: dict[str, NDArray[np.float32]] = {}
        width = self.channels + self._derived
        for name, stride, filters in self._layers:
            rows = self._taps * stride * width
            params[f"{name}/kernel"] = normal(random, rows, filters, variance=2.0)
            params[f"{name}/bias"] = np.zeros(filters, np.float32)
            width = filters
        params["classes/kernel"] = normal(random, 2 * width, self.classes, variance=0.3)
        params["classes/bias"] = np.zeros(self.classes, np.float32)
        return params

    def forward(self, params: dict[str, tf.Tensor], x: tf.Tensor) -> tf.Tensor:
        """Compute logits [D, B, K] from parameters [D, ...] and scaled inputs [D, B, T, C]."""
        x = self._look_at(x)
        for name, stride, _ in self._layers:
            kernel, bias = params[f"{name}/kernel"], params[f"{name}/bias"]
            x = tf.nn.relu(convolve(x, kernel, bias, taps=self._taps, stride=stride))
        x = tf.concat([tf.reduce_mean(x, axis=2), tf.reduce_max(x, axis=2)], axis=2)
        return dense(x, params["classes/kernel"], params["classes/bias"])

    def _look_at(self, x: tf.Tensor) -> tf.Tensor:
        """Return what the first convolution is given of the inputs."""
        return x

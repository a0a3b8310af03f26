"""Convolutional networks that are told what of a movement does not depend on orientation."""

from __future__ import annotations

from typing import ClassVar

import tensorflow as tf

from clients.models.cnn import Cnn

__all__ = ["GravityCnn", "GravityCnnSmall"]

_TINY = 1e-6  # keeps the direction of nothing finite


class GravityCnn(Cnn):
    """Three convolutions over the samples and over what of them does not depend on orientation.

    The mean of a window is taken for gravity (after Mizell 2003, "Using gravity to estimate
    accelerometer orientation"). Each sample is told, beside its own channels, the acceleration
    along gravity less gravity, the size of what is across, and its whole size less gravity.

    For windows of 80 x 3 and five activities: 17,773 parameters (69 KiB), 0.58 MFLOP a prediction.
    """

    isotropic = True
    _name: ClassVar = "gravity_cnn"
    _layers: ClassVar[tuple[tuple[str, int, int], ...]] = (
        ("conv1", 2, 24),
        ("conv2", 2, 48),
        ("conv3", 1, 64),
    )
    _derived: ClassVar = 3

    def _look_at(self, x: tf.Tensor) -> tf.Tensor:
        """Add three channels to [D, B, T, C], all in the unit of the samples."""
        mean = tf.reduce_mean(x, axis=2, keepdims=True)
        gravity = _size(mean)
        along = tf.reduce_sum(x * (mean / gravity), axis=3, keepdims=True)
        across = _size(x - along * (mean / gravity))
        return tf.concat([x, along - gravity, across, _size(x) - gravity], axis=3)


class GravityCnnSmall(GravityCnn):
    """The same with the filters of `cnn`: 8,837 parameters (35 KiB), 0.29 MFLOP a prediction."""

    _name: ClassVar = "gravity_cnn_small"
    _layers: ClassVar = Cnn._layers


def _size(x: tf.Tensor) -> tf.Tensor:
    """Return the Euclidean norm over the last axis, which stays: [..., C] -> [..., 1]."""
    return tf.sqrt(tf.reduce_sum(tf.square(x), axis=3, keepdims=True) + _TINY)

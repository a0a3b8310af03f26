"""Layers over stacked parameters: every device of a tile has its own weights.

Parameters have a leading device axis D, inputs are [D, B, ...]. A convolution is shifted slices
and one batched matrix product, since a compiled loop handles those well.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

__all__ = ["convolve", "dense", "glorot", "he"]


def dense(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """Multiply [D, B, N] by [D, N, M] and add [D, M]: [D, B, M]."""
    return tf.matmul(x, kernel) + bias[:, None, :]


def convolve(
    x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, *, width: int, stride: int = 1
) -> tf.Tensor:
    """Convolve over time without padding.

    Args:
        x: [D, B, T, C].
        kernel: [D, width * C, F], taps in time order, channels within a tap.
        bias: [D, F].
        width: taps.
        stride: steps between outputs.

    Returns:
        [D, B, (T - width) // stride + 1, F].
    """
    steps = (x.shape[2] - width) // stride + 1
    last = (steps - 1) * stride + 1
    patches = tf.concat([x[:, :, tap : tap + last : stride, :] for tap in range(width)], axis=3)
    batch, features = tf.shape(x)[1], kernel.shape[2]
    flat = tf.reshape(patches, [-1, batch * steps, width * x.shape[3]])
    return tf.reshape(dense(flat, kernel, bias), [-1, batch, steps, features])


def glorot(random: np.random.Generator, rows: int, columns: int) -> NDArray[np.float32]:
    """Draw a kernel for a layer without rectifier (Glorot & Bengio 2010, eq. 16)."""
    limit = np.sqrt(6.0 / (rows + columns))
    return random.uniform(-limit, limit, (rows, columns)).astype(np.float32)


def he(random: np.random.Generator, rows: int, columns: int) -> NDArray[np.float32]:
    """Draw a kernel for a layer followed by a rectifier (He et al. 2015, eq. 10)."""
    kernel = random.standard_normal((rows, columns)) * np.sqrt(2.0 / rows)
    return np.asarray(kernel, np.float32)

"""Layers over stacked parameters: every device of a tile has its own weights.

Parameters have a leading device axis D, inputs are [D, B, ...]. A convolution is shifted slices
and one batched matrix product, since a compiled loop handles those well.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

__all__ = ["convolve", "dense", "normal"]


def dense(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """Multiply [D, B, N] by [D, N, M] and add [D, M]: [D, B, M]."""
    return tf.matmul(x, kernel) + bias[:, None, :]


def convolve(
    x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, *, taps: int, stride: int = 1
) -> tf.Tensor:
    """Convolve over time without padding.

    `stride` consecutive samples are taken together as one step with `stride` times the channels;
    the filter covers `taps` such steps. Samples that do not fill a step are left out.

    Args:
        x: [D, B, T, C].
        kernel: [D, taps * stride * C, F], in order of time, then channel.
        bias: [D, F].
        taps: steps that a filter covers.
        stride: samples in a step.

    Returns:
        [D, B, T // stride - taps + 1, F].
    """
    steps, width = x.shape[2] // stride, x.shape[3] * stride
    batch, filters = tf.shape(x)[1], kernel.shape[2]
    x = tf.reshape(x[:, :, : steps * stride], [-1, batch, steps, width])
    count = steps - taps + 1
    patches = tf.concat([x[:, :, tap : tap + count] for tap in range(taps)], axis=3)
    flat = tf.reshape(patches, [-1, batch * count, taps * width])
    return tf.reshape(dense(flat, kernel, bias), [-1, batch, count, filters])


def normal(
    random: np.random.Generator, rows: int, columns: int, *, variance: float
) -> NDArray[np.float32]:
    """Draw a kernel whose outputs have `variance` times the mean square of the inputs.

    A layer before a rectifier wants 2 (He et al. 2015, eq. 10).
    """
    kernel = random.standard_normal((rows, columns)) * np.sqrt(variance / rows)
    return np.asarray(kernel, np.float32)

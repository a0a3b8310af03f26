"""What a device that learns from its user's answers minimizes."""

from __future__ import annotations

import tensorflow as tf

__all__ = ["balanced_loss"]

_ABSENT = -50.0  # added to the logits of classes that a batch does not hold


def balanced_loss(logits: tf.Tensor, labels: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Cross-entropy among the classes that a batch holds, each class weighing the same.

    A device sees few activities at a time. Plain cross-entropy pushes down the activities that a
    batch happens to lack, and the device forgets them. So each device's softmax runs over the
    classes that its batch holds (after Caccia et al. 2022, "New insights on reducing abrupt
    representation change in online continual learning"), and a window weighs 1 / windows of its
    class. A batch of a single class is learnt by plain cross-entropy, since nothing would be left
    of it.

    Args:
        logits: [D, B, K].
        labels: int32 [D, B].
        mask: bool [D, B], which windows count.

    Returns:
        loss of each device, [D].
    """
    weight = tf.cast(mask, logits.dtype)
    hot = tf.one_hot(labels, logits.shape[2], dtype=logits.dtype) * weight[..., None]
    counts = tf.reduce_sum(hot, axis=1)
    present = tf.cast(counts > 0.0, logits.dtype)
    several = tf.reduce_sum(present, axis=1, keepdims=True) > 1.0
    absent = tf.where(several, (1.0 - present) * _ABSENT, tf.zeros_like(present))
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits + absent[:, None, :])
    share = tf.reduce_sum(hot / tf.maximum(counts, 1.0)[:, None, :], axis=2)
    return tf.reduce_sum(losses * share, 1) / tf.maximum(tf.reduce_sum(share, 1), 1e-3)

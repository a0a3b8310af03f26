"""What a device that learns from its user's answers minimizes."""

from __future__ import annotations

import tensorflow as tf

__all__ = ["balanced_loss"]

_NEVER = -1e9  # a logit that leaves a class no probability


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
    present = counts > 0.0
    single = tf.math.count_nonzero(present, axis=1, keepdims=True) < 2
    among = tf.where((present | single)[:, None, :], logits, tf.cast(_NEVER, logits.dtype))
    # Where the mask is false there may be no class (-1), for which this would be NaN.
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(labels, 0), among)
    share = tf.reduce_sum(hot / tf.maximum(counts, 1.0)[:, None, :], axis=2)
    return tf.reduce_sum(losses * share, 1) / tf.maximum(tf.reduce_sum(share, 1), 1e-3)

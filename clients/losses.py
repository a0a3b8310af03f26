"""What a device that learns from its user's answers minimizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

__all__ = ["LOSSES", "balanced_loss", "plain_loss"]

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
    # A sum of differences from one-hot labels instead of a look-up, and a gradient written down
    # instead of derived: XLA computes both in few passes over [D, B, K]. Where the mask is false
    # there may be no class (-1), which no column is equal to.
    hot = tf.equal(labels[..., None], tf.range(logits.shape[2], dtype=labels.dtype))
    hot = tf.cast(hot & mask[..., None], logits.dtype)
    counts = tf.reduce_sum(hot, axis=1)
    present = counts > 0.0
    held = tf.math.count_nonzero(present, axis=1, keepdims=True, dtype=tf.int32)
    classes = tf.cast(tf.maximum(held, 1), logits.dtype)
    share = hot / (tf.maximum(counts, 1.0) * classes)[:, None, :]
    never = tf.cast(tf.where(present | (held < 2), 0.0, _NEVER), logits.dtype)
    return _among(logits, never[:, None, :], share)


def plain_loss(logits: tf.Tensor, labels: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Cross-entropy among all classes, each window weighing the same.

    It suits devices whose steps rehearse enough to hold every activity in proportion.

    Args:
        logits: [D, B, K].
        labels: int32 [D, B].
        mask: bool [D, B], which windows count.

    Returns:
        loss of each device, [D].
    """
    hot = tf.equal(labels[..., None], tf.range(logits.shape[2], dtype=labels.dtype))
    hot = tf.cast(hot & mask[..., None], logits.dtype)
    count = tf.maximum(tf.reduce_sum(hot, axis=[1, 2], keepdims=True), 1.0)
    return _among(logits, tf.zeros_like(logits[:, :1]), hot / count)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _among(logits: tf.Tensor, never: tf.Tensor, share: tf.Tensor) -> tuple[tf.Tensor, Any]:
    """Sum the cross-entropies of one-hot labels that weigh `share` [D, B, K]: [D].

    `never` [D, 1, K] is 0 for the classes of the softmax. The gradient is that of a softmax, share
    by share: its sum over the row times the probability, less the share.
    """
    above = logits - tf.reduce_max(logits + never, axis=2, keepdims=True) + never
    powers = tf.exp(above)
    total, weight = (tf.reduce_sum(each, axis=2, keepdims=True) for each in (powers, share))
    loss = tf.reduce_sum(weight * tf.math.log(total), axis=[1, 2])
    # Only what weighs counts, as 0 times the logit of a class that never is would not be exact.
    loss -= tf.reduce_sum(tf.where(share > 0.0, share * above, 0.0), axis=[1, 2])

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None, None]:
        return (powers * (weight / total) - share) * upstream[:, None, None], None, None

    return loss, gradient


LOSSES: dict[str, Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "balanced": balanced_loss,
    "plain": plain_loss,
}
"""By name."""

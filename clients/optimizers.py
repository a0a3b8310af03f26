"""Optimizers as pure functions over stacked parameters.

Every array has a leading device axis D. The slots of an optimizer hold its learning rate under
`learning_rate` and, for each parameter, what the optimizer keeps of it, named `<slot>/<parameter>`,
so that the slots of shared parameters can start afresh while private ones persist.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from clients.naming import is_statistic

__all__ = ["OPTIMIZERS", "Optimizer"]

Tensors = dict[str, tf.Tensor]
Apply = Callable[[Tensors, Tensors, Tensors], tuple[Tensors, Tensors]]


@dataclass(frozen=True, slots=True)
class Optimizer:
    """One way of stepping.

    Attributes:
        slots: name of a slot -> shape of what it keeps of a parameter with the given shape.
        apply: (params, slots, gradients) -> (params, slots), all stacked.
    """

    slots: Mapping[str, Callable[[tuple[int, ...]], tuple[int, ...]]]
    apply: Apply

    def start(
        self, shapes: Mapping[str, tuple[int, ...]], learning_rate: float, dtype: str
    ) -> dict[str, NDArray[np.floating]]:
        """Return one device's slots before its first step."""
        kept = {
            f"{slot}/{name}": np.zeros(shape_of(tuple(shape)), dtype)
            for slot, shape_of in self.slots.items()
            for name, shape in shapes.items()
            if not is_statistic(name)
        }
        return {"learning_rate": np.asarray(learning_rate, dtype), **kept}


def _per_device(value: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """Reshape [D] so that it broadcasts over a parameter [D, ...]."""
    return tf.reshape(
        value, tf.concat([tf.shape(value), tf.ones([len(like.shape) - 1], tf.int32)], 0)
    )


def _moving_statistics(apply: Apply) -> Apply:
    """Let a way of stepping alone what moves by itself, and make those moves."""

    def stepped(params: Tensors, slots: Tensors, gradients: Tensors) -> tuple[Tensors, Tensors]:
        learnt = {name: value for name, value in params.items() if not is_statistic(name)}
        new, slots = apply(learnt, slots, gradients)
        return {n: new[n] if n in new else v - gradients[n] for n, v in params.items()}, slots

    return stepped


def _sgd(params: Tensors, slots: Tensors, gradients: Tensors) -> tuple[Tensors, Tensors]:
    """Step along the negative gradient."""
    rate = slots["learning_rate"]
    stepped = {
        name: value - _per_device(rate, value) * gradients[name] for name, value in params.items()
    }
    return stepped, slots


def _adam(params: Tensors, slots: Tensors, gradients: Tensors) -> tuple[Tensors, Tensors]:
    """Step as Adam does (Kingma & Ba 2015, end of section 2), with its default decay rates.

    The step count is kept by parameter, so that bias correction stays right where some
    parameters start afresh and others go on.
    """
    decay1, decay2, epsilon = 0.9, 0.999, 1e-7
    rate = slots["learning_rate"]
    stepped, kept = {}, dict(slots)
    for name, value in params.items():
        gradient = gradients[name]
        count = slots[f"count/{name}"] + 1.0
        first = decay1 * slots[f"first/{name}"] + (1.0 - decay1) * gradient
        second = decay2 * slots[f"second/{name}"] + (1.0 - decay2) * tf.square(gradient)
        scale = rate * tf.sqrt(1.0 - tf.pow(tf.constant(decay2, count.dtype), count))
        scale /= 1.0 - tf.pow(tf.constant(decay1, count.dtype), count)
        stepped[name] = value - _per_device(scale, value) * first / (tf.sqrt(second) + epsilon)
        kept |= {f"count/{name}": count, f"first/{name}": first, f"second/{name}": second}
    return stepped, kept


OPTIMIZERS: dict[str, Optimizer] = {
    "adam": Optimizer(
        {"count": lambda _: (), "first": lambda shape: shape, "second": lambda shape: shape},
        _moving_statistics(_adam),
    ),
    "sgd": Optimizer({}, _moving_statistics(_sgd)),
}

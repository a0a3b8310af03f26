"""A program's pure functions, composed into the graphs of a round.

A graph is given a block of devices, whose parameters are stacked, and loops over its tiles: the few
devices whose parameters and activations stay in a core's cache together. With a tile it works
through the round, question after question: it predicts, and takes the steps that the answer leads
to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from clients.program import Program

__all__ = ["Composed"]

Spec = tuple[tf.DType, Sequence[int]]


class Composed:
    """The graphs that a program's functions make, for blocks of tiles of one size."""

    def __init__(self, program: Program, tile: int) -> None:
        """Take what a program offers.

        Args:
            program: one with `fleet_predict`, `fleet_gradients` and `fleet_apply`.
            tile: devices that are computed at once; a block holds a whole number of tiles.
        """
        functions: Any = program.functions
        self._predict, self._gradients = functions.fleet_predict, functions.fleet_gradients
        self._apply, self._tile = functions.fleet_apply, tile

    def say(self, params: Any, x: Any, label: Any) -> Any:
        """Predict windows [D, N]: classes, losses and margins, all [D, N]."""

        def tile(state: Any, given: Any) -> Any:
            params, x, label = given
            logits, _ = self._predict(params, {}, x, tf.ones(x.shape[:2], tf.bool))
            predicted, loss = _said(logits, label)
            return state, (predicted, loss, _margin(logits, predicted))

        every, count = tf.constant(x.shape[0] // self._tile), x.shape[1:2]
        results = [(kind, count) for kind in (tf.int32, tf.float32, tf.float32)]
        return _by_tile(tile, self._tile, every, (), (params, x, label), results)[1]

    def work(self, tiles: Any, params: Any, slots: Any, opened: Any, *lessons: Any) -> Any:
        """Work through the questions of the first tiles; the other tiles stay as they are.

        Args:
            tiles: int32 [], how many.
            params: stacked, [D, ...].
            slots: likewise.
            opened: likewise, the parameters with which the round began; {} if those are not scored.
            lessons: the fields of `Work`, in their order.

        Returns:
            params, slots, then what was predicted and its loss, [D, E, B], the losses of the steps,
            [D, E, S], and what the opened parameters predict, [D, E, B], if they are scored.
        """

        def tile(state: Any, given: Any) -> Any:
            params, slots, *said = self._learn(*state, *given[1:])
            if given[0]:
                said.append(self._open(given[0], given[1]))
            return (params, slots), said

        windows, steps = lessons[0].shape[1:3], lessons[-1].shape[1:3]
        results = [(tf.int32, windows), (tf.float32, windows), (tf.float32, steps)]
        results += [(tf.int32, windows)] if opened else []
        state, said = _by_tile(
            tile, self._tile, tiles, (params, slots), (opened, *lessons), results
        )
        return *state, *said

    def _learn(
        self,
        params: Any,
        slots: Any,
        x: Any,
        label: Any,
        mask: Any,
        answer: Any,
        rehearsed: Any,
        taught: Any,
        kept: Any,
        steps: Any,
    ) -> Any:
        """Loop over a tile's questions, and for each over its steps."""
        (devices, questions, batch), count = x.shape[:3], steps.shape[2]
        said = [
            tf.TensorArray(dtype, questions, element_shape=[devices, batch])
            for dtype in (tf.int32, tf.float32)
        ]
        losses = tf.TensorArray(tf.float32, questions * count, element_shape=[devices])

        def ask(i: Any, params: Any, slots: Any, said: Any, losses: Any) -> Any:
            logits, _ = self._predict(params, {}, x[:, i], mask[:, i])
            each = _said(logits, tf.repeat(label[:, i, None], batch, axis=1))
            said = [array.write(i, value) for array, value in zip(said, each, strict=True)]
            own = tf.repeat(answer[:, i, None], batch, axis=1)

            def learn(j: Any, params: Any, slots: Any, losses: Any) -> Any:
                mixed = tf.concat([x[:, i], rehearsed[:, i, j]], 1)
                labels = tf.concat([own, taught[:, i, j]], 1)
                among = tf.concat([mask[:, i], kept[:, i, j]], 1)
                gradients, _, loss = self._gradients(params, {}, mixed, labels, among)
                stepped = self._apply(params, slots, gradients)
                on = steps[:, i, j]
                params, slots = (
                    {name: _where(on, new[name], old[name]) for name in old}
                    for new, old in zip(stepped, (params, slots), strict=True)
                )
                loss = tf.where(on, tf.cast(loss, tf.float32), 0.0)
                return j + 1, params, slots, losses.write(i * count + j, loss)

            loop = (tf.constant(0), params, slots, losses)
            if count == 1:  # spares a loop, so that prediction and gradient share a forward pass
                loop = learn(*loop)
            else:
                loop = tf.while_loop(lambda j, *_: j < count, learn, loop)
            return (i + 1, loop[1], loop[2], said, loop[3])

        loop = (tf.constant(0), params, slots, said, losses)
        _, params, slots, said, losses = tf.while_loop(lambda i, *_: i < questions, ask, loop)
        apart = [tf.transpose(array.stack(), [1, 0, 2]) for array in said]
        by_step = tf.reshape(losses.stack(), [questions, count, devices])
        return params, slots, *apart, tf.transpose(by_step, [2, 0, 1])

    def _open(self, params: Any, x: Any) -> Any:
        """Predict a tile's questions [D, E, B, T, C]: classes [D, E, B]."""
        devices, questions, batch = x.shape[:3]
        flat = tf.reshape(x, [devices, questions * batch, *x.shape[3:]])
        logits, _ = self._predict(params, {}, flat, tf.ones(flat.shape[:2], tf.bool))
        said = tf.argmax(logits, 2, output_type=tf.int32)
        return tf.reshape(said, [devices, questions, batch])


def _by_tile(
    function: Callable[[Any, Any], tuple[Any, Sequence[Any]]],
    tile: int,
    tiles: Any,
    state: Any,
    given: Any,
    results: Sequence[Spec],
) -> tuple[Any, list[Any]]:
    """Compute a block tile by tile.

    Args:
        function: (state, given) of one tile -> (state, results), all tensors [tile, ...].
        tile: devices in each.
        tiles: int32 [], how many are computed; the state of the others stays, their results are 0.
        state: tensors [D, ...], nested as the function takes them.
        given: likewise.
        results: type of each result, and its shape after the axis of the devices.

    Returns:
        the state and the results of the block, tensors [D, ...].
    """
    nest, count = tf.nest, next(v.shape[0] for v in tf.nest.flatten(given)) // tile
    if count == 1:
        state, said = function(state, given)
        return state, list(said)
    state, given = (
        nest.map_structure(lambda v: tf.reshape(v, [count, tile, *v.shape[1:]]), nested)
        for nested in (state, given)
    )
    states = nest.map_structure(
        lambda v: tf.TensorArray(v.dtype, count, element_shape=v.shape[1:]).unstack(v), state
    )
    said = [tf.TensorArray(t, count, element_shape=[tile, *shape]) for t, shape in results]

    def one(i: Any, states: Any, said: Any) -> Any:
        old = nest.map_structure(lambda v: v[i], state)
        new, each = function(old, nest.map_structure(lambda v: v[i], given))
        states = nest.map_structure(lambda array, value: array.write(i, value), states, new)
        said = [array.write(i, value) for array, value in zip(said, each, strict=True)]
        return i + 1, states, said

    loop = (tf.constant(0), states, said)
    _, states, said = tf.while_loop(lambda i, *_: i < tiles, one, loop)

    def joined(array: Any) -> Any:
        stack = array.stack()
        return tf.reshape(stack, [count * tile, *stack.shape[2:]])

    return nest.map_structure(joined, states), [joined(array) for array in said]


def _said(logits: Any, label: Any) -> tuple[Any, Any]:
    """Read classes and cross-entropies [D, N] off logits [D, N, K]."""
    predicted = tf.argmax(logits, axis=2, output_type=tf.int32)
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(
        tf.maximum(label, 0), tf.cast(logits, tf.float32)
    )
    return predicted, loss


def _margin(logits: Any, predicted: Any) -> Any:
    """Return how far the largest of logits [D, N, K] is ahead of the second: float32 [D, N]."""
    logits = tf.cast(logits, tf.float32)
    others = tf.one_hot(predicted, logits.shape[2], on_value=-np.inf, off_value=0.0) + logits
    return tf.reduce_max(logits, axis=2) - tf.reduce_max(others, axis=2)


def _where(on: Any, new: Any, old: Any) -> Any:
    """Take new values where a device steps: [D] over [D, ...]."""
    return tf.where(tf.reshape(on, [-1, *[1] * (len(new.shape) - 1)]), new, old)

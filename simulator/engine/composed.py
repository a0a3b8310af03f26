"""A program's pure functions, composed into the graphs of a round.

A graph is given a block of devices, whose parameters are stacked, and loops over its tiles: the few
devices whose parameters and activations stay in a core's cache together. With a tile it works
through the round, question after question: it predicts, and takes the steps that the answer leads
to. What a recurrent program carries goes from question to question with the parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from clients.methods.groups import PARAMETERS
from clients.methods.method import Method
from clients.methods.take import Take
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
        self._functions = functions
        self._predict, self._score = functions.fleet_predict, functions.fleet_score
        self._whole, self._tile = program.whole_questions, tile

    def say(self, params: Any, x: Any, label: Any, mask: Any) -> Any:
        """Predict questions [D, S, B], each by itself: classes, losses and margins, likewise."""

        def tile(state: Any, given: Any) -> Any:
            params, x, label, mask = given
            logits = self._score(params, x, mask)
            predicted, loss = _said(logits, label)
            return state, (predicted, loss, _margin(logits, predicted))

        every, count = tf.constant(x.shape[0] // self._tile), x.shape[1:3]
        results = [(kind, count) for kind in (tf.int32, tf.float32, tf.float32)]
        return _by_tile(tile, self._tile, every, (), (params, x, label, mask), results)[1]

    def begin(
        self, method: Method, numbers: Any, shared: Any, own: Any, carried: Any, *look: Any
    ) -> Any:
        """Let devices take in what the server sent, by what they see in their memories.

        Args:
            method: one that looks.
            numbers: of the method, float64 [] by name.
            shared: groups of arrays [1, ...].
            own: groups of arrays [D, ...].
            carried: stacked, [D, ...], what recurrent programs remember.
            look: windows [D, R, T, C], their classes [D, R] and which there are, bool [D, R].

        Returns:
            own.
        """
        nest, tile = tf.nest, self._tile
        numbers = _like(own[PARAMETERS], numbers)
        sent = nest.map_structure(lambda v: tf.repeat(v, tile, axis=0), shared)

        def one(state: Any, given: Any) -> Any:
            carried, x, y, mask = given
            nothing = {name: tf.zeros_like(value) for name, value in carried.items()}
            take = Take(self._functions, nothing, x, y, mask, numbers=numbers)
            return method.begin(sent, state, take), ()

        every = tf.constant(look[0].shape[0] // tile)
        return _by_tile(one, tile, every, own, (carried, *look), ())[0]

    def work(
        self,
        method: Method,
        tiles: Any,
        late: Any,
        numbers: Any,
        shared: Any,
        own: Any,
        carried: Any,
        opened: Any,
        *work: Any,
    ) -> Any:
        """Work through the questions of the first tiles; the other tiles stay as they are.

        Args:
            method: says what a step is.
            tiles: int32 [], how many.
            late: bool [E], the questions that were predicted before, and only now are answered.
            numbers: of the method, float64 [] by name.
            shared: what the server sent, groups of arrays [1, ...].
            own: what the devices are, groups of arrays [D, ...].
            carried: stacked, [D, ...], what recurrent programs remember from question to question.
            opened: likewise, the parameters with which the round began; {} if those are not scored.
            work: the fields of `Work`, in their order.

        Returns:
            own and what is carried, then what was predicted and its loss, [D, E, B], the losses of
            each step, summed over its questions, [D, E, S], and what the opened parameters
            predict, [D, E, B], if they are scored.
        """
        numbers = _like(own[PARAMETERS], numbers)

        def tile(state: Any, given: Any) -> Any:
            opened, x, mask = given[0], given[1], given[3]
            *state, predicted, loss, by_step = self._learn(
                method, late, numbers, shared, *state, *given[1:]
            )
            said = [predicted, loss, by_step]
            if opened:
                logits = self._score(opened, x, mask)
                said.append(tf.argmax(logits, 3, output_type=tf.int32))
            return tuple(state), said

        windows, steps = work[0].shape[1:3], work[-1].shape[1:3]
        results = [(tf.int32, windows), (tf.float32, windows), (tf.float32, steps)]
        results += [(tf.int32, windows)] if opened else []
        state, said = _by_tile(tile, self._tile, tiles, (own, carried), (opened, *work), results)
        return *state, *said

    def _learn(
        self,
        method: Method,
        late: Any,
        numbers: Any,
        shared: Any,
        own: Any,
        carried: Any,
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
        nothing = {name: tf.zeros_like(value) for name, value in carried.items()}

        def step(on: Any, own: Any, begin: Any, j: Any, *batch: Any) -> Any:
            """Take a step where `on`; also return what is carried in its end, and its loss."""
            x, y, mask = batch
            take = Take(self._functions, begin, x, y, mask, j, numbers)
            stepped, loss = method.step(take, own, shared)
            loss = tf.where(on, tf.cast(loss, tf.float32), 0.0)
            return _each_where(on, stepped, own), take.end, loss

        def ask(i: Any, own: Any, carried: Any, said: Any, losses: Any) -> Any:
            logits, ahead = self._predict(own[PARAMETERS], carried, x[:, i], mask[:, i])
            each = _said(logits, tf.repeat(label[:, i, None], batch, axis=1))
            said = [array.write(i, value) for array, value in zip(said, each, strict=True)]
            answered = tf.repeat(answer[:, i, None], batch, axis=1)
            is_late = tf.repeat(late[i], devices)
            begin = _where(is_late, nothing, _shaped(ahead, carried))

            def learn(j: Any, own: Any, end: Any, first: Any, losses: Any) -> Any:
                on, among = steps[:, i, j], (rehearsed[:, i, j], taught[:, i, j], kept[:, i, j])
                given, loss = (x[:, i], answered, mask[:, i]), tf.zeros([devices])
                if not self._whole:
                    given = tuple(tf.concat(pair, 1) for pair in zip(given, among, strict=True))
                elif rehearsed.shape[3]:
                    there = on & tf.reduce_any(among[2], axis=1)
                    own, _, loss = step(there, own, nothing, j, *among)
                own, new, more = step(on, own, begin, j, *given)
                end = _where(on & first, new, end)
                losses = losses.write(i * count + j, loss + more)
                return j + 1, own, end, first & ~on, losses

            first = tf.ones([devices], tf.bool)
            loop = (tf.constant(0), own, begin, first, losses)
            if count == 1:  # spares a loop, so that prediction and gradient share a forward pass
                loop = learn(*loop)
            else:
                loop = tf.while_loop(lambda j, *_: j < count, learn, loop)
            _, own, end, _, losses = loop
            return i + 1, own, _where(is_late, carried, end), said, losses

        loop = (tf.constant(0), own, carried, said, losses)
        loop = tf.while_loop(lambda i, *_: i < questions, ask, loop)
        _, own, carried, said, losses = loop
        apart = [tf.transpose(array.stack(), [1, 0, 2]) for array in said]
        by_step = tf.reshape(losses.stack(), [questions, count, devices])
        return own, carried, *apart, tf.transpose(by_step, [2, 0, 1])


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
    """Read classes and cross-entropies off logits [..., K]."""
    predicted = tf.argmax(logits, axis=-1, output_type=tf.int32)
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(
        tf.maximum(label, 0), tf.cast(logits, tf.float32)
    )
    return predicted, loss


def _margin(logits: Any, predicted: Any) -> Any:
    """Return how far the largest of logits [..., K] is ahead of the second: float32 [...]."""
    logits = tf.cast(logits, tf.float32)
    others = tf.one_hot(predicted, logits.shape[-1], on_value=-np.inf, off_value=0.0) + logits
    return tf.reduce_max(logits, axis=-1) - tf.reduce_max(others, axis=-1)


def _like(params: Any, numbers: Any) -> Any:
    """Give numbers by name the dtype of parameters."""
    dtype = next(iter(params.values())).dtype
    return {name: tf.cast(value, dtype) for name, value in numbers.items()}


def _each_where(on: Any, new: Any, old: Any) -> Any:
    """Take new values of the groups that changed, for some devices, bool [D]."""
    return {
        group: arrays if new[group] is arrays else _where(on, new[group], arrays)
        for group, arrays in old.items()
    }


def _where(on: Any, new: Any, old: Any) -> Any:
    """Take new values by name [D, ...] for some devices, bool [D]."""
    new = _shaped(new, old)
    return {
        name: tf.where(tf.reshape(on, [-1, *[1] * (len(value.shape) - 1)]), new[name], value)
        for name, value in old.items()
    }


def _shaped(new: Any, old: Any) -> Any:
    """Give what a loaded function returned, which leaves D open, the shapes of what it got."""
    return {name: tf.ensure_shape(new[name], value.shape) for name, value in old.items()}

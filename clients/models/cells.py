"""Recurrent cells over stacked parameters, and the loop that carries their state through time.

S sequences of each of D devices advance together. What a cell makes of its inputs does not depend
on its state, and is computed for all steps at once before the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from clients.models.layers import normal

__all__ = ["GRU", "LSTM", "Cell", "advance"]

Carried = tuple[tf.Tensor, ...]
Arrays = list[tf.TensorArray]


@dataclass(frozen=True, slots=True)
class Cell:
    """A kind of recurrent cell with U units and G gates.

    Attributes:
        gates: values that each unit computes in a step.
        carried: names of what it carries from step to step; the first is its output.
        step: (gates of the input [D, S, U * G], of the state likewise, carried) -> carried.
        bias: value with which each gate's bias begins.
    """

    gates: int
    carried: tuple[str, ...]
    step: Callable[[tf.Tensor, tf.Tensor, Carried], Carried]
    bias: tuple[float, ...]

    def init(
        self, random: np.random.Generator, inputs: int, units: int
    ) -> dict[str, NDArray[np.float32]]:
        """Draw one device's parameters; at first the state is turned and not stretched."""
        square = random.standard_normal((self.gates, units, units))
        turns = np.concatenate([np.linalg.qr(part)[0] for part in square], axis=1)
        return {
            "inputs": normal(random, inputs, units * self.gates, variance=1.0),
            "state": turns.astype(np.float32),
            "bias": np.repeat(np.asarray(self.bias, np.float32), units),
            "state_bias": np.zeros(units * self.gates, np.float32),
        }


def _lstm(given: tf.Tensor, kept: tf.Tensor, carried: Carried) -> Carried:
    """Step as Gers et al. (2000) do: input, forget gate, candidate, output gate."""
    enter, forget, new, leave = tf.split(given + kept, 4, axis=2)
    cell = tf.sigmoid(forget) * carried[1] + tf.sigmoid(enter) * tf.tanh(new)
    return tf.sigmoid(leave) * tf.tanh(cell), cell


def _gru(given: tf.Tensor, kept: tf.Tensor, carried: Carried) -> Carried:
    """Step as Cho et al. (2014) do, the reset gate applied after the product with the state."""
    (keep, reset, new), (keep_h, reset_h, new_h) = (
        tf.split(part, 3, axis=2) for part in (given, kept)
    )
    keep = tf.sigmoid(keep + keep_h)
    new = tf.tanh(new + tf.sigmoid(reset + reset_h) * new_h)
    return (keep * carried[0] + (1.0 - keep) * new,)


LSTM = Cell(4, ("output", "cell"), _lstm, (0.0, 1.0, 0.0, 0.0))
GRU = Cell(3, ("output",), _gru, (0.0, 0.0, 0.0))


def advance(
    cell: Cell,
    params: Mapping[str, tf.Tensor],
    x: tf.Tensor,
    carried: Mapping[str, tf.Tensor] | None = None,
    mask: tf.Tensor | None = None,
    *,
    reverse: bool = False,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Carry a cell's state through sequences.

    Args:
        cell: the kind of cell.
        params: as `Cell.init` names them, each [D, ...].
        x: [D, S, L, C], L steps in order of time.
        carried: where the sequences begin, [D, S, U] by name; None begins with zeros.
        mask: bool [D, S, L], the steps that there are; others leave the state as it is.
        reverse: whether time runs backwards.

    Returns:
        the outputs [D, S, L, U], and what is carried in the end.
    """
    devices, sequences, length = (tf.shape(x)[axis] for axis in range(3))
    units = params["state"].shape[1]
    flat = tf.reshape(x, [-1, sequences * length, x.shape[3]])
    given = tf.matmul(flat, params["inputs"]) + params["bias"][:, None, :]
    given = tf.reshape(given, [-1, sequences, length, units * cell.gates])
    by_time = tf.transpose(given, [2, 0, 1, 3])
    if mask is None:
        mask = tf.ones([devices, sequences, length], tf.bool)
    nothing = tf.zeros([devices, sequences, units], x.dtype)
    begin = [nothing if carried is None else carried[name] for name in cell.carried]
    there = tf.transpose(mask, [2, 0, 1])[..., None]
    if reverse:
        by_time, there = tf.reverse(by_time, [0]), tf.reverse(there, [0])
    states = _pass(cell, there, by_time, params["state"], params["state_bias"], *begin)
    end = {name: state[-1] for name, state in zip(cell.carried, states, strict=True)}
    outputs = tf.reverse(states[0], [0]) if reverse else states[0]
    return tf.transpose(outputs, [1, 2, 0, 3]), end


def _pass(cell: Cell, there: tf.Tensor, *inputs: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Carry a state through time; the gradient is written down as a loop back through time.

    Derived from the loop forth, it would depend on shapes that a compiler does not know.

    Args:
        cell: the kind of cell.
        there: bool [L, D, S, 1], the steps that there are.
        inputs: gates of the inputs [L, D, S, U * G], kernel [D, U, U * G], bias [D, U * G], and
            what is carried at first, [D, S, U] each.

    Returns:
        what is carried after each step, [L, D, S, U] each.
    """

    def kept_of(state: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
        return tf.matmul(state, kernel) + bias[:, None, :]

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def run(given: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, *begin: tf.Tensor) -> Any:
        length, units = tf.shape(given)[0], kernel.shape[1]

        def array(width: int) -> tf.TensorArray:
            return tf.TensorArray(given.dtype, length, element_shape=[None, None, width])

        def forth(at: tf.Tensor, state: Carried, kept: Arrays) -> tuple[Any, ...]:
            new = cell.step(given[at], kept_of(state[0], kernel, bias), state)
            new = tuple(tf.where(there[at], n, o) for n, o in zip(new, state, strict=True))
            return at + 1, new, [a.write(at, n) for a, n in zip(kept, new, strict=True)]

        loop = (tf.constant(0), begin, [array(units) for _ in begin])
        _, _, kept = _while(length, forth, loop)
        states = tuple(a.stack() for a in kept)
        before = [
            tf.concat([first[None], state[:-1]], axis=0)
            for first, state in zip(begin, states, strict=True)
        ]

        def gradient(*upstream: tf.Tensor) -> tuple[tf.Tensor, ...]:
            def back(done: tf.Tensor, ahead: Carried, onto: Arrays) -> tuple[Any, ...]:
                at = length - 1 - done
                whole = [a + u[at] for a, u in zip(ahead, upstream, strict=True)]
                taken = [tf.where(there[at], w, tf.zeros_like(w)) for w in whole]
                old, x = tuple(b[at] for b in before), given[at]
                product = kept_of(old[0], kernel, bias)
                with tf.GradientTape() as tape:
                    tape.watch([x, product, *old])
                    new = cell.step(x, product, old)
                to_x, to_product, *to_old = tape.gradient(
                    new, [x, product, *old], taken, unconnected_gradients="zero"
                )
                to_old[0] += tf.matmul(to_product, kernel, transpose_b=True)
                passed = tuple(
                    o + tf.where(there[at], tf.zeros_like(w), w)
                    for o, w in zip(to_old, whole, strict=True)
                )
                written = zip(onto, (to_x, to_product), strict=True)
                return done + 1, passed, [a.write(at, value) for a, value in written]

            none = tuple(tf.zeros_like(first) for first in begin)
            loop = (tf.constant(0), none, [array(kernel.shape[2]) for _ in range(2)])
            _, to_begin, onto = _while(length, back, loop)
            to_given, to_products = (a.stack() for a in onto)
            to_kernel = tf.matmul(_by_device(before[0]), _by_device(to_products), transpose_a=True)
            return to_given, to_kernel, tf.reduce_sum(to_products, axis=[0, 2]), *to_begin

        return states, gradient

    return tuple(run(*inputs))


def _while(length: tf.Tensor, body: Callable[..., Any], loop: tuple[Any, ...]) -> tuple[Any, ...]:
    """Loop through time."""
    found: tuple[Any, ...] = tf.while_loop(
        lambda at, *_: at < length, body, loop, maximum_iterations=length
    )
    return found


def _by_device(states: tf.Tensor) -> tf.Tensor:
    """Put a device's steps of all sequences in a row: [L, D, S, U] -> [D, S * L, U]."""
    shape = tf.shape(states)
    return tf.reshape(
        tf.transpose(states, [1, 2, 0, 3]), [shape[1], shape[2] * shape[0], states.shape[3]]
    )

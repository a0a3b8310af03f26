"""A program's pure functions, composed into compiled calls that compute a tile of devices.

A tile is a few devices whose parameters are stacked. One call works through a round: question
after question it predicts, and takes the steps that the answer leads to.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from clients.methods import Arrays
from clients.program import Program

__all__ = ["Compiled", "Said", "Tensors", "TileState", "Work", "Worked"]

Tensors = Mapping[str, tf.Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class TileState:
    """What changes in the devices of a tile as they learn: stacked tensors [D, ...] by name."""

    params: Tensors
    slots: Tensors


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What D devices said of windows.

    Attributes:
        predicted: int32 [D, ...], classes.
        loss: float32 [D, ...], cross-entropy.
        margin: float32 [D, ...], between the two largest logits.
    """

    predicted: NDArray[np.int32]
    loss: NDArray[np.float32]
    margin: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """What D devices are to work through: E questions of B windows, S steps each with R more.

    Attributes:
        x: float32 [D, E, B, T, C], the questions' windows.
        label: int32 [D, E], what is true of them.
        mask: bool [D, E, B], which of them there are.
        answer: int32 [D, E], as which class they are learnt.
        rehearsed: float32 [D, E, S, R, T, C].
        taught: int32 [D, E, S, R], the classes of the rehearsed windows.
        kept: bool [D, E, S, R], which of the rehearsed windows there are.
        steps: bool [D, E, S], which steps are taken.
    """

    x: NDArray[np.float32]
    label: NDArray[np.int32]
    mask: NDArray[np.bool_]
    answer: NDArray[np.int32]
    rehearsed: NDArray[np.float32]
    taught: NDArray[np.int32]
    kept: NDArray[np.bool_]
    steps: NDArray[np.bool_]


class Worked(NamedTuple):
    """What came of a call that learns.

    Attributes:
        state: of the tile after it.
        said: of x, before it was learnt: [D, E, B].
        opened: int32 [D, E, B], what the model with which the round began makes of x; None where
            that was not asked for.
        losses: float32 [D, E, S], of the steps, 0 where none was taken.
    """

    state: TileState
    said: Said
    opened: NDArray[np.int32] | None
    losses: NDArray[np.float32]


class Compiled:
    """A loaded program that computes tiles.

    Attributes:
        seconds: spent inside compiled calls so far, compiling left out.
    """

    def __init__(self, program: Program) -> None:
        """Compose what a program offers.

        Args:
            program: one with `fleet_predict`, `fleet_gradients` and `fleet_apply`.
        """
        self.program = program
        self.seconds = 0.0
        self._calls: dict[tuple[Any, ...], Any] = {}
        functions: Any = program.functions
        self._predict, self._gradients = functions.fleet_predict, functions.fleet_gradients
        self._apply = functions.fleet_apply

    @property
    def first_step(self) -> int:
        """Steps that a new device's program has taken before."""
        return int(self.program.read_state()["step"])

    def start(self) -> tuple[Arrays, Arrays]:
        """Return the parameters and slots of a device that is new."""
        return self.program.read_pure()

    def variables(self, state: TileState, place: int, steps: int) -> dict[str, NDArray[Any]]:
        """Return the variables of one device's SavedModel by their names in the checkpoint.

        Args:
            state: of the device's tile.
            place: of the device in it.
            steps: that the device took since it was new.
        """
        own = self.program.read_state()
        own["step"] = np.asarray(self.first_step + steps, own["step"].dtype)
        for start, tensors in (("params", state.params), ("slots", state.slots)):
            own |= {f"{start}/{name}": tensor[place].numpy() for name, tensor in tensors.items()}
        return own

    def say(self, params: Tensors, x: NDArray[np.float32], label: NDArray[np.int32]) -> Said:
        """Predict windows without learning.

        Args:
            params: stacked, [D, ...].
            x: float32 [D, N, T, C].
            label: int32 [D, N], what is true of each; any class where that does not matter.
        """
        return Said(*self._call(self._say, params, x, label))

    def work(self, state: TileState, work: Work, opened: Tensors | None) -> Worked:
        """Work through questions: predict, then learn from the answer, one after the other.

        Args:
            state: of the tile.
            work: what its devices are to work through.
            opened: the parameters with which the round began, if they are to be scored too.
        """
        fields = (getattr(work, name) for name in Work.__slots__)
        done = self._call(self._work, state.params, state.slots, opened or {}, *fields)
        params, slots, predicted, loss, margin, losses, *was = done
        said = Said(predicted, loss, margin)
        return Worked(TileState(params, slots), said, was[0] if was else None, losses)

    def _call(self, function: Any, *arguments: Any) -> list[Any]:
        """Call a function, compiled for the shapes of its arguments, and wait for what it returns.

        Args:
            function: of tensors, and of dictionaries of tensors.
            arguments: arrays in place of single tensors.

        Returns:
            arrays in place of single tensors.
        """
        begun = time.perf_counter()
        given = [dict(a) if isinstance(a, Mapping) else tf.constant(a) for a in arguments]
        shapes = (function.__name__, *(_shape(g) for g in given))
        fresh = shapes not in self._calls
        if fresh:
            compiled = tf.function(function, jit_compile=True, autograph=False)
            self._calls[shapes] = compiled.get_concrete_function(*given)
        done = self._calls[shapes](*given)
        results = [r if isinstance(r, dict) else r.numpy() for r in done]
        if not fresh:
            self.seconds += time.perf_counter() - begun
        return results

    def _say(self, params: Any, x: Any, label: Any) -> Any:
        """Predict windows [D, N]: classes, losses, margins, all [D, N]."""
        logits, _ = self._predict(params, {}, x, tf.ones(x.shape[:2], tf.bool))
        return _said(logits, label)

    def _work(
        self,
        params: Any,
        slots: Any,
        opened: Any,
        x: Any,
        label: Any,
        mask: Any,
        answer: Any,
        rehearsed: Any,
        taught: Any,
        kept: Any,
        steps: Any,
    ) -> Any:
        """Loop over the questions, and for each over its steps."""
        (devices, questions, batch), count = x.shape[:3], steps.shape[2]
        said = [
            tf.TensorArray(dtype, questions, element_shape=[devices, batch])
            for dtype in (tf.int32, tf.float32, tf.float32)
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
        done = params, slots, *apart, tf.transpose(by_step, [2, 0, 1])
        if not opened:
            return done
        flat = tf.reshape(x, [devices, questions * batch, *x.shape[3:]])
        was, _ = self._predict(opened, {}, flat, tf.ones(flat.shape[:2], tf.bool))
        was = tf.argmax(was, 2, output_type=tf.int32)
        return *done, tf.reshape(was, [devices, questions, batch])


def _shape(given: Any) -> Any:
    """Return what a compiled call depends on: a shape, or how many tensors there are."""
    return len(given) if isinstance(given, dict) else tuple(given.shape)


def _said(logits: Any, label: Any) -> tuple[Any, Any, Any]:
    """Read classes, cross-entropies and margins [D, N] off logits [D, N, K]."""
    predicted = tf.argmax(logits, axis=2, output_type=tf.int32)
    logits = tf.cast(logits, tf.float32)
    best = tf.reduce_max(logits, axis=2)
    others = tf.one_hot(predicted, logits.shape[2], on_value=-np.inf, off_value=0.0) + logits
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(label, 0), logits)
    return predicted, loss, best - tf.reduce_max(others, axis=2)


def _where(on: Any, new: Any, old: Any) -> Any:
    """Take new values where a device steps: [D] over [D, ...]."""
    return tf.where(tf.reshape(on, [-1, *[1] * (len(new.shape) - 1)]), new, old)

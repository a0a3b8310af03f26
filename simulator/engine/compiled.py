"""A loaded program that computes blocks of devices, a round of each in one compiled call."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from clients.methods import Arrays, Method
from clients.methods.groups import PARAMETERS, SLOTS, Groups
from clients.program import Program
from simulator.engine.composed import Composed

__all__ = ["BlockState", "Compiled", "Said", "Tensors", "Work", "Worked"]

Tensors = Mapping[str, tf.Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class BlockState:
    """What changes in the devices of a block as they learn: stacked tensors [D, ...] by name.

    Attributes:
        own: groups of tensors: "parameters", which answer the user, "slots", what the optimizer
            keeps of them, and those that the way of learning adds.
        carried: what a recurrent program remembers from question to question.
    """

    own: Groups
    carried: Tensors

    @property
    def params(self) -> Tensors:
        """What answers the user."""
        return self.own[PARAMETERS]


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What D devices said of S questions of B windows.

    Attributes:
        predicted: int32 [D, S, B], classes.
        loss: float32 [D, S, B], cross-entropy.
        margin: float32 [D, S, B], between the two largest logits.
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
        state: of the block after it.
        predicted: int32 [D, E, B], what the devices said of x, before it was learnt.
        loss: float32 [D, E, B], cross-entropy of that.
        losses: float32 [D, E, S], of the gradients that each step took, summed; 0 where none was.
        opened: int32 [D, E, B], what the model with which the round began makes of x; None where
            that was not asked for.
    """

    state: BlockState
    predicted: NDArray[np.int32]
    loss: NDArray[np.float32]
    losses: NDArray[np.float32]
    opened: NDArray[np.int32] | None = None


class Compiled:
    """A loaded program that computes blocks of devices.

    Attributes:
        tile: devices of a block that are computed at once.
        seconds: spent inside compiled calls so far, compiling left out.
    """

    def __init__(self, program: Program, tile: int) -> None:
        """Compose what a program offers.

        Args:
            program: one with `fleet_predict`, `fleet_gradients` and `fleet_apply`.
            tile: devices that are computed at once; a block holds a whole number of tiles.
        """
        self.program, self.tile = program, tile
        self.seconds = 0.0
        self._calls: dict[tuple[Any, ...], Any] = {}
        self._graphs = Composed(program, tile)

    @property
    def first_step(self) -> int:
        """Steps that a new device's program has taken before."""
        return int(self.program.read_state()["step"])

    def start(self) -> tuple[Arrays, ...]:
        """Return the parameters, the slots and what is carried, of a device that is new."""
        return self.program.read_pure()

    def begin(
        self, method: Method, shared: Groups, state: BlockState, look: Sequence[NDArray[Any]]
    ) -> Groups:
        """Let devices take in what the server sent, by what they see in their memories.

        Args:
            method: one that looks.
            shared: groups of tensors [1, ...].
            state: of the block.
            look: windows, float32 [D, R, T, C], their classes, int32 [D, R], and which there are.

        Returns:
            what the devices then are.
        """
        key = ("begin", *method.key)
        begin = partial(self._graphs.begin, method)
        before = (_scalars(method), shared, state.own, state.carried)
        return cast(Groups, self._call(key, begin, *before, *look))

    def variables(self, state: BlockState, place: int, steps: int) -> dict[str, NDArray[Any]]:
        """Return the variables of one device's SavedModel by their names in the checkpoint.

        Args:
            state: of the device's tile.
            place: of the device in it.
            steps: that the device took since it was new.
        """
        own = self.program.read_state()
        own["step"] = np.asarray(self.first_step + steps, own["step"].dtype)
        for start, tensors in (
            ("params", state.params), ("slots", state.own[SLOTS]), ("state", state.carried)
        ):  # fmt: skip
            own |= {f"{start}/{name}": tensor[place].numpy() for name, tensor in tensors.items()}
        return own

    def say(
        self,
        params: Tensors,
        x: NDArray[np.float32],
        label: NDArray[np.int32],
        mask: NDArray[np.bool_],
    ) -> Said:
        """Predict questions, each by itself, without learning.

        Args:
            params: stacked, [D, ...].
            x: float32 [D, S, B, T, C].
            label: int32 [D, S, B], what is true of each; any class where that does not matter.
            mask: bool [D, S, B], which windows there are.
        """
        return Said(*self._call(("say",), self._graphs.say, params, x, label, mask))

    def work(
        self,
        method: Method,
        shared: Groups,
        state: BlockState,
        work: Work,
        opened: Tensors | None,
        late: NDArray[np.bool_],
    ) -> Worked:
        """Work through questions: predict, then learn from the answer, one after the other.

        Args:
            method: says what a step is.
            shared: what the server sent, groups of tensors [1, ...].
            state: of the block.
            work: what its devices are to work through; tiles without any window at the end of the
                block are not computed.
            opened: the parameters with which the round began, if they are to be scored too.
            late: bool [E], the questions that were predicted before, and only now are answered.
        """
        busy = np.flatnonzero(work.mask.any(axis=(1, 2)))
        tiles = np.int32(busy[-1] // self.tile + 1 if busy.size else 0)
        fields = (getattr(work, name) for name in Work.__slots__)
        before = (_scalars(method), shared, state.own, state.carried, opened or {})
        key = ("work", *(() if method.plain else method.key))  # one program serves all plain ones
        step = partial(self._graphs.work, method)
        done = self._call(key, step, tiles, late, *before, *fields)
        return Worked(BlockState(*done[:2]), *done[2:])

    def _call(self, key: tuple[Any, ...], function: Any, *arguments: Any) -> Any:
        """Call a function, compiled for the shapes of its arguments, and wait for what it returns.

        Args:
            key: which function it is.
            function: of tensors, and of nested dictionaries of tensors.
            arguments: arrays in place of single tensors.

        Returns:
            what it returns, arrays in place of single tensors.
        """
        begun = time.perf_counter()
        given = [a if isinstance(a, dict) else tf.constant(a) for a in map(_plain, arguments)]
        shapes = (key, *(_shape(g) for g in given))
        fresh = shapes not in self._calls
        if fresh:
            compiled = tf.function(function, jit_compile=True, autograph=False)
            self._calls[shapes] = compiled.get_concrete_function(*given)
        done = self._calls[shapes](*given)
        if not isinstance(done, dict):
            done = [r if isinstance(r, dict) else r.numpy() for r in done]
        if not fresh:
            self.seconds += time.perf_counter() - begun
        return done


def _scalars(method: Method) -> Tensors:
    """Return a method's numbers as tensors: a compiled call would keep plain ones for good."""
    return {name: tf.constant(value, tf.float64) for name, value in method.numbers.items()}


def _plain(given: Any) -> Any:
    """Turn mappings, nested or not, into dictionaries, as TensorFlow takes them."""
    if isinstance(given, Mapping):
        return {key: _plain(value) for key, value in given.items()}
    return given


def _shape(given: Any) -> Any:
    """Return what a compiled call depends on: a shape, or how many tensors there are."""
    if isinstance(given, dict):
        groups = ((key, len(value)) for key, value in given.items() if isinstance(value, dict))
        return len(given), *groups
    return tuple(given.shape)

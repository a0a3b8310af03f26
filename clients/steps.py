"""The steps of one device's lesson, by its program's own `learn` or as its method says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients.learner import Learner, Pure, nothing
from clients.lessons import Lesson
from clients.methods import Arrays, Method
from clients.methods.groups import PARAMETERS, SLOTS, Groups
from clients.methods.take import Take
from clients.wear import Habits

__all__ = ["Apart", "Learn", "Read", "learn_plainly", "take_steps"]

Read = Callable[[NDArray[np.int32]], NDArray[np.float32]]
"""Gives windows of the pool, int32 [N], as a device measures them: float32 [N, T, C]."""

Learn = Callable[[NDArray[np.int32], NDArray[np.int32], int], float]
"""Takes a step on windows of the pool, int32 [N], -1 where there is none, and their classes, as the
nth step of a question; returns the loss."""


def learn_plainly(program: Learner, read: Read) -> Learn:
    """Return what takes a step by the program's own `learn`."""

    def learn(windows: NDArray[np.int32], labels: NDArray[np.int32], index: int) -> float:
        del index
        there = windows >= 0
        return program.learn(read(windows[there]), labels[there])

    return learn


class Apart:
    """What a way of learning keeps on one device beside the program's variables.

    Attributes:
        groups: of arrays [1, ...].
    """

    def __init__(self, program: Learner, method: Method, chance: float) -> None:
        """Give the device a fresh start.

        Args:
            program: the device's own.
            method: of the first round.
            chance: the device's draw, in [0, 1).
        """
        self._program = program
        self.groups: Groups = {}
        self._put(method.start(self._own(), np.array([chance], np.float32)))

    def begin(self, method: Method, shared: Groups, take: Take | None) -> Groups:
        """Return what the device would be with what the server sent: groups of arrays [1, ...]."""
        return method.begin(stack(shared), self._own(), take)

    def become(self, method: Method, shared: Groups, take: Take | None) -> None:
        """Be what `begin` returns; what is private stays as it is, and its optimizer too."""
        own = self._own()
        new = method.begin(stack(shared), own, take)
        params = _changed(new[PARAMETERS], own[PARAMETERS])
        if self._program.functions is None:  # what its optimizer keeps is its own business
            self._program.assign_parameters(params, fresh_slots=True)
        else:
            self._program.assign_pure(Pure(params, _changed(new[SLOTS], own[SLOTS]), {}))
        self._put(new)

    def end(self, method: Method, shared: Groups) -> tuple[Groups, Mapping[str, Any]]:
        """Return what the device sends, groups of arrays [1, ...], and what it tells beside it."""
        sent, own, told = method.end(self._own(), {} if method.plain else stack(shared))
        self._put(own)
        return sent, told

    def learn(self, method: Method, shared: Groups, read: Read) -> Learn:
        """Return what takes a step as the method says, where the server sent `shared`."""
        program, sent = self._program, stack(shared)

        def learn(windows: NDArray[np.int32], labels: NDArray[np.int32], index: int) -> float:
            carried = program.read_pure().carried
            take = take_of(program, method, carried, read, windows, labels, index)
            new, loss = method.step(take, self._own(), sent)
            params, slots = (_first(new[group]) for group in (PARAMETERS, SLOTS))
            program.assign_pure(Pure(params, slots, _first(take.end or {})), steps=1)
            self._put(new)
            return float(np.asarray(loss)[0])

        return learn

    def _own(self) -> Groups:
        pure = self._program.read_pure()
        return {**stack({PARAMETERS: pure.params, SLOTS: pure.slots}), **self.groups}

    def _put(self, own: Groups) -> None:
        self.groups = {g: arrays for g, arrays in own.items() if g not in (PARAMETERS, SLOTS)}


def take_of(
    program: Learner,
    method: Method,
    carried: Arrays,
    read: Read,
    windows: NDArray[np.int32],
    labels: NDArray[np.int32],
    index: int = 0,
) -> Take:
    """Lay out a step of one device; places without a window (-1) are masked, not left out."""
    x, there = read(np.maximum(windows, 0)), windows >= 0
    begin = {name: value[None] for name, value in carried.items()}
    given = x[None], labels[None], there[None]
    return Take(program.functions, begin, *given, index, method.numbers)


def stack(groups: Groups) -> dict[str, dict[str, Any]]:
    """Give groups of one device's arrays a device axis."""
    return {g: {n: np.asarray(v)[None] for n, v in some.items()} for g, some in groups.items()}


def _first(arrays: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    return {name: np.asarray(value)[0] for name, value in arrays.items()}


def _changed(new: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    return _first({name: value for name, value in new.items() if value is not old[name]})


def take_steps(
    program: Learner, lesson: Lesson, learn: Learn, habits: Habits, *, late: bool = False
) -> list[float]:
    """Take the steps of one device's lesson; the program goes on from where the first left it.

    All steps start from where the question's prediction did, but for those of a late answer,
    which start from nothing and leave no trace in what the program carries.

    Args:
        program: what learns.
        lesson: of one device, with an answer.
        learn: takes a step.
        habits: whether whole questions are rehearsed.
        late: whether the question was predicted long before.

    Returns:
        the loss of each step, and of each rehearsal that is a step of its own.
    """
    carried = program.read_context()
    begin, end = (nothing(carried), carried) if late else (carried, None)
    windows, losses = lesson.windows[0], []
    labels = np.full(windows.size, lesson.answer[0], np.int32)
    for step in np.flatnonzero(lesson.steps[0]).tolist():
        rehearsed, taught = lesson.rehearsed[0, step], lesson.taught[0, step]
        mixed = windows, labels
        if not habits.whole_questions:
            mixed = np.concatenate([windows, rehearsed]), np.concatenate([labels, taught])
        elif (rehearsed >= 0).any():
            program.assign_context(nothing(carried))
            losses.append(learn(rehearsed, taught, step))
        program.assign_context(begin)
        losses.append(learn(*mixed, step))
        end = program.read_context() if end is None else end
    program.assign_context(end or {})
    return losses

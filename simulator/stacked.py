"""The fleet engine's cohort: its devices are stacked and computed block by block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from clients.lessons import Lesson, Lessons
from clients.methods import Arrays, Method
from clients.outcome import Outcome
from clients.wear import Habits, Wear
from simulator.blocks import begun, block_size, stacked
from simulator.compiled import BlockState, Said, Tensors, Work, Worked

__all__ = ["Kernel", "Stacked"]

_CALL_BYTES = 64 * 2**20  # of windows that one call is given at most
_SCORED_SAMPLES = 2048  # of one device's holdout that a call is given


class Kernel(Protocol):
    """What computes blocks of devices: a compiled program, or a rule.

    Attributes:
        tile: devices of a block that it computes at once.
    """

    tile: int

    @property
    def first_step(self) -> int:
        """Steps that a new device's program has taken before."""
        ...

    def start(self) -> tuple[Arrays, ...]:
        """Return the parameters, the slots and what is carried, of a device that is new."""
        ...

    def say(
        self,
        params: Tensors,
        x: NDArray[np.float32],
        label: NDArray[np.int32],
        mask: NDArray[np.bool_],
    ) -> Said:
        """Predict questions [D, S, B, T, C] whose windows are truly `label`, without learning."""
        ...

    def work(
        self, state: BlockState, work: Work, opened: Tensors | None, late: NDArray[np.bool_]
    ) -> Worked:
        """Work through questions, learning from each; also score the model `opened`, if any."""
        ...

    def variables(self, state: BlockState, place: int, steps: int) -> dict[str, NDArray[Any]]:
        """Return the variables of one device's SavedModel by their names in the checkpoint."""
        ...


class Stacked:
    """The devices of a cohort, computed together."""

    def __init__(self, wear: Wear, habits: Habits, kernel: Kernel, largest: int) -> None:
        """Give every device a fresh start.

        Args:
            wear: who wears the devices.
            habits: how the wearers answer and the devices learn.
            kernel: computes them.
            largest: devices in the largest cohort; all cohorts have blocks of one size, so that
                what is compiled for one serves all.
        """
        self._wear, self._habits, self._kernel = wear, habits, kernel
        self._lessons = Lessons(wear.devices, habits)
        length, channels = wear.pool.length, wear.pool.channels
        windows = habits.batch * (1 + (habits.steps if habits.memory else 0))
        question_bytes = windows * length * channels * 4
        start = kernel.start()
        state_bytes = sum(np.asarray(v).nbytes for part in start for v in part.values())
        bytes_each = max(question_bytes * habits.questions_per_round, state_bytes)
        block = block_size(largest, kernel.tile, bytes_each)
        longest_first = np.argsort(-wear.streams.lengths(), kind="stable")
        cut = np.split(longest_first, np.arange(block, len(wear), block))
        self._own = [rows.size for rows in cut]
        # The last block is filled up with copies of a device, which learn nothing.
        self._blocks = [np.pad(rows, (0, block - rows.size), "edge") for rows in cut]
        new = BlockState(*(stacked(part, block) for part in start))
        self._states = [new] * len(cut)  # tensors never change, so that blocks may share them
        self._carries = bool(new.carried)
        self._gradients = np.zeros(len(wear), np.int64)
        room = _CALL_BYTES // (block * question_bytes)
        self._questions_a_call = max(1, min(habits.questions_per_round, room))
        self._scored_a_call = max(32, _SCORED_SAMPLES // length)

    def begin(self, method: Method, shared: Arrays, downloads: NDArray[np.bool_]) -> None:
        """Take in what the server sent; the optimizer starts afresh for it.

        Args:
            method: mixes the shared and the private arrays.
            shared: what the server sent.
            downloads: bool [D], who receives it.
        """
        sent = stacked(shared, len(self._blocks[0]))
        for i, rows in enumerate(self._blocks):
            if downloads[rows].any():
                self._states[i] = begun(self._states[i], method, sent, downloads[rows])

    def work(self, round_: int, learns: NDArray[np.bool_]) -> Outcome:
        """Work through the questions of one round.

        Args:
            round_: the round, from 1.
            learns: bool [D], whose answers lead to steps; those of others only fill the memory.
        """
        habits, lessons = self._habits, self._lessons
        outcome = Outcome.empty(len(self._wear), habits.questions_per_round, habits.batch)
        outcome.windows[:], outcome.label[:] = self._wear.streams.in_round(
            round_, habits.questions_per_round
        )
        certainty = self._certainty(outcome) if habits.ask == "uncertain" else None
        outcome.asked[:], outcome.answer[:] = lessons.ask(round_, outcome.label, certainty)
        late = list(lessons.due(round_))
        given = Lesson.stacked([*late, *lessons.now(round_, outcome.windows, outcome.answer)])
        given.steps[~learns] = False
        losses = np.zeros(len(self._wear))
        for i, rows in enumerate(self._blocks):
            if (given.windows[rows] >= 0).any():
                own = rows[: self._own[i]]
                losses[own] = self._work_block(i, given.take(rows), len(late), outcome)[: own.size]
        _count(outcome, given, losses, habits)
        self._gradients += outcome.gradients
        outcome.memory_windows[:] = lessons.memory_windows
        return outcome

    def updates(
        self, method: Method, uploads: NDArray[np.bool_]
    ) -> Iterator[tuple[NDArray[np.int64], Arrays]]:
        """Give what devices send to the server after a round, block by block.

        Args:
            method: says what is shared.
            uploads: bool [D], who sends.

        Yields:
            rows, int64 [n], and their arrays, stacked [n, ...].
        """
        for i, rows in enumerate(self._blocks):
            own = np.flatnonzero(uploads[rows[: self._own[i]]])
            if own.size:
                shared = method.end(self._states[i].params)[0]
                whole = own.size == own[-1] + 1
                part = slice(own.size) if whole else own  # a view spares a copy
                yield rows[own], {name: np.asarray(tensor)[part] for name, tensor in shared.items()}

    def score_holdout(self, method: Method, shared: Arrays | None) -> NDArray[np.int64]:
        """Score the windows that are never learnt: int64 [D, K, K], rows are true classes.

        Args:
            method: gives the model that answers the user from the shared and the private arrays.
            shared: the server's arrays; None scores the devices' own models.
        """
        classes, wear = self._habits.classes, self._wear
        confusion = np.zeros((len(wear), classes, classes), np.int64)
        sent = None if shared is None else stacked(shared, len(self._blocks[0]))
        for i, rows in enumerate(self._blocks):
            params = self._states[i].params
            served = params if sent is None else method.serve(sent, params)
            for windows in self._examined(rows):
                label, there = wear.pool.windows.label[windows], windows >= 0
                said = self._kernel.say(served, wear.read(windows, rows), label, there)
                there[self._own[i] :] = False
                which = np.broadcast_to(rows[:, None, None], there.shape)[there]
                np.add.at(confusion, (which, label[there], said.predicted[there]), 1)
        return confusion

    def _examined(self, rows: NDArray[np.int64]) -> Iterator[NDArray[np.int32]]:
        """Give the holdout windows of devices, a part for each call: int32 [D, S, B], -1 = none."""
        wear, habits, most = self._wear, self._habits, self._scored_a_call
        first, stop = wear.holdout[rows].T
        if not habits.by_question:
            for begin in range(0, int((stop - first).max()), most):
                windows = first[:, None] + np.arange(begin, begin + most)
                yield np.where(windows < stop[:, None], windows, -1).astype(np.int32)[:, None]
            return
        spans, place = np.unique(wear.holdout[rows], axis=0, return_inverse=True)
        cut = [
            wear.pool.questions_between(first, stop, habits.batch, habits.least)
            for first, stop in spans
        ]
        windows = np.full((len(spans), max(map(len, cut)), habits.batch), -1, np.int32)
        for span, questions in enumerate(cut):
            for number, question in enumerate(questions):
                windows[span, number, : question.size] = question
        a_call = max(1, most // habits.batch)
        for begin in range(0, windows.shape[1], a_call):
            part = windows[place.ravel(), begin : begin + a_call]
            short = a_call - part.shape[1]  # filled up, so that what is compiled serves all calls
            yield np.pad(part, [(0, 0), (0, short), (0, 0)], constant_values=-1)

    def state(self, method: Method, shared: Arrays | None, row: int) -> dict[str, NDArray[Any]]:
        """Return all variables of a device's SavedModel, by their names in the checkpoint.

        Args:
            method: gives the model that answers the user from the shared and the private arrays.
            shared: the server's arrays; None takes the device's own model.
            row: which device.
        """
        i = next(i for i, rows in enumerate(self._blocks) if row in rows)
        state, place = self._states[i], int(np.flatnonzero(self._blocks[i] == row)[0])
        if shared is not None:
            sent = stacked(shared, len(self._blocks[i]))
            state = BlockState(method.serve(sent, state.params), state.slots, state.carried)
        return self._kernel.variables(state, place, int(self._gradients[row]))

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Return all that the devices are, as named arrays [D, ...], but for what never changes."""
        kept: dict[str, NDArray[Any]] = {"program/step": self._kernel.first_step + self._gradients}
        for i, rows in enumerate(self._blocks):
            state, own = self._states[i], self._own[i]
            for kind, tensors in (
                ("params", state.params), ("slots", state.slots), ("state", state.carried)
            ):  # fmt: skip
                for name, tensor in tensors.items():
                    value = np.asarray(tensor)[:own]
                    whole = (len(self._wear), *value.shape[1:])
                    every = kept.setdefault(f"program/{kind}/{name}", np.empty(whole, value.dtype))
                    every[rows[:own]] = value
        return kept | self._lessons.snapshot()

    def _work_block(
        self, i: int, given: Lesson, late: int, outcome: Outcome
    ) -> NDArray[np.float64]:
        """Let a block work through its lessons; returns the sums of the steps' losses, [D]."""
        rows, own, start = self._blocks[i], self._own[i], self._states[i]
        given.steps[own:] = False
        losses = np.zeros(len(rows))
        total, most = given.answer.shape[1], self._questions_a_call
        for first in range(0, total, most):
            part = given.part(first, most)
            x = self._wear.read(part.windows, rows)
            label = self._wear.pool.windows.label[part.windows[..., 0]]
            if given.steps.any() or self._carries:
                work = self._work_of(part, x, label, rows)
                scored = start.params if self._habits.scores_opened else None
                is_late = np.arange(first, first + part.answer.shape[1]) < late
                done = self._kernel.work(self._states[i], work, scored, is_late)
                self._states[i], predicted, loss, by_step, opened = done
                losses += by_step.sum(axis=(1, 2), dtype=np.float64)
            else:
                said = self._open(start.params, x, label, part.windows >= 0)
                predicted, loss = said.predicted, said.loss
                opened = predicted if self._habits.scores_opened else None
            _record(outcome, rows[:own], first - late, part, predicted, loss, opened)
        return losses

    def _open(
        self,
        params: Tensors,
        x: NDArray[np.float32],
        label: NDArray[np.int32],
        mask: NDArray[np.bool_],
    ) -> Said:
        """Say what the model with which the round began makes of questions [D, E, B, T, C]."""
        return self._kernel.say(params, x, np.repeat(label[..., None], mask.shape[2], 2), mask)

    def _work_of(
        self, part: Lesson, x: NDArray[np.float32], label: NDArray[np.int32], rows: Any
    ) -> Work:
        """Read what is rehearsed, and lay out what a call works through."""
        return Work(
            x,
            label,
            part.windows >= 0,
            part.answer,
            self._wear.read(part.rehearsed, rows),
            part.taught,
            part.rehearsed >= 0,
            part.steps,
        )

    def _certainty(self, outcome: Outcome) -> NDArray[np.float32]:
        """Return how sure the devices are of their questions as a round begins: [D, Q]."""
        margin = np.zeros(outcome.windows.shape, np.float32)
        for i, rows in enumerate(self._blocks):
            windows = outcome.windows[rows]
            x = self._wear.read(windows, rows)
            said = self._open(self._states[i].params, x, outcome.label[rows], windows >= 0)
            own = slice(self._own[i])
            margin[rows[own]] = np.where(windows >= 0, said.margin, 0.0)[own]
        count = np.maximum((outcome.windows >= 0).sum(axis=2), 1)
        return np.asarray(margin.sum(axis=2) / count, np.float32)


def _record(
    outcome: Outcome,
    rows: NDArray[np.int64],
    first: int,
    part: Lesson,
    predicted: NDArray[np.int32],
    loss: NDArray[np.float32],
    opened: NDArray[np.int32] | None,
) -> None:
    """Write down what devices said of questions, of which part's first is number `first`."""
    begin = max(first, 0)
    questions = slice(begin, min(first + part.answer.shape[1], outcome.label.shape[1]))
    told = (slice(rows.size), slice(begin - first, questions.stop - first))
    if questions.stop <= begin:
        return
    there = part.windows[told] >= 0
    outcome.predicted[rows, questions] = np.where(there, predicted[told], -1)
    if opened is not None:
        right = opened[told] == outcome.label[rows, questions][..., None]
        outcome.opened_correct[rows, questions] = there & right
    outcome.loss[rows, questions] = np.where(there, loss[told], np.float32(np.nan))


def _count(outcome: Outcome, given: Lesson, losses: NDArray[np.float64], habits: Habits) -> None:
    """Write down votes, examples and steps."""
    classes = habits.classes
    of_question = np.arange(outcome.label.size).reshape(outcome.label.shape)[..., None] * classes
    said = (of_question + outcome.predicted)[outcome.predicted >= 0]
    votes = np.bincount(said, minlength=outcome.label.size * classes)
    votes = votes.reshape(*outcome.label.shape, classes)
    outcome.voted[:] = np.where(outcome.label >= 0, votes.argmax(axis=2), -1)
    outcome.examples[:] = given.examples().sum(axis=1)
    outcome.steps[:] = outcome.gradients[:] = given.steps.sum(axis=(1, 2))
    if habits.whole_questions:
        rehearsals = given.steps & (given.rehearsed >= 0).any(axis=3)
        outcome.gradients[:] += rehearsals.sum(axis=(1, 2), dtype=np.int32)
    learnt = outcome.gradients > 0
    outcome.learning_loss[learnt] = losses[learnt] / outcome.gradients[learnt]

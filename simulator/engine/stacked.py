"""The fleet engine's cohort: its devices are stacked and computed block by block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients import chance
from clients.lessons import Lesson, Lessons
from clients.methods import Arrays, Method
from clients.methods.groups import CARRIED, PARAMETERS, SLOTS, Groups, flat, prefix_of
from clients.outcome import Outcome, Sent
from clients.wear import Exam, Habits, Wear
from simulator.engine.blocks import block_size, chosen, stacked, tensors
from simulator.engine.compiled import BlockState, Said, Tensors, Work
from simulator.engine.kernel import Kernel
from simulator.engine.tally import count, record

__all__ = ["Stacked"]

_CALL_BYTES = 64 * 2**20  # of windows that one call is given at most
_SCORED_SAMPLES = 2048  # of one device's holdout that a call is given


class Stacked:
    """The devices of a cohort, computed together."""

    def __init__(
        self, wear: Wear, habits: Habits, kernel: Kernel, method: Method, largest: int
    ) -> None:
        """Give every device a fresh start.

        Args:
            wear: who wears the devices.
            habits: how the wearers answer and the devices learn.
            kernel: computes them.
            method: of the first round.
            largest: devices in the largest cohort; all cohorts have blocks of one size, so that
                what is compiled for one serves all.
        """
        self._wear, self._habits, self._kernel = wear, habits, kernel
        self._lessons = Lessons(wear.devices, habits)
        length, channels = wear.pool.length, wear.pool.channels
        more = habits.rehearse or habits.batch
        windows = habits.batch + (habits.steps * more if habits.memory else 0)
        question_bytes = windows * length * channels * 4
        params, slots, carried = kernel.start()
        one = {PARAMETERS: stacked(params, 1), SLOTS: stacked(slots, 1)}
        groups = method.start(one, np.zeros(1, np.float32)).values()
        state_bytes = sum(
            np.asarray(v).nbytes for part in (*groups, carried) for v in part.values()
        )
        bytes_each = max(question_bytes * habits.questions_per_round, state_bytes)
        block = block_size(largest, kernel.tile, bytes_each)
        # Those that drift together, as they alone are scored twice; the longest streams first.
        drifts = np.zeros(len(wear), np.bool_) if wear.drift is None else wear.drift.befallen
        order = np.lexsort((-wear.streams.lengths(), drifts))
        cut = np.split(order, np.arange(block, len(wear), block))
        self._own = [rows.size for rows in cut]
        # The last block is filled up with copies of a device, which learn nothing.
        self._blocks = [np.pad(rows, (0, block - rows.size), "edge") for rows in cut]
        new = {PARAMETERS: stacked(params, block), SLOTS: stacked(slots, block)}
        draws = chance.uniforms(habits.seed, "start", 0, wear.devices, 1).astype(np.float32)[:, 0]
        # Tensors never change, so that blocks may share them.
        self._states = [
            BlockState(method.start(new, draws[rows]), stacked(carried, block))
            for rows in self._blocks
        ]
        self._carries = bool(carried)
        self._steps = np.zeros(len(wear), np.int64)  # of the programs
        room = _CALL_BYTES // (block * question_bytes)
        self._questions_a_call = max(1, min(habits.questions_per_round, room))
        self._scored_a_call = max(32, _SCORED_SAMPLES // length)

    def begin(
        self, method: Method, shared: Groups, downloads: NDArray[np.bool_], round_: int
    ) -> None:
        """Take in what the server sent; the optimizer starts afresh for it.

        Args:
            method: mixes the shared and the private arrays.
            shared: what the server sent, groups of arrays.
            downloads: bool [D], who receives it.
            round_: which begins, from 1.
        """
        sent = self._sent(method, shared)
        for i, rows in enumerate(self._blocks):
            if downloads[rows].any():
                begun = self._begun(method, sent, i, round_)
                old = self._states[i]
                self._states[i] = BlockState(chosen(downloads[rows], begun, old.own), old.carried)

    def _sent(self, method: Method, shared: Groups) -> Groups:
        """Give what the server sent the device axis with which blocks begin from it."""
        devices = 1 if method.looks else len(self._blocks[0])
        return {group: stacked(arrays, devices) for group, arrays in shared.items()}

    def _begun(self, method: Method, sent: Groups, i: int, round_: int) -> Groups:
        """Return what the devices of a block are with what the server sent."""
        rows, state = self._blocks[i], self._states[i]
        if not method.looks:
            return method.begin(sent, state.own, None)
        windows, labels = self._lessons.look(round_)
        look = self._wear.read(windows[rows], rows), labels[rows], windows[rows] >= 0
        return self._kernel.begin(method, sent, state, look)

    def work(
        self,
        round_: int,
        learns: NDArray[np.bool_],
        method: Method,
        shared: Groups,
        until: NDArray[np.float64] | None = None,
    ) -> Outcome:
        """Work through the questions of one round.

        Args:
            round_: the round, from 1.
            learns: bool [D], whose answers lead to steps; those of others only fill the memory.
            method: says what a step is.
            shared: what the server sent to those who learn, groups of arrays; none where it did
                not.
            until: float64 [D], after which share of the round each stops to learn; None: none
                does.
        """
        sent = {} if method.plain else _one(shared)
        habits, lessons = self._habits, self._lessons
        outcome = Outcome.empty(len(self._wear), habits.questions_per_round, habits.batch)
        outcome.windows[:], outcome.label[:] = self._wear.streams.in_round(
            round_, habits.questions_per_round
        )
        certainty = self._certainty(outcome) if habits.ask == "uncertain" else None
        outcome.asked[:], answers = lessons.ask(round_, outcome.label, certainty)
        outcome.answer[:] = self._wear.heard(outcome.label, answers)
        late = list(lessons.due(round_))
        given = Lesson.stacked([*late, *lessons.now(round_, outcome.windows, outcome.answer)])
        given.steps[~learns] = False
        if until is not None:
            given.stop(until)
        losses = np.zeros(len(self._wear))
        for i, rows in enumerate(self._blocks):
            if (given.windows[rows] >= 0).any():
                own = rows[: self._own[i]]
                taken = given.take(rows)
                done = self._work_block(i, taken, len(late), outcome, method, sent)
                losses[own] = done[: own.size]
        count(outcome, given, losses, habits, method.gradients)
        self._steps += outcome.gradients // method.gradients
        outcome.memory_windows[:] = lessons.memory_windows
        return outcome

    def updates(self, method: Method, shared: Groups, uploads: NDArray[np.bool_]) -> Iterator[Sent]:
        """Give what devices send to the server after a round, block by block.

        Args:
            method: says what is shared.
            shared: what they received, groups of arrays.
            uploads: bool [D], who sends.
        """
        for i, rows in enumerate(self._blocks):
            sends = np.flatnonzero(uploads[rows[: self._own[i]]])
            if not sends.size:
                continue
            state = self._states[i]
            received = {} if method.plain else _one(shared)
            sent, own, told = method.end(state.own, received)
            if own is not state.own:
                self._states[i] = BlockState(chosen(uploads[rows], own, state.own), state.carried)
            whole = sends.size == sends[-1] + 1
            part = slice(sends.size) if whole else sends  # a view spares a copy
            yield Sent(
                rows[sends],
                {name: np.asarray(tensor)[part] for name, tensor in flat(sent).items()},
                {name: np.asarray(value)[part] for name, value in told.items()},
            )

    def score_holdout(
        self, method: Method, shared: Groups | None, round_: int, exam: Exam
    ) -> NDArray[np.int64]:
        """Score the windows that are never learnt: int64 [D, K, K], rows are true classes.

        Args:
            method: takes in what the server sent.
            shared: what it would send now, groups of arrays; None scores the devices as they are.
            round_: after which, from 0.
            exam: which windows, and how they are measured.
        """
        classes, wear = self._habits.classes, self._wear
        confusion = np.zeros((len(wear), classes, classes), np.int64)
        sent = None if shared is None else self._sent(method, shared)
        for i, rows in enumerate(self._blocks):
            if not (exam.windows[rows] >= 0).any():
                continue
            served = self._served(method, sent, i, round_)
            for windows in self._examined(exam.windows[rows]):
                label, there = wear.pool.windows.label[windows], windows >= 0
                x = wear.read(windows, rows, exam.state[rows], stamped=exam.stamped)
                said = self._kernel.say(served, x, label, there)
                there[self._own[i] :] = False
                which = np.broadcast_to(rows[:, None, None], there.shape)[there]
                np.add.at(confusion, (which, label[there], said.predicted[there]), 1)
        return confusion

    def _served(self, method: Method, sent: Groups | None, i: int, round_: int) -> Tensors:
        """Return the parameters with which a block's devices answer after a round."""
        if sent is None:
            return self._states[i].params
        return self._begun(method, sent, i, round_ + 1)[PARAMETERS]

    def _examined(self, asked: NDArray[np.int32]) -> Iterator[NDArray[np.int32]]:
        """Give the windows of exams, [D, H], a part for each call: int32 [D, S, B], -1 = none."""
        habits, most = self._habits, self._scored_a_call
        if not habits.by_question:
            longest = int((asked >= 0).sum(axis=1).max())
            for begin in range(0, longest, most):
                part = asked[:, begin : begin + most]
                short = most - part.shape[1]  # filled up, so that what is compiled serves all calls
                yield np.pad(part, [(0, 0), (0, short)], constant_values=-1)[:, None]
            return
        exams, place = np.unique(asked, axis=0, return_inverse=True)
        cut = [
            self._wear.pool.questions_of(exam[exam >= 0], habits.batch, habits.least)
            for exam in exams
        ]
        windows = np.full((len(exams), max(map(len, cut)), habits.batch), -1, np.int32)
        for span, questions in enumerate(cut):
            for number, question in enumerate(questions):
                windows[span, number, : question.size] = question
        a_call = max(1, most // habits.batch)
        for begin in range(0, windows.shape[1], a_call):
            part = windows[place.ravel(), begin : begin + a_call]
            short = a_call - part.shape[1]
            yield np.pad(part, [(0, 0), (0, short), (0, 0)], constant_values=-1)

    def state(
        self, method: Method, shared: Groups | None, row: int, round_: int
    ) -> dict[str, NDArray[Any]]:
        """Return all variables of a device's SavedModel, by their names in the checkpoint.

        Args:
            method: takes in what the server sent.
            shared: what it would send now, groups of arrays; None takes the device as it is.
            row: which device.
            round_: after which.
        """
        i = next(i for i, rows in enumerate(self._blocks) if row in rows)
        state, place = self._states[i], int(np.flatnonzero(self._blocks[i] == row)[0])
        sent = None if shared is None else self._sent(method, shared)
        own = {**state.own, PARAMETERS: self._served(method, sent, i, round_)}
        served = BlockState(own, state.carried)
        return self._kernel.variables(served, place, int(self._steps[row]))

    def allow(self, budget: NDArray[np.int64]) -> None:
        """Let each device, int64 [D], ask so many questions a round."""
        self._lessons.budget[:] = budget

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Return all that the devices are, as named arrays [D, ...], but for what never changes."""
        kept: dict[str, NDArray[Any]] = {"program/step": self._kernel.first_step + self._steps}
        for i, rows in enumerate(self._blocks):
            own = rows[: self._own[i]]
            for key, tensor in _kept(self._states[i]).items():
                value = np.asarray(tensor)[: own.size]
                whole = (len(self._wear), *value.shape[1:])
                kept.setdefault(key, np.empty(whole, value.dtype))[own] = value
        return kept | self._lessons.snapshot()

    def restore(self, snapshot: Arrays) -> None:
        """Become what a snapshot of the same devices holds."""
        self._steps[:] = snapshot["program/step"] - self._kernel.first_step
        for i, rows in enumerate(self._blocks):
            state = self._states[i]
            read = tensors({key: snapshot[key][rows] for key in _kept(state)})
            self._states[i] = _taken_back(state, read)
        self._lessons.restore(snapshot)

    def _work_block(
        self,
        i: int,
        given: Lesson,
        late: int,
        outcome: Outcome,
        method: Method,
        sent: Groups,
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
                done = self._kernel.work(method, sent, self._states[i], work, scored, is_late)
                self._states[i], predicted, loss, by_step, opened = done
                losses += by_step.sum(axis=(1, 2), dtype=np.float64)
            else:
                said = self._open(start.params, x, label, part.windows >= 0)
                predicted, loss = said.predicted, said.loss
                opened = predicted if self._habits.scores_opened else None
            record(outcome, rows[:own], first - late, part, predicted, loss, opened)
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


def _one(shared: Groups) -> Groups:
    """Give what the server sent a device axis of 1."""
    return {group: stacked(arrays, 1) for group, arrays in shared.items()}


def _kept(state: BlockState) -> dict[str, Any]:
    """Name the tensors of a block as checkpoints do."""
    return {
        f"{prefix_of(group)}{name}": tensor
        for group, arrays in (*state.own.items(), (CARRIED, state.carried))
        for name, tensor in arrays.items()
    }


def _taken_back(state: BlockState, read: Tensors) -> BlockState:
    """Put tensors named as checkpoints do into the place of a block's."""
    own, carried = (
        {
            group: {name: read[f"{prefix_of(group)}{name}"] for name in arrays}
            for group, arrays in groups.items()
        }
        for groups in (state.own, {CARRIED: state.carried})
    )
    return BlockState(own, carried[CARRIED])

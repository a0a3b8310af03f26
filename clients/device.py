"""One device with its own SavedModel: predict -> score -> ask -> learn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients import chance
from clients.learner import Learner, nothing
from clients.lessons import Lesson, Lessons
from clients.methods import Arrays, Method
from clients.methods.groups import PARAMETERS, Groups, flat, prefix_of
from clients.methods.take import Take
from clients.outcome import Outcome, Sent
from clients.prediction import Prediction
from clients.steps import Apart, Learn, learn_plainly, take_of, take_steps
from clients.user import NO_ANSWER
from clients.wear import Exam, Habits, Wear

__all__ = ["Device", "score_questions"]

_SCORE_BATCH = 256


class Device:
    """A wearable of one user.

    A round is the short loop that `work` spells out; nothing is learnt from a window before
    it has been predicted and scored.
    """

    def __init__(self, wear: Wear, habits: Habits, program: Learner, method: Method) -> None:
        """Put on a device.

        Args:
            wear: who wears it; the `Wear` of one device.
            habits: how its wearer answers and how it learns.
            program: its own copy of a program.
            method: of the first round.
        """
        self.wear = wear
        self._habits = habits
        self._program = program
        self._lessons = Lessons(wear.devices, habits)
        draw = chance.uniforms(habits.seed, "start", 0, wear.devices, 1)[0, 0]
        self._apart = Apart(program, method, draw)

    def begin(self, method: Method, shared: Groups, round_: int) -> None:
        """Take in what the server sent; the optimizer starts afresh for it.

        Args:
            method: mixes it with what the device has.
            shared: groups of arrays.
            round_: which begins, from 1.
        """
        self._apart.become(method, shared, self._look(method, round_))

    def _look(self, method: Method, round_: int) -> Take | None:
        """Lay out what the device sees of its memory as a round begins, if it looks."""
        if not method.looks:
            return None
        windows, labels = self._lessons.look(round_)
        carried = nothing(self._program.read_pure().carried)
        return take_of(self._program, method, carried, self._read_all, windows[0], labels[0])

    def work(
        self, round_: int, *, learns: bool, method: Method, shared: Groups, until: float = 1.0
    ) -> Outcome:
        """Work through the questions of one round.

        Args:
            round_: the round, from 1.
            learns: whether answers lead to steps; if not, they only fill the memory.
            method: says what a step is.
            shared: what the server sent, if it did: groups of arrays.
            until: after which share of the round the device stops to learn.
        """
        habits, lessons = self._habits, self._lessons
        learn = learn_plainly(self._program, self._read)
        if not method.plain:
            learn = self._apart.learn(method, shared, self._read_all)
        outcome = Outcome.empty(1, habits.questions_per_round, habits.batch)
        windows, labels = self.wear.streams.in_round(round_, habits.questions_per_round)
        outcome.windows[:], outcome.label[:] = windows, labels
        questions = range(int((labels[0] >= 0).sum()))
        opened = []
        if habits.scores_opened or habits.ask == "uncertain":
            opened = [self._predict(windows[0, q], aside=True) for q in questions]
        certainty = np.zeros(labels.shape, np.float32)
        certainty[0, : len(opened)] = [prediction.certainty() for prediction in opened]
        outcome.asked[:], answers = lessons.ask(round_, labels, certainty)
        outcome.answer[:] = self.wear.heard(labels, answers)
        losses: list[float] = []
        late = list(lessons.due(round_))
        left = int(np.floor(until * (len(late) + labels.shape[1]))) if learns else 0
        for place, lesson in enumerate(late):
            losses += self._learn(lesson, outcome, learn, learns=place < left, late=True)
        taught = lessons.now(round_, windows, outcome.answer)
        for q in questions:
            said = self._predict(windows[0, q])
            self._record(q, said, outcome)
            if habits.scores_opened:
                right = opened[q].classes == outcome.label[0, q]
                outcome.opened_correct[0, q, : right.size] = right
            goes_on = len(late) + q < left
            losses += self._learn(next(taught), outcome, learn, learns=goes_on)
        if losses:
            outcome.learning_loss[0] = np.mean(losses)
        outcome.gradients[0] = len(losses) * method.gradients
        outcome.memory_windows[:] = lessons.memory_windows
        return outcome

    def update(self, method: Method, shared: Groups) -> Sent:
        """Return what the device sends to the server after a round.

        Args:
            method: says what is shared.
            shared: what the device received: groups of arrays.
        """
        sent, told = self._apart.end(method, shared)
        arrays, numbers = (
            {name: np.asarray(value) for name, value in some.items()} for some in (flat(sent), told)
        )
        return Sent(np.zeros(1, np.int64), arrays, numbers)

    def score_holdout(
        self, method: Method, shared: Groups | None, round_: int, exam: Exam | None = None
    ) -> NDArray[np.int64]:
        """Score the windows that are never learnt: int64 [K, K], rows are true classes.

        Args:
            method: takes in what the server sent.
            shared: what it would send now, groups of arrays; None scores the device as it is.
            round_: after which, from 0.
            exam: which windows, and how they are measured; None: without drift.
        """
        with self._answering(method, shared, round_):
            return self._score(exam or self.wear.exam())

    def state(self, method: Method, shared: Groups | None, round_: int) -> dict[str, NDArray[Any]]:
        """Return all variables of the device's SavedModel, by their names in the checkpoint.

        Args:
            method: takes in what the server sent.
            shared: what it would send now, groups of arrays; None takes the device as it is.
            round_: after which.
        """
        with self._answering(method, shared, round_):
            return self._program.read_state()

    @contextmanager
    def _answering(self, method: Method, shared: Groups | None, round_: int) -> Iterator[None]:
        """Let the program have, for a while, the parameters that the server's would lead to."""
        if shared is None:
            yield
            return
        own = self._program.read_parameters()
        begun = self._apart.begin(method, shared, self._look(method, round_ + 1))
        served = {name: np.asarray(value)[0] for name, value in begun[PARAMETERS].items()}
        self._program.assign_parameters(served)
        yield
        self._program.assign_parameters(own)

    def allow(self, budget: NDArray[np.int64]) -> None:
        """Let the device, int64 [1], ask so many questions a round."""
        self._lessons.budget[:] = budget

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Return all that the device is, as named arrays [1, ...]."""
        state = {f"program/{key}": v[None] for key, v in self._program.read_state().items()}
        for group, arrays in self._apart.groups.items():
            state |= {prefix_of(group) + name: np.asarray(v) for name, v in arrays.items()}
        return state | self._lessons.snapshot()

    def restore(self, snapshot: Arrays) -> None:
        """Become what a snapshot holds."""
        program = {
            key.removeprefix("program/"): value[0]
            for key, value in snapshot.items()
            if key.startswith("program/")
        }
        self._program.assign_state(program)
        self._apart.groups = {
            group: {name: snapshot[prefix_of(group) + name] for name in arrays}
            for group, arrays in self._apart.groups.items()
        }
        self._lessons.restore(snapshot)

    def _predict(self, windows: NDArray[np.int32], *, aside: bool = False) -> Prediction:
        """Predict one question's windows, int32 [B]; refuse classes that no activity has."""
        x = self._read(windows)
        said = self._program.predict_aside(x) if aside else self._program.predict(x)
        return said.check(self._habits.classes, f"device {self.wear.names[0]}")

    def _read(self, windows: NDArray[np.int32]) -> NDArray[np.float32]:
        return np.asarray(self.wear.read(windows[windows >= 0][None])[0])

    def _read_all(self, windows: NDArray[np.int32]) -> NDArray[np.float32]:
        return np.asarray(self.wear.read(windows[None])[0])

    def _learn(
        self, lesson: Lesson, outcome: Outcome, learn: Learn, *, learns: bool, late: bool = False
    ) -> list[float]:
        """Take a lesson's steps; returns the loss of each."""
        if int(lesson.answer[0]) == NO_ANSWER or not learns:
            return []
        losses = take_steps(self._program, lesson, learn, self._habits, late=late)
        outcome.examples[:] += lesson.examples()
        outcome.steps[0] += int(lesson.steps[0].sum())
        return losses

    def _record(self, question: int, said: Prediction, outcome: Outcome) -> None:
        """Record one question's predictions."""
        count, label = said.classes.size, int(outcome.label[0, question])
        place = (0, question, slice(count))
        outcome.predicted[place] = said.classes
        outcome.voted[0, question] = said.vote(self._habits.classes)
        outcome.loss[place] = said.losses(label)

    def _score(self, exam: Exam) -> NDArray[np.int64]:
        wear, habits = self.wear, self._habits
        own = exam.windows[0][exam.windows[0] >= 0]
        if habits.by_question:
            questions = wear.pool.questions_of(own, habits.batch, habits.least)
        else:
            questions = np.split(own, np.arange(_SCORE_BATCH, own.size, _SCORE_BATCH))
        return score_questions(
            self._program,
            (
                wear.read(question[None], state=exam.state, stamped=exam.stamped)[0]
                for question in questions
            ),
            [wear.pool.windows.label[question] for question in questions],
            habits.classes,
        )


def score_questions(
    program: Learner,
    x: Iterable[NDArray[np.float32]],
    labels: Iterable[NDArray[np.int32]],
    classes: int,
) -> NDArray[np.int64]:
    """Predict questions [B, T, C], each by itself, and count their windows.

    Returns:
        int64 [K, K], rows are true classes.
    """
    confusion = np.zeros((classes, classes), np.int64)
    for question, true in zip(x, labels, strict=True):
        if len(question):
            said = program.predict_aside(question).check(classes, "holdout")
            np.add.at(confusion, (true, said.classes), 1)
    return confusion

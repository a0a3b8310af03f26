"""One device with its own SavedModel: predict -> score -> ask -> learn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients.learner import Learner, nothing
from clients.lessons import Lesson, Lessons
from clients.methods import Arrays, Method
from clients.outcome import Outcome
from clients.prediction import Prediction
from clients.user import NO_ANSWER
from clients.wear import Habits, Wear

__all__ = ["Device", "score_questions", "take_steps"]

_SCORE_BATCH = 256


class Device:
    """A wearable of one user.

    A round is the short loop that `work` spells out; nothing is learnt from a window before
    it has been predicted and scored.
    """

    def __init__(self, wear: Wear, habits: Habits, program: Learner) -> None:
        """Put on a device.

        Args:
            wear: who wears it; the `Wear` of one device.
            habits: how its wearer answers and how it learns.
            program: its own copy of a program.
        """
        self.wear = wear
        self._habits = habits
        self._program = program
        self._lessons = Lessons(wear.devices, habits)

    def begin(self, method: Method, shared: Arrays) -> None:
        """Take in what the server sent; the optimizer starts afresh for it."""
        program = self._program
        program.assign_parameters(
            _taken(method.begin, shared, program.read_parameters()), fresh_slots=True
        )

    def work(self, round_: int, *, learns: bool) -> Outcome:
        """Work through the questions of one round.

        Args:
            round_: the round, from 1.
            learns: whether answers lead to steps; if not, they only fill the memory.
        """
        habits, lessons = self._habits, self._lessons
        outcome = Outcome.empty(1, habits.questions_per_round, habits.batch)
        windows, labels = self.wear.streams.in_round(round_, habits.questions_per_round)
        outcome.windows[:], outcome.label[:] = windows, labels
        questions = range(int((labels[0] >= 0).sum()))
        opened = []
        if habits.scores_opened or habits.ask == "uncertain":
            opened = [self._predict(windows[0, q], aside=True) for q in questions]
        certainty = np.zeros(labels.shape, np.float32)
        certainty[0, : len(opened)] = [prediction.certainty() for prediction in opened]
        outcome.asked[:], outcome.answer[:] = lessons.ask(round_, labels, certainty)
        losses: list[float] = []
        for lesson in lessons.due(round_):
            losses += self._learn(lesson, outcome, learns=learns, late=True)
        taught = lessons.now(round_, windows, outcome.answer)
        for q in questions:
            said = self._predict(windows[0, q])
            self._score(q, said, outcome)
            if habits.scores_opened:
                right = opened[q].classes == outcome.label[0, q]
                outcome.opened_correct[0, q, : right.size] = right
            losses += self._learn(next(taught), outcome, learns=learns)
        if losses:
            outcome.learning_loss[0] = np.mean(losses)
        outcome.memory_windows[:] = lessons.memory_windows
        return outcome

    def update(self, method: Method) -> Arrays:
        """Return what the device sends to the server after a round."""
        return method.end(self._program.read_parameters())[0]

    def score_holdout(self, method: Method, shared: Arrays | None) -> NDArray[np.int64]:
        """Score the windows that are never learnt: int64 [K, K], rows are true classes.

        Args:
            method: gives the model that answers the user from the shared and the private arrays.
            shared: the server's arrays; None scores the device's own model.
        """
        if shared is None:
            return self._score_holdout()
        program = self._program
        own = program.read_parameters()
        served = _taken(method.serve, shared, own)
        program.assign_parameters(served)
        scored = self._score_holdout()
        program.assign_parameters({name: own[name] for name in served})
        return scored

    def state(self, method: Method, shared: Arrays | None) -> dict[str, NDArray[Any]]:
        """Return all variables of the device's SavedModel, by their names in the checkpoint.

        Args:
            method: gives the model that answers the user from the shared and the private arrays.
            shared: the server's arrays; None takes the device's own model.
        """
        if shared is None:
            return self._program.read_state()
        own = self._program.read_parameters()
        served = _taken(method.serve, shared, own)
        self._program.assign_parameters(served)
        state = self._program.read_state()
        self._program.assign_parameters({name: own[name] for name in served})
        return state

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Return all that the device is, as named arrays [1, ...]."""
        state = {f"program/{key}": v[None] for key, v in self._program.read_state().items()}
        return state | self._lessons.snapshot()

    def restore(self, snapshot: Arrays) -> None:
        """Become what a snapshot holds."""
        program = {
            key.removeprefix("program/"): value[0]
            for key, value in snapshot.items()
            if key.startswith("program/")
        }
        self._program.assign_state(program)
        self._lessons.restore(snapshot)

    def _predict(self, windows: NDArray[np.int32], *, aside: bool = False) -> Prediction:
        """Predict one question's windows, int32 [B]; refuse classes that no activity has."""
        x = self._read(windows)
        said = self._program.predict_aside(x) if aside else self._program.predict(x)
        return said.check(self._habits.classes, f"device {self.wear.names[0]}")

    def _read(self, windows: NDArray[np.int32]) -> NDArray[np.float32]:
        return np.asarray(self.wear.read(windows[windows >= 0][None])[0])

    def _learn(
        self, lesson: Lesson, outcome: Outcome, *, learns: bool, late: bool = False
    ) -> list[float]:
        """Take a lesson's steps; returns the loss of each gradient."""
        if int(lesson.answer[0]) == NO_ANSWER or not learns:
            return []
        losses = take_steps(self._program, lesson, self._read, self._habits, late=late)
        outcome.examples[:] += lesson.examples()
        outcome.steps[0] += int(lesson.steps[0].sum())
        outcome.gradients[0] += len(losses)
        return losses

    def _score(self, question: int, said: Prediction, outcome: Outcome) -> None:
        """Record one question's predictions."""
        count, label = said.classes.size, int(outcome.label[0, question])
        place = (0, question, slice(count))
        outcome.predicted[place] = said.classes
        outcome.voted[0, question] = said.vote(self._habits.classes)
        outcome.loss[place] = said.losses(label)

    def _score_holdout(self) -> NDArray[np.int64]:
        wear, habits = self.wear, self._habits
        first, stop = wear.holdout[0]
        own = np.arange(first, stop, dtype=np.int32)
        if habits.by_question:
            questions = wear.pool.questions_between(first, stop, habits.batch, habits.least)
        else:
            questions = np.split(own, np.arange(_SCORE_BATCH, own.size, _SCORE_BATCH))
        return score_questions(
            self._program,
            (self._read(question) for question in questions),
            [wear.pool.windows.label[question] for question in questions],
            habits.classes,
        )


def take_steps(
    program: Learner,
    lesson: Lesson,
    read: Callable[[NDArray[np.int32]], NDArray[np.float32]],
    habits: Habits,
    *,
    late: bool = False,
) -> list[float]:
    """Take the steps of one device's lesson; the program goes on from where the first left it.

    All steps start from where the question's prediction did, but for those of a late answer,
    which start from nothing and leave no trace in what the program carries.

    Args:
        program: what learns.
        lesson: of one device, with an answer.
        read: gives windows [N] as the device measures them, float32 [N, T, C].
        habits: whether whole questions are rehearsed.
        late: whether the question was predicted long before.

    Returns:
        the loss of each gradient.
    """
    carried = program.read_context()
    begin, end = (nothing(carried), carried) if late else (carried, None)
    windows = lesson.windows[0][lesson.windows[0] >= 0]
    losses = []
    for step in np.flatnonzero(lesson.steps[0]):
        rehearsed, taught = lesson.rehearsed[0, step], lesson.taught[0, step]
        there = rehearsed >= 0
        mixed, labels = windows, np.full(windows.size, lesson.answer[0], np.int32)
        if not habits.whole_questions:
            mixed = np.concatenate([windows, rehearsed[there]])
            labels = np.concatenate([labels, taught[there]])
        elif there.any():
            program.assign_context(nothing(carried))
            losses.append(program.learn(read(rehearsed[there]), taught[there]))
        program.assign_context(begin)
        losses.append(program.learn(read(mixed), labels))
        end = program.read_context() if end is None else end
    program.assign_context(end or {})
    return losses


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


def _taken(
    function: Callable[[Arrays, Arrays], Arrays], shared: Arrays, own: Mapping[str, Any]
) -> Arrays:
    """Return those of a method's parameters that come from the server."""
    mixed = function(shared, own)
    return {name: value for name, value in mixed.items() if value is not own[name]}

"""One device with its own SavedModel: predict -> score -> ask -> learn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients import chance
from clients.errors import BadProgram
from clients.learner import Learner
from clients.memory import Memory
from clients.methods import Arrays, Method
from clients.outcome import Outcome, Update
from clients.prediction import Prediction
from clients.recordings import Recording
from clients.user import NO_ANSWER, answer_questions, choose_questions
from clients.wear import Habits, Wear
from clients.windows import Windows, read_windows

__all__ = ["Device", "score_windows"]

_SCORE_BATCH = 256


class Device:
    """A wearable of one user.

    A round is the short loop that `work` spells out; nothing is learnt from a window before
    it has been predicted and scored.
    """

    def __init__(self, wear: Wear, habits: Habits, program: Learner) -> None:
        self.wear = wear
        self._habits = habits
        self._classes = habits.classes
        self._program = program
        self._memory = Memory(habits.memory, habits.classes)
        self._late: list[tuple[int, int, int]] = []  # (round due, question, class as answered)

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
        habits, outcome = self._habits, Outcome()
        questions = self.wear.stream.questions(round_, habits.questions_per_round)
        inputs = [self._windows(question) for question in questions]
        opened = [self._checked(self._program.predict_aside(x)) for x in inputs]
        answers = self._ask(round_, questions, opened, outcome)
        losses: list[float] = []
        rehearsals = self._rehearsals(round_)
        for question, answer in self._due(round_):
            losses += self._learn(question, answer, next(rehearsals), outcome, learns=learns)
        for i, question in enumerate(questions):
            said = self._checked(self._program.predict(inputs[i]))
            self._score(question, said, opened[i], int(answers[i]), outcome)
            if answers[i] == NO_ANSWER:
                continue
            if habits.delay_rounds:
                self._late.append((round_ + habits.delay_rounds, question, int(answers[i])))
            else:
                losses += self._learn(
                    question, int(answers[i]), next(rehearsals), outcome, learns=learns
                )
        if losses:
            outcome.learning_loss = float(np.mean(losses))
        return outcome

    def update(self, method: Method, outcome: Outcome) -> Update:
        """Return what the device sends to the server after a round."""
        arrays = method.end(self._program.read_parameters())[0]
        return Update(self.wear.index, arrays, outcome.examples, outcome.learning_loss)

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
        """Return all that the device is, as named arrays: program, memory, late answers."""
        memory = self._memory
        return {
            **{f"program/{key}": value for key, value in self._program.read_state().items()},
            "memory/positions": memory.positions[: memory.size].copy(),
            "memory/labels": memory.labels[: memory.size].copy(),
            "memory/seen": memory.seen.copy(),
            "memory/full": memory.full.copy(),
            "late": np.array(self._late, np.int64).reshape(-1, 3),
        }

    def restore(self, snapshot: Arrays) -> None:
        """Become what a snapshot holds."""
        program = {
            key.removeprefix("program/"): value
            for key, value in snapshot.items()
            if key.startswith("program/")
        }
        self._program.assign_state(program)
        memory = Memory(self._habits.memory, self._habits.classes)
        memory.size = len(snapshot["memory/positions"])
        memory.positions[: memory.size] = snapshot["memory/positions"]
        memory.labels[: memory.size] = snapshot["memory/labels"]
        memory.seen[:], memory.full[:] = snapshot["memory/seen"], snapshot["memory/full"]
        self._memory = memory
        self._late = [(int(due), int(q), int(answer)) for due, q, answer in snapshot["late"]]

    @property
    def memory_windows(self) -> int:
        """Windows in the device's memory."""
        return self._memory.size

    def _score_holdout(self) -> NDArray[np.int64]:
        wear = self.wear
        return score_windows(self._program, wear.recordings, wear.holdout, self._habits.classes)

    def _checked(self, said: Prediction) -> Prediction:
        """Refuse classes that no activity has."""
        if said.classes.size and not 0 <= said.classes.min() <= said.classes.max() < self._classes:
            raise BadProgram(
                f"device {self.wear.name}: 'predict' returned the classes {said.classes.tolist()}; "
                f"expected 0 to {self._classes - 1}, one for each activity of the scenario"
            )
        return said

    def _windows(self, question: int) -> NDArray[np.float32]:
        return self._read(self.wear.stream.positions(question))

    def _read(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        return read_windows(self.wear.recordings, self.wear.stream.windows.take(positions))

    def _draw(self, purpose: str, round_: int, *shape: int, place: int = 0) -> NDArray[np.float64]:
        count = int(np.prod(shape))
        seed, device = self._habits.seed, [self.wear.index]
        drawn = chance.uniforms(seed, purpose, round_, device, count, place=place)
        return np.asarray(drawn[0].reshape(shape))

    def _ask(
        self, round_: int, questions: range, opened: Sequence[Prediction], outcome: Outcome
    ) -> NDArray[np.int32]:
        """Decide which questions are asked and let the user answer: int32 [Q]."""
        habits, count = self._habits, len(questions)
        certainty = None
        if habits.ask == "uncertain":
            certainty = np.array([prediction.certainty() for prediction in opened], np.float32)
        draws = self._draw("ask", round_, habits.questions_per_round)[:count]
        asked = choose_questions(habits.ask, habits.budget, certainty, draws)
        answers = answer_questions(
            np.array([self.wear.stream.label(q) for q in questions], np.int32),
            asked,
            self._draw("answer", round_, habits.questions_per_round, 3)[:count],
            answer_rate=habits.answer_rate,
            mistake_rate=habits.mistake_rate,
            classes=habits.classes,
        )
        outcome.questions = count
        outcome.asked = int(asked.sum())
        outcome.answered = int((answers != NO_ANSWER).sum())
        return answers

    def _due(self, round_: int) -> list[tuple[int, int]]:
        """Take the late answers that arrive in this round: (question, class as answered)."""
        due = [(question, answer) for at, question, answer in self._late if at <= round_]
        self._late = [late for late in self._late if late[0] > round_]
        return due

    def _rehearsals(self, round_: int) -> Iterator[tuple[NDArray[np.float64], ...]]:
        """Yield each answer's draws: to rehearse [steps, B, 2], and for the memory [B, 2]."""
        habits = self._habits
        for answer in count():
            # By answer, so that arms that take more or fewer steps still draw the same at first.
            shape = (habits.steps, habits.batch, 2)
            rehearse = self._draw("rehearse", round_, *shape, place=answer)
            yield rehearse, self._draw("keep", round_, habits.batch, 2, place=answer)

    def _learn(
        self,
        question: int,
        answer: int,
        draws: tuple[NDArray[np.float64], ...],
        outcome: Outcome,
        *,
        learns: bool,
    ) -> list[float]:
        """Learn from one answer: steps on its windows and rehearsed ones, then into the memory."""
        positions = self.wear.stream.positions(question)
        labels = np.full(positions.size, answer, np.int32)
        rehearse, keep = draws
        losses = []
        if learns:
            for step_draws in rehearse:
                places = self._memory.draw(step_draws[: positions.size])
                mixed = np.concatenate([positions, self._memory.positions[places]])
                taught = np.concatenate([labels, self._memory.labels[places]])
                if self._habits.memory and np.all(taught == answer):
                    continue  # one activity alone would only teach to forget the others
                losses.append(self._program.learn(self._read(mixed), taught))
            outcome.examples += positions.size if losses else 0
            outcome.steps += len(losses)
            outcome.gradients += len(losses)
        for position, pair in zip(positions, keep, strict=False):
            self._memory.add(int(position), answer, pair)
        return losses

    def _score(
        self, question: int, said: Prediction, opened: Prediction, answer: int, outcome: Outcome
    ) -> None:
        """Record one question's predictions."""
        positions = self.wear.stream.positions(question)
        label = self.wear.stream.label(question)
        count = positions.size
        outcome.question += [question] * count
        outcome.position += positions.tolist()
        outcome.label += [label] * count
        outcome.predicted += said.classes.tolist()
        outcome.voted += [said.vote(self._habits.classes)] * count
        outcome.opened_correct += (opened.classes == label).tolist()
        outcome.answer += [answer] * count
        outcome.loss += said.losses(label)


def score_windows(
    program: Learner, recordings: Sequence[Recording], windows: Windows, classes: int
) -> NDArray[np.int64]:
    """Predict windows of one user and count them: int64 [K, K], rows are true classes."""
    confusion = np.zeros((classes, classes), np.int64)
    for first in range(0, len(windows), _SCORE_BATCH):
        some = windows.take(np.arange(first, min(first + _SCORE_BATCH, len(windows))))
        said = program.predict_aside(read_windows(recordings, some))
        np.add.at(confusion, (some.label, said.classes), 1)
    return confusion


def _taken(
    function: Callable[[Arrays, Arrays], Arrays], shared: Arrays, own: Mapping[str, Any]
) -> Arrays:
    """Return those of a method's parameters that come from the server."""
    mixed = function(shared, own)
    return {name: value for name, value in mixed.items() if value is not own[name]}

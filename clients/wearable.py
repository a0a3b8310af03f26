"""A device in hand: one program and its wearer, kept in a folder from answer to answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients.bounded import read_arrays
from clients.device import score_questions
from clients.device_folder import MEMORY, DeviceFolder
from clients.errors import BadInput, Untrusted
from clients.journal import Asked, Score
from clients.lessons import Lessons
from clients.prediction import Prediction
from clients.program import Program
from clients.steps import learn_plainly, take_steps
from clients.user import NO_ANSWER

__all__ = ["Learnt", "Wearable"]


@dataclass(frozen=True, slots=True)
class Learnt:
    """What came of an answer.

    Attributes:
        examples: answered windows that were learnt from.
        losses: of the steps.
    """

    examples: int = 0
    losses: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Moment:
    """All that a device is when it is done with one question and has not seen the next.

    Attributes:
        score: how well it did so far.
        variables: every variable of its program, by name in the checkpoint.
        memory: what it remembers, and the windows of that: `x/<question>`, float32 [B, T, C].
    """

    score: Score
    variables: Mapping[str, NDArray[Any]]
    memory: Mapping[str, NDArray[Any]]


class Wearable:
    """A device in hand.

    Attributes:
        settings: how it began.
        differing: questions whose prediction came out otherwise when they were replayed.
    """

    def __init__(self, folder: Path, *, keep: int = 10, trusted: bool = False) -> None:
        """Take a device from its folder: its last version, then the journal's lines after it.

        Args:
            folder: which `create` made.
            keep: versions that are kept, beside the first.
            trusted: whether its program may hold ops that can do more than compute.

        Raises:
            BadInput: there is no device, it is in use, or something of it is damaged.
        """
        self._folder, self._keep, self._trusted = DeviceFolder(folder), keep, trusted
        self.settings, self.differing = self._folder.settings, 0
        self._habits = self.settings.habits
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    @property
    def score(self) -> Score:
        """How well it did so far."""
        return self._now.score

    def predict(self, x: NDArray[np.float32]) -> Prediction:
        """Predict the windows [B, T, C] of a question that is about to be asked.

        Raises:
            BadProgram: it predicts a class that no activity has.
        """
        said = self._program.predict(x)
        return said.check(self._habits.classes, f"device {self._folder.path}")

    def take(self, x: NDArray[np.float32], said: Prediction, answer: int) -> Learnt:
        """Take the wearer's answer to a question: write it down, then learn from it.

        Args:
            x: float32 [B, T, C], its windows.
            said: what was predicted of them; nothing else was predicted since.
            answer: the class as answered, or NO_ANSWER.

        Returns:
            what it learnt.
        """
        asked = Asked(x, said.classes, said.vote(self._habits.classes), answer)
        self._folder.journal.add(asked)
        return self._learn(asked)

    def parameters(self) -> dict[str, NDArray[Any]]:
        """Return the parameters of its program by name."""
        return self._program.read_parameters()

    def receive(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take in some parameters that a server sent; their optimizer starts afresh.

        They are written down first, so that a device that is killed has received them.

        Args:
            arrays: by name.

        Raises:
            BadInput: they do not fit the program; the device is what it was.
        """
        self._fit(arrays)
        self._folder.receive(self.score.questions, arrays)
        self._put_on(arrays)

    def score_questions(
        self,
        x: Iterable[NDArray[np.float32]],
        labels: Iterable[NDArray[np.int32]],
        arrays: Mapping[str, NDArray[Any]],
    ) -> NDArray[np.int64]:
        """Predict questions as the device would with a server's arrays; nothing of it stays.

        Args:
            x: float32 [B, T, C] each.
            labels: int32 [B] each, what is true.
            arrays: parameters by name.

        Returns:
            int64 [K, K], rows are true classes.

        Raises:
            BadInput: the arrays do not fit the program.
        """
        self._fit(arrays)
        before = self._program.read_state()
        try:
            self._program.assign_parameters(arrays)
            return score_questions(self._program, x, labels, self._habits.classes)
        finally:
            self._program.assign_state(before)

    def save(self) -> Path:
        """Write a version, if there is anything new since the last one; return the last version.

        It holds the device after the last question that it has taken, whatever it has predicted or
        begun to learn since.
        """
        now = self._now
        return self._folder.save(now.score.questions, now.variables, now.memory, self._keep)

    def close(self) -> None:
        """Let go of the folder."""
        self._folder.close()

    def _open(self) -> None:
        """Become the last version, and learn what came after it."""
        settings, habits, path = self.settings, self._habits, self._folder.versions()[-1]
        form, version = (habits.batch, settings.length, settings.channels), int(path.name)
        asked = self._folder.journal.read(form, habits.classes)
        if len(asked) < version:
            raise BadInput(
                f"{path}: has learnt {version} questions, and the journal has {len(asked)}; put "
                "back a newer copy of the journal, or move this version away"
            )
        score = Score()
        for question in asked[:version]:
            score = score.after(question)
        self._begin(path, score)
        begun = version - version % habits.questions_per_round
        self._lessons.begin(sum(q.answer != NO_ANSWER for q in asked[begun:version]))
        came, arrays = self._folder.received()
        for number, question in enumerate(asked[version:], version):
            if number == came:
                self._put_on(arrays)
            said = self.predict(question.x)
            self.differing += bool((said.classes != question.predicted).any())
            self._learn(question)
        if came == len(asked):
            self._put_on(arrays)

    def _begin(self, path: Path, score: Score) -> None:
        """Become a version, which has a score."""
        self._lessons = Lessons(np.array([self.settings.device], np.int64), self._habits)
        try:
            self._program = Program(path, trusted=self._trusted)
            kept = read_arrays(path / MEMORY) if score.questions else {}
            self._x = {int(k.removeprefix("x/")): v for k, v in kept.items() if k.startswith("x/")}
            if kept:
                self._lessons.restore(kept)
        except Untrusted:
            raise
        except Exception as error:  # TensorFlow raises nearly anything for a damaged file
            reason = " ".join(str(error.__cause__ or error).split())[:200]
            raise BadInput(
                f"{path}: this version is damaged ({reason}); move it away, and the device goes on "
                "from the one before it and the journal"
            ) from error
        self._now = self._moment(score)

    def _fit(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Refuse arrays that are no parameters of the program."""
        own = self._program.read_parameters()
        for name, value in arrays.items():
            if name not in own:
                raise BadInput(
                    f"{name}: the server sent an array that the program of {self._folder.path} "
                    f"lacks; it has {', '.join(sorted(own))}: start both from one SavedModel"
                )
            has = own[name]
            infinite = value.size - int(np.isfinite(value).sum())
            if (value.shape, value.dtype) != (has.shape, has.dtype) or infinite:
                raise BadInput(
                    f"{name}: the server sent {value.dtype} {value.shape}, of which {infinite} are "
                    f"not finite; the program of {self._folder.path} takes {has.dtype} "
                    f"{has.shape}, finite: look at the server"
                )

    def _put_on(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Become what some parameters that fit make of the device."""
        self._program.assign_parameters(arrays, fresh_slots=True)
        self._now = self._moment(self.score)

    def _learn(self, asked: Asked) -> Learnt:
        """Learn from one question, which counts as the next of its round."""
        learnt = Learnt()
        habits, question = self._habits, self.score.questions
        round_, place = divmod(question, habits.questions_per_round)
        if place == 0:
            self._lessons.begin()
        if asked.answer != NO_ANSWER:
            windows = np.full((1, habits.batch), -1, np.int32)
            windows[0, : len(asked.x)] = question * habits.batch + np.arange(len(asked.x))
            self._x[question] = asked.x
            lesson = self._lessons.teach(round_ + 1, windows, np.array([asked.answer], np.int32))
            learn = learn_plainly(self._program, self._read)
            losses = take_steps(self._program, lesson, learn, habits)
            learnt = Learnt(int(lesson.examples()[0]), tuple(losses))
            held = set((self._lessons.remembered // habits.batch).tolist())
            self._x = {number: x for number, x in self._x.items() if number in held}
        self._now = self._moment(self.score.after(asked))
        return learnt

    def _moment(self, score: Score) -> _Moment:
        windows = {f"x/{number}": x for number, x in self._x.items()}
        return _Moment(score, self._program.read_state(), self._lessons.snapshot() | windows)

    def _read(self, windows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Read windows, numbered by question and place in it: [N] -> float32 [N, T, C]."""
        questions, places = np.divmod(windows[windows >= 0], self._habits.batch)
        return np.stack([self._x[q][i] for q, i in zip(questions.tolist(), places, strict=True)])

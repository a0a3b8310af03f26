"""A device in hand: one program and its wearer, kept in a folder from answer to answer.

The folder holds `settings.json`, `journal.jsonl` with a line for each question, and `versions/`,
each a complete SavedModel with the device's memory beside it. A line is written before it is learnt
from, so that the last version and the lines after it are always all that the device is.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from clients.device import take_steps
from clients.errors import BadInput
from clients.journal import Asked, Journal
from clients.lessons import Lessons
from clients.prediction import Prediction
from clients.program import Program, read_checkpoint, write_copy
from clients.user import NO_ANSWER
from clients.wear import Habits

__all__ = ["Score", "Wearable", "create"]

_SETTINGS, _JOURNAL, _VERSIONS, _UNDONE = "settings.json", "journal.jsonl", "versions", "undone"
_MEMORY = Path("assets.extra") / "device.safetensors"


@dataclass(frozen=True, slots=True)
class Score:
    """How well a device did so far, scored before it learnt (prequential).

    Attributes:
        questions: that were asked.
        answered: of them.
        windows: of the answered questions.
        right: of these windows.
        votes: answered questions whose majority was right.
    """

    questions: int = 0
    answered: int = 0
    windows: int = 0
    right: int = 0
    votes: int = 0

    def after(self, asked: Asked) -> Score:
        """Count one more question."""
        if asked.answer == NO_ANSWER:
            return Score(self.questions + 1, self.answered, self.windows, self.right, self.votes)
        return Score(
            self.questions + 1,
            self.answered + 1,
            self.windows + len(asked.x),
            self.right + int((asked.predicted == asked.answer).sum()),
            self.votes + (asked.voted == asked.answer),
        )

    @property
    def accuracy(self) -> float:
        """Share of the windows that were predicted rightly, NaN before the first answer."""
        return self.right / self.windows if self.windows else float("nan")

    @property
    def vote_accuracy(self) -> float:
        """Share of the questions whose majority was right, NaN before the first answer."""
        return self.votes / self.answered if self.answered else float("nan")


def create(
    folder: Path,
    program: Path,
    state: Mapping[str, NDArray[Any]],
    habits: Habits,
    device: int,
    more: Mapping[str, Any],
) -> None:
    """Make the folder of a device that is new.

    Args:
        folder: not there yet, or empty.
        program: its SavedModel.
        state: every variable of it, by name in the checkpoint.
        habits: how its wearer answers and how it learns.
        device: its number, on which its draws of chance depend.
        more: what else is to be remembered with its settings.

    Raises:
        BadInput: there is a device in it, or something else.
    """
    if (folder / _SETTINGS).exists():
        raise BadInput(f"{folder}: there is a device in it; go on with it by --resume")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder}: is there and not empty; give a folder that is not there yet")
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)  # an interrupt may have left it
    (unfinished / _VERSIONS).mkdir(parents=True)
    write_copy(program, unfinished / _VERSIONS / _version(0), state)
    settings = {"device": device, "habits": asdict(habits), **more}
    (unfinished / _SETTINGS).write_text(json.dumps(settings, indent=1))
    unfinished.replace(folder)


class Wearable:
    """A device in hand.

    Attributes:
        settings: what `create` was told.
        score: of all questions so far.
        differing: questions whose prediction came out otherwise when they were replayed.
    """

    def __init__(self, folder: Path, *, keep: int = 10) -> None:
        """Take a device from its folder: its last version, then the journal's lines after it.

        Args:
            folder: which `create` made.
            keep: versions that are kept, beside the first.

        Raises:
            BadInput: there is no device, it is in use, or its journal is damaged.
        """
        if not (folder / _SETTINGS).is_file():
            raise BadInput(
                f"{folder}: no device in it (no {_SETTINGS}); start one by --run or --model"
            )
        self._lock = _locked(folder)
        self._folder, self._keep = folder, keep
        self._journal = Journal(folder / _JOURNAL)
        self.settings: dict[str, Any] = json.loads((folder / _SETTINGS).read_text())
        self._habits = Habits(**self.settings["habits"])
        for left in (folder / _VERSIONS).glob(".*"):  # by an interrupt
            shutil.rmtree(left)
        version = self._versions()[-1]
        self._program = Program(self._path(version))
        self._open(version)

    @property
    def activities(self) -> list[str]:
        """Class index -> name."""
        return list(self.settings["activities"])

    @property
    def channels(self) -> int:
        """Values per sample."""
        return int(self._program.channels)

    def predict(self, x: NDArray[np.float32]) -> Prediction:
        """Predict the windows [B, T, C] of a question that is about to be asked."""
        said = self._program.predict(x)
        if not 0 <= said.classes.min() <= said.classes.max() < self._habits.classes:
            raise BadInput(
                f"{self._program.path}: 'predict' returned the classes {said.classes.tolist()}; "
                f"expected 0 to {self._habits.classes - 1}, one for each activity"
            )
        return said

    def take(self, x: NDArray[np.float32], said: Prediction, answer: int) -> None:
        """Take the wearer's answer to a question: write it down, then learn from it.

        Args:
            x: float32 [B, T, C], its windows.
            said: what was predicted of them.
            answer: the class as answered, or NO_ANSWER.
        """
        asked = Asked(x, said.classes, said.vote(self._habits.classes), answer)
        self._journal.add(asked)
        self._learn(asked)

    def save(self) -> Path:
        """Write a version, if there is anything new since the last one; return the last version."""
        count = self.score.questions
        path = self._path(count)
        if not path.exists():
            unfinished = path.with_name(f".{path.name}")
            write_copy(self._path(0), unfinished, self._program.read_state())
            kept = {f"x/{question}": x for question, x in self._x.items()}
            (unfinished / _MEMORY.parent).mkdir(exist_ok=True)
            save_file(self._lessons.snapshot() | kept, unfinished / _MEMORY)
            unfinished.rename(path)
            for version in self._versions()[1 : -self._keep]:
                shutil.rmtree(self._path(version))
        return path

    def undo(self) -> int:
        """Go back to the last version that is older than the device; return questions forgotten.

        What is forgotten is kept in the folder `undone`.

        Raises:
            BadInput: nothing was learnt since the first version.
        """
        now = self.score.questions
        older = [version for version in self._versions() if version < now]
        if not older:
            raise BadInput(f"{self._folder}: nothing to undo; the device is as it was at first")
        undone = self._folder / _UNDONE
        undone.mkdir(exist_ok=True)
        # Versions go first: a version without its lines would seem to have learnt them.
        for version in self._versions():
            if version > older[-1]:
                shutil.rmtree(undone / _version(version), ignore_errors=True)
                self._path(version).rename(undone / _version(version))
        self._journal.cut(older[-1], undone / _JOURNAL)
        self._open(older[-1])
        return now - self.score.questions

    def close(self) -> None:
        """Let go of the folder."""
        self._lock.close()

    def _open(self, version: int) -> None:
        """Become a version, and learn what came after it."""
        path, asked = self._path(version), self._journal.read()
        if len(asked) < version:
            raise BadInput(
                f"{self._folder / _JOURNAL}: has {len(asked)} questions, fewer than its version "
                f"{path.name}; take back an older copy of the file, or remove that version"
            )
        self._program.become(path, read_checkpoint(path))
        self._lessons = Lessons(np.array([self.settings["device"]], np.int64), self._habits)
        self._x: dict[int, NDArray[np.float32]] = {}
        self.score, self.differing = Score(), 0
        if (path / _MEMORY).is_file():
            kept = load_file(path / _MEMORY)
            self._x = {int(k.removeprefix("x/")): v for k, v in kept.items() if k.startswith("x/")}
            self._lessons.restore(kept)
        for question in asked[:version]:
            self.score = self.score.after(question)
        begun = version - version % self._habits.questions_per_round
        self._lessons.begin(sum(q.answer != NO_ANSWER for q in asked[begun:version]))
        for question in asked[version:]:
            said = self.predict(question.x)
            self.differing += bool((said.classes != question.predicted).any())
            self._learn(question)

    def _learn(self, asked: Asked) -> None:
        """Learn from one question, which counts as the next of its round."""
        habits, question = self._habits, self.score.questions
        round_, place = divmod(question, habits.questions_per_round)
        if place == 0:
            self._lessons.begin()
        if asked.answer != NO_ANSWER:
            windows = np.full((1, habits.batch), -1, np.int32)
            windows[0, : len(asked.x)] = question * habits.batch + np.arange(len(asked.x))
            self._x[question] = asked.x
            lesson = self._lessons.teach(round_ + 1, windows, np.array([asked.answer], np.int32))
            take_steps(self._program, lesson, self._read, habits)
            held = set((self._lessons.remembered // habits.batch).tolist())
            self._x = {number: x for number, x in self._x.items() if number in held}
        self.score = self.score.after(asked)

    def _read(self, windows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Read windows, numbered by question and place in it: [N] -> float32 [N, T, C]."""
        questions, places = np.divmod(windows[windows >= 0], self._habits.batch)
        return np.stack([self._x[q][i] for q, i in zip(questions.tolist(), places, strict=True)])

    def _versions(self) -> list[int]:
        """Return after how many questions there is a version, in ascending order."""
        return sorted(int(path.name) for path in (self._folder / _VERSIONS).glob("[0-9]*"))

    def _path(self, version: int) -> Path:
        return self._folder / _VERSIONS / _version(version)


def _version(questions: int) -> str:
    """Name the version after so many questions."""
    return f"{questions:08d}"


def _locked(folder: Path) -> IO[bytes]:
    """Keep other processes from using a device."""
    lock = (folder / "lock").open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise BadInput(
            f"{folder}: the device is in use by another process; end that one first"
        ) from None
    return lock

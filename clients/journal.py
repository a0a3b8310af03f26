"""What a device in hand was asked and told, one line of JSON for each question, kept at once."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clients.bounded import read_bounded
from clients.errors import BadInput
from clients.user import NO_ANSWER

__all__ = ["Asked", "Journal", "Score", "sync"]

_MOST_BYTES = 2**30  # a question of 8 windows takes 10 KiB


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """One question of a device in hand, and what came of it.

    Attributes:
        x: float32 [B, T, C], its windows.
        predicted: int32 [B], what the device said before it learnt.
        voted: the majority of that.
        answer: the class as answered, or NO_ANSWER.
    """

    x: NDArray[np.float32]
    predicted: NDArray[np.int32]
    voted: int
    answer: int

    def line(self) -> str:
        """Write it as one line of JSON; samples are float32 in base64, in order of `shape`."""
        fields = {
            "answer": None if self.answer == NO_ANSWER else self.answer,
            "voted": self.voted,
            "predicted": self.predicted.tolist(),
            "shape": list(self.x.shape),
            "samples": base64.b64encode(self.x.astype("<f4").tobytes()).decode(),
        }
        return json.dumps(fields) + "\n"

    @classmethod
    def parse(cls, line: str, form: tuple[int, int, int], classes: int) -> Asked:
        """Read what `line` wrote.

        Args:
            line: one line.
            form: most windows of a question, samples of a window, values of a sample.
            classes: number of activities.

        Raises:
            ValueError: this is no question of a device of that form.
        """
        try:
            fields = json.loads(line)
            samples = base64.b64decode(fields["samples"], validate=True)
            x = np.frombuffer(samples, "<f4").reshape(fields["shape"]).astype(np.float32)
            answer = NO_ANSWER if fields["answer"] is None else int(fields["answer"])
            asked = cls(x, np.array(fields["predicted"], np.int32), int(fields["voted"]), answer)
        except (LookupError, TypeError, OverflowError, RecursionError) as error:
            raise ValueError(f"a field is missing or of the wrong type: {error}") from None
        if x.shape[1:] != form[1:] or not 1 <= len(x) <= form[0]:
            raise ValueError(f"its windows are {x.shape}, where {form} is the most")
        if asked.predicted.shape != x.shape[:1]:
            raise ValueError(f"{asked.predicted.size} predictions of {len(x)} windows")
        told = [asked.voted, *asked.predicted.tolist(), *([] if answer == NO_ANSWER else [answer])]
        if not all(0 <= each < classes for each in told):
            raise ValueError(f"classes {sorted(set(told))}, where 0 to {classes - 1} are known")
        return asked


@dataclass(frozen=True, slots=True)
class Score:
    """How well a device did so far, scored before it learnt (prequential), by the answers.

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
            return replace(self, questions=self.questions + 1)
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


class Journal:
    """A file with a line for each question, in the order in which they were asked."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, form: tuple[int, int, int], classes: int) -> list[Asked]:
        """Read all questions; a last line that was left unfinished is cut off.

        Args:
            form: most windows of a question, samples of a window, values of a sample.
            classes: number of activities.

        Raises:
            BadInput: another line cannot be read.
        """
        asked = []
        for number, line in enumerate(self._lines(), 1):
            try:
                asked.append(Asked.parse(line.decode(), form, classes))
            except ValueError as error:
                raise BadInput(
                    f"{self._path}: line {number} is no question of this device ({error}); put "
                    "back an older copy of the file, or remove this line and all after it"
                ) from None
        return asked

    def count(self) -> int:
        """Count the questions without reading them."""
        return len(self._lines())

    def add(self, asked: Asked) -> None:
        """Write a question; when this returns, it is on the disk."""
        new = not self._path.exists()
        with self._path.open("ab") as file:
            file.write(asked.line().encode())
            file.flush()
            os.fsync(file.fileno())
        if new:
            sync(self._path.parent)

    def cut(self, count: int, removed: Path) -> None:
        """Keep the first `count` questions, and add the others to another file."""
        lines = self._lines()
        with removed.open("ab") as file:
            file.writelines(lines[count:])
            file.flush()
            os.fsync(file.fileno())
        self._write(lines[:count])

    def _lines(self) -> Sequence[bytes]:
        """Return the lines; one that was left unfinished is cut off, if more than its end lacks."""
        content = b""
        if self._path.exists():
            content = read_bounded(self._path, _MOST_BYTES, "a device's journal")
        ended = content + b"\n" if content.endswith(b"}") else content
        lines = ended[: ended.rfind(b"\n") + 1].splitlines(keepends=True)
        if content and not content.endswith(b"\n"):
            self._write(lines)
        return lines

    def _write(self, lines: Sequence[bytes]) -> None:
        unfinished = self._path.with_name(f".{self._path.name}.unfinished")
        with unfinished.open("wb") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._path)
        sync(self._path.parent)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)

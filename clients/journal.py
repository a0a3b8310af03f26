"""What a device in hand was asked and told, one line of JSON for each question, kept at once."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clients.errors import BadInput
from clients.user import NO_ANSWER

__all__ = ["Asked", "Journal"]


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
    def parse(cls, line: str) -> Asked:
        """Read what `line` wrote.

        Raises:
            ValueError: it did not write this.
        """
        try:
            fields = json.loads(line)
            samples = base64.b64decode(fields["samples"], validate=True)
            x = np.frombuffer(samples, "<f4").reshape(fields["shape"]).astype(np.float32)
            answer = NO_ANSWER if fields["answer"] is None else int(fields["answer"])
            predicted = np.array(fields["predicted"], np.int32)
            if x.ndim != 3 or predicted.shape != x.shape[:1]:
                raise ValueError(f"samples {x.shape} with predictions {predicted.shape}")
            return cls(x, predicted, int(fields["voted"]), answer)
        except (KeyError, TypeError) as error:
            raise ValueError(f"a field is missing or of the wrong type ({error})") from None


class Journal:
    """A file with a line for each question, in the order in which they were asked."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[Asked]:
        """Read all questions; a last line that an interrupt left unfinished is cut off.

        Raises:
            BadInput: another line cannot be read.
        """
        lines = self._lines()
        asked = []
        for number, line in enumerate(lines, 1):
            try:
                asked.append(Asked.parse(line.decode()))
            except ValueError as error:
                raise BadInput(
                    f"{self._path}: line {number} is no question of a device ({error}); take back "
                    "an older copy of the file, or cut it off before this line"
                ) from None
        return asked

    def add(self, asked: Asked) -> None:
        """Write a question; when this returns, it is on the disk."""
        with self._path.open("ab") as file:
            file.write(asked.line().encode())
            file.flush()
            os.fsync(file.fileno())

    def cut(self, count: int, removed: Path) -> None:
        """Keep the first `count` questions, and move the others to the end of another file."""
        lines = self._lines()
        with removed.open("ab") as file:
            file.writelines(lines[count:])
            file.flush()
            os.fsync(file.fileno())
        self._write(lines[:count])

    def _lines(self) -> Sequence[bytes]:
        """Return the whole lines, and cut off what comes after the last of them."""
        content = self._path.read_bytes() if self._path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        lines = whole.splitlines(keepends=True)
        if len(whole) < len(content):
            self._write(lines)
        return lines

    def _write(self, lines: Sequence[bytes]) -> None:
        unfinished = self._path.with_name(f".{self._path.name}.unfinished")
        with unfinished.open("wb") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._path)

"""The terminal of a device in hand: it plays, predicts, asks, and learns at once.

One thread plays what reaches the device, one predicts, one reads the terminal or the pipe; the main
thread asks and learns. A question is predicted when the one before it is learnt, never earlier.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from clients.user import NO_ANSWER
from clients.wearable import Wearable
from simulator.sittings import Question

__all__ = ["Dialogue", "Lines"]

_AHEAD = 2  # questions that are played before the first of them is answered
_END: Any = None


class Lines:
    """Standard input, line by line: samples and answers, told apart by the commas of samples."""

    def __init__(self, channels: int, tell: Callable[[str], None]) -> None:
        self._channels, self._tell = channels, tell
        self._answers: queue.Queue[str | None] = queue.Queue()
        self._samples: queue.Queue[list[float] | None] = queue.Queue(4096)

    def start(self) -> None:
        """Begin to read."""
        threading.Thread(target=self._read, daemon=True).start()

    def answer(self) -> str | None:
        """Wait for a line that is no sample; None at the end of the input."""
        return self._answers.get()

    def samples(self) -> Iterator[list[float]]:
        """Give the samples as they come."""
        while (sample := self._samples.get()) is not None:
            yield sample

    def _read(self) -> None:
        # Not by sys.stdin, which a thread that still waits for a line would block at exit.
        rest, number = b"", 0
        while chunk := os.read(0, 1 << 16):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                number += 1
                self._sort(line.decode(errors="replace").strip(), number)
        if rest:
            self._sort(rest.decode(errors="replace").strip(), number + 1)
        self._samples.put(_END)
        self._answers.put(_END)

    def _sort(self, line: str, number: int) -> None:
        if "," not in line:
            self._answers.put(line)
            return
        try:
            sample = [float(part) for part in line.rstrip(";").split(",")]
        except ValueError:
            sample = []
        if len(sample) == self._channels and all(abs(value) <= 200.0 for value in sample):
            self._samples.put(sample)
        elif number > 1 or any(c.isdigit() for c in line):  # the first line may be a heading
            self._tell(
                f"line {number} is left out: {line[:60]!r}; expected {self._channels} numbers "
                "within +-200 m/s², such as 0.12,-3.40,9.81"
            )


class Dialogue:
    """One sitting with a device in hand."""

    def __init__(
        self,
        wearable: Wearable,
        lines: Lines,
        *,
        every: int,
        speed: float,
        tell: Callable[[str], None],
    ) -> None:
        """Prepare to ask.

        Args:
            wearable: the device.
            lines: where answers come from.
            every: answers after which a version is saved.
            speed: times as fast as recorded; 0 for as fast as it can.
            tell: shows a line.
        """
        self._wearable, self._lines, self._tell = wearable, lines, tell
        self._every, self._speed = every, speed
        self._played: queue.Queue[Any] = queue.Queue(_AHEAD)
        self._asked: queue.Queue[Any] = queue.Queue(1)
        self._learnt = threading.Semaphore(1)

    def run(self, questions: Iterable[Question]) -> bool:
        """Ask until the questions end, or the wearer stops; return whether they ended."""
        for target, arguments in ((self._play, (questions,)), (self._predict, ())):
            threading.Thread(target=target, args=arguments, daemon=True).start()
        answered = 0
        while True:
            told = _next(self._asked)
            if told is _END:
                return True
            x, said = told
            answer = self._ask(self._wearable.activities, said.vote(len(self._wearable.activities)))
            if answer is None:
                return False
            self._wearable.take(x, said, answer)
            answered += answer != NO_ANSWER
            if answer != NO_ANSWER and answered % self._every == 0:
                self._wearable.save()
            self._learnt.release()

    def _ask(self, activities: list[str], vote: int) -> int | None:
        """Put a question until it is answered: a class, NO_ANSWER, or None to stop."""
        score = self._wearable.score
        so_far = f"  [{score.votes} of {score.answered} right so far]" if score.answered else ""
        prompt = (
            f"{activities[vote]}? [Enter = yes, 1-{len(activities)} = another, s = skip, q = stop]"
            f"{so_far} "
        )
        while True:
            # On a pipe every prompt is a line of its own, so that a script can wait for it.
            sys.stdout.write(prompt if sys.stdout.isatty() else f"{prompt.rstrip()}\n")
            sys.stdout.flush()
            line = self._lines.answer()
            if line is None or line.lower() in ("q", "quit", "stop"):
                return None
            if line.lower() in ("", "y", "yes"):
                return vote
            if line.lower() in ("s", "skip"):
                return NO_ANSWER
            if line.isdigit() and 1 <= int(line) <= len(activities):
                return int(line) - 1
            if line.lower() in activities:
                return activities.index(line.lower())
            numbers = ", ".join(f"{i} {name}" for i, name in enumerate(activities, 1))
            self._tell(f"{line!r} is no answer: {numbers}; Enter for yes, s to skip, q to stop")

    def _play(self, questions: Iterable[Question]) -> None:
        """Let questions come at their pace; while the wearer thinks, the recording waits."""
        try:
            due = time.monotonic()
            for x, seconds in questions:
                if self._speed:
                    due = max(due, time.monotonic()) + seconds / self._speed
                    time.sleep(max(0.0, due - time.monotonic()))
                self._played.put(x)
            self._played.put(_END)
        except Exception as error:
            self._played.put(error)

    def _predict(self) -> None:
        """Predict each question once the one before it is done with."""
        try:
            while (x := _next(self._played)) is not _END:
                self._learnt.acquire()
                self._asked.put((x, self._wearable.predict(x)))
            self._asked.put(_END)
        except Exception as error:
            self._asked.put(error)


def _next(waiting: queue.Queue[Any]) -> Any:
    """Take what comes next, or raise what happened in its place."""
    told = waiting.get()
    if isinstance(told, Exception):
        raise told
    return told

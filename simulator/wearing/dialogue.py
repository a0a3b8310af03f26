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
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

from clients.user import NO_ANSWER
from clients.wearable import Wearable
from clients.wisdm.parser import MAX_ACCELERATION
from simulator.wearing.sittings import Question

__all__ = ["Dialogue", "Lines"]

_AHEAD = 2  # questions that are played before the first of them is answered
_ENOUGH = 4096  # answers, or samples, that are read before anybody waits for them
_LOOK_S = 0.2  # how often it is looked whether somebody has typed something unasked
_SHOWN = 5  # lines that are no samples
_AXES = 3
_END: Any = None
_STOP = ("q", "quit", "stop")


class Lines:
    """Standard input, line by line: answers, and samples where they come by it as well.

    A sample is told from an answer by its commas. What a script sends in advance is kept for when
    it is asked; what a person types before a question is none of its answers.
    """

    def __init__(self, channels: int | None, tell: Callable[[str], None], file: int = 0) -> None:
        """Prepare to read.

        Args:
            channels: values per sample; None where no samples come, and every line is an answer.
            tell: shows a line.
            file: descriptor of what is read.
        """
        self._channels, self._tell, self._file = channels, tell, file
        self._changed = threading.Condition()
        self._answers: deque[str] = deque()
        self._samples: deque[list[float]] = deque()
        self._count, self._left_out, self._ended = 0, 0, False

    def start(self) -> None:
        """Begin to read."""
        threading.Thread(target=self._read, daemon=True).start()

    def answer(self) -> str | None:
        """Wait for a line that is no sample; None at the end of the input."""
        line: str | None = self._next(self._answers)
        return line

    def samples(self) -> Iterator[list[float]]:
        """Give the samples as they come."""
        while (sample := self._next(self._samples)) is not None:
            yield sample

    def stops(self) -> bool:
        """Whether somebody typed, unasked, that they want to stop; what else they typed is lost."""
        if not self._typed():
            return False
        with self._changed:
            typed = list(self._answers)
            self._answers.clear()
            self._changed.notify_all()
            return self._ended or any(line.lower() in _STOP for line in typed)

    def _typed(self) -> bool:
        return os.isatty(self._file)

    def _next(self, kept: deque[Any]) -> Any:
        with self._changed:
            self._changed.wait_for(lambda: kept or self._ended)
            self._changed.notify_all()
            return kept.popleft() if kept else None

    def _read(self) -> None:
        # Not by sys.stdin, which a thread that still waits for a line would block at exit.
        rest = b""
        with suppress(OSError):  # a standard input that is closed has ended
            while chunk := os.read(self._file, 1 << 16):
                *lines, rest = (rest + chunk).split(b"\n")
                self._sort(lines)
            self._sort([rest] if rest else [])
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _sort(self, lines: list[bytes]) -> None:
        """Keep lines, and wait while there are more than anybody waits for."""
        for line in lines:
            self._count += 1
            text = line.decode(errors="replace").strip()
            if self._channels is None or "," not in text:
                self._answers.append(text)
            elif sample := self._sample(text):
                self._samples.append(sample)
        with self._changed:
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._enough())

    def _enough(self) -> bool:
        samples = self._channels is None or len(self._samples) >= _ENOUGH
        return samples and len(self._answers) >= _ENOUGH

    def _sample(self, line: str) -> list[float]:
        """Read a sample; say why a line is none, and return nothing."""
        try:
            sample = [float(part) for part in line.rstrip(";,").split(",")]
        except ValueError:
            sample = []
        most = MAX_ACCELERATION if self._channels == _AXES else float("inf")
        if len(sample) == self._channels and all(abs(value) <= most for value in sample):
            return sample
        heading = self._count == 1 and not any(c.isdigit() for c in line)
        self._left_out += not heading
        if not heading and self._left_out <= _SHOWN:
            last = "; others are left out in silence" if self._left_out == _SHOWN else ""
            self._tell(
                f"line {self._count} is left out: {line[:60]!r}; expected {self._channels} numbers "
                f"within ±{most:g}, with commas between{last}"
            )
        return []


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
        self._activities = wearable.settings.activities
        self._played: queue.Queue[Any] = queue.Queue(_AHEAD)
        self._predicted: queue.Queue[Any] = queue.Queue(1)
        self._learnt = threading.Semaphore(1)
        self._predicting = threading.Lock()

    def run(self, questions: Iterable[Question]) -> bool:
        """Ask until the questions end, or the wearer stops; return whether they ended."""
        for target, arguments in ((self._play, (questions,)), (self._predict, ())):
            threading.Thread(target=target, args=arguments, daemon=True).start()
        try:
            while (predicted := self._wait()) is not _END:
                x, said = predicted
                answer = self._ask(said.vote(len(self._activities)))
                self._wearable.take(x, said, answer)
                score = self._wearable.score
                if answer != NO_ANSWER and score.answered % self._every == 0:
                    self._wearable.save()
                self._learnt.release()
            return True
        except _Stopped:
            return False
        finally:
            self._predicting.acquire()  # a process must not end while TensorFlow is at work

    def _wait(self) -> Any:
        """Return what is predicted next, or _END."""
        while True:
            with suppress(queue.Empty):
                return _next(self._predicted, _LOOK_S)
            if self._lines.stops():
                raise _Stopped

    def _ask(self, vote: int) -> int:
        """Put a question until it is answered: a class, or NO_ANSWER."""
        if self._lines.stops():
            raise _Stopped
        names, score = self._activities, self._wearable.score
        answers = {name.lower(): index for index, name in enumerate(names)}
        answers |= {str(number): index for index, number in enumerate(range(1, len(names) + 1))}
        answers |= {"": vote, "y": vote, "yes": vote, "s": NO_ANSWER, "skip": NO_ANSWER}
        so_far = f"  [{score.votes} of {score.answered} right so far]" if score.answered else ""
        prompt = (
            f"{names[vote]}? [Enter = yes, 1-{len(names)} = another, s = skip, q = stop]{so_far} "
        )
        while True:
            # On a pipe every prompt is a line of its own, so that a script can wait for it.
            sys.stdout.write(prompt if sys.stdout.isatty() else f"{prompt.rstrip()}\n")
            sys.stdout.flush()
            line = self._lines.answer()
            if line is None or line.lower() in _STOP:
                raise _Stopped
            if line.lower() in answers:
                return answers[line.lower()]
            numbers = ", ".join(f"{i} {name}" for i, name in enumerate(names, 1))
            self._tell(
                f"{line[:60]!r} is no answer: {numbers}; Enter for yes, s to skip, q to stop"
            )

    def _play(self, questions: Iterable[Question]) -> None:
        """Let questions come at their pace; while the wearer thinks, the recording waits."""
        try:
            due = time.monotonic()
            for number, (x, seconds) in enumerate(questions):
                pause_s = seconds / self._speed if self._speed else 0.0
                if pause_s and not number:
                    self._tell(f"first question in {pause_s:.3g} s; --speed makes it faster")
                due = max(due, time.monotonic()) + pause_s
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
                with self._predicting:
                    said = self._wearable.predict(x)
                self._predicted.put((x, said))
            self._predicted.put(_END)
        except Exception as error:
            self._predicted.put(error)


class _Stopped(Exception):
    """The wearer wants to stop."""


def _next(waiting: queue.Queue[Any], timeout_s: float | None = None) -> Any:
    """Take what comes next, or raise what happened in its place."""
    told = waiting.get(timeout=timeout_s)
    if isinstance(told, Exception):
        raise told
    return told

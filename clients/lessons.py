"""What devices are taught: their users' answers, at once or late, and what they rehearse with them.

Nothing of it depends on what a device predicts, but for which questions it asks when it asks the
uncertain ones; so a round's lessons are known before it is computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients import chance
from clients.errors import BadInput
from clients.memory import Memory
from clients.user import NO_ANSWER, answer_questions, choose_questions
from clients.wear import Habits

__all__ = ["Lesson", "Lessons"]

_LOOK_QUESTIONS = 4  # whose worth of windows a device sees of its memory


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """One answer to each of D devices: S steps on up to B windows and up to R rehearsed ones.

    Several lessons are stacked along an axis E after that of the devices.

    Attributes:
        windows: int32 [D, B], the question's windows in the pool, -1 where there is none.
        answer: int32 [D], their class as answered, NO_ANSWER where the device learns nothing.
        rehearsed: int32 [D, S, R], windows from the memory, -1 where there is none; R is B or as
            the habits say, or 0 without a memory. They are mixed with the question's, or are one
            whole question of another activity that is learnt before it, as the habits say.
        taught: int32 [D, S, R], their classes as answered.
        steps: bool [D, S], which steps are to be taken.
    """

    windows: NDArray[np.int32]
    answer: NDArray[np.int32]
    rehearsed: NDArray[np.int32]
    taught: NDArray[np.int32]
    steps: NDArray[np.bool_]

    def examples(self) -> NDArray[np.int32]:
        """Count the answered windows that are learnt from: int32 [D], or [D, E]."""
        learnt = self.steps.any(axis=-1)
        return np.where(learnt, (self.windows >= 0).sum(axis=-1), 0).astype(np.int32)

    @classmethod
    def stacked(cls, lessons: Sequence[Lesson]) -> Lesson:
        """Stack lessons of the same devices."""
        return cls(*(np.stack([getattr(x, f.name) for x in lessons], 1) for f in fields(cls)))

    def stop(self, until: NDArray[np.float64]) -> None:
        """Take no steps after some share of the stacked lessons, of each device: float64 [D]."""
        count = self.steps.shape[1]
        ended = np.arange(count) >= np.floor(until * count)[:, None]
        self.steps[ended] = False

    def take(self, rows: NDArray[np.int64]) -> Lesson:
        """Return copies of some devices' lessons."""
        return Lesson(*(getattr(self, field.name)[rows] for field in fields(self)))

    def part(self, first: int, count: int) -> Lesson:
        """Return `count` of the stacked lessons, filled up with empty ones where they end."""
        cut = {f.name: getattr(self, f.name)[:, first : first + count] for f in fields(self)}
        short = count - cut["answer"].shape[1]
        if not short:
            return Lesson(**cut)
        filled = {}
        for name, value in cut.items():
            empty = False if value.dtype == np.bool_ else -1
            width = [(0, 0), (0, short), *[(0, 0)] * (value.ndim - 2)]
            filled[name] = np.pad(value, width, constant_values=empty)
        return Lesson(**filled)


class Lessons:
    """The users of D devices, and the devices' memories of what they answered.

    Attributes:
        budget: int64 [D], questions that a device asks in a round at most, where not all are.
    """

    def __init__(self, devices: NDArray[np.int64], habits: Habits) -> None:
        self._devices, self._habits = devices, habits
        if habits.whole_questions and 0 < habits.memory < habits.batch:
            raise BadInput(
                f"memory = {habits.memory}: whole questions are rehearsed, and one has "
                f"{habits.batch} windows; give room for some of each activity, such as "
                f"{habits.batch * 8 * habits.classes}, or 0 to rehearse nothing"
            )
        if habits.whole_questions:
            places = habits.memory // habits.batch
            self._memory = Memory(devices.size, places, habits.classes, habits.batch)
        else:
            self._memory = Memory(devices.size, habits.memory, habits.classes)
        self._late: list[tuple[int, NDArray[np.int32], NDArray[np.int32]]] = []
        self._given = np.zeros(devices.size, np.int64)  # lessons of this round so far
        self.budget = np.full(devices.size, habits.budget, np.int64)

    @property
    def remembered(self) -> NDArray[np.int32]:
        """The windows in the memories, each once: int32 [n]."""
        held = np.unique(self._memory.windows)
        return held[held >= 0]

    @property
    def memory_windows(self) -> NDArray[np.int32]:
        """Windows in each memory, int32 [D]."""
        if self._habits.whole_questions:
            return np.asarray((self._memory.windows >= 0).sum(axis=(1, 2)), np.int32)
        return self._memory.size.astype(np.int32)

    def begin(self, given: int = 0) -> None:
        """Begin a round, or go on after so many answers of it, on which its next draws depend."""
        self._given[:] = given

    def ask(
        self, round_: int, labels: NDArray[np.int32], certainty: NDArray[np.float32] | None
    ) -> tuple[NDArray[np.bool_], NDArray[np.int32]]:
        """Begin a round: decide which questions are asked and let the users answer.

        Args:
            round_: the round, from 1.
            labels: int32 [D, Q], what is true, -1 where there is no question.
            certainty: float32 [D, Q], needed where the uncertain ones are asked.

        Returns:
            asked, bool [D, Q], and the answers, int32 [D, Q].
        """
        habits, count = self._habits, labels.shape[1]
        self.begin()
        asked = choose_questions(
            habits.ask, self.budget, labels, certainty, self._draw("ask", round_, count)
        )
        draws = self._draw("answer", round_, count * 3).reshape(-1, count, 3)
        answers = answer_questions(
            labels,
            asked,
            draws,
            answer_rate=habits.answer_rate,
            mistake_rate=habits.mistake_rate,
            classes=habits.classes,
        )
        return asked, answers

    def due(self, round_: int) -> Iterator[Lesson]:
        """Teach the late answers that arrive in this round, in the order of their questions."""
        arrived = [late for late in self._late if late[0] <= round_]
        self._late = [late for late in self._late if late[0] > round_]
        for _, windows, answers in arrived:
            for question in range(answers.shape[1]):
                yield self.teach(round_, windows[:, question], answers[:, question])

    def now(
        self, round_: int, windows: NDArray[np.int32], answers: NDArray[np.int32]
    ) -> Iterator[Lesson]:
        """Teach a round's answers [D, Q] to questions [D, Q, B], one question after the other.

        Where answers come late there is a lesson for each question, but nothing in it.
        """
        if self._habits.delay_rounds:
            self._late.append((round_ + self._habits.delay_rounds, windows, answers.copy()))
            answers = np.full_like(answers, NO_ANSWER)
        count = answers.shape[1]
        return (self.teach(round_, windows[:, q], answers[:, q]) for q in range(count))

    def teach(self, round_: int, windows: NDArray[np.int32], answer: NDArray[np.int32]) -> Lesson:
        """Draw what is rehearsed with one answer, then offer its windows to the memory.

        Args:
            round_: the round, from 1.
            windows: int32 [D, B], the question's, -1 where there is none.
            answer: int32 [D], its class as answered, NO_ANSWER where there is none.
        """
        habits, (devices, batch) = self._habits, windows.shape
        more = habits.rehearse or batch
        shape = (devices, habits.steps, more if habits.memory else 0)
        rehearsed, taught = np.full(shape, -1, np.int32), np.full(shape, -1, np.int32)
        rows = np.flatnonzero(answer != NO_ANSWER)
        steps = np.zeros(shape[:2], np.bool_)
        if not habits.memory:
            steps[rows] = True
        elif rows.size and habits.whole_questions:
            draws = self._draw("rehearse", round_, habits.steps * 2, rows)
            rehearsed[rows], classes = self._memory.draw(
                draws.reshape(rows.size, -1, 2), rows, answer[rows]
            )
            taught[rows] = np.where(rehearsed[rows] >= 0, classes[..., None], -1)
            steps[rows] = classes >= 0
            keep = self._draw("keep", round_, 2, rows).reshape(rows.size, 1, 2)
            self._memory.add(rows, windows[rows][:, None], answer[rows], keep)
        elif rows.size:
            draws = self._draw("rehearse", round_, habits.steps * more * 2, rows)
            drawn, classes = self._memory.draw(draws.reshape(rows.size, -1, 2), rows)
            there = (drawn >= 0).reshape(rows.size, *shape[1:])
            if not habits.rehearse:  # as many as the question has
                there &= (windows[rows] >= 0)[:, None, :]
            rehearsed[rows] = np.where(there, drawn.reshape(there.shape), -1)
            taught[rows] = np.where(there, classes.reshape(there.shape), -1)
            # One activity alone would only teach to forget the others.
            steps[rows] = (there & (taught[rows] != answer[rows, None, None])).any(axis=2)
            keep = self._draw("keep", round_, batch * 2, rows).reshape(rows.size, batch, 2)
            self._memory.add(rows, windows[rows], answer[rows], keep)
        self._given[rows] += 1
        return Lesson(windows, answer, rehearsed, taught, steps)

    def look(self, round_: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Draw what devices see of their memories as a round begins; each class is as likely.

        Args:
            round_: the round, from 1.

        Returns:
            windows of the pool, int32 [D, R], and their classes as answered, -1 where there is
            none; of programs that learn whole questions, those of one question.
        """
        whole = self._habits.whole_questions
        count = 1 if whole else _LOOK_QUESTIONS * self._habits.batch
        draws = chance.uniforms(self._habits.seed, "look", round_, self._devices, count * 2)
        windows, labels = self._memory.draw(draws.reshape(self._devices.size, count, 2))
        if whole:
            windows = windows[:, 0]
            labels = np.where(windows >= 0, labels, -1)
        return windows, np.asarray(labels, np.int32)

    def _draw(
        self, purpose: str, round_: int, count: int, rows: NDArray[np.int64] | None = None
    ) -> NDArray[np.float64]:
        """Draw [D, count], by lesson, so that arms that take fewer steps draw the same at first."""
        seed = self._habits.seed
        if rows is None:
            return chance.uniforms(seed, purpose, round_, self._devices, count)
        return chance.uniforms(
            seed, purpose, round_, self._devices[rows], count, place=self._given[rows]
        )

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Return all that the devices and their users remember, as named arrays [D, ...]."""
        late: dict[str, NDArray[Any]] = {}
        for due, windows, answers in self._late:
            late |= {f"late/{due}/windows": windows, f"late/{due}/answers": answers}
        return {f"memory/{name}": value for name, value in self._memory.snapshot().items()} | late

    def restore(self, snapshot: Mapping[str, NDArray[Any]]) -> None:
        """Become what a snapshot holds."""
        self._memory.restore(
            {
                name.removeprefix("memory/"): value
                for name, value in snapshot.items()
                if name.startswith("memory/")
            }
        )
        rounds = sorted({int(name.split("/")[1]) for name in snapshot if name.startswith("late/")})
        self._late = [
            (due, snapshot[f"late/{due}/windows"], snapshot[f"late/{due}/answers"])
            for due in rounds
        ]

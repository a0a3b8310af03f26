"""Who wears devices, what reaches them, how their wearers answer and how they learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clients.drift import Drift
from clients.hostile import Hostile
from clients.pool import Pool
from clients.stream import Streams
from clients.user import Ask
from clients.variation import Variations

__all__ = ["Exam", "Habits", "Wear"]


@dataclass(frozen=True, slots=True, eq=False)
class Exam:
    """Windows of D devices that are scored and never learnt.

    Attributes:
        windows: int32 [D, H], of the pool; -1, at the end, where a device has fewer.
        state: uint8 [D], the drifts in force as they are measured.
        stamped: whether they carry the trigger of a backdoor.
    """

    windows: NDArray[np.int32]
    state: NDArray[np.uint8]
    stamped: bool = False

    def take(self, rows: ArrayLike) -> Exam:
        """Return the exam of some of the devices."""
        chosen = np.asarray(rows, np.int64)
        return replace(self, windows=self.windows[chosen], state=self.state[chosen])

    def stamp(self, wear: Wear) -> Exam | None:
        """Return the windows that a backdoor is about, with its trigger; None without one."""
        hostile = wear.hostile
        if hostile is None or hostile.attack != "backdoor":
            return None
        own = (self.windows >= 0) & (wear.pool.windows.label[self.windows] == hostile.activity)
        first = np.argsort(~own, axis=1, kind="stable")  # what is there comes first in any exam
        windows = np.where(own, self.windows, np.int32(-1))
        return replace(self, windows=np.take_along_axis(windows, first, axis=1), stamped=True)

    def of(self, devices: NDArray[np.bool_]) -> Exam:
        """Return the exam of some devices alone, bool [D]; the others have no window."""
        return replace(self, windows=np.where(devices[:, None], self.windows, np.int32(-1)))


@dataclass(frozen=True, slots=True, eq=False)
class Wear:
    """Who wears D devices, and what will reach them.

    Attributes:
        devices: int64 [D], their numbers in the fleet, on which their draws of chance depend.
        names: their ids.
        users: their wearers' ids.
        pool: everybody's windows.
        streams: the devices' questions.
        holdout: int64 [D, 2], first window of the pool that is scored and never learnt, and the
            one after the last.
        variations: what sets the devices apart from the recordings, None where nothing does.
        drift: what changes while they are worn, None where nothing does.
        hostile: who of them means harm, None where nobody does.
    """

    devices: NDArray[np.int64]
    names: Sequence[str]
    users: Sequence[str]
    pool: Pool
    streams: Streams
    holdout: NDArray[np.int64]
    variations: Variations | None = None
    drift: Drift | None = None
    hostile: Hostile | None = None

    def __len__(self) -> int:
        return self.devices.size

    def take(self, rows: ArrayLike) -> Wear:
        """Return some of the devices."""
        chosen = np.asarray(rows, np.int64)
        return Wear(
            self.devices[chosen],
            [self.names[i] for i in chosen],
            [self.users[i] for i in chosen],
            self.pool,
            self.streams.take(chosen),
            self.holdout[chosen],
            None if self.variations is None else self.variations.take(chosen),
            None if self.drift is None else self.drift.take(chosen),
            None if self.hostile is None else self.hostile.take(chosen),
        )

    def exam(self, questions: int | None = None) -> Exam:
        """Lay out what is scored after so many questions; None: without any drift."""
        if self.drift is not None:
            state = np.zeros(len(self), np.uint8)
            if questions is not None:
                state = self.drift.after(questions)
            return Exam(self.drift.examined(state), state)
        first, stop = self.holdout.T
        windows = first[:, None] + np.arange(int((stop - first).max(initial=0)))
        there = np.where(windows < stop[:, None], windows, -1).astype(np.int32)
        return Exam(there, np.zeros(len(self), np.uint8))

    def drifted(self, windows: NDArray[np.int32]) -> NDArray[np.bool_] | None:
        """Tell which windows of the streams, int32 [D, ...], are met under a drift, if any is."""
        return None if self.drift is None else self.drift.of_windows(windows) > 0

    def taken_in(self, confusion: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Count the windows with a backdoor's trigger, and those taken for its target: [D, 2].

        Args:
            confusion: int64 [D, K, K], what such windows were taken for.
        """
        if self.hostile is None:
            return None
        theirs = confusion[:, self.hostile.activity]
        return np.stack([theirs.sum(axis=1), theirs[:, self.hostile.target]], axis=1)

    def heard(self, label: NDArray[np.int32], answer: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return answers, int32 [D, Q], as the devices take them, those of hostile ones altered."""
        return answer if self.hostile is None else self.hostile.answers(label, answer)

    def read(
        self,
        windows: NDArray[np.int32],
        rows: NDArray[np.int64] | None = None,
        state: NDArray[np.uint8] | None = None,
        *,
        stamped: bool = False,
    ) -> NDArray[np.float32]:
        """Read windows as each device measures them.

        Args:
            windows: int32 [n, ...]; where there is none (-1), any window stands in for it.
            rows: int64 [n], whose they are; None stands for all devices.
            state: uint8 [n], the drifts in force; None reads windows of the stream, each as it was
                measured when it came.
            stamped: whether windows that are no part of the stream carry a backdoor's trigger.

        Returns:
            float32 [n, ..., T, C].
        """
        there = np.maximum(windows, 0)
        if self.variations is None:
            values = self.pool.read(there)
        else:
            own = self.variations if rows is None else self.variations.take(rows)
            values = own.read(self.pool, there)
        if self.drift is not None:
            held = (
                self.drift.of_windows(windows, rows)
                if state is None
                else np.broadcast_to(state.reshape(-1, *[1] * (windows.ndim - 1)), windows.shape)
            )
            if held.any():
                self.drift.overwrite(values, self.pool, there, rows, held)
        if self.hostile is not None and (stamped or state is None):
            label = self.pool.windows.label[there]
            self.hostile.stamp(values, label, rows, everybody=stamped)
        return values


@dataclass(frozen=True, slots=True)
class Habits:
    """How the wearer answers and how the device learns.

    Attributes:
        seed: the scenario's seed.
        classes: number of activities.
        batch: most windows per question.
        questions_per_round: questions that reach the device in one round.
        answer_rate: share of the asked questions that are answered.
        mistake_rate: share of the answers that are wrong.
        delay_rounds: rounds until an answer arrives.
        ask: which questions are asked.
        budget: most questions asked per round, where not all are.
        steps: gradient steps per answered question.
        memory: windows kept to rehearse from.
        rehearse: windows from the memory in each step; 0 takes as many as the question has. Where
            whole questions are rehearsed, it is one of them.
        whole_questions: whether a step rehearses a whole question of another activity and then
            learns its own, instead of mixing their windows, as foreign and recurrent programs need.
        series: whether windows are single samples, of which a question is a series.
        least: fewest windows of a question that the program takes.
        scores_opened: whether the model with which a round begins is scored on all of its
            questions, beside the model that answers.
    """

    seed: int
    classes: int
    batch: int
    questions_per_round: int
    answer_rate: float
    mistake_rate: float
    delay_rounds: int
    ask: Ask
    budget: int
    steps: int
    memory: int
    rehearse: int = 0
    whole_questions: bool = False
    series: bool = False
    least: int = 1
    scores_opened: bool = True

    @property
    def by_question(self) -> bool:
        """Whether the holdout is scored question by question, as windows are no matter of one."""
        return self.whole_questions or self.series

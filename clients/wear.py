"""Who wears devices, what reaches them, how their wearers answer and how they learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clients.pool import Pool
from clients.stream import Streams
from clients.user import Ask
from clients.variation import Variations

__all__ = ["Habits", "Wear"]


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
    """

    devices: NDArray[np.int64]
    names: Sequence[str]
    users: Sequence[str]
    pool: Pool
    streams: Streams
    holdout: NDArray[np.int64]
    variations: Variations | None = None

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
        )

    def read(
        self, windows: NDArray[np.int32], rows: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """Read windows as each device measures them.

        Args:
            windows: int32 [n, ...]; where there is none (-1), any window stands in for it.
            rows: int64 [n], whose they are; None stands for all devices.

        Returns:
            float32 [n, ..., T, C].
        """
        there = np.maximum(windows, 0)
        if self.variations is None:
            return self.pool.read(there)
        own = self.variations if rows is None else self.variations.take(rows)
        return own.read(self.pool, there)


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

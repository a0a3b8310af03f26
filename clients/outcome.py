"""What comes of a round of some devices: for the records, and for the server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clients.methods import Arrays

__all__ = ["Outcome", "Sent", "Update"]


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What came of one round of D devices with up to Q questions of up to B windows each.

    A device that had fewer questions, or a question that had fewer windows, leaves the end of its
    row empty: -1 for what would be an index or a class, False, or NaN.

    Attributes:
        windows: int32 [D, Q, B], which windows of the pool were predicted, -1 where none was.
        label: int32 [D, Q], the class that is true of each question.
        predicted: int32 [D, Q, B], classes.
        voted: int32 [D, Q], the majority's class.
        opened_correct: bool [D, Q, B], whether the model was right with which the round began;
            False throughout where that is not scored.
        asked: bool [D, Q], whether the user was asked.
        answer: int32 [D, Q], class as answered, or NO_ANSWER.
        loss: float32 [D, Q, B], cross-entropy of the prediction, NaN without logits.
        examples: int32 [D], answered windows that were learnt from.
        steps: int32 [D], steps taken.
        gradients: int32 [D], gradient evaluations that they took.
        learning_loss: float32 [D], mean loss of the steps, NaN without steps.
        memory_windows: int32 [D], windows in the memory when the round ended.
    """

    windows: NDArray[np.int32]
    label: NDArray[np.int32]
    predicted: NDArray[np.int32]
    voted: NDArray[np.int32]
    opened_correct: NDArray[np.bool_]
    asked: NDArray[np.bool_]
    answer: NDArray[np.int32]
    loss: NDArray[np.float32]
    examples: NDArray[np.int32]
    steps: NDArray[np.int32]
    gradients: NDArray[np.int32]
    learning_loss: NDArray[np.float32]
    memory_windows: NDArray[np.int32]

    @classmethod
    def empty(cls, devices: int, questions: int, batch: int) -> Outcome:
        """Return what came of a round in which nothing happened, to be filled in."""
        each, one = (devices, questions, batch), (devices, questions)
        return cls(
            windows=np.full(each, -1, np.int32),
            label=np.full(one, -1, np.int32),
            predicted=np.full(each, -1, np.int32),
            voted=np.full(one, -1, np.int32),
            opened_correct=np.zeros(each, np.bool_),
            asked=np.zeros(one, np.bool_),
            answer=np.full(one, -1, np.int32),
            loss=np.full(each, np.nan, np.float32),
            examples=np.zeros(devices, np.int32),
            steps=np.zeros(devices, np.int32),
            gradients=np.zeros(devices, np.int32),
            learning_loss=np.full(devices, np.nan, np.float32),
            memory_windows=np.zeros(devices, np.int32),
        )

    @classmethod
    def joined(cls, outcomes: Sequence[Outcome]) -> Outcome:
        """Put devices' outcomes of one round under each other."""
        return cls(
            **{
                field.name: np.concatenate([getattr(outcome, field.name) for outcome in outcomes])
                for field in fields(cls)
            }
        )


class Sent(NamedTuple):
    """What some devices send to the server after a round.

    Attributes:
        rows: int64 [n], which of a cohort's devices.
        arrays: with the network's names, [n, ...].
        told: numbers beside them by name, [n]: "loss" in place of the mean loss of the steps, where
            it is no NaN, and "cluster", which of the server's models they belong to.
    """

    rows: NDArray[np.int64]
    arrays: Arrays
    told: Arrays

    def take(self, part: NDArray[np.int64]) -> Sent:
        """Return what some of the devices sent."""
        if part.size == self.rows.size:
            return self
        arrays, told = (
            {name: value[part] for name, value in some.items()} for some in (self.arrays, self.told)
        )
        return Sent(self.rows[part], arrays, told)


@dataclass(frozen=True, slots=True, eq=False)
class Update:
    """What reaches the server after a round, from one device or folded from several.

    Attributes:
        arrays: what is shared; the mean weighted by examples where it stands for several devices.
        examples: answered windows that were learnt from, over all of them; how many devices
            there are, where each weighs the same.
        loss: mean loss of the steps, weighted likewise.
        told: other numbers that the server's strategy needs, by name.
    """

    arrays: Arrays
    examples: int
    loss: float
    told: Mapping[str, float] = field(default_factory=dict)

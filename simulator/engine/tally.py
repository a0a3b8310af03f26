"""What devices said and learnt in a round, written into its outcome."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from clients.lessons import Lesson
from clients.outcome import Outcome
from clients.wear import Habits

__all__ = ["count", "record"]


def record(
    outcome: Outcome,
    rows: NDArray[np.int64],
    first: int,
    part: Lesson,
    predicted: NDArray[np.int32],
    loss: NDArray[np.float32],
    opened: NDArray[np.int32] | None,
) -> None:
    """Write down what devices said of questions, of which part's first is number `first`."""
    begin = max(first, 0)
    questions = slice(begin, min(first + part.answer.shape[1], outcome.label.shape[1]))
    told = (slice(rows.size), slice(begin - first, questions.stop - first))
    if questions.stop <= begin:
        return
    there = part.windows[told] >= 0
    outcome.predicted[rows, questions] = np.where(there, predicted[told], -1)
    if opened is not None:
        right = opened[told] == outcome.label[rows, questions][..., None]
        outcome.opened_correct[rows, questions] = there & right
    outcome.loss[rows, questions] = np.where(there, loss[told], np.float32(np.nan))


def count(
    outcome: Outcome,
    given: Lesson,
    losses: NDArray[np.float64],
    habits: Habits,
    gradients_per_step: int,
) -> None:
    """Write down votes, examples and steps."""
    classes = habits.classes
    of_question = np.arange(outcome.label.size).reshape(outcome.label.shape)[..., None] * classes
    said = (of_question + outcome.predicted)[outcome.predicted >= 0]
    votes = np.bincount(said, minlength=outcome.label.size * classes)
    votes = votes.reshape(*outcome.label.shape, classes)
    outcome.voted[:] = np.where(outcome.label >= 0, votes.argmax(axis=2), -1)
    outcome.examples[:] = given.examples().sum(axis=1)
    outcome.steps[:] = given.steps.sum(axis=(1, 2))
    taken = outcome.steps.copy()
    if habits.whole_questions:
        rehearsals = given.steps & (given.rehearsed >= 0).any(axis=3)
        taken += rehearsals.sum(axis=(1, 2), dtype=np.int32)
    outcome.gradients[:] = taken * gradients_per_step
    learnt = taken > 0
    outcome.learning_loss[learnt] = losses[learnt] / taken[learnt]

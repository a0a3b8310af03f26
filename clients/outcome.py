"""What comes of a device's round: for the records, and for the server."""

from __future__ import annotations

from dataclasses import dataclass, field

from clients.methods import Arrays

__all__ = ["Outcome", "Update"]


@dataclass(slots=True)
class Outcome:
    """What came of one device's round.

    Attributes:
        question: int32 [W], question of each predicted window.
        position: int64 [W], its stream position.
        label, predicted, voted: int32 [W], classes.
        opened_correct: bool [W], whether the model was right with which the round began.
        answer: int32 [W], class as answered, or NO_ANSWER.
        loss: float32 [W], cross-entropy of the prediction, NaN without logits.
        asked, answered: questions.
        examples: answered windows that were learnt from.
        steps, gradients: steps taken, and gradient evaluations that they took.
        learning_loss: mean loss of the steps, NaN without steps.
    """

    question: list[int] = field(default_factory=list)
    position: list[int] = field(default_factory=list)
    label: list[int] = field(default_factory=list)
    predicted: list[int] = field(default_factory=list)
    voted: list[int] = field(default_factory=list)
    opened_correct: list[bool] = field(default_factory=list)
    answer: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    questions: int = 0
    asked: int = 0
    answered: int = 0
    examples: int = 0
    steps: int = 0
    gradients: int = 0
    learning_loss: float = float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class Update:
    """What a device sends to the server after a round.

    Attributes:
        device: its index.
        arrays: what it shares.
        examples: answered windows that it learnt from.
        loss: mean loss of its steps.
    """

    device: int
    arrays: Arrays
    examples: int
    loss: float

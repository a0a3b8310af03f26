"""Who wears a device, what reaches it, how its wearer answers and how it learns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clients.recordings import Recording
from clients.stream import Stream
from clients.user import Ask
from clients.windows import Windows

__all__ = ["Habits", "Wear"]


@dataclass(frozen=True, slots=True, eq=False)
class Wear:
    """Who wears a device, and what will reach it.

    Attributes:
        index: the device's number in the fleet; its draws of chance depend on it.
        name: the device's id.
        user: the wearer's id.
        recordings: the wearer's recordings.
        stream: the device's questions.
        holdout: windows that are scored and never learnt.
    """

    index: int
    name: str
    user: str
    recordings: Sequence[Recording]
    stream: Stream
    holdout: Windows


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

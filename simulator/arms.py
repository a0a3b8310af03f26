"""What an arm's keys mean for its devices."""

from __future__ import annotations

from clients.methods import METHODS, Method, MethodOptions
from clients.wear import Habits
from simulator.scenario import Arm, Scenario

__all__ = ["habits_of", "method_in_round"]


def method_in_round(arm: Arm, round_: int, head: tuple[str, ...]) -> Method:
    """Return an arm's way of learning in one round."""
    private = tuple(arm.private) if arm.private is not None else head
    return METHODS[arm.method](MethodOptions(round_, arm.switch_round or 0, private))


def habits_of(
    scenario: Scenario, arm: Arm, *, series: bool, least: int, whole_questions: bool
) -> Habits:
    """Return how users answer and devices learn in one arm.

    Args:
        scenario: the run's.
        arm: the way of learning.
        series: whether windows are single samples, of which a question is a series.
        least: fewest windows of a question that the program takes.
        whole_questions: whether the program learns one whole question at a time.
    """
    labels, learning, stream = scenario.labels, scenario.learning, scenario.stream
    return Habits(
        seed=scenario.seed,
        classes=len(scenario.data.activities),
        batch=stream.batch,
        questions_per_round=stream.questions_per_round,
        answer_rate=labels.answer_rate,
        mistake_rate=labels.mistake_rate,
        delay_rounds=labels.delay_rounds,
        ask=labels.ask,
        budget=labels.budget or stream.questions_per_round,
        steps=learning.steps if arm.steps is None else arm.steps,
        memory=learning.memory if arm.memory is None else arm.memory,
        whole_questions=whole_questions,
        series=series,
        least=least,
        scores_opened=scenario.measure.downloaded,
    )

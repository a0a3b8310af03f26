"""What an arm's keys mean for its devices."""

from __future__ import annotations

from typing import Any

from clients.methods import Method, MethodOptions
from clients.wear import Habits
from simulator.base.prepared import Parts, Prepared
from simulator.plan.plan import Plan
from simulator.scenario.scenario import Arm, Scenario
from simulator.scenario.ways import half_on_device, own_keys

__all__ = ["habits_of", "habits_of_arm", "keys_of", "method_in_round"]


def method_in_round(arm: Arm, round_: int, parts: Parts | None = None) -> Method:
    """Return an arm's way of learning in one round.

    Args:
        arm: in one fold.
        round_: from 1.
        parts: of the program, for an arm that does not say what is private.
    """
    private = tuple(arm.private or (parts or Parts()).of(arm.method))
    keys = {key: arm.option(key) for key in own_keys(arm.method)}
    return half_on_device(arm.method)(MethodOptions(round_, arm.switch_round or 0, private, keys))


def keys_of(scenario: Scenario, arm: Arm) -> dict[str, Any]:
    """Return what an arm's server is told: the method's own keys, and some of the devices'."""
    return {
        "learning_rate": arm.learning_rate or scenario.model.learning_rate,
        "participation": 1.0 if arm.participation is None else arm.participation,
        **{key: arm.option(key) for key in own_keys(arm.method)},
    }


def habits_of_arm(plan: Plan, prepared: Prepared, arm: Arm) -> Habits:
    """Return how users answer and devices learn in one arm of a run."""
    return habits_of(
        plan.scenario,
        arm,
        series=plan.population.series,
        least=plan.population.form.least,
        whole_questions=prepared.whole_questions,
    )


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
        rehearse=0 if learning.rehearse == "auto" or whole_questions else learning.rehearse,
        whole_questions=whole_questions,
        series=series,
        least=least,
        scores_opened=scenario.measure.downloaded,
    )

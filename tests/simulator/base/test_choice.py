"""Which program a fold's donors choose, and that nobody else is looked at."""

from dataclasses import replace

import numpy as np
import pytest

from simulator.base.choice import choose_program, groups_of
from simulator.plan.plan import build_plan
from simulator.scenario.scenario import Scenario


def plan_of(**model):
    return build_plan(
        Scenario.model_validate(
            {
                "name": "choice",
                "seed": 3,
                "data": {"source": "synthetic", "users": 8, "minutes": 0.4},
                "model": {"candidates": ["dense", "cnn"], "program": "dense", **model},
                "training": {"steps": 40, "look_every": 20},
                "arms": [{"name": "local", "method": "local"}],
            }
        )
    )


@pytest.fixture(scope="module")
def plan():
    return plan_of()


def test_groups_hold_each_donor_once_and_nobody_else(plan):
    for fold in plan.folds:
        groups = groups_of(plan, fold)
        assert len(groups) == 3
        assert sorted(user for group in groups for user in group) == sorted(fold.donors)


def test_choice_depends_on_donors_alone(plan):
    fold = plan.folds[0]
    chosen, scores = choose_program(plan, fold)
    assert scores.keys() == {"dense", "cnn"}
    assert scores[chosen] == max(scores.values())
    population = plan.population
    strange = {
        user: [
            replace(recording, samples=np.full_like(recording.samples, 9.0))
            for recording in recordings
        ]
        if user in fold.wearers
        else recordings
        for user, recordings in population.recordings.items()
    }
    changed = replace(plan, population=replace(population, recordings=strange))
    assert choose_program(changed, fold) == (chosen, scores)


def test_best_candidate_is_chosen_and_the_first_of_equals(plan):
    _, scores = choose_program(plan, plan.folds[1])
    best = max(scores, key=scores.get)
    for order in (["dense", "cnn"], ["cnn", "dense"]):
        model = plan.scenario.model.model_copy(update={"candidates": order})
        other = replace(plan, scenario=plan.scenario.model_copy(update={"model": model}))
        chosen, again = choose_program(other, plan.folds[1])
        assert again == scores
        assert scores[chosen] == scores[best]
        assert chosen == next(name for name in order if scores[name] == scores[best])

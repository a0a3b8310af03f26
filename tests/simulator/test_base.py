"""The base model of a fold, taken over from disk."""

import json

import numpy as np
import pytest

from clients.errors import BadScenario
from clients.export import Blueprint, export_program
from simulator.base import prepare
from simulator.plan import build_plan
from simulator.scenario import Scenario

ACTIVITIES = ("walking", "sitting")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    path = tmp_path_factory.mktemp("given") / "base"
    blueprint = Blueprint("dense", 80, 3, ACTIVITIES)
    params = blueprint.model().init(np.random.default_rng(0))
    export_program(blueprint, params, np.zeros(3), np.ones(3), path)
    return path


def plan_of(base, activities=ACTIVITIES, seed=1, **more):
    return build_plan(
        Scenario.model_validate(
            {
                "name": "x",
                "seed": seed,
                "data": {"users": 3, "minutes": 0.5, "activities": list(activities)},
                "split": {"folds": 1},
                "model": {"program": "dense", "base": str(base)},
                "arms": [{"name": "a", "method": "frozen", **more}],
            }
        )
    )


def note(base, **changes):
    """Note on the base what `model train` would."""
    notes = {
        "users": ["p001"],
        "people": "synthetic, seed 1",
        "rate_hz": 20.0,
        "window_s": 4.0,
        **changes,
    }
    (base / "assets.extra").mkdir(exist_ok=True)
    (base / "assets.extra" / "training.json").write_text(json.dumps(notes))


def test_base_whose_classes_stand_in_another_order_is_refused(base, tmp_path):
    plan = plan_of(base, activities=ACTIVITIES[::-1])
    with pytest.raises(BadScenario, match="knows the activities walking, sitting"):
        prepare(plan, plan.folds[0], tmp_path)


def test_base_that_was_trained_on_a_wearer_is_refused(base, tmp_path):
    note(base)
    plan = plan_of(base)
    with pytest.raises(BadScenario, match="was trained on p001, who wear devices here"):
        prepare(plan, plan.folds[0], tmp_path)


def test_equal_ids_of_other_people_are_other_people(base, tmp_path):
    note(base, people="synthetic, seed 2")
    plan = plan_of(base)
    prepared = prepare(plan, plan.folds[0], tmp_path)
    assert sorted(prepared.unseen) == ["p001", "p002", "p003"]
    # All windows of each, streamed or not: 600 samples are 7 windows, of 2 activities.
    assert [int(counted.sum()) for counted in prepared.unseen.values()] == [14, 14, 14]


def test_base_of_windows_of_another_length_in_seconds_is_refused(base, tmp_path):
    note(base, people="others", rate_hz=40.0, window_s=2.0)
    plan = plan_of(base)
    with pytest.raises(BadScenario, match=r"2\.0 s at 40\.0 Hz; the scenario has 4\.0 s at 20\.0"):
        prepare(plan, plan.folds[0], tmp_path)


def test_finetune_that_never_leaves_its_shared_phase_is_noted(base):
    notes = plan_of(base, method="finetune", switch_round=50).notes
    assert len(notes) == 1
    assert "never fine-tunes: switch_round = 50" in notes[0]

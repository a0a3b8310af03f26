"""The base model of a fold, taken over from disk."""

import json

import numpy as np
import pytest

from clients.errors import BadScenario
from clients.export import Blueprint, export_program
from clients.program import Program
from simulator.base.arms import method_in_round
from simulator.base.base import prepare
from simulator.plan.plan import build_plan
from simulator.scenario.arm import Arm
from simulator.scenario.options import LEARNING, PLAIN
from simulator.scenario.scenario import Scenario
from tests.clients.keras_programs import dense_of_32

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


def test_methods_of_plain_steps_are_named_as_such():
    keys = {"finetune": {"switch_round": 1}}
    plain = []
    for name in LEARNING:
        method = method_in_round(Arm(name="a", method=name, **keys.get(name, {})), 1)
        plain += [name] if method.plain and not method.looks else []
    assert tuple(plain) == PLAIN


FIVE = ["walking", "jogging", "stairs", "sitting", "standing"]
ARMS = ({"name": "a", "method": "local"},)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Give the path of a program that others wrote, which takes 32 samples of five activities."""
    return dense_of_32(tmp_path_factory.mktemp("others") / "dense")


def small(program, memory, arms=ARMS, base="random", **tables):
    """Give the plan of two people, whose devices keep so much; questions have 32 windows."""
    stream = {"batch": 32, "bout_windows": 64}
    return build_plan(
        Scenario.model_validate(
            {
                "name": "x",
                "seed": 1,
                "data": {"users": 2, "minutes": 0.5, "activities": FIVE, **tables},
                "split": {"folds": 1},
                "model": {"program": str(program), "base": str(base)},
                "stream": stream,
                "learning": {"memory": memory},
                "arms": list(arms),
            }
        )
    )


@pytest.mark.parametrize(
    ("program", "memory"), [("foreign", 1), ("foreign", 31), ("tracker_lstm", 31), ("gru", 31)]
)
def test_a_memory_without_room_for_a_question_is_refused(program, memory, whole, tmp_path):
    windows = {"window_s": 0.05} if program == "gru" else {}
    plan = small(whole if program == "foreign" else program, memory, **windows)
    with pytest.raises(BadScenario) as refused:
        prepare(plan, plan.folds[0], tmp_path)
    said = str(refused.value)
    assert said.startswith(f"learning.memory = {memory}: {plan.scenario.model.program} rehearses")
    assert "stream.batch = 32 windows" in said
    assert "1280" in said  # eight questions of each of five activities
    assert said.endswith("or 0 to rehearse nothing")


@pytest.mark.parametrize("memory", [0, 32, 1280])
def test_a_memory_of_a_question_or_of_none_is_accepted(memory, whole, tmp_path):
    plan = small(whole, memory)
    assert prepare(plan, plan.folds[0], tmp_path).whole_questions


def test_an_arms_own_memory_counts_in_place_of_the_scenarios(whole, tmp_path):
    few, enough = ({"name": f"of-{n}", "method": "local", "memory": n} for n in (8, 64))
    plan = small(whole, 128, [enough, few])
    with pytest.raises(BadScenario, match=r"^arms\.of-8\.memory = 8: .* rehearses whole questions"):
        prepare(plan, plan.folds[0], tmp_path / "few")
    plan = small(whole, 8, [enough])
    assert prepare(plan, plan.folds[0], tmp_path / "enough").whole_questions


@pytest.mark.parametrize("program", ["dense", "gru", "tracker_dense"])
def test_programs_that_mix_windows_keep_as_few_as_they_like(program, tmp_path):
    plan = small(program, 1)
    assert not prepare(plan, plan.folds[0], tmp_path).whole_questions


def test_a_tracker_is_scored_by_questions_on_all_samples_of_those_it_never_saw(tmp_path):
    path = tmp_path / "given"
    blueprint = Blueprint("tracker_lstm", 1, 3, tuple(FIVE))
    params = blueprint.model().init(np.random.default_rng(0))
    export_program(blueprint, params, np.zeros(3), np.full(3, 5.0), path)
    plan = small("tracker_lstm", 0, base=path)
    note(path, people="others", window_s=0.05)
    counted = prepare(plan, plan.folds[0], tmp_path / "made").unseen
    # 600 samples of each activity: 18 questions of 32, and one of 24; each starts from nothing.
    program, recordings = Program(path), plan.population.recordings
    for user, confusion in counted.items():
        expected = np.zeros((5, 5), np.int64)
        for own in recordings[user]:
            for first in range(0, 600, 32):
                x = own.samples[first : first + 32, None]
                label = FIVE.index(own.activity)
                np.add.at(expected[label], program.predict_aside(x).classes, 1)
        assert confusion.tolist() == expected.tolist()
        assert confusion.sum() == 3000
        assert (confusion.sum(axis=0) > 0).sum() > 1
    assert sorted(counted) == ["p001", "p002"]

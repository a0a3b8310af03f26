"""A search on donors alone, by the same budget for every arm, that holds for its folds alone."""

import tomllib

import pytest

from clients.errors import BadScenario
from simulator.plan.plan import build_plan
from simulator.running.fleet import Fleet
from simulator.running.scenario_run import run_scenario
from simulator.running.workers import InProcess
from simulator.scenario.file import scenario_toml
from simulator.scenario.scenario import Scenario
from simulator.tuning.search import ranges_of
from simulator.tuning.tune import tune, tune_seeds
from tests.simulator.conftest import Heard

ARMS = [
    {"name": "frozen", "method": "frozen"},
    {"name": "local", "method": "local"},
    {"name": "near", "method": "fedprox", "participation": 0.5},
]
TRIALS = 3


def scenario_of(**tables):
    return Scenario.model_validate(
        {
            "name": "tuned",
            "seed": 3,
            "baseline": "local",
            "data": {"source": "synthetic", "users": 8, "minutes": 0.4},
            "model": {"program": "dense"},
            "training": {"steps": 20, "look_every": 20},
            "arms": ARMS,
            **tables,
        }
    )


@pytest.fixture(scope="module")
def fleet():
    return Fleet(InProcess())


@pytest.fixture(scope="module")
def tuned(fleet, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tune")
    return tune(scenario_of(), TRIALS, 2, folder, fleet, Heard())


def test_every_arm_that_learns_gets_the_same_budget_in_every_fold(tuned):
    _, table = tuned
    counts = table.groupby(["fold", "arm"]).size()
    assert counts.to_dict() == {(f, a): TRIALS for f in (0, 1) for a in ("local", "near")}
    assert table.groupby(["fold", "arm"])["chosen"].sum().eq(1).all()
    best = table[table["chosen"]].set_index(["fold", "arm"])["accuracy"]
    assert best.equals(table.groupby(["fold", "arm"])["accuracy"].max())


def test_first_trial_is_the_arm_as_it_stands(tuned):
    _, table = tuned
    first = table[table["trial"] == 0]
    assert first.drop(columns=["fold", "arm", "trial", "accuracy", "chosen"]).isna().all(axis=None)


def test_scenario_keeps_what_each_fold_chose_and_for_whom(tuned):
    found, table = tuned
    plan = build_plan(scenario_of())
    (tuning,) = found.tuning
    assert [tuple(donors) for donors in tuning.donors] == [fold.donors for fold in plan.folds]
    assert found.arms[0].tuned is None
    for arm in found.arms[1:]:
        chosen = table[table["chosen"] & (table["arm"] == arm.name)].sort_values("fold")
        for tables, (_, row) in zip(arm.tuned, chosen.iterrows(), strict=True):
            assert tables.keys() <= ranges_of(arm, 99).keys()
            for key, value in tables.items():
                assert value == pytest.approx(row[key], rel=1e-3)
    assert Scenario.model_validate(tomllib.loads(scenario_toml(found))) == found


def test_tuned_scenario_runs_and_others_cannot_use_it(tuned, fleet, tmp_path):
    found, _ = tuned
    summary = run_scenario(found, tmp_path, fleet, Heard())
    assert summary["holdout_accuracy"].notna().all()
    with pytest.raises(BadScenario, match="seed = 4: arms were tuned for seed 3"):
        build_plan(found.model_copy(update={"seed": 4}))
    with pytest.raises(BadScenario, match="seed = 4: arms were tuned for seed 3"):
        found.of_seed(4)
    swapped = found.tuning[0].model_copy(update={"donors": found.tuning[0].donors[::-1]})
    with pytest.raises(BadScenario, match="tuned on users who wear devices in it"):
        build_plan(found.model_copy(update={"tuning": [swapped]}))


def test_keys_of_a_fold_reach_that_fold_alone(tuned):
    found, _ = tuned
    arm = found.arms[1].model_copy(update={"tuned": [{"learning_rate": 0.01}, {}]})
    assert arm.in_fold(0).learning_rate == 0.01
    assert arm.in_fold(1).learning_rate is None
    assert arm.in_fold(0).tuned is None


def test_each_seed_is_tuned_on_its_own_donors(fleet, tmp_path):
    scenario = scenario_of(arms=ARMS[1:2])
    found, table = tune_seeds(scenario, 2, 2, 2, tmp_path, fleet, Heard())
    assert [tuning.seed for tuning in found.tuning] == [3, 4]
    assert len(found.arms[0].tuned) == 4
    assert sorted(set(table["seed"])) == [3, 4]
    assert found.of_seed(4).arms[0].tuned == found.arms[0].tuned[2:]
    for seed in (3, 4):
        own = found.of_seed(seed)
        assert [list(f.donors) for f in build_plan(own).folds] == own.tuning[0].donors
    short = found.model_dump(by_alias=True)
    short["arms"][0]["tuned"] = short["arms"][0]["tuned"][:3]
    with pytest.raises(ValueError, match="give one for each fold of each seed"):
        Scenario.model_validate(short)


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        ({"model": {"program": "dense", "base": "random"}}, 'model.base = "random"'),
        ({"data": {"source": "synthetic", "users": 6, "minutes": 0.4}}, "has 3 donors"),
        ({"arms": ARMS[:1], "baseline": "frozen"}, "nothing to tune"),
    ],
)
def test_what_cannot_be_tuned_is_refused(fleet, tmp_path, tables, told):
    with pytest.raises(BadScenario, match=told):
        tune(scenario_of(**tables), 2, 2, tmp_path, fleet, Heard())

"""What a scenario may say: its defaults, and which keys go together."""

import pytest
from pydantic import ValidationError

from simulator.scenario import Scenario

LOCAL = {"name": "own", "method": "local"}


def scenario(**tables):
    return Scenario.model_validate(
        {"name": "x", "seed": 1, "data": {"users": 8}, "arms": [LOCAL], **tables}
    )


def refusal(**tables):
    with pytest.raises(ValidationError) as error:
        scenario(**tables)
    (problem,) = error.value.errors()
    return str(problem["ctx"]["error"])


def test_defaults_are_those_of_the_design():
    one = scenario()
    assert (one.data.source, one.data.rate_hz, one.data.window_s, one.data.hop_s) == (
        "synthetic", 20.0, 4.0, 4.0,
    )  # fmt: skip
    assert one.data.activities == ["walking", "jogging", "stairs", "sitting", "standing"]
    assert (one.split.folds, one.split.holdout, one.split.holdout_by) == (2, 0.3, "time")
    assert (one.model.program, one.model.base, one.model.optimizer) == ("cnn", "donors", "adam")
    assert (one.stream.rounds, one.stream.questions_per_round, one.stream.batch) == ("all", 2, 8)
    assert (one.stream.order, one.stream.bout_windows) == ("bouts", 8)
    assert (one.labels.answer_rate, one.labels.mistake_rate) == (0.8, 0.02)
    assert (one.labels.delay_rounds, one.labels.ask, one.labels.budget) == (0, "all", None)
    assert (one.learning.steps, one.learning.memory) == (4, 128)
    assert (one.fleet.devices, one.fleet.workers) == ("users", "auto")
    assert (one.fleet.engine, one.fleet.tile) == ("fleet", "auto")
    varied = (one.variation.tilt_deg, one.variation.gain, one.variation.cadence)
    assert (*varied, one.variation.noise) == (20.0, 1.1, 1.1, 0.2)
    assert one.records.windows == "all"
    assert one.measure.holdout_every == 1
    assert (one.checkpoints.every_rounds, one.checkpoints.keep) == (5, 2)
    assert one.checkpoints.materialize == 1000
    assert one.guard.max_norm == 3.0


@pytest.mark.parametrize("share", [0.0, 0.5, 1, "all", "none"])
def test_windows_of_all_of_none_or_of_a_share_of_the_devices_are_written(share):
    assert scenario(records={"windows": share}).records.windows == share


def test_scenario_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        scenario().seed = 2


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "with space", "x" * 81])
def test_names_that_are_no_folder_names_are_refused(name):
    with pytest.raises(ValidationError, match="name"):
        scenario(name=name)
    with pytest.raises(ValidationError, match="name"):
        scenario(arms=[{"name": name, "method": "local"}])


@pytest.mark.parametrize(
    ("method", "key", "value", "owners"),
    [
        ("local", "participation", 0.5, "fedavg, finetune, fedper"),
        ("frozen", "participation", 0.5, "fedavg, finetune, fedper"),
        ("fedavg", "switch_round", 3, "finetune"),
        ("fedavg", "private", ["a/*"], "fedper"),
        ("frozen", "steps", 2, "fedavg, finetune, fedper, local"),
        ("heuristic", "memory", 0, "fedavg, finetune, fedper, local"),
        ("frozen", "learning_rate", 0.1, "fedavg, finetune, fedper, local"),
    ],
)
def test_option_that_means_nothing_for_a_method_is_refused(method, key, value, owners):
    message = refusal(arms=[{"name": "a", "method": method, key: value}])
    assert message == f'{key} means nothing for method "{method}"; it belongs to: {owners}'


@pytest.mark.parametrize(
    "arm",
    [
        {"method": "local", "steps": 1, "memory": 0, "learning_rate": 0.1},
        {"method": "fedavg", "participation": 1.0, "steps": 1, "memory": 0},
        {"method": "finetune", "participation": 0.5, "switch_round": 2},
        {"method": "fedper", "participation": 0.5, "private": ["classes/*"]},
    ],
)
def test_options_of_their_own_methods_are_accepted(arm):
    assert scenario(arms=[{"name": "a", **arm}]).arms[0].method == arm["method"]


def test_two_arms_with_one_name_are_refused():
    message = refusal(arms=[LOCAL, {"name": "other", "method": "frozen"}, LOCAL])
    assert message == "arms: the name 'own' is used twice; give each arm its own"


def test_baseline_that_is_no_arm_is_refused_with_the_arms_that_there_are():
    arms = [LOCAL, {"name": "still", "method": "frozen"}]
    assert refusal(baseline="best", arms=arms) == "baseline: 'best' is no arm; arms: own, still"


@pytest.mark.parametrize("labels", [{"budget": 1}, {"ask": "random"}, {"ask": "uncertain"}])
def test_budget_and_choice_of_questions_need_each_other(labels):
    message = refusal(labels=labels)
    assert f'ask = "{labels.get("ask", "all")}" with budget = {labels.get("budget")}' in message
    assert 'ask = "random" or "uncertain"' in message


def test_budget_goes_with_a_choice_of_questions():
    assert scenario(labels={"ask": "random", "budget": 1}).labels.budget == 1


def test_base_from_donors_needs_donors():
    message = refusal(split={"folds": 1})
    assert 'model.base: "donors" with split.folds = 1 leaves no donors' in message
    assert 'split.folds = 2 or split.donors, or model.base = "random"' in message


def test_heuristic_needs_donors():
    arms = [{"name": "rules", "method": "heuristic"}]
    message = refusal(split={"folds": 1}, model={"base": "random"}, arms=arms)
    assert '"rules" takes its thresholds from donors, and split.folds = 1 leaves none' in message


def test_one_fold_without_donors_is_possible():
    assert scenario(split={"folds": 1}, model={"base": "random"}).split.folds == 1


FEATURE_ROWS = {
    "data": {"rate_hz": 0.1, "window_s": 10.0, "hop_s": 10.0},
    "training": {"warp": 1.0, "tilt_deg": 0.0, "gain": 1.0, "noise": 0.0},
}


@pytest.mark.parametrize(
    "source", ["wisdm-2019", "wisdm-v1.1", "actitracker-v2.0", "wisdm-v1.1-features"]
)
def test_wisdm_sources_need_a_path(source):
    rows = FEATURE_ROWS if source == "wisdm-v1.1-features" else {"data": {}, "training": {}}
    without = {**rows, "data": {"source": source, **rows["data"]}}
    message = refusal(**without)
    assert message.startswith(f'data.path: missing; source = "{source}"')
    assert "--set data.path=" in message
    given = {**without, "data": {**without["data"], "path": "here"}}
    assert scenario(**given).data.users == "all"


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [("data", "rate_hz", 20.0), ("data", "hop_s", 5.0), ("training", "noise", 0.3)],
)
def test_rows_of_features_cannot_be_resampled_cut_or_augmented(section, key, value):
    data = {"source": "wisdm-v1.1-features", "path": "here", **FEATURE_ROWS["data"]}
    tables = {**FEATURE_ROWS, "data": data}
    tables[section] = {**tables[section], key: value}
    message = refusal(**tables)
    allowed = FEATURE_ROWS[section][key]
    assert message.startswith(f"{section}.{key} = {value}: ")
    assert message.endswith(f"allowed: {allowed}")


def test_synthetic_people_have_no_path_and_need_a_number():
    assert "data.path: 'here' with source" in refusal(data={"users": 8, "path": "here"})
    assert 'data.users: "all" of synthetic people is no number' in refusal(data={})


def test_activity_listed_twice_is_refused():
    message = refusal(data={"users": 8, "activities": ["walking", "sitting", "walking"]})
    assert message == "data.activities: 'walking' is listed twice"


def test_more_folds_than_pairs_of_users_are_refused():
    assert "3 folds of 5 users" in refusal(data={"users": 5}, split={"folds": 3})
    assert scenario(data={"users": 6}, split={"folds": 3}).split.folds == 3


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), 0.0, -1.0])
def test_learning_rate_is_a_positive_number(value):
    with pytest.raises(ValidationError, match="learning_rate"):
        scenario(model={"learning_rate": value})
    with pytest.raises(ValidationError, match="learning_rate"):
        scenario(arms=[{**LOCAL, "learning_rate": value}])


def test_windows_that_overlap_are_not_held_out_by_chance():
    overlapping, chance = {"users": 8, "hop_s": 2.0}, {"holdout_by": "chance"}
    message = refusal(data=overlapping, split=chance)
    assert 'holdout_by: "chance" with data.hop_s = 2.0 and data.window_s = 4.0' in message
    assert scenario(data=overlapping).split.holdout_by == "time"
    assert scenario(split=chance).split.holdout_by == "chance"
    assert scenario(data={"users": 8, "hop_s": 6.0}, split=chance).data.hop_s == 6.0

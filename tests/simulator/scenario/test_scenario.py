"""What a scenario may say: its defaults, and which keys go together."""

import pytest
from pydantic import ValidationError

from simulator.scenario.arm import Arm
from simulator.scenario.fault_table import CORRUPTIONS
from simulator.scenario.options import LEARNING, OWN_KEYS, PRIVATE_PARTS, SHARING
from simulator.scenario.scenario import Scenario

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
    assert (one.guard.max_norm, one.guard.least_updates) == (3.0, 1)
    assert_nothing_goes_wrong(one.faults)


def assert_nothing_goes_wrong(faults):
    """Look at what a scenario has that says nothing of faults."""
    assert (faults.availability, faults.outage_rounds, faults.trace) == (1.0, "independent", "")
    assert (faults.duration_rounds, faults.step_s, faults.latency_s) == (0.0, 0.0, 0.0)
    assert (faults.bandwidth_kib_s, faults.deadline_s, faults.round_s) == ("unlimited", "none", 60)
    assert (faults.speed, faults.bandwidth_spread, faults.latency_spread) == (0.0, 0.0, 0.0)
    assert (faults.dropout, faults.lost, faults.duplicated, faults.late) == (0.0,) * 4
    assert (faults.reordered, faults.corrupted, faults.hostile) == (0.0,) * 3
    assert (faults.battery, faults.attack) == (False, "none")
    assert faults.corruptions == list(CORRUPTIONS)
    assert not faults.timed


@pytest.mark.parametrize(
    ("keys", "timed"),
    [
        ({}, False),
        ({"speed": 1.0, "late": 0.5, "bandwidth_spread": 1.0}, False),
        ({"duration_rounds": 0.1}, True),
        ({"step_s": 0.1}, True),
        ({"latency_s": 0.1}, True),
        ({"bandwidth_kib_s": 1e9}, True),
    ],
)
def test_updates_take_time_where_something_says_how_much(keys, timed):
    assert scenario(faults=keys).faults.timed == timed


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
        ("local", "participation", 0.5, SHARING),
        ("frozen", "participation", 0.5, SHARING),
        ("fedavg", "switch_round", 3, ("finetune",)),
        ("fedavg", "private", ["a/*"], PRIVATE_PARTS),
        ("ditto", "private", ["a/*"], PRIVATE_PARTS),
        ("frozen", "steps", 2, LEARNING),
        ("heuristic", "memory", 0, LEARNING),
        ("frozen", "learning_rate", 0.1, LEARNING),
        ("heuristic", "tuned", [{}, {}], LEARNING),
        ("pooled", "participation", 0.5, SHARING),
        ("pooled", "choice", "random", tuple(m for m in SHARING if m != "dpfedavg")),
        ("dpfedavg", "choice", "loss", tuple(m for m in SHARING if m != "dpfedavg")),
        ("fedavg", "mu", 0.1, ("fedprox",)),
        ("fedprox", "lambda", 0.1, ("ditto", "pfedme")),
        ("fedavg", "alpha", 0.1, ("apfl", "perfedavg")),
        ("perfedavg", "adaptive", True, ("apfl",)),
        ("fedadagrad", "beta_1", 0.5, ("fedadam", "fedyogi")),
        ("krum", "selected", 2, ("multikrum",)),
        ("fedmedian", "liars", 1, ("krum", "multikrum", "bulyan")),
        ("fedper", "head_steps", 1, ("fedrep",)),
        ("fedavg", "clip", 1.0, ("dpfedavg",)),
    ],
)
def test_option_that_means_nothing_for_a_method_is_refused(method, key, value, owners):
    message = refusal(arms=[{"name": "a", "method": method, key: value}])
    allowed = ", ".join(owners)
    assert message == f'{key} means nothing for method "{method}"; it belongs to: {allowed}'


@pytest.mark.parametrize(
    "arm",
    [
        {"method": "local", "steps": 1, "memory": 0, "learning_rate": 0.1},
        {"method": "fedavg", "participation": 1.0, "steps": 1, "memory": 0},
        {"method": "finetune", "participation": 0.5, "switch_round": 2},
        {"method": "fedper", "participation": 0.5, "private": ["classes/*"]},
        {"method": "fedrep", "private": ["classes/*"], "steps": 4, "head_steps": 3},
        {"method": "fedbn", "private": ["norm*/*"], "choice": "loss", "candidates": 1.0},
        {"method": "pooled", "steps": 1, "memory": 0, "tuned": [{"steps": 2}, {}]},
        {"method": "dpfedavg", "participation": 0.5, "noise": 0.0, "clip": 1.0, "delta": 1e-6},
        {"method": "ditto", "lambda": 0.0},
        {"method": "pfedme", "lambda": 2.0, "eta": 0.1, "inner_steps": 1},
        {"method": "fedbuff", "buffer": "round"},
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
    budget = f"budget = {labels['budget']}" if "budget" in labels else "no budget"
    assert f'ask = "{labels.get("ask", "all")}" with {budget}: ' in message
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
    "model": {"program": "features"},
}


@pytest.mark.parametrize(
    "source", ["wisdm-2019", "wisdm-v1.1", "actitracker-v2.0", "wisdm-v1.1-features"]
)
def test_wisdm_sources_need_a_path(source):
    rows = FEATURE_ROWS if source == "wisdm-v1.1-features" else {"data": {}}
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


@pytest.mark.parametrize("program", ["cnn", "gravity_cnn", "gru", "bilstm", "tracker_lstm"])
def test_programs_on_samples_do_not_look_at_rows_of_features(program):
    data = {"source": "wisdm-v1.1-features", "path": "here", **FEATURE_ROWS["data"]}
    message = refusal(**{**FEATURE_ROWS, "data": data, "model": {"program": program}})
    assert message.startswith(f'model.program: "{program}" looks at samples')
    assert message.endswith("allowed: dense, features or a SavedModel")


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


def arm(method, **keys):
    return {"name": "a", "method": method, **keys}


def arm_of(method, **keys):
    return scenario(arms=[arm(method, **keys)]).arms[0]


def test_every_key_that_a_method_has_is_one_of_an_arm_and_its_default_is_allowed():
    for method, keys in OWN_KEYS.items():
        assert {**keys} == {key: Arm(name="a", method=method).option(key) for key in keys}
        made = Arm.model_validate(arm(method, **keys))
        assert {key: made.option(key) for key in keys} == keys
        assert made.model_dump(by_alias=True, exclude_none=True) == arm(method, **keys)


def test_lambda_is_said_as_such():
    assert arm_of("ditto", **{"lambda": 0.5}).option("lambda") == 0.5
    assert arm_of("ditto").option("lambda") == 1.0
    assert arm_of("pfedme").option("lambda") == 15.0


@pytest.mark.parametrize(
    ("method", "key", "wrong"),
    [
        ("fedprox", "mu", [-0.1, float("inf"), "much"]),
        ("ditto", "lambda", [-0.1, True]),
        ("apfl", "alpha", [-0.1, 1.1]),
        ("apfl", "adaptive", [1, "yes"]),
        ("pfedme", "eta", [0.0, -1.0]),
        ("pfedme", "inner_steps", [0, 101, 1.5]),
        ("fedrep", "head_steps", [0, -1]),
        ("ifca", "clusters", [0, 65]),
        ("qfedavg", "q", [-1.0]),
        ("fedadam", "server_learning_rate", [0.0]),
        ("fedavgm", "server_momentum", [1.0, -0.1]),
        ("fedadam", "beta_1", [1.0, -0.1]),
        ("fedyogi", "beta_2", [1.0, -0.1]),
        ("fedadagrad", "tau", [0.0]),
        ("fedbuff", "buffer", [0, "some", 1.5]),
        ("fedtrimmedavg", "trim", [0.5, -0.1]),
        ("krum", "liars", [-1, 0.5]),
        ("multikrum", "selected", [0]),
        ("dpfedavg", "noise", [-0.1]),
        ("dpfedavg", "clip", [0.0]),
        ("dpfedavg", "clip_quantile", [1.0, -0.1]),
        ("dpfedavg", "clip_learning_rate", [0.0]),
        ("dpfedavg", "delta", [0.0, 1.0]),
        ("fedavg", "choice", ["best"]),
        ("fedavg", "candidates", [0.0, 1.1]),
    ],
)
def test_a_method_is_told_what_it_can_use(method, key, wrong):
    for value in wrong:
        with pytest.raises(ValidationError, match=key):
            arm_of(method, **{key: value})


def test_candidates_go_with_a_choice_by_loss():
    for choice in ({}, {"choice": "random"}):
        message = refusal(arms=[arm("fedavg", candidates=0.5, participation=0.25, **choice)])
        assert message.startswith("candidates = 0.5: ")
        assert message.endswith('it goes with choice = "loss"')
    made = arm_of("fedavg", candidates=0.5, participation=0.25, choice="loss")
    assert (made.candidates, made.choice) == (0.5, "loss")


@pytest.mark.parametrize("keys", [{}, {"participation": 0.75}])
def test_fewer_candidates_than_participants_are_refused(keys):
    message = refusal(arms=[arm("fedavg", candidates=0.5, choice="loss", **keys)])
    share = keys.get("participation", 1.0)
    assert message.startswith(f"candidates = 0.5: fewer than participation = {share}")


@pytest.mark.parametrize("split", [{"folds": 2}, {"folds": 3}])
def test_what_was_tuned_is_given_for_each_fold(split):
    tables = [{"mu": 0.1 * (i + 1)} for i in range(split["folds"])]
    one = scenario(split=split, arms=[arm("fedprox", mu=5.0, tuned=tables)]).arms[0]
    for fold in range(split["folds"]):
        chosen = one.in_fold(fold)
        assert (chosen.option("mu"), chosen.tuned) == (0.1 * (fold + 1), None)
    for wrong in (tables[1:], [*tables, {}]):
        message = refusal(split=split, arms=[arm("fedprox", tuned=wrong)])
        assert message == (
            f"arms.a.tuned: {len(wrong)} tables for split.folds = {split['folds']}; "
            "give one for each fold"
        )


def test_what_was_not_tuned_is_as_the_arm_says_in_every_fold():
    one = arm_of("ditto", **{"lambda": 3.0}, steps=2, tuned=[{"lambda": 0.5}, {"steps": 7}])
    folds = [one.in_fold(fold) for fold in (0, 1)]
    assert [(fold.option("lambda"), fold.steps) for fold in folds] == [(0.5, 2), (3.0, 7)]
    untuned = arm_of("ditto", steps=2)
    assert untuned.in_fold(1) is untuned


@pytest.mark.parametrize(
    ("method", "key", "value"),
    [
        ("fedprox", "q", 1.0),  # of another method
        ("fedprox", "colour", 1.0),
        ("fedper", "private", ["a/*"]),  # these are the same in every fold
        ("local", "optimizer", "sgd"),
        ("fedavg", "choice", "loss"),
        ("fedavg", "tuned", []),
        ("fedavg", "name", "b"),
        ("fedavg", "method", "fedprox"),
    ],
)
def test_keys_that_cannot_be_tuned_are_refused_with_those_that_can(method, key, value):
    message = refusal(arms=[arm(method, tuned=[{}, {key: value}])])
    assert message.startswith(f"tuned[2]: {key!r} cannot be tuned; allowed: ")
    allowed = message.partition("allowed: ")[2].split(", ")
    assert {"learning_rate", "steps", "memory"} <= set(allowed)
    assert key not in allowed
    assert set(OWN_KEYS.get(method, {})) <= set(allowed)


@pytest.mark.parametrize(
    ("method", "chosen", "place"),
    [
        ("fedprox", {"mu": -1.0}, ("mu",)),
        ("ditto", {"lambda": "much"}, ("lambda",)),
        ("fedavg", {"participation": 0.0}, ("participation",)),
        ("fedavg", {"candidates": 0.5}, ()),
    ],
)
def test_values_that_an_arm_refuses_are_refused_where_they_are_tuned(method, chosen, place):
    with pytest.raises(ValidationError) as error:
        arm_of(method, tuned=[{}, chosen])
    (problem,) = error.value.errors()
    assert problem["loc"] == ("arms", 0, "tuned", 1, *place)


@pytest.mark.parametrize("steps", [{}, {"steps": 2}])
def test_the_head_leaves_steps_to_the_shared_layers(steps):
    most = steps.get("steps", 4)
    for head in (most, most + 1):
        message = refusal(arms=[arm("fedrep", head_steps=head, **steps)])
        assert message.startswith(f"arms.a: head_steps = {head}: the head takes so many of ")
        assert f"the {most} steps" in message
    assert arm_of("fedrep", head_steps=most - 1, **steps).option("head_steps") == most - 1


def test_tuned_steps_leave_some_to_the_shared_layers_in_every_fold():
    for chosen in ({"head_steps": 4}, {"steps": 1}):
        message = refusal(arms=[arm("fedrep", head_steps=2, tuned=[{}, chosen])])
        assert message.startswith("arms.a.tuned[2]: head_steps = ")
    tuned = [{"head_steps": 3}, {"steps": 9, "head_steps": 8}]
    assert arm_of("fedrep", tuned=tuned).in_fold(1).steps == 9


@pytest.mark.parametrize("method", ["qfedavg", "perfedavg", "ifca"])
def test_methods_that_look_into_the_memory_need_one(method):
    told = f'memory = 0: method "{method}" looks into the memory when a round begins; give it room'
    assert refusal(arms=[arm(method, memory=0)]) == f"arms.a: {told}"
    assert refusal(arms=[arm(method)], learning={"memory": 0}) == f"arms.a: {told}"
    tuned = [{"memory": 0}, {}]
    assert refusal(arms=[arm(method, tuned=tuned)]) == f"arms.a.tuned[1]: {told}"
    made = scenario(arms=[arm(method, memory=8)], learning={"memory": 0})
    assert made.arms[0].memory == 8


def test_other_methods_do_without_a_memory():
    arms = [arm("fedavg", memory=0)]
    assert scenario(arms=arms, learning={"memory": 0}).arms[0].memory == 0


@pytest.mark.parametrize(
    ("key", "most", "wrong"),
    [
        ("availability", [1e-6, 1.0], [0.0, -0.5, 1.1, "always"]),
        ("duration_rounds", [0.0, 1000.0], [-0.1, 1000.1]),
        ("speed", [0.0, 5.0], [-0.1, 5.1]),
        ("bandwidth_spread", [0.0, 5.0], [-0.1, 5.1]),
        ("latency_spread", [0.0, 5.0], [-0.1, 5.1]),
        ("dropout", [0.0, 1.0], [-0.1, 1.1]),
        ("dropout_when", ["before", "middle", "any"], ["after", 1]),
        ("lost", [0.0, 1.0], [-0.1, 1.1]),
        ("duplicated", [0.0, 1.0], [-0.1, 1.1]),
        ("late", [0.0, 1.0], [-0.1, 1.1]),
        ("late_rounds", [1, 1000], [0, 1001, 1.5]),
        ("reordered", [0.0, 1.0], [-0.1, 1.1]),
        ("corrupted", [0.0, 1.0], [-0.1, 1.1]),
        ("corruptions", [["nan"], ["bits", "norm"]], [[], ["rot"], "nan"]),
        ("battery_low", [0.0, 1.0], [-0.1, 1.1]),
        ("hostile", [0.0, 0.99], [-0.1, 1.0]),
        ("attack_scale", [1e-6, 1e6], [0.0, -1.0, 2e6]),
        ("bandwidth_kib_s", ["unlimited", 0.1, 1e6], [0.0, -1.0, "fast"]),
        ("round_s", [1e-3, 1e9], [0.0, 2e9]),
    ],
)
def test_faults_have_their_ranges(key, most, wrong):
    for value in most:
        assert getattr(scenario(faults={key: value}).faults, key) == value
    for value in wrong:
        with pytest.raises(ValidationError, match=f"faults.{key}"):
            scenario(faults={key: value})


@pytest.mark.parametrize(
    ("detector", "said"),
    [
        ({"kind": "kswin", "strength": 2.0}, 'of "kswin", expected more than 0 and less than 1'),
        ({"kind": "hddm-a", "strength": 0.0}, 'of "hddm-a", expected more than 0 and less than 1'),
        ({"kind": "inputs", "strength": -1.0}, 'of "inputs", expected more than 0'),
    ],
)
def test_strengths_that_no_detector_can_have_are_refused(detector, said):
    assert said in refusal(data={"users": 8}, detectors=[detector])


def test_a_version_cannot_be_good_by_answers_that_are_still_to_come():
    arm = {"name": "a", "method": "local", "reaction": "last-good", "detector": "inputs"}
    message = refusal(
        data={"users": 8}, labels={"delay_rounds": 2}, detectors=[{"kind": "inputs"}], arms=[arm]
    )
    assert message.startswith('arms.a.reaction = "last-good": ')
    assert message.endswith("labels.delay_rounds = 2; set that to 0")


def test_detectors_that_cannot_be_set_or_cannot_tell_are_refused():
    uncertain = {"ask": "uncertain", "budget": 1}
    message = refusal(data={"users": 8}, labels=uncertain, detectors=[{"kind": "ddm"}])
    assert "asks the hard ones; give a number, or ask at random" in message
    data = {"source": "wisdm-v1.1-features", "path": "here", **FEATURE_ROWS["data"]}
    message = refusal(**{**FEATURE_ROWS, "data": data}, detectors=[{"kind": "inputs"}])
    assert message.endswith("use a detector on errors")

"""Scenario files: what is wrong is said with file, key, value and what is allowed."""

import contextlib
import tomllib
from pathlib import Path

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clients.errors import BadScenario
from clients.methods import METHODS
from simulator.scenario.file import load_scenario, own_scenario, scenario_toml
from simulator.scenario.options import OWN_KEYS, SHARING
from simulator.scenario.scenario import PROGRAMS, Scenario

SHIPPED = sorted((Path(__file__).parents[3] / "scenarios").glob("*.toml"))
TEXT = """
name = "tiny"
seed = 3
[data]
users = 8
[[arms]]
name = "own"
method = "local"
[[arms]]
name = "shared"
method = "fedavg"
"""
any_file = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(TEXT)
    return path


def load(file, *overrides):
    return load_scenario(file, overrides)


def refusal(file, *overrides):
    with pytest.raises(BadScenario) as error:
        load_scenario(file, overrides)
    return str(error.value)


def test_file_is_read_with_every_default_filled_in(file):
    scenario = load(file)
    assert (scenario.name, scenario.seed, scenario.data.users) == ("tiny", 3, 8)
    assert [arm.name for arm in scenario.arms] == ["own", "shared"]
    assert scenario.stream.batch == 8


def test_relative_paths_of_a_run_that_goes_on_are_absolute_and_are_written_as_they_were(
    tmp_path, monkeypatch
):
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "saved_model.pb").touch()
    path = tmp_path / "own.toml"
    path.write_text(TEXT + '[model]\nprogram = "./given"\nbase = "random"\n')
    own = own_scenario(path, tmp_path)
    assert own.model.program == str(tmp_path / "given")
    assert own.began_in == own.of_seed(4).began_in == tmp_path
    assert tomllib.loads(scenario_toml(own.of_seed(4)))["model"]["program"] == "./given"
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(BadScenario, match=r"model\.program"):
        own_scenario(path, tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    for gone in (tmp_path / "gone", Path("x" * 5000), Path("\0")):
        assert own_scenario(path, gone).began_in == tmp_path


def test_baseline_is_the_first_arm_unless_one_is_named(file):
    assert load(file).baseline == "own"
    assert load(file, "baseline=shared").baseline == "shared"


def test_an_unknown_key_of_an_arm_is_answered_with_those_of_its_method(file):
    with pytest.raises(BadScenario) as refused:
        load(file, 'arms=[{name="own", method="ditto", lamda=1}]')
    allowed = "participation, choice, candidates, steps, memory, optimizer, learning_rate, lambda"
    reacts = "reaction, detector, reaction_rounds, reaction_factor"
    assert str(refused.value).endswith(f"allowed here: name, method, {allowed}, {reacts}, tuned")


@pytest.mark.parametrize(
    ("override", "key", "seen", "allowed"),
    [
        ("colour=1", "colour", "", "unknown key; allowed here: name, question, seed, baseline"),
        ("stream.speed=1", "stream.speed", "", "unknown key; allowed here: rounds, questions_per"),
        (
            "arms.own.speed=1",
            "arms.own.speed",
            "",
            "unknown key; allowed here: name, method, steps",
        ),
        ("seed=x", "seed", "'x'", "a whole number"),
        ("seed=1.5", "seed", "1.5", "a whole number"),
        ("seed=true", "seed", "true", "a whole number"),
        ("seed=-1", "seed", "-1", "greater than or equal to 0"),
        ("seed=9223372036854775808", "seed", "9223372036854775808", "less than 92233720368547758"),
        ("question=1", "question", "1", "text"),
        ("stream=7", "stream", "7", "stream"),
        ("stream.batch=0", "stream.batch", "0", "greater than or equal to 1"),
        ("stream.rounds=-1", "stream.rounds", "-1", "greater than or equal to 1, or 'all'"),
        ("stream.rounds=some", "stream.rounds", "'some'", "whole number, or 'all'"),
        ("stream.order=x", "stream.order", "'x'", "'recorded', 'bouts' or 'shuffled'"),
        ("data.source=web", "data.source", "'web'", "'synthetic', 'wisdm-2019', 'wisdm-v1.1'"),
        ("data.users=1", "data.users", "1", "greater than or equal to 2, or a list, or 'all'"),
        ("labels.answer_rate=1.2", "labels.answer_rate", "1.2", "less than or equal to 1"),
        ("split.holdout=1.0", "split.holdout", "1.0", "less than 1"),
        ("guard.max_norm=-2.0", "guard.max_norm", "-2.0", "greater than 0, or 'off'"),
        ("fleet.devices=0", "fleet.devices", "0", "greater than or equal to 1, or 'users'"),
        ("fleet.devices=some", "fleet.devices", "'some'", "whole number, or 'users'"),
        ("fleet.engine=both", "fleet.engine", "'both'", "'fleet' or 'reference'"),
        ("fleet.tile=0", "fleet.tile", "0", "greater than or equal to 1"),
        ("fleet.tile=1025", "fleet.tile", "1025", "less than or equal to 1024"),
        ("variation.gain=0.9", "variation.gain", "0.9", "greater than or equal to 1"),
        ("variation.tilt_deg=181", "variation.tilt_deg", "181", "less than or equal to 180"),
        ("variation.cadence=2.0", "variation.cadence", "2.0", "less than or equal to 1.5"),
        ("variation.noise=-1.0", "variation.noise", "-1.0", "greater than or equal to 0"),
        ("variation.speed=1", "variation.speed", "", "unknown key; allowed here: tilt_deg, gain"),
        ("records.windows=1.5", "records.windows", "1.5", "less than or equal to 1, or 'all' or"),
        ("records.windows=few", "records.windows", "'few'", "'all' or 'none'"),
        (
            "arms.own.method=magic",
            "arms.own.method",
            "'magic'",
            "'heuristic', 'pooled', 'local'",
        ),
        ("arms.shared.lambda_=1.0", "arms.shared.lambda_", "", "choice, candidates, steps, memory"),
        ("arms.shared.mu=-1.0", "arms.shared.mu", "-1.0", "greater than or equal to 0"),
        ("arms.shared.lambda=-1.0", "arms.shared.lambda", "-1.0", "greater than or equal to 0"),
        ("arms.shared.buffer=some", "arms.shared.buffer", "'some'", "whole number, or 'round'"),
        ("arms.shared.buffer=0", "arms.shared.buffer", "0", "or equal to 1, or 'round'"),
        ("arms.shared.tuned=[]", "arms.shared.tuned", "[]", "at least 1 item"),
        ("arms.shared.tuned=3", "arms.shared.tuned", "3", "a list"),
        ("arms.shared.tuned=[{}, 3]", "arms.shared.tuned[2]", "3", "a table"),
        (
            "arms.shared.tuned=[{}, {steps = 0}]",
            "arms.shared.tuned[2].steps",
            "0",
            "greater than or equal to 1",
        ),
        ("faults.availability=0", "faults.availability", "0", "greater than 0"),
        ("faults.speed=5.5", "faults.speed", "5.5", "less than or equal to 5"),
        (
            "faults.colour=1",
            "faults.colour",
            "",
            "allowed here: availability, outage_rounds, trace",
        ),
        ("faults.outage_rounds=0.5", "faults.outage_rounds", "0.5", "1, or 'independent'"),
        ("faults.outage_rounds=some", "faults.outage_rounds", "'some'", "a number, or 'independe"),
        ("faults.dropout=1.1", "faults.dropout", "1.1", "less than or equal to 1"),
        (
            "faults.dropout_when=late",
            "faults.dropout_when",
            "'late'",
            "'before', 'middle' or 'any'",
        ),
        ("faults.round_s=0", "faults.round_s", "0", "greater than 0"),
        ("faults.step_s=-1", "faults.step_s", "-1", "greater than or equal to 0"),
        ("faults.bandwidth_kib_s=0", "faults.bandwidth_kib_s", "0", "than 0, or 'unlimited'"),
        ("faults.deadline_s=never", "faults.deadline_s", "'never'", "a number, or 'none'"),
        ("faults.lost=-0.1", "faults.lost", "-0.1", "greater than or equal to 0"),
        ("faults.late_rounds=0", "faults.late_rounds", "0", "greater than or equal to 1"),
        ("faults.late_rounds=1.5", "faults.late_rounds", "1.5", "a whole number"),
        ("faults.corruptions=[]", "faults.corruptions", "[]", "at least 1 item"),
        ("faults.corruptions=['rot']", "faults.corruptions[1]", "'rot'", "'nan', 'inf', 'shape',"),
        ("faults.battery=1", "faults.battery", "1", "true or false"),
        ("faults.hostile=1.0", "faults.hostile", "1.0", "less than 1"),
        ("faults.attack=worm", "faults.attack", "'worm'", "'none', 'sign-flip', 'label-flip', 'b"),
        ("faults.attack_scale=0", "faults.attack_scale", "0", "greater than 0"),
        ("faults.trigger=1001", "faults.trigger", "1001", "less than or equal to 1000"),
        ("guard.least_updates=0", "guard.least_updates", "0", "greater than or equal to 1"),
        ("arms.shared.participation=0", "arms.shared.participation", "0", "greater than 0"),
    ],
)
def test_wrong_key_is_told_with_file_key_value_and_what_is_allowed(
    file, override, key, seen, allowed
):
    (line,) = refusal(file, override).splitlines()
    assert line.startswith(f"{file}: {key}{' = ' + seen if seen else ''}: ")
    assert allowed in line


@pytest.mark.parametrize("key", ["seed", "name", "arms"])
def test_missing_key_is_told(file, key):
    lines = {
        "seed": TEXT.replace("seed = 3", ""),
        "name": TEXT.replace('name = "tiny"', ""),
        "arms": TEXT.partition("[[arms]]")[0],
    }
    file.write_text(lines[key])
    assert refusal(file) == f"{file}: {key}: missing; this key is needed"


def test_missing_key_of_an_arm_is_told(file):
    file.write_text(TEXT.replace('method = "fedavg"', ""))
    assert refusal(file) == f"{file}: arms.shared.method: missing; this key is needed"
    file.write_text(TEXT.replace('name = "shared"', ""))
    assert refusal(file) == f"{file}: arms[2].name: missing; this key is needed"


def test_no_arms_are_told(file):
    (line,) = refusal(file, "arms=[]").splitlines()
    assert line.startswith(f"{file}: arms = []: expected")
    assert "at least 1" in line


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["arms.1.name=own"], "arms: the name 'own' is used twice"),
        (["baseline=best"], "baseline: 'best' is no arm; arms: own, shared"),
        (["labels.budget=1"], 'labels: ask = "all" with budget = 1'),
        (["split.folds=1"], 'model.base: "donors" with split.folds = 1'),
        (["arms.own.participation=0.5"], 'participation means nothing for method "local"'),
        (["data.source=wisdm-2019"], "data.path: missing"),
        (["arms.shared.lambda=0.5"], 'arms.shared: lambda means nothing for method "fedavg"'),
        (["arms.shared.candidates=0.5"], 'it goes with choice = "loss"'),
        (["arms.shared.tuned=[{}]"], "arms.shared.tuned: 1 tables for split.folds = 2"),
        (["arms.shared.tuned=[{}, {mu = 1.0}]"], "tuned[2]: 'mu' cannot be tuned; allowed"),
        (
            ["arms.shared.tuned=[{candidates = 0.5}, {}]"],
            "arms.shared.tuned[1]: candidates = 0.5: those among whom",
        ),
        (["arms.shared.method=fedrep", "arms.shared.steps=1"], "arms.shared: head_steps = 1: "),
        (["arms.shared.method=ifca", "learning.memory=0"], "arms.shared: memory = 0: method"),
        (["data.activities=['walking', 'walking']"], "data.activities: 'walking' is listed twice"),
    ],
)
def test_impossible_combination_is_one_message_that_names_file_and_key(file, overrides, said):
    (line,) = refusal(file, *overrides).splitlines()
    assert line.startswith(f"{file}: ")
    assert said in line


HARM = ["faults.hostile=0.25", "faults.attack=backdoor"]
DOOR = [*HARM, "faults.backdoor_activity=walking", "faults.backdoor_target=sitting"]


@pytest.mark.parametrize(
    ("overrides", "key", "seen", "allowed"),
    [
        (
            ["faults.outage_rounds=3"],
            "outage_rounds", "3.0", "give the share of the time in which one can be reached",
        ),
        (
            ["faults.availability=0.1", "faults.outage_rounds=5"],
            "outage_rounds", "5.0", "outages last 9 rounds at least",
        ),
        (
            ["faults.availability=0.3", "faults.outage_rounds=2"],
            "outage_rounds", "2.0", "outages last 2.33 rounds at least",
        ),
        (
            ["faults.trace=t.csv", "faults.availability=0.5"],
            "trace", "'t.csv' with availability = 0.5", "take the other out",
        ),
        (
            ["faults.deadline_s=3", "faults.speed=1.0"],
            "deadline_s", "3.0", "give latency_s, step_s, bandwidth_kib_s or duration_rounds",
        ),
        (
            ["faults.attack=copies"],
            "attack", '"copies" with hostile = 0', "give hostile, the share of devices that do",
        ),
        (HARM, "attack", '"backdoor" with backdoor_activity = \'\'', "give both with attack"),
        (DOOR[:3], "attack", '"backdoor" with backdoor_activity = \'walking\'', "give both"),
        (
            ["faults.hostile=0.25", "faults.attack=label-flip", *DOOR[2:]],
            "attack", '"label-flip" with backdoor_activity = \'walking\'', "only with that",
        ),
        (DOOR[3:], "attack", '"none" with backdoor_activity = \'\'', "only with that"),
    ],
)  # fmt: skip
def test_faults_that_cannot_be_together_are_refused(file, overrides, key, seen, allowed):
    """With the table, the key, what was found, and what to do."""
    (line,) = refusal(file, *overrides).splitlines()
    assert line.startswith(f"{file}: faults: {key} = {seen}")
    assert allowed in line


@pytest.mark.parametrize(
    ("overrides", "key", "allowed"),
    [
        (
            [*DOOR, "faults.backdoor_target=flying"],
            "faults.backdoor_target = 'flying'", "walking, jogging, stairs, sitting, standing",
        ),
        (
            [*DOOR, "faults.backdoor_activity=Walking"],
            "faults.backdoor_activity = 'Walking'", "walking, jogging, stairs",
        ),
        (
            [*DOOR, "faults.backdoor_target=walking"],
            "faults.backdoor_target = 'walking'", "give another one",
        ),
        (
            [*DOOR, "model.program=tracker_lstm"],
            'faults.attack = "backdoor"', "use a program on windows",
        ),
        (["faults.trace=no.csv"], "faults.trace = 'no.csv'", "give the CSV file"),
    ],
)  # fmt: skip
def test_faults_for_which_the_scenario_leaves_no_room_are_refused(file, overrides, key, allowed):
    (line,) = refusal(file, *overrides).splitlines()
    assert line.startswith(f"{file}: {key}: ")
    assert allowed in line


@pytest.mark.parametrize(
    "overrides",
    [
        DOOR,
        ["faults.availability=0.5", "faults.outage_rounds=1"],
        ["faults.availability=0.1", "faults.outage_rounds=9"],
        ["faults.hostile=0.25"],
        ["faults.deadline_s=3", "faults.bandwidth_kib_s=10"],
        ["faults.deadline_s=3", "faults.latency_s=1"],
        ["faults.deadline_s=3", "faults.step_s=0.1"],
        ["faults.deadline_s=3", "faults.duration_rounds=0.1"],
    ],
)
def test_faults_that_go_together_are_taken(file, overrides):
    assert load(file, *overrides).faults != load(file).faults


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("data.windw_s=4.0", 'data.windw_s: unknown key; did you mean "window_s"? allowed here:'),
        ("learing.steps=3", 'learing: unknown key; did you mean "learning"? allowed here: name'),
        ("arms.own.method=fedagv", "'ifca'; did you mean \"fedavg\"?"),
        ("arms.own.method=FedAvg", "'ifca'; did you mean \"fedavg\"?"),
        ('drift=[{kind="rotaton"}]', "'swap-user'; did you mean \"rotation\"?"),
        ("fleet.workers=atuo", "'auto'; did you mean \"auto\"?"),
        ("model.program=cnm", 'saved_model.pb); did you mean "cnn"?'),
        ("baseline=shard", 'arms: own, shared; did you mean "shared"?'),
        ("data.activities=['walking', 'joging']", 'did you mean "jogging"?'),
        ("arms.shard.steps=3", "'shard' is none of: own, shared; did you mean \"shared\"?"),
    ],
)
def test_what_was_meant_is_guessed(file, override, told):
    assert told in refusal(file, override)


def test_combinations_that_cannot_be_are_told_at_once(file):
    names = ["arms.own.name=a", "arms.shared.name=A"]
    lines = refusal(file, *names, "baseline=nobody", "split.folds=9").splitlines()
    told = [line.removeprefix(f"{file}: ") for line in lines]
    assert [one.split(":")[0] for one in told] == ["arms", "baseline", "split.folds"]
    keys = ["arms.own.mu=1.0", "arms.own.reaction_rounds=2", "labels.budget=1"]
    assert [line.split(": ")[1] for line in refusal(file, *keys).splitlines()] == [
        "labels", "arms.own", "arms.own",
    ]  # fmt: skip
    absent = ["model.program=no", "model.base=no", "faults.trace=no"]
    assert len(refusal(file, *absent).splitlines()) == 3


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["name=a b"], "name = 'a b': expected letters, digits and _.-, the first of them a lette"),
        ([f"name={'a' * 81}"], "': expected at most 80 characters"),
        (["labels.ask=random"], 'labels: ask = "random" with no budget: a budget'),
        (
            ["arms.shared.reaction=learn-faster"],
            "no detector; detectors: none; add",
        ),
        (["drift=[{kind='gain'}]", "drift[1].factor=20.0"], "drift[1].factor = 20.0: expected a"),
        (["data.users=['a', 7.5]"], "data.users[2] = 7.5: expected text"),
    ],
)
def test_errors_are_in_words_of_toml(file, overrides, told):
    assert told in refusal(file, *overrides)


def test_several_errors_are_told_at_once_each_once(file):
    lines = refusal(file, "stream.rounds=-1", "labels.ask=never", "arms.own.x=1").splitlines()
    keys = [line.removeprefix(f"{file}: ").split(" ")[0].rstrip(":") for line in lines]
    assert keys == ["stream.rounds", "labels.ask", "arms.own.x"]


def test_absent_file_points_to_those_that_are_shipped(tmp_path):
    assert refusal(tmp_path / "no.toml").startswith(f"{tmp_path / 'no.toml'}: there is no such")
    assert "wearfleet scenarios" in refusal(tmp_path / "no.toml")


def test_folder_instead_of_a_file_is_told(tmp_path):
    assert refusal(tmp_path) == f"{tmp_path}: is a folder; give a scenario file, in TOML"


def test_bytes_that_are_no_text_are_told_with_their_place(file):
    file.write_bytes(b'name = "\xff"')
    assert refusal(file) == f"{file}: not text (byte 8 is no UTF-8); a scenario is a TOML file"


def test_text_that_is_no_toml_is_told_with_its_place(file):
    file.write_text("name = 'x'\nseed = = 3\n")
    assert refusal(file).startswith(f"{file}: not TOML (")
    assert "line 2" in refusal(file)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("seed = " + "1" * 5000, id="a number of 5,000 digits"),
        pytest.param("seed = " + "[" * 5000, id="lists in lists, 5,000 deep"),
    ],
)
def test_toml_beyond_the_limits_of_python_is_refused(file, text):
    file.write_text(text)
    assert refusal(file).startswith(f"{file}: not TOML")


def test_path_below_a_file_is_refused(file):
    assert refusal(file / "more.toml").startswith(f"{file / 'more.toml'}: ")


@any_file
@given(content=st.binary(max_size=200))
def test_random_bytes_are_refused(tmp_path, content):
    path = tmp_path / "random.toml"
    path.write_bytes(content)
    assert refusal(path).startswith(f"{path}: ")


values = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.sampled_from(["all", "local", "fedavg", "synthetic", "users", "random"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab[]'.", max_size=3), inner)
    ),
    max_leaves=5,
)
sections = list(Scenario.model_fields)
keys = sorted(
    {key for field in Scenario.model_fields.values()
     for key in getattr(field.annotation, "model_fields", {})}
    | {"name", "method", "participation", "switch_round", "private", "int", "str", "x[0]"}
)  # fmt: skip
tables = st.dictionaries(
    st.sampled_from([*sections, "other"]),
    values
    | st.dictionaries(st.sampled_from(keys), values, max_size=4)
    | st.lists(st.dictionaries(st.sampled_from(keys), values, max_size=4), max_size=3),
    max_size=6,
)


@any_file
@given(table=tables)
def test_any_table_is_a_scenario_or_refused_with_the_file(tmp_path, table):
    path = tmp_path / "any.toml"
    path.write_text(tomli_w.dumps(table), encoding="utf-8")
    try:
        load_scenario(path)
    except BadScenario as error:
        lines = str(error).splitlines()
        assert lines
        assert lines[0].startswith(f"{path}: ")


@any_file
@given(
    key=st.text("abdeilmnorstu.=0123 ", max_size=12)
    | st.sampled_from(["stream.rounds", "data.users", "arms.own.steps", "arms.0.steps", "seed"]),
    value=st.text(max_size=12),
)
def test_any_override_of_a_table_is_taken_or_refused(tmp_path, key, value):
    path = tmp_path / "tiny.toml"
    path.write_text(TEXT)
    with contextlib.suppress(BadScenario):
        assert isinstance(load_scenario(path, [f"{key}={value}"]), Scenario)


def test_override_sets_a_key_of_a_table_that_the_file_lacks(file):
    assert load(file, "stream.batch=5").stream.batch == 5


def test_later_override_wins(file):
    assert load(file, "seed=5", "seed=6").seed == 6


@pytest.mark.parametrize("place", ["1", "shared"])
def test_override_reaches_an_arm_by_place_and_by_name(file, place):
    scenario = load(file, f"arms.{place}.participation=0.25")
    assert [arm.participation for arm in scenario.arms] == [None, 0.25]


def test_override_replaces_an_item_of_a_list(file):
    arm = '{name = "third", method = "frozen"}'
    assert [a.name for a in load(file, f"arms.1={arm}").arms] == ["own", "third"]
    names = load(
        file, "data.activities=['walking', 'stairs']", "data.activities.1=sitting"
    ).data.activities
    assert names == ["walking", "sitting"]


@pytest.mark.parametrize(
    ("override", "read", "expected"),
    [
        ("question=how?", lambda s: s.question, "how?"),
        ("question='how?'", lambda s: s.question, "how?"),
        ("question=a = b", lambda s: s.question, "a = b"),
        ("question=", lambda s: s.question, ""),
        ("data.users=['p001', 'p002', 'p003', 'p004']", lambda s: len(s.data.users), 4),
        ("split.holdout=0.25", lambda s: s.split.holdout, 0.25),
        ("split.holdout=0", lambda s: s.split.holdout, 0.0),
        ("training.refit=false", lambda s: s.training.refit, False),
        (" stream . rounds = 2", lambda s: s.stream.rounds, 2),
        ("stream.rounds=all", lambda s: s.stream.rounds, "all"),
    ],
)
def test_override_is_read_as_toml_and_as_text_where_it_is_none(file, override, read, expected):
    assert read(load(file, override)) == expected


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("seed", "expected key=value"),
        ("=5", "expected key=value"),
        ("stream..rounds=5", "expected key=value"),
        ("stream.=5", "expected key=value"),
        ("", "expected key=value"),
        ("seed.more=5", "'seed' is a value (3), not a table"),
        ("arms.best.steps=5", "'best' is none of: own, shared"),
        ("arms.7.steps=5", "'7' is none of: own, shared"),
        ("arms.7=5", "'7' is none of: own, shared"),
    ],
)
def test_override_that_cannot_be_placed_is_refused_as_typed(file, override, said):
    message = refusal(file, override)
    assert message.startswith(f"--set {override!r}: ")
    assert said in message


def test_override_of_a_whole_arm_by_name_is_taken_or_refused(file):
    arm = '{name = "third", method = "frozen"}'
    with contextlib.suppress(BadScenario):
        assert load(file, f"arms.own={arm}").arms[0].name == "third"


@pytest.mark.parametrize("key", ["data.activities.0.x", "data.activities.0.x.y"])
def test_override_below_an_item_that_is_no_table_is_refused(file, key):
    message = refusal(file, "data.activities=['a', 'b']", f"{key}=1")
    assert message.startswith(f"--set '{key}=1': ")


variations = st.fixed_dictionaries(
    {},
    optional={
        "question": st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        "data": st.fixed_dictionaries(
            {"users": st.integers(4, 99) | st.lists(st.text("p01", min_size=1), min_size=4)},
            optional={"rate_hz": st.floats(0.1, 1000.0), "unusual": st.floats(0.0, 1.0)},
        ),
        "stream": st.fixed_dictionaries(
            {"rounds": st.integers(1, 9) | st.just("all"), "batch": st.integers(1, 99)}
        ),
        "labels": st.fixed_dictionaries(
            {"ask": st.sampled_from(["random", "uncertain"]), "budget": st.integers(1, 5)}
        ),
        "guard": st.fixed_dictionaries({"max_norm": st.floats(0.1, 9.0) | st.just("off")}),
        "arms": st.lists(
            st.fixed_dictionaries(
                {"name": st.text("abc019_.-", min_size=1, max_size=5).map(lambda s: f"a{s}"),
                 "method": st.sampled_from(["fedavg", "fedper", "local"])},
                optional={"steps": st.integers(1, 9), "learning_rate": st.floats(1e-9, 1.0)},
            ),
            min_size=1, max_size=4, unique_by=lambda arm: arm["name"],
        ),
    },
)  # fmt: skip


@any_file
@given(varied=variations, seed=st.integers(0, 2**63 - 1))
def test_resolved_scenario_loads_again_as_the_same(tmp_path, varied, seed):
    arms = [{"name": "own", "method": "local"}]
    table = {"name": "x", "data": {"users": 8}, "arms": arms, **varied, "seed": seed}
    path = tmp_path / "written.toml"
    path.write_text(tomli_w.dumps(table), encoding="utf-8")
    first = load_scenario(path)
    path.write_text(scenario_toml(first), encoding="utf-8")
    assert load_scenario(path) == first


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_shipped_scenario_loads_and_runs_again_as_resolved(file, tmp_path):
    wisdm = 'source = "wisdm' in file.read_text()
    scenario = load_scenario(file, [f"data.path={tmp_path}"] if wisdm else [])
    resolved = tmp_path / "scenario.toml"
    resolved.write_text(scenario_toml(scenario))
    assert load_scenario(resolved) == scenario
    assert scenario.baseline in [arm.name for arm in scenario.arms]


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_shipped_scenario_opens_with_its_question_and_states_its_seed(file):
    text = file.read_text()
    opening = text.partition("\nname")[0].splitlines()
    assert all(line.startswith("#") or not line for line in opening)
    assert "?" in text.splitlines()[0] + text.splitlines()[1]
    assert "\nseed = " in text
    assert "\nquestion = " in text


def test_finetuning_needs_the_round_at_which_it_begins(file):
    message = refusal(file, 'arms=[{name = "a", method = "finetune"}]', "baseline=a")
    assert "arms.a: switch_round: missing" in message


def test_numbers_that_are_not_finite_are_refused(file):
    assert "model.learning_rate = inf" in refusal(file, "model.learning_rate=inf")


def test_program_that_is_neither_built_in_nor_on_disk_is_refused(file):
    message = refusal(file, "model.program=cnnn")
    assert f"model.program = 'cnnn': neither one of {', '.join(PROGRAMS)} nor the folder" in message


def test_default_of_an_arm_is_in_the_resolved_scenario(file):
    scenario = load_scenario(file, ['arms=[{name = "a", method = "fedavg"}]', "baseline=a"])
    assert scenario.arms[0].participation == 1.0
    assert "participation = 1.0" in scenario_toml(scenario)


def arms_of(file, *arms, **tables):
    """Load a scenario with these arms; returns them, and those that its resolved form has."""
    table = {"name": "x", "seed": 1, "data": {"users": 8}, "arms": list(arms), **tables}
    file.write_text(tomli_w.dumps(table))
    scenario = load_scenario(file)
    resolved = scenario_toml(scenario)
    file.write_text(resolved)
    assert load_scenario(file) == scenario
    return scenario.arms, tomllib.loads(resolved)["arms"]


@pytest.mark.parametrize("method", sorted(METHODS))
def test_what_an_arm_leaves_out_is_in_the_resolved_scenario(file, method):
    needed = {"switch_round": 2} if method == "finetune" else {}
    (arm,), (written,) = arms_of(file, {"name": "a", "method": method, **needed})
    expected = {"name": "a", "method": method, **needed, **OWN_KEYS.get(method, {})}
    if method in SHARING:
        expected |= {"participation": 1.0}
    if method in SHARING and method != "dpfedavg":
        expected |= {"choice": "random"}
    assert written == expected
    assert {key: arm.option(key) for key in OWN_KEYS.get(method, {})} == OWN_KEYS.get(method, {})


def test_what_an_arm_says_is_not_replaced_by_defaults(file):
    said = {"name": "a", "method": "fedadam", "tau": 0.5, "participation": 0.25, "choice": "loss"}
    _, (written,) = arms_of(file, said)
    rest = {"server_learning_rate": 0.01, "beta_1": 0.9, "beta_2": 0.99, "candidates": 1.0}
    assert written == {**said, **rest}


def test_lambda_is_written_as_it_is_read(file):
    arms, written = arms_of(
        file,
        {"name": "a", "method": "ditto", "lambda": 0.25},
        {"name": "b", "method": "pfedme", "tuned": [{"lambda": 1.5}, {"lambda": 2.5}]},
    )
    assert [arm.option("lambda") for arm in arms] == [0.25, 15.0]
    assert [arms[1].in_fold(fold).option("lambda") for fold in (0, 1)] == [1.5, 2.5]
    assert [arm["lambda"] for arm in written] == [0.25, 15.0]
    assert written[1]["tuned"] == [{"lambda": 1.5}, {"lambda": 2.5}]
    assert not any("lambda_" in arm for arm in written)


@pytest.mark.parametrize(
    ("own", "learning", "head_steps"),
    [({}, {}, 3), ({"steps": 2}, {}, 1), ({}, {"steps": 8}, 7), ({"steps": 3}, {"steps": 8}, 2)],
)
def test_the_head_takes_all_steps_but_the_last_unless_it_is_said(file, own, learning, head_steps):
    _, (written,) = arms_of(file, {"name": "a", "method": "fedrep", **own}, learning=learning)
    assert written["head_steps"] == head_steps

"""The table of a drift: its defaults, and what it must not say."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import tomli_w
from pydantic import ValidationError

from clients.drift import MOST_DRIFTS, SIGNALS
from clients.errors import BadScenario
from clients.stream_drift import STREAM_DRIFTS
from simulator.plan.plan import build_plan
from simulator.scenario.drift_table import KINDS, OF_STREAM, OF_TIME, DriftTable, drift_keys_of
from simulator.scenario.file import load_scenario, scenario_toml
from simulator.scenario.scenario import SINGLE_SAMPLES, Scenario

COMMAND = str(Path(sys.executable).with_name("wearfleet"))
TEXT = """
name = "tiny"
seed = 3
[data]
users = 4
minutes = 0.5
activities = ["walking", "jogging", "sitting"]
[model]
program = "dense"
[[arms]]
name = "own"
method = "local"
"""
NEEDED = {"new-activity": {"activity": "sitting"}, "label-shift": {"activities": ["sitting"]}}
DEFAULTS = {
    "rotation": {"angle_deg": 90.0, "axis": "any"},
    "swap-wrist": {},
    "gain": {"factor": 1.5},
    "bias": {"offset": 3.0},
    "noise": {"deviation": 2.0},
    "rate": {"factor": 1.15},
    "dropout": {"share": 0.3},
    "gait": {"cadence": 0.85, "amplitude": 0.6},
    "new-activity": {},
    "label-shift": {"share": 0.8},
    "swap-user": {},
}
VALUES = {
    "angle_deg": 30.0,
    "axis": "x",
    "factor": 1.1,
    "offset": 2.0,
    "deviation": 1.0,
    "share": 0.5,
    "cadence": 0.9,
    "amplitude": 0.5,
    "activity": "sitting",
    "activities": ["sitting"],
}
COMMON = {"kind", "at", "over", "period", "devices"}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(TEXT)
    return path


def drift_of(kind, **keys):
    return {"kind": kind, **NEEDED.get(kind, {}), **keys}


def load(file, *drifts, **tables):
    table = {**tomllib.loads(TEXT), "drift": list(drifts)}
    for name, own in tables.items():
        table[name] = {**table.get(name, {}), **own} if isinstance(own, dict) else own
    file.write_text(tomli_w.dumps(table))
    return load_scenario(file)


def refusal(file, *drifts, **tables):
    with pytest.raises(BadScenario) as error:
        load(file, *drifts, **tables)
    return str(error.value)


def test_every_kind_does_something_to_the_signal_or_to_the_stream():
    assert set(KINDS) == set(DEFAULTS) == {*SIGNALS, *STREAM_DRIFTS}
    assert set(OF_STREAM) == set(STREAM_DRIFTS)
    assert set(OF_TIME) < set(SIGNALS)


@pytest.mark.parametrize("kind", DEFAULTS)
def test_defaults_of_a_kind_are_in_the_resolved_scenario_and_it_loads_again_as_the_same(file, kind):
    scenario = load(file, drift_of(kind))
    text = scenario_toml(scenario)
    (written,) = tomllib.loads(text)["drift"]
    times = {"at": 0.5, "over": 0.0, "period": 0.0, "devices": 1.0}
    assert written == {"kind": kind, **times, **NEEDED.get(kind, {}), **DEFAULTS[kind]}
    file.write_text(text)
    assert load_scenario(file) == scenario
    assert scenario_toml(load_scenario(file)) == text


@pytest.mark.parametrize("kind", DEFAULTS)
def test_defaults_hold_too_where_no_file_is_read(kind):
    table = DriftTable.model_validate(drift_of(kind))
    expected = {key: value for key, value in DEFAULTS[kind].items() if key != "axis"}
    assert table.numbers() == expected


def test_what_a_drift_says_is_not_replaced_by_defaults(file):
    scenario = load(file, drift_of("gait", cadence=0.9), drift_of("rotation", axis="z", at=0.25))
    gait, rotation = scenario.drift
    assert gait.numbers() == {"cadence": 0.9, "amplitude": 0.6}
    assert (rotation.axis, rotation.at, rotation.angle_deg) == ("z", 0.25, 90.0)


def test_a_scenario_without_drift_has_none(file):
    assert load_scenario(file).drift == []


def test_a_key_of_a_drift_is_overridden_by_its_place(file):
    load(file, drift_of("rotation"), drift_of("gain"))
    scenario = load_scenario(file, ["drift.0.angle_deg=45.0", "drift.1.at=0.2"])
    assert scenario.drift[0].angle_deg == 45.0
    assert scenario.drift[1].at == 0.2


@pytest.mark.parametrize("kind", DEFAULTS)
def test_a_drift_takes_the_keys_of_its_kind_and_no_others(file, kind):
    own = {*DEFAULTS[kind], *NEEDED.get(kind, {})}
    assert set(drift_keys_of(kind)) == COMMON | own
    for key, value in VALUES.items():
        if key in own:
            load(file, drift_of(kind, **{key: value}))
            continue
        said = refusal(file, drift_of(kind, **{key: value}))
        kinds = [other for other in KINDS if key in {*DEFAULTS[other], *NEEDED.get(other, {})}]
        assert said == (
            f'{file}: drift[1]: {key} means nothing for kind "{kind}"; '
            f"it belongs to: {', '.join(kinds)}"
        )


def test_of_several_keys_of_other_kinds_the_first_is_told_every_time(file):
    keys = {key: VALUES[key] for key in ("activity", "cadence", "axis", "share", "deviation")}
    assert "drift[1]: axis means nothing" in refusal(file, drift_of("swap-user", **keys))


@pytest.mark.parametrize("kind", DEFAULTS)
def test_an_unknown_key_of_a_drift_is_answered_with_those_of_its_kind(file, kind):
    said = refusal(file, drift_of(kind, strength=2.0))
    allowed = said.partition(f"{file}: drift[1].strength: unknown key; allowed here: ")[2]
    assert set(allowed.split(", ")) == COMMON | {*DEFAULTS[kind], *NEEDED.get(kind, {})}


def test_an_unknown_kind_is_answered_with_those_there_are(file):
    said = refusal(file, {"kind": "earthquake"})
    assert f"{file}: drift[1].kind = 'earthquake'" in said
    for kind in KINDS:
        assert f"'{kind}'" in said


def test_a_kind_is_needed(file):
    assert refusal(file, {"at": 0.5}) == f"{file}: drift[1].kind: missing; this key is needed"


@pytest.mark.parametrize("kind", [["gain"], {"a": 1}, 3, True])
def test_a_kind_that_is_no_text_is_told_as_such(file, kind):
    said = refusal(file, {"kind": kind, "strength": 1.0})
    assert f"drift[1].kind = {str(kind).lower()}: expected" in said


@pytest.mark.parametrize("drift", [{"kind": "gain"}, "gain", 3])
def test_a_drift_that_is_no_list_of_tables_is_refused(file, drift):
    file.write_text(tomli_w.dumps({**tomllib.loads(TEXT), "drift": drift}))
    with pytest.raises(BadScenario, match="drift"):
        load_scenario(file)
    file.write_text(tomli_w.dumps({**tomllib.loads(TEXT), "drift": [drift, "gain"]}))
    with pytest.raises(BadScenario, match=r"drift\[2\] = 'gain'"):
        load_scenario(file)


@pytest.mark.parametrize(
    ("kind", "key", "value", "said"),
    [
        ("gain", "at", 1.0, "less than 1"),
        ("gain", "at", -0.1, "greater than or equal to 0"),
        ("gain", "at", "half", "a number"),
        ("gain", "over", 1.0, "less than 1"),
        ("gain", "period", 1.5, "less than or equal to 1"),
        ("gain", "devices", 0.0, "greater than 0, or a list"),
        ("gain", "devices", 1.2, "less than or equal to 1"),
        ("gain", "devices", "p001", "a number, or a list"),
        ("gain", "devices", [], "at least 1 item"),
        ("gain", "factor", 0.0, "greater than 0"),
        ("gain", "factor", 11.0, "less than or equal to 10"),
        ("rotation", "angle_deg", 181.0, "less than or equal to 180"),
        ("rotation", "angle_deg", -1.0, "greater than or equal to 0"),
        ("rotation", "axis", "w", "'any', 'x', 'y' or 'z'"),
        ("bias", "offset", -1.0, "greater than or equal to 0"),
        ("noise", "deviation", -1.0, "greater than or equal to 0"),
        ("gait", "cadence", 0.4, "greater than or equal to 0.5"),
        ("gait", "cadence", 2.1, "less than or equal to 2"),
        ("gait", "amplitude", -0.1, "greater than or equal to 0"),
        ("label-shift", "activities", [], "at least 1 item"),
        ("label-shift", "activities", "sitting", "a list"),
        ("new-activity", "activity", ["sitting"], "text"),
    ],
)
def test_a_wrong_value_is_told_with_its_key_and_what_is_allowed(file, kind, key, value, said):
    message = refusal(file, drift_of(kind, **{key: value}))
    assert message.startswith(f"{file}: drift[1].{key} = {value!r}: expected ")
    assert said in message


@pytest.mark.parametrize(
    ("drift", "said"),
    [
        (drift_of("rate", factor=2.5), "factor = 2.5: of a clock, expected 0.5 to 2"),
        (drift_of("rate", factor=0.4), "factor = 0.4: of a clock, expected 0.5 to 2"),
        (drift_of("dropout", share=0.0), "share = 0.0: expected more than 0 and less than 1"),
        (drift_of("dropout", share=1.0), "share = 1.0: expected more than 0 and less than 1"),
        (drift_of("label-shift", share=0.0), "share = 0.0: expected more than 0 and less"),
        (drift_of("label-shift", share=1.0), "share = 1.0: expected more than 0 and less"),
        ({"kind": "new-activity"}, 'activity: missing; kind "new-activity" needs it'),
        ({"kind": "label-shift"}, 'activities: missing; kind "label-shift" needs it'),
        (
            drift_of("gain", over=0.2, period=0.4),
            "over = 0.2 with period = 0.4: a drift that comes and goes comes suddenly; give one",
        ),
        (
            drift_of("new-activity", activity="flying"),
            "activity = 'flying': none of data.activities: walking, jogging, sitting",
        ),
        (
            drift_of("label-shift", activities=["sitting", "flying"]),
            "activities = 'flying': none of data.activities: walking, jogging, sitting",
        ),
    ],
)
def test_a_drift_that_cannot_be_is_told_with_what_can(file, drift, said):
    message = refusal(file, drift_of("noise"), drift)
    assert message.startswith(f"{file}: ")
    assert f"drift[2]: {said}" in message or f"drift[2].{said}" in message


@pytest.mark.parametrize(("first", "second"), [("swap-user", "new-activity"),
                                               ("label-shift", "label-shift")])  # fmt: skip
def test_two_drifts_of_the_stream_are_refused(file, first, second):
    said = refusal(file, drift_of(first), drift_of("gain"), drift_of(second))
    assert f"drift: {first} and {second} both say which windows reach a device; keep one" in said


def test_a_drift_of_the_stream_goes_with_drifts_of_the_signal(file):
    scenario = load(file, drift_of("gain"), drift_of("swap-user"), drift_of("gain", at=0.7))
    assert [table.kind for table in scenario.drift] == ["gain", "swap-user", "gain"]


def test_there_are_as_many_drifts_as_a_state_has_bits(file):
    assert len(load(file, *[drift_of("gain")] * MOST_DRIFTS).drift) == MOST_DRIFTS
    said = refusal(file, *[drift_of("gain")] * (MOST_DRIFTS + 1))
    assert f"at most {MOST_DRIFTS}" in said


@pytest.mark.parametrize(
    ("kind", "activities", "named", "least"),
    [
        ("new-activity", ["walking", "sitting"], {"activity": "sitting"}, 2),
        ("label-shift", ["walking", "sitting"], {"activities": ["sitting", "walking"]}, 1),
    ],
)
def test_a_drift_leaves_activities_for_the_time_before(file, kind, activities, named, least):
    said = refusal(file, drift_of(kind, **named), data={"activities": activities})
    left = len(set(activities) - {*named.get("activities", []), named.get("activity")})
    assert f'drift[1].kind = "{kind}": leaves {left} of data.activities for the time before' in said
    assert f"; {least} are needed" in said


@pytest.mark.parametrize("program", SINGLE_SAMPLES)
@pytest.mark.parametrize("kind", OF_TIME)
def test_single_samples_have_no_time_to_drift(file, kind, program):
    said = refusal(file, drift_of(kind), model={"program": program})
    assert f'drift[1].kind = "{kind}": changes how samples follow one another' in said
    assert f'"{program}"' in said
    assert "use a program on windows" in said


def test_single_samples_may_turn(file):
    load(file, drift_of("rotation"), model={"program": "tracker_dense"})


@pytest.mark.parametrize("kind", SIGNALS)
def test_a_row_of_features_has_no_samples_to_change(kind):
    with pytest.raises(ValidationError) as error:
        scenario_of_features(drift_of(kind))
    assert f'drift[1].kind = "{kind}": changes samples, and a row of features has none' in str(
        error.value
    )
    assert "allowed: new-activity, label-shift, swap-user" in str(error.value)


@pytest.mark.parametrize("kind", OF_STREAM)
def test_rows_of_features_may_come_in_another_stream(kind):
    assert scenario_of_features(drift_of(kind)).drift[0].kind == kind


def scenario_of_features(*drifts):
    return Scenario.model_validate(
        {
            "name": "x",
            "seed": 1,
            "arms": [{"name": "own", "method": "local"}],
            "data": {
                "source": "wisdm-v1.1-features",
                "path": "anywhere",
                "activities": ["walking", "jogging", "sitting"],
                "rate_hz": 0.1,
                "window_s": 10.0,
                "hop_s": 10.0,
            },
            "training": {"warp": 1.0, "tilt_deg": 0.0, "gain": 1.0, "noise": 0.0, "mirror": 0.0},
            "model": {"program": "features"},
            "drift": list(drifts),
        }
    )


def test_a_base_that_was_trained_elsewhere_may_know_what_should_be_new(file):
    said = refusal(file, drift_of("new-activity"), model={"base": "/somewhere"})
    assert 'drift[1].kind = "new-activity": the activity is withheld from donors' in said
    assert 'model.base = "/somewhere" was trained elsewhere; set model.base = "donors"' in said
    for base in ("donors", "random"):
        assert load(file, drift_of("new-activity"), model={"base": base}).withheld == ("sitting",)


def test_nothing_is_withheld_but_what_a_drift_brings_as_new(file):
    assert load(file, drift_of("label-shift"), drift_of("gain")).withheld == ()


def test_a_device_that_is_not_there_is_told_with_some_that_are(file):
    scenario = load(file, drift_of("gain"), drift_of("bias", devices=["p001", "p009"]))
    with pytest.raises(BadScenario) as error:
        build_plan(scenario)
    assert "drift[2].devices: 'p009' is no device of this run" in str(error.value)
    assert "'p001', 'p002'" in str(error.value)


def test_a_device_that_is_not_there_is_told_where_there_is_but_one(file):
    scenario = load(
        file, drift_of("gain", devices=["nobody"]),
        data={"users": ["p001"]}, split={"folds": 1}, model={"base": "random"},
    )  # fmt: skip
    with pytest.raises(BadScenario, match=r"'nobody' is no device of this run.*'p001'"):
        build_plan(scenario)


def test_a_wearer_who_is_alone_in_a_fold_has_nobody_to_hand_the_device_to(file):
    scenario = load(
        file, drift_of("gain"), drift_of("swap-user"),
        data={"users": 4}, split={"folds": 1, "donors": 3},
    )  # fmt: skip
    with pytest.raises(BadScenario) as error:
        build_plan(scenario)
    assert 'drift[2].kind = "swap-user": a fold has one wearer' in str(error.value)
    assert "give more users or fewer folds" in str(error.value)


def wearfleet(*arguments):
    return subprocess.run(
        [COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "COLUMNS": "160"},
    )


@pytest.mark.parametrize(
    ("drift", "said"),
    [
        ('{kind="gain", angle_deg=3.0}', "angle_deg means nothing for kind"),
        ('{kind="gain", devices=["p009"]}', "drift[1].devices: 'p009' is no device of this run"),
    ],
)
def test_a_drift_that_cannot_work_ends_with_two_and_leaves_nothing(file, tmp_path, drift, said):
    done = wearfleet(
        "run", file, "--out", tmp_path / "run", "--workers", 1, "--set", f"drift=[{drift}]"
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert said in done.stderr
    assert done.stdout == ""
    assert [p.name for p in tmp_path.iterdir()] == ["tiny.toml"]


def test_validate_prints_the_defaults_of_a_drift_and_what_it_prints_runs(file, tmp_path):
    done = wearfleet("validate", file, "--set", 'drift=[{kind="gait", amplitude=0.5}]')
    assert done.returncode == 0, done.stderr
    (drift,) = tomllib.loads(done.stdout)["drift"]
    assert drift == {
        "kind": "gait", "at": 0.5, "over": 0.0, "period": 0.0, "devices": 1.0,
        "cadence": 0.85, "amplitude": 0.5,
    }  # fmt: skip
    again = tmp_path / "again.toml"
    again.write_text(done.stdout)
    repeated = wearfleet("validate", again)
    assert repeated.returncode == 0, repeated.stderr
    assert repeated.stdout == done.stdout

"""What a device in hand begins with, and which questions reach it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clients.checkpoints import read_checkpoint
from clients.errors import BadInput
from clients.program import Program
from clients.recordings import read_recordings
from simulator.base.arms import habits_of
from simulator.plan.plan import build_plan
from simulator.scenario.file import load_scenario
from simulator.wearing.sittings import questions_from, wear_device_of_run, wear_program
from tests.clients.keras_programs import CLASSES, dense_of_32
from tests.simulator.conftest import read_all

FIVE = ("walking", "jogging", "stairs", "sitting", "standing")
USUAL = {"rate_hz": 20.0, "batch": None, "steps": 4, "memory": None, "seed": 0}


@pytest.fixture(scope="module")
def watch(tmp_path_factory):
    """Give WISDM 2019 files of two users: 30 s of walking (A) and 20 s of sitting (D)."""
    folder = tmp_path_factory.mktemp("watch")
    for user in (1600, 1601):
        lines = [
            f"{user},{code},{10**9 * start_s + 50_000_000 * i},{i % 7}.0,{user % 10}.5,{i}e-2;\n"
            for code, start_s, count in (("A", 1000, 600), ("D", 2000, 400))
            for i in range(count)
        ]
        (folder / f"data_{user}_accel_watch.txt").write_text("".join(lines))
    return folder


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """Give a SavedModel by others, on 32 single samples, without a table of activities."""
    return dense_of_32(tmp_path_factory.mktemp("foreign") / "dense")


@pytest.fixture(scope="module")
def own(finished):
    """Give a SavedModel of a run: dense, on windows of 80 samples, of 4 activities."""
    return sorted((finished.path / "devices" / "local").glob("*/round-*"))[-1]


def test_a_device_of_a_run_begins_where_the_simulated_one_did(finished):
    scenario = load_scenario(finished.path / "scenario.toml")
    plan = build_plan(scenario)
    for number in (0, 3):
        name = plan.name_of(number)
        newcomer = wear_device_of_run(finished.path, name, "half")
        (fold,) = (fold for fold in plan.folds if number in fold.devices)
        base = finished.path / "base" / f"fold-{fold.index}"
        arm = next(arm for arm in scenario.arms if arm.name == "half")
        assert newcomer.program == base
        assert newcomer.settings.device == number
        assert newcomer.settings.activities == tuple(scenario.data.activities)
        assert newcomer.settings.habits == habits_of(
            scenario, arm, series=False, least=1, whole_questions=False
        )
        state = read_checkpoint(base)
        assert all(np.array_equal(newcomer.state[name], value) for name, value in state.items())


def test_a_device_of_a_run_is_the_first_one_and_local_unless_it_is_said(run_small, finished):
    newcomer = wear_device_of_run(finished.path, None, None)
    assert newcomer.settings.device == 0
    arms = (
        'arms=[{name="all", method="fedavg", steps=1}, '
        '{name="own", method="local", steps=3, optimizer="sgd", learning_rate=0.25}]'
    )
    run = run_small([arms, "baseline=own", "stream.rounds=1"]).path
    newcomer = wear_device_of_run(run, None, None)
    assert newcomer.settings.habits.steps == 3
    assert newcomer.program.name.endswith("-sgd")
    assert newcomer.state["slots/learning_rate"] == np.float32(0.25)
    assert wear_device_of_run(run, None, "all").settings.habits.steps == 1


def test_what_reaches_a_device_of_a_run_is_its_whole_stream(finished):
    settings = wear_device_of_run(finished.path, None, None).settings
    name = str(settings.source["device"])
    windows = read_all(finished.path / "windows")
    windows = windows[(windows.device == name) & (windows.arm == "local")]
    played = list(questions_from(settings, 0, ()))
    sizes = windows.groupby(["round", "question"]).size().tolist()
    assert [len(x) for x, _ in played][: len(sizes)] == sizes
    assert len(played) >= len(sizes)  # the run ended after 4 rounds
    assert {x.shape[1:] for x, _ in played} == {(80, 3)}
    assert [seconds for _, seconds in played] == [4.0 * len(x) for x, _ in played]
    left = list(questions_from(settings, 3, ()))
    assert [x.tobytes() for x, _ in left] == [x.tobytes() for x, _ in played[3:]]
    assert list(questions_from(settings, len(played), ())) == []


@pytest.mark.parametrize(
    ("device", "arm", "said"),
    [
        ("p999", None, "--device p999: .* has the devices p0"),
        (None, "rules", "--arm rules: arms of .* that learn: local, all, half"),
        (None, "none", "--arm none: arms of .* that learn: local"),
    ],
)
def test_devices_and_arms_that_are_not_there_are_refused(finished, device, arm, said):
    with pytest.raises(BadInput, match=said):
        wear_device_of_run(finished.path, device, arm)


def test_a_run_that_is_gone_is_named(finished, tmp_path):
    settings = wear_device_of_run(finished.path, None, None).settings
    gone = replace(settings, source={"run": str(tmp_path / "gone"), "device": "p001"})
    with pytest.raises(BadInput, match=r"gone/scenario.toml: there is no such file"):
        questions_from(gone, 0, ())


def test_recordings_are_played_as_they_were_recorded(foreign, watch):
    settings = wear_program(foreign, FIVE, watch, "1601", **USUAL).settings
    played = list(questions_from(settings, 0, ()))
    recordings, _ = read_recordings(watch, source="auto", rate_hz=20.0, users=["1601"])
    by_name = {recording.activity: recording.samples for recording in recordings}
    expected = np.concatenate([by_name["walking"][:576], by_name["sitting"][:384]])  # 18 and 12
    assert np.array_equal(np.concatenate([x[:, 0] for x, _ in played]), expected)
    assert {len(x) for x, _ in played} == {32}  # it takes no fewer
    assert {seconds for _, seconds in played} == {1.6}


def test_a_program_of_ones_own_has_the_sizes_that_suit_it(foreign, own):
    four = wear_program(foreign, FIVE, None, None, **USUAL).settings
    habits = four.habits
    assert (habits.batch, habits.least, habits.memory, habits.whole_questions) == (
        32,
        32,
        512,
        True,
    )
    assert (four.length, four.channels, four.source) == (1, 3, {})
    windows = wear_program(own, None, None, None, **USUAL | {"seed": 5}).settings
    habits = windows.habits
    assert (habits.batch, habits.least, habits.memory, habits.whole_questions) == (8, 1, 128, False)
    assert (windows.length, windows.activities, habits.seed) == (80, Program(own).activities, 5)


def test_samples_on_a_pipe_are_cut_into_questions_of_full_size(own):
    settings = wear_program(own, None, None, None, **USUAL | {"batch": 2}).settings
    samples = np.arange(3 * 500, dtype=np.float32).reshape(500, 3)
    played = list(questions_from(settings, 7, samples.tolist()))
    assert [x.shape for x, _ in played] == [(2, 80, 3)] * 3  # 480 of 500 samples
    assert np.array_equal(np.concatenate(played[0][0]), samples[:160])
    assert np.array_equal(np.concatenate([x for x, _ in played]).reshape(-1, 3), samples[:480])
    assert {seconds for _, seconds in played} == {0.0}  # they took their time already


ALIEN = ("a", "b", "c", "d", "e")
REFUSED = {
    "no SavedModel": ({"path": Path("dense")}, "--model dense: no SavedModel there"),
    "no activities": ({"activities": None}, "give each a name by --activities.*seen: none"),
    "one activity": ({"activities": ["walking"]}, "seen: walking"),
    "an empty name": ({"activities": ["walking", ""]}, "give each a name"),
    "a name twice": ({"activities": ["walking"] * CLASSES}, "give each a name"),
    "too few names": ({"activities": FIVE[:2]}, "tells [345] classes apart"),
    "another batch": ({"batch": 8}, r"tried with stream.batch = 8 windows.*--batch gives it"),
    "too little memory": ({"memory": 9}, "--memory 9: .* one has 32 windows"),
    "data that is not there": ({"data": Path("none")}, "none: no such file or folder"),
    "a user who is not there": ({"user": "7"}, "no user '7' in the data"),
    "a user who does other things": ({"activities": ALIEN}, "user 1600 did sitting, walking"),
    "recordings that are too short": ({"batch": 32, "rate_hz": 0.5}, "no 32 samples of user 1600"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_a_program_is_refused(foreign, watch, case):
    changed, said = REFUSED[case]
    usual = {"path": foreign, "activities": FIVE, "data": watch, "user": None}
    with pytest.raises(BadInput, match=said):
        wear_program(**usual | USUAL | changed)


def test_a_table_of_activities_is_not_overruled(own):
    with pytest.raises(BadInput, match="has a table of its own: walking,jogging,sitting,standing"):
        wear_program(own, FIVE, None, None, **USUAL)
    names = Program(own).activities
    assert wear_program(own, names, None, None, **USUAL).settings.activities == names


def test_a_table_of_features_does_not_fit_a_program_on_samples(foreign, wisdm_features):
    with pytest.raises(BadInput, match="has 43 values in a sample; the program takes 3"):
        wear_program(foreign, FIVE, wisdm_features, None, **USUAL)


def test_real_recordings_of_a_person_are_played(foreign, wisdm_watch):
    settings = wear_program(foreign, FIVE, wisdm_watch, "1602", **USUAL).settings
    played = [x for x, _ in questions_from(settings, 0, ())]
    assert 500 < len(played) < 600  # 5 activities of 3 minutes at 20 Hz make 562
    assert all(x.shape == (32, 1, 3) and np.isfinite(x).all() for x in played)

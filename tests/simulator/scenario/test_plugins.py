"""Models, methods, strategies and drifts of other packages."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from clients import plugins as found
from clients.checkpoints import read_checkpoint
from clients.errors import BadInput, BadScenario
from simulator.cli import main
from simulator.cohort.checkpoint import find_device, read_shared
from simulator.folder.manifest_file import differences
from simulator.folder.provenance import provenance
from simulator.folder.store import RunFolder
from simulator.scenario.scenario import Scenario
from tests.simulator.made_plugins import EXAMPLE, install, install_example

ROOT = EXAMPLE.parents[1]
ADDED = """
name = "added"
seed = 11
[data]
users = 4
activities = ["walking", "jogging", "sitting"]
minutes = 1.0
[split]
folds = 1
donors = 2
[model]
program = "blurred"
[training]
steps = 20
look_every = 20
refit = false
[stream]
rounds = 2
[[drift]]
kind = "warming"
zero = 0.9
[[arms]]
name = "careful"
method = "careful"
most = 0.05
[[arms]]
name = "all"
method = "fedavg"
"""


@pytest.fixture
def example(tmp_path, forgetful):
    """Put the example package on the path, for one test; gives a scenario that uses it."""
    forgetful(install_example(tmp_path / "packages"))
    file = tmp_path / "added.toml"
    file.write_text(ADDED)
    return file


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Run a scenario with all four plug-ins by the command line, on both engines."""
    folder = tmp_path_factory.mktemp("added")
    (folder / "added.toml").write_text(ADDED)
    code = (
        "import sys\nfrom simulator.cli import main\n"
        "for engine in ('fleet', 'reference'):\n"
        "    try:\n"
        "        main(['run', 'added.toml', '--set=arms.careful.pace=0', '--workers=1',"
        " '--engine', engine, '--out', engine])\n"
        "    except SystemExit as stop:\n"
        "        assert not stop.code, stop.code\n"
    )
    path = os.pathsep.join([str(ROOT), str(install_example(folder / "packages"))])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_the_example_is_as_short_as_it_says():
    files = [EXAMPLE / "pyproject.toml", *(EXAMPLE / "wearfleet_plugin").glob("*.py")]
    assert len(files) == 6
    assert sum(len(file.read_text().splitlines()) for file in files) <= 150


def test_plugins_are_run_by_the_command_line_on_two_arms(runs):
    summary = pd.read_csv(runs / "fleet" / "summary.csv").set_index("arm")
    assert list(summary["method"]) == ["careful", "fedavg"]
    assert (summary["updates_accepted"] == summary["updates_sent"]).all()
    assert summary["updates_sent"].min() > 0
    assert set(pd.read_csv(runs / "fleet" / "drift.csv")["drift"]) == {"warming"}
    assert json.loads((runs / "fleet" / "manifest.json").read_text())["plugins"] == [
        "wearfleet-plugin"
    ]


def test_the_model_and_the_strategy_are_those_of_the_package(runs):
    base = read_checkpoint(runs / "fleet" / "base" / "fold-0")
    assert base["params/hidden/kernel"].shape == (8 * 3, 64)
    moved = {}
    for arm in ("careful", "all"):
        there = find_device(runs / "fleet" / "checkpoints" / arm, "p001")
        shared = read_shared(there.folder)["classes/bias"]
        moved[arm] = bool(np.any(shared != base["params/classes/bias"]))
    assert moved == {"careful": False, "all": True}  # at a pace of 0


def test_both_engines_come_to_the_same_with_plugins(runs):
    for name in ("users.csv", "drift.csv"):
        one, two = (pd.read_csv(runs / engine / name) for engine in ("fleet", "reference"))
        pd.testing.assert_frame_equal(one, two)


def test_a_run_notes_the_version_of_a_plugin_and_tells_another_one(runs):
    run = RunFolder(runs / "fleet")
    manifest = run.manifest()
    assert manifest["versions"]["wearfleet-plugin"] == "0.1.0"
    assert list(provenance()["versions"]) == list(manifest["versions"])[:-1]
    same = differences(run.path, manifest["data_fingerprint"], {"wearfleet-plugin": "0.1.0"})
    other = differences(run.path, manifest["data_fingerprint"], {"wearfleet-plugin": "0.2.0"})
    assert [note for note in other if note not in same] == [
        "the run began with wearfleet-plugin 0.1.0, and goes on with 0.2.0: its bytes may differ "
        "from those of a run that was not disturbed"
    ]


def test_a_run_does_not_go_on_without_its_plugin(runs, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["resume", str(runs / "fleet")])
    assert stop.value.code == 2
    told = capsys.readouterr().err
    assert "the run began with the plug-in wearfleet-plugin 0.1.0, which is not installed" in told


def test_keys_of_plugins_have_defaults_and_are_written_down(example):
    scenario = Scenario.load(example, ["arms.careful.pace=1"])
    arm, drift = scenario.arms[0], scenario.drift[0]
    assert (arm.option("most"), arm.option("pace"), arm.participation) == (0.05, 1.0, 1.0)
    assert drift.numbers() == {"gain": 0.97, "zero": 0.9}
    assert scenario.with_() == scenario
    assert scenario.with_({"arms.careful.most": 2.0}).arms[0].option("most") == 2.0
    assert scenario.model_dump(by_alias=True)["arms"][0]["pace"] == 1.0


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("arms.careful.most=0", "arms.careful.most = 0: expected a value greater than 0"),
        ("arms.careful.most=true", "arms.careful.most = true: expected a number"),
        (
            "arms.careful.mots=1",
            'arms.careful.mots: unknown key; did you mean "most"? allowed here: name, method, ',
        ),
        ("arms.careful.mu=1", 'mu means nothing for method "careful"; it belongs to: fedprox'),
        ("arms.all.most=1", "arms.all.most: unknown key; allowed here: name, method, "),
        ("arms.careful.private=[]", "arms.careful.private"),
        ("arms.careful.method=carefull", "or 'careful'"),
        ("drift.0.zero=2", "drift[1].zero = 2: expected a value less than or equal to 1"),
        (
            "drift.0.zer=1",
            'did you mean "zero"? allowed here: kind, at, over, period, devices, gain, zero',
        ),
        ("drift.0.angle_deg=1", 'angle_deg means nothing for kind "warming"'),
        ("drift.0.kind=warm", "'swap-user' or 'warming'"),
        ("model.program=blured", "tracker_lstm, blurred nor the folder of a SavedModel"),
    ],
)
def test_a_wrong_key_of_a_plugin_is_told_as_those_that_are_built_in(example, given, told):
    with pytest.raises(BadScenario, match=r"added\.toml: ") as error:
        Scenario.load(example, [given])
    assert told in str(error.value)


def test_names_of_plugins_are_unknown_without_them(tmp_path):
    file = tmp_path / "added.toml"
    file.write_text(ADDED)
    with pytest.raises(BadScenario, match=r"'careful': expected 'frozen', .* or 'ifca'"):
        Scenario.load(file)


THEIRS = """
from clients.methods.fedavg import fedavg
from clients.plugins import MethodPlugin
from simulator import Section

class Taken(Section):
    steps: int = 1

class Bare(Section):
    much: float

good = MethodPlugin(fedavg, "fedavg")
taken = MethodPlugin(fedavg, "fedavg", Taken)
bare = MethodPlugin(fedavg, "fedavg", Bare)
nowhere = MethodPlugin(fedavg, "nowhere")
private = MethodPlugin(fedavg, "dpfedavg")
poor = MethodPlugin(fedavg, "fedavgm")
"""


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("fedavg", "theirs:good", "the name is a built-in one"),
        ("Good", "theirs:good", "expected a name of small letters, digits, _ and -"),
        ("mine", "theirs_that_are_not:good", "theirs_that_are_not:good cannot be imported"),
        ("mine", "theirs:fedavg", "theirs:fedavg is a function; expected a MethodPlugin"),
        ("mine", "theirs:taken", "its key 'steps' is one that every arm has"),
        ("mine", "theirs:bare", "whose fields have defaults"),
        ("mine", "theirs:nowhere", "strategy = 'nowhere'; expected one of: fedavg, fedprox"),
        ("mine", "theirs:private", "strategy = 'dpfedavg'; expected one of: fedavg, fedprox"),
        ("mine", "theirs:poor", "its strategy 'fedavgm' needs 'server_learning_rate'"),
    ],
)
def test_a_plugin_that_cannot_be_used_names_who_brought_it(tmp_path, forgetful, name, value, told):
    packages = tmp_path / "packages"
    install(packages, "theirs", "3.1", {"wearfleet.methods": {name: value}})
    (packages / "theirs.py").write_text(THEIRS)
    forgetful(packages)
    with pytest.raises(BadInput) as error:
        with_method("mine")
    assert told in str(error.value)
    assert f"plug-in {name!r} (wearfleet.methods) of theirs 3.1" in str(error.value)


def test_two_packages_cannot_add_the_same_name(tmp_path, forgetful):
    for package in ("theirs", "others"):
        install(tmp_path / "packages", package, "1", {"wearfleet.methods": {"mine": "theirs:good"}})
    forgetful(tmp_path / "packages")
    with pytest.raises(BadInput, match=r"(theirs|others) adds the same name; uninstall one"):
        with_method("mine")


def test_a_broken_plugin_is_in_nobodys_way_who_does_not_name_it(tmp_path, forgetful):
    install(tmp_path / "packages", "theirs", "1", {"wearfleet.methods": {"mine": "nowhere:x"}})
    forgetful(tmp_path / "packages")
    assert with_method("local").arms[0].method == "local"


def with_method(name: str) -> Scenario:
    return Scenario.from_dict(
        {"name": "theirs", "seed": 1, "data": {"users": 4}, "arms": [{"name": "a", "method": name}]}
    )


def test_no_plugin_is_installed_beside_the_tests():
    """They would change what errors list."""
    groups = (found.MODELS, found.METHODS, found.STRATEGIES, found.DRIFT)
    assert {group: found.plugin_names(group, ()) for group in groups} == dict.fromkeys(groups, ())

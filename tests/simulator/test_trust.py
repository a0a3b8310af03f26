"""Programs that do more than compute, at each door of the command line, with trust and without."""

import json

import pytest

from clients.program import Program
from simulator.cli import main
from simulator.plan.plan import build_plan
from simulator.running.fleet import Fleet
from simulator.running.scenario_run import run_scenario
from simulator.running.workers import InProcess
from simulator.scenario.file import load_scenario
from tests.clients.hostile_programs import Writes
from tests.clients.made_programs import saved
from tests.simulator.conftest import Heard

SCENARIO = """
name = "foreign"
seed = 3
data = {users = 4, minutes = 0.5, activities = ["walking", "sitting"], window_s = 0.5, hop_s = 0.5}
model = {base = "random"}
learning = {steps = 1, loss = "balanced"}
stream = {rounds = 1}
fleet = {workers = 1}
arms = [{name = "local", method = "local"}]
"""


@pytest.fixture
def files(tmp_path):
    """Write a program that writes a file while it predicts, and a scenario that names it."""
    saved(tmp_path / "program", Writes(tmp_path / "seen"))
    (tmp_path / "seen").unlink(missing_ok=True)
    text = SCENARIO.replace(
        '{base = "random"}', f'{{base = "random", program = "{tmp_path}/program"}}'
    )
    (tmp_path / "scenario.toml").write_text(text)
    return tmp_path


def say(capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        main([str(each) for each in arguments])
    return end.value.code, capsys.readouterr().err


def doors(path):
    usual = ["--model", path / "program", "--stdin", "--activities", "walking,sitting"]
    return {
        "run": ["run", path / "scenario.toml", "--out", path / "run"],
        "tune": ["tune", path / "scenario.toml", "--out", path / "tuned.toml", "--workers", "1"],
        "inspect": ["model", "inspect", path / "program"],
        "export": ["model", "export", path / "program", "--shared", path / "shared.safetensors"],
        "device": ["device", path / "device", *usual],
        "train": ["model", "train", path / "scenario.toml", "--out", path / "trained"],
    }


@pytest.mark.parametrize("door", ["run", "tune", "inspect", "export", "device", "train"])
def test_no_command_runs_what_it_was_not_told_to_trust(files, capsys, door):
    code, told = say(capsys, *doors(files)[door])
    assert code == 2
    assert "WriteFile (node 'WriteFile' in function '__inference_predict_" in told
    assert "give --trust-program" in told
    assert not (files / "seen").exists()


@pytest.mark.parametrize("door", ["inspect", "export"])
def test_a_command_that_is_told_to_trust_does(files, capsys, door):
    code, _ = say(capsys, *doors(files)[door], "--trust-program")
    assert code == 0


def test_trust_reaches_whoever_computes_and_is_asked_for_again(files, capsys):
    scenario = load_scenario(files / "scenario.toml")
    (files / "run").mkdir()
    run_scenario(scenario, files / "run", Fleet(InProcess()), Heard(), trusted=True)
    assert (files / "seen").read_text() == "seen"
    (files / "seen").unlink()
    device = next((files / "run" / "devices" / "local").iterdir()).name
    words = ["model", "materialize", files / "run", "local", device, "--out", files / "model"]
    code, told = say(capsys, *words)
    assert (code, "give --trust-program" in told) == (2, True)
    assert not (files / "seen").exists()
    assert say(capsys, *words, "--trust-program")[0] == 0
    assert Program(files / "model", trusted=True).length == 10


def test_a_plan_tells_workers_whom_to_trust_and_a_scenario_cannot(files):
    scenario = load_scenario(files / "scenario.toml")
    assert build_plan(scenario, trusted=True).trusted
    assert "trust" not in json.dumps(scenario.model_dump())

"""`wearfleet resume` on folders that are not as a run left them."""

import shutil

import pytest

from simulator.cli import main
from simulator.running.scenario_run import run_scenario
from simulator.scenario.file import load_scenario
from tests.simulator.made_kills import KEYS, Copying, assert_same_bytes

FEW = [*KEYS[1:], 'arms=[{name="local", method="local"}]']


@pytest.fixture(scope="module")
def whole(small_file, fleet, tmp_path_factory):
    """Give a run that is done, and what it left on disk after its third round."""
    folder, kept = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("kept")
    scenario = load_scenario(small_file, FEW)
    run_scenario(scenario, folder, fleet, Copying(folder, kept, [3]))
    return folder, kept / "3"


def resumed(folder, capsys):
    """Go on with a run; returns the exit code and what was said."""
    with pytest.raises(SystemExit) as end:
        main(["resume", str(folder), "--workers", "1"])
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return end.value.code, said.err + said.out


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda run: (run / "lock").mkdir(), "lock: cannot be written"),
        (lambda run: ((run / "log.jsonl").unlink(), (run / "log.jsonl").mkdir()), "log.jsonl: no"),
        (lambda run: (run / "manifest.json").write_text("{"), "manifest.json: "),
        (lambda run: (run / "manifest.json").unlink(), "manifest.json: missing"),
        (lambda run: change(run / "scenario.toml", "rounds = 3", "rounds = 2"), "not the scenario"),
        (lambda run: (run / "scenario.toml").write_text("name ="), "not the scenario"),
        (lambda run: (run / "seed-11").mkdir(), "seeds.json: missing"),
    ],
)
def test_what_was_changed_is_refused_in_words(whole, capsys, damage, told, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(whole[1], folder)
    damage(folder)
    code, said = resumed(folder, capsys)
    assert code == 2
    assert told in said
    assert list((folder / "checkpoints" / "local" / "0").glob("0*"))


def test_a_checkpoint_that_is_a_file_is_set_aside(whole, capsys, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(whole[1], folder)
    checkpoint = folder / "checkpoints" / "local" / "0" / "00003"
    shutil.rmtree(checkpoint)
    checkpoint.write_text("x")
    assert resumed(folder, capsys)[0] == 0
    assert_same_bytes(whole[0], folder)


def test_a_run_that_is_done_needs_no_lock(whole, capsys, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(whole[0], folder)
    (folder / "lock").mkdir()
    code, said = resumed(folder, capsys)
    assert code == 0
    assert "is done, there is nothing to go on with" in said


@pytest.mark.parametrize("damage", ["gone", "short"])
def test_figures_of_a_run_that_is_done_are_made_again(whole, capsys, damage, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(whole[0], folder)
    if damage == "gone":
        (folder / "summary.csv").unlink()
    else:
        (folder / "users.csv").write_bytes((folder / "users.csv").read_bytes()[:-9])
    code, said = resumed(folder, capsys)
    assert code == 0
    assert "are damaged, and made again" in said
    assert_same_bytes(whole[0], folder)

"""A run that was stopped and goes on leaves the bytes of one that was not."""

import errno
import json
import shutil

import pytest

from clients.errors import BadInput, RunFailed
from simulator.fleet import Fleet
from simulator.prepared_files import read_prepared
from simulator.scenario_file import load_scenario
from simulator.scenario_run import run_scenario
from simulator.seeds import run_seeds
from tests.simulator.conftest import Heard, contents
from tests.simulator.made_kills import (
    FOLDS,
    KEYS,
    ROUNDS,
    Copying,
    Failing,
    assert_same_bytes,
    go_on,
    logged,
)

PER_ARM = ROUNDS * FOLDS
MOMENTS = {
    1: (None, "before the first checkpoint"),
    2: (2, "at a checkpoint"),
    3: (3, "before the devices' SavedModels are written"),
    PER_ARM + 5: (2, "in the second fold of an arm with a server"),
    2 * PER_ARM + 2: (2, "in the arm whose answers are pooled"),
    4 * PER_ARM: (3, "before the last records are finished"),
}
"""After so many rounds, of all -> the checkpoint to go on from, and what it is about."""


@pytest.fixture(scope="module")
def whole(small_file, fleet, tmp_path_factory):
    """Give a run that nobody disturbed, and what it left on disk at some moments."""
    folder, kept = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("kept")
    heard = Copying(folder, kept, MOMENTS)
    run_scenario(load_scenario(small_file, KEYS), folder, fleet, heard)
    return folder, kept


def copied(whole, moment, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(whole[1] / str(moment), folder)
    return folder


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(whole, fleet, moment, tmp_path):
    folder = copied(whole, moment, tmp_path)
    trained = {p: p.stat().st_mtime_ns for p in (folder / "base").glob("*/saved_model.pb")}
    heard = go_on(folder, fleet)
    assert_same_bytes(whole[0], folder)
    assert heard.advances == 4 * PER_ARM
    assert all(p.stat().st_mtime_ns == then for p, then in trained.items())  # not trained again
    assert json.loads((folder / "manifest.json").read_text())["status"] == "done"
    from_round = MOMENTS[moment][0]
    first = logged(folder, "restored")[:1]
    assert [line["round"] for line in first] == ([] if from_round is None else [from_round])


def test_it_can_be_stopped_again_and_again(whole, fleet, tmp_path):
    folder = copied(whole, 1, tmp_path)
    for stop in (3, 8, 14):

        class Stopping(Heard):
            def advance(self, stop=stop):
                super().advance()
                if self.advances == stop:
                    raise KeyboardInterrupt

        scenario = load_scenario(folder / "scenario.toml")
        with pytest.raises(KeyboardInterrupt):
            run_scenario(scenario, folder, fleet, Stopping(), resumed=True)
        assert json.loads((folder / "manifest.json").read_text())["status"] == "interrupted"
        assert (folder / "summary.csv").is_file()
        assert list((folder / "devices").rglob("round-*"))
    go_on(folder, fleet)
    assert_same_bytes(whole[0], folder)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "file"),
    [
        (flip, "cohort-00003.safetensors"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "cohort-00000.safetensors"),
        (lambda path: path.unlink(), "manifest.json"),
    ],
)
def test_a_damaged_checkpoint_is_told_and_the_one_before_it_used(
    whole, fleet, damage, file, tmp_path
):
    folder = copied(whole, 3, tmp_path)
    damage(folder / "checkpoints" / "local" / "0" / "00003" / file)
    heard = go_on(folder, fleet)
    assert_same_bytes(whole[0], folder)
    (told,) = logged(folder, "checkpoint damaged")
    assert file in told["why"]
    assert any("damaged" in note and file in note for note in heard.notes)
    assert logged(folder, "restored")[0]["round"] == 2


def test_without_any_whole_checkpoint_the_fold_starts_anew(whole, fleet, tmp_path):
    folder = copied(whole, 2, tmp_path)
    flip(folder / "checkpoints" / "local" / "0" / "00002" / "cohort-00001.safetensors")
    go_on(folder, fleet)
    assert_same_bytes(whole[0], folder)
    assert logged(folder, "restored") == []


def test_base_models_that_are_not_whole_are_made_anew(whole, fleet, tmp_path):
    folder = copied(whole, 2, tmp_path)
    path = folder / "base" / "fold-1" / "saved_model.pb"
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[:-1])
    assert read_prepared(folder / "base", 1) is None
    go_on(folder, fleet)
    assert read_prepared(folder / "base", 1) is not None
    assert_same_bytes(whole[0], folder)


def test_what_devices_start_with_is_read_as_it_was_made(small_file, tmp_path):
    keys = [*KEYS, 'detectors=[{kind="inputs"}, {kind="hddm-w", strength=0.2}]']
    folder, once = tmp_path / "run", Fleet(Failing())
    folder.mkdir()

    class Stop(Heard):
        def stage(self, name, rounds):
            super().stage(name, rounds)
            if rounds:
                raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        run_scenario(load_scenario(small_file, keys), folder, once, Stop())
    for fold in (0, 1):
        made, read = once._prepared[fold], read_prepared(folder / "base", fold)
        assert list(read.params) == list(made.params)
        assert all((read.params[name] == made.params[name]).all() for name in made.params)
        assert list(read.unseen) == list(made.unseen)
        assert read.thresholds.keys() == made.thresholds.keys()
        for kind, one in made.thresholds.items():
            own = read.thresholds[kind]
            assert (own.strength, own.alarms, own.windows) == (
                one.strength,
                one.alarms,
                one.windows,
            )
            assert type(own.strength) is type(one.strength)
        expected = made.thresholds["inputs"].expected
        assert read.thresholds["inputs"].expected.deviation == expected.deviation
        assert (read.thresholds["inputs"].expected.scale == expected.scale).all()
        assert (made.paths, made.parts) == (read.paths, read.parts)
        ours, theirs = made.heuristic.thresholds(), read.heuristic.thresholds()
        assert all((ours[name] == theirs[name]).all() for name in ours)


def test_other_data_are_refused_and_nothing_is_removed(whole, fleet, tmp_path):
    folder = copied(whole, 2, tmp_path)
    path = folder / "scenario.toml"
    path.write_text(path.read_text().replace("minutes = 1.0", "minutes = 1.5"))
    with pytest.raises(BadInput, match="the data are not those with which the run began"):
        go_on(folder, fleet)
    assert (folder / "checkpoints" / "local" / "0" / "00002").is_dir()


def test_other_versions_are_told(whole, fleet, tmp_path):
    folder = copied(whole, 4 * PER_ARM, tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["versions"]["numpy"] = "1.0"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert any("began with numpy 1.0" in note for note in go_on(folder, fleet).notes)


def full():
    return OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("where", [("save", 2), ("write", 1), ("write_models", 3), ("prepare", 1)])
def test_a_full_disk_stops_the_run_and_it_goes_on_when_there_is_room(
    whole, small_file, fleet, where, tmp_path
):
    folder = tmp_path / "run"
    folder.mkdir()
    filling = Fleet(Failing(lambda *call: call == where, full))
    with pytest.raises(RunFailed, match=f"wearfleet resume {folder}") as told:
        run_scenario(load_scenario(small_file, KEYS), folder, filling, Heard())
    assert "MiB are free" in str(told.value)
    go_on(folder, fleet)
    assert_same_bytes(whole[0], folder)


def test_seeds_go_on_where_they_were(small_file, fleet, tmp_path):
    few = ['arms=[{name="local", method="local"}]', "model.base=random", "stream.rounds=2"]
    scenario = load_scenario(small_file, few)
    folder, kept = tmp_path / "whole", tmp_path / "kept"
    folder.mkdir()
    run_seeds(scenario, 3, folder, fleet, Copying(folder, kept, [6]))  # in the second
    again = kept / "6"
    assert {p.name for p in again.iterdir()} == {
        "scenario.toml", "seeds.json", "seed-11", "seed-12",
    }  # fmt: skip
    first = {p: p.stat().st_mtime_ns for p in (again / "seed-11").rglob("*") if p.is_file()}
    (again / "seed-13").mkdir()  # of one killed before it wrote anything
    scenario = load_scenario(again / "scenario.toml")
    run_seeds(scenario, 3, again, fleet, Heard(), resumed=True)
    for name in ("", "seed-11", "seed-12", "seed-13"):
        assert contents(folder / name) == contents(again / name)
    assert all(path.stat().st_mtime_ns == then for path, then in first.items())

"""A run that was stopped and goes on leaves the bytes of one that was not."""

import errno
import json
import shutil

import pytest

from clients.errors import BadInput, RunFailed
from simulator.base.prepared_files import read_prepared
from simulator.folder.sealed_file import read_sealed, write_sealed
from simulator.folder.store import RunFolder
from simulator.report.records import read_csv
from simulator.running.fleet import Fleet
from simulator.running.scenario_run import run_scenario
from simulator.running.seeds import run_seeds
from simulator.scenario.file import load_scenario
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
        shown, arms = read_csv(folder / "summary.csv")["arm"], [a.name for a in scenario.arms]
        ended = {line["arm"] for line in logged(folder, "fold done")}
        assert set(shown) <= (ended or {*arms})  # an arm that is under way is no match for others
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
    heard = go_on(folder, fleet)
    assert_same_bytes(whole[0], folder)
    assert logged(folder, "restored") == []
    assert any("so it starts anew" in note for note in heard.notes)
    assert not list(folder.rglob("*.damaged"))


def test_where_a_checkpoint_cannot_be_read_now_the_run_stops_and_nothing_is_removed(
    whole, fleet, tmp_path
):
    folder = copied(whole, 3, tmp_path)
    kept = folder / "checkpoints" / "local" / "0"
    file = kept / "00003" / "cohort-00001.safetensors"
    content = file.read_bytes()
    file.unlink()
    file.symlink_to(file)  # which the system refuses to follow
    with pytest.raises(RunFailed, match="cannot be read now"):
        go_on(folder, fleet)
    assert {"00002", "00003"} <= {path.name for path in kept.iterdir()}
    file.unlink()
    file.write_bytes(content)
    go_on(folder, fleet)
    assert_same_bytes(whole[0], folder)
    assert logged(folder, "restored")[0]["round"] == 3


def test_a_damaged_row_group_leaves_the_checkpoints_that_do_not_need_it(whole, fleet, tmp_path):
    folder = copied(whole, 3, tmp_path)
    kept = folder / "checkpoints" / "local" / "0"
    need_rows(kept / "00003")
    go_on(folder, fleet)
    assert_same_bytes(whole[0], folder)
    assert logged(folder, "restored")[0]["round"] == 2


def need_rows(checkpoint):
    """Let a checkpoint need a row group that is not there."""
    table = read_sealed(checkpoint / "manifest.json")
    table["rows"] = [{"name": "local-cohort-00000-00000.arrow", "size": 9, "checksum": 9}]
    write_sealed(checkpoint / "manifest.json", table)


LEFT = {
    "rounds/local/cohort-00000.parquet": lambda path: path.unlink(),
    "windows/local/cohort-00001.parquet": lambda path: shorten(path),
    "devices/local": lambda path: shutil.rmtree(path),
    "checkpoints/local/0/finished.json": lambda path: path.write_text("{}"),
}
"""Files of folds that are done -> damage to them."""


@pytest.mark.parametrize("left", LEFT)
def test_a_fold_that_is_done_and_not_whole_is_done_again(whole, fleet, left, tmp_path):
    folder = copied(whole, PER_ARM + 5, tmp_path)
    LEFT[left](folder / left)
    heard = go_on(folder, fleet)
    assert_same_bytes(whole[0], folder)
    assert logged(folder, "restored")[0]["round"] == ROUNDS
    assert left in logged(folder, "fold damaged")[0]["why"]
    assert any("is damaged and done again" in note for note in heard.notes)
    assert heard.advances == 4 * PER_ARM


def test_a_fold_is_done_again_from_its_start_where_its_row_groups_are_gone(whole, fleet, tmp_path):
    folder = copied(whole, PER_ARM + 5, tmp_path)
    (folder / "rounds" / "local" / "cohort-00000.parquet").unlink()
    for checkpoint in (folder / "checkpoints" / "local" / "0").glob("0*"):
        need_rows(checkpoint)
    heard = go_on(folder, fleet)
    assert_same_bytes(whole[0], folder)
    assert any('fold 0 of arm "local" is whole, so it starts anew' in n for n in heard.notes)


def test_events_that_are_gone_are_written_again(whole, fleet, tmp_path):
    folder = copied(whole, 4 * PER_ARM, tmp_path)
    events = [path.name for path in (folder / "events").glob("*.parquet")]
    assert events
    shutil.rmtree(folder / "events")
    go_on(folder, fleet)
    assert events == [path.name for path in (folder / "events").glob("*.parquet")]


def shorten(path):
    content = path.read_bytes()
    path.unlink()  # devices' SavedModels share it
    path.write_bytes(content[:-1])


@pytest.mark.parametrize(
    ("damage", "file"),
    [
        (shorten, "fold-1/saved_model.pb"),
        (lambda path: flip(path), "fold-1.safetensors"),
        (lambda path: path.unlink(), "fold-1.json"),
    ],
)
def test_base_models_that_are_not_whole_are_made_anew(whole, fleet, damage, file, tmp_path):
    folder = copied(whole, 2, tmp_path)
    damage(folder / "base" / file)
    assert read_prepared(folder / "base", 1) is None
    go_on(folder, fleet)
    assert read_prepared(folder / "base", 1) is not None
    assert_same_bytes(whole[0], folder)


def test_of_a_program_that_is_given_the_run_takes_what_is_of_a_saved_model(
    whole, small_file, fleet, tmp_path
):
    given, folder = tmp_path / "given", tmp_path / "run"
    shutil.copytree(whole[0] / "base" / "fold-0", given)
    (given / "assets").mkdir(exist_ok=True)
    for name in (".DS_Store", "assets/my vocab.txt", "assets/.DS_Store"):
        (given / name).write_text("of the user")
    folder.mkdir()
    keys = [*KEYS[1:], 'arms=[{name="local", method="local"}]', "model.base=random"]
    scenario = load_scenario(small_file, [*keys, f"model.program={given}"])
    run_scenario(scenario, folder, fleet, Heard())
    assert read_prepared(folder / "base", 0) is not None
    assert (folder / "base" / "fold-0" / "assets" / "my vocab.txt").is_file()
    assert not (folder / "base" / "fold-0" / ".DS_Store").exists()


def test_what_devices_start_with_is_read_as_it_was_made(small_file, tmp_path):
    keys = [*KEYS, 'detectors=[{kind="inputs"}, {kind="hddm-w", strength=0.2}]']
    folder, once = tmp_path / "run", Fleet(Failing())
    folder.mkdir()

    class Stop(Heard):
        def stage(self, name, rounds, folds=1):
            super().stage(name, rounds, folds)
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


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("manifest.json", '"data_fingerprint": "', '"data_fingerprint": "x', "the data are not"),
        ("scenario.toml", "participation = 0.5", "participation = 1.0", "is not the scenario"),
    ],
)
def test_other_data_or_another_scenario_is_refused_and_nothing_is_removed(
    whole, fleet, file, old, new, told, tmp_path
):
    folder = copied(whole, 2, tmp_path)
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))
    with pytest.raises(BadInput, match=told):
        go_on(folder, fleet)
    assert (folder / "checkpoints" / "local" / "0" / "00002").is_dir()


def test_other_versions_are_told_and_kept_in_mind(whole, fleet, tmp_path):
    folder = copied(whole, 4 * PER_ARM, tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    for one in (manifest, manifest["began_with"]):
        one["versions"]["numpy"] = "1.0"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert any("began with numpy 1.0" in note for note in go_on(folder, fleet).notes)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["began_with"]["versions"]["numpy"] == "1.0"
    assert manifest["versions"]["numpy"] != "1.0"
    assert "numpy 1.0" in logged(folder, "resumed")[0]["differences"][0]


def test_paths_of_the_scenario_begin_where_the_run_began(
    whole, small_file, fleet, tmp_path, monkeypatch
):
    here, there, kept = tmp_path / "here", tmp_path / "there", tmp_path / "kept"
    shutil.copytree(whole[0] / "base" / "fold-0", here / "given")
    there.mkdir()
    monkeypatch.chdir(here)
    folder, again = here / "run", kept / "4"
    folder.mkdir()
    keys = [*KEYS[1:], 'arms=[{name="local", method="local"}]', "model.base=random"]
    scenario = load_scenario(small_file, [*keys, "model.program=./given"])
    run_scenario(scenario, folder, fleet, Copying(folder, kept, [4]))
    monkeypatch.chdir(there)
    shutil.rmtree(again / "base")  # so that the program is read again
    run_scenario(RunFolder(again).scenario(), again, fleet, Heard(), resumed=True)
    assert_same_bytes(folder, again)
    assert 'program = "./given"' in (again / "scenario.toml").read_text()
    assert RunFolder(again).manifest()["working_directory"] == str(here)


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
    (again / "seed-11" / "report.html").unlink()  # a kill came before it
    first = {p: p.stat().st_mtime_ns for p in (again / "seed-11").rglob("*") if p.is_file()}
    (again / "seed-13").mkdir()  # of one killed before it wrote anything
    scenario = load_scenario(again / "scenario.toml")
    run_seeds(scenario, 3, again, fleet, Heard(), resumed=True)
    for name in ("", "seed-11", "seed-12", "seed-13"):
        assert contents(folder / name) == contents(again / name)
        assert (again / name / "report.html").is_file()
    assert all(path.stat().st_mtime_ns == then for path, then in first.items())

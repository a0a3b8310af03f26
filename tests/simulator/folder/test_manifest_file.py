"""What a run began with is compared when it goes on, and damage to it is told."""

import json
import shutil

import pytest

from clients.errors import BadInput
from simulator.folder.manifest_file import (
    admit_scenario,
    differences,
    need_own_scenario,
    read_manifest,
    read_seeds,
    write_manifest,
    write_seeds,
)
from simulator.folder.sealed_file import write_sealed
from simulator.folder.store import RunFolder


@pytest.fixture
def begun(tmp_path):
    """Give the folder of a run that has begun."""
    (tmp_path / "scenario.toml").write_text("rounds = 4\n")
    write_manifest(tmp_path, {"status": "running", "data_fingerprint": "abc"})
    (tmp_path / "checkpoints").mkdir()
    return tmp_path


def change(folder, **keys):
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))


def test_a_scenario_that_was_changed_is_refused(begun):
    need_own_scenario(begun)
    (begun / "scenario.toml").write_text("rounds = 3\n")
    with pytest.raises(BadInput, match="is not the scenario with which the run began"):
        differences(begun, "abc")


def test_a_scenario_that_the_run_resolves_is_its_own_before_and_after(begun):
    admit_scenario(begun, "rounds = 4\ntile = 8\n")
    need_own_scenario(begun)  # a kill came before it was written
    (begun / "scenario.toml").write_text("rounds = 4\ntile = 8\n")
    write_manifest(begun, {"status": "done", "data_fingerprint": "abc"})
    need_own_scenario(begun)
    assert differences(begun, "abc") == []


def test_other_data_are_refused(begun):
    with pytest.raises(BadInput, match="the data are not those with which the run began"):
        differences(begun, "abd")


def test_what_it_began_with_is_told_however_often_it_went_on(begun):
    manifest = read_manifest(begun)
    change(
        begun,
        versions={**manifest["versions"], "numpy": "1.0"},
        began_with={**manifest["began_with"], "versions": {"numpy": "1.0"}},
    )
    for _ in range(2):
        assert "the run began with numpy 1.0" in differences(begun, "abc")[0]
        write_manifest(begun, {"status": "interrupted", "data_fingerprint": "abc"})
    told = read_manifest(begun)
    assert told["began_with"]["versions"]["numpy"] == "1.0"
    assert told["versions"]["numpy"] == manifest["versions"]["numpy"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_text("{"),
        lambda path: path.write_text("[]"),
        lambda path: path.write_bytes(b"\xff"),
        lambda path: change(path.parent, versions=[]),
        lambda path: change(path.parent, machine="x"),
        lambda path: change(path.parent, began_with={"machine": 3}),
        lambda path: change(path.parent, scenario_sha256="x"),
        lambda path: path.unlink(),
        lambda path: (path.unlink(), path.mkdir()),
    ],
)
def test_a_damaged_manifest_is_refused(begun, damage):
    damage(begun / "manifest.json")
    with pytest.raises(BadInput, match=r"manifest\.json: .*put back what the run wrote"):
        differences(begun, "abc")


def test_a_run_that_was_killed_before_its_manifest_has_nothing_to_compare(tmp_path):
    (tmp_path / "scenario.toml").touch()
    assert differences(tmp_path, "abc") == []


def test_seeds_are_read_as_they_were_written(tmp_path):
    assert read_seeds(tmp_path) is None
    write_seeds(tmp_path, 3, "rounds = 4\n", tmp_path)
    assert RunFolder(tmp_path).seeds == 3
    (tmp_path / "scenario.toml").write_text("rounds = 4\n")
    need_own_scenario(tmp_path)
    (tmp_path / "scenario.toml").write_text("rounds = 5\n")
    with pytest.raises(BadInput, match="is not the scenario"):
        need_own_scenario(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_text(path.read_text().replace(": 3,", ": 2,")),
        lambda path: path.write_text(path.read_text()[:9]),
        lambda path: write_sealed(path, {"seeds": "3"}),
        lambda path: write_sealed(path, {"seeds": 3, "working_directory": 7}),
    ],
)
def test_damage_to_what_is_noted_of_seeds_is_refused(tmp_path, damage):
    write_seeds(tmp_path, 3, "", tmp_path)
    (tmp_path / "seed-7").mkdir()
    damage(tmp_path / "seeds.json")
    with pytest.raises(BadInput, match=r"seeds\.json.*put back what the run wrote"):
        read_seeds(tmp_path)
    shutil.rmtree(tmp_path / "seed-7")

"""The run folder: whole files, empty folders, averages over seeds."""

import json
import re

import pandas as pd
import pyarrow.parquet as pq
import pytest

from clients.errors import BadInput
from simulator.folder.store import RunFolder, average_over_seeds, discard, new_folder, write_text
from simulator.scenario.file import load_scenario
from simulator.scenario.scenario import Scenario


def test_text_is_written_whole_and_leaves_no_other_file(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "κ = 0.5\n")
    write_text(path, "κ = 0.6\n")
    assert path.read_text(encoding="utf-8") == "κ = 0.6\n"
    assert list(tmp_path.iterdir()) == [path]


def test_text_that_cannot_be_written_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "new\ud800")
    assert path.read_text() == "old"


def test_folder_is_made_with_its_parents(tmp_path):
    made = new_folder("x", tmp_path / "a" / "b")
    assert made == tmp_path / "a" / "b"
    assert made.is_dir()


def test_folder_that_is_there_and_empty_is_taken(tmp_path):
    assert new_folder("x", tmp_path) == tmp_path


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_folder_that_is_not_empty_is_refused_and_left_alone(tmp_path, kind):
    (tmp_path / "mine.txt").write_text("mine")
    out = tmp_path if kind == "folder" else tmp_path / "mine.txt"
    with pytest.raises(BadInput, match=re.escape(f"--out {out}: is there and not empty")):
        new_folder("x", out)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_folder_below_a_file_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(BadInput, match="mine"):
        new_folder("x", tmp_path / "mine.txt" / "run")


def test_folders_without_a_name_do_not_collide(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = [new_folder("mine", None) for _ in range(3)]
    assert len(set(made)) == 3
    assert all(re.fullmatch(r"runs/mine-\d{8}-\d{6}(-\d)?", str(folder)) for folder in made)


def test_scenario_in_the_folder_loads_again(tmp_path):
    scenario = Scenario.model_validate(
        {"name": "x", "seed": 1, "data": {"users": 8}, "arms": [{"name": "a", "method": "local"}]}
    )
    RunFolder(tmp_path).start(scenario)
    assert load_scenario(tmp_path / "scenario.toml").model_dump() == scenario.model_dump() | {
        "baseline": ""
    }


def test_events_are_a_file_per_arm_and_none_without_events(tmp_path):
    run = RunFolder(tmp_path)
    run.write_events("a", [])
    assert list(tmp_path.iterdir()) == []
    event = {"arm": "a", "round": 1, "device": "p001", "kind": "refused", "reason": "NaN"}
    run.write_events("a", [event])
    assert [p.name for p in (tmp_path / "events").iterdir()] == ["a.parquet"]
    assert pq.read_table(tmp_path / "events" / "a.parquet").to_pylist() == [event]


def test_rounds_of_an_arm_are_its_finished_files_in_order_of_cohort(tmp_path):
    run = RunFolder(tmp_path)
    assert list(run.rounds_files("a")) == []
    for name in ("a/cohort-00010.parquet", "a/cohort-00002.parquet", "a/cohort-00003.unfinished",
                 "b/cohort-00000.parquet"):  # fmt: skip
        (tmp_path / "rounds" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "rounds" / name).touch()
    assert [path.name for path in run.rounds_files("a")] == [
        "cohort-00002.parquet", "cohort-00010.parquet",
    ]  # fmt: skip


def test_figures_are_rounded_and_what_is_lacking_is_empty(tmp_path):
    frame = pd.DataFrame({"arm": ["a", "b"], "x": [1 / 3, float("nan")], "y": [None, None]})
    RunFolder(tmp_path).write_frame("users.csv", frame)
    assert (tmp_path / "users.csv").read_text() == "arm,x,y\na,0.333333,\nb,,\n"


def test_manifest_says_versions_and_machine_beside_the_facts(tmp_path):
    RunFolder(tmp_path).write_manifest({"status": "done", "seed": 3})
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert (manifest["status"], manifest["seed"]) == ("done", 3)
    assert {"python", "tensorflow", "flwr", "ray", "wearfleet"} <= manifest["versions"].keys()
    assert manifest["machine"]["cores"] >= 1
    assert manifest["git"] is None or re.fullmatch("[0-9a-f]{40}", manifest["git"])


@pytest.mark.parametrize("keep_folder", [True, False])
def test_discarded_folder_is_gone_or_empty_if_it_was_there_before(tmp_path, keep_folder):
    folder = tmp_path / "run"
    (folder / "base").mkdir(parents=True)
    (folder / "scenario.toml").write_text("")
    discard(folder, keep_folder=keep_folder)
    assert list(tmp_path.rglob("*")) == ([folder] if keep_folder else [])


def seeds(*frames):
    return [pd.DataFrame(frame) for frame in frames]


def test_seeds_are_averaged_with_their_range_beside():
    averaged = average_over_seeds(
        seeds(
            {"arm": ["b", "a"], "method": ["local", "frozen"], "x": [0.2, 1.0], "n": [2, 4]},
            {"arm": ["b", "a"], "method": ["local", "frozen"], "x": [0.4, 0.0], "n": [3, 4]},
            {"arm": ["b", "a"], "method": ["local", "frozen"], "x": [0.9, 0.5], "n": [7, 4]},
        ),
        ["arm", "method"],
    )
    assert list(averaged) == [
        "arm", "method", "x", "x_min", "x_max", "n", "n_min", "n_max",
    ]  # fmt: skip
    first, second = averaged.to_dict("records")
    assert (first["arm"], second["arm"]) == ("b", "a")
    assert (first["x"], first["x_min"], first["x_max"]) == (pytest.approx(0.5), 0.2, 0.9)
    assert (second["x"], second["x_min"], second["x_max"]) == (0.5, 0.0, 1.0)
    assert (first["n"], first["n_min"], first["n_max"]) == (4.0, 2, 7)


def test_unknown_figure_of_one_seed_is_left_out_of_the_average():
    averaged = average_over_seeds(
        seeds({"arm": ["a"], "x": [float("nan")]}, {"arm": ["a"], "x": [0.5]}), ["arm"]
    )
    assert averaged.to_dict("records") == [{"arm": "a", "x": 0.5, "x_min": 0.5, "x_max": 0.5}]


def test_rows_that_only_some_seeds_have_are_averaged_over_those():
    averaged = average_over_seeds(
        seeds(
            {"arm": ["a", "a"], "user": ["1", "2"], "x": [0.0, 1.0]},
            {"arm": ["a", "a"], "user": ["2", "3"], "x": [0.5, 0.25]},
        ),
        ["arm", "user"],
    )
    assert averaged["x"].tolist() == [0.0, 0.75, 0.25]
    assert averaged["x_max"].tolist() == [0.0, 1.0, 0.25]


def test_figure_that_no_seed_has_stays_empty_beside_others():
    averaged = average_over_seeds(
        seeds({"arm": ["a"], "x": [None]}, {"arm": ["a"], "x": [None]}), ["arm"]
    )
    assert averaged["x"].isna().all()

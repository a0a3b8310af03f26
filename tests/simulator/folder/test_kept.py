"""The checkpoints of an arm in a fold: whole or not there, the last few kept."""

import json
import os
import shutil

import numpy as np
import pytest

from clients.errors import BadInput
from simulator.folder.arrays_file import Damaged, file_written, write_arrays, write_whole
from simulator.folder.kept import Kept, Manifest, kept_folds
from simulator.folder.sealed_file import read_sealed, write_sealed

EVENTS = [{"kind": "refused", "device": "p001", "reason": "norm 3.1 exceeds κ"}]


def written(kept, round_, shares=False):
    folder = kept.begin(round_)
    file = write_arrays(folder / "cohort-00000.safetensors", {"x": np.arange(round_)}, {})
    kept.rows.mkdir(exist_ok=True)
    row = write_whole(kept.rows / "rounds-00000.arrow", [b"rows"])
    manifest = Manifest(round_, shares, (file,), (row,), EVENTS)
    kept.finish(folder, manifest)
    return manifest


def test_a_checkpoint_is_read_as_it_was_written(tmp_path):
    kept = Kept(tmp_path / "0")
    manifest = written(kept, 7, shares=True)
    assert kept.check(7) == manifest
    assert kept.rounds() == [7]


def test_the_last_few_are_kept(tmp_path):
    kept = Kept(tmp_path / "0", keep=2)
    for round_ in (5, 10, 15, 100_000):
        written(kept, round_)
    assert kept.rounds() == [15, 100_000]
    assert sorted(p.name for p in kept.path.iterdir()) == ["00015", "100000", "rows"]


def test_what_was_not_finished_is_no_checkpoint_and_is_begun_anew(tmp_path):
    kept = Kept(tmp_path / "0")
    (kept.begin(3) / "half").touch()
    assert kept.rounds() == []
    assert list(kept.begin(3).iterdir()) == []


def test_a_checkpoint_takes_the_place_of_a_damaged_one_of_its_round(tmp_path):
    kept = Kept(tmp_path / "0")
    written(kept, 4)
    (kept.folder_of(4) / "cohort-00000.safetensors").unlink()
    manifest = written(kept, 4)
    assert kept.check(4) == manifest


def change_number(path):
    table = json.loads(path.read_text())
    table["manifest"]["round_"] = 5
    path.write_text(json.dumps(table))


@pytest.mark.parametrize(
    "damage",
    [
        lambda kept: shutil.rmtree(kept.folder_of(4)),
        lambda kept: (kept.folder_of(4) / "manifest.json").unlink(),
        lambda kept: (kept.folder_of(4) / "manifest.json").write_text(""),
        lambda kept: (kept.folder_of(4) / "manifest.json").write_text('{"manifest": 3}'),
        lambda kept: change_number(kept.folder_of(4) / "manifest.json"),
        lambda kept: (kept.folder_of(4) / "cohort-00000.safetensors").unlink(),
        lambda kept: (kept.folder_of(4) / "cohort-00000.safetensors").write_bytes(b"x"),
        lambda kept: (kept.rows / "rounds-00000.arrow").write_bytes(b"ROWS"),
        lambda kept: shutil.rmtree(kept.rows),
    ],
)
def test_damage_anywhere_is_noticed(tmp_path, damage):
    kept = Kept(tmp_path / "0")
    written(kept, 4)
    damage(kept)
    with pytest.raises(Damaged):
        kept.check(4)


def test_parts_together_look_at_every_file(tmp_path):
    kept = Kept(tmp_path / "0")
    folder = kept.begin(1)
    files = [write_whole(folder / f"cohort-{i}", [b"%d" % i]) for i in range(5)]
    kept.finish(folder, Manifest(1, False, tuple(files), (), []))
    for i in range(5):
        path = kept.folder_of(1) / f"cohort-{i}"
        path.write_bytes(b"?")
        told = []
        for part in range(2):
            try:
                kept.check(1, part, 2)
            except Damaged as damaged:
                told.append(str(damaged))
        assert len(told) == 1
        assert path.name in told[0]
        path.write_bytes(b"%d" % i)


def test_a_fold_that_is_done_keeps_its_events_and_no_rows(tmp_path):
    kept = Kept(tmp_path / "1")
    assert kept.finished(tmp_path) is None
    written(kept, 2)
    kept.done(EVENTS, [])
    assert kept.finished(tmp_path) == EVENTS
    assert not kept.rows.exists()
    kept.reopen()
    assert kept.finished(tmp_path) is None


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("1/finished.json", lambda path: path.write_text('{"eve')),
        ("1/finished.json", lambda path: path.write_text(path.read_text().replace("3.1", "3.2"))),
        ("rounds/cohort-00000.parquet", lambda path: path.unlink()),
        ("rounds/cohort-00000.parquet", lambda path: path.write_bytes(b"row")),
        ("rounds/cohort-00000.parquet", lambda path: path.write_bytes(b"rowz")),
    ],
)
def test_damage_to_what_a_fold_that_is_done_left_is_noticed(tmp_path, file, damage):
    kept, records = Kept(tmp_path / "1"), tmp_path / "rounds" / "cohort-00000.parquet"
    records.parent.mkdir()
    write_whole(records, [b"rows"])
    kept.done(EVENTS, [file_written(records, tmp_path)])
    assert kept.finished(tmp_path) == EVENTS
    damage(tmp_path / file)
    with pytest.raises(Damaged, match=file):
        kept.finished(tmp_path)


def test_a_checkpoint_of_another_format_is_refused_and_not_taken_for_damaged(tmp_path):
    kept = Kept(tmp_path / "0")
    written(kept, 4)
    table = read_sealed(kept.folder_of(4) / "manifest.json")
    lacking = [{k: v for k, v in table.items() if k != key} for key in ("format", "round_")]
    for other in ({**table, "format": 9}, *lacking):
        write_sealed(kept.folder_of(4) / "manifest.json", other)
        with pytest.raises(BadInput, match="the version that wrote it"):
            kept.check(4)


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_damaged_checkpoint_is_set_aside_until_a_newer_one_is_written(tmp_path, kind):
    kept = Kept(tmp_path / "0", keep=2)
    written(kept, 3)
    written(kept, 4)
    if kind == "file":
        shutil.rmtree(kept.folder_of(4))
        kept.folder_of(4).write_text("x")
    kept.set_aside(4)
    assert kept.rounds() == [3]
    assert (kept.path / ".00004.damaged").exists()
    written(kept, 4)
    assert sorted(path.name for path in kept.path.iterdir()) == ["00003", "00004", "rows"]


def test_what_is_no_folder_is_forgotten_and_replaced(tmp_path):
    kept = Kept(tmp_path / "0", keep=1)
    kept.path.mkdir()
    for round_ in (3, 4):
        kept.folder_of(round_).write_text("x")
    manifest = written(kept, 4)
    assert kept.rounds() == [4]
    assert kept.check(4) == manifest


def test_notes_that_are_longer_than_any_are_not_read(tmp_path):
    kept = Kept(tmp_path / "1")
    written(kept, 2)
    kept.done(EVENTS, [])
    note, manifest = kept.path / "finished.json", kept.folder_of(2) / "manifest.json"
    note.write_bytes(note.read_bytes() + b" " * 2**28)
    os.truncate(manifest, 2**28 + 1)
    with pytest.raises(Damaged, match="has at most 268,435,456"):
        kept.finished(tmp_path)
    with pytest.raises(Damaged, match="has at most 268,435,456"):
        kept.manifest(2)
    for path in (note, manifest):
        path.unlink()
        os.mkfifo(path)
    with pytest.raises(Damaged, match="no ordinary file"):
        kept.finished(tmp_path)
    with pytest.raises(Damaged, match="no ordinary file"):
        kept.manifest(2)


def test_folds_of_an_arm_come_in_order(tmp_path):
    for name in ("10", "2", "rows", "0"):
        (tmp_path / name).mkdir()
    assert [kept.path.name for kept in kept_folds(tmp_path)] == ["0", "2", "10"]

"""What a run holds, for other programs."""

import json
import shutil
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from simulator.cli import main
from simulator.export.csv_files import write_csv
from simulator.export.duckdb_file import write_duckdb
from simulator.export.figure_files import _png, write_figures
from simulator.export.live_events import LiveEvents
from simulator.export.tensorboard import write_events
from simulator.folder.record_files import EVENTS
from simulator.running.displays import Silence
from tests.simulator.conftest import read_all
from tests.simulator.made_logs import PLAN, WORKERS, round_line, written
from tests.simulator.made_runs import fake_run


def told_by(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return ended.value.code, said.out, said.err


@dataclass
class Made:
    """A run that was made up."""

    path: Path

    def rounds(self):
        return read_all(self.path / "rounds")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Give a run with a log, events of devices and of a server, and figures through the rounds."""
    run = fake_run(tmp_path_factory.mktemp("made") / "run")
    rows = [
        {"arm": "shared", "fold": 1, "round": 3, "device": "1601-0", "user": "1601"}
        | {"kind": "lost", "reason": "network", "windows": None, "answered": None, "norm": 0.5}
    ]
    path = run / "events" / "shared" / "cohort-00001.parquet"
    path.parent.mkdir()
    pq.write_table(pa.Table.from_pylist(rows, schema=EVENTS), path)
    lines = [
        round_line("shared", fold, round_, at=1000.0 + 10 * round_ + fold, wall_s=2.0 + fold,
                   devices=3, refused=round_ - 1)
        for fold in (0, 1) for round_ in (1, 2, 3, 4)
    ]  # fmt: skip
    with (run / "log.jsonl").open("w") as file:
        file.writelines(json.dumps(line) + "\n" for line in [PLAN, *lines])
    return Made(run)


@pytest.fixture(scope="module")
def exported(made, tmp_path_factory):
    """Give a folder of CSV files of a run."""
    out = tmp_path_factory.mktemp("exported")
    assert [path.name for path in write_csv(made.path, out)] == [
        "windows.csv", "rounds.csv", "events.csv",
    ]  # fmt: skip
    return out


@pytest.mark.parametrize("kind", ["windows", "rounds", "events"])
def test_csv_has_every_row_and_column(made, exported, kind):
    names = dict.fromkeys(("arm", "device", "user", "label", "predicted", "voted", "answer"), str)
    found = pd.read_csv(exported / f"{kind}.csv", dtype=names)
    truth = read_all(made.path / kind)
    assert sorted(found) == sorted(truth)
    assert len(found) == len(truth) > 0
    for column in found:
        ours, theirs = found[column], truth[column]
        if theirs.map(lambda value: isinstance(value, np.ndarray)).any():
            written = theirs.map(lambda v: None if v is None else " ".join(map(str, v)))
            assert sorted(ours.dropna()) == sorted(written.dropna())
        elif pd.api.types.is_numeric_dtype(ours) and not pd.api.types.is_bool_dtype(ours):
            known = np.sort(theirs.astype(float).dropna())
            np.testing.assert_allclose(np.sort(ours.astype(float).dropna()), known, rtol=1e-6)
        else:
            assert ours.isna().sum() == theirs.isna().sum()
            assert sorted(ours.dropna().astype(str)) == sorted(theirs.dropna().astype(str))


@pytest.mark.parametrize("copy", [False, True])
def test_duckdb_answers_as_the_records_do(made, tmp_path, copy):
    run = shutil.copytree(made.path, tmp_path / "it's [a] run*", ignore=_only_records)
    path = tmp_path / "run.duckdb"
    names = write_duckdb(run, path, copy=copy)
    assert names[:3] == ["windows", "rounds", "events"]
    if copy:
        shutil.rmtree(run)
    rounds = read_all(made.path / "rounds")
    with duckdb.connect(path, read_only=True) as file:
        found = file.sql("SELECT arm, sum(correct), count(*) FROM rounds GROUP BY arm").fetchall()
        by_arm = rounds.groupby("arm")["correct"].agg(["sum", "size"])
        assert {arm: (s, n) for arm, s, n in found} == {
            arm: (row["sum"], row["size"]) for arm, row in by_arm.iterrows()
        }
        assert file.sql("SELECT count(*) FROM windows").fetchall() == [(rounds["windows"].sum(),)]
        events = file.sql('SELECT kind, device, norm, "round" FROM events ORDER BY ALL').fetchall()
        assert events == [
            ("alarm", "1600-0", None, 2), ("lost", "1601-0", 0.5, 3),
            ("refused", "1600-0", None, 2), ("refused", "1600-0", None, 2),
        ]  # fmt: skip
        users = file.sql("SELECT typeof(user), count(*) FROM users GROUP BY ALL").fetchall()
        assert users == [("VARCHAR", len(pd.read_csv(made.path / "users.csv")))]


def _only_records(_, names):
    return [name for name in names if name in ("devices", "checkpoints", "base", "report.html")]


def test_seeds_are_told_apart(made, tmp_path):
    parent = tmp_path / "parent"
    for seed in (3, 4):
        shutil.copytree(made.path, parent / f"seed-{seed}", ignore=_only_records)
    shutil.copy(made.path / "scenario.toml", parent)
    write_duckdb(parent, tmp_path / "p.duckdb", copy=False)
    with duckdb.connect(tmp_path / "p.duckdb", read_only=True) as file:
        counts = file.sql("SELECT seed, count(*) FROM rounds GROUP BY ALL ORDER BY seed").fetchall()
    rows = len(read_all(made.path / "rounds"))
    assert counts == [(3, rows), (4, rows)]
    written = write_csv(parent, tmp_path / "out")
    assert tmp_path / "out" / "seed-4" / "rounds.csv" in written


def test_figures_are_drawn_with_their_text(made, tmp_path):
    paths = write_figures(made.path, tmp_path, ["svg", "png"])
    assert {path.name for path in paths} == {
        f"{name}.{kind}"
        for name in ("arms", "users", "rounds-holdout", "rounds-prequential")
        for kind in ("svg", "png")
    }
    summary = pd.read_csv(made.path / "summary.csv").set_index("arm")
    for path in tmp_path.glob("*.svg"):
        root = ET.fromstring(path.read_text())
        texts = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
        assert set(summary.index) <= set(texts)
        if path.name == "arms.svg":
            assert f"{100 * summary.loc['local', 'holdout_accuracy']:.1f}%" in texts
    for path in tmp_path.glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")


def test_text_is_drawn_in_the_font_that_is_shipped():
    def drawn(text):
        return _png(
            '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="20" '
            f'font-family="Roboto"><text x="4" y="15">{text}</text></svg>'
        )

    assert len({drawn(text) for text in ("", "local", "shared", "Ω−±")}) == 4


def test_tensorboard_reads_back_what_was_measured(made, tmp_path):
    from tensorflow.python.summary.summary_iterator import summary_iterator

    paths = write_events(made.path, tmp_path)
    assert [path.parent.name for path in paths] == ["local", "shared", "frozen"]
    found = {
        path.parent.name: {
            (value.tag, event.step): value.simple_value
            for event in summary_iterator(str(path))
            for value in event.summary.value
        }
        for path in paths
    }
    rounds = made.rounds()
    own, theirs = found["shared"], rounds[rounds["arm"] == "shared"]
    for number in range(5):
        now = theirs[theirs["round"] == number]
        held = (now["holdout_correct"] / now["holdout_windows"]).astype(float)
        assert own["holdout/mean", number] == pytest.approx(held.mean())
        assert own["holdout/worst_tenth", number] == pytest.approx(held.min())  # one of six users
        if number:
            faded = now["faded_accuracy"]
            assert own["prequential/mean", number] == pytest.approx(faded.mean())
            assert own["prequential/worst_tenth", number] == pytest.approx(faded.min())
            assert own["faults/refused", number] == 2 * (number - 1)
            assert own["devices_per_s", number] == pytest.approx((3 + 3) / (2.0 + 3.0))
    assert {tag for tag, _ in own} >= {"holdout/mean", "devices_per_s", "faults/refused"}
    assert ("faults/lost", 1) not in own
    times = {event.step: event.wall_time for event in summary_iterator(str(paths[1]))}
    assert times[4] == 1041.0


def test_event_files_grow_while_a_run_goes(tmp_path):
    """Also one that lost a worker and worked some rounds anew, or was stopped and went on."""
    folder = written(tmp_path / "run", [WORKERS, PLAN, round_line("local", 0, 1, at=201.0)])
    with LiveEvents(Silence(), folder, tmp_path / "events") as live:
        live.advance()
        first = live_scalars(tmp_path / "events")
        written(folder, [round_line("local", 0, n, at=200.0 + n, correct=36) for n in (1, 2)])
        written(folder, [round_line("shared", 1, 1, lost=3, wall_s=5.0)])
    assert first == {
        ("local/fold-0", "right_before_learning", 1): 0.75,
        ("local/fold-0", "devices_per_s", 1): 5.0,
    }
    everything = live_scalars(tmp_path / "events")
    assert everything == first | {
        ("local/fold-0", "right_before_learning", 2): pytest.approx(0.9),
        ("local/fold-0", "devices_per_s", 2): 5.0,
        ("shared/fold-1", "right_before_learning", 1): 0.75,
        ("shared/fold-1", "devices_per_s", 1): 2.0,
        ("shared/fold-1", "faults/lost", 1): 3.0,
    }
    with LiveEvents(Silence(), folder, tmp_path / "events") as live:
        written(folder, [round_line("shared", 1, 2, windows=0, correct=0)])
    new = live_scalars(tmp_path / "events")
    assert {key: value for key, value in new.items() if key not in everything} == {
        ("shared/fold-1", "devices_per_s", 2): 5.0
    }


def test_rounds_that_a_kill_left_unwritten_are_written_by_whoever_goes_on(tmp_path):
    folder = written(tmp_path / "run", [WORKERS, PLAN, round_line("local", 0, 1)])
    live = LiveEvents(Silence(), folder, tmp_path / "events")
    live.__enter__()
    live.advance()
    written(folder, [round_line("local", 0, 2)])  # and here the process is killed
    with LiveEvents(Silence(), folder, tmp_path / "events"):
        pass
    assert {step for _, _, step in live_scalars(tmp_path / "events")} == {1, 2}


def test_event_files_that_cannot_be_written_end_no_run(tmp_path):
    folder = written(tmp_path / "run", [WORKERS, PLAN, round_line("local", 0, 1)])
    (tmp_path / "events").touch()
    told = []

    class Noted(Silence):
        ended = False

        def note(self, text):
            told.append(text)

        def __exit__(self, *what):
            Noted.ended = True

    with LiveEvents(Noted(), folder, tmp_path / "events") as live:
        live.advance()
        written(folder, [round_line("local", 0, 2)])
    assert len(told) == 1
    assert "no more event files" in told[0]
    assert Noted.ended


def live_scalars(out):
    """Return what the event files of a run that goes on hold; each scalar once."""
    from tensorflow.python.summary.summary_iterator import summary_iterator

    found = {}
    for path in (out / "run.live").rglob("events.*"):
        for event in summary_iterator(str(path)):
            for value in event.summary.value:
                key = (str(path.parent.relative_to(out / "run.live")), value.tag, event.step)
                assert key not in found
                found[key] = value.simple_value
    return found


def test_the_command_writes_what_it_is_asked_for(made, tmp_path, capsys):
    code, out, _ = told_by(capsys, "export", made.path, "--to", tmp_path / "f", "--figures", "svg")
    assert (code, len(out.splitlines())) == (0, 4)
    assert not list((tmp_path / "f").glob("*.csv"))
    file = tmp_path / "run.duckdb"
    code, out, _ = told_by(capsys, "export", made.path, "--to", file)
    assert code == 0
    assert out.startswith(f"{file}: windows, rounds, events, summary, users")
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["run.duckdb"]
    again = told_by(capsys, "export", made.path, "--to", file)
    assert again[0] == 2
    assert "is there already" in again[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--to: missing"),
        (["--to", "{tmp}/x", "--format", "xlsx"], "--format xlsx: expected one of csv, duckdb"),
        (["--to", "{tmp}/x", "--figures", "svg,pdf"], "'pdf' is none of svg, png"),
        (["--to", "{tmp}/x", "--copy"], "--copy: goes with a DuckDB file"),
        (["--to", "{tmp}/x.duckdb", "--format", "csv"], "CSV files go into a folder"),
        (["--to", "{tmp}/file"], "is a file"),
    ],
)
def test_what_cannot_be_written_is_one_message(made, tmp_path, capsys, arguments, said):
    (tmp_path / "file").write_text("mine")
    given = [each.format(tmp=tmp_path) for each in arguments]
    code, out, err = told_by(capsys, "export", made.path, *given)
    assert (code, out) == (2, "")
    assert said in err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["r.duckdb", "r"])
def test_damaged_records_leave_nothing_half_written(made, tmp_path, capsys, name):
    run = shutil.copytree(made.path, tmp_path / "run", ignore=_only_records)
    file = next((run / "windows").rglob("*.parquet"))
    file.write_bytes(b"no Parquet")
    code, out, err = told_by(capsys, "export", run, "--to", tmp_path / name)
    assert (code, out) == (2, "")
    assert str(file) in err
    assert not [p for p in tmp_path.glob(f"{name}*") if p.is_file()]
    assert not list(tmp_path.glob(".*")) + list((tmp_path / "r").glob("*"))

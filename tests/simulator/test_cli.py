"""The command line, as a person runs it: in a process of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from safetensors.numpy import load_file

from simulator.scenario.file import load_scenario
from tests.simulator.conftest import read_all

COMMAND = str(Path(sys.executable).with_name("wearfleet"))
SCENARIOS = Path(__file__).parents[2] / "scenarios"
FEW = [
    "--set", 'arms=[{name="local", method="local"}, {name="all", method="fedavg"}]',
    "--set", "model.base=random",
]  # fmt: skip
AT_ONCE = 2


def wearfleet(*arguments, timeout=120, **more):
    return subprocess.run(
        [COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "COLUMNS": "160"},
        **more,
    )


@pytest.fixture(scope="module")
def watch(tmp_path_factory):
    """Give a folder of WISDM 2019 files of 4 users who walk (A) and sit (D) for 30 s each."""
    folder = tmp_path_factory.mktemp("watch")
    for user in (1600, 1601, 1602, 1603):
        lines = []
        for start_s, code in ((1000, "A"), (2000, "D")):
            for i in range(600):
                ns = 10**9 * start_s + 50_000_000 * i
                lines.append(f"{user},{code},{ns},{i % 7}.0,9.8,{i % 3}.5;\n")
        lines.append("no line of data\n")
        (folder / f"data_{user}_accel_watch.txt").write_text("".join(lines))
    return folder


@pytest.fixture(scope="module")
def mute(tmp_path_factory):
    """Give a SavedModel that learns and cannot predict."""
    import tensorflow as tf

    class Mute(tf.Module):
        @tf.function(
            input_signature=[
                tf.TensorSpec([None, 80, 3], tf.float32, "sensor_data"),
                tf.TensorSpec([None], tf.int32, "labels"),
            ]
        )
        def learn(self, sensor_data, labels):
            return {"loss": tf.reduce_sum(sensor_data) + tf.cast(labels[0], tf.float32)}

    module = Mute()
    path = tmp_path_factory.mktemp("program") / "mute"
    tf.saved_model.save(module, str(path), signatures={"learn": module.learn})
    return path


@dataclass
class Refused:
    """A command that was refused, and what it left behind."""

    done: subprocess.CompletedProcess
    left: list[str]


WISDM = "data.source=wisdm-2019"
CASES = {
    "unknown key": (["stream.speed=1"], ["{file}", "stream.speed", "unknown key", "batch"]),
    "wrong type": (["stream.batch=x"], ["{file}", "stream.batch = 'x'", "whole number"]),
    "negative rounds": (["stream.rounds=-1"], ["{file}", "stream.rounds = -1", "equal to 1"]),
    "missing data path": ([WISDM, "data.path={tmp}/none", "data.users=all"], ["{tmp}/none"]),
    "empty data folder": (
        [WISDM, "data.path={tmp}/empty", "data.users=all"],
        ["{tmp}/empty", "wisdm-2019", "data_<user>_accel_watch.txt"],
    ),
    "activity that the data lacks": (
        [WISDM, "data.path={watch}", "data.users=all", "data.activities=['walking', 'jogging']"],
        ["jogging", "sitting, walking"],
    ),
    "fewer devices than users": (
        ["fleet.devices=4"],
        ["{file}", "fleet.devices = 4", "5 users wear a device each", "data.users"],
    ),
    "program that is not there": (
        ["model.program={tmp}/none", "model.base=random"],
        ["{tmp}/none", "model.program", "neither one of bilstm, cnn"],
    ),
    "program that lacks predict": (
        ["model.program={mute}", "model.base=random"],
        ["{mute}", "'predict' is missing", "found: learn", "'learn' and 'predict'"],
    ),
}


@pytest.fixture(scope="module")
def refusals(small_file, watch, mute, tmp_path_factory):
    """Give what becomes of each command that cannot work."""
    tmp = tmp_path_factory.mktemp("refused")
    (tmp / "empty").mkdir()
    places = {"file": small_file, "tmp": tmp, "watch": watch, "mute": mute}

    def start(case):
        keys = [part for key in CASES[case][0] for part in ("--set", key.format(**places))]
        home = tmp / case.replace(" ", "-")
        home.mkdir()
        done = wearfleet("run", small_file, "--out", home / "run", "--workers", 1, *keys)
        return Refused(done, [p.name for p in home.iterdir()])

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = dict(zip(CASES, pool.map(start, CASES), strict=True))
    return found, places


def assert_one_message(done, *said):
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("wearfleet: ") == 1
    message = done.stderr.partition("wearfleet: ")[2]
    for part in said:
        assert part in message
    assert done.stdout == ""


@pytest.mark.parametrize("case", CASES)
def test_what_cannot_work_is_one_message_and_leaves_nothing(refusals, case):
    found, places = refusals
    assert_one_message(found[case].done, *(part.format(**places) for part in CASES[case][1]))
    assert found[case].left == []


def test_random_bytes_are_no_scenario(tmp_path):
    path = tmp_path / "random.toml"
    path.write_bytes(bytes(range(256)))
    assert_one_message(wearfleet("run", path, "--out", tmp_path / "run"), str(path), "not text")
    assert [p.name for p in tmp_path.iterdir()] == ["random.toml"]


def test_absent_scenario_points_to_those_that_are_shipped(tmp_path):
    done = wearfleet("run", tmp_path / "none.toml", cwd=tmp_path)
    assert_one_message(done, f"{tmp_path / 'none.toml'}: there is no such file", "scenarios")
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_not_empty_is_left_alone(small_file, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    done = wearfleet("run", small_file, "--out", tmp_path, "--workers", 1)
    assert_one_message(done, f"--out {tmp_path}: is there and not empty")
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_wrong_option_ends_with_two(small_file):
    done = wearfleet("run", small_file, "--speed", "9")
    assert done.returncode == 2
    assert "--speed" in done.stderr
    assert "Traceback" not in done.stderr


def test_unknown_engine_is_one_message_and_leaves_nothing(small_file, tmp_path):
    done = wearfleet("run", small_file, "--out", tmp_path / "run", "--engine", "both")
    assert_one_message(done, str(small_file), "fleet.engine = 'both'", "'fleet' or 'reference'")
    assert list(tmp_path.iterdir()) == []


def test_bad_data_of_several_seeds_leaves_nothing(small_file, tmp_path):
    keys = ["--set", WISDM, "--set", f"data.path={tmp_path}/no", "--set", "data.users=all"]
    done = wearfleet("run", small_file, "--out", tmp_path / "run", "--workers", 1, "--seeds", 2,
                     *keys)  # fmt: skip
    assert_one_message(done, f"{tmp_path}/no")
    assert list(tmp_path.iterdir()) == []


def test_json_is_the_summary_and_nothing_else(small_file, tmp_path):
    out = tmp_path / "run"
    done = wearfleet("run", small_file, "--out", out, "--workers", 1, "--json", *FEW,
                     "--set", "stream.rounds=1", "--engine", "reference")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert load_scenario(out / "scenario.toml").fleet.engine == "reference"
    rows = json.loads(done.stdout)
    summary = pd.read_csv(out / "summary.csv")
    assert [list(row) for row in rows] == [list(summary)] * 2
    for row, (_, written) in zip(rows, summary.iterrows(), strict=True):
        for column, value in written.items():
            assert row[column] == (None if pd.isna(value) else value)
    assert f"report: {out / 'report.html'}" in done.stderr


@dataclass
class Interrupted:
    """A run that was interrupted, what it said, and which processes it left."""

    out: Path
    code: int
    stderr: str
    left: list[str]


def processes_with(mark):
    """Return the command lines of all processes whose environment holds a mark."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (place / "environ").read_bytes():
                found.append((place / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def interrupt(file, out, begun, *arguments):
    """Run, send SIGINT once `begun()` is true, wait for the end."""
    mark = f"wearfleet-test-{uuid.uuid4().hex}"
    process = subprocess.Popen(
        [COMMAND, "run", str(file), "--out", str(out), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "WEARFLEET_TEST": mark},
    )
    deadline = time.monotonic() + 120
    while not begun() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    deadline = time.monotonic() + 10  # a child that was told to end may take a moment
    while (left := processes_with(mark)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return Interrupted(out, process.returncode, stderr, left)


LONG = [*FEW, "--set", "stream.questions_per_round=1", "--set", "learning.steps=50",
        "--set", "stream.rounds=all"]  # fmt: skip


@pytest.fixture(scope="module")
def interrupted(small_file, tmp_path_factory):
    """Give runs that were interrupted, at one worker, at two, and while the base was trained."""
    tmp = tmp_path_factory.mktemp("interrupted")

    def in_rounds(workers):
        out = tmp / f"rounds-{workers}"
        begun = lambda: any(out.glob("checkpoints/*/*/00002"))  # noqa: E731
        return interrupt(small_file, out, begun, "--workers", workers, *LONG)

    def in_training(_):
        out = tmp / "training"
        keys = ["--set", "training.steps=1000000", "--set", "training.patience=1000000"]
        begun = (out / "base").is_dir
        return interrupt(small_file, out, begun, "--workers", 1, *keys)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = {
            2: pool.submit(in_rounds, 2),
            1: pool.submit(in_rounds, 1),
            "training": pool.submit(in_training, 1),
        }
    return {name: job.result() for name, job in jobs.items()}


@pytest.mark.parametrize("workers", [1, 2])
def test_interrupted_run_keeps_what_was_done(interrupted, workers):
    run = interrupted[workers]
    assert run.code == 130, run.stderr
    assert "Traceback" not in run.stderr
    assert f"interrupted; what was done is kept in {run.out}" in run.stderr
    manifest = json.loads((run.out / "manifest.json").read_text())
    assert manifest["status"] == "interrupted"
    rounds = read_all(run.out / "rounds")
    assert rounds.groupby("device")["round"].max().min() >= 1
    assert not rounds.duplicated(["arm", "device", "round"]).any()
    windows = read_all(run.out / "windows")
    assert len(windows) == rounds["windows"].sum()
    assert pd.read_csv(run.out / "users.csv")["arm"].tolist()
    assert (run.out / "summary.csv").is_file()
    assert (run.out / "report.html").is_file()
    assert load_scenario(run.out / "scenario.toml").name == "small"
    assert not list(run.out.rglob("*.unfinished"))


def test_devices_of_an_interrupted_run_are_at_one_round(interrupted):
    for workers in (1, 2):
        rounds = read_all(interrupted[workers].out / "rounds")
        last = rounds.groupby(["arm", "fold", "device"])["round"].max()
        assert (last.groupby(["arm", "fold"]).nunique() == 1).all()


@pytest.mark.parametrize("name", [1, 2, "training"])
def test_interrupted_run_leaves_no_process_behind(interrupted, name):
    assert interrupted[name].left == []


def test_run_interrupted_in_base_training_leaves_no_folder(interrupted):
    run = interrupted["training"]
    assert run.code == 130, run.stderr
    assert "Traceback" not in run.stderr
    assert "interrupted; no round had begun, nothing is kept" in run.stderr
    assert not run.out.exists()


def test_validate_prints_the_resolved_scenario(small_file, tmp_path):
    done = wearfleet("validate", small_file, "--set", "stream.rounds=3")
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("checked by `wearfleet run` alone: the program")
    path = tmp_path / "printed.toml"
    path.write_text(done.stdout)
    assert load_scenario(path) == load_scenario(small_file, ["stream.rounds=3"])


def test_report_is_written_anew(finished):
    page = finished.path / "report.html"
    page.write_text("")
    done = wearfleet("report", finished.path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(page)
    assert "</html>" in page.read_text()


def test_report_of_no_run_folder_is_refused(tmp_path):
    assert_one_message(wearfleet("report", tmp_path), f"{tmp_path}: no run folder", "runs/")


def test_scenarios_are_listed_with_their_questions():
    done = wearfleet("scenarios", SCENARIOS)
    assert done.returncode == 0, done.stderr
    for name in ("personalized_vs_shared.toml", "smoke.toml", "wisdm_watch.toml"):
        assert name in done.stdout
    assert "Does everything hold together?" in done.stdout


def test_folder_without_scenarios_is_refused(tmp_path):
    assert_one_message(wearfleet("scenarios", tmp_path), f"{tmp_path}: no scenario files")


def test_summary_of_data_counts_users_minutes_and_defects(watch):
    done = wearfleet("data", "summary", watch)
    assert done.returncode == 0, done.stderr
    assert "4,800 of 4,804 rows kept" in done.stdout
    walking = next(line for line in done.stdout.splitlines() if "walking" in line)
    assert re.findall(r"\d+(?:\.\d+)?", walking)[0] == "4"
    assert "1603" in done.stdout


def test_help_lists_the_commands():
    done = wearfleet("--help")
    assert done.returncode == 0
    for name in ("run", "validate", "report", "scenarios", "data", "model"):
        assert re.search(rf"\b{name}\b", done.stdout)


@pytest.fixture(scope="module")
def programs(small_file, tmp_path_factory):
    """Give what the commands about programs did: name -> finished process, and their folder."""
    tmp = tmp_path_factory.mktemp("programs")
    keys = ["training.steps=40", "training.look_every=40", "training.refit=false"]

    def train():
        settings = [part for key in keys for part in ("--set", key)]
        out = tmp / "trained"
        return {
            "train": wearfleet("model", "train", small_file, "--out", out, "--folds", 2, *settings)
        }

    def export():
        done = {"export": wearfleet("model", "export", "cnn", "--out", tmp / "cnn")}
        done["inspect"] = wearfleet("model", "inspect", tmp / "cnn")
        shared = tmp / "shared.safetensors"
        done["shared"] = wearfleet("model", "export", tmp / "cnn", "--shared", shared)
        return done

    with ThreadPoolExecutor(AT_ONCE) as pool:
        both = [pool.submit(train), pool.submit(export)]
    return {**both[0].result(), **both[1].result()}, tmp


def test_built_in_program_is_exported_and_inspected(programs):
    done, tmp = programs
    assert done["export"].returncode == 0, done["export"].stderr
    assert done["export"].stdout.strip() == str(tmp / "cnn")
    assert (tmp / "cnn" / "saved_model.pb").is_file()
    assert done["inspect"].returncode == 0, done["inspect"].stderr
    for said in ("80 samples x 3 channels", "walking, jogging, upstairs", "learn, predict"):
        assert said in done["inspect"].stdout


def test_shared_arrays_are_those_that_inspect_lists(programs):
    done, tmp = programs
    assert done["shared"].returncode == 0, done["shared"].stderr
    arrays = load_file(tmp / "shared.safetensors")
    listed = re.findall(r"^\W*([\w]+(?:/[\w]+)+)\s", done["inspect"].stdout, re.MULTILINE)
    assert sorted(arrays) == sorted(listed)
    assert sum(a.size for a in arrays.values()) > 1000


def test_trained_program_comes_with_scores_on_users_left_out(programs):
    done, tmp = programs
    assert done["train"].returncode == 0, done["train"].stderr
    assert (tmp / "trained" / "saved_model.pb").is_file()
    notes = json.loads((tmp / "trained" / "assets.extra" / "training.json").read_text())
    assert notes["users"] == ["p001", "p002", "p003", "p004", "p005"]
    # 5 users x 4 activities x 15 windows, each scored in the one fold that left its user out.
    assert re.search(r"all\W+300\W", done["train"].stdout)
    assert "unseen-users" in done["train"].stdout


def test_commands_about_programs_leave_nothing_unfinished(programs):
    _, tmp = programs
    assert sorted(p.name for p in tmp.iterdir()) == ["cnn", "shared.safetensors", "trained"]

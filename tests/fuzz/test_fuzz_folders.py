"""Malformed run folders, device folders and data, through the command line that a user has."""

import contextlib
import io
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.device_folder import create
from clients.wearable import Wearable
from simulator.cli import main
from simulator.running.fleet import Fleet
from simulator.running.scenario_run import run_scenario
from simulator.running.workers import InProcess
from simulator.scenario.file import load_scenario
from simulator.wearing.sittings import wear_device_of_run
from tests.clients.made_programs import saved
from tests.fuzz.mutations import bytes_like
from tests.fuzz.sandbox import inputs
from tests.fuzz.test_fuzz_recordings import WATCH
from tests.fuzz.test_fuzz_scenarios import SCENARIOS
from tests.simulator.conftest import Heard

SMALL = b"""
name = "small"
seed = 3
data = {users = 4, minutes = 1.0, activities = ["walking", "sitting"]}
model = {program = "dense", base = "random"}
stream = {rounds = 2}
learning = {steps = 1}
fleet = {engine = "reference"}
drift = [{kind = "gain"}]
detectors = [{kind = "adwin", strength = 0.5}]
arms = [{name = "local", method = "local"}, {name = "shared", method = "fedavg"}]
"""


@pytest.fixture(scope="module")
def kept(sandbox):
    """Make a run, and a device in hand, and keep both as they are."""
    folder = sandbox.inside / "kept"
    folder.mkdir()
    (folder / "small.toml").write_bytes(SMALL)
    (folder / "run").mkdir()
    scenario = load_scenario(folder / "small.toml")
    run_scenario(scenario, folder / "run", Fleet(InProcess()), Heard())
    newcomer = wear_device_of_run(folder / "run", None, None)
    create(folder / "device", newcomer)
    settings = newcomer.settings
    with contextlib.closing(Wearable(folder / "device")) as wearable:
        x = np.ones((2, settings.length, settings.channels), np.float32)
        for answer in (0, 1, 1):
            wearable.take(x, wearable.predict(x), answer)
    shutil.rmtree(folder / "run" / "windows")
    shutil.copytree(folder / "run", folder / "twin")
    saved(folder / "program")
    (folder / "data_1600_accel_watch.txt").write_bytes(WATCH)
    return folder


def say(*arguments):
    """Give the command line some words; return its exit code and what it said of errors."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(each) for each in arguments])
            code = 0
        except SystemExit as end:
            code = end.code or 0
    return code, err.getvalue()


def ends_in_words(sandbox, name, *arguments):
    with sandbox.only_refusals(name):
        code, told = say(*arguments)
        assert code in (0, 2)
        assert "Traceback" not in told
        assert (code == 0) == (not told.startswith("wearfleet: "))
        assert all(c.isprintable() or c == "\n" for c in told)


def damage(data, folder, pattern):
    """Put something else in the place of one of a folder's files; returns what puts it back."""
    files = sorted(path for path in folder.glob(pattern) if path.is_file())
    file = data.draw(st.sampled_from(files))
    before = file.read_bytes()
    content = data.draw(bytes_like(before))
    file.unlink()  # others may share it
    file.write_bytes(content)

    def put_back():
        file.unlink()
        file.write_bytes(before)

    return put_back


@inputs(0.004)
@given(data=st.data())
def test_run_folders_that_are_reported(sandbox, kept, data):
    pattern = data.draw(
        st.sampled_from(["*.csv", "*.toml", "*.json", "rounds/*/*", "events/**/*.parquet"])
    )
    put_back = damage(data, kept / "run", pattern)
    try:
        ends_in_words(sandbox, "report", "report", kept / "run")
    finally:
        put_back()


@inputs(0.004)
@given(data=st.data())
def test_run_folders_that_are_looked_at(sandbox, kept, data):
    run, out = kept / "run", sandbox.inside / "looked"
    kinds = ["*.csv", "*.toml", "*.json", "*.jsonl", "rounds/*/*", "events/**/*.parquet"]
    words = data.draw(
        st.sampled_from(
            [
                ["compare", run, kept / "twin"],
                ["compare", kept / "twin", run, "--by", "prequential", "--json"],
                ["export", run, "--to", out],
                ["export", run, "--to", out / "run.duckdb"],
                ["export", run, "--to", out, "--figures", "svg"],
                ["export", run, "--tensorboard", out],
                ["watch", run, "--once"],
            ]
        )
    )
    put_back = damage(data, run, data.draw(st.sampled_from(kinds)))
    try:
        with sandbox.only_refusals(words[0]):
            code, told = say(*words)
            # Those of a run that had failed, or was interrupted, are what its manifest says.
            assert code in ((0, 1, 2, 130) if words[0] == "watch" else (0, 2))
            assert "Traceback" not in told
            assert (code == 0) == (not told.startswith("wearfleet: "))
            assert all(c.isprintable() or c == "\n" for c in told)
    finally:
        put_back()
        shutil.rmtree(out, ignore_errors=True)


@inputs(0.002)
@given(data=st.data(), arm=st.sampled_from(["local", "shared", "../x", "none"]))
def test_run_folders_whose_devices_are_written(sandbox, kept, data, arm):
    pattern = data.draw(st.sampled_from(["*.toml", "checkpoints/**/*", "base/**/*"]))
    put_back = damage(data, kept / "run", pattern)
    device = next((kept / "run" / "devices" / "local").iterdir()).name
    out = sandbox.inside / "written"
    try:
        words = ["model", "materialize", kept / "run", arm, device, "--out", out]
        ends_in_words(sandbox, "materialize", *words)
    finally:
        put_back()
        shutil.rmtree(out, ignore_errors=True)


@inputs(0.001)
@given(data=st.data())
def test_run_folders_that_are_gone_on_with(sandbox, kept, data):
    half = sandbox.inside / "half"
    shutil.copytree(kept / "run", half)
    for note in half.glob("checkpoints/*/*/finished.json"):
        note.unlink()
    manifest = half / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"done"', b'"interrupted"'))
    try:
        damage(data, half, data.draw(st.sampled_from(["*.toml", "*.json", "checkpoints/**/*"])))
        ends_in_words(sandbox, "resume", "resume", half, "--workers", "1")
    finally:
        shutil.rmtree(half)


@inputs(0.002)
@given(data=st.data(), pattern=st.sampled_from(["*.json*", "versions/*/**/*"]))
def test_device_folders(sandbox, kept, data, pattern):
    device = sandbox.inside / "device"
    shutil.copytree(kept / "device", device)
    try:
        damage(data, device, pattern)
        ends_in_words(sandbox, "device", "device", device, "--undo")
    finally:
        shutil.rmtree(device)


@inputs(0.002)
@given(data=st.data())
def test_model_folders(sandbox, kept, data):
    put_back = damage(data, kept / "program", "**/*")
    try:
        ends_in_words(sandbox, "model inspect", "model", "inspect", kept / "program")
    finally:
        put_back()


@inputs(0.03)
@given(data=st.data())
def test_data_files(sandbox, kept, data):
    put_back = damage(data, kept, "data_*.txt")
    try:
        words = ["data", "summary", kept / "data_1600_accel_watch.txt"]
        ends_in_words(sandbox, "data summary", *words)
    finally:
        put_back()


@inputs(0.02)
@given(content=bytes_like(*SCENARIOS), key=st.text(max_size=10))
def test_scenario_files(sandbox, content, key):
    (sandbox.inside / "one.toml").write_bytes(content)
    ends_in_words(sandbox, "validate", "validate", sandbox.inside / "one.toml", f"--set={key}")

"""`wearfleet resume`, as a person runs it: in a process of its own."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from simulator.running.scenario_run import run_scenario
from simulator.scenario.file import load_scenario
from tests.simulator.conftest import Heard
from tests.simulator.made_kills import KEYS, assert_same_bytes, logged

COMMAND = str(Path(sys.executable).with_name("wearfleet"))
FEW = [*KEYS[1:], 'arms=[{name="local", method="local"}, {name="half", method="fedavg"}]']
LIMIT = 240_000  # bytes of a file: a base model has less
TOO_LARGE = {12: "the report", 40: "a cohort's state"}
"""Devices -> what has more, first of all."""


@pytest.fixture(scope="module")
def wholes(small_file, fleet, tmp_path_factory):
    """Give runs that nobody disturbed, by their number of devices."""
    made = {}
    for devices in TOO_LARGE:
        made[devices] = tmp_path_factory.mktemp("whole")
        scenario = load_scenario(small_file, [*FEW, f"fleet.devices={devices}"])
        run_scenario(scenario, made[devices], fleet, Heard())
    return made


def wearfleet(*arguments, **more):
    return subprocess.run(
        [COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=300, **more
    )


def options(small_file, out, devices=12):
    keys = [part for key in [*FEW, f"fleet.devices={devices}"] for part in ("--set", key)]
    return ["run", str(small_file), "--workers", "1", "--out", str(out), *keys]


@pytest.fixture(scope="module")
def killed(small_file, tmp_path_factory):
    """Give a run that was killed in mid-run, and what a second process was told before."""
    out = tmp_path_factory.mktemp("killed") / "run"
    process = subprocess.Popen(
        [COMMAND, *options(small_file, out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    end = time.monotonic() + 200
    while not list(out.glob("checkpoints/*/*/0*")) and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGSTOP)
    others = [wearfleet("resume", out), wearfleet(*options(small_file, out))]
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return out, others, process.pid


def test_a_folder_is_refused_while_another_process_writes_into_it(killed):
    out, others, pid = killed
    for other in others:
        assert other.returncode == 2
        assert f"another process (pid {pid}) writes" in other.stderr
        assert str(out) in other.stderr


def test_a_killed_run_goes_on_to_the_same_bytes_and_then_is_done(killed, wholes):
    out, _, _ = killed
    first = wearfleet("resume", out, "--workers", 1)
    assert first.returncode == 0, first.stderr
    assert f"report: {out / 'report.html'}" in first.stdout
    assert logged(out, "restored")
    assert_same_bytes(wholes[12], out)
    then = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    again = wearfleet("resume", out, "--json")
    assert again.returncode == 0, again.stderr
    assert "is done, there is nothing to go on with" in again.stderr
    assert '"arm": "local"' in again.stdout
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == then


@pytest.mark.parametrize("devices", TOO_LARGE)
def test_where_a_file_cannot_grow_the_run_stops_and_goes_on_later(
    small_file, wholes, devices, tmp_path
):
    out = tmp_path / "run"
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))  # noqa: E731
    stopped = wearfleet(*options(small_file, out, devices), preexec_fn=limit)
    assert stopped.returncode == 1
    assert "Traceback" not in stopped.stderr
    assert "File too large" in stopped.stderr
    assert f"wearfleet resume {out}" in stopped.stderr
    assert bool(list(out.rglob("finished.json"))) == (devices == 12)
    assert not list(out.rglob("checkpoints/*/*/*.unfinished"))
    done = wearfleet("resume", out, "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert (out / "report.html").stat().st_size > LIMIT
    assert_same_bytes(wholes[devices], out)


@pytest.mark.parametrize("name", ["nowhere", ""])
def test_a_folder_that_is_no_run_is_refused(tmp_path, name):
    done = wearfleet("resume", tmp_path / name)
    assert done.returncode == 2
    assert "no run to go on with" in done.stderr
    assert "run the scenario anew" in done.stderr
    assert list(tmp_path.iterdir()) == []

"""A Ray cluster of two nodes, started by hand on this machine."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.kills import promised, workers_of
from simulator.folder.run_log import LogReader
from tests.simulator.made_cluster import cluster_of_two

WEARFLEET = Path(sys.executable).with_name("wearfleet")
SCENARIO = """
name = "cluster"
seed = 3
[data]
users = 4
activities = ["walking", "jogging", "sitting"]
minutes = 1.0
[split]
folds = 1
[model]
program = "dense"
base = "random"
[stream]
rounds = 2
[fleet]
devices = 16
[[arms]]
name = "local"
method = "local"
[[arms]]
name = "shared"
method = "fedavg"
"""


@pytest.fixture(scope="module")
def scenario(tmp_path_factory):
    path = tmp_path_factory.mktemp("cluster") / "cluster.toml"
    path.write_text(SCENARIO)
    return path


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Give the address of a cluster of two nodes."""
    with cluster_of_two(tmp_path_factory.mktemp("ray")) as cluster:
        yield cluster.address


def wearfleet(*arguments):
    return subprocess.run(
        [WEARFLEET, *map(str, arguments)], capture_output=True, text=True, timeout=300, cwd="/"
    )


def test_a_run_on_two_nodes_gives_the_bytes_of_one_on_this_machine(scenario, address, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    alone = wearfleet("run", scenario, "--workers", 1, "--out", here)
    spread = wearfleet("run", scenario, "--ray-address", address, "--out", there)
    assert (alone.returncode, spread.returncode) == (0, 0), spread.stderr
    first = json.loads((there / "log.jsonl").read_text().splitlines()[0])
    assert first["what"] == "workers"
    assert len(set(first["nodes"])) == 2
    assert promised(here) == promised(there)


def test_more_workers_than_the_cluster_has_cores_are_refused(scenario, address, tmp_path):
    out = tmp_path / "out"
    done = wearfleet("run", scenario, "--ray-address", address, "--workers", 9, "--out", out)
    assert done.returncode == 2
    assert "--workers 9" in done.stderr
    assert "2 cores" in done.stderr
    assert not out.exists()


def test_an_address_where_nobody_answers_is_refused(scenario, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        port = taken.getsockname()[1]
        out = tmp_path / "out"
        done = wearfleet("run", scenario, "--ray-address", f"127.0.0.1:{port}", "--out", out)
    assert done.returncode == 2
    assert f"--ray-address 127.0.0.1:{port}" in done.stderr
    assert "ray start" in done.stderr
    assert not out.exists()


@pytest.mark.parametrize("address", ["auto", "10.0.0.1", "ray://10.0.0.1:x"])
def test_an_address_of_another_form_is_refused(scenario, address, tmp_path):
    out = tmp_path / "out"
    done = wearfleet("run", scenario, "--ray-address", address, "--out", out)
    assert done.returncode == 2
    assert f"--ray-address {address}: expected HOST:PORT" in done.stderr
    assert not out.exists()


LONG = [
    "--set",
    "data.minutes=6",
    "--set",
    "stream.rounds=12",
    "--set",
    "checkpoints.every_rounds=2",
]


def kinds(out):
    """Return what a run's log tells of."""
    return {line["what"] for line in LogReader(out / "log.jsonl").lines()}


@contextmanager
def frozen(scenario, out, *arguments):
    """Start a run, and give its process, which stands still, when the first checkpoint is there."""
    process = subprocess.Popen(
        [WEARFLEET, "run", str(scenario), "--out", str(out), *LONG, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
    )
    end = time.monotonic() + 200
    while not list(out.glob("checkpoints/*/*/0*")) and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGSTOP)  # a fast run would end before it notices a loss
    try:
        assert "fold done" not in kinds(out), "the run ended before it was stopped"
        yield process
    finally:
        process.send_signal(signal.SIGCONT)


@pytest.fixture(scope="module")
def alone(scenario, tmp_path_factory):
    """Give a long run on one worker that nobody disturbed."""
    out = tmp_path_factory.mktemp("alone") / "run"
    done = wearfleet("run", scenario, "--workers", 1, "--out", out, *LONG)
    assert done.returncode == 0, done.stderr
    return out


def assert_went_on(process, out, alone):
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert "worker lost" in kinds(out)
    assert promised(out) == promised(alone)


def test_a_node_that_is_lost_takes_the_run_back_and_it_goes_on(
    scenario, alone, tmp_path_factory, tmp_path
):
    with cluster_of_two(tmp_path_factory.mktemp("ray")) as cluster:
        out = tmp_path / "run"
        with frozen(scenario, out, "--ray-address", cluster.address) as process:
            first = json.loads((out / "log.jsonl").read_text().splitlines()[0])
            assert len(set(first["nodes"])) == 2
            cluster.kill(1)
        assert_went_on(process, out, alone)


def test_a_worker_that_is_killed_is_replaced(scenario, alone, tmp_path):
    out = tmp_path / "run"
    with frozen(scenario, out, "--workers", 2) as process:
        os.kill(workers_of(process.pid)[0], signal.SIGKILL)
    assert_went_on(process, out, alone)

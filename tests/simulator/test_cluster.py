"""A Ray cluster of two nodes, started by hand on this machine."""

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

RAY = Path(sys.executable).with_name("ray")
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
    """Start a head and a second node of one core each; they end with the tests."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = ["--node-ip-address=127.0.0.1", "--num-cpus=1", "--block", "--disable-usage-stats"]
    common += ["--object-store-memory=100000000"]
    head = ["--head", f"--port={port}", "--include-dashboard=false"]
    log = (tmp_path_factory.mktemp("ray") / "log").open("w")
    started = []
    try:
        for own in (head, [f"--address=127.0.0.1:{port}"]):
            started.append(
                subprocess.Popen(
                    [RAY, "start", *own, *common],
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )
            _wait_for(port)
        time.sleep(5.0)  # until the second node has told the head of itself
        yield f"127.0.0.1:{port}"
    finally:
        for process in reversed(started):
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def _wait_for(port, seconds=60.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    pytest.fail(f"no Ray cluster at port {port} after {seconds} s")


def wearfleet(*arguments):
    return subprocess.run(
        [WEARFLEET, *map(str, arguments)], capture_output=True, text=True, timeout=300, cwd="/"
    )


def contents(run):
    return {
        str(path.relative_to(run)): path.read_bytes()
        for kind in ("windows", "rounds", "devices")
        for path in sorted((run / kind).rglob("*"))
        if path.is_file() and "fingerprint" not in path.name
    }


def test_a_run_on_two_nodes_gives_the_bytes_of_one_on_this_machine(scenario, address, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    alone = wearfleet("run", scenario, "--workers", 1, "--out", here)
    spread = wearfleet("run", scenario, "--ray-address", address, "--out", there)
    assert (alone.returncode, spread.returncode) == (0, 0), spread.stderr
    first = json.loads((there / "log.jsonl").read_text().splitlines()[0])
    assert first["what"] == "workers"
    assert len(set(first["nodes"])) == 2
    assert contents(here) == contents(there)


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

"""A Ray cluster of two nodes of one core each, started by hand on this machine."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

RAY = Path(sys.executable).with_name("ray")


@dataclass
class Cluster:
    """Two nodes.

    The second one has an address of its own, so that a driver on this machine is always the head's.
    """

    address: str
    nodes: list[subprocess.Popen]

    def kill(self, node):
        """Kill a node with all that runs on it, as if its machine had lost power."""
        for pid in below(self.nodes[node].pid):
            os.kill(pid, signal.SIGKILL)
        self.nodes[node].kill()
        self.nodes[node].wait()


def below(pid):
    """Return all processes that a process has started, and those that they have."""
    children = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(place.name))
    found = []
    for child in children.get(pid, []):
        found += [child, *below(child)]
    return found


@contextmanager
def cluster_of_two(folder):
    """Start a head and a second node; they end with the tests."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = ["--num-cpus=1", "--block", "--disable-usage-stats", "--object-store-memory=100000000"]
    head = ["--head", f"--port={port}", "--include-dashboard=false"]
    with (folder / "log").open("w") as log:
        made = Cluster(f"127.0.0.1:{port}", [])
        try:
            for number, own in enumerate((head, [f"--address=127.0.0.1:{port}"])):
                ip = f"--node-ip-address=127.0.0.{number + 1}"
                made.nodes.append(
                    subprocess.Popen(
                        [RAY, "start", *own, ip, *common],
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                )
                _wait_for(port)
            _wait_for_nodes(made.address, 2)
            yield made
        finally:
            for process in reversed(made.nodes):
                if process.poll() is None:
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


def _wait_for_nodes(address, count, seconds=120.0):
    """Wait until so many nodes have told the head of themselves; Ray starts no worker on others."""
    asked = (
        "import ray, sys, time\n"
        "ray.init(address=sys.argv[1], log_to_driver=False)\n"
        "while ray.cluster_resources().get('CPU', 0) < int(sys.argv[2]):\n"
        "    time.sleep(0.2)\n"
    )
    subprocess.run(
        [sys.executable, "-c", asked, address, str(count)],
        check=True,
        capture_output=True,
        timeout=seconds,
    )

"""Run a peer, or Wearfleet itself, as a process of its own, and take in what it measured."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from statistics import mean, median
from typing import Any

from benchmarks.peers.memory import TreePeak
from benchmarks.peers.workload import load_workload

__all__ = [
    "PEERS",
    "ROOT",
    "WEARFLEET",
    "Failed",
    "Peer",
    "Result",
    "run",
    "run_peer",
    "run_wearfleet",
]

ROOT = Path(__file__).resolve().parents[2]
WEARFLEET = "wearfleet"
_WARMUP = 2  # rounds of Wearfleet that compile
_LIMIT_S = 2 * 3600.0
_TAIL = 2000  # characters of what a failed process said


class Failed(Exception):
    """A run that did not give a result; the message holds the end of what it said."""


@dataclass(frozen=True, slots=True)
class Peer:
    """How a peer is run.

    Attributes:
        module: to run by `python -m`.
        environment: a folder of `.venv-peers`, or "" for the project's own environment.
        warmup: rounds before those that are measured.
        rounds: rounds that are measured.
        largest: most devices that it can do in reasonable time, by workload.
        tuned: whether it runs the way that we found fastest, instead of as its users would write
            it; for peers that have both.
    """

    module: str
    environment: str
    warmup: int
    rounds: int
    largest: Mapping[str, int]
    tuned: bool = False

    @property
    def python(self) -> Path:
        """Return its interpreter."""
        if not self.environment:
            return Path(sys.executable)
        return ROOT / ".venv-peers" / self.environment / "bin" / "python"


_SLOW = {"w1": 1_000, "w2": 1_000}
PEERS = {
    "flower_engine": Peer("flower_engine", "", 1, 3, _SLOW),
    "saved_model_calls": Peer("saved_model_calls", "", 1, 3, _SLOW),
    "pfl_research": Peer("pfl_research", "pfl", 1, 5, _SLOW),
    "pfl_tuned": Peer("pfl_research", "pfl", 1, 5, {"w1": 0, "w2": 1_000}, tuned=True),
    "fedjax": Peer("fedjax_loop", "jax", 2, 7, _SLOW),
    "fedjax_tuned": Peer("fedjax_loop", "jax", 2, 7, {"w1": 10_000, "w2": 1_000}, tuned=True),
    "jax_tuned": Peer("jax_tuned", "jax", 5, 15, {"w1": 10_000, "w2": 10_000}),
}


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


@dataclass(frozen=True, slots=True)
class Result:
    """What one run measured.

    Attributes:
        peer: its name, or "wearfleet".
        workload: "w1" or "w2".
        devices: that took part in each round.
        rounds_s: how long the measured rounds took.
        first_round_s: how long the first one took, which compiles.
        peak_rss_mib: most memory that its processes held, summed over them.
        versions: of what matters.
        settings: what it chose by itself.
        checksum: parameter -> sum and sum of squares after the first round.
        sizes: parameter -> how many values it has.
        workers: processes or threads that compute; 0 where the peer decides.
        outside: share of a round outside the compiled call, where it is known.
        when: it was measured.
        others: share of the processors that was busy with other work just before.
    """

    peer: str
    workload: str
    devices: int
    rounds_s: Sequence[float]
    first_round_s: float
    peak_rss_mib: float
    versions: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    checksum: Mapping[str, Sequence[float]] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    workers: int = 0
    outside: float | None = None
    when: str = field(default_factory=_now)
    others: float = 0.0

    @property
    def key(self) -> tuple[str, str, int, int]:
        """Return what tells results apart."""
        return self.peer, self.workload, self.devices, self.workers

    @property
    def rate(self) -> float:
        """Return client-rounds a second, by the median of the rounds."""
        return self.devices / median(self.rounds_s)

    @classmethod
    def read(cls, table: Mapping[str, Any]) -> Result:
        """Read a result from JSON."""
        names = {each.name for each in fields(cls)}
        return cls(**{key: value for key, value in table.items() if key in names})


def run_peer(name: str, workload: str, folder: Path) -> Result:
    """Run a peer on the workload of a folder.

    Raises:
        Failed: its environment is missing, or it gave no result.
    """
    peer = PEERS[name]
    if not peer.python.exists():
        raise Failed(f"{peer.python} is not there; run: make bench-peers")
    command = [str(peer.python), "-m", f"benchmarks.peers.{peer.module}", str(folder)]
    command += ["--warmup", str(peer.warmup), "--rounds", str(peer.rounds)]
    command += ["--tuned"] if peer.tuned else []
    said, _ = run(command)
    lines = [line for line in said.splitlines() if line.startswith('{"peer"')]
    if len(lines) != 1:
        raise Failed(f"{name}: expected one line of JSON, got:\n{said[-_TAIL:]}")
    sizes = {key: value.size for key, value in load_workload(folder).params.items()}
    found = {**json.loads(lines[0]), "peer": name, "workload": workload, "sizes": sizes}
    return Result.read(found)


def run_wearfleet(workload: str, devices: int, workers: int, rounds: int) -> Result:
    """Run the scenario file of a workload by the command `wearfleet run`.

    Raises:
        Failed: it did not end well, or has no rounds to be measured.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [str(Path(sys.executable).with_name("wearfleet")), "run"]
        command += [f"benchmarks/{workload}.toml", "--engine", "fleet", "--workers", str(workers)]
        command += ["--set", f"fleet.devices={devices}", "--set", f"stream.rounds={rounds}"]
        _, peak_mib = run([*command, "--out", str(out)])
        lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    done = [line for line in lines if line["what"] == "round"]
    measured = done[_WARMUP:]
    if not measured:
        raise Failed(f"wearfleet: {len(done)} rounds in log.jsonl; more than {_WARMUP} are needed")
    inside = [mean(line["compiled_s"]) / line["wall_s"] for line in measured]
    return Result(
        WEARFLEET,
        workload,
        devices,
        [line["wall_s"] for line in measured],
        done[0]["wall_s"],
        peak_mib,
        workers=workers,
        outside=1.0 - median(inside),
    )


def run(command: Sequence[str]) -> tuple[str, float]:
    """Run a process to its end; returns its standard output, and its memory at most in MiB."""
    # A Ray that happens to run on this machine is none of ours.
    environment = {**os.environ, "RAY_ADDRESS": "local", "TF_CPP_MIN_LOG_LEVEL": "3"}
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
        try:
            with TreePeak(process.pid) as peak:
                said, _ = process.communicate(timeout=_LIMIT_S)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                raise Failed(f"{command[0]}: not done after {_LIMIT_S:.0f} s") from None
            raise
        if process.returncode:
            errors.seek(0)
            raise Failed(f"exit code {process.returncode}:\n{errors.read()[-_TAIL:]}")
    return said, peak.peak_mib

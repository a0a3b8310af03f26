"""How fast is Wearfleet beside other simulators? Same weights, same data, same machine.

`python -m benchmarks.speed` (or `make bench`) measures the machine's own limit, then every peer and
Wearfleet, one after the other and each as a process of its own, prints two tables and stores all as
JSON in `benchmarks/results/`. `make bench-peers` sets up the peers' environments first.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from rich.console import Console

from benchmarks.peers.goals import Figure, disagreements, figures
from benchmarks.peers.runs import (
    PEERS,
    ROOT,
    WEARFLEET,
    Failed,
    Result,
    run,
    run_peer,
    run_wearfleet,
)
from benchmarks.peers.tables import figures_table, results_table

RESULTS = ROOT / "benchmarks" / "results"
WORKLOADS = ("w1", "w2")
_LONG = 50_000  # devices, from which fewer rounds must do
_ROUNDS, _FEW_ROUNDS = 12, 6
_QUIET = 0.1  # share of the processors that other work may take without being mentioned
_ONE_WORKER = (("w2", 1_000),)  # what is also measured with one worker
_SIZES = (100, 1_000, 10_000, 100_000)


@dataclass(frozen=True, slots=True)
class Job:
    """One run to measure."""

    peer: str
    workload: str
    devices: int
    workers: int

    def __str__(self) -> str:
        with_workers = f", {self.workers} workers" if self.workers else ""
        return f"{self.peer} on {self.workload.upper()}, {self.devices:,} devices{with_workers}"


def jobs(options: argparse.Namespace) -> Iterator[Job]:
    """List what is to be measured: the peers first, then Wearfleet."""
    for workload in options.workloads:
        for devices in options.sizes:
            for name in options.peers:
                if name != WEARFLEET and devices <= PEERS[name].largest[workload]:
                    yield Job(name, workload, devices, 0)
    if WEARFLEET not in options.peers:
        return
    most = max(options.workers)
    for workload in options.workloads:
        for devices in options.sizes:
            yield Job(WEARFLEET, workload, devices, most)
            for workers in options.workers:
                if workers != most and (workload, devices) in _ONE_WORKER:
                    yield Job(WEARFLEET, workload, devices, workers)


def measure(job: Job, folder: Path) -> Result:
    """Run one job.

    Args:
        job: what to run.
        folder: of the folders of workloads; one that is there is used as it is.

    Raises:
        Failed: it gave no result.
    """
    if job.peer == WEARFLEET:
        rounds = _ROUNDS if job.devices < _LONG else _FEW_ROUNDS
        return run_wearfleet(job.workload, job.devices, job.workers, rounds)
    own = folder / f"{job.workload}-{job.devices}"
    if not own.exists():
        command = [sys.executable, "-m", "benchmarks.workloads", job.workload]
        run([*command, str(job.devices), str(own)])
    return run_peer(job.peer, job.workload, own)


def matrix_limit() -> dict[str, float]:
    """Return GFLOP/s of a float32 matrix product, by threads."""
    found = {}
    for threads in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.peers.limit"],
            cwd=ROOT,
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads},
            check=True,
            capture_output=True,
            text=True,
        )
        found[threads] = float(done.stdout)
    return found


def others_busy(seconds: float = 1.0) -> float:
    """Return the share of the processors that is busy while this program runs nothing."""

    def ticks() -> tuple[int, int]:
        line = Path("/proc/stat").read_text().partition("\n")[0]
        spent = [int(word) for word in line.split()[1:9]]
        return sum(spent), spent[3] + spent[4]  # all, and idle or waiting for a disk

    all_before, idle_before = ticks()
    time.sleep(seconds)
    all_after, idle_after = ticks()
    return 1.0 - (idle_after - idle_before) / max(all_after - all_before, 1)


def store(results: Sequence[Result], found: Sequence[Figure], **facts: object) -> Path:
    """Write everything as JSON, under the time and as the latest."""
    when = datetime.now().astimezone()
    table = {
        "when": when.isoformat(timespec="seconds"),
        **facts,
        "results": [{**asdict(result), "rate": result.rate} for result in results],
        "figures": [
            {
                "title": figure.goal.title,
                "better": "higher" if figure.goal.higher else "lower",
                "measured": figure.value,
                "floor": figure.goal.floor,
                "goal": figure.goal.goal,
                "reached": figure.verdict,
            }
            for figure in found
        ],
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{when:%Y%m%d-%H%M%S}.json"
    for file in (path, RESULTS / "latest.json"):
        file.write_text(json.dumps(table, indent=1) + "\n")
    return path


def machine() -> dict[str, object]:
    """Describe the machine, and how busy it is before anything begins."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
    }


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""

    def words(allowed: Sequence[str]) -> Callable[[str], list[str]]:
        def read(text: str) -> list[str]:
            given = [word for word in text.split(",") if word]
            unknown = sorted(set(given) - set(allowed))
            if unknown:
                raise argparse.ArgumentTypeError(f"{unknown}: expected some of {list(allowed)}")
            return given

        return read

    def numbers(text: str) -> list[int]:
        return [int(word.replace("_", "")) for word in text.split(",")]

    everybody = [*PEERS, WEARFLEET]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=numbers, default=list(_SIZES), help="devices: 100,1000")
    parser.add_argument("--peers", type=words(everybody), default=everybody, help="as in the table")
    parser.add_argument("--workloads", type=words(list(WORKLOADS)), default=list(WORKLOADS))
    parser.add_argument("--workers", type=numbers, default=[1, 2], help="of Wearfleet")
    parser.add_argument("--reuse", type=Path, help="take what is not measured from this JSON file")
    parser.add_argument("--data", type=Path, help="keeps workloads: DATA/w1-1000/workload.npz")
    return parser.parse_args(arguments)


def main() -> None:
    """Measure, show and store."""
    options, console = options_of(), Console()
    before = machine()
    console.print(f"{before['processor']}, {before['cores']} cores, load {before['load']:.2f}")
    limit = matrix_limit()
    speeds = ", ".join(f"{value:.0f} on {threads}" for threads, value in limit.items())
    console.print(f"float32 matrix product, GFLOP/s by threads: {speeds}")
    measured: dict[tuple[str, str, int, int], Result] = {}
    if options.reuse is not None:
        kept = [Result.read(table) for table in json.loads(options.reuse.read_text())["results"]]
        measured = {result.key: result for result in kept}
    failures = []
    with tempfile.TemporaryDirectory() as temporary:
        for job in jobs(options):
            busy = others_busy()
            note = f" (beside other work: {busy:.0%} busy)" if busy > _QUIET else ""
            console.print(f"{job}{note} ...", end=" ")
            try:
                result = measure(job, options.data or Path(temporary))
            except Failed as error:
                # The results are kept with the project: paths in them are from its root.
                failures.append(f"{job}: {error}".replace(f"{ROOT}/", ""))
                console.print(f"failed\n{error}", markup=False)
            except KeyboardInterrupt:
                failures.append(f"{job}: interrupted")
                break
            else:
                measured[result.key] = replace(result, others=busy)
                console.print(f"{result.rate:,.0f} client-rounds/s")
    results = list(measured.values())
    found, differing = figures(results), disagreements(results)
    console.print(results_table(results), figures_table(found))
    for line in differing:
        console.print(f"not the same: {line}", style="red", markup=False)
    path = store(
        results,
        found,
        machine=before,
        limit_gflops=limit,
        disagreements=differing,
        failures=failures,
    )
    console.print(f"stored: {path}")
    sys.exit(1 if differing or failures else 0)


if __name__ == "__main__":
    main()

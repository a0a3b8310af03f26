"""Does a run that is killed, and resumed, leave the bytes of one that nobody disturbed?

`python -m benchmarks.kills --times 20` starts a small run of many arms, kills the whole of it (kill
-9) at a random moment, resumes it, perhaps to kill it again, and compares all that equal runs
promise to have in common. With `--lose-workers` it is one of two Ray workers that is killed, and
the run has to go on by itself.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from simulator.folder.store import RunFolder

__all__ = ["SCENARIO", "promised", "workers_of"]

SCENARIO = """
name = "kills"
seed = 5
baseline = "local"
[data]
users = 6
activities = ["walking", "jogging", "sitting"]
minutes = 2.0
[model]
program = "dense"
[training]
steps = 100
look_every = 50
refit = false
[stream]
rounds = 4
[fleet]
tile = 8
[labels]
delay_rounds = 1
[learning]
steps = 2
memory = 32
[guard]
max_norm = 1.0
[faults]
duration_rounds = 1.5
speed = 0.5
availability = 0.8
outage_rounds = 2.0
dropout = 0.2
lost = 0.1
duplicated = 0.2
late = 0.2
corrupted = 0.1
battery = true
drain_round = 0.1
hostile = 0.34
attack = "label-flip"
[checkpoints]
every_rounds = 2
keep = 2
materialize = 4
[[drift]]
kind = "rotation"
at = 0.3
devices = 0.5
[[detectors]]
kind = "hddm-w"
strength = 0.2
[[arms]]
name = "local"
method = "local"
[[arms]]
name = "fedavg"
method = "fedavg"
participation = 0.5
[[arms]]
name = "scaffold"
method = "scaffold"
[[arms]]
name = "fedbuff"
method = "fedbuff"
buffer = 3
[[arms]]
name = "ditto"
method = "ditto"
[[arms]]
name = "ifca"
method = "ifca"
clusters = 2
[[arms]]
name = "pooled"
method = "pooled"
[[arms]]
name = "finetune"
method = "finetune"
switch_round = 3
[[arms]]
name = "watchful"
method = "local"
reaction = "learn-faster"
"""
_COMMAND = [sys.executable, "-c", "from simulator.cli import main; main()"]
_QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}


@dataclass(frozen=True, slots=True)
class Case:
    """One run that was killed.

    Attributes:
        moments: seconds after the run's start, or its resumption, at which it was killed.
        verdict: "same bytes", or what is wrong.
    """

    moments: tuple[float, ...]
    verdict: str


def promised(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all that equal runs have in common, by path in the run folder."""
    files = RunFolder(folder).reproducible()
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def workers_of(pid: int) -> list[int]:
    """Return the processes of the Ray workers below a process."""
    parents, workers = {}, []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            command = (place / "cmdline").read_bytes()
            stat = (place / "stat").read_text()
        except OSError:
            continue
        parents[int(place.name)] = int(stat.rpartition(")")[2].split()[1])
        if command.startswith(b"ray::Host"):
            workers.append(int(place.name))

    def below(child: int) -> bool:
        while child > 1:
            if child == pid:
                return True
            child = parents.get(child, 0)
        return False

    return sorted(worker for worker in workers if below(worker))


def main() -> None:
    """Kill as often as asked, print each moment and what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lose-workers", action="store_true")
    parser.add_argument("--engine", choices=["fleet", "reference"], default="fleet")
    parser.add_argument("--folder", type=Path, default=None)
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="kills-"))
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "kills.toml"
    file.write_text(SCENARIO.replace("[fleet]", f'[fleet]\nengine = "{given.engine}"'))
    workers = "2" if given.lose_workers else "1"
    begun = time.monotonic()
    _run(["run", str(file), "--workers", workers, "--out", str(folder / "whole")])
    length_s = time.monotonic() - begun
    whole = promised(folder / "whole")
    print(f"undisturbed: {length_s:.1f} s, {len(whole)} files", flush=True)
    chance = random.Random(given.seed)
    killed = _without_a_worker if given.lose_workers else _killed
    wrong = 0
    for number in range(given.times):
        case = killed(file, folder / f"case-{number}", whole, length_s, chance)
        wrong += case.verdict != "same bytes"
        moments = ", ".join(f"{moment:.1f} s" for moment in case.moments)
        print(f"{number + 1:3d}  killed after {moments}: {case.verdict}", flush=True)
    print(f"{given.times - wrong} of {given.times} runs have the same bytes")
    if given.folder is None and not wrong:
        shutil.rmtree(folder)
    sys.exit(1 if wrong else 0)


def _killed(
    file: Path, out: Path, whole: dict[str, bytes], length_s: float, chance: random.Random
) -> Case:
    """Kill a run, and perhaps its resumption; then resume it to its end."""
    moments: list[float] = []
    command, resume = ["run", str(file), "--workers", "1", "--out", str(out)], ["resume", str(out)]
    while not moments or (len(moments) < 3 and chance.random() < 0.3):
        moments.append(chance.uniform(0.0, length_s))
        ended = _kill(command, moments[-1])
        if (out / "scenario.toml").exists():
            command = [*resume, "--workers", "1"]
        else:
            shutil.rmtree(out, ignore_errors=True)  # as the refusal of `resume` advises
        if ended:
            break
    return Case(tuple(moments), _verdict(command, out, whole))


def _kill(command: list[str], moment_s: float) -> bool:
    """Start a command and kill all of it after some time; returns whether it had ended before."""
    process = subprocess.Popen([*_COMMAND, *command], start_new_session=True, **_QUIET)  # type: ignore[call-overload]
    try:
        process.wait(timeout=moment_s)
        return True
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return False


def _without_a_worker(
    file: Path, out: Path, whole: dict[str, bytes], length_s: float, chance: random.Random
) -> Case:
    """Kill one of two workers of a run, which has to end by itself."""
    command = [*_COMMAND, "run", str(file), "--workers", "2", "--out", str(out)]
    begun, moment = time.monotonic(), chance.uniform(0.0, length_s)
    process = subprocess.Popen(command, **_QUIET)  # type: ignore[call-overload]
    time.sleep(moment)
    _wait(lambda: process.poll() is not None or bool(workers_of(process.pid)))
    workers = workers_of(process.pid)
    if workers:
        moment = time.monotonic() - begun
        os.kill(chance.choice(workers), signal.SIGKILL)
    _, stderr = process.communicate()
    if process.returncode:
        return Case((moment,), stderr.decode().strip().splitlines()[-1])
    return Case((moment,), _compared(out, whole))


def _wait(until: Callable[[], bool]) -> None:
    while not until():
        time.sleep(0.05)


def _verdict(command: list[str], out: Path, whole: dict[str, bytes]) -> str:
    """Let a run end, and compare it."""
    done = subprocess.run([*_COMMAND, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["failed"])[-1]
    return _compared(out, whole)


def _compared(out: Path, whole: dict[str, bytes]) -> str:
    found = promised(out)
    differing = [name for name in whole if found.get(name) != whole[name]]
    differing += found.keys() - whole.keys()
    if differing:
        return f"{len(differing)} files differ, such as {differing[0]}"
    shutil.rmtree(out)
    return "same bytes"


def _run(command: list[str]) -> None:
    subprocess.run([*_COMMAND, *command], check=True, capture_output=True)


if __name__ == "__main__":
    main()

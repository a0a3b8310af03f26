"""What do checkpoints cost? The same run of 1,000 devices with them and without, in turn.

`python -m benchmarks.checkpoint_cost` runs the arms `local` and `fedavg` with the default
`checkpoints.every_rounds`, and with none but the one at the end of each fold, which every run has.
It prints the wall times, their ratio, and what a run itself says of the time that it spent on
checkpoints (`log.jsonl`), which needs no comparison.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

SCENARIO = """
name = "checkpoint-cost"
seed = 1
[data]
users = 36
minutes = 6.0
[split]
folds = 1
[model]
base = "random"
[fleet]
devices = {devices}
[checkpoints]
materialize = 0
[[arms]]
name = "local"
method = "local"
[[arms]]
name = "fedavg"
method = "fedavg"
"""
RUNS = {"default": [], "at the end alone": ["--set", "checkpoints.every_rounds=1000000"]}
"""What is run -> options of the command."""
_COMMAND = [sys.executable, "-c", "from simulator.cli import main; main()"]


def measured(scenario: Path, options: list[str]) -> tuple[float, float]:
    """Run once: wall seconds of the command, and the share that rounds spent on checkpoints."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        begun = time.perf_counter()
        command = [*_COMMAND, "run", str(scenario), "--out", str(out), *options]
        subprocess.run(command, check=True, capture_output=True)
        taken_s = time.perf_counter() - begun
        lines = map(json.loads, (out / "log.jsonl").read_text().splitlines())
        rounds = [line for line in lines if line["what"] == "round"]
    wall_s = sum(line["wall_s"] for line in rounds)
    return taken_s, sum(line["save_s"] for line in rounds) / wall_s


def main() -> None:
    """Run both in turn, as often as asked, and print medians, the ratio and the share."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=1_000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--workers", default="auto")
    given = parser.parse_args()
    usual = [] if given.workers == "auto" else ["--workers", given.workers]
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in RUNS}
    with tempfile.TemporaryDirectory() as folder:
        scenario = Path(folder) / "cost.toml"
        scenario.write_text(SCENARIO.format(devices=given.devices))
        for turn in range(given.times):
            for name, options in RUNS.items():
                taken[name].append(measured(scenario, [*usual, *options]))
                wall_s, share = taken[name][-1]
                told = f"{wall_s:.1f} s, {100 * share:.1f}% of its rounds on checkpoints"
                print(f"turn {turn + 1}, {name}: {told}", flush=True)
    walls = {name: median(wall for wall, _ in each) for name, each in taken.items()}
    ratio = walls["default"] / walls["at the end alone"]
    share = median(share for _, share in taken["default"])
    print(f"ratio of medians: {ratio:.3f}; share of the rounds' time: {100 * share:.1f}%")


if __name__ == "__main__":
    main()

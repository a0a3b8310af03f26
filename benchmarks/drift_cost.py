"""What do drift and a detector cost? The same run of many devices with them and without.

`python -m benchmarks.drift_cost` runs `scenarios/drift_rotation.toml` with one arm and 10,000
devices, in turn without drift and detectors, with drift and a detector on the answers, and with
drift and the detector on inputs, and prints the wall time of each whole command.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
SCENARIO = ROOT / "scenarios" / "drift_rotation.toml"
_ARM = 'arms=[{name="local", method="local"}]'
_ROTATION = 'drift=[{kind="rotation", devices=0.5}]'
RUNS = {
    "neither": ["drift=[]", "detectors=[]"],
    "drift": [_ROTATION, "detectors=[]"],
    "drift, hddm-w": [_ROTATION, 'detectors=[{kind="hddm-w"}]'],
    "drift, inputs": [_ROTATION, 'detectors=[{kind="inputs"}]'],
}
"""What is run -> overrides."""


def seconds(overrides: list[str]) -> float:
    """Run the scenario once: wall time of the command."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(Path(sys.executable).with_name("wearfleet")), "run", str(SCENARIO)]
        command += ["--out", str(Path(folder) / "run")]
        for override in overrides:
            command += ["--set", override]
        begun = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        taken = time.perf_counter() - begun
        shutil.rmtree(Path(folder) / "run")
    return taken


def main() -> None:
    """Run all in turn, as often as asked, and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=list(RUNS), choices=list(RUNS))
    parser.add_argument("--set", action="append", default=[], dest="more")
    given = parser.parse_args()
    usual = [f"fleet.devices={given.devices}", "records.windows=none", "baseline=local"]
    usual += ["checkpoints.materialize=0", _ARM, *given.more]
    taken: dict[str, list[float]] = {name: [] for name in given.only}
    for turn in range(given.times):
        for name in given.only:
            taken[name].append(seconds([*usual, *RUNS[name]]))
            print(f"turn {turn + 1}, {name}: {taken[name][-1]:.1f} s", flush=True)
    first = median(taken[given.only[0]])
    for name, each in taken.items():
        print(f"{name}: median {median(each):.1f} s, {median(each) / first:.3f} of the first")


if __name__ == "__main__":
    main()

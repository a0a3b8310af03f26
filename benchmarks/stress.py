"""What does a fleet of 100,000 wearables take? The curve from 100 devices on.

`python -m benchmarks.stress FOLDER` runs `scenarios/stress_100k.toml` on the watch recordings of
FOLDER with 100 to 100,000 devices, as `wearfleet run` does, prints a table and stores it as JSON in
`benchmarks/results/`. Smaller fleets run four rounds an arm, the largest all that the scenario has.
The smallest runs once more with its base model given, to see how soon a first round is done.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.peers.runs import ROOT, run

SCENARIO = ROOT / "scenarios" / "stress_100k.toml"
_FEW_ROUNDS = 4


@dataclass(frozen=True, slots=True)
class Fleet:
    """What one fleet took.

    Attributes:
        devices: in the fleet.
        rounds: of each arm.
        base_given: whether the base model was there, instead of being trained.
        first_round_s: from the command to the end of the first round.
        round_s: of a round with learning, the median by arm, without scoring and saving.
        scored_s: of the last round, with scoring the holdout and writing all states, by arm.
        worker_mib: most memory that the workers held, summed.
        tree_mib: most memory that all processes held, pages that they share counted for each.
        disk_mib: of the run folder.
        wall_s: of the whole command.
        holdout: arm -> holdout accuracy, averaged over users.
    """

    devices: int
    rounds: int
    base_given: bool
    first_round_s: float
    round_s: dict[str, float]
    scored_s: dict[str, float]
    worker_mib: float
    tree_mib: float
    disk_mib: float
    wall_s: float
    holdout: dict[str, float]

    @property
    def rate(self) -> float:
        """Return device-rounds a second, over the rounds of all arms."""
        return self.devices / median(self.round_s.values())

    @property
    def kib_each(self) -> float:
        """Return what a device takes of the workers' memory, all that they hold included."""
        return self.worker_mib * 1024.0 / self.devices


def measure(
    recordings: Path, devices: int, rounds: int | None, out: Path, base: Path | None = None
) -> Fleet:
    """Run one fleet.

    Args:
        recordings: the folder of the watch files.
        devices: in the fleet.
        rounds: of each arm, None for the scenario's own number.
        out: the run folder, which must not be there.
        base: a base model; None trains one on the donors, as the scenario says.
    """
    settings = [f"data.path={recordings}", f"fleet.devices={devices}"]
    settings += [] if base is None else [f"model.base={base}"]
    if rounds is not None:
        settings += [f"stream.rounds={rounds}", f"measure.holdout_every={rounds}"]
        settings += [f"checkpoints.every_rounds={rounds}"]
    command = [str(Path(sys.executable).with_name("wearfleet")), "run", str(SCENARIO), "--json"]
    for setting in settings:
        command += ["--set", setting]
    started, begun = time.time(), time.perf_counter()
    said, tree_mib = run([*command, "--out", str(out)])
    wall_s = time.perf_counter() - begun
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    done = [line for line in lines if line["what"] == "round"]
    arms = list(dict.fromkeys(line["arm"] for line in done))
    of_arm = {arm: [line for line in done if line["arm"] == arm] for arm in arms}
    return Fleet(
        devices,
        len(of_arm[arms[0]]),
        base is not None,
        done[0]["at"] - started,
        # The first round compiles, the last one is scored and saved as well.
        {arm: median(x["work_s"] for x in own[1:]) for arm, own in of_arm.items()},
        {arm: own[-1]["wall_s"] for arm, own in of_arm.items()},
        max(sum(line["peak_rss_mib"]) for line in done),
        tree_mib,
        sum(file.stat().st_size for file in out.rglob("*") if file.is_file()) / 2.0**20,
        wall_s,
        {row["arm"]: row["holdout_accuracy"] for row in json.loads(said)},
    )


def show(fleets: Sequence[Fleet]) -> Table:
    """Show what each fleet took."""
    table = Table(title="scenarios/stress_100k.toml: local and fedavg, Adam, 4 steps, memory 128")
    for name in ("devices", "device-rounds/s", "s a round", "s scored, saved", "first round"):
        table.add_column(name, justify="right")
    for name in ("KiB/device", "all memory", "disk", "rounds", "wall"):
        table.add_column(name, justify="right")
    for one in fleets:
        rounds, scored = (
            " / ".join(f"{s:.3g}" for s in each.values()) for each in (one.round_s, one.scored_s)
        )
        table.add_row(
            f"{one.devices:,}{', base given' * one.base_given}",
            f"{one.rate:,.0f}",
            rounds,
            scored,
            f"{one.first_round_s:.1f} s",
            f"{one.kib_each:,.0f}",
            f"{one.tree_mib / 1024:.1f} GiB",
            f"{one.disk_mib / 1024:.1f} GiB",
            str(one.rounds),
            f"{one.wall_s / 60:.1f} min",
        )
    return table


def main() -> None:
    """Measure, show and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", type=Path, help="the folder of the watch files")
    parser.add_argument("--sizes", default="100,1000,10000,100000", help="devices")
    parser.add_argument("--rounds", type=int, help="of each arm, for all fleets")
    options = parser.parse_args()
    sizes = sorted(int(word) for word in options.sizes.split(","))
    console, fleets = Console(width=150), []
    results = ROOT / "benchmarks" / "results"
    path = results / f"stress-{datetime.now().astimezone():%Y%m%d-%H%M%S}.json"
    with tempfile.TemporaryDirectory(dir=ROOT, prefix=".stress-") as folder:
        recordings = options.recordings.resolve()
        for i, devices in enumerate([sizes[0], *sizes]):
            few = None if i == len(sizes) > 1 else _FEW_ROUNDS
            base = next((Path(folder) / "run-0" / "base").iterdir()) if i == 1 else None
            out = Path(folder) / f"run-{i}"
            fleets.append(measure(recordings, devices, options.rounds or few, out, base))
            shutil.rmtree(Path(folder) / f"run-{i - 1}", ignore_errors=True)
            console.print(show(fleets))
            rows = [{**asdict(f), "rate": f.rate, "kib_each": f.kib_each} for f in fleets]
            path.write_text(json.dumps(rows, indent=1) + "\n")
    console.print(f"stored: {path}")


if __name__ == "__main__":
    main()

"""Scalars of a run as event files of TensorBoard, an own "run" of it for each arm."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from clients.containment import file_name
from clients.errors import BadInput
from simulator.export.event_file import EventFile
from simulator.export.folders import need_folder, runs_of
from simulator.folder.rounds_file import numbers_of, read_rounds
from simulator.folder.run_log import FAULTS, LogReader, Story
from simulator.folder.store import RunFolder
from simulator.measures.metrics import worst_tenth
from simulator.measures.user_series import holdout_of, prequential_of
from simulator.report.records import read_tables

__all__ = ["write_events"]

_SERIES = {"holdout": holdout_of, "prequential": prequential_of}


def write_events(folder: Path, out: Path) -> list[Path]:
    """Write `<run>/<arm>/events.out.tfevents.*`; of several seeds, `<run>/seed-<n>/<arm>/`.

    Steps are rounds. Figures come from the records of arms and folds that are done, speed and wall
    time from the log.

    Args:
        folder: of the run.
        out: the folder that TensorBoard is told as `--logdir`.

    Returns:
        the files.

    Raises:
        BadInput: they are there already, or records of the run are damaged.
    """
    own = out / folder.resolve().name
    if own.exists():
        raise BadInput(f"{own}: is there already; move it away, or give another folder")
    written, unfinished = list[Path](), out / f".{own.name}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    for name, run in runs_of(folder).items():
        story = Story()
        for line in LogReader(run / "log.jsonl").lines():
            story.hear(line)
        for arm in [str(table["name"]) for table in read_tables(run)[0].get("arms", [])]:
            scalars = _scalars(run, arm, story)
            if scalars:
                place = unfinished / name / file_name(arm)
                written.append(_write(place, scalars, _times(story, arm)))
    if not written:
        return []
    unfinished.replace(own)
    return [own / path.relative_to(unfinished) for path in written]


def _scalars(run: Path, arm: str, story: Story) -> dict[str, dict[int, float]]:
    """Return the scalars of an arm: tag -> round -> value."""
    found: dict[str, dict[int, float]] = {}
    for protocol, series_of in _SERIES.items():
        series = series_of(run, arm)
        if not series.empty:
            by_round = series.groupby("round")["accuracy"]
            found[f"{protocol}/mean"] = _numbers(by_round.mean())
            found[f"{protocol}/worst_tenth"] = _numbers(
                by_round.agg(lambda values: worst_tenth(values.to_numpy(np.float64)))
            )
    found["loss"] = _loss(run, arm)
    passed = [one for own in story.folds_of(arm) for one in own.rounds.items()]
    for name in FAULTS:
        counts: dict[int, float] = {}
        for round_, one in passed:
            counts[round_] = counts.get(round_, 0.0) + one.faults[name]
        if any(counts.values()):
            found[f"faults/{name}"] = counts
    devices, seconds = dict[int, float](), dict[int, float]()
    for round_, one in passed:
        devices[round_] = devices.get(round_, 0.0) + one.devices
        seconds[round_] = seconds.get(round_, 0.0) + one.wall_s
    found["devices_per_s"] = {n: devices[n] / seconds[n] for n in devices if seconds[n] > 0.0}
    return {tag: values for tag, values in found.items() if values}


def _loss(run: Path, arm: str) -> dict[int, float]:
    """Return the mean loss of the steps that devices took, by round, over devices that took any."""
    sums, counts = dict[int, float](), dict[int, int]()
    for path in RunFolder(run).rounds_files(arm):
        table = read_rounds(path, ["round", "loss"])
        loss, round_ = numbers_of(table, "loss"), numbers_of(table, "round")
        for number in np.unique(round_[~np.isnan(loss)]).tolist():
            own = loss[(round_ == number) & ~np.isnan(loss)]
            sums[number] = sums.get(number, 0.0) + float(own.sum())
            counts[number] = counts.get(number, 0) + own.size
    return {number: sums[number] / counts[number] for number in sorted(sums)}


def _numbers(values: pd.Series[float]) -> dict[int, float]:
    return {int(str(round_)): float(value) for round_, value in values.items()}


def _times(story: Story, arm: str) -> dict[int, float]:
    """Return when each round was over, in the last fold that came so far."""
    rounds = [one for own in story.folds_of(arm) for one in own.rounds.items()]
    found: dict[int, float] = {}
    for round_, one in rounds:
        found[round_] = max(one.at, found.get(round_, 0.0))
    return found


def _write(
    folder: Path, scalars: Mapping[str, Mapping[int, float]], times: Mapping[int, float]
) -> Path:
    """Write an event file, whole or not at all, in order of rounds."""
    need_folder(folder)
    begun = min(times.values(), default=0.0)
    path = folder / f"events.out.tfevents.{int(begun)}.wearfleet"
    unfinished = folder / f".{path.name}.unfinished"
    file = EventFile(unfinished, begun)
    for round_ in sorted({number for values in scalars.values() for number in values}):
        told = {tag: values[round_] for tag, values in scalars.items() if round_ in values}
        file.add(round_, times.get(round_, begun), told)
    file.close()
    unfinished.replace(path)
    return path

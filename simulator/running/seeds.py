"""A scenario under several seeds: a run folder for each, and their averages."""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd

from simulator.folder.full_disk import full_disk_told
from simulator.folder.lock import locked
from simulator.folder.store import RunFolder, average_over_seeds, discard
from simulator.measures.alarm_frames import alarms_frame
from simulator.measures.drift_frames import pooled
from simulator.measures.statistics import frame_of_tests, paired_tests
from simulator.report import write_report
from simulator.report.records import read_csv
from simulator.running.ends import end_by
from simulator.running.fleet import Fleet
from simulator.running.fold_run import Watcher
from simulator.running.scenario_run import run_scenario
from simulator.scenario.plugins import plugins_of
from simulator.scenario.scenario import Scenario

__all__ = ["run_seeds"]


def run_seeds(
    scenario: Scenario,
    seeds: int,
    folder: Path,
    fleet: Fleet,
    watcher: Watcher,
    *,
    resumed: bool = False,
    trusted: bool = False,
) -> pd.DataFrame:
    """Run a scenario under several seeds, one after the other, and average what they measured.

    Args:
        scenario: with the first seed.
        seeds: how many.
        folder: empty, unless the run is resumed.
        fleet: computes them.
        watcher: is told how it goes.
        resumed: whether the folder holds a run that has begun; seeds that are done are left alone.
        trusted: whether programs of others may hold ops that can do more than compute.

    Returns:
        the rows of the parent's summary.csv.
    """
    with full_disk_told(folder):
        return _run_all(scenario, seeds, RunFolder(folder), fleet, watcher, resumed, trusted)


def _run_all(
    scenario: Scenario,
    seeds: int,
    parent: RunFolder,
    fleet: Fleet,
    watcher: Watcher,
    resumed: bool,
    trusted: bool,
) -> pd.DataFrame:
    if not resumed:
        parent.start(scenario, seeds)
    started, status = time.time(), "interrupted"
    summary = pd.DataFrame()
    try:
        for seed in range(scenario.seed, scenario.seed + seeds):
            own = parent.path / f"seed-{seed}"
            _run_seed(scenario.of_seed(seed), own, fleet, watcher, resumed, trusted)
        status = "done"
    except Exception as error:  # as in a single run
        status = end_by(error)
        raise
    finally:
        if status != "full disk":
            summary = _close_seeds(scenario, parent, status, time.time() - started)
    return summary


def _run_seed(
    scenario: Scenario,
    own: Path,
    fleet: Fleet,
    watcher: Watcher,
    resumed: bool,
    trusted: bool,
) -> None:
    """Run one seed of several, or what is left of it."""
    run = RunFolder(own)
    if resumed and run.has_begun() and run.is_done():
        if run.lacks_report():
            with locked(own):
                write_report(own)
        return
    begun = resumed and run.has_begun()
    if not begun:
        discard(own, keep_folder=False)
        own.mkdir()
    with locked(own):
        scenario = run.scenario() if begun else scenario
        run_scenario(scenario, own, fleet, watcher, resumed=begun, trusted=trusted)


def _close_seeds(scenario: Scenario, parent: RunFolder, status: str, wall_s: float) -> pd.DataFrame:
    """Write what follows from the seeds that there are."""
    folder = parent.path
    tables = sorted(folder.glob("seed-*/summary.csv"))
    if not tables:
        return pd.DataFrame()
    summary = average_over_seeds([read_csv(one) for one in tables], ["arm", "method"])
    parent.write_frame("summary.csv", summary)
    users = [read_csv(one.with_name("users.csv")) for one in tables]
    people = average_over_seeds(users, ["arm", "user"])
    parent.write_frame("users.csv", people)
    parent.write_frame("tests.csv", frame_of_tests(paired_tests(people, scenario.baseline)))
    _write_pooled(parent)
    parent.write_manifest(
        {"status": status, "seed": scenario.seed, "seeds": len(tables), "wall_s": round(wall_s, 1)},
        plugins_of(scenario),
    )
    write_report(folder)
    return summary


def _write_pooled(parent: RunFolder) -> None:
    """Write what drift did over all seeds, a row of each seed's, and sum up the detectors."""
    folders = sorted(parent.path.glob("seed-*"))
    found = {}
    for name in ("drift.csv", "detections.csv"):
        there = [folder for folder in folders if (folder / name).is_file()]
        if there:
            seeds = [int(folder.name.removeprefix("seed-")) for folder in there]
            found[name] = pooled([read_csv(folder / name) for folder in there], seeds)
            parent.write_frame(name, found[name])
    if len(found) == 2:
        parent.write_frame("alarms.csv", alarms_frame(found["detections.csv"], found["drift.csv"]))

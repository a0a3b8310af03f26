"""A run: arms x folds x rounds, from a scenario to its folder."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from clients.errors import BadInput
from simulator.base.prepared import Prepared
from simulator.folder.full_disk import full_disk_told
from simulator.folder.manifest_file import differences
from simulator.folder.store import USERS_COLUMNS, RunFolder, discard
from simulator.measures.alarm_frames import alarms_frame, detections_frame
from simulator.measures.drift_frames import devices_frame, drift_figures
from simulator.measures.fault_frames import faults_frame
from simulator.measures.metrics import fairness_frame, summary_frame, users_frame
from simulator.measures.privacy import epsilon_of
from simulator.measures.statistics import frame_of_tests, paired_tests
from simulator.plan.plan import Plan, build_plan
from simulator.report import write_report
from simulator.running.ends import end_by
from simulator.running.federation import Session
from simulator.running.fleet import Fleet
from simulator.running.fold_run import FoldRun, Watcher
from simulator.running.server_half import try_strategies
from simulator.scenario.plugins import plugins_of
from simulator.scenario.scenario import Arm, Scenario
from simulator.scenario.ways import keeps_private

__all__ = ["run_arm", "run_scenario"]


def run_scenario(
    scenario: Scenario,
    folder: Path,
    fleet: Fleet,
    watcher: Watcher,
    *,
    resumed: bool = False,
    trusted: bool = False,
) -> pd.DataFrame:
    """Run a scenario into a folder that is there and empty, or go on with a run in it.

    Args:
        scenario: of a run that is resumed, the one in its folder.
        folder: of the run.
        fleet: computes it.
        watcher: is told how it goes.
        resumed: whether the folder holds a run that has begun.
        trusted: whether programs of others may hold ops that can do more than compute.

    Returns:
        the rows of summary.csv.

    Raises:
        BadInput: the data or the program cannot be used; the folder of a new run is removed.
        KeyboardInterrupt: after what was done has been written.
        RunFailed: the run cannot go on now, and can be resumed.
    """
    with full_disk_told(folder):
        return _run(scenario, RunFolder(folder), fleet, watcher, resumed, trusted)


def _run(
    scenario: Scenario,
    run: RunFolder,
    fleet: Fleet,
    watcher: Watcher,
    resumed: bool,
    trusted: bool,
) -> pd.DataFrame:
    started, status, done = time.time(), "interrupted", list[Arm]()
    summary = pd.DataFrame()
    try:
        plan, prepared = _prepare(scenario, run, fleet, watcher, resumed, trusted)
    except (BadInput, KeyboardInterrupt):
        if not resumed:
            discard(run.path, keep_folder=False)
        raise
    try:
        run.start(_resolved(plan, prepared))
        run.log("workers", nodes=list(fleet.nodes), ready_s=time.time() - started)
        run.log("plan", **_outline(plan, prepared))
        for arm in scenario.arms:
            run_arm(plan, arm, prepared, fleet, run, watcher)
            done.append(arm)
        status = "done"
    except Exception as error:  # whatever it was, the manifest must not call it an interrupt
        status = end_by(error)
        raise
    finally:
        if status != "full disk":  # else there is no room for what follows from the records
            summary = _close(plan, prepared, run, status, time.time() - started, done)
    return summary


def _prepare(
    scenario: Scenario,
    run: RunFolder,
    fleet: Fleet,
    watcher: Watcher,
    resumed: bool,
    trusted: bool,
) -> tuple[Plan, list[Prepared]]:
    """Lay out a run, note in its folder what it is to be, and make its base models."""
    watcher.stage("reading recordings", 0)
    plan = build_plan(scenario, trusted=trusted)
    fingerprint = plan.fingerprint
    try_strategies(plan)
    if resumed:
        notes = differences(run.path, fingerprint, plugins_of(scenario))
        run.clear()
        run.log("resumed", differences=notes)
        for note in notes:
            watcher.note(note)
    else:
        run.start(scenario)
    if not run.manifest():
        facts = {"status": "running", "seed": scenario.seed, "data_fingerprint": fingerprint}
        run.write_manifest(
            {**facts, "working_directory": str(scenario.began_in)}, plugins_of(scenario)
        )
    for note in plan.notes:
        watcher.note(note)
    watcher.stage("training base models", 0)
    prepared = fleet.prepare(plan, run.path)
    for note in _mute(prepared):
        watcher.note(note)
    return plan, prepared


def _outline(plan: Plan, prepared: Sequence[Prepared]) -> dict[str, Any]:
    """Return what those who follow a run need to know of it."""
    return {
        "name": plan.scenario.name,
        "seed": plan.scenario.seed,
        "arms": [arm.name for arm in plan.scenario.arms],
        "folds": len(plan.folds),
        "rounds": plan.rounds,
        "devices": plan.devices,
        "notes": [*plan.notes, *_mute(prepared)],
    }


def _mute(prepared: Sequence[Prepared]) -> list[str]:
    """Say which detectors their donors silenced."""
    return [
        f'detector "{kind}" is mute in fold {one.fold}: every strength that could raise an alarm '
        "raised too many on donors"
        for one in prepared
        for kind, threshold in one.thresholds.items()
        if threshold.mute
    ]


def _resolved(plan: Plan, prepared: Sequence[Prepared]) -> Scenario:
    """Fill in what is left to the program: the tile, and what an arm keeps on its devices."""
    scenario, parts = plan.scenario, prepared[0].parts
    arms = [
        arm.model_copy(update={"private": list(parts.of(arm.method))})
        if keeps_private(arm.method) and arm.private is None
        else arm
        for arm in scenario.arms
    ]
    tiles = {one.tile(scenario.fleet.tile, plan.largest_cohort) for one in prepared}
    tile = tiles.pop() if len(tiles) == 1 else scenario.fleet.tile  # programs differ in size
    fleet = scenario.fleet.model_copy(update={"tile": tile})
    chosen = [one.program for one in prepared] if scenario.model.candidates else []
    model = scenario.model.model_copy(update={"chosen": chosen})
    return scenario.model_copy(update={"arms": arms, "fleet": fleet, "model": model})


def run_arm(
    plan: Plan,
    arm: Arm,
    prepared: Sequence[Prepared],
    fleet: Fleet,
    run: RunFolder,
    watcher: Watcher,
) -> None:
    """Run what is left of one arm in all folds and write its records, interrupted or not."""
    watcher.stage(arm.name, plan.rounds, len(plan.folds))
    events: Sequence[Mapping[str, Any]] = []
    for fold in plan.folds:
        session = Session(arm.in_fold(fold.index), fold.index)
        own = FoldRun(plan, session, prepared[fold.index], fleet, run, watcher)
        events = own.carry_out(events)


def _close(
    plan: Plan,
    prepared: Sequence[Prepared],
    run: RunFolder,
    status: str,
    wall_s: float,
    done: Sequence[Arm],
) -> pd.DataFrame:
    """Write what follows from the records: figures, manifest, report.

    An arm that is not done has other people and rounds than the others, so that figures are of
    those that are done; where none is, of what there is.
    """
    arms, notes = done or plan.scenario.arms, list(plan.notes)
    undone = [f"`{arm.name}`" for arm in plan.scenario.arms if arm not in done]
    if undone and done:
        notes.append(f"not done, and left out of the figures: {', '.join(undone)}")
    base = [_accuracy(matrix) for one in prepared for matrix in one.unseen.values()]
    summary = pd.DataFrame()
    users = users_frame(run.path, arms)
    if not users.empty:
        summary = summary_frame(
            users, arms, float(np.mean(base)) if base else None, _epsilons(plan)
        )
        summary = summary.merge(faults_frame(run.path, plan.scenario), on="arm", how="left")
        summary = _with_drift(plan.scenario, run, summary)
        run.write_frame("users.csv", users[USERS_COLUMNS])
        run.write_frame("summary.csv", summary)
        run.write_frame("tests.csv", frame_of_tests(paired_tests(users, plan.scenario.baseline)))
        run.write_frame("fairness.csv", fairness_frame(run.path, arms))
    run.write_manifest(
        {
            "status": status,
            "seed": plan.scenario.seed,
            "wall_s": round(wall_s, 1),
            "notes": notes,
            "data_fingerprint": plan.fingerprint,
            "data": {
                "users": len(plan.population.recordings),
                "devices": plan.devices,
                "windows": _streamed(plan),
                "rounds": plan.rounds,
                "defects": dict(plan.population.defects),
            },
            "base": [
                {
                    "fold": one.fold,
                    "program": one.program,
                    "candidates": dict(one.candidates),
                    "detectors": {
                        kind: {"strength": t.strength, "alarms": t.alarms, "windows": t.windows}
                        for kind, t in one.thresholds.items()
                    },
                    "steps": one.steps,
                    "validation_accuracy": one.validation_accuracy,
                    "unseen_accuracy": _mean([_accuracy(m) for m in one.unseen.values()]),
                }
                for one in prepared
            ],
        },
        plugins_of(plan.scenario),
    )
    write_report(run.path)
    return summary


def _with_drift(scenario: Scenario, run: RunFolder, summary: pd.DataFrame) -> pd.DataFrame:
    """Write what drift did and what was noticed; returns the summary with figures of it."""
    if not scenario.drift and not scenario.detectors:
        return summary
    devices = devices_frame(run.path, scenario)
    run.write_frame("drift.csv", devices)
    if scenario.detectors:
        detections = detections_frame(run.path, scenario)
        run.write_frame("detections.csv", detections)
        run.write_frame("alarms.csv", alarms_frame(detections, devices))
    return summary.merge(drift_figures(devices), on="arm", how="left")


def _epsilons(plan: Plan) -> dict[str, float | None]:
    """Return what each private arm gives away of a user, in the worse fold."""
    arms = plan.scenario.arms
    folds = range(len(plan.folds))
    told = {arm.name: [epsilon_of(arm.in_fold(i), plan.rounds) for i in folds] for arm in arms}
    return {
        name: max((one for one in each if one is not None), default=None)
        for name, each in told.items()
    }


def _streamed(plan: Plan) -> int:
    """Count the windows of all devices' streams."""
    first, stop = plan.pool.streamed.T
    return int((stop - first)[plan.users_of(np.arange(plan.devices))].sum())


def _accuracy(confusion: Any) -> float:
    return float(np.trace(confusion) / max(int(confusion.sum()), 1))


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None

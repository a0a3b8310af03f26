"""A run: arms x folds x rounds, from a scenario to its folder."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from clients.errors import WearfleetError
from simulator.alarm_frames import alarms_frame, detections_frame
from simulator.checkpoint import write_server
from simulator.drift_frames import devices_frame, drift_figures, pooled
from simulator.fault_frames import faults_frame
from simulator.federation import Server, Session
from simulator.fleet import Fleet
from simulator.metrics import fairness_frame, summary_frame, users_frame
from simulator.options import PRIVATE_PARTS
from simulator.plan import Plan, build_plan
from simulator.prepared import Prepared
from simulator.privacy import epsilon_of
from simulator.report import write_report
from simulator.report.records import read_csv
from simulator.scenario import Arm, Scenario
from simulator.statistics import frame_of_tests, paired_tests
from simulator.store import USERS_COLUMNS, RunFolder, average_over_seeds, discard

__all__ = ["Watcher", "run_arm", "run_scenario", "run_seeds"]


class Watcher(Protocol):
    """Is told how a run goes."""

    def stage(self, name: str, rounds: int) -> None:
        """Hear that something began that takes some rounds."""
        ...

    def advance(self) -> None:
        """Hear that one round is done."""
        ...

    def note(self, text: str) -> None:
        """Hear what a person should know of the scenario."""
        ...


def run_seeds(
    scenario: Scenario,
    seeds: int,
    folder: Path,
    fleet: Fleet,
    watcher: Watcher,
    *,
    trusted: bool = False,
) -> pd.DataFrame:
    """Run a scenario under several seeds, one after the other, and average what they measured.

    `trusted` is whether programs of others may hold ops that can do more than compute.

    Returns:
        the rows of the parent's summary.csv.
    """
    parent = RunFolder(folder)
    started, summaries, users, status = time.time(), [], [], "interrupted"
    try:
        for seed in range(scenario.seed, scenario.seed + seeds):
            own = folder / f"seed-{seed}"
            own.mkdir()
            seeded = scenario.of_seed(seed)
            run_scenario(seeded, own, fleet, watcher, trusted=trusted)
        status = "done"
    except Exception:  # as in a single run
        status = "failed"
        raise
    finally:
        for own in sorted(folder.glob("seed-*/summary.csv")):
            summaries.append(read_csv(own))
            users.append(read_csv(own.with_name("users.csv")))
        if summaries:
            parent.start(scenario)
            summary = average_over_seeds(summaries, ["arm", "method"])
            parent.write_frame("summary.csv", summary)
            people = average_over_seeds(users, ["arm", "user"])
            parent.write_frame("users.csv", people)
            parent.write_frame("tests.csv", frame_of_tests(paired_tests(people, scenario.baseline)))
            _write_pooled(parent)
            parent.write_manifest(
                {"status": status, "seed": scenario.seed, "seeds": len(summaries),
                 "wall_s": round(time.time() - started, 1)}
            )  # fmt: skip
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


def run_scenario(
    scenario: Scenario, folder: Path, fleet: Fleet, watcher: Watcher, *, trusted: bool = False
) -> pd.DataFrame:
    """Run a scenario into a folder that is there and empty.

    `trusted` is whether programs of others may hold ops that can do more than compute.

    Returns:
        the rows of summary.csv.

    Raises:
        BadInput: the data or the program cannot be used; the folder is removed.
        KeyboardInterrupt: after what was done has been written.
    """
    run, started, status = RunFolder(folder), time.time(), "interrupted"
    try:
        watcher.stage("reading recordings", 0)
        plan = build_plan(scenario, trusted=trusted)
        for note in plan.notes:
            watcher.note(note)
        watcher.stage("training base models", 0)
        prepared = fleet.prepare(plan, folder)
    except (WearfleetError, KeyboardInterrupt):
        discard(folder, keep_folder=False)
        raise
    for note in _mute(prepared):
        watcher.note(note)
    run.start(_resolved(plan, prepared))
    run.log("workers", nodes=list(fleet.nodes), ready_s=time.time() - started)
    try:
        for arm in scenario.arms:
            run_arm(plan, arm, prepared, fleet, run, watcher)
        status = "done"
    except Exception:  # whatever it was, the manifest must not call it an interrupt
        status = "failed"
        raise
    finally:
        summary = _close(plan, prepared, run, status, time.time() - started)
    return summary


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
        if arm.method in PRIVATE_PARTS and arm.private is None
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
    """Run one arm in all folds and write its records, interrupted or not."""
    watcher.stage(arm.name, plan.rounds * len(plan.folds))
    events: list[dict[str, Any]] = []
    for fold in plan.folds:
        session = Session(arm.in_fold(fold.index), fold.index, events=events)
        fleet.open(session.arm, fold.index)
        try:
            _run_rounds(plan, session, prepared[fold.index], fleet, run, watcher)
        finally:
            fleet.write(session.done)
            run.write_events(arm.name, events)


def _run_rounds(
    plan: Plan,
    session: Session,
    prepared: Prepared,
    fleet: Fleet,
    run: RunFolder,
    watcher: Watcher,
) -> None:
    """Run the rounds of one arm in one fold."""
    scenario = plan.scenario
    serve = Server(plan, session, prepared, fleet)
    fleet.score(0, None)
    session.done = 0
    before = fleet.used
    for round_ in range(1, plan.rounds + 1):
        begun = time.perf_counter()
        shared = serve.round(round_)
        work_s = time.perf_counter() - begun
        last = round_ == plan.rounds
        if last or round_ % scenario.measure.holdout_every == 0:
            fleet.score(round_, shared)
        if last or round_ % scenario.checkpoints.every_rounds == 0:
            fleet.save(round_, shared)
            if session.shared:
                folder = run.checkpoint(session.arm.name)
                write_server(folder, session.fold, round_, serve.snapshot())
        session.done = round_
        used = fleet.used
        run.log(
            "round",
            arm=session.arm.name,
            fold=session.fold,
            round=round_,
            devices=len(plan.folds[session.fold].devices),
            wall_s=time.perf_counter() - begun,
            work_s=work_s,
            compiled_s=[
                now.compiled_s - then.compiled_s for now, then in zip(used, before, strict=True)
            ],
            peak_rss_mib=[now.peak_rss_mib for now in used],
        )
        before = used
        watcher.advance()


def _close(
    plan: Plan, prepared: Sequence[Prepared], run: RunFolder, status: str, wall_s: float
) -> pd.DataFrame:
    """Write what follows from the records: figures, manifest, report."""
    base = [_accuracy(matrix) for one in prepared for matrix in one.unseen.values()]
    summary = pd.DataFrame()
    users = users_frame(run.path, plan.scenario.arms)
    if not users.empty:
        summary = summary_frame(
            users, plan.scenario.arms, float(np.mean(base)) if base else None, _epsilons(plan)
        )
        summary = summary.merge(faults_frame(run.path, plan.scenario), on="arm", how="left")
        summary = _with_drift(plan.scenario, run, summary)
        run.write_frame("users.csv", users[USERS_COLUMNS])
        run.write_frame("summary.csv", summary)
        run.write_frame("tests.csv", frame_of_tests(paired_tests(users, plan.scenario.baseline)))
        run.write_frame("fairness.csv", fairness_frame(run.path, plan.scenario.arms))
    run.write_manifest(
        {
            "status": status,
            "seed": plan.scenario.seed,
            "wall_s": round(wall_s, 1),
            "notes": list(plan.notes),
            "data_fingerprint": plan.population.fingerprint,
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
        }
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

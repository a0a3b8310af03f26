"""Small fleets whose programs were exported with a precision of choice, run by either engine.

A scenario has no key for a program's precision, so the base model is put in where the fleet would
make one; all else is what a run does: the same plan, fleet, server and records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import load_file

from clients.checkpoints import read_checkpoint
from clients.export import Blueprint, export_program
from clients.program import Program
from clients.synthetic import synthesize
from simulator.base.prepared import Parts, Prepared
from simulator.folder.kept import Kept
from simulator.plan.plan import Cohort, Plan, build_plan
from simulator.running.federation import Server, Session
from simulator.running.fleet import Fleet
from simulator.running.saving import save, write_models
from simulator.running.workers import InProcess
from simulator.scenario.scenario import SINGLE_SAMPLES, Scenario
from tests.simulator.conftest import read_all

ACTIVITIES = ("walking", "jogging", "sitting", "standing")
_CODES = "ABDE"
_MINUTES = {1600: 0.5, 1601: 1.0, 1602: 1.0, 1603: 1.5, 1604: 0.75}
RATES = {"adam": 0.005, "sgd": 0.05}


def write_people(folder: Path) -> Path:
    """Write five people in the form of WISDM 2019 whose streams end at different times."""
    for number, (user, minutes) in enumerate(_MINUTES.items()):
        everybody = synthesize(5, list(ACTIVITIES), rate_hz=20.0, seed=3, minutes=minutes)
        own = [r for r in everybody if r.user == f"p{number + 1:03d}"]
        lines = [
            f"{user},{_CODES[ACTIVITIES.index(r.activity)]},{first + i * 50_000_000},"
            f"{x:.4f},{y:.4f},{z:.4f};\n"
            for first, r in zip(count(10**12, 10**12), own, strict=False)
            for i, (x, y, z) in enumerate(r.samples)
        ]
        (folder / f"data_{user}_accel_watch.txt").write_text("".join(lines))
    return folder


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """What one arm came to.

    Attributes:
        windows: all rows of windows/.
        rounds: all rows of rounds/.
        devices: name -> every variable of its SavedModel after the last round.
        states: name of a cohort's file -> what the devices are, as it was written for later.
        shared: what the server had in the end.
        events: what happened in the simulation.
        folder: of the run.
    """

    windows: pd.DataFrame
    rounds: pd.DataFrame
    devices: Mapping[str, Mapping[str, np.ndarray]]
    states: Mapping[str, Mapping[str, np.ndarray]]
    shared: Mapping[str, np.ndarray]
    events: Sequence[Mapping[str, object]]
    folder: Path


class _Given:
    """A worker in this process, whose base model is given instead of made."""

    count = 1
    nodes: Sequence[str] = ("here",)

    def __init__(self) -> None:
        self._worker = InProcess()
        self.prepared: Prepared | None = None

    def call(self, method: str, arguments: Sequence[tuple]) -> list:
        """Call a method of the worker, but hand out the base model that was given."""
        if method == "prepare":
            return [[self.prepared]]
        return self._worker.call(method, arguments)

    def share(self, value: object) -> object:
        """Return the value."""
        return value

    def stop(self) -> None:
        """Do nothing."""


class Fleets:
    """Fleets of one built-in program in one precision; what was loaded or compiled serves again."""

    def __init__(self, folder: Path, people: Path, program: str, dtype: str) -> None:
        self._folder, self._people, self._program, self._dtype = folder, people, program, dtype
        self._workers, self._runs = _Given(), count()
        self._stream: dict[str, object] = {"batch": 4, "bout_windows": 4}
        if program in SINGLE_SAMPLES:  # streams are long, and end in the middle of a question
            self._stream = {"batch": 24, "bout_windows": 60, "rounds": 8}

    def open(
        self, arm: Mapping[str, object], sizes: Sequence[int] = (3, 3), **tables: object
    ) -> Opened:
        """Lay out a fleet of one arm.

        Args:
            arm: its keys, but for the name.
            sizes: devices in each cohort; more than there are people are variations of them.
            tables: of the scenario; those that are left out are small.
        """
        fleet = {"devices": sum(sizes), **tables.pop("fleet", {})}
        if self._program in SINGLE_SAMPLES and "memory" in tables.get("learning", {}):
            learning = dict(tables["learning"])  # as much for questions of many samples
            learning["memory"] *= int(self._stream["batch"])
            tables["learning"] = learning
        scenario = Scenario.model_validate(
            {
                "name": "trial",
                "seed": 4,
                "data": {
                    "source": "wisdm-2019",
                    "path": str(self._people),
                    "activities": list(ACTIVITIES),
                },
                "split": {"folds": 1},
                "model": {"program": self._program, "base": "random"},
                "stream": self._stream | tables.pop("stream", {}),
                "arms": [{"name": "trial", **arm}],
                "fleet": fleet,
                **tables,
            }
        )
        plan = build_plan(scenario)
        ends = np.cumsum([0, *sizes])
        cohorts = (Cohort(i, 0, np.arange(*part)) for i, part in enumerate(pairwise(ends)))
        plan = replace(plan, cohorts=tuple(cohorts))
        paths = {optimizer: self._export(plan, optimizer) for optimizer in RATES}
        program = Program(paths["adam"])
        base, whole = program.read_parameters(), program.whole_questions
        parts = Parts(("classes/*",), ("norm*/*",))
        self._workers.prepared = Prepared(
            0, self._program, paths, base, parts, whole, None, {}, 0, None
        )
        folder = self._folder / f"run-{next(self._runs)}"
        folder.mkdir()
        made = Fleet(self._workers)
        (prepared,) = made.prepare(plan, folder)
        made.open(scenario.arms[0], 0)
        return Opened(plan, prepared, made, folder)

    def run(
        self,
        arm: Mapping[str, object],
        sizes: Sequence[int] = (3, 3),
        rounds: int | None = None,
        **tables: object,
    ) -> Trial:
        """Run one arm from its first round to its last, or to the one that is named."""
        return self.open(arm, sizes, **tables).run(rounds)

    def _export(self, plan: Plan, optimizer: str) -> Path:
        loss = plan.scenario.learning.loss
        path = self._folder / f"{self._program}-{optimizer}-{loss}"
        if not path.exists():
            blueprint = Blueprint(
                self._program,
                plan.pool.length,
                plan.pool.channels,
                ACTIVITIES,
                optimizer,
                RATES[optimizer],
                self._dtype,
                loss,
            )
            params = blueprint.model().init(np.random.default_rng(3))
            samples = plan.pool.samples
            export_program(blueprint, params, samples.mean(0), samples.std(0), path)
        return path


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A fleet whose devices are fresh."""

    plan: Plan
    prepared: Prepared
    fleet: Fleet
    folder: Path

    def run(self, rounds: int | None = None) -> Trial:
        """Run the arm."""
        session = Session(self.plan.scenario.arms[0], 0)
        server, shared = Server(self.plan, session, self.prepared, self.fleet), None
        self.fleet.score(0, None)
        last = self.plan.rounds if rounds is None else rounds
        for round_ in range(1, last + 1):
            shared = server.round(round_)
            self.fleet.score(round_, shared)
        kept = Kept(self.folder / "checkpoints" / "trial" / "0")
        save(kept, self.fleet, session, server, last, shared)
        write_models(kept, self.fleet, [last])
        self.fleet.write(last)
        return Trial(
            read_all(self.folder / "windows"),
            read_all(self.folder / "rounds"),
            {
                path.parent.name: read_checkpoint(path)
                for path in sorted((self.folder / "devices" / "trial").glob("*/*"))
            },
            {
                path.name: _without_rows(load_file(path))
                for path in sorted((self.folder / "checkpoints").rglob("cohort-*.safetensors"))
            },
            session.shared,
            session.events,
            self.folder,
        )


def _without_rows(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Leave out the rows of the records, which are compared as the files have them."""
    return {name: value for name, value in state.items() if not name.startswith("records/")}


def farthest(one: Trial, other: Trial) -> float:
    """Return the largest difference of any variable of any device, or of the server's arrays."""
    assert one.devices.keys() == other.devices.keys()
    pairs = [(one.devices[name], other.devices[name]) for name in one.devices]
    differences = [0.0]
    for ours, theirs in (*pairs, (one.shared, other.shared)):
        assert ours.keys() == theirs.keys()
        for key, value in ours.items():
            assert value.dtype == theirs[key].dtype
            assert value.shape == theirs[key].shape
            apart = np.abs(np.subtract(value, theirs[key], dtype=np.float64))
            differences.append(float(apart.max(initial=0.0)))
    return float(np.max(differences))  # NaN where one holds NaN


# Equal but for the last digits: losses are float32, whatever the program computes with.
_LOSSES = {"windows": "loss", "rounds": "loss"}


def assert_equal_records(one: Trial, other: Trial) -> None:
    """Compare every figure of every window, round and device, and everything that befell them."""
    for kind, loss in _LOSSES.items():
        ours, theirs = getattr(one, kind), getattr(other, kind)
        pd.testing.assert_frame_equal(ours.drop(columns=loss), theirs.drop(columns=loss))
        np.testing.assert_allclose(ours[loss], theirs[loss], rtol=2e-5, atol=2e-6)
    pd.testing.assert_frame_equal(events_of(one), events_of(other))


def events_of(trial: Trial) -> pd.DataFrame:
    """Read all rows of events/ that cohorts wrote; none where there can be none."""
    folder = trial.folder / "events"
    return read_all(folder) if folder.exists() else pd.DataFrame()


def assert_equal_trials(stacked: Trial, one_by_one: Trial) -> None:
    """Compare all that two engines came to; one of them keeps more of each program."""
    assert_equal_records(stacked, one_by_one)
    assert farthest(stacked, one_by_one) < 1e-8
    assert stacked.events == one_by_one.events
    assert len(stacked.states) == len(one_by_one.states) > 0
    for name, state in stacked.states.items():
        full = one_by_one.states[name]
        assert all(key.startswith("program/") for key in full.keys() - state.keys())
        for key, value in state.items():
            np.testing.assert_allclose(value, full[key], rtol=0.0, atol=1e-8, err_msg=key)

"""A worker: devices of some cohorts, each with its own loaded SavedModel, one after the other.

This is the reference engine. A worker computes with one thread, so that its results do not depend
on how many workers there are.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import tensorflow as tf

from clients.device import Device
from clients.learner import Learner
from clients.methods import Arrays
from clients.outcome import Outcome, Update
from clients.program import Program, read_checkpoint, write_copy
from simulator.arms import habits_of, method_in_round
from simulator.base import prepare
from simulator.plan import Cohort, Plan, Prepared
from simulator.records import Records, RoundRow
from simulator.scenario import Arm

__all__ = ["Worker"]


class Worker:
    """Computes the devices of its cohorts; the same calls work in this process and on Ray."""

    def __init__(self) -> None:
        use_one_thread()
        self._pools: dict[str, list[Program]] = {}
        self._folder: Path
        self._plan: Plan
        self._prepared: Mapping[int, Prepared]

    def load(self, plan: Plan, folder: Path) -> None:
        """Take in the plan of a run."""
        if self._pools and _graph(plan) != _graph(self._plan):
            self._pools = {}
        self._plan, self._folder = plan, folder

    def prepare(self, folds: Sequence[int]) -> list[Prepared]:
        """Make the base models of some folds."""
        return [prepare(self._plan, self._plan.folds[i], self._folder / "base") for i in folds]

    def equip(self, prepared: Mapping[int, Prepared]) -> None:
        """Take in the base models of all folds."""
        self._prepared = prepared

    def open(self, arm: Arm, cohorts: Sequence[Cohort]) -> None:
        """Give every device of some cohorts a fresh start in one arm."""
        self._arm, self._cohorts = arm, list(cohorts)
        self._records = {}
        self._devices: dict[int, Device] = {}
        habits = habits_of(self._plan.scenario, arm)
        for cohort in cohorts:
            activities = self._plan.scenario.data.activities
            self._records[cohort.index] = Records(arm.name, cohort.fold, activities)
            prepared = self._prepared[cohort.fold]
            state = {} if arm.method == "heuristic" else read_checkpoint(self._source(prepared))
            for index in cohort.devices:
                learner: Learner
                if arm.method == "heuristic":
                    assert prepared.heuristic is not None
                    learner = prepared.heuristic
                else:
                    learner = self._program(len(self._devices), self._source(prepared), state)
                self._devices[index] = Device(self._plan.wears[index], habits, learner)

    def work(self, round_: int, participants: Sequence[int], shared: Arrays | None) -> list[Update]:
        """Let every device work through its questions of one round.

        Args:
            round_: the round, from 1.
            participants: indices of the devices that the server chose.
            shared: the server's arrays, where somebody downloads them.

        Returns:
            updates of the participants among this worker's devices, in order of cohort and device.
        """
        chosen = set(participants)
        updates = []
        for cohort in self._cohorts:
            head = self._prepared[cohort.fold].head
            method = method_in_round(self._arm, round_, head)
            for index in cohort.devices:
                device = self._devices[index]
                joins = index in chosen
                downloads = method.downloads == "all" or (joins and method.downloads != "nobody")
                if downloads and shared is not None:
                    device.begin(method, shared)
                learns = method.learns == "all" or (joins and method.learns == "participants")
                outcome = device.work(round_, learns=learns)
                uploads = joins and method.uploads and outcome.examples > 0
                if uploads:
                    updates.append(device.update(method, outcome))
                self._records[cohort.index].rows.append(
                    RoundRow(
                        round_,
                        device.wear,
                        joins,
                        outcome,
                        _size(shared or {}) if downloads else 0,
                        _size(updates[-1].arrays) if uploads else 0,
                        device.memory_windows,
                    )
                )
        return updates

    def score(self, round_: int, shared: Arrays | None) -> None:
        """Score the holdout of every device after a round; nothing is learnt from it."""
        for cohort in self._cohorts:
            records = self._records[cohort.index]
            method = method_in_round(self._arm, max(round_, 1), self._prepared[cohort.fold].head)
            rows = {row.wear.index: row for row in records.rows if row.round_ == round_}
            for index in cohort.devices:
                device = self._devices[index]
                if round_ == 0:
                    records.rows.append(RoundRow(0, device.wear, False, Outcome(), 0, 0, 0))
                    rows[index] = records.rows[-1]
                rows[index].holdout = device.score_holdout(method, shared)

    def save(self, round_: int, shared: Arrays | None) -> None:
        """Write the SavedModel of each device that may have one, as it would answer its user."""
        if self._arm.method == "heuristic":
            return
        most = self._plan.scenario.checkpoints.materialize
        for cohort in self._cohorts:
            prepared = self._prepared[cohort.fold]
            method = method_in_round(self._arm, max(round_, 1), prepared.head)
            for index in cohort.devices:
                if index >= most:
                    continue
                device = self._devices[index]
                folder = self._folder / "devices" / self._arm.name / device.wear.name
                state = device.state(method, shared)
                write_version(self._source(prepared), folder, round_, state)
                _forget(folder, self._plan.scenario.checkpoints.keep)

    def write(self, rounds: int) -> None:
        """Write the records of the open arm, up to a number of rounds."""
        for cohort in self._cohorts:
            records = self._records[cohort.index]
            records.rows = [row for row in records.rows if row.round_ <= rounds]
            for kind, table in (("windows", records.windows()), ("rounds", records.rounds())):
                path = self._folder / kind / self._arm.name / f"cohort-{cohort.index:05d}.parquet"
                path.parent.mkdir(parents=True, exist_ok=True)
                unfinished = path.with_suffix(".unfinished")
                pq.write_table(table, unfinished, compression="zstd")
                unfinished.replace(path)

    def _optimizer(self) -> str:
        """Return the optimizer of the open arm."""
        return self._arm.optimizer or self._plan.scenario.model.optimizer

    def _source(self, prepared: Prepared) -> Path:
        """Return the SavedModel that the devices of the open arm have copies of."""
        return prepared.paths[self._optimizer()]

    def _program(self, number: int, path: Path, state: Mapping[str, Any]) -> Program:
        """Return a loaded SavedModel of a device's own; loaded ones serve again in later arms."""
        pool = self._pools.setdefault(self._optimizer(), [])
        if number == len(pool):
            pool.append(Program(path))
        program = pool[number]
        program.become(path, state)
        if self._arm.learning_rate is not None:
            program.set_learning_rate(self._arm.learning_rate)
        return program


def use_one_thread() -> None:
    """Make TensorFlow compute with one thread and the same operations in the same order."""
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    tf.constant(0)  # starts TensorFlow now


def write_version(source: Path, folder: Path, round_: int, state: Mapping[str, Any]) -> None:
    """Write one version of a device's SavedModel, whole or not at all."""
    version = folder / f"round-{round_:05d}"
    if version.exists():
        return
    unfinished = folder / f".{version.name}"
    shutil.rmtree(unfinished, ignore_errors=True)  # an interrupt may have left it
    write_copy(source, unfinished, state)
    unfinished.rename(version)


def _graph(plan: Plan) -> tuple[Any, ...]:
    """Return what the graph of a run's programs depends on."""
    population = plan.population
    activities = tuple(plan.scenario.data.activities)
    return plan.scenario.model, population.length, population.channels, activities


def _forget(folder: Path, keep: int) -> None:
    """Remove all but the last versions."""
    for version in sorted(folder.glob("round-*"))[:-keep]:
        shutil.rmtree(version)


def _size(arrays: Arrays) -> int:
    """Return the bytes of some arrays on the network."""
    return int(sum(np.asarray(value).nbytes for value in arrays.values()))

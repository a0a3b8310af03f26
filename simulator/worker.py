"""A worker: the devices of some cohorts, computed with one thread.

As each worker has one thread, its results do not depend on how many workers there are.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from clients import chance
from clients.methods import Arrays, Method
from clients.methods.groups import Groups, nested
from clients.methods.method import Who
from clients.outcome import Outcome
from clients.user import NO_ANSWER
from clients.wear import Wear
from simulator.adversity import WHEN_DROPPED, Adversity
from simulator.answered import Answered, answered_in
from simulator.arms import habits_of_arm, method_in_round
from simulator.arrays_file import Damaged, Written
from simulator.checkpoint import read_pooled, read_state, write_pooled, write_state
from simulator.engines import Devices, Engines
from simulator.event import Event
from simulator.journey import REASONS
from simulator.kept import Kept
from simulator.memory import give_back, held_mib, peak_mib
from simulator.noticing import Noticing
from simulator.options import SHARING
from simulator.plan import Cohort, Plan
from simulator.pooled import Pooled
from simulator.prepared import Prepared
from simulator.prepared_files import prepared_in
from simulator.reacting import Reacting
from simulator.records import Records, RoundRows
from simulator.reply import Reply, Terms, Used, reply_of
from simulator.scenario import Arm
from simulator.store import RunFolder
from simulator.versions import keep_versions, write_version

__all__ = ["Worker", "use_one_thread"]


class Worker:
    """Computes the devices of its cohorts; the same calls work in this process and on Ray."""

    def __init__(self) -> None:
        use_one_thread()
        self._engines = Engines()
        self._cohorts: Sequence[Cohort] = ()
        self._let_go()
        self._answered: list[Answered] = []
        self._pooled: Pooled | None = None
        self._folder: Path
        self._plan: Plan
        self._prepared: Mapping[int, Prepared]

    def _let_go(self) -> None:
        """Let go of the devices of all cohorts."""
        self._wears: dict[int, Wear] = {}
        self._devices: dict[int, Devices] = {}
        self._records: dict[int, Records] = {}
        self._adversity: dict[int, Adversity] = {}
        self._noticing: dict[int, Noticing] = {}
        self._reacting: dict[int, Reacting] = {}

    def sees(self, path: Path) -> bool:
        """Tell whether a file of the driver's is there for this worker too."""
        return path.exists()

    def load(self, plan: Plan, folder: Path) -> None:
        """Take in the plan of a run."""
        self._plan, self._folder = plan, folder

    def prepare(self, folds: Sequence[int]) -> list[Prepared]:
        """Make the base models of some folds, or read those that are there."""
        return [prepared_in(self._folder / "base", self._plan, self._plan.folds[i]) for i in folds]

    def equip(self, prepared: Mapping[int, Prepared]) -> None:
        """Take in the base models of all folds."""
        self._prepared = prepared
        gc.freeze()  # TensorFlow's many objects stay, and need not be looked through again

    def open(self, arm: Arm, fold: int, cohorts: Sequence[Cohort]) -> None:
        """Give every device of some cohorts, all of one fold, a fresh start in one arm."""
        self._arm, self._fold, self._cohorts = arm, fold, cohorts
        self._answered, self._pooled = [], None
        self._let_go()  # what was open before leaves memory first
        if not cohorts:
            return
        make = self._engines.open(self._plan, self._prepared[fold], arm)
        for cohort in cohorts:
            wear = self._plan.wear(cohort.devices)
            self._wears[cohort.index], self._devices[cohort.index] = wear, make(wear)
            self._records[cohort.index] = Records(
                self._folder,
                arm.name,
                cohort.index,
                cohort.fold,
                self._plan.scenario.data.activities,
                wear.names,
                wear.users,
                self._plan.pool.windows.time_s,
                self._written(cohort),
                downloaded=self._plan.scenario.measure.downloaded,
                reasons=self._reasons(arm),
            )
            self._adversity[cohort.index] = Adversity(self._plan, wear)
            self._notice(cohort, wear)

    def _reasons(self, arm: Arm) -> list[str]:
        """Return what events of an arm may be about."""
        scenario = self._plan.scenario
        about: list[str] = [table.kind for table in scenario.drift]
        about += [table.kind for table in scenario.detectors]
        about += [arm.reaction] if arm.reaction is not None else []
        about += [*REASONS, *WHEN_DROPPED] if arm.method in SHARING else []
        return list(dict.fromkeys(about))

    def _notice(self, cohort: Cohort, wear: Wear) -> None:
        """Let a cohort's devices watch for drift, and react, where the scenario wants it."""
        scenario, arm, prepared = self._plan.scenario, self._arm, self._prepared[cohort.fold]
        if scenario.drift or scenario.detectors:
            self._noticing[cohort.index] = Noticing(
                wear,
                [table.kind for table in scenario.drift],
                prepared.thresholds,
                chance.key(scenario.seed, "detectors") % 2**31,
                scenario.labels.delay_rounds,
            )
        if arm.reaction is not None:
            budget = scenario.labels.budget or scenario.stream.questions_per_round
            rate = arm.learning_rate or scenario.model.learning_rate
            self._reacting[cohort.index] = Reacting(arm, prepared, len(wear), budget, rate)

    def work(
        self,
        round_: int,
        participants: NDArray[np.int64],
        shared: Arrays | None,
        terms: Terms,
    ) -> tuple[list[Reply], NDArray[np.int64], Used]:
        """Let every device work through its questions of one round.

        Args:
            round_: the round, from 1.
            participants: int64 [n], the devices that the server chose, in ascending order.
            shared: the server's arrays, where somebody downloads them.
            terms: how updates are treated.

        Returns:
            replies of the cohorts that send something, int64 [n], the devices whose battery is too
            low for another round, and what this worker has used so far.
        """
        replies, flat = [], [np.zeros(0, np.int64)]
        for cohort in self._cohorts:
            devices, method = self._devices[cohort.index], self._method(cohort, round_)
            received = _received(method, shared) or {}
            joins = _among(participants, cohort.devices)
            adversity = self._adversity[cohort.index]
            fate, reply = adversity.fate(round_), None
            begins = joins & (fate.until > 0.0)
            events: list[Event] = []
            reacting = self._reacting.get(cohort.index)
            noticing = self._noticing.get(cohort.index)
            if reacting is not None:
                events += reacting.act(round_, devices)
            downloads = _who(method.downloads, begins) & (shared is not None)
            if downloads.any():
                devices.begin(method, received, downloads, round_)
            until = np.where(joins & method.uploads, fate.until, 1.0)
            learns = _who(method.learns, begins)
            outcome = devices.work(round_, learns, method, received, until)
            uploads = begins & (until == 1.0) & (outcome.examples > 0) & method.uploads
            down = downloads * np.int64(_size(shared or {}))
            if uploads.any():
                updates = devices.updates(method, received, uploads)
                journey = adversity.journey(round_, fate, down, waits=terms.waits)
                reply = reply_of(
                    cohort.index, cohort.devices, received, updates, outcome, terms, journey
                )
                replies.append(reply)
            up = uploads * np.int64(0 if reply is None else reply.bytes_each)
            if self._arm.method == "pooled":
                self._answered.append(answered_in(outcome, cohort.devices))
                up, outcome.gradients[:] = self._pooled_cost(outcome)
            wear = self._wears[cohort.index]
            drifted, in_force = wear.drifted(outcome.windows), self._in_force(wear, round_)
            if noticing is not None:
                events += noticing.hear(round_, outcome)
            if reacting is not None:
                reacting.hear(outcome, events, devices)
            drops = joins & method.uploads
            befallen, told = adversity.settle(
                round_, drops, uploads, fate, outcome, down + up, reply
            )
            events += told
            flat.append(cohort.devices[~adversity.ready])
            rows = RoundRows(round_, joins, outcome, down, up, drifted, in_force, events, befallen)
            self._records[cohort.index].add(rows)
        return replies, np.concatenate(flat), self.used()

    def _in_force(self, wear: Wear, round_: int) -> NDArray[np.bool_] | None:
        """Tell on which devices some drift is in force after a round: bool [D], if any ever is."""
        if wear.drift is None:
            return None
        return wear.drift.after(round_ * self._plan.scenario.stream.questions_per_round) > 0

    def answered(self) -> list[Answered]:
        """Hand over what users answered since this was last asked, where the arm pools it."""
        answered, self._answered = self._answered, []
        return answered

    def pool(self, round_: int, answered: Answered | None) -> Arrays | None:
        """Learn everybody's answers of a round, in the one worker that is given them."""
        if answered is None:
            return None
        if self._pooled is None:
            self._pooled = self._new_pooled()
        return self._pooled.learn(round_, answered)

    def _new_pooled(self) -> Pooled:
        prepared = self._prepared[self._fold]
        habits = habits_of_arm(self._plan, prepared, self._arm)
        return Pooled(self._plan, self._fold, self._engines.program(prepared, self._arm), habits)

    def _pooled_cost(self, outcome: Outcome) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Return the bytes of each device's answers, with their windows, and steps they lead to."""
        pool, steps = self._plan.pool, self._arm.steps or self._plan.scenario.learning.steps
        answered = outcome.answer != NO_ANSWER
        windows = ((outcome.windows >= 0) & answered[..., None]).sum(axis=(1, 2))
        count = answered.sum(axis=1)
        bytes_up = windows * (pool.length * pool.channels * 4) + count * 4
        return bytes_up.astype(np.int64), (count * steps).astype(np.int32)

    def score(self, round_: int, shared: Arrays | None) -> Used:
        """Score the holdout of every device after a round; nothing is learnt from it."""
        per_round = self._plan.scenario.stream.questions_per_round
        for cohort in self._cohorts:
            records, wear = self._records[cohort.index], self._wears[cohort.index]
            if round_ == 0:
                none = np.zeros(len(cohort.devices), np.int64)
                in_force = self._in_force(wear, 0)
                nobody = none.astype(np.bool_)
                befallen = self._adversity[cohort.index].before()
                records.add(
                    RoundRows(0, nobody, None, none, none, in_force=in_force, befallen=befallen)
                )
            method, devices = self._method(cohort, round_), self._devices[cohort.index]
            sent, exam = _received(method, shared), wear.exam(round_ * per_round)
            now = devices.score_holdout(method, sent, round_, exam)
            drifted, before = exam.state > 0, None
            if drifted.any():  # what is kept of the time before
                usual = wear.exam().of(drifted)
                other = devices.score_holdout(method, sent, round_, usual)
                before = np.where(drifted[:, None, None], other, now)
            stamped = exam.stamp(wear)
            taken = None
            if stamped is not None:
                answers = devices.score_holdout(method, sent, round_, stamped)
                taken = wear.taken_in(answers)
            records.score(round_, now, before, taken)
        return self.used()

    def save(self, round_: int, shares: bool, folder: Path) -> list[Written]:
        """Write the state of every cohort, records included, into a checkpoint's folder.

        Returns:
            what was written; and, with names that end in `.arrow`, the row groups of the records
            that have left memory so far.
        """
        written = []
        for cohort in self._cohorts:
            give_back()  # the state is copied out, as large as all that the cohort's devices are
            names = [self._plan.name_of(device) for device in cohort.devices]
            records = self._records[cohort.index]
            state = self._snapshot(cohort) | records.snapshot()
            groups = records.written
            written += [
                write_state(
                    folder,
                    cohort,
                    round_,
                    names,
                    state,
                    shares=shares,
                    models=self._arm.method != "heuristic",
                    groups=groups,
                ),
                *groups,
            ]
        if self._pooled is not None:
            written.append(write_pooled(folder, self._pooled.snapshot()))
        give_back()
        return written

    def damage(self, path: Path, round_: int, part: int, parts: int) -> str | None:
        """Look for damage in a part of a checkpoint's files; returns what is damaged, if any is."""
        try:
            Kept(path).check(round_, part, parts)
        except Damaged as damaged:
            return str(damaged)
        return None

    def write_models(self, round_: int, shared: Arrays | None, folder: Path) -> None:
        """Write the SavedModels, as of a checkpoint, of the devices that may have one.

        A SavedModel is the device as it would answer its user. The devices are then what they were
        at the checkpoint.
        """
        scenario = self._plan.scenario
        optimizer = self._arm.optimizer or scenario.model.optimizer
        for cohort in self._cohorts:
            rows = np.flatnonzero(cohort.devices < scenario.checkpoints.materialize)
            if self._arm.method == "heuristic" or not rows.size:
                continue
            devices, method = self._devices[cohort.index], self._method(cohort, round_)
            devices.restore(read_state(folder, cohort)[0])
            source = self._prepared[cohort.fold].paths[optimizer]
            for row in rows.tolist():
                name = self._plan.name_of(cohort.devices[row])
                state = devices.state(method, _received(method, shared), row, round_)
                own = RunFolder(self._folder).versions(self._arm.name, name)
                write_version(source, own, round_, state)

    def keep_models(self, rounds: Sequence[int]) -> None:
        """Remove the SavedModels of the open devices that are not of some rounds."""
        most = self._plan.scenario.checkpoints.materialize
        devices = [int(one) for cohort in self._cohorts for one in cohort.devices if one < most]
        for device in devices:
            name = self._plan.name_of(device)
            keep_versions(RunFolder(self._folder).versions(self._arm.name, name), rounds)
        if devices:
            os.sync()  # once for all of them

    def _snapshot(self, cohort: Cohort) -> dict[str, NDArray[Any]]:
        """Return all that a cohort's devices are, watch and do, as named arrays [D, ...]."""
        own = (self._devices, self._noticing, self._reacting, self._adversity)
        parts = [some[cohort.index].snapshot() for some in own if cohort.index in some]
        return {name: value for part in parts for name, value in part.items()}

    def restore(self, folder: Path, first: bool) -> None:
        """Let every device of the open arm become what it was when a checkpoint was written.

        Args:
            folder: of the checkpoint.
            first: whether this worker has the server of an arm that pools its answers.

        Raises:
            Damaged: a file of it is not whole.
        """
        for cohort in self._cohorts:
            state, groups = read_state(folder, cohort)
            own = (self._devices, self._noticing, self._reacting, self._adversity)
            for part in (some[cohort.index] for some in own if cohort.index in some):
                part.restore(state)
            self._records[cohort.index].restore(state, groups)
        if self._arm.method == "pooled" and first:
            self._pooled = self._new_pooled()
            self._pooled.restore(read_pooled(folder))

    def write(self, rounds: int) -> None:
        """Finish the records of the open arm, up to a number of rounds, and let go of it."""
        for cohort in self._cohorts:
            self._records[cohort.index].write(rounds)
        self._cohorts = ()
        self._let_go()

    def used(self) -> Used:
        """Return what this worker has used so far."""
        return Used(self._engines.compiled_s, peak_mib(), held_mib())

    def _method(self, cohort: Cohort, round_: int) -> Method:
        """Return the open arm's way of learning in a round."""
        return method_in_round(self._arm, max(round_, 1), self._prepared[cohort.fold].parts)

    def _written(self, cohort: Cohort) -> NDArray[np.bool_]:
        """Return whose windows are written: bool [D]; the same devices in every arm."""
        windows = self._plan.scenario.records.windows
        share = {"all": 1.0, "none": 0.0}.get(str(windows), windows)
        draws = chance.uniforms(self._plan.scenario.seed, "records", 0, cohort.devices, 1)
        return np.asarray(draws[:, 0] < float(share))


def use_one_thread() -> None:
    """Make TensorFlow compute with one thread and the same operations in the same order."""
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    tf.constant(0)  # starts TensorFlow now


def _among(participants: NDArray[np.int64], devices: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which devices take part, bool [D], without looking at all who do."""
    if not participants.size:
        return np.zeros(devices.size, np.bool_)
    place = np.searchsorted(participants, devices)
    return np.asarray(participants.take(place, mode="clip") == devices)


def _who(who: Who, joins: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return whom a method means, bool [D], where some devices take part."""
    if who == "participants":
        return joins
    return np.full(joins.shape, who == "all")


def _received(method: Method, shared: Arrays | None) -> Groups | None:
    """Put what the server sends into groups, where it sends something."""
    return None if shared is None else nested(shared, method.offer({}))


def _size(arrays: Arrays) -> int:
    """Return the bytes of some arrays on the network."""
    return int(sum(np.asarray(value).nbytes for value in arrays.values()))

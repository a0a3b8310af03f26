"""A worker: the devices of some cohorts, computed with one thread.

As each worker has one thread, its results do not depend on how many workers there are.
"""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from clients.methods import Arrays
from simulator.base.arms import habits_of_arm
from simulator.base.prepared import Prepared
from simulator.base.prepared_files import prepared_in
from simulator.cohort.answered import Answered
from simulator.cohort.checkpoint import read_pooled, write_pooled
from simulator.cohort.engines import Engines
from simulator.cohort.open_cohort import OpenCohort
from simulator.cohort.pooled import Pooled
from simulator.cohort.pulse import Pulse
from simulator.cohort.reply import Reply, Terms, Used
from simulator.folder.arrays_file import Damaged, Written, file_written, sync_folders
from simulator.folder.kept import Kept
from simulator.plan.plan import Cohort, Plan
from simulator.process.memory import give_back, held_mib, peak_mib
from simulator.scenario.scenario import Arm

__all__ = ["Worker", "use_one_thread"]


class Worker:
    """Computes the devices of its cohorts; the same calls work in this process and on Ray."""

    def __init__(self) -> None:
        use_one_thread()
        self._engines = Engines()
        self._cohorts: list[OpenCohort] = []
        self._pooled: Pooled | None = None
        self._folder: Path
        self._plan: Plan
        self._prepared: Mapping[int, Prepared]

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
        self._arm, self._fold = arm, fold
        self._cohorts, self._pooled = [], None  # what was open before leaves memory first
        if not cohorts:
            return
        prepared = self._prepared[fold]
        make = self._engines.open(self._plan, prepared, arm)
        for cohort in cohorts:
            wear = self._plan.wear(cohort.devices)
            devices = make(wear)
            self._cohorts.append(
                OpenCohort(self._plan, self._folder, prepared, arm, cohort, wear, devices)
            )

    def work(
        self,
        round_: int,
        participants: NDArray[np.int64],
        shared: Arrays | None,
        terms: Terms,
    ) -> tuple[list[Reply], NDArray[np.int64], Used, Pulse]:
        """Let every device work through its questions of one round.

        Args:
            round_: the round, from 1.
            participants: int64 [n], the devices that the server chose, in ascending order.
            shared: the server's arrays, where somebody downloads them.
            terms: how updates are treated.

        Returns:
            replies of the cohorts that send something, int64 [n], the devices whose battery is too
            low for another round, what this worker has used so far, and how the round went.
        """
        replies = [cohort.work(round_, participants, shared, terms) for cohort in self._cohorts]
        flat = [np.zeros(0, np.int64), *(cohort.flat for cohort in self._cohorts)]
        pulse = Pulse.joined(cohort.pulse for cohort in self._cohorts)
        sent = [one for one in replies if one is not None]
        return sent, np.concatenate(flat), self.used(), pulse

    def answered(self) -> list[Answered]:
        """Hand over what users answered in the last round, where the arm pools it."""
        return [one.answered for one in self._cohorts if one.answered is not None]

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

    def score(self, round_: int, shared: Arrays | None) -> Used:
        """Score the holdout of every device after a round; nothing is learnt from it."""
        for cohort in self._cohorts:
            cohort.score(round_, shared)
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
            written += cohort.save(round_, shares, folder)
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

    def restore(self, folder: Path, first: bool) -> None:
        """Let every device of the open arm become what it was when a checkpoint was written.

        Args:
            folder: of the checkpoint.
            first: whether this worker has the server of an arm that pools its answers.

        Raises:
            Damaged: a file of it is not whole.
        """
        for cohort in self._cohorts:
            cohort.restore(folder)
        if self._arm.method == "pooled" and first:
            self._pooled = self._new_pooled()
            self._pooled.restore(read_pooled(folder))

    def write_models(self, round_: int, shared: Arrays | None, folder: Path) -> None:
        """Write the SavedModels, as of a checkpoint, of the devices that may have one.

        The devices are then what they were at the checkpoint.
        """
        for cohort in self._cohorts:
            cohort.write_models(round_, shared, folder)

    def keep_models(self, rounds: Sequence[int]) -> list[Written]:
        """Remove the SavedModels of the open devices that are not of some rounds.

        Returns:
            the variables of the others, named from the run folder on.
        """
        files = [file for cohort in self._cohorts for file in cohort.models.keep(rounds)]
        if files:
            os.sync()  # once for all of them
        return [file_written(file, self._folder) for file in files]

    def write(self, rounds: int) -> list[Written]:
        """Finish the records of the open arm, up to a number of rounds, and let go of it.

        Returns:
            their files, named from the run folder on.
        """
        files = [file for cohort in self._cohorts for file in cohort.finish(rounds)]
        self._cohorts = []
        written = [file_written(file, self._folder) for file in files]
        sync_folders(self._folder, written)
        return written

    def used(self) -> Used:
        """Return what this worker has used so far."""
        return Used(self._engines.compiled_s, peak_mib(), held_mib())


def use_one_thread() -> None:
    """Make TensorFlow compute with one thread and the same operations in the same order."""
    tf.get_logger().setLevel(logging.ERROR)  # it is talkative in an interactive Python
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    tf.constant(0)  # starts TensorFlow now

"""Cohorts of devices on workers, and their checkpoints."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clients.errors import BadInput, WorkerLost
from clients.methods import Arrays
from simulator.base.prepared import Prepared
from simulator.cohort.answered import Answered
from simulator.cohort.pulse import Pulse
from simulator.cohort.reply import Reply, Terms, Used
from simulator.folder.arrays_file import Written
from simulator.folder.store import RunFolder
from simulator.plan.plan import Plan
from simulator.running.patience import Patience
from simulator.running.workers import Workers
from simulator.scenario.scenario import Arm

__all__ = ["Fleet"]


class Fleet:
    """All devices of a run, spread over workers by cohort.

    Attributes:
        nodes: the node that each worker is on, once they know of a run.
        used: what each worker had used when it was last told to compute.
        pulse: how the last round of the open fold went.
    """

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self.nodes: Sequence[str] = ()
        self.used: Sequence[Used] = [Used(0.0, 0.0, None)] * workers.count
        self.pulse = Pulse()

    def prepare(self, plan: Plan, folder: Path) -> list[Prepared]:
        """Make the base models of all folds, side by side, and tell all workers of them.

        What lies in the folder already, and is whole, is not made again.

        Raises:
            RunFailed: workers were lost again and again.
        """
        self._plan, self._folder = plan, folder
        self._prepared: Mapping[int, Prepared] = {}
        patience = Patience(RunFolder(folder))
        while True:
            try:
                self._introduce()
                return [self._prepared[fold] for fold in range(len(plan.folds))]
            except WorkerLost as lost:
                patience.bear(lost, "while base models were made")
                self._workers.renew()

    def _introduce(self) -> None:
        """Tell all workers of the run, and of the base models, which are made where they lack."""
        count, folds = self._workers.count, range(len(self._plan.folds))
        self.nodes = list(self._workers.nodes)
        self._check_shared(self._folder)
        shared = self._workers.share(self._plan)
        self._workers.call("load", [(shared, self._folder)] * count)
        if not self._prepared:
            made = self._workers.call("prepare", [(list(folds)[i::count],) for i in range(count)])
            self._prepared = {one.fold: one for some in made for one in some}
        self._workers.call("equip", [(self._workers.share(self._prepared),)] * count)
        self.used = self._workers.call("used", [()] * count)

    def renew(self) -> None:
        """Replace workers that were lost; an arm has to be opened anew.

        Raises:
            WorkerLost: another one was lost meanwhile.
            RunFailed: there is no core for any worker.
        """
        self._workers.renew()
        self._introduce()

    def _check_shared(self, folder: Path) -> None:
        """Refuse a run folder that some worker cannot see, since workers write into it."""
        token = folder / f".seen-{os.getpid()}"
        token.touch()
        seen = self._workers.call("sees", [(token,)] * self._workers.count)
        token.unlink()
        blind = [node for node, there in zip(self.nodes, seen, strict=True) if not there]
        if blind:
            raise BadInput(
                f"--out {folder}: workers write their records there, and {len(blind)} of "
                f"{len(seen)} do not see it (Ray node {blind[0]}); give a folder on a file system "
                "that all nodes share"
            )

    def open(self, arm: Arm, fold: int) -> None:
        """Give every device of a fold a fresh start in one arm."""
        cohorts, count = self._plan.cohorts_of(fold), self._workers.count
        self._workers.call("open", [(arm, fold, cohorts[i::count]) for i in range(count)])

    def work(
        self,
        round_: int,
        participants: NDArray[np.int64],
        shared: Arrays | None,
        terms: Terms,
    ) -> tuple[list[Reply], NDArray[np.int64]]:
        """Let every device of the open fold work through one round.

        Args:
            round_: the round, from 1.
            participants: int64 [n], the devices that the server chose, in ascending order.
            shared: the server's arrays, where somebody downloads them.
            terms: how updates are treated.

        Returns:
            replies in order of cohort, and int64 [n], the devices whose battery is now too low.
        """
        sent = None if shared is None else self._workers.share(shared)
        chosen = self._workers.share(participants)
        arguments = [(round_, chosen, sent, terms)] * self._workers.count
        done = self._workers.call("work", arguments)
        self.used = [used for _, _, used, _ in done]
        self.pulse = Pulse.joined(pulse for *_, pulse in done)
        replies = sorted((r for some, *_ in done for r in some), key=lambda reply: reply.cohort)
        return replies, np.concatenate([flat for _, flat, *_ in done])

    def pool(self, round_: int) -> Arrays:
        """Let one model learn what all users answered in a round; returns its parameters."""
        count = self._workers.count
        parts = [one for some in self._workers.call("answered", [()] * count) for one in some]
        everybody = self._workers.share(Answered.joined(parts))
        learnt = self._workers.call("pool", [(round_, everybody), *[(round_, None)] * (count - 1)])
        return dict(learnt[0])

    def score(self, round_: int, shared: Arrays | None) -> None:
        """Score the holdout of every device of the open fold."""
        sent = None if shared is None else self._workers.share(shared)
        self.used = self._workers.call("score", [(round_, sent)] * self._workers.count)

    def save(self, round_: int, shares: bool, folder: Path) -> list[Written]:
        """Write what the devices and the records of the open fold are into a checkpoint's folder.

        Args:
            round_: after which.
            shares: whether the devices answer with the server's arrays.
            folder: of the checkpoint.

        Returns:
            all files of the checkpoint so far; those that end in `.arrow` are row groups of the
            records that have left memory.
        """
        count = self._workers.count
        written = self._workers.call("save", [(round_, shares, folder)] * count)
        return [one for some in written for one in some]

    def damage(self, path: Path, round_: int) -> str | None:
        """Look at all files of a checkpoint; returns what is damaged, if any is.

        Args:
            path: of the fold's checkpoints.
            round_: of the checkpoint.
        """
        count = self._workers.count
        found = self._workers.call("damage", [(path, round_, i, count) for i in range(count)])
        return next((one for one in found if one is not None), None)

    def restore(self, folder: Path) -> None:
        """Let the devices of the open fold become what they were at a checkpoint."""
        self._workers.call("restore", [(folder, i == 0) for i in range(self._workers.count)])

    def write_models(self, round_: int, shared: Arrays | None, folder: Path) -> None:
        """Write the SavedModels of the open fold as of a checkpoint, to which its devices go back.

        Args:
            round_: of the checkpoint.
            shared: the server's arrays then, where devices answer with them.
            folder: of the checkpoint.
        """
        sent = None if shared is None else self._workers.share(shared)
        self._workers.call("write_models", [(round_, sent, folder)] * self._workers.count)

    def keep_models(self, rounds: Sequence[int]) -> list[Written]:
        """Remove the SavedModels of the open fold that are not of some rounds.

        Returns:
            the variables of the others, named from the run folder on.
        """
        written = self._workers.call("keep_models", [(rounds,)] * self._workers.count)
        return [one for some in written for one in some]

    def write(self, rounds: int) -> list[Written]:
        """Finish the records of the open arm and fold, up to a number of rounds.

        Returns:
            their files, named from the run folder on.
        """
        written = self._workers.call("write", [(rounds,)] * self._workers.count)
        return [one for some in written for one in some]

    def stop(self) -> None:
        """End the workers."""
        self._workers.stop()

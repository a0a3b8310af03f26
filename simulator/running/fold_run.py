"""One arm in one fold, from its first round, or its last checkpoint, to its end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

from clients.errors import WorkerLost
from simulator.base.prepared import Prepared
from simulator.folder.arrays_file import Damaged, Written
from simulator.folder.full_disk import is_full_disk
from simulator.folder.kept import Kept, Manifest
from simulator.folder.store import RunFolder
from simulator.plan.plan import Plan
from simulator.running.federation import Server, Session
from simulator.running.fleet import Fleet
from simulator.running.patience import Patience
from simulator.running.saving import restore, save, write_models

__all__ = ["FoldRun", "Watcher"]

Events = Sequence[Mapping[str, Any]]


class Watcher(Protocol):
    """Is told how a run goes."""

    def stage(self, name: str, rounds: int, folds: int = 1) -> None:
        """Hear that something began that takes some rounds, in each of some folds."""
        ...

    def advance(self) -> None:
        """Hear that one round is done."""
        ...

    def note(self, text: str) -> None:
        """Hear what a person should know of the scenario."""
        ...


class FoldRun:
    """Runs the rounds of one arm in one fold.

    Whenever a worker is lost, all go back to the last checkpoint, or start anew before the first.
    """

    def __init__(
        self,
        plan: Plan,
        session: Session,
        prepared: Prepared,
        fleet: Fleet,
        run: RunFolder,
        watcher: Watcher,
    ) -> None:
        self._plan, self._session, self._prepared = plan, session, prepared
        self._fleet, self._run, self._watcher = fleet, run, watcher
        self.kept = Kept(
            run.checkpoints(session.arm.name) / str(session.fold), plan.scenario.checkpoints.keep
        )
        self._patience = Patience(run)
        self._told = 0  # rounds that the watcher has heard of
        self._opened = False
        self._serve: Server

    def carry_out(self, earlier: Events) -> Events:
        """Run the fold, or what is left of it, and finish its records.

        Args:
            earlier: what happened in the simulation of the arm's folds before.

        Returns:
            what happened in this fold, and before.
        """
        done = self._finished()
        if done is not None:
            self.kept.forget_rows()
            self._run.write_events(self._session.arm.name, [*earlier, *done])
            self._tell(self._plan.rounds)
            return [*earlier, *done]
        try:
            while True:
                try:
                    self._begin()
                    self._work()
                    self._finish(earlier)
                    return [*earlier, *self._session.events]
                except WorkerLost as lost:
                    self._recover(lost)
        except KeyboardInterrupt:
            self._keep_what_was_done(earlier, models=True)
            raise
        except Exception as error:
            if not isinstance(error, WorkerLost) and not is_full_disk(error):
                with contextlib.suppress(Exception):  # the first error is the one to tell
                    self._keep_what_was_done(earlier, models=False)
            raise

    def _finished(self) -> Events | None:
        """Return what happened in a fold that is done and whole; of one that is not whole, say so.

        Its row groups went when it was done, so that a checkpoint that needs them is damaged too.
        """
        try:
            return self.kept.finished(self._run.path)
        except Damaged as damaged:
            session = self._session
            why = str(damaged)
            self._run.log("fold damaged", arm=session.arm.name, fold=session.fold, why=why)
            self._watcher.note(
                f'fold {session.fold} of arm "{session.arm.name}" is damaged and done again: {why}'
            )
            self.kept.reopen()
            return None

    def _recover(self, lost: WorkerLost) -> None:
        """Replace workers that were lost."""
        while True:
            self._opened = False
            where = self._where()
            self._patience.bear(lost, where)
            self._watcher.note(f"a worker was lost {where}; going back to the last checkpoint")
            try:
                self._fleet.renew()
            except WorkerLost as another:
                lost = another
            else:
                return

    def _where(self) -> str:
        """Say in which part of the fold the run is."""
        round_, arm = self._session.done + 1, f'of arm "{self._session.arm.name}"'
        if round_ < 1:
            return f"before the first round {arm}"
        return f"in round {round_} {arm}" if round_ <= self._plan.rounds else f"at the end {arm}"

    def _begin(self) -> None:
        """Open the fold as its newest whole checkpoint has it, or as it is before its stream."""
        session = self._session
        manifest = self._newest()
        self._fleet.open(session.arm, session.fold)
        self._serve = Server(self._plan, session, self._prepared, self._fleet)
        if manifest is None:
            self._run.log("fold begins", arm=session.arm.name, fold=session.fold)
            session.events.clear()
            self._opened = True
            self._fleet.score(0, None)
            session.done = 0
            return
        restore(self.kept, self._fleet, session, self._serve, manifest)
        self._opened = True
        self._run.log("restored", arm=session.arm.name, fold=session.fold, round=manifest.round_)
        self._tell(session.done)

    def _newest(self) -> Manifest | None:
        """Return the newest checkpoint that is whole; set aside damaged ones that are newer."""
        rounds = self.kept.rounds()
        for round_ in reversed(rounds):
            if self._is_whole(round_):
                return self.kept.manifest(round_)
        if rounds:
            self._watcher.note(
                f'no checkpoint of fold {self._session.fold} of arm "{self._session.arm.name}" is '
                "whole, so it starts anew"
            )
        return None

    def _is_whole(self, round_: int) -> bool:
        """Look at all of a checkpoint; where it is damaged, say so and set it aside."""
        damage = self._fleet.damage(self.kept.path, round_)
        if damage is None:
            return True
        self._run.log("checkpoint damaged", round=round_, why=damage)
        self._watcher.note(f"the checkpoint after round {round_} is damaged: {damage}")
        self.kept.set_aside(round_)
        return False

    def _work(self) -> None:
        """Run the rounds that are left."""
        session, scenario, before = self._session, self._plan.scenario, self._fleet.used
        for round_ in range(session.done + 1, self._plan.rounds + 1):
            begun = time.perf_counter()
            shared = self._serve.round(round_)
            work_s = time.perf_counter() - begun
            last = round_ == self._plan.rounds
            if last or round_ % scenario.measure.holdout_every == 0:
                self._fleet.score(round_, shared)
            session.done, saving = round_, time.perf_counter()
            if last or round_ % scenario.checkpoints.every_rounds == 0:
                save(self.kept, self._fleet, session, self._serve, round_, shared)
                self._patience.got_on()
            used, ended = self._fleet.used, time.perf_counter()
            self._run.log(
                "round",
                arm=session.arm.name,
                fold=session.fold,
                round=round_,
                devices=len(self._plan.folds[session.fold].devices),
                wall_s=ended - begun,
                work_s=work_s,
                save_s=ended - saving,
                compiled_s=[
                    now.compiled_s - then.compiled_s for now, then in zip(used, before, strict=True)
                ],
                peak_rss_mib=[now.peak_rss_mib for now in used],
                rss_mib=[now.rss_mib for now in used],
                **asdict(self._fleet.pulse),
            )
            before = used
            self._tell(round_)

    def _finish(self, earlier: Events) -> None:
        """Write the devices' SavedModels and the records, and note that the fold is done."""
        begun = time.perf_counter()
        files = self._write_models()
        models_s = time.perf_counter() - begun
        files += self._fleet.write(self._plan.rounds)
        self._run.write_events(self._session.arm.name, [*earlier, *self._session.events])
        self.kept.done(self._session.events, files)
        self._run.log(
            "fold done",
            arm=self._session.arm.name,
            fold=self._session.fold,
            models_s=models_s,
            wall_s=time.perf_counter() - begun,
        )

    def _write_models(self) -> list[Written]:
        """Write a version of each device's SavedModel for each checkpoint that is kept."""
        self.kept.forget_old()
        rounds = [round_ for round_ in self.kept.rounds() if self._is_whole(round_)]
        return write_models(self.kept, self._fleet, rounds)

    def _keep_what_was_done(self, earlier: Events, *, models: bool) -> None:
        """Finish the records as far as all devices have come; the checkpoints stay as they are."""
        if not self._opened:
            return
        if models:
            self._write_models()
        self._fleet.write(self._session.done)
        self._run.write_events(self._session.arm.name, [*earlier, *self._session.events])

    def _tell(self, rounds: int) -> None:
        """Let the watcher hear of rounds, of each once."""
        for _ in range(self._told, rounds):
            self._watcher.advance()
        self._told = max(self._told, rounds)

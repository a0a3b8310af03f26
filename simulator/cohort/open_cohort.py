"""The devices of one cohort in one arm, from their fresh start to their last round.

Everything of a device meets here: what it wears and learns, what befalls it, what it notices, how
it reacts, and what is written down of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients import chance
from clients.methods import Arrays, Method
from clients.methods.groups import Groups, nested
from clients.methods.method import Who
from clients.outcome import Outcome
from clients.user import NO_ANSWER
from clients.wear import Wear
from simulator.base.arms import method_in_round
from simulator.base.prepared import Prepared
from simulator.cohort.adversity import WHEN_DROPPED, Adversity
from simulator.cohort.answered import Answered, answered_in
from simulator.cohort.checkpoint import read_state, write_state
from simulator.cohort.engines import Devices
from simulator.cohort.journey import REASONS
from simulator.cohort.noticing import Noticing
from simulator.cohort.pulse import Pulse, pulse_of
from simulator.cohort.reacting import Reacting
from simulator.cohort.records import Records, RoundRows
from simulator.cohort.reply import Reply, Terms, reply_of
from simulator.cohort.saved_models import SavedModels
from simulator.faults.fate import Fate
from simulator.folder.arrays_file import Written
from simulator.plan.plan import Cohort, Plan
from simulator.scenario.scenario import Arm
from simulator.scenario.ways import strategy_of

__all__ = ["OpenCohort"]


class OpenCohort:
    """One cohort in one arm.

    Attributes:
        models: its SavedModels in the run folder.
        answered: what its users answered in the last round, where the arm pools it.
        pulse: how the last round went.
    """

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        prepared: Prepared,
        arm: Arm,
        cohort: Cohort,
        wear: Wear,
        devices: Devices,
    ) -> None:
        """Begin before the first round.

        Args:
            plan: of the run.
            folder: of the run.
            prepared: the base model of the cohort's fold.
            arm: how its devices learn.
            cohort: which devices.
            wear: what they wear.
            devices: the same ones, fresh.
        """
        self._plan, self._folder, self._prepared = plan, folder, prepared
        self._arm, self._cohort, self._wear, self._devices = arm, cohort, wear, devices
        self._records = self._new_records()
        self._adversity = Adversity(plan, wear)
        self._noticing, self._reacting = self._new_noticing(), self._new_reacting()
        self._served = np.zeros(len(wear), np.bool_)  # who has what is downloaded once
        self.models = SavedModels(plan, folder, prepared, arm, cohort)
        self.answered: Answered | None = None
        self.pulse = Pulse()

    def _new_records(self) -> Records:
        scenario = self._plan.scenario
        return Records(
            self._folder,
            self._arm.name,
            self._cohort.index,
            self._cohort.fold,
            scenario.data.activities,
            self._wear.names,
            self._wear.users,
            self._plan.pool.windows.time_s,
            self._written(),
            downloaded=scenario.measure.downloaded,
            reasons=self._reasons(),
        )

    def _written(self) -> NDArray[np.bool_]:
        """Return whose windows are written: bool [D]; the same devices in every arm."""
        scenario = self._plan.scenario
        windows = scenario.records.windows
        share = {"all": 1.0, "none": 0.0}.get(str(windows), windows)
        draws = chance.uniforms(scenario.seed, "records", 0, self._cohort.devices, 1)
        return np.asarray(draws[:, 0] < float(share))

    def _reasons(self) -> list[str]:
        """Return what events may be about."""
        scenario, arm = self._plan.scenario, self._arm
        about: list[str] = [table.kind for table in scenario.drift]
        about += [table.kind for table in scenario.detectors]
        about += [arm.reaction] if arm.reaction is not None else []
        about += [*REASONS, *WHEN_DROPPED] if strategy_of(arm.method) else []
        return list(dict.fromkeys(about))

    def _new_noticing(self) -> Noticing | None:
        """Return what watches for drift, where the scenario wants it."""
        scenario = self._plan.scenario
        if not scenario.drift and not scenario.detectors:
            return None
        return Noticing(
            self._wear,
            [table.kind for table in scenario.drift],
            self._prepared.thresholds,
            chance.key(scenario.seed, "detectors") % 2**31,
            scenario.labels.delay_rounds,
        )

    def _new_reacting(self) -> Reacting | None:
        """Return what reacts to alarms, where the arm wants it."""
        scenario, arm = self._plan.scenario, self._arm
        if arm.reaction is None:
            return None
        budget = scenario.labels.budget or scenario.stream.questions_per_round
        rate = arm.learning_rate or scenario.model.learning_rate
        return Reacting(arm, self._prepared, len(self._wear), budget, rate)

    @property
    def flat(self) -> NDArray[np.int64]:
        """Return the devices whose battery is too low for another round: int64 [n]."""
        return self._cohort.devices[~self._adversity.ready]

    def work(
        self, round_: int, participants: NDArray[np.int64], shared: Arrays | None, terms: Terms
    ) -> Reply | None:
        """Let every device work through its questions of one round.

        Args:
            round_: the round, from 1.
            participants: int64 [n], the devices that the server chose, in ascending order.
            shared: the server's arrays, where somebody downloads them.
            terms: how updates are treated.

        Returns:
            what the devices send to the server, None where nobody sends anything.
        """
        devices, method = self._devices, self._method(round_)
        received = _received(method, shared) or {}
        joins = _among(participants, self._cohort.devices)
        fate = self._adversity.fate(round_)
        begins = joins & (fate.until > 0.0)
        events = [] if self._reacting is None else list(self._reacting.act(round_, devices))

        downloads = self._downloads(round_, method, begins) & (shared is not None)
        if downloads.any():
            devices.begin(method, received, downloads, round_)
        until = np.where(joins & method.uploads, fate.until, 1.0)
        learns = _who(method.learns, begins)
        outcome = devices.work(round_, learns, method, received, until)

        uploads = begins & (until == 1.0) & (outcome.examples > 0) & method.uploads
        down = downloads * np.int64(_size(shared or {}))
        reply = None
        if uploads.any():
            reply = self._reply(round_, method, received, uploads, outcome, fate, down, terms)
        up = uploads * np.int64(0 if reply is None else reply.bytes_each)
        if self._arm.method == "pooled":
            self.answered = answered_in(outcome, self._cohort.devices)
            up, outcome.gradients[:] = self._pooled_cost(outcome)

        if self._noticing is not None:
            events += self._noticing.hear(round_, outcome)
        if self._reacting is not None:
            self._reacting.hear(outcome, events, devices)
        befallen, told = self._adversity.settle(
            round_, joins & method.uploads, uploads, fate, outcome, down + up, reply
        )
        self.pulse = pulse_of(outcome, befallen, told)
        drifted, in_force = self._wear.drifted(outcome.windows), self._in_force(round_)
        self._records.add(
            RoundRows(
                round_, joins, outcome, down, up, drifted, in_force, [*events, *told], befallen
            )
        )
        return reply

    def _downloads(
        self, round_: int, method: Method, begins: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Tell who receives what the server shares: bool [D]."""
        if method.downloads != "once":
            return _who(method.downloads, begins)
        now = self._adversity.reachable(round_) & ~self._served
        self._served |= now
        return now

    def _reply(
        self,
        round_: int,
        method: Method,
        received: Groups,
        uploads: NDArray[np.bool_],
        outcome: Outcome,
        fate: Fate,
        bytes_down: NDArray[np.int64],
        terms: Terms,
    ) -> Reply:
        """Return the updates of those who send one, after all that they meet on their way."""
        index, devices = self._cohort.index, self._cohort.devices
        updates = self._devices.updates(method, received, uploads)
        journey = self._adversity.journey(round_, fate, bytes_down, waits=terms.waits)
        return reply_of(index, devices, received, updates, outcome, terms, journey)

    def _pooled_cost(self, outcome: Outcome) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Return the bytes of each device's answers, with their windows, and steps they lead to."""
        pool, steps = self._plan.pool, self._arm.steps or self._plan.scenario.learning.steps
        answered = outcome.answer != NO_ANSWER
        windows = ((outcome.windows >= 0) & answered[..., None]).sum(axis=(1, 2))
        count = answered.sum(axis=1)
        bytes_up = windows * (pool.length * pool.channels * 4) + count * 4
        return bytes_up.astype(np.int64), (count * steps).astype(np.int32)

    def _in_force(self, round_: int) -> NDArray[np.bool_] | None:
        """Tell on which devices some drift is in force after a round: bool [D], if any ever is."""
        if self._wear.drift is None:
            return None
        per_round = self._plan.scenario.stream.questions_per_round
        return self._wear.drift.after(round_ * per_round) > 0

    def score(self, round_: int, shared: Arrays | None) -> None:
        """Score the holdout of every device after a round; nothing is learnt from it."""
        if round_ == 0:
            self._record_start()
        method, devices, wear = self._method(round_), self._devices, self._wear
        sent = _received(method, shared)
        exam = wear.exam(round_ * self._plan.scenario.stream.questions_per_round)
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
        self._records.score(round_, now, before, taken)

    def _record_start(self) -> None:
        """Write down a round 0, in which nobody does anything."""
        none = np.zeros(len(self._cohort.devices), np.int64)
        nobody, befallen = none.astype(np.bool_), self._adversity.before()
        in_force = self._in_force(0)
        self._records.add(
            RoundRows(0, nobody, None, none, none, in_force=in_force, befallen=befallen)
        )

    def save(self, round_: int, shares: bool, folder: Path) -> list[Written]:
        """Write all that the cohort is, records included, into a checkpoint's folder.

        Returns:
            what was written; and, with names that end in `.arrow`, the row groups of the records
            that have left memory so far.
        """
        names = [self._plan.name_of(device) for device in self._cohort.devices]
        state: dict[str, NDArray[Any]] = {"served": self._served}
        for part in self._parts():
            state |= part.snapshot()
        state |= self._records.snapshot()  # which may fill a row group
        groups = self._records.written
        models = self._arm.method != "heuristic"
        written = write_state(
            folder, self._cohort, round_, names, state, shares=shares, models=models, groups=groups
        )
        return [written, *groups]

    def restore(self, folder: Path) -> None:
        """Become what the cohort was when a checkpoint was written into a folder.

        Raises:
            Damaged: a file of it is not whole.
        """
        state, groups = read_state(folder, self._cohort)
        for part in self._parts():
            part.restore(state)
        self._served = state["served"]
        self._records.restore(state, groups)

    def _parts(self) -> list[Devices | Noticing | Reacting | Adversity]:
        """Return all that goes on from round to round, but for the records."""
        watching = [part for part in (self._noticing, self._reacting) if part is not None]
        return [self._devices, *watching, self._adversity]

    def write_models(self, round_: int, shared: Arrays | None, folder: Path) -> None:
        """Write the SavedModels, as of a checkpoint, of the devices that may have one.

        A SavedModel is the device as it would answer its user. The devices are then what they were
        at the checkpoint.
        """
        rows = self.models.rows
        if not rows:
            return
        method = self._method(round_)
        self._devices.restore(read_state(folder, self._cohort)[0])
        for row in rows:
            state = self._devices.state(method, _received(method, shared), row, round_)
            self.models.write(row, round_, state)

    def finish(self, rounds: int) -> list[Path]:
        """Finish the records, up to a number of rounds; returns their files."""
        return self._records.write(rounds)

    def _method(self, round_: int) -> Method:
        """Return the arm's way of learning in a round."""
        return method_in_round(self._arm, max(round_, 1), self._prepared.parts)


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

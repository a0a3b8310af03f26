"""What a run is made of before it starts: people, folds, devices with their streams, cohorts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
from numpy.typing import NDArray

from clients.drift import Change
from clients.errors import BadRecordings, BadScenario
from clients.pool import Pool, build_pool
from clients.stream import Questions, cut_questions, deal_streams
from clients.variation import Strength, draw_variations
from clients.wear import Wear
from simulator.counted import counted
from simulator.faults.fate import trace_of
from simulator.plan.drifting import changes_of, drift_of
from simulator.plan.folds import Cohort, Fold, cut_cohorts, deal_folds, with_devices
from simulator.plan.hostility import hostile_of, who_is_hostile
from simulator.plan.population import AXES, Population, gather_people
from simulator.plan.refusals import check_holdout, check_participants, check_tuning
from simulator.scenario.scenario import Scenario

__all__ = ["Cohort", "Fold", "Plan", "build_plan"]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Everything that follows from a scenario and its data before anything is learnt.

    Attributes:
        scenario: resolved.
        population: see `Population`.
        pool: everybody's windows.
        questions: everybody's questions.
        devices: how many; device i is worn by user i modulo the number of users, as recorded by
            the first one of a user and in variation by the others.
        folds: see `Fold`.
        cohorts: see `Cohort`.
        rounds: until the longest stream ends, or as many as the scenario says.
        changes: the scenario's drifts, and whom they befall.
        lengths: int64 [devices], questions of each device's stream.
        notes: what a person should know before reading the results.
        hostile: bool [devices], who means harm; None where nobody does.
        trace: bool [devices, rounds], who can be reached, where a trace says so.
        trusted: whether programs of others may hold ops that can do more than compute. It comes
            from the command line alone, and travels to workers with the plan.
    """

    scenario: Scenario
    population: Population
    pool: Pool
    questions: Questions
    devices: int
    folds: tuple[Fold, ...]
    cohorts: tuple[Cohort, ...]
    rounds: int
    changes: tuple[Change, ...]
    lengths: NDArray[np.int64]
    notes: tuple[str, ...]
    hostile: NDArray[np.bool_] | None = None
    trace: NDArray[np.bool_] | None = None
    trusted: bool = False

    @property
    def fingerprint(self) -> str:
        """What the files that the run reads come to: recordings, and a trace if there is one."""
        if self.trace is None:
            return self.population.fingerprint
        digest = hashlib.blake2b(np.packbits(self.trace).tobytes(), digest_size=16)
        return f"{self.population.fingerprint}+{digest.hexdigest()}"

    def name_of(self, device: int) -> str:
        """Return a device's id: its user's, and the number of the variation after the first."""
        number, user = divmod(int(device), len(self.pool.users))
        return f"{self.pool.users[user]}+{number}" if number else self.pool.users[user]

    def users_of(self, devices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the numbers of devices' users."""
        return np.asarray(devices % len(self.pool.users))

    def wear(self, devices: NDArray[np.int64]) -> Wear:
        """Return who wears some devices, and what will reach them."""
        users, variation = self.users_of(devices), self.scenario.variation
        strength = Strength(variation.tilt_deg, variation.gain, variation.cadence, variation.noise)
        seed = self.scenario.seed
        streams = deal_streams(self.questions, seed, devices, users)
        variations = draw_variations(
            seed, devices, len(self.pool.users), strength, self.pool.length
        )
        drift = None
        if self.changes:
            most = self.rounds * self.scenario.stream.questions_per_round
            wearers = [np.flatnonzero(np.isin(self.pool.users, f.wearers)) for f in self.folds]
            streams, drift = drift_of(
                seed, self.changes, self.pool, devices, users, wearers, streams, variations, most
            )
        return Wear(
            devices,
            [self.name_of(device) for device in devices],
            [self.pool.users[user] for user in users],
            self.pool,
            streams,
            self.pool.holdout[users],
            variations,
            drift,
            None if self.hostile is None else hostile_of(self.scenario, self.hostile[devices]),
        )

    def goes_on(self, devices: NDArray[np.int64], round_: int) -> NDArray[np.bool_]:
        """Return whose stream has a question in a round: bool [N]."""
        per_round = self.scenario.stream.questions_per_round
        return np.asarray(self.lengths[devices] > (round_ - 1) * per_round)

    @property
    def largest_cohort(self) -> int:
        """Devices in the largest cohort."""
        return max(len(cohort.devices) for cohort in self.cohorts)

    def cohorts_of(self, fold: int) -> list[Cohort]:
        """Return the cohorts of one fold."""
        return [cohort for cohort in self.cohorts if cohort.fold == fold]


def build_plan(scenario: Scenario, *, trusted: bool = False, outlined: bool = False) -> Plan:
    """Read the data and lay out folds, devices, streams and cohorts.

    Args:
        scenario: resolved or not.
        trusted: as in `Plan`.
        outlined: as in `gather_people`: the plan of a run whose windows nobody is to read.

    Raises:
        BadRecordings: the data cannot be read, or lacks a user or an activity.
        BadScenario: windows, folds, devices or rounds do not fit the data.
    """
    population = gather_people(scenario, trusted=trusted, outlined=outlined)
    check_holdout(scenario, population)
    folds = deal_folds(scenario, list(population.recordings))
    users = [user for user in population.recordings if any(user in f.wearers for f in folds)]
    devices = _devices(scenario, len(users), population.channels)
    folds = tuple(with_devices(fold, users, devices) for fold in folds)
    check_tuning(scenario, folds)
    check_participants(scenario, folds)
    pool = build_pool(
        {user: population.recordings[user] for user in users},
        scenario.data.activities,
        length=population.length,
        hop=population.hop,
        holdout=scenario.split.holdout,
        holdout_by=scenario.split.holdout_by,
        seed=scenario.seed,
    )
    questions = cut_questions(
        pool,
        order=scenario.stream.order,
        bout_windows=scenario.stream.bout_windows,
        batch=scenario.stream.batch,
        least=population.form.least,
    )
    lengths = questions.of_user()
    if not lengths.all() and population.form.least > 1:
        advice = {
            "bouts": f"stream.bout_windows = {scenario.stream.bout_windows} is too few",
            "shuffled": 'stream.order = "shuffled" has bouts of one window',
            "recorded": "the recordings are too short",
        }[scenario.stream.order]
        raise BadScenario(
            f"user {users[int(lengths.argmin())]}: no bout has {population.form.least} windows, "
            f"which {scenario.model.program} takes and no fewer: {advice}; change that, or leave "
            "this user out of data.users"
        )
    if not lengths.all():
        raise BadRecordings(
            f"user {users[int(lengths.argmin())]}: no window of {population.length} samples fits "
            "into the streamed part of any recording; make data.window_s shorter or leave this "
            "user out of data.users"
        )
    rounds = _rounds(scenario, lengths.tolist())
    notes = population.warnings + _notes(scenario, rounds) + _holdout_note(scenario)
    notes += _short(pool, questions, population.form.least)
    of_users = lengths[np.arange(devices) % len(users)]
    cohorts = cut_cohorts(folds)
    plan = Plan(
        scenario, population, pool, questions, devices, folds, cohorts, rounds, (), of_users, notes
    )
    names = [plan.name_of(device) for device in range(devices)]
    plan = replace(
        plan,
        hostile=who_is_hostile(scenario, folds, devices),
        trace=trace_of(scenario.faults, names, rounds),
        trusted=trusted,
    )
    if not scenario.drift:
        return plan
    return _with_drift(replace(plan, changes=changes_of(scenario, folds, names)))


def _with_drift(plan: Plan) -> Plan:
    """Fill in what drifts make of the lengths of streams, and note whom they do not reach."""
    lengths = plan.lengths.copy()
    reached = np.zeros((plan.devices, len(plan.changes)), np.bool_)
    for cohort in plan.cohorts:
        wear = plan.wear(cohort.devices)
        lengths[cohort.devices] = wear.streams.lengths()
        if wear.drift is not None:
            reached[cohort.devices] = wear.drift.reaches(len(plan.changes))
    notes = list(plan.notes)
    for number, change in enumerate(plan.changes):
        named = change.choices["classes"]
        without = sum(
            not np.isin(plan.pool.windows.label[slice(*span)], named).any()
            for span in plan.pool.streamed
        )
        if named and without:
            activities = ", ".join(plan.scenario.data.activities[one] for one in named)
            notes.append(
                f'drift "{change.kind}": no recording of {activities} by {counted(without, "user")}'
            )
        unreached = int((change.devices & ~reached[:, number]).sum())
        if unreached:
            notes.append(
                f'drift "{change.kind}" never reaches {unreached} of '
                f"{int(change.devices.sum())} devices that it should befall: their streams end "
                f"before, or bring nothing of it (at = {change.course.at:g})"
            )
    return replace(plan, lengths=lengths, notes=tuple(notes))


def _devices(scenario: Scenario, users: int, channels: int) -> int:
    """Return the number of devices, where some users wear them."""
    wanted = scenario.fleet.devices
    if wanted == "users":
        return users
    if wanted < users:
        raise BadScenario(
            f"fleet.devices = {wanted}: {users} users wear a device each at least; give a larger "
            "number, or fewer users (data.users)"
        )
    if wanted > users and channels != AXES:
        raise BadScenario(
            f"fleet.devices = {wanted}: {users} users wear devices, and rows of {channels} "
            f"features have no variations; give fleet.devices = {users}"
        )
    return wanted


def _notes(scenario: Scenario, rounds: int) -> tuple[str, ...]:
    """Say which arms do not do what their method's name promises."""
    return tuple(
        f'arm "{arm.name}" never fine-tunes: switch_round = {arm.switch_round}, and the run has '
        f"{counted(rounds, 'round')}, so that it does what fedavg does"
        for arm in scenario.arms
        if arm.switch_round is not None and arm.switch_round >= rounds
    )


def _holdout_note(scenario: Scenario) -> tuple[str, ...]:
    """Say where the holdout is not the last part of each recording."""
    if scenario.split.holdout_by == "time":
        return ()
    return (
        "the holdout is drawn at random from each user's windows of each activity "
        '(split.holdout_by = "chance"): most have a streamed neighbour from the same minute, which '
        "flatters every arm that learns",
    )


def _short(pool: Pool, questions: Questions, least: int) -> tuple[str, ...]:
    """Say how much of the data a program with a fixed batch is never given."""
    if least == 1:
        return ()
    notes = []
    count, sent = int(questions.left_out.sum()), int(questions.count.size)
    if count:
        notes.append(
            f"{count} of {count + sent} questions have fewer windows than the {least} that the "
            "program takes; they are not asked"
        )
    held = int((pool.holdout[:, 1] - pool.holdout[:, 0]).sum())
    cut = (pool.questions_between(a, b, least, least) for a, b in pool.holdout.tolist())
    scored = sum(question.size for own in cut for question in own)
    if scored < held:
        notes.append(
            f"{held - scored} of {held} windows of the holdout fill no batch of {least}; they are "
            "not scored"
        )
    return tuple(notes)


def _rounds(scenario: Scenario, questions: Sequence[int]) -> int:
    """Return the number of rounds of a run."""
    per_round = scenario.stream.questions_per_round
    lengths = [-(-count // per_round) for count in questions]
    if scenario.stream.rounds == "all":
        return max(lengths)
    middle = int(median(lengths))
    if scenario.stream.rounds > middle:
        raise BadScenario(
            f"stream.rounds = {scenario.stream.rounds}: the median stream ends after "
            f"{counted(middle, 'round')} of {counted(per_round, 'question')}; "
            f'give at most {middle}, or "all"'
        )
    return scenario.stream.rounds

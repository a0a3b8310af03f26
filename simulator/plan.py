"""What a run is made of before it starts: people, folds, devices with their streams, cohorts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients import chance
from clients.errors import BadRecordings, BadScenario
from clients.heuristic import Heuristic
from clients.methods import Arrays
from clients.stream import build_stream
from clients.wear import Wear
from clients.windows import cut_windows
from simulator.population import Population, gather_people
from simulator.scenario import Scenario

__all__ = [
    "Cohort",
    "Fold",
    "Plan",
    "Prepared",
    "build_plan",
]

_LEAST_COHORTS = 8
_MOST_DEVICES = 1024  # of a cohort


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """Users who wear devices, and users who donated the data of the base model.

    Attributes:
        index: from 0.
        devices: indices of the fold's devices.
        donors: ids of the users whose recordings train the base model.
    """

    index: int
    devices: tuple[int, ...]
    donors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cohort:
    """Devices of one fold that are kept together.

    Attributes:
        index: from 0 within the run.
        fold: index of their fold.
        devices: their indices.
    """

    index: int
    fold: int
    devices: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Everything that follows from a scenario and its data before anything is learnt.

    Attributes:
        scenario: resolved.
        population: see `Population`.
        folds: see `Fold`.
        wears: one for each device, by index.
        cohorts: see `Cohort`.
        rounds: until the longest stream ends, or as many as the scenario says.
        notes: what a person should know before reading the results.
    """

    scenario: Scenario
    population: Population
    folds: tuple[Fold, ...]
    wears: tuple[Wear, ...]
    cohorts: tuple[Cohort, ...]
    rounds: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """What the devices of one fold start with.

    Attributes:
        fold: its index.
        paths: optimizer -> the SavedModel that each device has a copy of.
        params: its parameters by name.
        head: patterns of the parameters that turn features into classes.
        heuristic: thresholds from the fold's donors, where there are donors.
        unseen: by device index, int64 [K, K], the untouched base model's windows by true and
            predicted class; empty where the base model may have seen the users.
        steps: taken in its training, 0 where it was not trained here.
        validation_accuracy: on the donors that validated, None where it was not trained here.
    """

    fold: int
    paths: Mapping[str, Path]
    params: Arrays
    head: tuple[str, ...]
    heuristic: Heuristic | None
    unseen: dict[int, Any]
    steps: int
    validation_accuracy: float | None


def build_plan(scenario: Scenario) -> Plan:
    """Read the data and lay out folds, devices, streams and cohorts.

    Raises:
        BadRecordings: the data cannot be read, or lacks a user or an activity.
        BadScenario: windows, folds or rounds do not fit the data.
    """
    population = gather_people(scenario)
    users = list(population.recordings)
    if scenario.split.folds > 1 and len(users) < 2 * scenario.split.folds:
        raise BadScenario(
            f"split.folds = {scenario.split.folds}: the data has {len(users)} users, and each fold "
            "needs 2 at least; give fewer folds or more users"
        )
    wears = tuple(_wear(scenario, population, index, user) for index, user in enumerate(users))
    folds = _folds(scenario, users)
    rounds = _rounds(scenario, [len(wear.stream) for wear in wears])
    return Plan(
        scenario, population, folds, wears, _cohorts(folds), rounds, _notes(scenario, rounds)
    )


def _notes(scenario: Scenario, rounds: int) -> tuple[str, ...]:
    """Say which arms do not do what their method's name promises."""
    return tuple(
        f'arm "{arm.name}" never fine-tunes: switch_round = {arm.switch_round}, and there are '
        f"{rounds} rounds, so that it does what fedavg does"
        for arm in scenario.arms
        if arm.switch_round is not None and arm.switch_round >= rounds
    )


def _wear(scenario: Scenario, population: Population, index: int, user: str) -> Wear:
    """Give one user a device."""
    recordings, length, hop = population.recordings[user], population.length, population.hop
    cut = {"length": length, "hop": hop, "holdout": scenario.split.holdout}
    activities = scenario.data.activities
    streamed = cut_windows(recordings, activities, part="stream", **cut)  # type: ignore[arg-type]
    stream = build_stream(
        streamed,
        order=scenario.stream.order,
        hop=hop,
        hop_s=hop / recordings[0].rate_hz,
        bout_windows=scenario.stream.bout_windows,
        batch=scenario.stream.batch,
        random=chance.generator(scenario.seed, "stream", index),
    )
    if not len(stream):
        raise BadRecordings(
            f"user {user}: no window of {length} samples fits into the streamed part of any "
            "recording; make data.window_s shorter or leave this user out of data.users"
        )
    holdout = cut_windows(recordings, activities, part="holdout", **cut)  # type: ignore[arg-type]
    return Wear(index, user, user, recordings, stream, holdout)


def _folds(scenario: Scenario, users: Sequence[str]) -> tuple[Fold, ...]:
    """Deal the users to folds in random order; the donors of a fold are all other users."""
    count = scenario.split.folds
    order = chance.generator(scenario.seed, "folds").permutation(len(users))
    folds = []
    for index in range(count):
        devices = tuple(sorted(int(i) for i in order[index::count]))
        donors = tuple(user for i, user in enumerate(users) if count > 1 and i not in devices)
        folds.append(Fold(index, devices, donors))
    return tuple(folds)


def _cohorts(folds: Sequence[Fold]) -> tuple[Cohort, ...]:
    """Cut each fold's devices into cohorts; their sizes depend on the number of devices alone."""
    cohorts: list[Cohort] = []
    for fold in folds:
        count = max(_LEAST_COHORTS, -(-len(fold.devices) // _MOST_DEVICES))
        parts: list[NDArray[np.int64]] = np.array_split(np.array(fold.devices), count)
        for part in parts:
            if part.size:
                devices = tuple(int(device) for device in part)
                cohorts.append(Cohort(len(cohorts), fold.index, devices))
    return tuple(cohorts)


def _rounds(scenario: Scenario, questions: Sequence[int]) -> int:
    """Return the number of rounds of a run."""
    per_round = scenario.stream.questions_per_round
    lengths = [-(-count // per_round) for count in questions]
    if scenario.stream.rounds == "all":
        return max(lengths)
    middle = int(median(lengths))
    if scenario.stream.rounds > middle:
        raise BadScenario(
            f"stream.rounds = {scenario.stream.rounds}: the median stream ends after {middle} "
            f'rounds of {per_round} questions; give at most {middle}, or "all"'
        )
    return scenario.stream.rounds

"""Who donates and who wears devices, and which devices are kept together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from clients import chance
from clients.errors import BadScenario
from simulator.counted import counted
from simulator.scenario.scenario import Scenario

__all__ = ["Cohort", "Fold", "cut_cohorts", "deal_folds", "with_devices"]

_LEAST_COHORTS = 8
_MOST_DEVICES = 1024  # of a cohort


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """Users who wear devices, and users who donated the data of the base model.

    Attributes:
        index: from 0.
        devices: int64 [N], indices of the fold's devices.
        donors: ids of the users whose recordings train the base model.
        wearers: ids of the users who wear the fold's devices.
    """

    index: int
    devices: NDArray[np.int64]
    donors: tuple[str, ...]
    wearers: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    """Devices of one fold that are kept together.

    Attributes:
        index: from 0 within the run.
        fold: index of their fold.
        devices: int64 [D], their indices.
    """

    index: int
    fold: int
    devices: NDArray[np.int64]


def deal_folds(scenario: Scenario, users: Sequence[str]) -> tuple[Fold, ...]:
    """Deal the users to folds in random order; the donors of a fold are all other users.

    With one fold, as many users as the scenario says are donors, and the others wear devices.
    """
    count, donors = scenario.split.folds, scenario.split.donors
    if count > 1 and len(users) < 2 * count:
        raise BadScenario(
            f"split.folds = {count}: the data has {counted(len(users), 'user')}, and each fold "
            "needs 2 at least; give fewer folds or more users"
        )
    if donors and not 2 <= donors < len(users):
        raise BadScenario(
            f"split.donors = {donors}: the data has {counted(len(users), 'user')}; give 2 to "
            f"{len(users) - 1}, so that two train a base model and one wears a device at least"
        )
    order = chance.generator(scenario.seed, "folds").permutation(len(users))
    parts = [order[donors:]] if count == 1 else [order[index::count] for index in range(count)]
    return tuple(
        Fold(
            index,
            np.zeros(0, np.int64),
            tuple(user for i, user in enumerate(users) if i not in part and (donors or count > 1)),
            tuple(user for i, user in enumerate(users) if i in part),
        )
        for index, part in enumerate(set(map(int, part)) for part in parts)
    )


def with_devices(fold: Fold, users: Sequence[str], devices: int) -> Fold:
    """Give a fold the devices of its wearers."""
    own = np.array([user in fold.wearers for user in users])
    return replace(fold, devices=np.flatnonzero(own[np.arange(devices) % len(users)]))


def cut_cohorts(folds: Sequence[Fold]) -> tuple[Cohort, ...]:
    """Cut each fold's devices into cohorts; their sizes depend on the number of devices alone."""
    cohorts: list[Cohort] = []
    for fold in folds:
        count = max(_LEAST_COHORTS, -(-len(fold.devices) // _MOST_DEVICES))
        for part in np.array_split(fold.devices, count):
            if part.size:
                cohorts.append(Cohort(len(cohorts), fold.index, part))
    return tuple(cohorts)

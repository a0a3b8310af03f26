"""Windows to train a model of one's own on: those of people who wear no device in a scenario."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from clients.errors import BadScenario
from simulator.paths import path_of
from simulator.scenario.file import read_scenario
from simulator.scenario.scenario import Scenario, programs
from simulator.scenario.shipped import named_scenario

__all__ = ["Recorded", "recordings_of"]

_OF_WINDOWS = "cnn"  # a built-in program, which takes windows as the scenario cuts them


class Recorded(NamedTuple):
    """Windows with what was done in them, and by whom.

    Attributes:
        windows: float32 [n, T, C], as devices see them: m/s² with gravity, not scaled.
        labels: int64 [n], places in `data.activities`.
        users: str [n], whose window it is.
    """

    windows: NDArray[np.float32]
    labels: NDArray[np.int64]
    users: NDArray[np.str_]


def recordings_of(scenario: Scenario | Mapping[str, Any] | str | Path) -> Recorded:
    """Return the windows of a scenario's donors, who wear no device in it.

    A model that learns from them has seen nobody on whom it is scored. The program that the
    scenario names need not be there yet: windows have `data.window_s` and `data.hop_s`.

    Args:
        scenario: one, or what makes one: the path of a file, or its tables. It must have one fold
            and donors (`split.folds = 1`, `split.donors`); with another seed there are others.

    Raises:
        BadScenario: everybody wears a device, or the scenario cannot be used.
        BadRecordings: the data cannot be read.
    """
    if isinstance(scenario, str | PathLike):  # whose program need not be there
        chosen = read_scenario(named_scenario(path_of("scenario", scenario)))
    else:
        chosen = Scenario.of(scenario)
    split = chosen.split
    if split.folds != 1 or not split.donors:
        raise BadScenario(
            f"split.folds = {split.folds}, split.donors = {split.donors}: everybody wears a device "
            "in some fold, and a model that has seen them would be scored on what it knows; give "
            "split.folds = 1 and split.donors = so many people, who then wear none"
        )
    from simulator.plan.folds import deal_folds
    from simulator.plan.population import donated_windows, gather_people

    if chosen.model.program not in programs():
        model = chosen.model.model_copy(update={"program": _OF_WINDOWS})
        chosen = chosen.model_copy(update={"model": model})
    people = gather_people(chosen)
    (fold,) = deal_folds(chosen, list(people.recordings))
    donated = donated_windows(
        people,
        chosen.data.activities,
        fold.donors,
        length=people.length,
        hop=people.hop,
        without=chosen.withheld,
    )
    users = np.array(fold.donors)[donated.users]
    return Recorded(donated.x, donated.labels.astype(np.int64), users)

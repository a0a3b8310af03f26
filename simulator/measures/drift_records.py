"""What `rounds/` and `events/` say of drift, read cohort by cohort."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clients.containment import file_name
from simulator.folder.event import OF_DRIFT
from simulator.folder.parquet_file import read_columns
from simulator.folder.record_files import EVENTS
from simulator.folder.rounds_file import Names, lists_of, names_of, numbers_of, read_rounds
from simulator.folder.store import RunFolder
from simulator.scenario.scenario import Scenario

__all__ = ["CohortRecords", "DeviceEvent", "cohorts_of", "periodic_of"]

_COLUMNS = [
    "device", "user", "round", "windows", "answered_windows", "correct", "drifted",
    "drift_in_force",
    "label_windows", "predicted_windows", "holdout_confusion", "holdout_before_confusion",
]  # fmt: skip


class DeviceEvent(NamedTuple):
    """A row of `events/`."""

    kind: str
    reason: str
    windows: int
    answered: int
    round_: int


@dataclass(frozen=True, slots=True, eq=False)
class CohortRecords:
    """What a cohort's files say, R rounds of D devices.

    Attributes:
        names, users: of the devices.
        round_: int64 [R], ascending, from 0.
        windows, answered, correct, drifted: int64 [D, R], of each round.
        in_force: bool [D, R], whether a drift is in force after it.
        labels, predicted: int64 [D, R, K], windows by class.
        now, before: int64 [D, R, K, K], confusion on the holdout, with the drift in force and
            without; -1 where it was not scored.
        events: by device, in order.
    """

    names: list[str]
    users: list[str]
    round_: NDArray[np.int64]
    windows: NDArray[np.int64]
    answered: NDArray[np.int64]
    correct: NDArray[np.int64]
    drifted: NDArray[np.int64]
    in_force: NDArray[np.bool_]
    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    now: NDArray[np.int64]
    before: NDArray[np.int64]
    events: Mapping[str, Sequence[DeviceEvent]]

    def accuracy(self, confusion: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return accuracy by device and round, float64 [D, R], NaN where it was not scored."""
        count = confusion.sum(axis=(2, 3))
        right = np.trace(confusion, axis1=2, axis2=3)
        return np.where(count > 0, right / np.maximum(count, 1), np.nan)


def periodic_of(scenario: Scenario) -> frozenset[str]:
    """Return the kinds of drift that come and go in a scenario."""
    return frozenset(table.kind for table in scenario.drift if table.period)


def cohorts_of(run: Path, arm: str) -> Iterator[CohortRecords]:
    """Read an arm's cohorts."""
    for path in RunFolder(run).rounds_files(arm):
        table = read_rounds(path, _COLUMNS)
        device, user = names_of(table, "device"), names_of(table, "user")
        if not device.code.size:
            continue
        yield _cohort(table, device, user, _events(run / "events" / file_name(arm) / path.name))


def _cohort(
    table: Any, device: Names, user: Names, events: Mapping[str, Sequence[DeviceEvent]]
) -> CohortRecords:
    round_ = np.unique(numbers_of(table, "round")).astype(np.int64)
    place = device.code, np.searchsorted(round_, numbers_of(table, "round"))
    shape = (len(device.names), round_.size)

    def grid(column: str) -> NDArray[np.int64]:
        values = np.zeros(shape, np.int64)
        values[place] = numbers_of(table, column).astype(np.int64)
        return values

    def lists(column: str) -> NDArray[np.int64]:
        found = lists_of(table, column)
        values = np.full((*shape, found.shape[1]), -1, np.int64)
        values[place] = found
        return values

    now, before = lists("holdout_confusion"), lists("holdout_before_confusion")
    if before.shape != now.shape:
        before = np.full_like(now, -1)
    before = np.where(before[..., :1] < 0, now, before)
    classes = round(now.shape[2] ** 0.5)
    square = (*shape, classes, classes)
    named = np.zeros(len(device.names), np.int64)
    named[device.code] = user.code
    return CohortRecords(
        names=device.names,
        users=[user.names[code] for code in named],
        round_=round_,
        windows=grid("windows"),
        answered=grid("answered_windows"),
        correct=grid("correct"),
        drifted=grid("drifted"),
        in_force=grid("drift_in_force") > 0,
        labels=np.maximum(lists("label_windows"), 0),
        predicted=np.maximum(lists("predicted_windows"), 0),
        now=np.maximum(now, 0).reshape(square),
        before=np.maximum(before, 0).reshape(square),
        events=events,
    )


def _events(path: Path) -> dict[str, list[DeviceEvent]]:
    """Read a cohort's events by device, none where there is no file."""
    if not path.is_file():
        return {}
    columns = ["device", "kind", "reason", "windows", "answered", "round"]
    table = read_columns(path, columns, EVENTS)
    found: dict[str, list[DeviceEvent]] = {}
    kind = table["kind"].cast(pa.string())
    table = table.filter(pc.is_in(kind, pa.array(OF_DRIFT)))
    for device, *event in zip(*(column.to_pylist() for column in table.columns), strict=True):
        found.setdefault(device, []).append(DeviceEvent(*event))
    return found

"""What drift did to each device of a run, reduced cohort by cohort from `rounds/` and `events/`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from simulator.drift import Detection, decline, detection, detection_summary
from simulator.forgetting import memory, memory_matrix
from simulator.metrics import cohen_kappa
from simulator.rounds_file import Names, lists_of, names_of, numbers_of, read_rounds
from simulator.scenario import Scenario
from simulator.store import RunFolder

__all__ = [
    "FELL",
    "alarms_frame",
    "detections_frame",
    "devices_frame",
    "drift_figures",
    "pooled",
]

FELL = 0.15
"""Loss of accuracy from which on a device counts as one that fell."""

_COLUMNS = [
    "device", "user", "round", "windows", "answered_windows", "correct", "drifted",
    "label_windows", "predicted_windows", "holdout_confusion", "holdout_before_confusion",
]  # fmt: skip


class _Event(NamedTuple):
    """A row of `events/`."""

    kind: str
    reason: str
    answered: int
    round_: int


@dataclass(frozen=True, slots=True, eq=False)
class _Cohort:
    """What a cohort's files say, R rounds of D devices.

    Attributes:
        names, users: of the devices.
        round_: int64 [R], ascending, from 0.
        windows, answered, correct, drifted: int64 [D, R], of each round.
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
    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    now: NDArray[np.int64]
    before: NDArray[np.int64]
    events: Mapping[str, Sequence[_Event]]

    def accuracy(self, confusion: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return accuracy by device and round, float64 [D, R], NaN where it was not scored."""
        count = confusion.sum(axis=(2, 3))
        right = np.trace(confusion, axis1=2, axis2=3)
        return np.where(count > 0, right / np.maximum(count, 1), np.nan)


def devices_frame(run: Path, scenario: Scenario) -> pd.DataFrame:
    """Measure what drift did to each device: a row per arm, device and spell of drift.

    Args:
        run: the run folder.
        scenario: its scenario.

    Returns:
        columns arm, user, device, drift (its kind, empty for a device without), begins (the first
        round with drifted windows), those of `Decline`, holdout_now, holdout_before, kappa, those
        of `Memory`; in order of arms and devices. Recovery is measured on `holdout_now`, memory on
        `holdout_before`, which stays the same.
    """
    rows: list[dict[str, Any]] = []
    for arm in scenario.arms:
        for cohort in _cohorts(run, arm.name):
            rows += _device_rows(arm.name, cohort, _recurs(scenario))
    return pd.DataFrame(rows)


def _recurs(scenario: Scenario) -> bool:
    """Whether some drift of a scenario comes and goes."""
    return any(table.period for table in scenario.drift)


def _device_rows(arm: str, cohort: _Cohort, recurs: bool) -> Iterator[dict[str, Any]]:
    now, before = cohort.accuracy(cohort.now), cohort.accuracy(cohort.before)
    windows, answered = (np.cumsum(x, axis=1) for x in (cohort.windows, cohort.answered))
    kappa = cohen_kappa(
        cohort.labels.sum(axis=1), cohort.predicted.sum(axis=1), cohort.correct.sum(axis=1)
    )
    scored = np.flatnonzero(~np.isnan(now).all(axis=0))
    kept = memory(memory_matrix(cohort.before[:, scored], _blocks(cohort.labels, scored)))
    for row, name in enumerate(cohort.names):
        common = {"arm": arm, "user": cohort.users[row], "device": name}
        last = {
            "holdout_now": _last(now[row]),
            "holdout_before": _last(before[row]),
            "kappa": kappa[row],
            **{key: value[row] for key, value in asdict(kept).items()},
        }
        begins = _kinds(cohort.events.get(name, ()))
        spells = _spells(cohort.drifted[row], cohort.windows[row], cohort.round_, recurs)
        if not spells:
            yield {**common, "drift": "", "begins": None, **last}
        for begin, end in spells:
            fell = decline(now[row], cohort.round_, windows[row], answered[row], begin, end)
            yield {**common, "drift": begins, "begins": begin, **asdict(fell), **last}


def detections_frame(run: Path, scenario: Scenario) -> pd.DataFrame:
    """Tell what each detector noticed of each device: a row per arm, detector, device and spell.

    Returns:
        columns arm, detector, user, device, begins (answered windows before the spell, empty for a
        device without drift), delay (answered windows from there to the alarm, empty if missed),
        round (of that alarm),
        false_alarms and watched (of the device, in the row of its first spell).
    """
    rows: list[dict[str, Any]] = []
    for arm in scenario.arms:
        for cohort in _cohorts(run, arm.name):
            for table in scenario.detectors:
                rows += _detector_rows(arm.name, table.kind, cohort, _recurs(scenario))
    return pd.DataFrame(rows)


def _detector_rows(
    arm: str, detector: str, cohort: _Cohort, recurs: bool
) -> Iterator[dict[str, Any]]:
    total = cohort.answered.sum(axis=1)
    for row, name in enumerate(cohort.names):
        own = cohort.events.get(name, ())
        begins, ends = _places(own, int(total[row]), recurs)
        alarms = [event for event in own if event.kind == "alarm" and event.reason == detector]
        places = np.array([alarm.answered for alarm in alarms], np.int64)
        found = detection(places, begins, ends, int(total[row]))
        common = {"arm": arm, "detector": detector, "user": cohort.users[row], "device": name}
        counts = {"false_alarms": found.false_alarms, "watched": found.watched}
        if not begins.size:
            yield {**common, "begins": None, "delay": None, "round": None, **counts}
        for number, (begin, delay) in enumerate(zip(begins, found.delay, strict=True)):
            first = counts if number == 0 else {"false_alarms": 0, "watched": 0}
            rounds = [alarm.round_ for alarm in alarms if alarm.answered == begin + delay]
            noticed = min(rounds, default=None)
            yield {**common, "begins": int(begin), "delay": delay, "round": noticed, **first}


def alarms_frame(detections: pd.DataFrame, devices: pd.DataFrame, within: int = 40) -> pd.DataFrame:
    """Sum up detectors: a row per arm, detector, and whose drift they were to notice.

    Args:
        detections: from `detections_frame`, of one seed or several.
        devices: from `devices_frame`, likewise.
        within: answered windows in which a drift is noticed in time.

    Returns:
        columns arm, detector, whose ("all", or "fell": devices whose accuracy fell by `FELL` or
        more at the first scoring under drift), those of `DetectionSummary`, and of the first
        spells, spells and detected in time of those that fell alone. False alarms are those of all
        devices in both rows.
    """
    if detections.empty:
        return pd.DataFrame()
    keys = [key for key in ("seed", "arm", "device") if key in detections]
    first = devices.drop_duplicates(keys)
    fell = first[first["drop"] >= FELL - 1e-9][keys] if "drop" in first else first[keys][:0]
    marked = detections.merge(fell.assign(fell=True), on=keys, how="left")
    rows = []
    for (arm, detector), own in marked.groupby(["arm", "detector"], sort=False):
        quiet = Detection(np.zeros(0), int(own["false_alarms"].sum()), int(own["watched"].sum()))
        drifted = own[own["begins"].notna()]
        for whose, some in (("all", drifted), ("fell", drifted[drifted["fell"].notna()])):
            noticed = Detection(some["delay"].to_numpy(np.float64), 0, 0)
            summary = detection_summary([quiet, noticed], within)
            rows.append({"arm": arm, "detector": detector, "whose": whose, **asdict(summary)})
    return pd.DataFrame(rows)


def drift_figures(devices: pd.DataFrame) -> pd.DataFrame:
    """Reduce devices to what `summary.csv` says of drift: a row per arm, users counting alike.

    Returns:
        columns arm, holdout_before_accuracy, prequential_kappa, backward_transfer, forgetting,
        forward_transfer, fell (share of spells of drift in which accuracy fell by `FELL` or more),
        recovered (share of those that are within 5 points of their reference at the end), and
        lost_windows (per spell).
    """
    rows = []
    for arm, own in devices.groupby("arm", sort=False):
        one = own.drop_duplicates("device")
        users = one.groupby("user", sort=False).mean(numeric_only=True)
        row: dict[str, Any] = {
            "arm": arm,
            "holdout_before_accuracy": users["holdout_before"].mean(),
            "prequential_kappa": users["kappa"].mean(),
            "backward_transfer": users["backward_transfer"].mean(),
            "forgetting": users["forgetting"].mean(),
            "forward_transfer": users["forward_transfer"].mean(),
        }
        if "drop" in own:
            drifted = own[own["drop"].notna()]
            fallen = drifted[drifted["drop"] >= FELL - 1e-9]
            row["fell"] = len(fallen) / len(drifted) if len(drifted) else np.nan
            row["recovered"] = fallen["recovered_at_end"].mean() if len(fallen) else np.nan
            row["lost_windows"] = drifted["lost_windows"].mean()
        rows.append(row)
    return pd.DataFrame(rows)


def _cohorts(run: Path, arm: str) -> Iterator[_Cohort]:
    """Read an arm's cohorts."""
    for path in RunFolder(run).rounds_files(arm):
        table = read_rounds(path, _COLUMNS)
        device, user = names_of(table, "device"), names_of(table, "user")
        if not device.code.size:
            continue
        yield _cohort(table, device, user, _events(run / "events" / arm / path.name))


def _cohort(
    table: Any, device: Names, user: Names, events: Mapping[str, Sequence[_Event]]
) -> _Cohort:
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
    return _Cohort(
        names=device.names,
        users=[user.names[code] for code in named],
        round_=round_,
        windows=grid("windows"),
        answered=grid("answered_windows"),
        correct=grid("correct"),
        drifted=grid("drifted"),
        labels=np.maximum(lists("label_windows"), 0),
        predicted=np.maximum(lists("predicted_windows"), 0),
        now=np.maximum(now, 0).reshape(square),
        before=np.maximum(before, 0).reshape(square),
        events=events,
    )


def _events(path: Path) -> dict[str, list[_Event]]:
    """Read a cohort's events by device, none where there is no file."""
    if not path.is_file():
        return {}
    with pq.ParquetFile(path) as file:
        table = file.read(columns=["device", "kind", "reason", "answered", "round"])
    found: dict[str, list[_Event]] = {}
    for device, *event in zip(*(column.to_pylist() for column in table.columns), strict=True):
        found.setdefault(device, []).append(_Event(*event))
    return found


def _blocks(labels: NDArray[np.int64], scored: NDArray[np.int64]) -> NDArray[np.int64]:
    """Add up the windows by class between scorings: int64 [D, T, K] of [D, R, K]."""
    upto = np.cumsum(labels, axis=1)[:, scored]
    return np.diff(upto, axis=1)


def _spells(
    drifted: NDArray[np.int64], windows: NDArray[np.int64], round_: NDArray[np.int64], recurs: bool
) -> list[tuple[int, int | None]]:
    """Return the first rounds of a device's spells of drift, and the first ones after them.

    Args:
        drifted: int64 [R], windows of each round that were met under a drift.
        windows: int64 [R], all windows of each round.
        round_: int64 [R].
        recurs: whether drift comes and goes; else it stays, however it came.
    """
    worn = round_[windows > 0]
    on = drifted[windows > 0] > 0
    if not on.any():
        return []
    if not recurs:
        return [(int(worn[on.argmax()]), None)]
    edges = np.flatnonzero(np.diff(np.concatenate([[False], on, [False]]).astype(np.int8)))
    return [
        (int(worn[begin]), int(worn[end]) if end < worn.size else None)
        for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    ]


def _places(
    own: Sequence[_Event], total: int, recurs: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the answered windows before each spell and up to its end, of a device's events."""
    begins: list[int] = []
    ends: list[int] = []
    depth = 0
    edges = [event for event in own if event.kind in ("drift-begins", "drift-ends")]
    for event in sorted(edges, key=lambda event: event.answered):
        if event.kind == "drift-begins":
            begins += [event.answered] if depth == 0 else []
            depth += 1
        else:
            depth -= 1
            ends += [event.answered] if depth == 0 else []
    ends += [total] * (len(begins) - len(ends))
    if not recurs:
        begins, ends = begins[:1], [total][: len(begins)]
    return np.array(begins, np.int64), np.array(ends, np.int64)


def _kinds(own: Sequence[_Event]) -> str:
    """Name the drifts that befall a device."""
    return ", ".join(dict.fromkeys(event.reason for event in own if event.kind == "drift-begins"))


def _last(values: NDArray[np.float64]) -> float:
    """Return the last value that is known."""
    known = values[~np.isnan(values)]
    return float(known[-1]) if known.size else float("nan")


def pooled(frames: Sequence[pd.DataFrame], seeds: Sequence[int]) -> pd.DataFrame:
    """Put the frames of several seeds under each other, with a column seed."""
    tagged = [f.assign(seed=seed) for f, seed in zip(frames, seeds, strict=True) if not f.empty]
    return pd.concat(tagged, ignore_index=True) if tagged else pd.DataFrame()

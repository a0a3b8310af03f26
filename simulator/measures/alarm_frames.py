"""What detectors noticed of the drift of a run's devices, and how often they were wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simulator.measures.drift import Detection, detection, detection_summary
from simulator.measures.drift_frames import FELL
from simulator.measures.drift_records import CohortRecords, DeviceEvent, cohorts_of, periodic_of
from simulator.scenario.scenario import Scenario

__all__ = ["alarms_frame", "detections_frame"]


def detections_frame(run: Path, scenario: Scenario) -> pd.DataFrame:
    """Tell what each detector noticed of each device: a row per arm, detector, device and spell.

    Returns:
        columns arm, detector, user, device, begins (answered windows before the spell, empty for a
        device without drift), delay (answered windows from there to the alarm, empty if missed),
        round (of that alarm),
        false_alarms and watched (of the device, in the row of its first spell; in answered
        windows, of `inputs` in all windows).
    """
    rows: list[dict[str, Any]] = []
    for arm in scenario.arms:
        for cohort in cohorts_of(run, arm.name):
            for table in scenario.detectors:
                rows += _detector_rows(arm.name, table.kind, cohort, periodic_of(scenario))
    return pd.DataFrame(rows)


def _detector_rows(
    arm: str, detector: str, cohort: CohortRecords, periodic: frozenset[str]
) -> Iterator[dict[str, Any]]:
    totals = np.stack([cohort.windows.sum(axis=1), cohort.answered.sum(axis=1)], axis=1)
    for row, name in enumerate(cohort.names):
        own, total = cohort.events.get(name, ()), (int(totals[row, 0]), int(totals[row, 1]))
        begins, ends = _places(own, total, periodic)
        alarms = [event for event in own if event.kind == "alarm" and event.reason == detector]
        places = _pairs([(alarm.windows, alarm.answered) for alarm in alarms])
        found = detection(places, begins, ends, total, on_answers=detector != "inputs")
        common = {"arm": arm, "detector": detector, "user": cohort.users[row], "device": name}
        counts = {"false_alarms": found.false_alarms, "watched": found.watched}
        if not len(begins):
            yield {**common, "begins": None, "delay": None, "round": None, **counts}
        for number, (begin, end, delay) in enumerate(zip(begins, ends, found.delay, strict=True)):
            first = counts if number == 0 else {"false_alarms": 0, "watched": 0}
            inside = [a.round_ for a in alarms if begin[0] < a.windows <= end[0]]
            noticed = min(inside, default=None)
            yield {**common, "begins": int(begin[1]), "delay": delay, "round": noticed, **first}


def alarms_frame(detections: pd.DataFrame, devices: pd.DataFrame, within: int = 40) -> pd.DataFrame:
    """Sum up detectors: a row per arm, detector, and whose drift they were to notice.

    Args:
        detections: from `detections_frame`, of one seed or several.
        devices: from `devices_frame`, likewise.
        within: answered windows in which a drift is noticed in time.

    Returns:
        columns arm, detector, whose ("all" spells of drift, or "fell": those of devices whose
        accuracy fell by `FELL` or more at the first scoring under drift) and those of
        `DetectionSummary`. False alarms are those of all devices in both rows. Devices and seeds
        count as independent, so where people recur the intervals are too narrow.
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


def _places(
    own: Sequence[DeviceEvent], total: tuple[int, int], periodic: frozenset[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where a device's spells of drift begin and end: windows and answered ones, [B, 2]."""
    begins: list[tuple[int, int]] = []
    ends: list[tuple[int, int]] = []
    depth = 0
    edges = [event for event in own if event.kind in ("drift-begins", "drift-ends")]
    for event in sorted(edges, key=lambda event: event.windows):
        place = event.windows, event.answered
        if event.kind == "drift-begins":
            begins += [place] if depth == 0 else []
            depth += 1
        else:
            depth -= 1
            ends += [place] if depth == 0 else []
    ends += [total] * (len(begins) - len(ends))
    if not periodic & {event.reason for event in edges}:
        begins, ends = begins[:1], [total][: len(begins)]
    return _pairs(begins), _pairs(ends)


def _pairs(places: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    return np.array(places, np.int64).reshape(-1, 2)

"""What detectors noticed of the drift of a run's devices, and how often they were wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simulator.drift import Detection, detection, detection_summary
from simulator.drift_frames import FELL
from simulator.drift_records import CohortRecords, DeviceEvent, cohorts_of, recurs
from simulator.scenario import Scenario

__all__ = ["alarms_frame", "detections_frame"]


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
        for cohort in cohorts_of(run, arm.name):
            for table in scenario.detectors:
                rows += _detector_rows(arm.name, table.kind, cohort, recurs(scenario))
    return pd.DataFrame(rows)


def _detector_rows(
    arm: str, detector: str, cohort: CohortRecords, comes_back: bool
) -> Iterator[dict[str, Any]]:
    total = cohort.answered.sum(axis=1)
    for row, name in enumerate(cohort.names):
        own = cohort.events.get(name, ())
        begins, ends = _places(own, int(total[row]), comes_back)
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


def _places(
    own: Sequence[DeviceEvent], total: int, comes_back: bool
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
    if not comes_back:
        begins, ends = begins[:1], [total][: len(begins)]
    return np.array(begins, np.int64), np.array(ends, np.int64)

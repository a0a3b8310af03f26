"""Who needs attention after a drift: a list of users, and marks in their small charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd

from simulator.report.need import MARGIN, slipped
from simulator.report.page import linked_table, of_user, percent, prose
from simulator.report.records import RunRecords
from simulator.report.rows import each
from simulator.report.sections import View
from simulator.report.svg import Mark
from simulator.report.wording import counted, points

__all__ = ["drift_marks", "drift_users"]


def drift_users(
    view: View, records: RunRecords, links: Mapping[str, str] = MappingProxyType({})
) -> str:
    """List the users who are shown one by one, in their order, in the arm of the best mean.

    Args:
        view: see `View`.
        records: of the run.
        links: by user, where the name leads.
    """
    arm = view.spoken or view.baseline
    devices = records.drift
    if devices.empty or devices["drop"].isna().all() or arm not in set(devices["arm"]):
        return ""
    found = slipped(devices, arm)
    several, again = bool((found["worn"] > 1).any()), bool((found["spells"] > 1).any())
    noticed = _noticed(records.detections, devices, arm)
    by_user = {str(row.user): row for row in each(found)}
    there = [(place, user) for place, user in enumerate(view.shown) if user in by_user]
    rows = []
    for _, user in there:
        row = by_user[user]
        rows.append(
            [
                user,
                *([f"{row.counted} of {row.worn}"] if several else []),
                str(row.drift) or "none",
                *([f"{row.spells:.0f}"] if again else []),
                _known(row.begins, "{:.0f}"),
                noticed.get(user, "–"),
                *("–" if np.isnan(x) else percent(x) for x in (row.reference, row.now, row.before)),
                _known(row.lost, "{:.1f}"),
                _state(row.below, row.back, row.begins, row.fell),
            ]
        )
    head = ["user", *(["devices"] if several else []), "drift", *(["spells"] if again else [])]
    head += ["since round", "noticed in round", "before, %", "now, %", "without drift, %"]
    head += ["lost windows", "state"]
    caption = "Holdout accuracy"
    if several:
        caption += "; of a user with several devices, mean over those that drifted, if any did"
    if again:
        caption += "; of a drift that comes and goes, the last spell, with lost windows of all"
    return f"<h3>{prose(f'Who needs attention, `{arm}`')}</h3>" + linked_table(
        head,
        rows,
        [links.get(user, "") for _, user in there],
        caption,
        [of_user(place) for place, _ in there],
    )


def _known(value: float, form: str) -> str:
    return "–" if np.isnan(value) else form.format(value)


def _state(below: float, back: float, begins: float, fell: float) -> str:
    if np.isnan(begins):
        return "no drift"
    if np.isnan(below):
        return "unknown"
    if below > MARGIN:
        return f"{points(below)} down"
    if fell <= MARGIN:
        return f"stayed within {100 * MARGIN:.0f} points"
    return f"back after {counted(back, 'round')}" if back > 0 else "as good as before"


def _noticed(detections: pd.DataFrame, devices: pd.DataFrame, arm: str) -> dict[str, str]:
    """Return when the first detector noticed each user's drift, with its name.

    Of a device that drifted several times, its last spell.
    """
    if detections.empty or "round" not in detections:
        return {}
    drifted = devices[(devices["arm"] == arm) & devices["begins"].notna()]
    since = drifted.groupby("device")["begins"].max().rename("since")
    own = detections[(detections["arm"] == arm) & detections["round"].notna()]
    own = own.join(since, on="device")
    own = own[own["round"] >= own["since"]]
    first = own.sort_values("round", kind="stable").drop_duplicates("user")
    return {str(row.user): f"{row.round:.0f} ({row.detector})" for row in each(first)}


def drift_marks(records: RunRecords, arm: str) -> dict[str, Sequence[Mark]]:
    """Return what is marked in the small charts of users: begin, first alarm, recovery, of an arm.

    Users of several devices have no marks, as their curves are means.
    """
    devices = records.drift
    if devices.empty or "begins" not in devices:
        return {}
    own = devices[devices["arm"] == arm]
    single = own.groupby("user")["device"].nunique()
    marks: dict[str, list[Mark]] = {}
    for row in each(own[own["begins"].notna()]):
        if single[row.user] > 1:
            continue
        found = marks.setdefault(str(row.user), [])
        found.append(Mark("begin", int(row.begins)))
        if not np.isnan(row.recovery_rounds) and row.largest_drop > MARGIN:
            found.append(Mark("recovery", int(row.begins + row.recovery_rounds - 1)))
    if not records.detections.empty and "round" in records.detections:
        alarms = records.detections
        alarms = alarms[(alarms["arm"] == arm) & alarms["round"].notna()]
        for row in each(alarms.sort_values("round").drop_duplicates("device")):
            if single.get(row.user, 2) == 1:
                marks.setdefault(str(row.user), []).append(Mark("alarm", int(row.round)))
    return dict(marks)

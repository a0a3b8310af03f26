"""What a report says of drift: who slipped, since when, what was noticed, and who came back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd

from simulator.measures.drift_frames import FELL
from simulator.report.charts import heat_map, heat_told
from simulator.report.need import slipped
from simulator.report.page import (
    Column,
    arms_table,
    chart,
    linked_table,
    of_arm,
    percent,
    plain_table,
    prose,
)
from simulator.report.records import RunRecords
from simulator.report.rows import each
from simulator.report.sections import MOST_USERS, View
from simulator.report.svg import Mark
from simulator.report.wording import listed, percents, points

__all__ = ["drift_heat", "drift_marks", "drift_overview", "drift_sentences", "drift_users"]

_MARGIN = 0.05  # below the reference, within which a device has recovered
_TOLD = {"all": "all that drifted", "fell": f"those that fell by {100 * FELL:.0f} points or more"}


def _windows(value: float) -> str:
    return f"{value:.1f}"


_LOSSES = [
    Column("drifted", "devices", lambda value: f"{value:,.0f}", None, "drifted"),
    Column("reference", "before, %", percent, None, "holdout accuracy of those"),
    Column("after", "as it began, %", percent, "high", "holdout accuracy of those"),
    Column("end", "at the end, %", percent, "high", "holdout accuracy of those"),
    Column("before_end", "without drift, %", percent, "high", "holdout accuracy of those"),
    Column("lost_windows", "lost windows each", _windows, "low", "drifted"),
    Column("fallen", "fell", lambda value: f"{value:,.0f}", None, "drifted"),
    Column("recovered", "of these back, %", percent, "high", "drifted"),
    Column("recovery_answered", "after answers", _windows, "low", "drifted"),
]


def _losses(devices: pd.DataFrame) -> pd.DataFrame:
    """Reduce spells of drift to a row per arm; devices that were not scored before are left out."""
    if devices.empty:
        return pd.DataFrame()
    known = devices[devices["drop"].notna()]
    keys = [key for key in ("seed", "device") if key in devices]
    rows = []
    for arm, own in known.groupby("arm", sort=False):
        fallen = own[own["drop"] >= FELL - 1e-9]
        rows.append(
            {
                "arm": arm,
                "drifted": float(len(own.drop_duplicates(keys))),
                "reference": own["reference"].mean(),
                "after": (own["reference"] - own["drop"]).mean(),
                "end": own["holdout_now"].mean(),
                "before_end": own["holdout_before"].mean(),
                "lost_windows": own["lost_windows"].mean(),
                "fallen": float(len(fallen)),
                "recovered": fallen["recovered_at_end"].mean() if len(fallen) else np.nan,
                "recovery_answered": fallen["recovery_answered"].median(),
            }
        )
    return pd.DataFrame(rows)


def drift_sentences(devices: pd.DataFrame, alarms: pd.DataFrame) -> list[str]:
    """Say which arm lost least to drift, who came back, and what was noticed."""
    losses = _losses(devices)
    if losses.empty:
        return []
    losses = losses.sort_values("lost_windows", kind="stable")
    least, others = losses.iloc[0], losses.iloc[1:]
    told = f"Of drift, `{least['arm']}` lost least: {least['lost_windows']:.1f} windows a device"
    if len(others):
        most = others.iloc[-1]
        told += f", where `{most['arm']}`, which lost most, lost {most['lost_windows']:.1f}"
    sentences = [f"{told}."]
    back = losses[losses["fallen"] > 0]
    if len(back):
        back_at_end = [f"{percents(row.recovered)} with `{row.arm}`" for row in each(back)]
        sentences.append(
            f"Of the devices whose accuracy fell by {100 * FELL:.0f} points or more, so many were "
            f"within {100 * _MARGIN:.0f} points of their own reference at the end: "
            f"{listed(back_at_end)}."
        )
    if not alarms.empty:
        fell = alarms[(alarms["whose"] == "fell") & (alarms["spells"] > 0)]
        if len(fell):
            best = fell.sort_values("within", kind="stable").iloc[-1]
            sentences.append(
                f"Best noticed by `{best['detector']}` in `{best['arm']}`: "
                f"{percents(best['within'])} of those falls within 40 answered windows, at "
                f"{best['false_rate']:.2f} false alarms per 1,000 windows."
            )
    return sentences


def drift_overview(view: View, devices: pd.DataFrame, alarms: pd.DataFrame) -> str:
    """Show what each arm lost, and what was noticed."""
    if devices.empty:
        return ""
    body, losses = "", _losses(devices)
    if not losses.empty:
        body += arms_table(
            losses,
            _LOSSES,
            view.swatches,
            "Devices that drifted, by arm; a device that drifts several times counts each time",
        ) + (
            '<p class="note">Before: mean of the last three scorings before the drift, which is '
            "each device's own reference. Without drift: the holdout as it was before, at the end: "
            "what was kept. Lost windows: how far accuracy was below the reference "
            f"while it was, times the windows of the stream that came under drift. "
            f"Fell: by {100 * FELL:.0f} points or more as the drift "
            f"began. Back: within {100 * _MARGIN:.0f} points of the reference at the end.</p>"
        )
    if not alarms.empty:
        body += "<h3>What detectors noticed</h3>" + _alarms_table(view, alarms)
    return body


def _alarms_table(view: View, alarms: pd.DataFrame) -> str:
    head = [
        "arm", "detector", "of", "drifts", "within 40 answers, %", "95% interval", "missed",
        "median delay", "false per 1,000", "95% interval",
    ]  # fmt: skip
    rows = []
    for row in each(alarms):
        if not row.spells and row.whose == "fell":
            continue
        rows.append(
            [
                str(row.arm),
                str(row.detector),
                _TOLD[str(row.whose)],
                f"{row.spells:,}",
                _known(row.within, percent),
                _interval(row.within_low, row.within_high, percent),
                f"{row.missed:,}",
                _known(row.median_delay, lambda value: f"{value:.0f}"),
                _known(row.false_rate, lambda value: f"{value:.2f}"),
                _interval(row.false_rate_low, row.false_rate_high, lambda value: f"{value:.2f}"),
            ]
        )
    return plain_table(
        head,
        rows,
        "Delays in answered windows. False alarms are those of devices that did not drift, or not "
        "yet, by answered windows, of inputs by all windows. The intervals take devices for "
        "independent; where people recur, in variations or seeds, they are too narrow",
        [of_arm(row[0], view.styles) for row in rows],
    )


def _known(value: float, show: Callable[[float], str]) -> str:
    return "–" if np.isnan(value) else show(value)


def _interval(low: float, high: float, show: Callable[[float], str]) -> str:
    return "–" if np.isnan(low) else f"{_known(low, show)} to {_known(high, show)}"


def drift_heat(view: View, records: RunRecords) -> str:
    """Draw users by rounds, those who need attention first, for the arms of the answer."""
    series = records.holdout
    if records.drift.empty:
        return ""
    arms = [arm for arm in (view.baseline, view.rival) if arm is not None]
    body = ""
    for arm in arms:
        own = series[series["arm"] == arm]
        if own.empty:
            continue
        order = [str(user) for user in slipped(records.drift, arm)["user"]] or view.order
        order = order[:MOST_USERS]
        begins = _begins(records.drift, arm)
        body += f"<h3>{prose(f'Users by rounds, `{arm}`')}</h3>" + chart(
            heat_map(own, order, begins),
            f"Holdout accuracy of {len(order)} users by round in {arm}, lighter for more: "
            f"{heat_told(own, order, begins)}.",
            "Holdout accuracy with the drift in force; those who need attention most stand at the "
            "top. The mark in a row is the round in which the user's drift begins.",
        )
    return body


def _begins(devices: pd.DataFrame, arm: str) -> dict[str, int]:
    own = devices[(devices["arm"] == arm) & devices["begins"].notna()]
    return {str(user): int(first) for user, first in own.groupby("user")["begins"].min().items()}


def drift_users(
    view: View, records: RunRecords, links: Mapping[str, str] = MappingProxyType({})
) -> str:
    """List users by who needs attention, in the arm that serves people best.

    Args:
        view: see `View`.
        records: of the run.
        links: by user, where the name leads.
    """
    arm = view.rival or view.baseline
    devices = records.drift
    if devices.empty or devices["drop"].isna().all() or arm not in set(devices["arm"]):
        return ""
    found = slipped(devices, arm)
    noticed = _noticed(records.detections, arm)
    rows = [
        [
            str(row.user),
            str(row.drift) or "none",
            _known(row.begins, lambda value: f"{value:.0f}"),
            noticed.get(str(row.user), "–"),
            _known(row.reference, percent),
            _known(row.now, percent),
            _known(row.before, percent),
            _known(row.lost, _windows),
            _state(row.below, row.back, row.begins),
        ]
        for row in each(found.head(MOST_USERS))
    ]
    head = [
        "user", "drift", "since round", "noticed in round", "before, %", "now, %",
        "without drift, %", "lost windows", "state",
    ]  # fmt: skip
    return f"<h3>{prose(f'Who needs attention, `{arm}`')}</h3>" + linked_table(
        head,
        rows,
        [links.get(row[0], "") for row in rows],
        "Farthest below the own reference first; holdout accuracy",
    )


def _state(below: float, back: float, begins: float) -> str:
    if np.isnan(begins):
        return "no drift"
    if np.isnan(below):
        return "unknown"
    if below <= _MARGIN + 1e-9:
        return "as good as before" if np.isnan(back) else f"back after {back:.0f} rounds"
    return f"{points(below)} down"


def _noticed(detections: pd.DataFrame, arm: str) -> dict[str, str]:
    """Return when the first detector noticed each user's drift, with its name."""
    if detections.empty or "round" not in detections:
        return {}
    own = detections[(detections["arm"] == arm) & detections["round"].notna()]
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
        if not np.isnan(row.recovery_rounds):
            found.append(Mark("recovery", int(row.begins + row.recovery_rounds - 1)))
    if not records.detections.empty and "round" in records.detections:
        alarms = records.detections
        alarms = alarms[(alarms["arm"] == arm) & alarms["round"].notna()]
        for row in each(alarms.sort_values("round").drop_duplicates("device")):
            if single.get(row.user, 2) == 1:
                marks.setdefault(str(row.user), []).append(Mark("alarm", int(row.round)))
    return dict(marks)

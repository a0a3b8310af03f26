"""What a report says of drift by arm: what was lost, what was noticed, and who came back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from simulator.measures.drift_frames import FELL
from simulator.report.charts import heat_map, heat_told
from simulator.report.need import MARGIN, slipped
from simulator.report.page import (
    Column,
    arms_table,
    chart,
    of_arm,
    percent,
    plain_table,
    prose,
)
from simulator.report.records import RunRecords
from simulator.report.rows import each
from simulator.report.sections import MOST_USERS, View
from simulator.report.wording import listed, percents

__all__ = ["drift_heat", "drift_overview", "drift_sentences"]

_MOST_NAMED = 3  # arms that a sentence names one by one
_TOLD = {"all": "all that drifted", "fell": f"those that fell by {100 * FELL:.0f} points or more"}


def _windows(value: float) -> str:
    return f"{value:.1f}"


def _count(value: float) -> str:
    return f"{value:,.0f}"


_LOSSES = [
    Column("drifted", "devices", _count, None, "drifted"),
    Column("spells", "spells", _count, None, "drifted"),
    Column("reference", "before, %", percent, None, "holdout accuracy of those"),
    Column("after", "as it began, %", percent, "high", "holdout accuracy of those"),
    Column("end", "at the end, %", percent, "high", "holdout accuracy of those"),
    Column("before_end", "without drift, %", percent, "high", "holdout accuracy of those"),
    Column("lost_windows", "lost windows a device", _windows, "low", "drifted"),
    Column("fallen", "fell", _count, None, "drifted"),
    Column("recovered", "of these back, %", percent, "high", "drifted"),
    Column("recovery_answered", "after answers", _windows, "low", "drifted"),
]


def _losses(devices: pd.DataFrame) -> pd.DataFrame:
    """Reduce drift to a row per arm; spells that were not scored before are left out.

    A device counts once, whether it drifted once or several times: its accuracies are means over
    its spells, its lost windows their sum. What fell and came back is counted by spell.
    """
    if devices.empty:
        return pd.DataFrame()
    known = devices[devices["drop"].notna()]
    keys = [key for key in ("seed", "device") if key in devices]
    rows = []
    for arm, own in known.groupby("arm", sort=False):
        own = own.assign(after=own["reference"] - own["drop"])
        each_device = own.groupby(keys, sort=False)
        means = each_device[["reference", "after", "holdout_now", "holdout_before"]].mean().mean()
        fallen = own[own["drop"] >= FELL - 1e-9]
        rows.append(
            {
                "arm": arm,
                "drifted": float(each_device.ngroups),
                "spells": float(len(own)),
                "reference": means["reference"],
                "after": means["after"],
                "end": means["holdout_now"],
                "before_end": means["holdout_before"],
                "lost_windows": each_device["lost_windows"].sum().mean(),
                "fallen": float(len(fallen)),
                "recovered": fallen["recovered_at_end"].mean() if len(fallen) else np.nan,
                "recovery_answered": fallen["recovery_answered"].median(),
            }
        )
    return pd.DataFrame(rows)


def _comes_back(losses: pd.DataFrame) -> bool:
    """Tell whether a device drifted more than once."""
    return bool((losses["spells"] > losses["drifted"]).any())


def drift_sentences(devices: pd.DataFrame, alarms: pd.DataFrame) -> list[str]:
    """Say which arm lost least to drift, who came back, and what was noticed."""
    losses = _losses(devices)
    if losses.empty:
        return []
    return [_lost(losses), *_back(losses), *_best_noticed(alarms)]


def _lost(losses: pd.DataFrame) -> str:
    """Say who lost least and most, as far as the digits that are shown tell arms apart."""
    by_lost: dict[str, list[str]] = {}
    for row in each(losses):
        by_lost.setdefault(_windows(row.lost_windows), []).append(str(row.arm))
    shown = sorted(by_lost.items(), key=lambda one: float(one[0]))
    (least, fewest), (most, last) = shown[0], shown[-1]
    if len(losses) == 1:
        return f"Of drift, `{fewest[0]}` lost {least} windows a device."
    if len(by_lost) == 1:
        return f"Of drift, {_arms(fewest)} lost the same: {least} windows a device."
    worst = (
        f"{_arms(last)}, which lost most, lost {most}"
        if len(last) == 1
        else f"{_arms(last)} lost most, {most} each"
    )
    return f"Of drift, {_arms(fewest)} lost least: {least} windows a device, where {worst}."


def _arms(names: list[str]) -> str:
    """Name arms, or, where these are many, count them."""
    if len(names) > _MOST_NAMED:
        return f"{len(names)} arms"
    return listed([f"`{name}`" for name in names])


def _back(losses: pd.DataFrame) -> list[str]:
    """Say how many of those that fell were back at the end."""
    fell = losses[losses["fallen"] > 0]
    if fell.empty:
        return []
    points, near = f"{100 * FELL:.0f} points", f"{100 * MARGIN:.0f} points"
    back = listed([f"{percents(row.recovered)} with `{row.arm}`" for row in each(fell)])
    if _comes_back(losses):
        return [
            f"Of the spells of drift in which a device's accuracy fell by {points} or more, so "
            f"many ended within {near} of its own reference: {back}."
        ]
    return [
        f"Of the devices whose accuracy fell by {points} or more, so many were within {near} of "
        f"their own reference at the end: {back}."
    ]


def _best_noticed(alarms: pd.DataFrame) -> list[str]:
    """Name what noticed most falls in time, of equals what gave fewer false alarms."""
    if alarms.empty:
        return []
    fell = alarms[(alarms["whose"] == "fell") & (alarms["spells"] > 0)]
    if fell.empty:
        return []
    if not fell["within"].any():
        return ["No detector noticed any of those falls within 40 answered windows."]
    shown = fell.assign(
        share=fell["within"].map(percents), false=fell["false_rate"].map(lambda x: f"{x:.2f}")
    ).sort_values(["within", "false_rate"], ascending=[False, True], kind="stable")
    share, false = shown.iloc[0][["share", "false"]]
    best = shown[(shown["share"] == share) & (shown["false"] == false)]
    everywhere = fell["arm"].nunique()
    told = []
    for detector, own in best.groupby("detector", sort=False):
        arms = [str(arm) for arm in own["arm"]]
        where = "every arm" if len(arms) == everywhere > 1 else _arms(arms)
        told.append(f"`{detector}` in {where}")
    return [
        f"Best noticed by {listed(told)}: {share} of those falls within 40 answered windows, at "
        f"{false} false alarms per 1,000 windows."
    ]


def drift_overview(view: View, devices: pd.DataFrame, alarms: pd.DataFrame) -> str:
    """Show what each arm lost, and what was noticed."""
    if devices.empty:
        return ""
    body, losses = "", _losses(devices)
    if not losses.empty:
        spells = _comes_back(losses)
        again = (
            " Of a device that drifts several times: accuracies are means over its spells, lost "
            "windows their sum; each spell that fell counts."
            if spells
            else ""
        )
        body += arms_table(
            losses if spells else losses.drop(columns="spells"),
            _LOSSES,
            view.swatches,
            "Devices that drifted, by arm",
        ) + (
            '<p class="note">Before: mean of the last three scorings before the drift, which is '
            "each device's own reference. Without drift: the holdout as it was before, at the end: "
            "what was kept. Lost windows: how far accuracy was below the reference "
            f"while it was, times the windows of the stream that came under drift. "
            f"Fell: by {100 * FELL:.0f} points or more as the drift "
            f"began. Back: within {100 * MARGIN:.0f} points of the reference at the end"
            f"{' of the spell' if spells else ''}.{again}</p>"
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
        own = own[own["user"].astype(str).isin(order)]
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

"""The section of a report that shows what went wrong on the way to the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from simulator.report.page import Column, arms_table, percent
from simulator.report.rows import each
from simulator.report.sections import View, events
from simulator.report.wording import counted, listed, percents

__all__ = ["fault_sentences", "faults_overview"]


def _count(value: float) -> str:
    return f"{value:,.0f}"


_COLUMNS = [
    Column("unreachable", "out of reach, % of rounds", percent, None, "devices"),
    Column("updates_sent", "sent", _count, None, "updates"),
    Column("updates_accepted", "accepted", _count, None, "updates"),
    Column("updates_refused", "refused", _count, None, "updates"),
    Column("updates_lost", "lost", _count, None, "updates"),
    Column("honest_accepted", "accepted", _count, None, "of honest devices"),
    Column("honest_refused", "refused", _count, None, "of honest devices"),
    Column("hostile_accepted", "accepted", _count, None, "of hostile devices"),
    Column("hostile_refused", "refused", _count, None, "of hostile devices"),
    Column("simulated_s", "rounds took, simulated s", _count),
    Column("backdoor_success", "backdoor's success, %", percent, "low"),
]
_UPDATES = ("updates_sent", "updates_accepted", "updates_refused", "updates_lost")


def faults_overview(view: View, found: pd.DataFrame, fates: pd.DataFrame, seeds: int = 1) -> str:
    """Show what became of each arm's devices and updates, and why; nothing where all went well.

    Args:
        view: see `View`.
        found: arm, kind, reason, count of events.
        fates: from `fates_of`, of all seeds together.
        seeds: over which the figures are averaged.
    """
    hostile = not fates.empty and bool(fates["hostile"].any())
    told = events(view, found, ", those of hostile devices too" if hostile else "")
    if not set(_UPDATES) <= set(view.summary.columns):
        return told
    table = view.summary.merge(_beside(fates, seeds), on="arm", how="left")
    table = table[table["updates_sent"].notna()]
    wrong = table[["updates_refused", "updates_lost"]].to_numpy().any()
    wrong = wrong or (table["updates_accepted"] == 0).any()
    others = [column.key for column in _COLUMNS if column.key not in _UPDATES]
    if table.empty or not (wrong or any(key in table for key in others)):
        return told
    note = (
        "Sent = accepted + refused + lost; a duplicate is sent and refused. In arms that do not "
        "wait, updates count in the round in which they arrive."
    )
    if hostile:
        note += " Updates are of all devices, hostile ones included."
    return arms_table(table, _COLUMNS, view.swatches, note) + told


def _beside(fates: pd.DataFrame, seeds: int) -> pd.DataFrame:
    """Give each arm a row: the share of rounds out of reach, and updates of honest and hostile."""
    rows: list[dict[str, Any]] = []
    if fates.empty:
        return pd.DataFrame({"arm": pd.Series(dtype=str)})
    for arm, own in fates.groupby("arm", sort=False):
        row: dict[str, Any] = {"arm": arm}
        if own["unreachable"].any():
            row["unreachable"] = own["unreachable"].sum() / own["rounds"].sum()
        if fates["hostile"].any():
            for kind in each(own):
                whose = "hostile" if kind.hostile else "honest"
                row[f"{whose}_accepted"] = kind.accepted / seeds
                row[f"{whose}_refused"] = kind.refused / seeds
        rows.append(row)
    return pd.DataFrame(rows)


def fault_sentences(
    scenario: Mapping[str, Any], summary: pd.DataFrame, fates: pd.DataFrame, seeds: int = 1
) -> list[str]:
    """Say which servers had nothing to learn from, who means harm, and who is scored.

    Args:
        scenario: that of the run.
        summary: the columns of `summary.csv`.
        fates: from `fates_of`, of all seeds together.
        seeds: how many there are.
    """
    return [*_nothing_accepted(summary, fates), *_hostile(scenario, summary, fates, seeds)]


def _nothing_accepted(summary: pd.DataFrame, fates: pd.DataFrame) -> list[str]:
    if not set(_UPDATES) <= set(summary.columns):
        return []
    none = summary[summary["updates_accepted"] == 0]
    beside = _beside(fates, 1).set_index("arm")
    told = []
    for row in each(none):
        away = beside["unreachable"].get(row.arm, 0.0) if "unreachable" in beside else 0.0
        reach = f"; devices were out of reach in {percents(away)} of their rounds"
        told.append(f"`{row.arm}` ({row.updates_sent:,.0f} sent{reach if away > 0 else ''})")
    if not told:
        return []
    whose = "it shares" if len(told) == 1 else "they share"
    return [f"No update was accepted in {listed(told)}: what {whose} stayed as it began."]


def _hostile(
    scenario: Mapping[str, Any], summary: pd.DataFrame, fates: pd.DataFrame, seeds: int
) -> list[str]:
    if fates.empty or not fates["hostile"].any():
        return []
    attack = scenario.get("faults", {}).get("attack", "none")
    own = fates[fates["arm"] == fates["arm"].iloc[0]]
    harm, devices = int(own.loc[own["hostile"], "devices"].sum()), int(own["devices"].sum())
    one = harm == 1
    does = (
        f"{'counts' if one else 'count'} as hostile, though {'it does' if one else 'they do'} no "
        "harm,"
        if attack == "none"
        else f"{'means' if one else 'mean'} harm (`{attack}`)"
    )
    everywhere = ", of all seeds together," if seeds > 1 else ""
    told = (
        f"{harm:,} of {counted(devices, 'device')}{everywhere} {does} and {'is' if one else 'are'} "
        "scored in no figure."
    )
    if "backdoor_success" in summary and summary["backdoor_success"].notna().any():
        shared = summary[summary["updates_sent"].notna()].set_index("arm")["backdoor_success"]
        told += (
            f" Of windows with the backdoor's trigger, {percent(float(shared.max()))}% are taken "
            f"for its target in `{shared.idxmax()}`, and {percent(float(shared.min()))}% in "
            f"`{shared.idxmin()}`."
        )
    return [told]

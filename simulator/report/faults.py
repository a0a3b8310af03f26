"""The section of a report that shows what went wrong on the way to the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from simulator.report.page import Column, arms_table, percent
from simulator.report.sections import View, events

__all__ = ["fault_sentences", "faults_overview"]


def _count(value: float) -> str:
    return f"{value:,.0f}"


_COLUMNS = [
    Column("updates_sent", "sent", _count, None, "updates"),
    Column("updates_accepted", "accepted", _count, None, "updates"),
    Column("updates_refused", "refused", _count, None, "updates"),
    Column("updates_lost", "lost", _count, None, "updates"),
    Column("simulated_s", "rounds took, simulated s", _count),
    Column("backdoor_success", "backdoor's success, %", percent, "low"),
]


def faults_overview(view: View, found: pd.DataFrame) -> str:
    """Show what became of each arm's updates, and why; nothing where nothing went wrong."""
    known = [column.key for column in _COLUMNS if column.key in view.summary]
    if "updates_sent" not in known:
        return events(view, found)
    wrong = view.summary[["updates_refused", "updates_lost"]].fillna(0).to_numpy().any()
    if not wrong and len(known) == 4:  # and no other figure of faults
        return events(view, found)
    table = view.summary.loc[view.summary["updates_sent"].notna(), ["arm", *known]]
    if table.empty:
        return events(view, found)
    note = (
        "Sent = accepted + refused + lost; a duplicate is sent and refused. In arms that do not "
        "wait, updates count in the round in which they arrive."
    )
    return arms_table(table, _COLUMNS, view.swatches, note) + events(view, found)


def fault_sentences(scenario: Mapping[str, Any], summary: pd.DataFrame) -> list[str]:
    """Say in a sentence who means harm and who is scored, where somebody does."""
    faults = scenario.get("faults", {})
    if not faults.get("hostile"):
        return []
    share, attack = percent(float(faults["hostile"])), faults.get("attack", "none")
    told = f"{share}% of the devices mean harm (`{attack}`) and are scored in no figure."
    if "backdoor_success" in summary and summary["backdoor_success"].notna().any():
        shared = summary[summary["updates_sent"].notna()].set_index("arm")["backdoor_success"]
        told += (
            f" Of windows with the backdoor's trigger, {percent(float(shared.max()))}% are taken "
            f"for its target in `{shared.idxmax()}`, and {percent(float(shared.min()))}% in "
            f"`{shared.idxmin()}`."
        )
    return [told]

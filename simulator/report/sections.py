"""The sections of a report that show what a run measured, each as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from simulator.fading import ALPHA
from simulator.report.charts import dot_plot, rounds_chart, spread
from simulator.report.contrasts import Protocol
from simulator.report.page import (
    Column,
    arms_table,
    chart,
    linked_table,
    percent,
    plain_table,
    prose,
    size,
)
from simulator.report.records import RunRecords
from simulator.report.svg import ArmStyle, Mark, legend, small_multiples, swatch

__all__ = [
    "View",
    "arms_overview",
    "cost",
    "events",
    "over_time",
    "seeds_overview",
    "users_by_dots",
    "users_over_time",
]

_MARKED = (
    " Dashed line: the drift begins; red triangle at the top: the first alarm; green triangle at "
    "the bottom: back within 5 points on holdout; alarm and recovery are those of `{arm}`."
)
_FEW_ARMS = 3  # as many bands can lie over each other and still be told apart


def _kappa(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


_ACCURACIES = [
    Column("devices", "devices", lambda value: f"{value:,.0f}"),
    Column("prequential_accuracy", "windows, %", percent, "high", "prequential accuracy"),
    Column("prequential_vote_accuracy", "votes, %", percent, "high", "prequential accuracy"),
    Column("prequential_kappa_temporal", "κ temporal", _kappa, "high", "prequential accuracy"),
    Column("holdout_accuracy", "mean, %", percent, "high", "holdout accuracy of users"),
    Column("holdout_worst_tenth", "worst tenth, %", percent, "high", "holdout accuracy of users"),
    Column("holdout_min", "least, %", percent, "high", "holdout accuracy of users"),
    Column("holdout_std", "deviation, points", percent, "low", "holdout accuracy of users"),
    Column("holdout_macro_f1", "macro-F1, %", percent, "high", "holdout"),
    Column("worse_than_local", "users worse than local, %", percent, "low", "holdout"),
]
_COSTS = [
    Column("devices", "devices", lambda value: f"{value:,.0f}"),
    Column("answered", "answers per device", lambda value: f"{value:.1f}"),
    Column("steps", "steps per device", lambda value: f"{value:.1f}"),
    Column("gradients", "gradients per device", lambda value: f"{value:.1f}"),
    Column("gradients_per_answer", "gradients per answer", lambda value: f"{value:.2f}"),
    Column("bytes_down", "down per device", size),
    Column("bytes_up", "up per device", size),
]


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What several sections share.

    Attributes:
        summary: the columns of `summary.csv`; `users` those of `users.csv`.
        baseline: the arm that the others are compared with.
        rival: the most accurate of the others, if there are any.
        protocol: the accuracy that users are shown by; None if nothing was scored.
        styles: by arm, in the scenario's order.
        order: users, those whom the rival helps most first.
    """

    summary: pd.DataFrame
    users: pd.DataFrame
    baseline: str
    rival: str | None
    protocol: Protocol | None
    styles: Mapping[str, ArmStyle]
    order: list[str]

    @property
    def swatches(self) -> dict[str, str]:
        """Draw each arm's line and marker, by arm."""
        return {arm: swatch(style) for arm, style in self.styles.items()}


def arms_overview(view: View) -> str:
    """Show the table of arms, best values marked."""
    if view.summary.empty:
        return "<p>This run has written no summary yet.</p>"
    caption = (
        "A share of each user's windows, averaged over users. ★ marks the best value of a column, "
        "by the digits shown, which says nothing of chance; Ranking does."
    )
    return arms_table(_without_self(view.summary), _ACCURACIES, view.swatches, caption) + (
        f'<p class="note">{prose(f"The baseline is `{view.baseline}`.")} Worst tenth: mean over '
        "the tenth of the users with the least accuracy. κ temporal: 0 is as good as repeating the "
        "last true label, 1 is perfect. Worse than local: by more than two holdout windows.</p>"
    )


def over_time(view: View, records: RunRecords) -> str:
    """Show accuracy through the rounds, on holdout and prequentially."""
    banded = _foremost(view)
    bands = "Bands" if len(view.styles) <= _FEW_ARMS else f"Bands (of {' and '.join(banded)} only)"
    held, streamed = (spread(series) for series in (records.holdout, records.prequential))
    body = ""
    if not held.empty:
        body += "<h3>Holdout accuracy through the rounds</h3>" + chart(
            rounds_chart(held, view.styles, banded, "holdout accuracy"),
            _told("Holdout accuracy, mean over users", held, view),
            f"Mean over users; round 0 is before the stream. {bands} and hovering give the 10th to "
            "90th percentile of users, which is a spread between people, not an uncertainty.",
        )
    if not records.fairness.empty and records.fairness["round"].nunique() > 1:
        worst = records.fairness.assign(
            mean=records.fairness["worst_tenth"],
            low=records.fairness["minimum"],
            high=records.fairness["mean"],
        )
        body += "<h3>The worst tenth of users through the rounds</h3>" + chart(
            rounds_chart(worst, view.styles, (), "holdout accuracy, worst tenth"),
            _told("Holdout accuracy of the worst tenth", worst, view),
            "Mean over the tenth of the users with the least accuracy at each scoring, who need "
            "not be the same each time; hovering gives the worst user and the mean of all.",
        )
    if not streamed.empty:
        body += "<h3>Prequential accuracy through the stream</h3>" + chart(
            rounds_chart(streamed, view.styles, banded, "prequential accuracy, fading"),
            _told("Prequential accuracy with fading factor, mean over users", streamed, view),
            f"Each window is scored before it is learnt from; older windows fade with a factor of "
            f"{ALPHA} a window, so that about the last {1 / (1 - ALPHA):.0f} count. The value of "
            "each device when a round ends (after its stream, its last), averaged over a user's "
            f"devices, then over users. {bands}: 10th to 90th percentile of users.",
        )
    return body


def users_by_dots(view: View) -> str:
    """Show each user's accuracy with each arm."""
    if view.protocol is None or view.protocol.column not in view.users or not view.order:
        return ""
    name = view.protocol.name
    order = "least accurate first"
    if view.rival is not None:
        order = f"first those for whom {view.rival} gains most over {view.baseline}"
    label = f"Dot plot of the {name} accuracy of {len(view.order)} users, one dot per arm, {order}."
    figure = dot_plot(view.users, view.order, view.styles, _foremost(view), view.protocol)
    return (
        f"<h3>{name.capitalize()} accuracy of each user</h3>"
        + chart(figure, f"{label} The numbers are in the table below it.", f"Users: {order}.")
        + _users_table(view, view.protocol)
    )


def users_over_time(
    view: View, records: RunRecords, marks: Mapping[str, Sequence[Mark]], marked: str
) -> str:
    """Show each user's prequential accuracy through the stream, in small charts.

    Args:
        view: see `View`.
        records: of the run.
        marks: by user, what befell in one arm.
        marked: that arm.
    """
    series = records.prequential
    if series.empty:
        return ""
    known = set(view.order)
    order = view.order + sorted({str(user) for user in series["user"]} - known)
    return (
        "<h3>Prequential accuracy of each user through the stream</h3>"
        + legend(view.styles)
        + small_multiples(
            series, order, view.styles, "prequential accuracy with fading factor", marks
        )
        + '<p class="note">Percent by round, on the same axes for every user, in the order of the '
        f"plot above; fading factor {ALPHA}. The first rounds rest on few windows."
        + (prose(_MARKED.format(arm=marked)) if marks else "")
        + "</p>"
    )


def cost(view: View, costs: pd.DataFrame) -> str:
    """Show what each arm computes and sends, per device over the run."""
    per_device = costs.copy()
    for column in set(per_device.columns) - {"arm", "devices"}:
        per_device[column] = per_device[column] / per_device["devices"].replace(0, np.nan)
    kept = [
        name
        for name in view.summary.columns
        if name == "arm" or name.startswith(("devices", "gradients_per_answer", "bytes_"))
    ]
    table = view.summary[kept]
    extra = [name for name in per_device.columns if name == "arm" or name not in kept]
    table = per_device[extra].merge(table, on="arm", how="left")
    return arms_table(
        table,
        _COSTS,
        view.swatches,
        "Means per device over the whole run. An answer may take several gradients: rehearsal and "
        "repeated steps count.",
    )


def events(found: pd.DataFrame) -> str:
    """Count what happened on the way, such as refused updates."""
    if found.empty:
        return ""
    rows = [
        [str(row.arm), str(row.kind), str(row.reason), f"{row.count_:,}"]
        for row in found.rename(columns={"count": "count_"}).itertuples()
    ]
    return "<h3>Events</h3>" + plain_table(
        ["arm", "kind", "reason", "count"], rows, "Devices and rounds in which it happened"
    )


def seeds_overview(view: View, seeds: Mapping[str, pd.DataFrame]) -> str:
    """Link each seed's report, with the accuracy of each arm."""
    arms = list(view.styles)
    rows = []
    for folder, summary in seeds.items():
        cells = [folder.replace("-", " ")]
        for arm in arms:
            found = summary[summary["arm"] == arm]
            known = view.protocol is not None and view.protocol.column in found and len(found) == 1
            value = (
                float(found[view.protocol.column].iloc[0]) if view.protocol and known else np.nan
            )
            cells.append("–" if np.isnan(value) else percent(value))
        rows.append(cells)
    what = "no accuracy" if view.protocol is None else f"{view.protocol.name} accuracy, %"
    links = [f"{folder}/report.html" for folder in seeds]
    return linked_table(["seed", *arms], rows, links, f"Each seed is a complete run: {what}")


def _users_table(view: View, protocol: Protocol) -> str:
    table = view.users.pivot(index="user", columns="arm", values=protocol.column).astype(float)
    arms = [arm for arm in view.styles if arm in table]
    rows = []
    for user in view.order:
        values = [float(table[arm][user]) for arm in arms]
        rows.append([user, *("–" if np.isnan(value) else percent(value) for value in values)])
    caption = f"{protocol.name.capitalize()} accuracy, %"
    body = plain_table(["user", *arms], rows, caption)
    return f"<details><summary>The same as a table</summary>{body}</details>"


def _without_self(summary: pd.DataFrame) -> pd.DataFrame:
    """Blank how `local` compares with itself, which would always be the best value."""
    if not {"method", "worse_than_local"} <= set(summary.columns):
        return summary
    summary = summary.copy()
    own = summary.index[summary["method"] == "local"][:1]
    summary.loc[own, "worse_than_local"] = np.nan
    return summary


def _foremost(view: View) -> list[str]:
    """Choose the arms to draw with emphasis: all if they are few, else those of the answer."""
    if len(view.styles) <= _FEW_ARMS:
        return list(view.styles)
    return [arm for arm in (view.baseline, view.rival) if arm is not None]


def _told(what: str, means: pd.DataFrame, view: View) -> str:
    parts = []
    for arm in view.styles:
        rows = means[means["arm"] == arm]
        if not rows.empty:
            first, last = rows.iloc[0], rows.iloc[-1]
            parts.append(
                f"{arm} from {percent(first['mean'])}% (round {first['round']:.0f}) "
                f"to {percent(last['mean'])}% (round {last['round']:.0f})"
            )
    return f"{what}, as lines through the rounds: " + "; ".join(parts) + "."

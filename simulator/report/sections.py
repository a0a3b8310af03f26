"""The sections of a report that show what a run measured, each as HTML."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import pandas as pd

from simulator.measures.fading import ALPHA
from simulator.measures.reference import local_of
from simulator.report.charts import rounds_chart, spread
from simulator.report.contrasts import Protocol, accuracies
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
from simulator.report.svg import ArmStyle, swatch
from simulator.report.wording import points

__all__ = [
    "MOST_USERS",
    "Intervals",
    "View",
    "arms_overview",
    "events",
    "means_over_seeds",
    "over_time",
    "seeds_overview",
    "told_lines",
]

_FEW = re.compile(r"^\d+ good updates of \d+:")  # these numbers differ from round to round
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
_MEANINGS = {
    "holdout_worst_tenth": "Worst tenth: mean over the tenth of the users with the least accuracy.",
    "prequential_kappa_temporal": "κ temporal: 0 is as good as repeating the last true label, 1 is "
    "perfect.",
    "worse_than_local": "Worse than local: by more than two holdout windows.",
}
_SHOWN = 0.0005  # from which on shares differ in the digits shown
MOST_USERS = 200  # as many are shown one by one


Intervals: TypeAlias = Mapping[str, Mapping[str, tuple[float, float]]]


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What several sections share.

    Attributes:
        summary: the columns of `summary.csv`; `users` those of `users.csv`.
        baseline: the arm that the others are compared with.
        rival: the most accurate of the others, if there are any.
        protocol: the accuracy that users are shown by; None if nothing was scored.
        styles: by arm, in the scenario's order.
        order: users, those in greatest need first, and in words by what; `by_gain` those whom the
            rival helps most first, empty without one.
        intervals: by column of accuracy and arm, the 95% interval of the mean over users.
    """

    summary: pd.DataFrame
    users: pd.DataFrame
    baseline: str
    rival: str | None
    protocol: Protocol | None
    styles: Mapping[str, ArmStyle]
    order: list[str]
    need_told: str = "by name"
    by_gain: Sequence[str] = ()
    intervals: Intervals = field(default_factory=dict)

    @property
    def shown(self) -> list[str]:
        """List the users who are shown one by one."""
        return self.order[:MOST_USERS]

    @property
    def gain_told(self) -> str:
        """Say what users are sorted by in `by_gain`."""
        return f"first those for whom {self.rival} gains most over {self.baseline}"

    @property
    def scores(self) -> dict[str, float]:
        """Give the mean accuracy of each arm that has one."""
        if self.protocol is None:
            return {}
        found = accuracies(self.summary, self.protocol)
        return {str(arm): float(score) for arm, score in found.items()}

    @property
    def spoken(self) -> str | None:
        """Name the arm with the best mean, of which the answer speaks; None without any."""
        return max(self.scores, key=self.scores.__getitem__, default=None)

    @property
    def foremost(self) -> list[str]:
        """Choose the arms to draw with emphasis: all if they are few, else those of the answer."""
        if len(self.styles) <= _FEW_ARMS:
            return list(self.styles)
        return [arm for arm in (self.baseline, self.rival) if arm is not None]

    @property
    def swatches(self) -> dict[str, str]:
        """Draw each arm's line and marker, by arm."""
        return {arm: swatch(style) for arm, style in self.styles.items()}


def arms_overview(view: View, summary: pd.DataFrame, beneath: str) -> str:
    """Show the table of arms, best values marked.

    Args:
        view: see `View`.
        summary: the columns of `summary.csv`, with a range of some beside.
        beneath: what those ranges are.
    """
    if view.summary.empty:
        return "<p>This run has written no summary yet.</p>"
    caption = (
        "A share of each user's windows, averaged over users. ★ marks the best value of a column, "
        f"by the digits shown, which says nothing of chance; Ranking does. {beneath}"
    )
    meanings = "".join(
        f" {told}"
        for column, told in _MEANINGS.items()
        if column in summary and summary[column].notna().any()
    )
    return arms_table(_without_self(summary), _ACCURACIES, view.swatches, caption) + (
        f'<p class="note">{prose(f"The baseline is `{view.baseline}`.")}{meanings}</p>'
    )


def over_time(view: View, records: RunRecords) -> str:
    """Show accuracy through the rounds, on holdout and prequentially."""
    banded = view.foremost
    bands = "Bands" if len(view.styles) <= _FEW_ARMS else f"Bands (of {' and '.join(banded)} only)"
    held, streamed = (spread(series) for series in (records.holdout, records.prequential))
    body = ""
    if not held.empty:
        body += "<h3>Holdout accuracy through the rounds</h3>" + chart(
            rounds_chart(held, view.styles, banded, "holdout accuracy"),
            told_lines("Holdout accuracy, mean over users", held, view),
            f"Mean over users; round 0 is before the stream. {bands} and hovering give the 10th to "
            "90th percentile of users, which is a spread between people, not an uncertainty.",
        )
    if not streamed.empty:
        body += "<h3>Prequential accuracy through the stream</h3>" + chart(
            rounds_chart(streamed, view.styles, banded, "prequential accuracy, fading"),
            told_lines("Prequential accuracy with fading factor, mean over users", streamed, view),
            f"Each window is scored before it is learnt from; older windows fade with a factor of "
            f"{ALPHA} a window, so that about the last {1 / (1 - ALPHA):.0f} count. The value of "
            "each device when a round ends (after its stream, its last), averaged over a user's "
            f"devices, then over users. {bands}: 10th to 90th percentile of users.",
        )
    return body


def events(view: View, found: pd.DataFrame, whose: str = "") -> str:
    """Count what happened on the way, such as refused updates; `whose` says of which devices."""
    if found.empty:
        return ""
    counts: dict[tuple[str, str, str], int] = {}
    for row in each(found):
        key = (str(row.arm), str(row.kind), _FEW.sub("too few good updates:", str(row.reason)))
        counts[key] = counts.get(key, 0) + int(row.count)
    rows = [[*key, f"{count:,}"] for key, count in counts.items()]
    return "<h3>Events</h3>" + plain_table(
        ["arm", "kind", "reason", "count"],
        rows,
        f"Devices and rounds in which it happened{whose}",
        [of_arm(arm, view.styles) for arm, _, _ in counts],
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


def means_over_seeds(view: View, written: pd.DataFrame) -> str:
    """Say what is averaged in which order, where there are several seeds.

    Args:
        view: see `View`; its summary counts each user alike.
        written: `summary.csv`, the means of the seeds' own figures.
    """
    if view.protocol is None or view.summary.empty:
        return ""
    column = view.protocol.column
    apart = (view.summary[column] - written[column]).abs().max()
    other = (
        " summary.csv has the mean of the seeds' own means, which differs by up to "
        f"{points(apart)}, as the seeds scored different people."
        if apart >= _SHOWN
        else ""
    )
    return (
        '<p class="note">Accuracies of windows: each user is averaged over the seeds that scored '
        "the user, then users are averaged. All other columns are means over seeds of their own "
        f"figures; Fairness has those of users averaged over seeds.{other}</p>"
    )


def _without_self(summary: pd.DataFrame) -> pd.DataFrame:
    """Blank how `local` compares with itself, which would always be the best value."""
    if not {"method", "worse_than_local"} <= set(summary.columns):
        return summary
    local = local_of(dict(zip(summary["arm"], summary["method"], strict=True)))
    others = summary["worse_than_local"].astype(float).where(summary["arm"] != local)
    return summary.assign(worse_than_local=others)


def told_lines(what: str, means: pd.DataFrame, view: View) -> str:
    """Tell a chart of lines to those who do not see it: where each arm begins and ends."""
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

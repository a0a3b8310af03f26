"""Arms held against each other by means with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from simulator.measures.statistics import FEWEST_PAIRS, Comparison, bootstrap_interval
from simulator.report.arm_charts import interval_chart
from simulator.report.page import chart, percent
from simulator.report.rows import each
from simulator.report.sections import Intervals, View
from simulator.report.wording import signed

__all__ = ["arms_by_intervals", "mean_intervals", "with_intervals"]

_NONE = (np.nan, np.nan)


def mean_intervals(users: pd.DataFrame) -> Intervals:
    """Resample the users of each arm; an arm with too few has no interval.

    Args:
        users: the columns of `users.csv`.
    """
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for column in ("prequential_accuracy", "holdout_accuracy"):
        if column not in users:
            continue
        for arm, values in users.groupby("arm")[column]:
            known = values.dropna().to_numpy(np.float64)
            if known.size >= FEWEST_PAIRS:
                found.setdefault(column, {})[str(arm)] = bootstrap_interval(known)
    return found


def with_intervals(view: View) -> pd.DataFrame:
    """Return the summary with the interval of each accuracy beside it, in `_min` and `_max`."""
    summary = view.summary.copy()
    for column, by_arm in view.intervals.items():
        if column in summary:
            ends = [by_arm.get(str(arm), _NONE) for arm in summary["arm"]]
            summary[f"{column}_min"] = [low for low, _ in ends]
            summary[f"{column}_max"] = [high for _, high in ends]
    return summary


def arms_by_intervals(view: View, tests: Sequence[Comparison]) -> str:
    """Draw the mean of each arm with its interval, and how far it is from the baseline."""
    if view.protocol is None or view.protocol.column not in view.users:
        return ""
    name, column = view.protocol.name, view.protocol.column
    scores, by_arm = view.scores, view.intervals.get(column, {})
    rows = [(arm, scores[arm], *by_arm.get(arm, _NONE)) for arm in view.styles if arm in scores]
    means = pd.DataFrame(rows, columns=["arm", "value", "low", "high"])
    if len(means) < 2 or means["low"].isna().all():
        return ""
    means = means.sort_values("value", ascending=False, kind="stable")
    order = [str(arm) for arm in means["arm"]]
    apart = pd.DataFrame(
        [
            (one.arm, one.mean_difference, one.interval_low, one.interval_high)
            for one in tests
            if one.against == view.baseline and one.tested
        ],
        columns=["arm", "value", "low", "high"],
    )
    body = chart(
        interval_chart(means, order, view.styles, f"{name} accuracy, mean over users", ".1%"),
        f"Mean {name} accuracy of each arm with its 95% interval: "
        + "; ".join(f"{r.arm} {_told(r, percent)}" for r in each(means))
        + ".",
        f"Mean {name} accuracy over users, best first, with its 95% bootstrap interval over users. "
        "Users differ more than arms do, so these intervals overlap; the other chart compares "
        "person by person.",
    )
    if not apart.empty:
        body += chart(
            interval_chart(
                apart, order, view.styles, f"difference from {view.baseline}, points", "+.1f"
            ),
            f"Difference of {name} accuracy from the baseline {view.baseline}, with 95% intervals: "
            + "; ".join(f"{r.arm} {_told(r, signed)}" for r in each(apart))
            + ".",
            f"Difference from the baseline {view.baseline}, person by person: mean and 95% "
            "bootstrap interval of each comparison alone, not corrected for the number of arms. "
            "Right of the line, the arm is better.",
        )
    return f'<div class="pair">{body}</div>'


def _told(row: Any, show: Callable[[float], str]) -> str:
    value, low, high = row.value, row.low, row.high
    if np.isnan(low):
        return show(value)
    return f"{show(value)} ({show(low)} to {show(high)})"

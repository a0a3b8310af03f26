"""The section of a report that shows how evenly an arm serves its users."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from simulator.measures.drift import wilson_interval
from simulator.measures.metrics import worst_tenth
from simulator.measures.reference import local_of
from simulator.measures.statistics import FEWEST_PAIRS
from simulator.report.arm_charts import spread_chart
from simulator.report.charts import rounds_chart
from simulator.report.contrasts import HOLDOUT
from simulator.report.page import Column, arms_table, chart, percent
from simulator.report.rows import each
from simulator.report.sections import View, told_lines
from simulator.report.wording import counted

__all__ = ["fairness"]

_RESAMPLES = 1_999
_SEED = 1  # of the resampling: equal users give equal intervals
_BATCH = 100
_NONE = (np.nan, np.nan)
_COLUMNS = [
    Column("mean", "mean, %", percent, "high"),
    Column("worst_tenth", "worst tenth, %", percent, "high"),
    Column("minimum", "least, %", percent, "high"),
    Column("std", "deviation, points", percent, "low"),
    Column("worse", "users worse than local, %", percent, "low"),
]


def fairness(view: View, scored: pd.DataFrame, seeds: int = 1) -> str:
    """Show the spread of accuracy over users, by arm, and of the worst through the rounds.

    Args:
        view: see `View`.
        scored: the columns of `fairness.csv`; empty where nothing was scored through the rounds.
        seeds: over which users are averaged.
    """
    if view.protocol is None or view.protocol.column not in view.users:
        return ""
    frame = _by_arm(view, seeds)
    if frame.empty:
        return ""
    name, count = view.protocol.name, view.users["user"].nunique()
    shares = " (of shares, Wilson's)" if "worse_min" in frame else ""
    intervals = (
        f"beneath, 95% bootstrap intervals over users{shares}; the least has none"
        if count >= FEWEST_PAIRS
        else f"fewer than {FEWEST_PAIRS} users, so no intervals"
    )
    averaged = ", each averaged over the seeds first" if seeds > 1 else ""
    body = arms_table(
        frame,
        _COLUMNS,
        view.swatches,
        f"{name.capitalize()} accuracy over {counted(count, 'user')}{averaged}; {intervals}",
    )
    told = "; ".join(
        f"{row.arm}: median {percent(row.median)}%, least {percent(row.minimum)}%"
        for row in each(frame)
    )
    body += chart(
        spread_chart(frame, view.styles, f"{name} accuracy of users"),
        f"Box plots of the {name} accuracy of users, by arm. {told}.",
        "Box: the middle half of the users, with the median; whiskers: the worst and the best "
        "user; diamond: the mean of the worst tenth.",
    )
    if scored.empty or scored["round"].nunique() < 2:
        return body
    worst = scored.assign(mean=scored["worst_tenth"], low=scored["minimum"], high=scored["mean"])
    return (
        body
        + "<h3>The worst tenth of users through the rounds</h3>"
        + chart(
            rounds_chart(worst, view.styles, (), "holdout accuracy, worst tenth"),
            told_lines("Holdout accuracy of the worst tenth", worst, view),
            "Mean over the tenth of the users with the least accuracy at each scoring, who need "
            "not be the same each time; hovering gives the worst user and the mean of all.",
        )
    )


def _by_arm(view: View, seeds: int) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    column = view.protocol.column if view.protocol else ""
    shares = _worse_than_local(view)
    for arm in view.styles:
        values = view.users.loc[view.users["arm"] == arm, column].dropna()
        if values.empty:
            continue
        row = _spread(values.to_numpy(np.float64))
        row["mean_min"], row["mean_max"] = view.intervals.get(column, {}).get(arm, _NONE)
        row |= _worse(shares.get(arm, float("nan")), len(values), seeds)
        rows.append({"arm": arm, **row})
    return pd.DataFrame(rows)


def _worse_than_local(view: View) -> dict[str, float]:
    """Give the share of users for whom each other arm is worse, by arm; it is of holdout alone."""
    summary = view.summary
    if view.protocol is not HOLDOUT or not {"method", "worse_than_local"} <= set(summary.columns):
        return {}
    local = local_of(dict(zip(summary["arm"], summary["method"], strict=True)))
    others = summary[summary["arm"] != local].set_index("arm")["worse_than_local"].astype(float)
    return {str(arm): float(share) for arm, share in others.items()}


def _spread(values: NDArray[np.float64]) -> dict[str, float]:
    """Sum up one arm's users, float64 [U], with intervals where they are enough."""
    lowest, first, median, third, highest = np.quantile(values, [0, 0.25, 0.5, 0.75, 1])
    row = {
        "mean": float(values.mean()),
        "worst_tenth": worst_tenth(values),
        "minimum": float(lowest),
        "std": float(values.std()),
        "first": float(first),
        "median": float(median),
        "third": float(third),
        "highest": float(highest),
    }
    if values.size < FEWEST_PAIRS or np.ptp(values) == 0.0:
        return row
    row["worst_tenth_min"], row["worst_tenth_max"] = _percentiles(values, _lowest)
    row["std_min"], row["std_max"] = _percentiles(values, np.std)
    return row


def _lowest(values: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    """Return the mean of the lowest tenth along an axis, one value at least."""
    count = -(-values.shape[axis] // 10)
    lowest = np.partition(values, count - 1, axis=axis)
    found: NDArray[np.float64] = np.take(lowest, np.arange(count), axis=axis).mean(axis=axis)
    return found


def _percentiles(values: NDArray[np.float64], statistic: Any) -> tuple[float, float]:
    """Return the 95% percentile interval of a statistic over users, resampled (Efron 1979)."""
    found = stats.bootstrap(
        (values,),
        statistic,
        n_resamples=_RESAMPLES,
        batch=_BATCH,
        confidence_level=0.95,
        method="percentile",
        rng=np.random.default_rng(_SEED),
    ).confidence_interval
    return float(found.low), float(found.high)


def _worse(share: float, users: int, seeds: int) -> dict[str, float]:
    if np.isnan(share):
        return {}
    if seeds > 1 or users < FEWEST_PAIRS:  # a mean of shares is no count of users
        return {"worse": share}
    low, high = wilson_interval(round(share * users), users)
    return {"worse": share, "worse_min": low, "worse_max": high}

"""Charts of the report: Plotly figures as JSON."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from simulator.report.contrasts import Protocol
from simulator.report.layout import INK, axis, faint, layout, title
from simulator.report.svg import ArmStyle

__all__ = [
    "dot_plot",
    "heat_map",
    "rounds_chart",
    "spread",
]

_HEAT = [[0.0, "#67001f"], [0.5, "#d6604d"], [0.75, "#fddbc7"], [0.9, "#d1e5f0"], [1.0, "#2166ac"]]


def spread(series: pd.DataFrame) -> pd.DataFrame:
    """Average arm, user, round, accuracy over users: arm, round, mean, low (10th), high (90th)."""
    if series.empty:
        return pd.DataFrame(columns=["arm", "round", "mean", "low", "high"])
    by_round = series.groupby(["arm", "round"], sort=True)["accuracy"]
    parts = {"mean": by_round.mean(), "low": by_round.quantile(0.1), "high": by_round.quantile(0.9)}
    return pd.DataFrame(parts).reset_index()


def rounds_chart(
    means: pd.DataFrame, styles: Mapping[str, ArmStyle], banded: Collection[str], y_title: str
) -> str:
    """Draw the mean over users by round, one line per arm.

    Args:
        means: arm, round, mean, low, high, from `spread`.
        styles: by arm, in the order of the legend.
        banded: arms around whose line the band from low to high is drawn.
        y_title: what the accuracy is, with its protocol.

    Returns:
        A Plotly figure as JSON.
    """
    from plotly import graph_objects as go

    figure = go.Figure(layout=layout(380))
    for place, (arm, style) in enumerate(styles.items()):
        rows = means[means["arm"] == arm]
        if rows.empty:
            continue
        name, rounds = escape(arm), [int(value) for value in rows["round"]]
        low, high = _rounded(rows["low"]), _rounded(rows["high"])
        if arm in banded:
            figure.add_scatter(**_band(rounds, low, high, style), meta=place)
        figure.add_scatter(
            x=rounds,
            y=_rounded(rows["mean"]),
            customdata=[[a, b] for a, b in zip(low, high, strict=True)],
            name=name,
            meta=place,
            legendgroup=name,
            mode="lines+markers" if len(rounds) <= 40 else "lines",
            line={"color": style.colour, "dash": style.dash, "width": 2},
            marker={"symbol": style.symbol, "size": 8},
            hovertemplate="%{y:.1%} (%{customdata[0]:.1%} to %{customdata[1]:.1%})",
        )
    figure.update_layout(hovermode="x unified")
    every = max(1, -(-int(means["round"].max()) // 10))
    figure.update_xaxes(title=title("round"), tick0=0, dtick=every, **axis())
    figure.update_yaxes(title=title(y_title), tickformat=".0%", **axis())
    return str(figure.to_json())


def dot_plot(
    users: pd.DataFrame,
    order: list[str],
    styles: Mapping[str, ArmStyle],
    large: Collection[str],
    protocol: Protocol,
) -> str:
    """Draw one row per user and one dot per arm.

    Args:
        users: the columns of `users.csv`; with `_min` and `_max` beside, hovering tells the range.
        order: users from the top row down.
        styles: by arm, in the order of the legend.
        large: arms whose dots stand out.
        protocol: which accuracy.

    Returns:
        A Plotly figure as JSON.
    """
    from plotly import graph_objects as go

    places = {user: place for place, user in enumerate(order)}
    rows_height = 20 * max(len(order), 4)
    figure = go.Figure(layout=layout(130 + rows_height))
    users = users[users["user"].isin(places)]
    lanes = []
    for i, (arm, style) in enumerate(styles.items()):
        lane = 0.56 * ((i + 0.5) / len(styles) - 0.5)  # so that equal values do not hide each other
        rows = users[users["arm"] == arm].dropna(subset=[protocol.column])
        if rows.empty:
            continue
        lanes.append(round(lane, 3))
        figure.add_scatter(
            x=_rounded(rows[protocol.column]),
            y=[round(places[str(user)] + lane, 3) for user in rows["user"]],
            text=_with_ranges(rows, protocol),
            customdata=[places[str(user)] for user in rows["user"]],
            name=escape(arm),
            meta=i,
            mode="markers",
            marker={
                "color": style.colour,
                "symbol": style.symbol,
                "size": 10 if arm in large else 7,
                "opacity": 0.9 if arm in large else 0.65,
            },
            hovertemplate="%{x:.1%}, user %{text}",
        )
    figure.update_layout(
        legend={"y": -16 / rows_height, "yanchor": "top"},
        meta={"lanes": lanes, "users": [escape(user) for user in order]},
    )
    figure.update_xaxes(
        title=title(f"{protocol.name} accuracy"), tickformat=".0%", side="top", **axis()
    )
    figure.update_yaxes(
        title=title("user"),
        tickvals=list(range(len(order))),
        ticktext=[escape(user) for user in order],
        range=[len(order) - 0.4, -0.6],
        **axis(),
    )
    return str(figure.to_json())


def heat_map(series: pd.DataFrame, order: list[str], begins: Mapping[str, int]) -> str:
    """Draw users by rounds, a cell's colour being the accuracy.

    Args:
        series: user, round, accuracy, of one arm.
        order: users from the top row down.
        begins: round in which a user's drift begins, which is marked.

    Returns:
        A Plotly figure as JSON.
    """
    from plotly import graph_objects as go

    table = series.pivot_table(index="user", columns="round", values="accuracy")
    table = table.reindex([user for user in order if user in table.index])
    users, rounds = [str(user) for user in table.index], [int(one) for one in table.columns]
    cells = [
        [None if np.isnan(value) else round(float(value), 3) for value in row]
        for row in table.to_numpy(np.float64)
    ]
    figure = go.Figure(layout=layout(110 + 15 * max(len(users), 4)))
    figure.add_heatmap(
        x=rounds,
        y=list(range(len(users))),
        z=cells,
        text=[[escape(user)] * len(rounds) for user in users],
        colorscale=_HEAT,
        zmin=0.0,
        zmax=1.0,
        xgap=1,
        ygap=1,
        colorbar={"tickformat": ".0%", "thickness": 12, "outlinewidth": 0},
        hovertemplate="user %{text}, round %{x}: %{z:.1%}<extra></extra>",
    )
    marked = [(begins[user], place) for place, user in enumerate(users) if user in begins]
    figure.add_scatter(
        x=[x for x, _ in marked],
        y=[y for _, y in marked],
        mode="markers",
        marker={"symbol": "line-ns-open", "size": 9, "color": INK, "line": {"width": 2}},
        hoverinfo="skip",
        showlegend=False,
    )
    every = max(1, -(-max(rounds, default=1) // 12))
    figure.update_xaxes(title=title("round"), tick0=0, dtick=every, **axis())
    figure.update_yaxes(
        title=title("user"),
        tickvals=list(range(len(users))),
        ticktext=[escape(user) for user in users],
        range=[len(users) - 0.5, -0.5],
        **axis(),
    )
    return str(figure.to_json())


def _band(
    rounds: list[int], low: list[float], high: list[float], style: ArmStyle
) -> dict[str, Any]:
    return {
        "x": rounds + rounds[::-1],
        "y": high + low[::-1],
        "fill": "toself",
        "fillcolor": faint(style.colour),
        "line": {"width": 0},
        "mode": "lines",
        "hoverinfo": "skip",
        "legendgroup": escape(style.arm),
        "showlegend": False,
    }


def _with_ranges(rows: pd.DataFrame, protocol: Protocol) -> list[str]:
    """Name the users of the rows, with the range over seeds where it is known."""
    told = [escape(str(user)) for user in rows["user"]]
    low, high = f"{protocol.column}_min", f"{protocol.column}_max"
    if low not in rows or high not in rows:
        return told
    ends = zip(told, rows[low], rows[high], strict=True)
    return [f"{user}: {a:.1%} to {b:.1%} over seeds" for user, a, b in ends]


def _rounded(values: pd.Series[float]) -> list[float]:
    return [round(float(value), 4) for value in values]

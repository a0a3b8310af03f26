"""Charts of the report: Plotly figures as JSON."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from simulator.report.contrasts import Protocol
from simulator.report.layout import INK, axis, drawn, faint, layout, title, whole
from simulator.report.svg import ArmStyle

__all__ = [
    "dot_plot",
    "heat_map",
    "heat_told",
    "rounds_chart",
    "spread",
]

_HEAT = [[0.0, "#00224e"], [0.5, "#434e6c"], [0.75, "#7d7c78"], [0.9, "#bcaf6f"], [1.0, "#fee838"]]
"""Cividis (Nuñez, Anderton & Renslow 2018), with more of it where most accuracies are. It only gets
lighter, so that it is read without colours too."""

_MOST_TOLD = 20  # users whose accuracies are told in words


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
        name, rounds = drawn(arm), [int(value) for value in rows["round"]]
        low, high = _rounded(rows["low"]), _rounded(rows["high"])
        if arm in banded:
            figure.add_scatter(**_band(rounds, low, high, style), meta=place)
        figure.add_scatter(
            x=rounds,
            y=_rounded(rows["mean"]),
            customdata=[[a, b] for a, b in zip(low, high, strict=True)],
            name=name,
            meta=place,
            legendgroup=arm,
            mode="lines+markers" if len(rounds) <= 40 else "lines",
            line={"color": style.colour, "dash": style.dash, "width": 2},
            marker={"symbol": style.symbol, "size": 8},
            hovertemplate="%{y:.1%} (%{customdata[0]:.1%} to %{customdata[1]:.1%})"
            f"<extra>{whole(arm)}</extra>",
        )
    figure.update_layout(hovermode="x unified")
    every = max(1, -(-int(means["round"].max()) // 10))
    figure.update_xaxes(title=title("round"), tick0=0, dtick=every, **axis())
    # Where all means are the same, Plotly would show a range far beyond what an accuracy can be.
    bounds = {"minallowed": -0.02, "maxallowed": 1.02}
    figure.update_yaxes(title=title(y_title), tickformat=".0%", **bounds, **axis())
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
            name=drawn(arm),
            meta=i,
            mode="markers",
            marker={
                "color": style.colour,
                "symbol": style.symbol,
                "size": 10 if arm in large else 7,
                "opacity": 0.9 if arm in large else 0.65,
            },
            hovertemplate=f"%{{x:.1%}}, user %{{text}}<extra>{whole(arm)}</extra>",
        )
    figure.update_layout(
        legend={"y": -16 / rows_height, "yanchor": "top"},
        meta={"lanes": lanes, "users": [drawn(user) for user in order]},
    )
    figure.update_xaxes(
        title=title(f"{protocol.name} accuracy"), tickformat=".0%", side="top", **axis()
    )
    figure.update_yaxes(
        title=title("user"),
        tickvals=list(range(len(order))),
        ticktext=[drawn(user) for user in order],
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
        text=[[whole(user)] * len(rounds) for user in users],
        colorscale=_HEAT,
        zmin=0.0,
        zmax=1.0,
        xgap=1,
        ygap=1,
        colorbar={"tickformat": ".0%", "thickness": 12, "outlinewidth": 0},
        hovertemplate="user %{text}, round %{x}: %{z:.1%}<extra></extra>",
    )
    marked = [(begins[user], place) for place, user in enumerate(users) if user in begins]
    for colour, size, width in (("#ffffff", 11, 6), (INK, 9, 2)):  # seen on every cell by its edge
        figure.add_scatter(
            x=[x for x, _ in marked],
            y=[y for _, y in marked],
            mode="markers",
            marker={"symbol": "line-ns-open", "size": size, "color": colour}
            | {"line": {"width": width}},
            hoverinfo="skip",
            showlegend=False,
        )
    every = max(1, -(-max(rounds, default=1) // 12))
    figure.update_xaxes(title=title("round"), tick0=0, dtick=every, **axis())
    figure.update_yaxes(
        title=title("user"),
        tickvals=list(range(len(users))),
        ticktext=[drawn(user) for user in users],
        range=[len(users) - 0.5, -0.5],
        **axis(),
    )
    return str(figure.to_json())


def heat_told(series: pd.DataFrame, order: list[str], begins: Mapping[str, int]) -> str:
    """Tell in words what `heat_map` draws: where each user begins and ends; arguments likewise."""
    by_user = {str(user): own for user, own in series.sort_values("round").groupby("user")}
    there = [user for user in order if user in by_user]
    told = []
    for user in there[:_MOST_TOLD]:
        drift = f" (drift from round {begins[user]})" if user in begins else ""
        told.append(f"{user}{drift} {_from_to(by_user[user])}")
    rest = there[_MOST_TOLD:]
    if rest:
        means = pd.concat([by_user[user] for user in rest]).groupby("round")["accuracy"].mean()
        told.append(f"{len(rest):,} more on average {_from_to(means.reset_index())}")
    return "; ".join(told)


def _from_to(rows: pd.DataFrame) -> str:
    """Tell first and last accuracy of rows in order of round."""
    (first, begin), (last, end) = rows[["round", "accuracy"]].iloc[[0, -1]].to_numpy(np.float64)
    return f"from {begin:.1%} (round {first:.0f}) to {end:.1%} (round {last:.0f})"


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
        "legendgroup": style.arm,
        "showlegend": False,
    }


def _with_ranges(rows: pd.DataFrame, protocol: Protocol) -> list[str]:
    """Name the users of the rows, with the range over seeds where it is known."""
    told = [whole(str(user)) for user in rows["user"]]
    low, high = f"{protocol.column}_min", f"{protocol.column}_max"
    if low not in rows or high not in rows:
        return told
    ends = zip(told, rows[low], rows[high], strict=True)
    return [f"{user}: {a:.1%} to {b:.1%} over seeds" for user, a, b in ends]


def _rounded(values: pd.Series[float]) -> list[float]:
    return [round(float(value), 4) for value in values]

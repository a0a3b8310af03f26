"""Charts of the report: Plotly figures as JSON."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from simulator.report.contrasts import Protocol
from simulator.report.rows import each
from simulator.report.svg import ArmStyle

__all__ = [
    "dot_plot",
    "heat_map",
    "interval_chart",
    "rounds_chart",
    "spread",
    "spread_chart",
    "stacked_bars",
]

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
_INK, _GRID = "#1b1f24", "#e4e7eb"
_SHADES = [("#0072B2", ""), ("#56B4E9", "/"), ("#8a929c", ".")]
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

    figure = go.Figure(layout=_layout(380))
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
    figure.update_xaxes(title=_title("round"), tick0=0, dtick=every, **_axis())
    figure.update_yaxes(title=_title(y_title), tickformat=".0%", **_axis())
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
    figure = go.Figure(layout=_layout(130 + rows_height))
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
    title = _title(f"{protocol.name} accuracy")
    figure.update_xaxes(title=title, tickformat=".0%", side="top", **_axis())
    figure.update_yaxes(
        title=_title("user"),
        tickvals=list(range(len(order))),
        ticktext=[escape(user) for user in order],
        range=[len(order) - 0.4, -0.6],
        **_axis(),
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
    figure = go.Figure(layout=_layout(110 + 15 * max(len(users), 4)))
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
        marker={"symbol": "line-ns-open", "size": 9, "color": _INK, "line": {"width": 2}},
        hoverinfo="skip",
        showlegend=False,
    )
    every = max(1, -(-max(rounds, default=1) // 12))
    figure.update_xaxes(title=_title("round"), tick0=0, dtick=every, **_axis())
    figure.update_yaxes(
        title=_title("user"),
        tickvals=list(range(len(users))),
        ticktext=[escape(user) for user in users],
        range=[len(users) - 0.5, -0.5],
        **_axis(),
    )
    return str(figure.to_json())


def interval_chart(
    rows: pd.DataFrame, order: list[str], styles: Mapping[str, ArmStyle], title: str, form: str
) -> str:
    """Draw a row per arm: a marker, and a line over its interval.

    Args:
        rows: arm, value, low, high, shares.
        order: arms from the top row down.
        styles: by arm.
        title: what the values are.
        form: of numbers; without "%", shares are written in points.

    Returns:
        A Plotly figure as JSON.
    """
    from plotly import graph_objects as go

    scale = 1.0 if form.endswith("%") else 100.0
    figure = go.Figure(layout=_layout(70 + 22 * max(len(order), 3)))
    places = {arm: place for place, arm in enumerate(styles)}
    for row in each(rows):
        style = styles[str(row.arm)]
        value, low, high = (scale * float(x) for x in (row.value, row.low, row.high))
        known = {} if np.isnan(low) else {
            "error_x": {
                "type": "data", "symmetric": False, "array": [round(high - value, 5)],
                "arrayminus": [round(value - low, 5)], "color": style.colour, "thickness": 2,
                "width": 4,
            }
        }  # fmt: skip
        figure.add_scatter(
            x=[round(value, 5)],
            y=[order.index(str(row.arm))],
            text=[f"{value:{form}} ({low:{form}} to {high:{form}})"],
            name=escape(str(row.arm)),
            meta=places[str(row.arm)],
            mode="markers",
            marker={"symbol": style.symbol, "size": 10, "color": style.colour},
            hovertemplate="%{text}",
            showlegend=False,
            **known,
        )
    if scale != 1.0:
        figure.add_vline(x=0, line={"color": _INK, "width": 1})
    figure.update_xaxes(title=_title(title), tickformat=".0%" if scale == 1.0 else "+", **_axis())
    figure.update_layout(**_rows_of(order, styles, 22))
    return str(figure.to_json())


def spread_chart(rows: pd.DataFrame, styles: Mapping[str, ArmStyle], title: str) -> str:
    """Draw a box per arm: the middle half of the users, whiskers to the ends.

    Args:
        rows: arm, minimum, worst_tenth, first, median, third, highest.
        styles: by arm, from the top row down.
        title: what the values are.

    Returns:
        A Plotly figure as JSON.
    """
    from plotly import graph_objects as go

    places = {arm: place for place, arm in enumerate(styles)}
    order = [str(arm) for arm in rows["arm"]]
    figure = go.Figure(layout=_layout(70 + 26 * max(len(order), 3)))
    for line, row in enumerate(each(rows)):
        style, ends = styles[str(row.arm)], {}
        for key, name in (("lowerfence", "minimum"), ("q1", "first"), ("median", "median"),
                          ("q3", "third"), ("upperfence", "highest")):  # fmt: skip
            ends[key] = [round(float(getattr(row, name)), 4)]
        common = {"name": escape(str(row.arm)), "meta": places[str(row.arm)], "showlegend": False}
        figure.add_box(
            y=[line],
            orientation="h",
            width=0.55,
            line={"color": style.colour, "width": 2},
            fillcolor=_faint(style.colour),
            hoverinfo="x",
            **ends,
            **common,
        )
        figure.add_scatter(
            x=[round(float(row.worst_tenth), 4)],
            y=[line],
            mode="markers",
            marker={"symbol": "diamond", "size": 9, "color": style.colour},
            hovertemplate="worst tenth %{x:.1%}",
            **common,
        )
    figure.update_xaxes(title=_title(title), tickformat=".0%", **_axis())
    figure.update_layout(**_rows_of(order, styles, 26))
    return str(figure.to_json())


def stacked_bars(
    rows: pd.DataFrame, styles: Mapping[str, ArmStyle], parts: Sequence[tuple[str, str]]
) -> str:
    """Draw a bar per arm, in seconds, of parts that differ in shade and hatching.

    Args:
        rows: arm and the columns of `parts`.
        styles: by arm.
        parts: column and name of each part.

    Returns:
        A Plotly figure as JSON.
    """
    from plotly import graph_objects as go

    order = [str(arm) for arm in rows["arm"]]
    figure = go.Figure(layout=_layout(90 + 22 * max(len(order), 3)))
    for (column, name), (colour, pattern) in zip(parts, _SHADES, strict=True):
        figure.add_bar(
            x=[round(float(value), 3) for value in rows[column]],
            y=list(range(len(order))),
            orientation="h",
            name=name,
            marker={
                "color": colour,
                "pattern": {"shape": pattern, "bgcolor": colour, "fgcolor": "#ffffff", "size": 6},
            },
            hovertemplate="%{x:.2f} s",
        )
    figure.update_layout(barmode="stack", bargap=0.35, legend_traceorder="normal")
    figure.update_xaxes(title=_title("wall time, s"), **_axis())
    figure.update_layout(**_rows_of(order, styles, 22))
    return str(figure.to_json())


def _rows_of(order: list[str], styles: Mapping[str, ArmStyle], step: int) -> dict[str, Any]:
    """Lay out a chart with a row for each arm, from the top down, each `step` pixels high."""
    places = {arm: place for place, arm in enumerate(styles)}
    return {
        "meta": {"rows": [places[arm] for arm in order], "step": step},
        "yaxis": {
            "tickvals": list(range(len(order))),
            "ticktext": [escape(name) for name in order],
            "range": [len(order) - 0.4, -0.6],
            **_axis(),
        },
    }


def _band(
    rounds: list[int], low: list[float], high: list[float], style: ArmStyle
) -> dict[str, Any]:
    return {
        "x": rounds + rounds[::-1],
        "y": high + low[::-1],
        "fill": "toself",
        "fillcolor": _faint(style.colour),
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


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.13)"


def _title(text: str) -> dict[str, Any]:
    return {"text": text, "font": {"size": 13}, "standoff": 6}


def _axis() -> dict[str, Any]:
    return {
        "gridcolor": _GRID,
        "linecolor": "#8a929c",
        "zeroline": False,
        "automargin": True,
        "fixedrange": True,
    }


def _layout(height: int) -> dict[str, Any]:
    return {
        "template": "none",
        "height": height,
        "autosize": True,
        "font": {"family": _FONT, "size": 13, "color": _INK},
        "margin": {"l": 8, "r": 12, "t": 16, "b": 8},
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "legend": {"orientation": "h", "x": 0, "y": 1.03, "yanchor": "bottom"},
    }

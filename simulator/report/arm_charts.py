"""Charts of the report with a row for each arm: Plotly figures as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from simulator.report.layout import INK, axis, drawn, faint, layout, title, whole
from simulator.report.rows import each
from simulator.report.svg import ArmStyle

__all__ = ["interval_chart", "spread_chart", "stacked_bars"]

_SHADES = [("#0072B2", ""), ("#56B4E9", "/"), ("#8a929c", ".")]


def interval_chart(
    rows: pd.DataFrame, order: list[str], styles: Mapping[str, ArmStyle], told: str, form: str
) -> str:
    """Draw a row per arm: a marker, and a line over its interval.

    Args:
        rows: arm, value, low, high, shares.
        order: arms from the top row down.
        styles: by arm.
        told: what the values are.
        form: of numbers; without "%", shares are written in points.

    Returns:
        A Plotly figure as JSON.
    """
    from plotly import graph_objects as go

    scale = 1.0 if form.endswith("%") else 100.0
    figure = go.Figure(layout=layout(70 + 22 * max(len(order), 3)))
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
            name=drawn(str(row.arm)),
            meta=places[str(row.arm)],
            mode="markers",
            marker={"symbol": style.symbol, "size": 10, "color": style.colour},
            hovertemplate=f"%{{text}}<extra>{whole(str(row.arm))}</extra>",
            showlegend=False,
            **known,
        )
    if scale != 1.0:
        figure.add_vline(x=0, line={"color": INK, "width": 1})
    figure.update_xaxes(title=title(told), tickformat=".0%" if scale == 1.0 else "+", **axis())
    figure.update_layout(**_rows_of(order, styles, 22))
    return str(figure.to_json())


def spread_chart(rows: pd.DataFrame, styles: Mapping[str, ArmStyle], told: str) -> str:
    """Draw a box per arm: the middle half of the users, whiskers to the ends.

    Args:
        rows: arm, minimum, worst_tenth, first, median, third, highest.
        styles: by arm, from the top row down.
        told: what the values are.

    Returns:
        A Plotly figure as JSON.
    """
    from plotly import graph_objects as go

    places = {arm: place for place, arm in enumerate(styles)}
    order = [str(arm) for arm in rows["arm"]]
    figure = go.Figure(layout=layout(70 + 26 * max(len(order), 3)))
    for line, row in enumerate(each(rows)):
        style, ends = styles[str(row.arm)], {}
        for key, name in (("lowerfence", "minimum"), ("q1", "first"), ("median", "median"),
                          ("q3", "third"), ("upperfence", "highest")):  # fmt: skip
            ends[key] = [round(float(getattr(row, name)), 4)]
        common = {"name": drawn(str(row.arm)), "meta": places[str(row.arm)], "showlegend": False}
        figure.add_box(
            y=[line],
            orientation="h",
            width=0.55,
            line={"color": style.colour, "width": 2},
            fillcolor=faint(style.colour),
            hoverinfo="x",
            **ends,
            **common,
        )
        figure.add_scatter(
            x=[round(float(row.worst_tenth), 4)],
            y=[line],
            mode="markers",
            marker={"symbol": "diamond", "size": 9, "color": style.colour},
            hovertemplate=f"worst tenth %{{x:.1%}}<extra>{whole(str(row.arm))}</extra>",
            **common,
        )
    figure.update_xaxes(title=title(told), tickformat=".0%", **axis())
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
    figure = go.Figure(layout=layout(90 + 22 * max(len(order), 3)))
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
    figure.update_xaxes(title=title("wall time, s"), **axis())
    figure.update_layout(**_rows_of(order, styles, 22))
    return str(figure.to_json())


def _rows_of(order: list[str], styles: Mapping[str, ArmStyle], step: int) -> dict[str, Any]:
    """Lay out a chart with a row for each arm, from the top down, each `step` pixels high."""
    places = {arm: place for place, arm in enumerate(styles)}
    return {
        "meta": {"rows": [places[arm] for arm in order], "step": step},
        "yaxis": {
            "tickvals": list(range(len(order))),
            "ticktext": [drawn(name) for name in order],
            "range": [len(order) - 0.4, -0.6],
            **axis(),
        },
    }

"""Arms as they look everywhere, and small charts of users, drawn as plain SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from types import MappingProxyType
from typing import Literal

import pandas as pd

from simulator.report.wording import shortened

__all__ = ["ArmStyle", "Mark", "arm_styles", "legend", "small_multiples", "swatch"]

# Okabe & Ito's palette without its yellow, which is too pale for lines on white.
_COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
_DASHES = ["solid", "8px,4px", "2px,3px", "10px,3px,2px,3px", "5px,2px"]
# Plotly's name of a marker -> the same shape in SVG, about 0, 0, within a circle of radius 5.
_SHAPES = {
    "circle": "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0z",
    "square": "M-3.6,-3.6h7.2v7.2h-7.2z",
    "diamond": "M0,-5L5,0L0,5L-5,0z",
    "triangle-up": "M0,-4.6L4.6,3.6H-4.6z",
    "triangle-down": "M0,4.6L4.6,-3.6H-4.6z",
    "pentagon": "M0,-4.8L4.6,-1.5L2.8,3.9H-2.8L-4.6,-1.5z",
    "hexagon": "M-4.2,-2.4L0,-4.8L4.2,-2.4V2.4L0,4.8L-4.2,2.4z",
    "cross": "M-1.6,-4.6h3.2v3h3v3.2h-3v3h-3.2v-3h-3v-3.2h3z",
}

_CAPTION = 24  # characters of a name above a small chart
_MARKS = {
    "begin": '<path d="M{x},6V90" stroke="#57606a" stroke-dasharray="3,2"/>',
    "alarm": '<path d="M{x},12l-3.4,-6h6.8z" fill="#b42318"/>',
    "recovery": '<path d="M{x},84l3.4,6h-6.8z" fill="#1a7f37"/>',
}
"""A dashed line, a triangle that hangs from the top, and one that stands at the bottom."""


@dataclass(frozen=True, slots=True)
class ArmStyle:
    """How an arm looks in every chart and table: colour, dash and marker, never colour alone.

    Attributes:
        arm: the arm's name.
        colour: as in CSS.
        dash: "solid" or lengths of dashes and gaps, as Plotly takes them.
        symbol: Plotly's name of the marker.
    """

    arm: str
    colour: str
    dash: str
    symbol: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that is marked in a small chart.

    Attributes:
        what: "begin" of drift, first "alarm", or "recovery".
        round_: in which.
    """

    what: Literal["begin", "alarm", "recovery"]
    round_: int


def arm_styles(arms: list[str]) -> dict[str, ArmStyle]:
    """Give each arm its look; the cycles differ in length, so that no two arms soon agree."""
    symbols = list(_SHAPES)
    return {
        arm: ArmStyle(
            arm,
            _COLOURS[i % len(_COLOURS)],
            _DASHES[i % len(_DASHES)],
            symbols[i % len(symbols)],
        )
        for i, arm in enumerate(arms)
    }


def legend(styles: Mapping[str, ArmStyle]) -> str:
    """Name the arms beside their line and marker, in HTML."""
    items = "".join(
        f'<li class="arm-{place}">{swatch(style)} {escape(arm)}</li>'
        for place, (arm, style) in enumerate(styles.items())
    )
    return f'<ul class="legend">{items}</ul>'


def swatch(style: ArmStyle) -> str:
    """Draw an arm's line and marker, in SVG; the name has to stand beside it."""
    return (
        '<svg class="swatch" viewBox="0 0 30 12" aria-hidden="true">'
        f'<path d="M0,6H30" stroke="{style.colour}" stroke-width="2"{_svg_dash(style)}/>'
        f'<path transform="translate(15,6)" d="{_SHAPES[style.symbol]}" fill="{style.colour}"/>'
        "</svg>"
    )


def small_multiples(
    series: pd.DataFrame,
    order: list[str],
    styles: Mapping[str, ArmStyle],
    protocol: str,
    marks: Mapping[str, Sequence[Mark]] = MappingProxyType({}),
    links: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Draw a small chart per user, all on the same axes, one line per arm, in HTML and SVG.

    Args:
        series: arm, user, round, accuracy.
        order: users, first to last.
        styles: by arm.
        protocol: what the accuracy is, for those who hear the page.
        marks: by user.
        links: by user, where the chart leads; empty for nowhere.
    """
    floor = max(0.0, float(series["accuracy"].min()) // 0.1 * 0.1)
    first, last = int(series["round"].min()), int(series["round"].max())
    by_user: dict[str, dict[str, pd.DataFrame]] = {}
    for (user, arm), rows in series.sort_values("round").groupby(["user", "arm"]):
        by_user.setdefault(str(user), {})[str(arm)] = rows
    cells = []
    for place, user in enumerate(order):
        if user in by_user:
            frame = (first, last, floor)
            cell = _small_chart(user, by_user[user], styles, frame, protocol, marks.get(user, ()))
            link = escape(links.get(user, ""))
            cell = f'<a href="{link}">{cell}</a>' if link else cell
            cells.append(f'<div data-user="{place}">{cell}</div>')
    return f'{_symbols(styles)}<div class="multiples" data-users>{"".join(cells)}</div>'


def _symbols(styles: Mapping[str, ArmStyle]) -> str:
    """Draw the marker of each arm once, for all small charts."""
    drawn = "".join(
        f'<path id="mark-{place}" transform="scale(.7)" d="{_SHAPES[style.symbol]}" '
        f'fill="{style.colour}"/>'
        for place, style in enumerate(styles.values())
    )
    return f'<svg class="hidden" aria-hidden="true"><defs>{drawn}</defs></svg>'


def _small_chart(
    user: str,
    by_arm: Mapping[str, pd.DataFrame],
    styles: Mapping[str, ArmStyle],
    frame: tuple[int, int, float],
    protocol: str,
    marks: Sequence[Mark],
) -> str:
    """Draw one user; `frame` is the first and the last round and the least accuracy shown."""
    first, last, floor = frame
    width, height = 132.0, 84.0
    lines, told = [], []
    for place, (arm, style) in enumerate(styles.items()):
        if arm not in by_arm:
            continue
        rounds, accuracy = (by_arm[arm][name].to_numpy() for name in ("round", "accuracy"))
        xs = 24 + (rounds - first) / max(last - first, 1) * width
        ys = 6 + (1.0 - accuracy) / max(1.0 - floor, 0.1) * height
        points = [f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True)]
        path = "M" + "L".join(points)
        end_x, end_y = points[-1].split(",")
        lines.append(
            f'<g class="arm-{place}"><path d="{path}" stroke="{style.colour}"{_svg_dash(style)}/>'
            f'<use href="#mark-{place}" x="{end_x}" y="{end_y}"/></g>'
        )
        told.append(f"{arm} {accuracy[-1]:.1%}")
    for mark in marks:
        x = 24 + (mark.round_ - first) / max(last - first, 1) * width
        lines.append(_MARKS[mark.what].format(x=f"{x:.1f}"))
        told.append(f"{mark.what} in round {mark.round_}")
    label = escape(
        f"User {user}, {protocol}, rounds {first} to {last}; at the end " + ", ".join(told)
    )
    caption = f"<figcaption{_whole(user)}>{escape(shortened(user, _CAPTION))}</figcaption>"
    return (
        f'<figure>{caption}<svg role="img" viewBox="0 0 164 104" '
        f'aria-label="{label}"><title>{label}</title>'
        '<path class="grid" d="M24,6H156M24,90H156"/>'
        '<text x="21" y="9" text-anchor="end">100</text>'
        f'<text x="21" y="93" text-anchor="end">{100 * floor:.0f}</text>'
        f'<text x="24" y="102">{first}</text>'
        f'<text x="156" y="102" text-anchor="end">{last}</text>'
        f"{''.join(lines)}</svg></figure>"
    )


def _whole(name: str) -> str:
    """Give a caption the whole name where it is shortened, for the pointer to bring up."""
    return f' title="{escape(name)}"' if len(name) > _CAPTION else ""


def _svg_dash(style: ArmStyle) -> str:
    if style.dash == "solid":
        return ""
    return f' stroke-dasharray="{style.dash.replace("px", "")}"'

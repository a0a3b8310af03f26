"""Figures of a run as plain SVG files: arms with intervals, through the rounds, users."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from html import escape

import numpy as np
import pandas as pd

from simulator.measures.statistics import FEWEST_PAIRS, bootstrap_interval
from simulator.report.contrasts import Protocol
from simulator.report.svg import _SHAPES, ArmStyle
from simulator.report.wording import shortened

__all__ = ["FONT", "arms_figure", "rounds_figure", "users_figure"]

FONT = "Roboto"
"""The family that text is set in, with others for where it is not there."""

_FAMILIES = f"{FONT}, 'Segoe UI', 'DejaVu Sans', Arial, sans-serif"
_INK, _SOFT, _GRID = "#1b1f24", "#57606a", "#e4e7eb"
_WIDTH = 760
_MOST_USERS = 100  # that are drawn


def arms_figure(
    users: pd.DataFrame, styles: Mapping[str, ArmStyle], protocol: Protocol, baseline: str
) -> str:
    """Draw each arm's mean accuracy over users, with its 95% interval.

    Args:
        users: the columns of `users.csv`.
        styles: by arm, from the top row down.
        protocol: which accuracy.
        baseline: the arm whose mean is drawn as a line.
    """
    rows = []
    for arm in styles:
        scores = users.loc[users["arm"] == arm, protocol.column].dropna().to_numpy(np.float64)
        if scores.size:
            enough = scores.size >= FEWEST_PAIRS
            low, high = bootstrap_interval(scores) if enough else (math.nan, math.nan)
            rows.append((arm, float(scores.mean()), low, high))
    if not rows:
        return ""
    known = [value for _, *values in rows for value in values if not math.isnan(value)]
    left, top, step = _margin([arm for arm, *_ in rows]), 64, 30
    bottom = top + step * len(rows)
    axis = _Axis(*_range(known), left, _WIDTH - 78)
    parts = [_title(f"Mean {protocol.name} accuracy over users", _interval_note(rows))]
    parts += _upright(axis, top, bottom)
    for arm, mean, *_ in rows:
        if arm == baseline:
            x = axis.at(mean)
            parts.append(_line(x, top, x, bottom, _SOFT, dash="2,3"))
    for number, (arm, mean, low, high) in enumerate(rows):
        y, style = top + step * (number + 0.5), styles[arm]
        parts.append(_text(left - 12, y + 4, arm, anchor="end"))
        if not math.isnan(low):
            parts.append(_line(axis.at(low), y, axis.at(high), y, style.colour, width=2))
            parts += [
                _line(axis.at(end), y - 4, axis.at(end), y + 4, style.colour, width=2)
                for end in (low, high)
            ]
        parts.append(_marker(axis.at(mean), y, style, 1.3))
        parts.append(_text(_WIDTH - 12, y + 4, f"{100 * mean:.1f}%", anchor="end"))
    told = "; ".join(f"{arm} {100 * mean:.1f}%" for arm, mean, *_ in rows)
    return _svg(bottom + 34, parts, f"Mean {protocol.name} accuracy over users: {told}")


def rounds_figure(
    means: pd.DataFrame, styles: Mapping[str, ArmStyle], banded: Collection[str], title: str
) -> str:
    """Draw the mean over users through the rounds, a line per arm.

    Args:
        means: arm, round, mean, low, high.
        styles: by arm, in the order of the legend.
        banded: arms around whose line the band from low to high is drawn.
        title: what the accuracy is.
    """
    if means.empty:
        return ""
    inside = means[means["arm"].isin(list(banded))]
    known = [*means["mean"], *inside["low"], *inside["high"]]
    there = {arm: style for arm, style in styles.items() if (means["arm"] == arm).any()}
    legend, rows = _legend(there, 66)
    top = 74 + 20 * rows
    bottom = top + 300
    across = _Axis(int(means["round"].min()), max(int(means["round"].max()), 1), 56, _WIDTH - 24)
    up = _Axis(*_range(known), bottom, top)
    bands = f"; bands: 10th to 90th percentile of users, of {', '.join(banded)}" if banded else ""
    parts = [_title(title, f"mean over users{bands}"), *legend]
    for tick in up.ticks():
        parts.append(_line(56, up.at(tick), _WIDTH - 24, up.at(tick), _GRID))
        parts.append(_text(48, up.at(tick) + 4, f"{100 * tick:.0f}%", _SOFT, "end"))
    every = max(1, -(-int(across.high - across.low) // 10))
    for tick in range(int(across.low), int(across.high) + 1, every):
        parts.append(_text(across.at(tick), bottom + 20, str(tick), _SOFT, "middle"))
    parts.append(_text((56 + _WIDTH - 24) / 2, bottom + 40, "round", _SOFT, "middle"))
    for arm, style in there.items():
        of_arm = means[means["arm"] == arm].sort_values("round")
        if arm in banded:
            parts.append(_band(of_arm, across, up, style))
    for arm, style in there.items():
        of_arm = means[means["arm"] == arm].sort_values("round")
        points = [
            (across.at(float(x)), up.at(float(y)))
            for x, y in zip(of_arm["round"], of_arm["mean"], strict=True)
        ]
        path = "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(
            f'<path d="{path}" fill="none" stroke="{style.colour}" stroke-width="2"{_dash(style)}/>'
        )
        parts += [_marker(x, y, style) for x, y in (points if len(points) <= 40 else points[-1:])]
    ends = means.sort_values("round").groupby("arm", sort=False)["mean"].last()
    told = "; ".join(f"{arm} {100 * ends[arm]:.1f}%" for arm in there)
    return _svg(bottom + 54, parts, f"{title}, at the end: {told}")


def users_figure(
    users: pd.DataFrame, order: list[str], styles: Mapping[str, ArmStyle], protocol: Protocol
) -> str:
    """Draw a row per user and a mark per arm.

    Args:
        users: the columns of `users.csv`.
        order: users, from the top row down.
        styles: by arm, in the order of the legend.
        protocol: which accuracy.
    """
    scored = users.dropna(subset=[protocol.column])
    if scored.empty:
        return ""
    note = "a mark for each arm"
    if len(order) > _MOST_USERS:
        note += f"; the first and the last {_MOST_USERS // 2} of {len(order):,} users"
        order = order[: _MOST_USERS // 2] + order[-(_MOST_USERS // 2) :]
    there = {arm: style for arm, style in styles.items() if (scored["arm"] == arm).any()}
    legend, rows = _legend(there, 66)
    left, top, step = _margin(order), 84 + 20 * rows, 20
    bottom = top + step * len(order)
    axis = _Axis(*_range(list(scored[protocol.column])), left, _WIDTH - 24)
    parts = [
        _title(f"{protocol.name.capitalize()} accuracy of each user", note),
        *legend,
    ]
    parts += _upright(axis, top, bottom)
    places = {user: top + step * (number + 0.5) for number, user in enumerate(order)}
    for user, y in places.items():
        parts.append(_line(left, y, _WIDTH - 24, y, _GRID))
        parts.append(_text(left - 12, y + 4, user, anchor="end"))
    for number, (arm, style) in enumerate(there.items()):
        lane = 10 * ((number + 0.5) / len(there) - 0.5)  # equal values do not hide each other
        for _, row in scored[scored["arm"] == arm].iterrows():
            if (place := places.get(str(row["user"]))) is not None:
                x = axis.at(float(row[protocol.column]))
                parts.append(_marker(x, place + lane, style, 0.9))
    label = f"{protocol.name.capitalize()} accuracy of {len(order)} users with {len(there)} arms"
    return _svg(bottom + 34, parts, label)


class _Axis:
    """Places numbers from `low` to `high` between two coordinates."""

    def __init__(self, low: float, high: float, begin: float, end: float) -> None:
        self.low, self.high, self._begin, self._end = low, high, begin, end

    def at(self, value: float) -> float:
        """Return the coordinate of a number."""
        share = (value - self.low) / (self.high - self.low or 1.0)
        return self._begin + share * (self._end - self._begin)

    def ticks(self) -> list[float]:
        """Return round numbers along the axis, between four and eight of them."""
        steps = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
        step = next((s for s in steps if (self.high - self.low) / s <= 8.01), 0.5)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [step * number for number in range(first, last + 1)]


def _range(values: list[float]) -> tuple[float, float]:
    """Return round bounds about shares, five points apart at the least."""
    low = math.floor(20 * min(values) - 1e-9) / 20
    high = math.ceil(20 * max(values) + 1e-9) / 20
    return max(low, 0.0), min(max(high, low + 0.05), 1.0)


def _upright(axis: _Axis, top: float, bottom: float) -> list[str]:
    """Draw the lines of an axis that goes across, with its numbers below."""
    parts = []
    for tick in axis.ticks():
        x = axis.at(tick)
        parts.append(_line(x, top, x, bottom, _GRID))
        parts.append(_text(x, bottom + 18, f"{100 * tick:.0f}%", _SOFT, "middle"))
    return parts


def _legend(styles: Mapping[str, ArmStyle], top: float) -> tuple[list[str], int]:
    """Name the arms beside line and marker; returns the parts, and how many rows they fill."""
    parts, x, row = [], 24.0, 0
    for arm, style in styles.items():
        width = 50 + 7.0 * len(shortened(arm))
        if x + width > _WIDTH - 12 and x > 24.0:
            x, row = 24.0, row + 1
        y = top + 20 * row
        parts.append(_line(x, y, x + 30, y, style.colour, width=2, dash=_dashes(style)))
        parts.append(_marker(x + 15, y, style))
        parts.append(_text(x + 36, y + 4, arm))
        x += width
    return parts, row + 1


def _band(rows: pd.DataFrame, across: _Axis, up: _Axis, style: ArmStyle) -> str:
    """Draw the area from `low` to `high`."""
    xs = [across.at(float(x)) for x in rows["round"]]
    lows = [f"{x:.1f},{up.at(float(y)):.1f}" for x, y in zip(xs, rows["low"], strict=True)]
    highs = [f"{x:.1f},{up.at(float(y)):.1f}" for x, y in zip(xs, rows["high"], strict=True)]
    path = "M" + "L".join([*lows, *reversed(highs)]) + "Z"
    return f'<path d="{path}" fill="{style.colour}" fill-opacity="0.12"/>'


def _marker(x: float, y: float, style: ArmStyle, scale: float = 1.0) -> str:
    return (
        f'<path transform="translate({x:.1f},{y:.1f}) scale({scale})" '
        f'd="{_SHAPES[style.symbol]}" fill="{style.colour}"/>'
    )


def _line(
    x1: float, y1: float, x2: float, y2: float, colour: str, *, width: int = 1, dash: str = ""
) -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<path d="M{x1:.1f},{y1:.1f}L{x2:.1f},{y2:.1f}" stroke="{colour}" '
        f'stroke-width="{width}"{dashed}/>'
    )


def _dash(style: ArmStyle) -> str:
    return f' stroke-dasharray="{_dashes(style)}"' if _dashes(style) else ""


def _dashes(style: ArmStyle) -> str:
    return "" if style.dash == "solid" else style.dash.replace("px", "")


def _text(
    x: float, y: float, text: str, colour: str = _INK, anchor: str = "start", size: int = 12
) -> str:
    shown = shortened(text) if size == 12 else text
    whole = f"<title>{escape(text)}</title>" if shown != text else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}" '
        f'font-size="{size}">{whole}{escape(shown)}</text>'
    )


def _title(title: str, note: str) -> str:
    return _text(24, 30, title, size=17) + _text(24, 48, note, _SOFT, size=11)


def _interval_note(rows: list[tuple[str, float, float, float]]) -> str:
    """Say what the bars are, or why there are none."""
    if all(math.isnan(low) for _, _, low, _ in rows):
        return f"fewer than {FEWEST_PAIRS} users, so no intervals; dotted line: the baseline"
    return (
        "bars: 95% interval of the mean, resampled over users (BCa), each arm by itself; "
        "dotted line: the baseline"
    )


def _margin(names: list[str]) -> float:
    """Return the room that names need at the left."""
    return 32 + 7.0 * max((len(shortened(name)) for name in names), default=0)


def _svg(height: float, parts: list[str], label: str) -> str:
    told = escape(label)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" '
        f'width="{_WIDTH}" height="{height:.0f}" role="img" font-family="{_FAMILIES}" '
        f'font-size="12"><title>{told}</title>'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{"".join(parts)}</svg>\n'
    )

"""What all charts of the report have in common."""

from __future__ import annotations

from html import escape
from typing import Any

from simulator.report.wording import shortened

__all__ = ["INK", "axis", "drawn", "faint", "layout", "title", "whole"]

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
INK, _GRID = "#1b1f24", "#e4e7eb"
_LINE = 60  # characters of a name that is told when the pointer is on it


def faint(colour: str) -> str:
    """Return a colour as a tint, in CSS."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.13)"


def drawn(name: str) -> str:
    """Write a name so that Plotly draws it as it is, shortened; it knows no entity of quotes."""
    return escape(shortened(name), quote=False)


def whole(name: str) -> str:
    """Write the whole of a name, in lines, for the label that the pointer brings up."""
    lines = [name[first : first + _LINE] for first in range(0, len(name), _LINE)]
    return "<br>".join(escape(line, quote=False) for line in lines)


def title(text: str) -> dict[str, Any]:
    """Return the title of an axis."""
    return {"text": text, "font": {"size": 13}, "standoff": 6}


def axis() -> dict[str, Any]:
    """Return how an axis is drawn."""
    return {
        "gridcolor": _GRID,
        "linecolor": "#8a929c",
        "zeroline": False,
        "automargin": True,
        "fixedrange": True,
    }


def layout(height: int) -> dict[str, Any]:
    """Return the layout of a chart of that height, in pixels."""
    return {
        "template": "none",
        "height": height,
        "autosize": True,
        "font": {"family": _FONT, "size": 13, "color": INK},
        "margin": {"l": 8, "r": 12, "t": 16, "b": 8},
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "hoverlabel": {"namelength": -1},
        "legend": {"orientation": "h", "x": 0, "y": 1.03, "yanchor": "bottom"},
    }

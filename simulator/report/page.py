"""The page that a report is written on: its style, its script, and its tables."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from itertools import groupby
from typing import Literal

import pandas as pd

from simulator.report.style import STYLE

__all__ = [
    "Column",
    "arms_table",
    "chart",
    "facts",
    "linked_table",
    "of_arm",
    "of_user",
    "page",
    "percent",
    "plain_table",
    "prose",
    "section",
    "shaded_table",
    "size",
]


_LONG = 40  # characters of a cell that stand in one line
_FIT_ON_PAPER = 12  # columns, in the usual size of letters


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table of arms.

    Attributes:
        key: the column of the frame.
        title: what stands above it; `group` above neighbours that share one.
        show: a number -> text.
        best: whether the highest or the lowest value is marked; None marks nothing.
    """

    key: str
    title: str
    show: Callable[[float], str]
    best: Literal["high", "low"] | None = None
    group: str = ""


def of_arm(arm: str, arms: Iterable[str]) -> str:
    """Mark an element as an arm's, by its place among all arms, so that it is hidden with it."""
    places = {name: place for place, name in enumerate(arms)}
    return f' class="arm-{places[arm]}"' if arm in places else ""


def of_user(place: int) -> str:
    """Mark an element as a user's, by the place among those that are shown."""
    return f' data-user="{place}"'


def percent(value: float) -> str:
    """Write a share as a number of percent, without its sign: 0.912 -> "91.2"."""
    return f"{100 * value:.1f}"


def size(value: float) -> str:
    """Write a number of bytes in decimal units: 1_250_000 -> "1.2 MB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(value) < 1000:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def prose(sentence: str) -> str:
    """Escape a sentence; `arms` between backticks become code, numbers keep to their unit."""
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(sentence))
    return re.sub(r"(\d[\d.]*(?:%| points?))", r'<span class="number">\1</span>', text)


def script(name: str) -> str:
    """Read a script of the page."""
    return files("simulator.report").joinpath(name).read_text(encoding="utf-8")


def section(title: str, body: str) -> str:
    """Open a section that the links at the top can lead to."""
    return f'<section id="{_anchor(title)}"><h2>{escape(title)}</h2>{body}</section>'


def chart(figure: str, label: str, caption: str) -> str:
    """Place a Plotly figure, given as JSON; `label` tells it to those who do not see it."""
    data = figure.replace("<", "\\u003c")
    return (
        f'<figure><div class="chart" role="img" aria-label="{escape(label)}"></div>'
        f'<script type="application/json">{data}</script>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def facts(pairs: Mapping[str, object]) -> str:
    """List names with their values."""
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in pairs.items()
    )
    return f"<dl>{rows}</dl>"


def plain_table(
    head: list[str], rows: list[list[str]], caption: str, marks: Sequence[str] = ()
) -> str:
    """Write a table of text, the first column naming the row; `marks` as in `linked_table`."""
    return linked_table(head, rows, [""] * len(rows), caption, marks)


def linked_table(
    head: list[str],
    rows: list[list[str]],
    links: list[str],
    caption: str,
    marks: Sequence[str] = (),
) -> str:
    """Write a table of text whose rows lead somewhere by their name, unless the link is empty.

    Args:
        head: titles of the columns.
        rows: text of each cell.
        links: of each row.
        caption: what the table shows.
        marks: of each row, from `of_arm` or `of_user`, by what it is hidden or sorted; may be
            empty.
    """
    kinds = [
        "" if all(re.match(r"[\d–+−<]", row[i]) for row in rows) else "name"
        for i in range(1, len(head))
    ]
    titles = f'<th class="name" scope="col">{escape(head[0])}</th>' + "".join(
        f'<th{_class(title, kind)} scope="col">{escape(title)}</th>'
        for kind, title in zip(kinds, head[1:], strict=True)
    )
    body = ""
    for place, (row, link) in enumerate(zip(rows, links, strict=True)):
        cells = zip(kinds, row[1:], strict=True)
        mark = marks[place] if marks else ""
        body += f'<tr{mark}><th{_class(row[0])} scope="row">{_linked(row[0], link)}</th>'
        body += "".join(f"<td{_class(cell, kind)}>{escape(cell)}</td>" for kind, cell in cells)
        body += "</tr>"
    return _table(
        "",
        f"<tr>{titles}</tr>",
        body,
        caption,
        len(head),
        " data-users" if "data-user" in "".join(marks) else "",
    )


def arms_table(
    frame: pd.DataFrame, columns: list[Column], swatches: Mapping[str, str], caption: str
) -> str:
    """Write a table with a row per arm and the best value of each column marked.

    Args:
        frame: the column arm and those of `columns`; with `_min` and `_max` beside, the range
            stands under the value.
        columns: those to show; one that the frame lacks or that is empty throughout is left out.
        swatches: by arm, the SVG that goes before its name.
        caption: what the table shows.
    """
    shown = [
        column for column in columns if column.key in frame and frame[column.key].notna().any()
    ]
    best = {column.key: _best(frame, column) for column in shown}
    body = ""
    for _, row in frame.iterrows():
        arm = str(row["arm"])
        body += f"<tr{of_arm(arm, swatches)}>"
        body += f'<th{_class(arm)} scope="row">{swatches.get(arm, "")} {escape(arm)}</th>'
        body += "".join(_cell(row, column, best[column.key]) for column in shown) + "</tr>"
    titles = '<th class="name" scope="col">arm</th>' + "".join(
        f'<th scope="col">{escape(column.title)}</th>' for column in shown
    )
    return _table("arms", _groups(shown) + f"<tr>{titles}</tr>", body, caption, len(shown) + 1)


def shaded_table(names: list[str], counts: list[list[int]], caption: str) -> str:
    """Write a confusion matrix: percent of each row, counts under it, darker for more.

    Args:
        names: of the classes.
        counts: [K][K], rows are the truth.
        caption: what the matrix shows.
    """
    head = '<tr><th class="name" scope="col">truth \\ said</th>' + "".join(
        f'<th scope="col">{escape(name)}</th>' for name in names
    )
    body = ""
    for i, row in enumerate(counts):
        body += f'<tr><th scope="row">{escape(names[i])}</th>'
        total = sum(row)
        for j, count in enumerate(row):
            share = count / total if total else 0.0
            told = escape(f"{count:,} of {total:,} windows of {names[i]} taken for {names[j]}")
            mark = ' class="truth"' if i == j else ""
            under = f"<small>{count:,}</small>" if len(names) <= 8 else ""
            body += (
                f'<td{mark} title="{told}" style="background:rgba(0,114,178,{0.7 * share:.2f})">'
                f"{100 * share:.0f}{under}</td>"
                if total
                else f'<td{mark} title="{told}">–</td>'
            )
        body += "</tr>"
    return _table("matrix", head + "</tr>", body, caption, len(names) + 1)


def page(
    title: str, header: str, sections: Mapping[str, str], plotly: str, opened: str = ""
) -> str:
    """Put a whole page together.

    Args:
        title: of the window.
        header: what stands above the sections, in HTML.
        sections: by title, in HTML.
        plotly: the library's source, needed once.
        opened: what stands in the sections' place while one user is open.
    """
    links = "".join(f'<a href="#{_anchor(name)}">{escape(name)}</a> ' for name in sections)
    body = "".join(section(name, content) for name, content in sections.items())
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
        '<script>document.documentElement.classList.add("script")</script>'
        f"<script>{plotly}</script></head>\n<body><header>{header}</header>"
        f'<nav aria-label="Sections">{links}</nav>\n<main>{opened}{body}</main><footer></footer>'
        f"<script>{script('page.js')}</script><script>{script('user.js')}</script></body></html>\n"
    )


def _linked(text: str, link: str) -> str:
    return f'<a href="{escape(link)}">{escape(text)}</a>' if link else escape(text)


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z]+", "-", title.lower()).strip("-")


def _class(text: str, kind: str = "") -> str:
    """Give a cell its class; a long text may be broken anywhere."""
    names = " ".join(name for name in (kind, "long" if len(text) > _LONG else "") if name)
    return f' class="{names}"' if names else ""


def _table(kind: str, head: str, body: str, caption: str, columns: int, more: str = "") -> str:
    wide = f' wide" style="--columns: {columns}' if columns > _FIT_ON_PAPER else ""
    return (
        f'<p class="caption">{escape(caption)}</p><div class="scroll" tabindex="0">'
        f'<table class="{kind}{wide}" aria-label="{escape(caption)}">'
        f"<thead>{head}</thead><tbody{more}>{body}</tbody></table></div>"
    )


def _best(frame: pd.DataFrame, column: Column) -> str | None:
    """Give the best value as it is shown, so that what looks equal is marked alike."""
    values = frame[column.key].astype(float).dropna()
    if column.best is None or len(values) < 2:
        return None
    best = column.show(float(values.max() if column.best == "high" else values.min()))
    return None if all(column.show(float(value)) == best for value in values) else best


def _cell(row: pd.Series[float], column: Column, best: str | None) -> str:
    value = float(row[column.key])
    if math.isnan(value):
        return '<td aria-label="none">–</td>'
    told = escape(column.show(value))
    if best is not None and column.show(value) == best:
        told = f'<span class="best"><span class="star" title="best">★</span> {told}</span>'
        told += '<span class="hidden"> best</span>'
    low, high = row.get(f"{column.key}_min"), row.get(f"{column.key}_max")
    if low is not None and high is not None and low < high:
        told += f"<small>{escape(column.show(low))} to {escape(column.show(high))}</small>"
    return f"<td>{told}</td>"


def _groups(columns: list[Column]) -> str:
    if not any(column.group for column in columns):
        return ""
    spans = [(group, len(list(found))) for group, found in groupby(c.group for c in columns)]
    cells = "".join(
        f'<th class="group" scope="colgroup" colspan="{span}">{escape(group)}</th>'
        for group, span in spans
    )
    return f"<tr><td></td>{cells}</tr>"

"""A comparison of runs as one page of HTML that needs nothing else."""

from __future__ import annotations

from html import escape

import pandas as pd

from simulator.comparison.tables import Compared, Table, sentences, tables
from simulator.report.figures import arms_figure
from simulator.report.svg import arm_styles

__all__ = ["comparison_page"]

_STYLE = """
body { font: 16px/1.5 system-ui, 'Segoe UI', Roboto, sans-serif; color: #1b1f24; margin: 2rem auto;
  max-width: 60rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
.scroll { overflow-x: auto; } svg { width: 100%; height: auto; max-width: 47.5rem; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid #e4e7eb; text-align: right; }
th { color: #57606a; font-weight: 600; vertical-align: bottom; }
th:first-child, td:first-child, .name { text-align: left; }
.note { color: #57606a; font-size: .9rem; }
@media print { body { font-size: 10pt; } tr { break-inside: avoid; } }
"""


def comparison_page(compared: Compared) -> str:
    """Write a comparison as HTML."""
    told = "".join(f"<li>{escape(text)}</li>" for text in sentences(compared))
    title = f"{len(compared.runs)} runs compared"
    body = "".join(map(_table, tables(compared)))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}: Wearfleet</title><style>{_STYLE}</style></head>"
        f"<body><h1>{title}</h1><ul>{told}</ul>"
        f"{_figure(compared)}{body}</body></html>\n"
    )


def _figure(compared: Compared) -> str:
    """Draw the arms of all runs under each other."""
    parts = [run.users.assign(arm=run.letter + " " + run.users["arm"]) for run in compared.runs]
    arms = [f"{run.letter} {arm}" for run in compared.runs for arm in run.arms]
    first = compared.runs[0]
    return arms_figure(
        pd.concat(parts, ignore_index=True),
        arm_styles(arms),
        compared.protocol,
        f"{first.letter} {first.baseline}",
    )


def _table(table: Table) -> str:
    numbers = [
        all(row[place][:1] in "0123456789-+−<" for row in table.rows)
        for place in range(len(table.head))
    ]
    kinds = ["" if one else ' class="name"' for one in numbers]
    head = "".join(
        f"<th{kind}>{escape(title)}</th>" for kind, title in zip(kinds, table.head, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(f"<td{k}>{escape(cell)}</td>" for k, cell in zip(kinds, row, strict=True))
        + "</tr>"
        for row in table.rows
    )
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    return (
        f'<h2>{escape(table.title)}</h2><div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>{note}"
    )

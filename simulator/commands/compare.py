"""`wearfleet compare`: arms of several runs side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clients.errors import BadInput
from simulator.commands.shared import need_run, records_of
from simulator.console import print_rows

if TYPE_CHECKING:
    from simulator.comparison.tables import Compared

__all__ = ["compare"]

_MOST_KEYS = 20  # that are printed


def compare(
    folders: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Run folders; the first is the measure.")
    ],
    by: Annotated[
        str | None, typer.Option(help="holdout or prequential; the first that all runs have.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write it to a file too: FILE.html or FILE.csv.")
    ] = None,
) -> None:
    """Hold the arms of runs against the first run's, person by person; say what differs in them."""
    if out is not None and out.suffix not in (".html", ".csv"):
        raise BadInput(f"--out {out}: give a file that ends in .html or .csv")
    for folder in folders:
        need_run(folder)
    with records_of(Path(", ".join(map(str, folders)))):
        from simulator.comparison.tables import compare_runs

        compared = compare_runs(folders, by)
        if out is not None:
            _write(compared, out)
    if as_json:
        from simulator.comparison.tables import as_json as of

        typer.echo(json.dumps(of(compared), indent=1))
    else:
        _print(compared)
    if out is not None:
        typer.echo(out, err=as_json)


def _write(compared: Compared, out: Path) -> None:
    """Write a comparison to a file, whole."""
    from simulator.comparison.page import comparison_page
    from simulator.comparison.tables import frame_of
    from simulator.export.folders import whole

    text = (
        comparison_page(compared)
        if out.suffix == ".html"
        else frame_of(compared).to_csv(index=False)
    )
    with whole(out) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def _print(compared: Compared) -> None:
    """Print a comparison: tables, then what has to be known of them."""
    from rich.console import Console
    from rich.markup import escape

    from simulator.comparison.tables import sentences, tables

    console = Console()
    for table in tables(compared):
        rows = table.rows
        print_rows(table.head, rows[:_MOST_KEYS] if rows[_MOST_KEYS:] else rows, table.title)
        if rows[_MOST_KEYS:]:
            console.print(f"and {len(rows) - _MOST_KEYS} more; --json and --out have them all")
        if table.note:
            console.print(escape(table.note), highlight=False, style="dim")
        console.print()
    for text in sentences(compared):
        console.print(escape(text), highlight=False)

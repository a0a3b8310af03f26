"""`wearfleet export`: what a run holds, for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clients.errors import BadInput
from simulator.commands.shared import need_run, records_of

__all__ = ["export"]

_FORMATS = ("csv", "duckdb")
_OF_DUCKDB = (".duckdb", ".db")


def export(
    folder: Annotated[Path, typer.Argument(help="A run folder, or that of several seeds.")],
    to: Annotated[
        Path | None, typer.Option(help="A folder, or a file that ends in .duckdb.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--format", help="csv or duckdb; by the name of --to.")
    ] = None,
    figures: Annotated[
        str | None, typer.Option(help="svg, png or both: svg,png; into the folder --to.")
    ] = None,
    tensorboard: Annotated[
        Path | None, typer.Option(help="Write event files for TensorBoard here.", metavar="DIR")
    ] = None,
    copy: Annotated[
        bool, typer.Option("--copy", help="Copy records into the DuckDB file; else it has views.")
    ] = False,
) -> None:
    """Write records as CSV or DuckDB, figures as SVG or PNG, scalars for TensorBoard."""
    need_run(folder)
    drawn = _figures(figures)
    if to is None and (kind or drawn or copy or tensorboard is None):
        raise BadInput("--to: missing; give a folder, or a file that ends in .duckdb")
    chosen = _format(to, kind, only_figures=bool(drawn))
    if copy and chosen != "duckdb":
        raise BadInput("--copy: goes with a DuckDB file; give --to FILE.duckdb")
    file = to is not None and chosen == "duckdb" and to.suffix in _OF_DUCKDB
    with records_of(folder):
        if to is not None and chosen == "csv":
            from simulator.export.csv_files import write_csv

            _tell(write_csv(folder, to))
        if to is not None and chosen == "duckdb":
            from simulator.export.duckdb_file import write_duckdb

            path = to if file else to / f"{folder.resolve().name}.duckdb"
            names = write_duckdb(folder, path, copy=copy)
            typer.echo(f"{path}: {', '.join(names)}")
        if to is not None and drawn:
            from simulator.export.figure_files import write_figures

            _tell(write_figures(folder, to.parent if file else to, drawn))
        if tensorboard is not None:
            from simulator.commands.shared import start_tensorflow

            start_tensorflow()
            from simulator.export.tensorboard import write_events

            _tell(write_events(folder, tensorboard))


def _figures(wanted: str | None) -> list[str]:
    """Return the formats of figures that are wanted."""
    from simulator.export.figure_files import FORMATS

    formats = [] if wanted is None else [one.strip() for one in wanted.split(",")]
    wrong = [one for one in formats if one not in FORMATS]
    if wrong:
        raise BadInput(f"--figures {wanted}: {wrong[0]!r} is none of {', '.join(FORMATS)}")
    return list(dict.fromkeys(formats))


def _format(to: Path | None, kind: str | None, *, only_figures: bool) -> str | None:
    """Return how records are written; None where only figures are wanted."""
    if kind is not None and kind not in _FORMATS:
        raise BadInput(f"--format {kind}: expected one of {', '.join(_FORMATS)}")
    if to is None:
        return None
    if to.suffix in _OF_DUCKDB:
        if kind == "csv":
            raise BadInput(f"--to {to}: CSV files go into a folder; give one, or --format duckdb")
        return "duckdb"
    if to.exists() and not to.is_dir():
        raise BadInput(f"--to {to}: is a file; give a folder, or a file that ends in .duckdb")
    return kind or (None if only_figures else "csv")


def _tell(paths: list[Path]) -> None:
    for path in paths:
        typer.echo(path)

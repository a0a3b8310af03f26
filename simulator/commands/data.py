"""Commands on recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simulator.console import print_table

__all__ = ["data_app"]

data_app = typer.Typer(suggest_commands=False, help="Look at recordings.", no_args_is_help=True)


@data_app.command("summary")
def data_summary(
    path: Annotated[Path, typer.Argument(help="A WISDM file or folder.")],
    rate_hz: Annotated[float, typer.Option(help="Rate to resample to.")] = 20.0,
) -> None:
    """Show users, activities, minutes, rates and defects of recordings."""
    from clients.recordings import read_recordings
    from clients.wisdm.summary import summarize

    recordings, defects = read_recordings(path, source="auto", rate_hz=rate_hz)
    summary = summarize(recordings, defects)
    kept = f"{defects.rows_kept:,} of {defects.rows_read:,} rows kept"
    for title, frame in (("Activities", summary.activities), ("Users", summary.users)):
        print_table(title, frame.assign(minutes=[f"{m:.1f}" for m in frame["minutes"]]))
    print_table(f"Defects ({kept})", summary.defects.drop(columns="first_places"))
    for found in summary.defects.itertuples():
        typer.echo(f"{found.reason} first at {found.first_places}")
    for note in defects.notes:
        typer.echo(note)
    for warning in defects.warnings:
        typer.echo(f"warning: {warning}")


@data_app.command("fetch")
def data_fetch(
    name: Annotated[str, typer.Argument(help="wisdm-v1.1, wisdm-2019 or actitracker-v2.0.")],
    out: Annotated[Path | None, typer.Option(help="Folder to make; data/NAME by default.")] = None,
    address: Annotated[str | None, typer.Option(help="In place of the official one.")] = None,
) -> None:
    """Download a data set from its official address, check it and unpack it."""
    from simulator.downloads import fetch_data

    folder = fetch_data(
        name, out or Path("data") / name, address, lambda text: typer.echo(text, err=True)
    )
    typer.echo(folder)

"""Commands on this machine and what is installed on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clients.errors import BadInput, RunFailed
from simulator.console import print_rows

__all__ = ["doctor", "licences"]


def doctor(
    quick: Annotated[
        bool, typer.Option("--quick", help="Compute with neither TensorFlow nor Ray.")
    ] = False,
) -> None:
    """Check this machine: versions, memory, disk, TensorFlow, Ray; say what to do."""
    from simulator.doctor import look

    try:
        here = Path.cwd()
    except OSError as error:
        raise BadInput(
            f"the folder in which this was started is gone ({error.strerror}); change to another"
        ) from None
    failed = []
    for finding in look(here, quick=quick):
        mark = {"ok": "✓", "note": "!", "fails": "✗"}[finding.verdict]
        colour = {"ok": "green", "note": "yellow", "fails": "red"}[finding.verdict]
        typer.echo(f"{typer.style(mark, fg=colour)} {finding.what:<14} {finding.found}")
        if finding.advice:
            typer.echo(f"{'':17}{finding.advice}")
        failed += [finding.what] if finding.verdict == "fails" else []
    if failed:
        raise RunFailed(f"no run will work before this is mended: {', '.join(failed)}")


def licences(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="As docs/licences.md has it.")
    ] = False,
) -> None:
    """List the packages that Wearfleet brings along, with their licences."""
    from simulator.licences import licences as found

    rows = found()
    if not markdown:
        print_rows(("package", "version", "licence"), rows)
        return
    typer.echo("| package | licence |\n| --- | --- |")
    for row in rows:
        typer.echo(f"| {row.package} | {row.licence} |")

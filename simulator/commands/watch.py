"""`wearfleet watch`: follow a run from another terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clients.errors import BadInput

if TYPE_CHECKING:
    from simulator.running.followed import Followed

__all__ = ["watch"]

_LOOK_S = 0.5
_SAY_S = 10.0  # between two lines, where standard output is no terminal
_HOW_ON = "`wearfleet resume {folder}` goes on with it"
_ANEW = "what it was given cannot be used, also by going on; mend that and run it anew"
_KILLED = "killed, or out of disk, before it could say so"


def watch(
    folder: Annotated[Path, typer.Argument(help="The folder of a run, or of its seeds.")],
    once: Annotated[bool, typer.Option("--once", help="Print how it goes, and end.")] = False,
) -> None:
    """Follow a run until it ends; the exit code is then that of the run.

    0 done, 1 failed, killed or out of disk, 2 refused what it was given, 130 interrupted. With
    --once, 0 while it runs.
    """
    from simulator.folder.lock import holder
    from simulator.folder.store import SCENARIO
    from simulator.running.ends import ENDS
    from simulator.running.followed import Followed

    if not (folder / SCENARIO).is_file() and holder(folder) is None:
        raise BadInput(
            f"{folder}: no run (neither {SCENARIO} in it nor a process at work); give the folder "
            "of one, as runs/<name>"
        )
    run = Followed(folder)
    follow = _once if once else (_in_terminal if sys.stdout.isatty() else _in_lines)
    status = follow(run)
    if ENDS.get(status):
        why = _KILLED if status == "killed" else status
        how_on = _ANEW if status == "refused" else _HOW_ON.format(folder=folder)
        typer.echo(f"wearfleet: {folder}: {why}; {how_on}", err=True)
    raise typer.Exit(ENDS.get(status, 0))


def _once(run: Followed) -> str:
    """Print the state of a run."""
    from rich.console import Console

    from simulator.running.live import picture

    status, console = _looked_at(run), Console()
    console.print(picture(run, status, run.stage(), lines=10_000))
    return status


def _in_terminal(run: Followed) -> str:
    """Draw the state of a run anew until it ends."""
    from rich.console import Console
    from rich.live import Live

    from simulator.running.live import picture

    console = Console()
    with Live(console=console, auto_refresh=False) as live:
        while True:
            status = _looked_at(run)
            lines = console.height if status == "running" else 10_000
            live.update(picture(run, status, run.stage(), lines=lines), refresh=True)
            if status != "running":
                return status
            time.sleep(_LOOK_S)


def _in_lines(
    run: Followed,
    say: Callable[[str], None] = typer.echo,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Print a line now and then until a run ends."""
    from simulator.running.live import line, where

    said = ""
    while True:
        status = _looked_at(run)
        told = f"{status}: {where(run)}"
        if status != "running":
            say(told)
            return status
        if told != said:
            more = line(run)
            say(told + (f", {more}" if more else ""))
        said = told
        for _ in range(round(_SAY_S / _LOOK_S)):
            sleep(_LOOK_S)
            if _looked_at(run) != "running":
                break


def _looked_at(run: Followed) -> str:
    """Read what is new; returns the status, which comes first so that nothing is missed."""
    status = run.status()
    run.look()
    return status

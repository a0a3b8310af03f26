"""`wearfleet validate`: what is wrong with a scenario, before anything is computed."""

from __future__ import annotations

from typing import Annotated

import typer

from clients.errors import BadInput
from simulator.commands.shared import FileArgument, SetOption, TrustOption

__all__ = ["validate"]

ReadOption = Annotated[
    bool,
    typer.Option("--read", help="Read the recordings and load the program too, as a run does."),
]
_LEFT = "the program's parameters, and what the arms ask of them"
_UNREAD = (
    "recordings, windows, and the folds and rounds that follow from them (`--read` checks these)"
)


def validate(
    file: FileArgument,
    overrides: SetOption = None,
    read: ReadOption = False,
    trusted: TrustOption = False,
) -> None:
    """Check a scenario file and print it with every default filled in.

    Standard error tells what was left to `run`, and what a run would note.
    """
    from simulator.plan.ahead import plan_ahead
    from simulator.plan.plan import build_plan
    from simulator.scenario.file import load_scenario
    from simulator.scenario.printed import printed

    scenario = load_scenario(file, overrides or [])
    try:
        plan = build_plan(scenario, trusted=trusted) if read else plan_ahead(scenario)
    except BadInput as error:
        raise BadInput(f"{file}: {error}") from None
    typer.echo(printed(scenario), nl=False)
    for note in () if plan is None else plan.notes:
        typer.echo(f"note: {note}", err=True)
    left = _LEFT if plan is not None else f"{_UNREAD}; {_LEFT}"
    typer.echo(f"checked by `wearfleet run` alone: {left}", err=True)

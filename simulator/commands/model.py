"""Commands on programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clients.errors import BadInput
from simulator.commands.lite import lite
from simulator.commands.shared import (
    FileArgument,
    SetOption,
    TrustOption,
    need_run,
    records_of,
    start_tensorflow,
)
from simulator.console import Display, print_rows, print_table

__all__ = ["model_app"]

model_app = typer.Typer(
    suggest_commands=False, help="Export, inspect and train programs.", no_args_is_help=True
)
model_app.command()(lite)


@model_app.command("export")
def model_export(
    program: Annotated[str, typer.Argument(help="A built-in program, or a SavedModel's folder.")],
    out: Annotated[Path | None, typer.Option(help="Where the SavedModel goes.")] = None,
    shared: Annotated[
        Path | None, typer.Option(help="Write a SavedModel's shared arrays as safetensors.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the first parameters.")] = 0,
    trusted: TrustOption = False,
) -> None:
    """Write an untrained built-in program as a SavedModel, or a SavedModel's shared arrays."""
    start_tensorflow()
    from simulator.base.programs import export_builtin, export_shared

    if (out is None) == (shared is None):
        raise BadInput(
            "model export: give --out DIR to write a built-in program as a SavedModel, or "
            "--shared FILE.safetensors to write the shared arrays of a SavedModel"
        )
    if out is not None:
        export_builtin(program, out, seed)
        typer.echo(out)
    elif shared is not None:
        export_shared(Path(program), shared, trusted=trusted)
        typer.echo(shared)


@model_app.command("inspect")
def model_inspect(
    path: Annotated[Path, typer.Argument(help="A SavedModel's folder.")],
    trusted: TrustOption = False,
) -> None:
    """Check a SavedModel against the contract and show what is in it."""
    start_tensorflow()
    from clients.described import inspect_program

    print_rows(("", ""), inspect_program(path, trusted=trusted))


@model_app.command("materialize")
def model_materialize(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    arm: Annotated[str, typer.Argument(help="An arm of the run that learns.")],
    device: Annotated[str, typer.Argument(help="A device's id, as in rounds/.")],
    out: Annotated[Path, typer.Option(help="Where the SavedModel goes.")],
    trusted: TrustOption = False,
) -> None:
    """Write the SavedModel of any device of a run, as its last checkpoint has it."""
    need_run(run)
    start_tensorflow()
    from simulator.wearing.materialize import materialize

    with records_of(run):
        materialize(run, arm, device, out, trusted=trusted)
    typer.echo(out)


@model_app.command("train")
def model_train(
    file: FileArgument,
    out: Annotated[Path, typer.Option(help="Where the SavedModel goes.")],
    folds: Annotated[
        int, typer.Option(min=0, help="Cross-validate first, leaving users out; 0 = not.")
    ] = 0,
    overrides: SetOption = None,
) -> None:
    """Train a base model on all users of a scenario; --folds tells how good it is on others."""
    from simulator.scenario.file import load_scenario

    scenario = load_scenario(file, overrides or [])
    start_tensorflow()
    from simulator.base.programs import cross_validate, need_new, train_program

    need_new(out)

    display = Display()
    with display:
        tables = cross_validate(scenario, folds, display) if folds else []
        train_program(scenario, out, display)
    for title, frame in tables:
        print_table(title, frame)
    typer.echo(out)

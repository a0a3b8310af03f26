"""The command line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from clients.errors import BadInput, WearfleetError
from clients.plugins import plainest
from simulator.commands.compare import compare
from simulator.commands.data import data_app
from simulator.commands.deploy import deploy_app
from simulator.commands.device import device
from simulator.commands.export import export
from simulator.commands.machine import doctor, licences
from simulator.commands.model import model_app
from simulator.commands.run import resume, run
from simulator.commands.shared import FileArgument, SetOption, TrustOption, need_run, records_of
from simulator.commands.validate import validate
from simulator.commands.watch import watch
from simulator.console import Display, print_rows, print_table
from simulator.process.hush import quiet

__all__ = ["app", "main"]

app = typer.Typer(
    suggest_commands=False,
    no_args_is_help=True,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
)
app.add_typer(data_app, name="data")
app.add_typer(model_app, name="model")
app.add_typer(deploy_app, name="deploy")
app.command()(run)
app.command()(validate)
app.command()(resume)
app.command()(watch)
app.command()(compare)
app.command()(export)
app.command()(device)
app.command()(doctor)
app.command()(licences)


@app.callback()
def options(
    wanted: Annotated[
        bool, typer.Option("--version", is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Simulate wearables that learn on the wrist, and compare personal with shared models."""
    if wanted:
        from importlib.metadata import version

        typer.echo(f"wearfleet {version('wearfleet')}")
        raise typer.Exit


@app.command()
def tune(
    file: FileArgument,
    out: Annotated[Path, typer.Option(help="Where the tuned scenario goes, in TOML.")],
    trials: Annotated[int, typer.Option(min=1, help="For each arm and fold.")] = 20,
    inner_folds: Annotated[
        int, typer.Option(min=2, help="To which a fold's donors are dealt.")
    ] = 3,
    seeds: Annotated[int, typer.Option(min=1, help="Tune for this many seeds.")] = 1,
    workers: Annotated[int | None, typer.Option(min=1, help="Ray workers; 1 needs no Ray.")] = None,
    overrides: SetOption = None,
    trusted: TrustOption = False,
) -> None:
    """Search each arm's keys on the donors of each fold, by the same budget."""
    from simulator.scenario.file import load_scenario, need_new_file, scenario_toml

    scenario = load_scenario(file, overrides or [])
    need_new_file(out)
    from tempfile import TemporaryDirectory

    from simulator.running.fleet import Fleet
    from simulator.running.workers import start_workers

    display = Display()
    with display, TemporaryDirectory(dir=out.parent) as folder:
        fleet = Fleet(start_workers(workers or scenario.fleet.workers))
        from simulator.folder.store import write_text
        from simulator.tuning.tune import tune_seeds

        try:
            tuned, table = tune_seeds(
                scenario, seeds, trials, inner_folds, Path(folder), fleet, display, trusted=trusted
            )
        finally:
            fleet.stop()
    table.to_csv(out.with_suffix(".csv"), index=False, float_format="%.6g")
    write_text(out, scenario_toml(tuned))
    best = table[table["chosen"]].drop(columns="chosen")
    print_table("Chosen on donors (accuracy on their holdout)", best.dropna(axis=1, how="all"))
    typer.echo(out)


@app.command()
def schema() -> None:
    """Print the JSON Schema of scenario files, for editors that complete and check them."""
    from simulator.scenario.schema import schema_text

    typer.echo(schema_text(), nl=False)


@app.command()
def report(folder: Annotated[Path, typer.Argument(help="A run folder.")]) -> None:
    """Write a run's report anew from its records."""
    from simulator.report import write_report

    need_run(folder)
    with records_of(folder):
        path = write_report(folder)
    typer.echo(path)


@app.command()
def scenarios(
    folder: Annotated[
        Path | None,
        typer.Argument(help="Where scenario files are; without it those that come along."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Copy them into this new folder.")] = None,
) -> None:
    """List scenarios and the questions that they answer."""
    from simulator.scenario.shipped import copy_scenarios, shipped_scenarios
    from simulator.scenario.toml_file import read_toml

    comes_along = folder is None
    folder = folder or shipped_scenarios()
    if out is not None:
        copy_scenarios(folder, out)
        folder, comes_along = out, False
    files = sorted(folder.glob("*.toml"))
    if not files:
        raise BadInput(f"{folder}: no scenario files (*.toml) there; give the folder that has some")
    rows = []
    for file in files:
        try:
            question = str(read_toml(file)[1].get("question", ""))
        except BadInput:
            question = "(not TOML)"
        rows.append((file.stem if comes_along else str(file), question))
    print_rows(("wearfleet run ..." if comes_along else "file", "question"), rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; bad input ends with code 2, an interrupt with 130.

    Args:
        arguments: in place of those that the process was started with.
    """
    quiet()
    try:
        # An exit code comes back where a command did not end by itself.
        code = app(args=arguments, standalone_mode=False)
    except BadInput as error:
        _fail(str(plainest(error)), 2)
    except WearfleetError as error:
        _fail(str(error), 1)
    except Exception as error:
        if hasattr(error, "exit_code") and hasattr(error, "show"):  # a wrong option or argument
            error.show()
            sys.exit(error.exit_code)
        raise
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> None:
    """End with an error, in which what a stranger wrote cannot steer the terminal."""
    plain = "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in message)
    typer.echo(f"wearfleet: {plain}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()

"""The command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clients.errors import BadInput, WearfleetError
from simulator.commands.data import data_app
from simulator.commands.device import device
from simulator.commands.model import model_app
from simulator.commands.shared import FileArgument, SetOption, TrustOption, need_run
from simulator.console import Display, print_rows, print_summary, print_table
from simulator.hush import quiet

if TYPE_CHECKING:
    import pandas as pd

    from simulator.fleet import Fleet
    from simulator.scenario import Scenario

__all__ = ["app", "main"]

app = typer.Typer(
    help="Simulate wearables that learn on the wrist, and compare personal with shared models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(data_app, name="data")
app.add_typer(model_app, name="model")
app.command()(device)


@app.command()
def run(
    file: FileArgument,
    out: Annotated[Path | None, typer.Option(help="Folder of the run.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Ray workers; 1 needs no Ray.")] = None,
    overrides: SetOption = None,
    engine: Annotated[
        str | None, typer.Option(help="fleet, or reference: one device after the other.")
    ] = None,
    ray_address: Annotated[
        str | None, typer.Option(help="A running Ray cluster, such as 10.0.0.1:6379.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Repeat with this many seeds.")] = 1,
    trusted: TrustOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print summary.csv as JSON.")] = False,
) -> None:
    """Run a scenario and compare its arms."""
    from simulator.scenario_file import load_scenario
    from simulator.store import discard, new_folder

    chosen = [f"fleet.engine={engine}"] if engine is not None else []
    scenario = load_scenario(file, [*(overrides or []), *chosen])
    from simulator.fleet import Fleet, start_workers

    existed = out is not None and out.exists()
    folder = new_folder(scenario.name, out)
    display = Display()
    fleet: Fleet | None = None
    try:
        with display:
            fleet = Fleet(start_workers(workers or scenario.fleet.workers, ray_address))
            from simulator.run import run_scenario, run_seeds  # while the workers start

            if seeds == 1:
                summary = run_scenario(scenario, folder.resolve(), fleet, display, trusted=trusted)
            else:
                summary = run_seeds(
                    scenario, seeds, folder.resolve(), fleet, display, trusted=trusted
                )
    except BadInput as error:
        _stop(fleet)
        if not _begun(folder):
            discard(folder, keep_folder=existed)
        raise BadInput(f"{file}: {error}") from None
    except KeyboardInterrupt:
        _stop(fleet)
        begun = _begun(folder)
        if not begun:
            discard(folder, keep_folder=existed)
        what = (
            f"what was done is kept in {folder}" if begun else "no round had begun, nothing is kept"
        )
        typer.echo(f"wearfleet: interrupted; {what}", err=True)
        raise
    finally:
        _stop(fleet)
    _show(summary, scenario, folder, as_json=as_json)


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
    from simulator.scenario_file import load_scenario, need_new_file, scenario_toml

    scenario = load_scenario(file, overrides or [])
    need_new_file(out)
    from tempfile import TemporaryDirectory

    from simulator.fleet import Fleet, start_workers

    display = Display()
    with display, TemporaryDirectory(dir=out.parent) as folder:
        fleet = Fleet(start_workers(workers or scenario.fleet.workers))
        from simulator.store import write_text
        from simulator.tune import tune_seeds

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
def validate(file: FileArgument, overrides: SetOption = None) -> None:
    """Check a scenario file and print it with every default filled in."""
    from simulator.scenario_file import load_scenario, scenario_toml

    typer.echo(scenario_toml(load_scenario(file, overrides or [])), nl=False)


@app.command()
def report(folder: Annotated[Path, typer.Argument(help="A run folder.")]) -> None:
    """Write a run's report anew from its records."""
    from simulator.report import write_report

    need_run(folder)
    typer.echo(write_report(folder))


@app.command()
def scenarios(
    folder: Annotated[Path, typer.Argument(help="Where scenario files are.")] = Path("scenarios"),
) -> None:
    """List the scenarios of a folder and the questions that they answer."""
    import tomllib

    files = sorted(folder.glob("*.toml"))
    if not files:
        raise BadInput(f"{folder}: no scenario files (*.toml) there; give the folder that has some")
    rows = []
    for file in files:
        try:
            rows.append((str(file), str(tomllib.loads(file.read_text()).get("question", ""))))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError):
            rows.append((str(file), "(not TOML)"))
    print_rows(("file", "question"), rows)


def main() -> None:
    """Run the command line; bad input ends with code 2, an interrupt with 130."""
    quiet()
    try:
        code = app(standalone_mode=False)  # an exit code where a command did not end by itself
    except BadInput as error:
        _fail(str(error), 2)
    except WearfleetError as error:
        _fail(str(error), 1)
    except Exception as error:
        if hasattr(error, "exit_code") and hasattr(error, "show"):  # a wrong option or argument
            error.show()
            sys.exit(error.exit_code)
        raise
    sys.exit(code if isinstance(code, int) else 0)


def _show(summary: pd.DataFrame, scenario: Scenario, folder: Path, *, as_json: bool) -> None:
    """Print the arms' figures, and where the report is."""
    if as_json:
        rows: list[dict[str, Any]] = json.loads(summary.round(6).to_json(orient="records"))
        typer.echo(json.dumps(rows, indent=1))
    else:
        from simulator.report import answer_of

        answer, holdout_by = answer_of(folder), scenario.split.holdout_by
        print_summary(summary, scenario.question, answer, holdout_by)
    typer.echo(f"report: {folder / 'report.html'}", err=as_json)


def _stop(fleet: Fleet | None) -> None:
    """End the workers, who may still be writing."""
    if fleet is not None:
        fleet.stop()


def _begun(folder: Path) -> bool:
    """Whether a run has come far enough to leave something that is worth keeping."""
    return (folder / "scenario.toml").is_file() or any(folder.glob("seed-*/scenario.toml"))


def _fail(message: str, code: int) -> None:
    typer.echo(f"wearfleet: {message}", err=True)
    sys.exit(code)

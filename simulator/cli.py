"""The command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clients.errors import BadInput, WearfleetError
from simulator.console import Display, print_rows, print_summary, print_table
from simulator.hush import hushed, quiet

if TYPE_CHECKING:
    import pandas as pd

    from simulator.fleet import Fleet

__all__ = ["app", "main"]

app = typer.Typer(
    help="Simulate wearables that learn on the wrist, and compare personal with shared models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Look at recordings.", no_args_is_help=True)
model_app = typer.Typer(help="Export, inspect and train programs.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(model_app, name="model")

FileArgument = Annotated[Path, typer.Argument(help="A scenario file, in TOML.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="key=value; overrides any key, such as stream.rounds=5."),
]


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
                summary = run_scenario(scenario, folder.resolve(), fleet, display)
            else:
                summary = run_seeds(scenario, seeds, folder.resolve(), fleet, display)
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
    _show(summary, scenario.question, folder, as_json=as_json)


@app.command()
def validate(file: FileArgument, overrides: SetOption = None) -> None:
    """Check a scenario file and print it with every default filled in."""
    from simulator.scenario_file import load_scenario, scenario_toml

    typer.echo(scenario_toml(load_scenario(file, overrides or [])), nl=False)


@app.command()
def report(folder: Annotated[Path, typer.Argument(help="A run folder.")]) -> None:
    """Write a run's report anew from its records."""
    from simulator.report import write_report

    _need_run(folder)
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
    print_table("Activities", summary.activities)
    print_table("Users", summary.users)
    print_table(f"Defects ({kept})", summary.defects)
    for note in defects.notes:
        typer.echo(note)


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


@model_app.command("export")
def model_export(
    program: Annotated[str, typer.Argument(help="A built-in program, or a SavedModel's folder.")],
    out: Annotated[Path | None, typer.Option(help="Where the SavedModel goes.")] = None,
    shared: Annotated[
        Path | None, typer.Option(help="Write a SavedModel's shared arrays as safetensors.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the first parameters.")] = 0,
) -> None:
    """Write an untrained built-in program as a SavedModel, or a SavedModel's shared arrays."""
    _start_tensorflow()
    from simulator.programs import export_builtin, export_shared

    if (out is None) == (shared is None):
        raise BadInput(
            "model export: give --out DIR to write a built-in program as a SavedModel, or "
            "--shared FILE.safetensors to write the shared arrays of a SavedModel"
        )
    if out is not None:
        export_builtin(program, out, seed)
        typer.echo(out)
    elif shared is not None:
        export_shared(Path(program), shared)
        typer.echo(shared)


@model_app.command("inspect")
def model_inspect(path: Annotated[Path, typer.Argument(help="A SavedModel's folder.")]) -> None:
    """Check a SavedModel against the contract and show what is in it."""
    _start_tensorflow()
    from simulator.programs import inspect_program

    print_rows(("", ""), inspect_program(path))


@model_app.command("materialize")
def model_materialize(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    arm: Annotated[str, typer.Argument(help="An arm of the run that learns.")],
    device: Annotated[str, typer.Argument(help="A device's id, as in rounds/.")],
    out: Annotated[Path, typer.Option(help="Where the SavedModel goes.")],
) -> None:
    """Write the SavedModel of any device of a run, as its last checkpoint has it."""
    _need_run(run)
    _start_tensorflow()
    from simulator.materialize import materialize

    materialize(run, arm, device, out)
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
    from simulator.scenario_file import load_scenario

    scenario = load_scenario(file, overrides or [])
    _start_tensorflow()
    from simulator.programs import cross_validate, need_new, train_program

    need_new(out)

    display = Display()
    with display:
        tables = cross_validate(scenario, folds, display) if folds else []
        train_program(scenario, out, display)
    for title, frame in tables:
        print_table(title, frame)
    typer.echo(out)


@app.command()
def device(
    folder: Annotated[Path, typer.Argument(help="Where the device is kept.")],
    run_folder: Annotated[
        Path | None, typer.Option("--run", help="Wear a device of this run, with its stream.")
    ] = None,
    name: Annotated[str | None, typer.Option("--device", help="Which one; the first.")] = None,
    arm: Annotated[
        str | None, typer.Option(help="With the keys of this arm; the first that is local.")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="Wear this SavedModel instead.")] = None,
    data: Annotated[Path | None, typer.Option(help="Play a person's recordings.")] = None,
    user: Annotated[str | None, typer.Option(help="Whose; the first one's.")] = None,
    stdin: Annotated[
        bool, typer.Option("--stdin", help="Take samples x,y,z (m/s²), a line each, as they come.")
    ] = False,
    rate_hz: Annotated[float | None, typer.Option(min=0.1, help="Samples per second; 20.")] = None,
    activities: Annotated[
        str | None, typer.Option(help="Of a SavedModel without a table: walking,jogging,...")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Windows per question; 8, or 32 single samples.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Gradient steps per answer; 4.")] = None,
    memory: Annotated[
        int | None, typer.Option(min=0, help="Windows to rehearse from; 16 questions.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of what is rehearsed; 0.")] = None,
    speed: Annotated[
        float, typer.Option(min=0.0, help="Times as fast as recorded; 0 = as fast as it can.")
    ] = 1.0,
    every: Annotated[int, typer.Option(min=1, help="Answers after which a version is saved.")] = 10,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the device.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Go back a version, and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="End with the score as JSON.")] = False,
) -> None:
    """Wear one device yourself: it plays, predicts, asks you, and learns at once."""
    if sum([run_folder is not None, model is not None, resume, undo]) != 1:
        raise BadInput(
            "device: give --run RUN to wear a device of a run, or --model SAVEDMODEL with --data "
            "or --stdin to wear one of your own, or --resume or --undo for one that is there"
        )
    if model is not None and (data is None) != stdin:
        raise BadInput("device: --model needs either --data PATH or --stdin, what it is worn to do")
    of_run = {"device": name, "arm": arm}
    of_model = {"data": data, "user": user, "stdin": stdin or None, "rate-hz": rate_hz}
    of_model |= {"activities": activities, "batch": batch, "steps": steps}
    of_model |= {"memory": memory, "seed": seed}
    for goes_with, it, options in (("run", run_folder, of_run), ("model", model, of_model)):
        given = [f"--{option}" for option, value in options.items() if value is not None]
        if it is None and given:
            raise BadInput(
                f"device: {', '.join(given)} with --{goes_with} alone, when a device begins; leave "
                "it out"
            )
    _start_tensorflow()
    from clients.device_folder import create, need_new
    from simulator.interrupts import unhidden_interrupts
    from simulator.sittings import wear_device_of_run, wear_program
    from simulator.wearing import go_back, sit

    def tell(text: str) -> None:
        typer.echo(text, err=True)

    try:
        with unhidden_interrupts():
            if undo:
                go_back(folder, tell, as_json=as_json)
                return
            if not resume:
                need_new(folder)
            if run_folder is not None:
                _need_run(run_folder)
                create(folder, wear_device_of_run(run_folder, name, arm))
            elif model is not None:
                newcomer = wear_program(
                    model,
                    [each.strip() for each in activities.split(",")] if activities else None,
                    data,
                    user,
                    rate_hz=rate_hz or 20.0,
                    batch=batch,
                    steps=steps or 4,
                    memory=memory,
                    seed=seed or 0,
                )
                create(folder, newcomer)
            sit(folder, tell, speed=speed, every=every, as_json=as_json)
    except BrokenPipeError:  # who listened has gone
        raise
    except OSError as error:
        raise BadInput(
            f"{error.filename or folder}: {error.strerror}; see to it, and go on by --resume where "
            "the device had begun"
        ) from None


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


def _start_tensorflow() -> None:
    """Load TensorFlow without its noise."""
    with hushed():
        from simulator.worker import use_one_thread

        use_one_thread()


def _show(summary: pd.DataFrame, question: str, folder: Path, *, as_json: bool) -> None:
    """Print the arms' figures, and where the report is."""
    if as_json:
        rows: list[dict[str, Any]] = json.loads(summary.round(6).to_json(orient="records"))
        typer.echo(json.dumps(rows, indent=1))
    else:
        from simulator.report import answer_of

        print_summary(summary, question, answer_of(folder))
    typer.echo(f"report: {folder / 'report.html'}", err=as_json)


def _stop(fleet: Fleet | None) -> None:
    """End the workers, who may still be writing."""
    if fleet is not None:
        fleet.stop()


def _begun(folder: Path) -> bool:
    """Whether a run has come far enough to leave something that is worth keeping."""
    return (folder / "scenario.toml").is_file() or any(folder.glob("seed-*/scenario.toml"))


def _need_run(folder: Path) -> None:
    if not (folder / "scenario.toml").is_file():
        raise BadInput(
            f"{folder}: no run folder (no scenario.toml in it); give one, as runs/<name>"
        )


def _fail(message: str, code: int) -> None:
    typer.echo(f"wearfleet: {message}", err=True)
    sys.exit(code)

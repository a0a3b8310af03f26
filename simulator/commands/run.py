"""`wearfleet run` and `wearfleet resume`."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clients.containment import need_contained
from clients.errors import BadInput
from simulator.commands.shared import FileArgument, SetOption, TrustOption
from simulator.console import print_summary
from simulator.running.displays import display_of
from simulator.running.launch import begun, compute, interrupted, launch

if TYPE_CHECKING:
    import pandas as pd

    from simulator.folder.store import RunFolder
    from simulator.running.fleet import Fleet
    from simulator.running.fold_run import Watcher
    from simulator.scenario.scenario import Scenario

__all__ = ["resume", "run"]

WorkersOption = Annotated[int | None, typer.Option(min=1, help="Ray workers; 1 needs no Ray.")]
AddressOption = Annotated[
    str | None, typer.Option(help="A running Ray cluster, such as 10.0.0.1:6379.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print summary.csv as JSON.")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Show no progress and no notes.")]
TensorBoardOption = Annotated[
    Path | None,
    typer.Option(help="Where event files for TensorBoard go as the run goes on.", metavar="DIR"),
]


def run(
    file: FileArgument,
    out: Annotated[Path | None, typer.Option(help="Folder of the run.")] = None,
    workers: WorkersOption = None,
    overrides: SetOption = None,
    engine: Annotated[
        str | None, typer.Option(help="fleet, or reference: one device after the other.")
    ] = None,
    ray_address: AddressOption = None,
    seeds: Annotated[int, typer.Option(min=1, help="Repeat with this many seeds.")] = 1,
    trusted: TrustOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    tensorboard: TensorBoardOption = None,
) -> None:
    """Run a scenario and compare its arms."""
    from simulator.folder.store import new_folder
    from simulator.scenario.file import load_scenario

    chosen = [f"fleet.engine={engine}"] if engine is not None else []
    scenario = load_scenario(file, [*(overrides or []), *chosen])
    existed = out is not None and out.exists()
    if out is not None:
        _need_room(out, tensorboard, resumed=False)
    folder = new_folder(scenario.name, out)
    try:
        summary = launch(
            scenario, folder, _shows(folder, tensorboard, quiet=quiet), workers=workers,
            ray_address=ray_address, seeds=seeds, trusted=trusted, keep_folder=existed,
        )  # fmt: skip
    except BadInput as error:
        raise BadInput(f"{file}: {error}") from None
    except KeyboardInterrupt:
        typer.echo(interrupted(folder if begun(folder) else None), err=True)
        raise
    _show(summary, scenario, folder, as_json=as_json, tensorboard=tensorboard)


def resume(
    folder: Annotated[Path, typer.Argument(help="The folder of a run that was stopped.")],
    workers: WorkersOption = None,
    ray_address: AddressOption = None,
    trusted: TrustOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    tensorboard: TensorBoardOption = None,
) -> None:
    """Go on with a run that was stopped, from its last checkpoint."""
    from simulator.folder.full_disk import full_disk_told
    from simulator.folder.lock import locked
    from simulator.folder.store import SCENARIO, RunFolder
    from simulator.scenario.plugins import need_plugins

    kept = RunFolder(folder.resolve())
    if not kept.has_begun():
        raise BadInput(
            f"{folder}: no run to go on with (no {SCENARIO} in it); give the folder of one, as "
            "runs/<name>, or run the scenario anew"
        )
    need_contained(folder)
    _need_room(folder, tensorboard, resumed=True)
    need_plugins(kept.manifest(), folder)
    seeds, scenario = kept.seeds, kept.scenario()

    def work(fleet: Fleet, display: Watcher) -> pd.DataFrame:
        from simulator.running.scenario_run import run_scenario
        from simulator.running.seeds import run_seeds

        how = {"resumed": True, "trusted": trusted}
        if seeds is None:
            return run_scenario(scenario, kept.path, fleet, display, **how)
        return run_seeds(scenario, seeds, kept.path, fleet, display, **how)

    if kept.is_done():
        typer.echo(f"wearfleet: {folder}: is done, there is nothing to go on with", err=True)
        summary = _done(kept)
    else:
        if kept.manifest().get("status") == "done":
            typer.echo(f"wearfleet: {folder}: figures of it are damaged, and made again", err=True)
        with full_disk_told(folder), locked(folder):
            kept.clear()
            try:
                display = _shows(folder, tensorboard, quiet=quiet)
                summary = compute(workers or scenario.fleet.workers, ray_address, display, work)
            except KeyboardInterrupt:
                typer.echo(interrupted(folder), err=True)
                raise
    _show(summary, scenario, folder, as_json=as_json, tensorboard=tensorboard)


def _done(kept: RunFolder) -> pd.DataFrame:
    """Read the figures of a run that is done; write the report where a kill was before it."""
    from simulator.folder.full_disk import full_disk_told
    from simulator.folder.lock import locked
    from simulator.report import write_report
    from simulator.report.records import read_csv

    if kept.lacks_report():
        with full_disk_told(kept.path), locked(kept.path):
            kept.clear()
            write_report(kept.path)
    return read_csv(kept.path / "summary.csv")


def _need_room(folder: Path, tensorboard: Path | None, *, resumed: bool) -> None:
    """Refuse, before a run begins, a folder in which event files of its name are already."""
    if tensorboard is None:
        return
    from simulator.export.folders import need_folder

    need_folder(tensorboard)
    name = folder.resolve().name
    for own in (name,) if resumed else (name, f"{name}.live"):
        if (tensorboard / own).exists():
            raise BadInput(f"--tensorboard {tensorboard}: has {own} already; give another folder")


def _shows(
    folder: Path, tensorboard: Path | None, *, quiet: bool
) -> AbstractContextManager[Watcher]:
    """Return who shows how a run goes; and writes event files, where they are wanted."""
    display = display_of(folder, quiet=quiet)
    if tensorboard is None:
        return display
    from simulator.export.live_events import LiveEvents

    return LiveEvents(display, folder, tensorboard)


def _show(
    summary: pd.DataFrame,
    scenario: Scenario,
    folder: Path,
    *,
    as_json: bool,
    tensorboard: Path | None,
) -> None:
    """Print the arms' figures, and where the report is; write event files where they are wanted."""
    if tensorboard is not None:
        from simulator.export.tensorboard import write_events

        write_events(folder, tensorboard)
    if as_json:
        rows: list[dict[str, Any]] = json.loads(summary.round(6).to_json(orient="records"))
        typer.echo(json.dumps(rows, indent=1))
    else:
        from simulator.report import answer_of, shown_summary

        answer, holdout_by = answer_of(folder), scenario.split.holdout_by
        print_summary(shown_summary(folder, summary), scenario.question, answer, holdout_by)
    typer.echo(f"report: {folder / 'report.html'}", err=as_json)

"""Start workers, run a scenario into a new folder, and leave nothing half-written."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from clients.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

    from simulator.running.fleet import Fleet
    from simulator.running.fold_run import Watcher
    from simulator.scenario.scenario import Scenario

__all__ = ["begun", "compute", "interrupted", "launch"]


def launch(
    scenario: Scenario,
    folder: Path,
    display: AbstractContextManager[Watcher],
    *,
    workers: int | str | None = None,
    ray_address: str | None = None,
    seeds: int = 1,
    trusted: bool = False,
    keep_folder: bool = False,
) -> pd.DataFrame:
    """Run a scenario into a new folder.

    Args:
        scenario: validated.
        folder: as `simulator.folder.store.new_folder` made it.
        display: shows how it goes.
        workers: how many; None for what the scenario says.
        ray_address: of a running Ray cluster; None stays on this machine.
        seeds: how many, one after the other.
        trusted: whether programs of others may hold ops that can do more than compute.
        keep_folder: whether the folder was there before, and stays where nothing was begun.

    Returns:
        the rows of summary.csv.

    Raises:
        BadInput: the data or the program cannot be used; nothing is left.
        KeyboardInterrupt: after what was done has been written, if anything was.
    """
    from simulator.folder.full_disk import full_disk_told
    from simulator.folder.lock import locked
    from simulator.folder.store import RunFolder, discard
    from simulator.plan.ahead import plan_ahead

    def work(fleet: Fleet, watcher: Watcher) -> pd.DataFrame:
        from simulator.running.scenario_run import run_scenario  # while the workers start
        from simulator.running.seeds import run_seeds

        if seeds == 1:
            return run_scenario(scenario, folder.resolve(), fleet, watcher, trusted=trusted)
        return run_seeds(scenario, seeds, folder.resolve(), fleet, watcher, trusted=trusted)

    with full_disk_told(folder), locked(folder):
        RunFolder(folder).clear()
        try:
            plan_ahead(scenario)  # before workers start
            return compute(workers or scenario.fleet.workers, ray_address, display, work)
        except (BadInput, KeyboardInterrupt):
            if not begun(folder):
                discard(folder, keep_folder=keep_folder)
            raise


def compute(
    workers: int | str,
    ray_address: str | None,
    display: AbstractContextManager[Watcher],
    work: Callable[[Fleet, Watcher], pd.DataFrame],
) -> pd.DataFrame:
    """Start workers, let them work, and end them, who may still be writing."""
    from simulator.running.fleet import Fleet
    from simulator.running.workers import start_workers

    fleet: Fleet | None = None
    try:
        with display as watcher:
            fleet = Fleet(start_workers(workers, ray_address))
            return work(fleet, watcher)
    finally:
        if fleet is not None:
            fleet.stop()


def begun(folder: Path) -> bool:
    """Whether a run has come far enough to leave something that is worth keeping."""
    from simulator.folder.store import RunFolder

    run = RunFolder(folder)
    of_seeds = any(folder.glob("seed-*/scenario.toml"))
    return of_seeds or (run.has_begun() and run.seeds is None)


def interrupted(folder: Path | None) -> str:
    """Say what is left of a run that was interrupted: its folder, or nothing."""
    what = "no round had begun, nothing is kept"
    if folder is not None:
        what = f"what was done is kept in {folder}; `wearfleet resume {folder}` goes on with it"
    return f"wearfleet: interrupted; {what}"

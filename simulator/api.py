"""Runs from Python: what `wearfleet run` does, with the results as frames."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clients.errors import BadInput
from simulator.paths import path_of
from simulator.process.hush import quiet
from simulator.running.launch import begun, interrupted, launch
from simulator.scenario.scenario import Scenario

if TYPE_CHECKING:
    from simulator.opened_run import Run

__all__ = ["load_run", "run"]


def run(
    scenario: Scenario | Mapping[str, Any] | str | Path,
    out: str | Path | None = None,
    *,
    workers: int | str | None = None,
    seeds: int = 1,
    trusted: bool = False,
    progress: bool = True,
    ray_address: str | None = None,
) -> Run:
    """Run a scenario, as `wearfleet run` does.

    An interrupt keeps what was done in the run folder, and `wearfleet resume` goes on with it.

    Args:
        scenario: one, or what makes one: the path of a file, the name of one that comes along, or
            its tables.
        out: the folder of the run, which is not there yet or empty; None for runs/<name>-<time>.
        workers: a number of them, or "auto" for one on each core; None for what the scenario says,
            whose default is "auto". 1 computes in this process, without Ray.
        seeds: how many, one after the other, whose figures are averaged.
        trusted: whether programs of others may hold ops that can do more than compute.
        progress: whether to show how it goes, in a notebook or a terminal.
        ray_address: of a running Ray cluster, as HOST:PORT.

    Raises:
        BadInput: the scenario or what it names cannot be used; nothing is left.
        RunFailed: the run cannot go on now, and can be resumed.
    """
    quiet()
    chosen = Scenario.of(scenario)
    if type(seeds) is not int or seeds < 1:
        raise BadInput(f"seeds = {seeds!r}: expected a whole number from 1")
    if workers not in (None, "auto") and (type(workers) is not int or workers < 1):
        raise BadInput(f'workers = {workers!r}: expected a whole number from 1, or "auto"')
    if not isinstance(ray_address, str | None):
        raise BadInput(f"ray_address = {ray_address!r}: expected a text, HOST:PORT, or None")
    for what, flag in (("trusted", trusted), ("progress", progress)):
        if not isinstance(flag, bool):  # a text such as "false" would count as true
            raise BadInput(f"{what} = {flag!r}: expected True or False")
    if ray_address is None:  # else nothing is computed in this process
        _check_threads(workers or chosen.fleet.workers)
    from simulator.folder.store import new_folder
    from simulator.running.progress import shown

    place = None if out is None else path_of("out", out)
    existed = place is not None and place.exists()
    folder = new_folder(chosen.name, place)
    try:
        launch(
            chosen, folder, shown(folder, progress=progress), workers=workers,
            ray_address=ray_address, seeds=seeds, trusted=trusted, keep_folder=existed,
        )  # fmt: skip
    except KeyboardInterrupt:
        print(interrupted(folder if begun(folder) else None), file=sys.stderr)
        raise
    return load_run(folder)


def load_run(folder: str | Path) -> Run:
    """Open the folder of a run, done or not, also one of several seeds.

    Raises:
        BadInput: it is no run folder, or leads out of itself.
    """
    from simulator.commands.shared import need_run
    from simulator.opened_run import Run

    path = path_of("folder", folder)
    need_run(path)
    return Run(path)


def _check_threads(workers: int | str) -> None:
    """Refuse to compute here where TensorFlow already does in another way.

    Raises:
        BadInput: it does.
    """
    cores = len(os.sched_getaffinity(0))
    if "tensorflow" not in sys.modules or (cores if workers == "auto" else workers) != 1:
        return
    from simulator.cohort.worker import use_one_thread

    try:
        use_one_thread()
    except RuntimeError:
        raise BadInput(
            "workers = 1: TensorFlow computes in this process already, with several threads, "
            "whose results differ from run to run; give workers = 2, which are processes of "
            "their own, or restart the kernel and run the scenario first"
        ) from None

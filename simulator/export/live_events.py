"""Event files of TensorBoard that grow while a run goes, from what its log tells of each round."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType

from clients.containment import file_name
from clients.errors import BadInput
from simulator.export.event_file import EventFile, steps_in
from simulator.export.folders import need_folder
from simulator.folder.run_log import Passed
from simulator.running.fold_run import Watcher
from simulator.running.followed import Followed

__all__ = ["LiveEvents"]

_LEAST_S = 1.0  # between two looks at the log


class LiveEvents:
    """Passes on what a run tells to who shows it, and writes event files of it."""

    def __init__(self, shows: AbstractContextManager[Watcher], folder: Path, out: Path) -> None:
        """Be ready.

        Args:
            shows: who is told how the run goes.
            folder: of the run.
            out: the folder that TensorBoard is told as `--logdir`. An arm's rounds in a fold go
                into `<run>.live/<arm>/fold-<n>/`; of several seeds, `<run>.live/seed-<n>/...`.
        """
        self._shows, self._run = shows, Followed(folder)
        self._out = out / f"{folder.resolve().name}.live"
        self._files: dict[Path, EventFile] = {}
        self._written: set[tuple[Path, int]] = set()
        self._looked, self._failed = 0.0, False
        self._watcher: Watcher

    def __enter__(self) -> LiveEvents:
        self._run.look()
        places = {place for place, _, _ in self._rounds() if place.is_dir()}
        self._written = {(place, step) for place in places for step in steps_in(place)}
        self._watcher = self._shows.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._write()
            for file in self._files.values():
                with suppress(OSError):  # which was told, or nothing was left to be written
                    file.close()
        finally:
            self._shows.__exit__(kind, error, trace)

    def stage(self, name: str, rounds: int, folds: int = 1) -> None:
        """Pass on that a stage begins."""
        self._watcher.stage(name, rounds, folds)

    def advance(self) -> None:
        """Write the rounds that are over, if that was not done just now."""
        self._watcher.advance()
        if time.monotonic() - self._looked >= _LEAST_S:
            self._write()

    def note(self, text: str) -> None:
        """Pass on what a person should know."""
        self._watcher.note(text)

    def _write(self) -> None:
        """Write what the log tells that was not written yet; where it cannot be, say so once."""
        if self._failed:
            return
        try:
            self._write_new()
        except (BadInput, OSError) as error:
            self._failed = True
            self._watcher.note(f"no more event files for TensorBoard are written: {error}")

    def _write_new(self) -> None:
        self._run.look()
        for place, round_, passed in self._rounds():
            if (place, round_) not in self._written:
                self._file(place, passed.at).add(round_, passed.at, _scalars(passed))
                self._written.add((place, round_))
        for file in self._files.values():
            file.flush()
        self._looked = time.monotonic()

    def _rounds(self) -> Iterator[tuple[Path, int, Passed]]:
        """Go through all rounds that are over, each with the folder of its event file."""
        for seed, story in self._run.stories.items():
            own = self._out if self._run.seeds is None else self._out / f"seed-{seed}"
            for (arm, fold), told in story.told.items():
                for round_, passed in told.rounds.items():
                    yield own / file_name(arm) / f"fold-{fold}", round_, passed

    def _file(self, place: Path, at: float) -> EventFile:
        """Return the event file of a folder, begun where it is not there."""
        if place not in self._files:
            need_folder(place)
            path = place / f"events.out.tfevents.{time.time_ns()}.wearfleet"
            self._files[place] = EventFile(path, at)
        return self._files[place]


def _scalars(passed: Passed) -> dict[str, float]:
    """Return what the log tells of a round, by tag."""
    found = {f"faults/{name}": float(count) for name, count in passed.faults.items() if count}
    if passed.windows:
        found["right_before_learning"] = passed.correct / passed.windows
    if passed.wall_s > 0.0:
        found["devices_per_s"] = passed.devices / passed.wall_s
    return found

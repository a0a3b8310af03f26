"""The checkpoints of one arm in one fold: each a folder, whole or not there, the last few kept.

`checkpoints/<arm>/<fold>/` holds a folder for each round that is kept, `rows/` with the records
that have left memory, and `finished.json` when the fold is done. A checkpoint is written under an
unfinished name; its manifest, the last file, has the size and the checksum of all others, as
`finished.json` has them of the fold's records and SavedModels. What turns out to be damaged is set
aside, as `.<round>.damaged`, until a newer checkpoint has been written.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clients.errors import BadInput
from simulator.folder.arrays_file import Damaged, Written, check, sync_file
from simulator.folder.sealed_file import read_sealed, write_sealed

__all__ = ["ROWS", "Kept", "Manifest", "kept_folds"]

ROWS = "rows"
"""The folder of the records that have left memory."""

_MANIFEST, _FINISHED = "manifest.json", "finished.json"
_FORMAT = 1  # of a checkpoint; another number where an older program could not read it


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a checkpoint consists of.

    Attributes:
        round_: after which it was written.
        shares: whether devices answered with the server's arrays then.
        files: in the checkpoint's own folder.
        rows: in `rows/`, the records that had left memory.
        events: what had happened in the simulation until then, as `events/` tells it.
    """

    round_: int
    shares: bool
    files: tuple[Written, ...]
    rows: tuple[Written, ...]
    events: Sequence[Mapping[str, Any]]


class Kept:
    """The checkpoints of one arm in one fold.

    Attributes:
        path: their folder.
    """

    def __init__(self, path: Path, keep: int = 1) -> None:
        self.path, self._keep = path, keep

    @property
    def rows(self) -> Path:
        """The folder of the records that have left memory."""
        return self.path / ROWS

    def folder_of(self, round_: int) -> Path:
        """Return the folder of one checkpoint."""
        return self.path / f"{round_:05d}"

    def rounds(self) -> list[int]:
        """Return after which rounds there are checkpoints, whole or damaged, in order."""
        names = [path.name for path in self.path.glob("[0-9]*")]
        return sorted(int(name) for name in names if name.isdigit())

    def begin(self, round_: int) -> Path:
        """Make the folder of a checkpoint, under its unfinished name, for files to be written."""
        folder = self.path / f".{round_:05d}.{os.getpid()}.unfinished"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def finish(self, folder: Path, manifest: Manifest) -> None:
        """Give a checkpoint its name, now that all its files are there; forget older ones."""
        write_sealed(folder / _MANIFEST, {"format": _FORMAT, **asdict(manifest)})
        sync_file(folder)
        if self.rows.is_dir():
            sync_file(self.rows)
        final = self.folder_of(manifest.round_)
        _remove(final)  # one that was damaged
        folder.rename(final)
        sync_file(self.path)
        self.forget_old()
        self._forget_damaged()

    def forget_old(self) -> None:
        """Remove all but the last few checkpoints."""
        for round_ in self.rounds()[: -self._keep]:
            self.forget(round_)

    def forget(self, round_: int) -> None:
        """Remove a checkpoint; it vanishes as a whole."""
        gone = self.path / f".{round_:05d}.gone.unfinished"
        _remove(gone)
        self.folder_of(round_).rename(gone)
        _remove(gone)

    def set_aside(self, round_: int) -> None:
        """Give a damaged checkpoint a name under which it is none."""
        aside = self.path / f".{round_:05d}.damaged"
        _remove(aside)
        self.folder_of(round_).rename(aside)

    def _forget_damaged(self) -> None:
        """Remove what was set aside, now that something newer is whole."""
        for path in self.path.glob(".*.damaged"):
            _remove(path)

    def manifest(self, round_: int) -> Manifest:
        """Read what a checkpoint consists of.

        Raises:
            Damaged: the manifest is missing, or is not what was written.
            BadInput: it is whole, and of another version of Wearfleet.
            RunFailed: the system did not let it be read.
        """
        path = self.folder_of(round_) / _MANIFEST
        table = read_sealed(path)
        try:
            if table["format"] != _FORMAT:
                raise ValueError(f"format {table['format']!r}, expected {_FORMAT}")
            files, rows = (_files(table[name]) for name in ("files", "rows"))
            return Manifest(table["round_"], table["shares"], files, rows, table["events"])
        except (ValueError, KeyError, TypeError) as error:  # whole, so it is no damage
            raise BadInput(
                f"{path}: not as this version of Wearfleet writes it ({error}); go on with the "
                "version that wrote it (manifest.json of the run tells it), or begin a new run"
            ) from None

    def check(self, round_: int, part: int = 0, parts: int = 1) -> Manifest:
        """Read a checkpoint's files, every `parts`-th from `part` on, and compare the checksums.

        Raises:
            Damaged: one is not what was written.
            BadInput: the checkpoint is of another version of Wearfleet.
            RunFailed: the system did not let one be read.
        """
        manifest = self.manifest(round_)
        if manifest.round_ != round_:
            raise Damaged(f"{self.folder_of(round_)}: is of round {manifest.round_}")
        for written in manifest.files[part::parts]:
            check(self.folder_of(round_), written)
        for written in manifest.rows[part::parts]:
            check(self.rows, written)
        return manifest

    def done(self, events: Sequence[Mapping[str, Any]], files: Sequence[Written]) -> None:
        """Note that the fold is done; what was kept for going on with it is removed.

        Args:
            events: what happened in the simulation.
            files: the fold's records and SavedModels, named from the run folder on, and synced.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        told = {"events": list(events), "files": [asdict(file) for file in files]}
        write_sealed(self.path / _FINISHED, told)
        sync_file(self.path)
        self._forget_damaged()
        self.forget_rows()

    def forget_rows(self) -> None:
        """Remove the records that have left memory: a fold that is done has them elsewhere."""
        shutil.rmtree(self.rows, ignore_errors=True)

    def finished(self, run: Path) -> list[Mapping[str, Any]] | None:
        """Return what happened in the simulation of a fold that is done; None of one that is not.

        Args:
            run: the run folder.

        Raises:
            Damaged: the note that it is done, or a file that it left, is not what was written.
            RunFailed: the system did not let one be read.
        """
        path = self.path / _FINISHED
        if not path.exists():
            return None
        table = read_sealed(path)
        try:
            events, files = list(table["events"]), _files(table["files"])
        except (ValueError, KeyError, TypeError) as error:
            raise Damaged(f"{path}: cannot be read ({error})") from None
        for file in files:
            check(run, file)
        return events

    def reopen(self) -> None:
        """Take back that the fold is done."""
        _remove(self.path / _FINISHED)


def _files(tables: Sequence[Mapping[str, Any]]) -> tuple[Written, ...]:
    return tuple(Written(**table) for table in tables)


def _remove(path: Path) -> None:
    """Remove a folder, or what has taken its place, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def kept_folds(folder: Path) -> Iterator[Kept]:
    """Go through the folds of an arm that have checkpoints.

    Args:
        folder: of the arm's checkpoints.
    """
    paths = [path for path in folder.glob("[0-9]*") if path.name.isdigit()]
    yield from (Kept(path) for path in sorted(paths, key=lambda path: int(path.name)))

"""The checkpoints of one arm in one fold: each a folder, whole or not there, the last few kept.

`checkpoints/<arm>/<fold>/` holds a folder for each round that is kept, `rows/` with the records
that have left memory, and `finished.json` when the fold is done. A checkpoint is written under an
unfinished name; its manifest, the last file, has the size and the checksum of all others.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clients.bounded import read_bounded, read_json
from clients.errors import BadInput
from simulator.arrays_file import Damaged, Written, check, sync_file, write_whole

__all__ = ["ROWS", "Kept", "Manifest", "kept_folds"]

ROWS = "rows"
"""The folder of the records that have left memory."""

_MANIFEST, _FINISHED = "manifest.json", "finished.json"
_LONGEST = 2**28  # bytes of either; events are a hundred each


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
        text = json.dumps(asdict(manifest)).encode()
        whole = b'{"checksum": %d, "manifest": %s}' % (zlib.crc32(text), text)
        write_whole(folder / _MANIFEST, [whole])
        sync_file(folder)
        if self.rows.is_dir():
            sync_file(self.rows)
        final = self.folder_of(manifest.round_)
        shutil.rmtree(final, ignore_errors=True)  # one that was damaged
        folder.rename(final)
        sync_file(self.path)
        self.forget_old()

    def forget_old(self) -> None:
        """Remove all but the last few checkpoints."""
        for round_ in self.rounds()[: -self._keep]:
            self.forget(round_)

    def forget(self, round_: int) -> None:
        """Remove a checkpoint; it vanishes as a whole."""
        gone = self.path / f".{round_:05d}.gone.unfinished"
        shutil.rmtree(gone, ignore_errors=True)
        self.folder_of(round_).rename(gone)
        shutil.rmtree(gone)

    def manifest(self, round_: int) -> Manifest:
        """Read what a checkpoint consists of.

        Raises:
            Damaged: the manifest is missing, or is not what was written.
        """
        path = self.folder_of(round_) / _MANIFEST
        try:
            read = json.loads(read_bounded(path, _LONGEST, "the manifest of a checkpoint"))
            table = read["manifest"]
            if zlib.crc32(json.dumps(table).encode()) != read["checksum"]:
                raise Damaged(f"{path}: its checksum is not that of what was written")
            files, rows = (
                tuple(Written(**one) for one in table[name]) for name in ("files", "rows")
            )
            return Manifest(table["round_"], table["shares"], files, rows, table["events"])
        except OSError as error:
            raise Damaged(f"{path}: {error.strerror}") from None
        except BadInput as error:
            raise Damaged(str(error)) from None
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Damaged(f"{path}: cannot be read ({error})") from None

    def check(self, round_: int, part: int = 0, parts: int = 1) -> Manifest:
        """Read a checkpoint's files, every `parts`-th from `part` on, and compare the checksums.

        Raises:
            Damaged: one is not what was written.
        """
        manifest = self.manifest(round_)
        if manifest.round_ != round_:
            raise Damaged(f"{self.folder_of(round_)}: is of round {manifest.round_}")
        for written in manifest.files[part::parts]:
            check(self.folder_of(round_), written)
        for written in manifest.rows[part::parts]:
            check(self.rows, written)
        return manifest

    def done(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Note that the fold is done; what was kept for going on with it is removed."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_whole(self.path / _FINISHED, [json.dumps({"events": list(events)}).encode()])
        sync_file(self.path)
        shutil.rmtree(self.rows, ignore_errors=True)

    def finished(self) -> list[dict[str, Any]] | None:
        """Return what happened in the simulation of a fold that is done; None of one that is not.

        A note that cannot be read counts as none: the fold is then done again from its last
        checkpoint.
        """
        try:
            told = read_json(self.path / _FINISHED, "the note of a fold that is done", _LONGEST)
            return list(told["events"])
        except (OSError, BadInput, KeyError, TypeError):
            return None


def kept_folds(folder: Path) -> Iterator[Kept]:
    """Go through the folds of an arm that have checkpoints.

    Args:
        folder: of the arm's checkpoints.
    """
    paths = [path for path in folder.glob("[0-9]*") if path.name.isdigit()]
    yield from (Kept(path) for path in sorted(paths, key=lambda path: int(path.name)))

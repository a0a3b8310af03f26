"""Files of a run that can be checked: named arrays with facts beside them, written whole."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients.bounded import facts_of, open_arrays
from clients.errors import BadInput, RunFailed

__all__ = [
    "Damaged",
    "Written",
    "check",
    "file_written",
    "opened",
    "read_arrays",
    "sync_file",
    "sync_folders",
    "unreadable",
    "write_arrays",
    "write_whole",
]

Arrays = Mapping[str, NDArray[Any]]

_DTYPES = {
    "bool": "BOOL", "uint8": "U8", "int8": "I8", "uint16": "U16", "int16": "I16", "uint32": "U32",
    "int32": "I32", "uint64": "U64", "int64": "I64", "float16": "F16", "float32": "F32",
    "float64": "F64",
}  # fmt: skip
_PIECE = 2**20  # bytes that are read at once
_MOST_BYTES = 64 * 2**30
"""Of a file of arrays: a worker holds a cohort's in memory, 10 GiB in the largest run foreseen."""


class Damaged(Exception):
    """A file is not what was written, or is not there; the message says which and how."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a file was when it was written.

    Attributes:
        name: of the file, in its folder or in one below it.
        size: in bytes.
        checksum: CRC-32 of them. It is to notice damage, not malice, and costs a fifth of what a
            cryptographic one does.
    """

    name: str
    size: int
    checksum: int

    def __post_init__(self) -> None:
        """Refuse a name that leads elsewhere: a run folder may come from a stranger."""
        path = Path(self.name)
        if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in self.name:
            raise ValueError(f"{self.name!r} is no name of a file")


def write_arrays(path: Path, arrays: Arrays, facts: Mapping[str, Any]) -> Written:
    """Write a safetensors file whole: to a temporary name, synced, then renamed.

    The arrays go to the disk as they lie in memory, without a copy.

    Args:
        path: in a folder that is there.
        arrays: of any numbers, by name.
        facts: JSON, kept under "facts" of the file's metadata.
    """
    # The widest first, then by name, as the format wants them to be aligned.
    ordered = sorted(arrays, key=lambda name: (-np.asarray(arrays[name]).itemsize, name))
    whole = {name: np.ascontiguousarray(arrays[name]) for name in ordered}
    header: dict[str, Any] = {"__metadata__": {"facts": json.dumps(facts)}}
    place = 0
    for name, value in whole.items():
        header[name] = {
            "dtype": _DTYPES[value.dtype.name],
            "shape": list(np.shape(arrays[name])),  # `ascontiguousarray` makes a number a row
            "data_offsets": [place, place + value.nbytes],
        }
        place += value.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    parts = (value.reshape(-1).view(np.uint8).data for value in whole.values() if value.nbytes)
    return write_whole(path, [len(text).to_bytes(8, "little"), text, *parts])


def write_whole(path: Path, parts: Iterable[Any]) -> Written:
    """Write bytes, in parts, to a temporary name; sync and rename it."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    size, checksum = 0, 0
    try:
        with unfinished.open("wb") as file:
            for part in parts:
                file.write(part)
                size += len(part)
                checksum = zlib.crc32(part, checksum)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)  # there only if something went wrong
    return Written(path.name, size, checksum)


def file_written(path: Path, folder: Path | None = None) -> Written:
    """Tell of a file that is there what it is now.

    Args:
        path: the file.
        folder: in which its name begins; None for its own.
    """
    size, checksum = 0, 0
    with path.open("rb") as file:
        while part := file.read(_PIECE):
            size += len(part)
            checksum = zlib.crc32(part, checksum)
    return Written(str(path.relative_to(folder or path.parent)), size, checksum)


def check(folder: Path, written: Written) -> None:
    """Compare a file with what was written.

    Raises:
        Damaged: it is missing, shorter or longer, or has other bytes.
        RunFailed: the system did not let it be read.
    """
    path = folder / written.name
    try:
        size = path.stat().st_size  # first, so that a file that grew is not read to its end
        found = file_written(path) if size == written.size else None
    except OSError as error:
        raise unreadable(path, error) from None
    if found is None:
        raise Damaged(f"{path}: has {size} bytes; {written.size} were written")
    if found.checksum != written.checksum:
        raise Damaged(f"{path}: its checksum is not that of what was written")


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a file of arrays, as `open_arrays` does: whatever is wrong with it is damage.

    Raises:
        Damaged: it is no file of arrays, or what is looked for in it is not there.
    """
    try:
        with open_arrays(path, _MOST_BYTES) as file:
            yield file
    except BadInput as error:
        raise Damaged(str(error)) from None
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise Damaged(f"{path}: {error}") from None


def unreadable(path: Path, error: OSError) -> Exception:
    """Return what to raise where the system did not let a file be read.

    One that is gone is damage. Any other refusal may pass, so that nothing must be given up for it.
    """
    if isinstance(error, (FileNotFoundError, NotADirectoryError, IsADirectoryError)):
        return Damaged(f"{path}: {error.strerror}")
    return RunFailed(
        f"{path}: cannot be read now ({error.strerror}), and nothing was removed; mend that, then "
        "`wearfleet resume` goes on. Where it cannot be mended, remove the file: then the run "
        "does without it"
    )


def read_arrays(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read the arrays of a file and the facts beside them.

    Raises:
        Damaged: it is no file of arrays.
    """
    with opened(path) as file:
        facts = facts_of(path, file)
        return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118


def sync_folders(root: Path, files: Iterable[Written]) -> None:
    """Let the names of files in and below a folder outlast a loss of power."""
    for folder in sorted({parent for file in files for parent in Path(file.name).parents}):
        sync_file(root / folder)


def sync_file(path: Path) -> None:
    """Let a file, or the names in a folder, outlast a loss of power."""
    place = os.open(path, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)

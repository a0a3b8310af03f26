"""The run folders of a run, and what is written beside them: whole, and never over something."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clients.errors import BadInput
from simulator.report.records import seed_folders

__all__ = ["KINDS", "need_folder", "parquet_files", "runs_of", "whole"]

KINDS = ("windows", "rounds", "events")
"""Folders of a run that hold Parquet files."""


def runs_of(folder: Path) -> dict[str, Path]:
    """Return the run folders by the seed's folder name, that of a single run under ""."""
    return {path.name: path for path in seed_folders(folder)} or {"": folder}


def parquet_files(run: Path, kind: str) -> list[Path]:
    """List the finished files of one kind; those of arms and folds that are done."""
    return sorted(path for path in (run / kind).rglob("*.parquet") if path.is_file())


def need_folder(folder: Path) -> None:
    """Make a folder to write into, if it is not there.

    Raises:
        BadInput: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f"{folder}: cannot be made ({error.strerror}); give a folder that can"
        ) from None


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a temporary name to write to; the file gets its own when it is whole.

    Raises:
        BadInput: there is a file of that name.
    """
    if path.exists():
        raise BadInput(f"{path}: is there already; move it away, or give another place")
    need_folder(path.parent)
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)

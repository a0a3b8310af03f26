"""A run folder belongs to one process at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from clients.errors import BadInput
from simulator.folder.full_disk import is_full_disk

__all__ = ["LOCK", "holder", "locked"]

LOCK = "lock"
"""The file that is locked; it goes when its run ends, and may stay, unlocked, of one killed."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from writing into a run folder.

    The system itself lets go of the lock of a process that is killed.

    Raises:
        BadInput: another process writes into the folder, or this one cannot.
    """
    path = folder / LOCK
    place = _take(path)
    try:
        _say_whose(place)
        yield
    finally:
        with suppress(OSError):  # unlocked, it may stay
            if _is_at(place, path):
                path.unlink()
        os.close(place)


def _say_whose(place: int) -> None:
    """Write the number of this process; a disk that is full takes nothing from the lock."""
    try:
        os.truncate(place, 0)
        os.write(place, str(os.getpid()).encode())
    except OSError as error:
        if not is_full_disk(error):
            raise


def holder(folder: Path) -> int | None:
    """Return the process that writes into a folder, 0 for one unknown; None if there is none."""
    place = _opened(folder / LOCK)
    if place is None:
        return None
    try:
        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        told = os.read(place, 20)
        return int(told) if told.isdigit() else 0
    finally:
        os.close(place)
    return None


def _opened(path: Path) -> int | None:
    """Open a lock to look at it, which a reader may who cannot write; None where there is none."""
    for how in (os.O_RDWR, os.O_RDONLY):
        with suppress(OSError):
            return os.open(path, how)
    return None


def _take(path: Path) -> int:
    """Lock a file, which is made where it lacks; returns its descriptor."""
    while True:
        place = _open(path)
        try:
            fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            told = os.read(place, 20)
            os.close(place)
            raise BadInput(
                f"{path.parent}: another process (pid {told.decode() if told.isdigit() else '?'}) "
                "writes into this folder; wait until it ends, or give another folder"
            ) from None
        if _is_at(place, path):
            return place
        os.close(place)  # whoever held it has removed it meanwhile


def _open(path: Path) -> int:
    """Open a file, which is made where it lacks; returns its descriptor.

    Raises:
        BadInput: it cannot be written.
        OSError: the disk is full.
    """
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        if is_full_disk(error):
            raise
        raise BadInput(
            f"{path}: cannot be written ({error.strerror}), and a run has to lock its folder; make "
            "the folder writable, or copy it to where it is"
        ) from None


def _is_at(place: int, path: Path) -> bool:
    """Tell whether an open file is the one that has a name now."""
    try:
        return os.fstat(place).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False

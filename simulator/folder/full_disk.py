"""A disk that is full: how it shows, and what to say of it."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clients.errors import RunFailed

__all__ = ["full_disk_told", "is_full_disk"]

_NUMBERS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_WORDS = (
    "No space left on device", "Disk quota exceeded", "File too large",
    "No usable temporary directory",  # what Python says of all full disks together
)  # fmt: skip


def is_full_disk(error: BaseException) -> bool:
    """Tell whether an error, or what it came from, says that nothing more can be written.

    TensorFlow and Ray have errors of their own, which only quote the system's.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in _NUMBERS:
            return True
        if any(words in str(seen) for words in _WORDS):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


@contextmanager
def full_disk_told(folder: Path) -> Iterator[None]:
    """Turn an error that says so into one that tells how to go on.

    Args:
        folder: of the run.

    Raises:
        RunFailed: the disk is full.
    """
    try:
        yield
    except Exception as error:
        if is_full_disk(error):
            raise RunFailed(_told(folder, error)) from error
        raise


def _told(folder: Path, error: BaseException) -> str:
    free_mib = shutil.disk_usage(folder).free / 2**20
    reason = str(error.__cause__ or error).splitlines()[0][:200]
    advice = (
        "What was kept until the last checkpoint is whole: make room, then `wearfleet resume "
        f"{folder}` goes on from it"
        if (folder / "scenario.toml").is_file()
        else "Nothing had begun: make room, then run the scenario anew"
    )
    return (
        f"{folder}: could not be written to ({reason}); {free_mib:.1f} MiB are free there. {advice}"
    )

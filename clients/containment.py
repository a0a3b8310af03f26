"""Ids as file names, and folders from strangers: nothing leads out of either."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from pathlib import Path

from clients.errors import BadInput

__all__ = ["file_name", "is_file_name", "need_contained"]

_LONGEST = 80
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
_MOST_ENTRIES = 10_000_000


def is_file_name(name: str) -> bool:
    """Tell whether a name can be that of a file as it is, wherever the file is written."""
    return len(name) <= _LONGEST and _PLAIN.fullmatch(name) is not None


def file_name(identity: str) -> str:
    """Return the file name of whatever has an id: a user, a device, an arm, a version.

    An id of plain letters, digits and `_.+-` is its own file name. Of any other the plain part is
    kept, and a digest of the whole added, so that ids that differ have names that differ.
    """
    if is_file_name(identity):
        return identity
    digest = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", identity)[: _LONGEST // 2].strip("-_")
    return f"{plain or 'id'}-{digest}"


def need_contained(folder: Path, most_files: int = _MOST_ENTRIES, most_bytes: int = 2**62) -> None:
    """Refuse a folder that is not made of its own files: one that came from a stranger.

    A link that leads out of it would have something else read in place of its files, or written.

    Args:
        folder: which may itself be reached by a link.
        most_files: files and folders that it may hold.
        most_bytes: of its files together.

    Raises:
        BadInput: it holds a link that leads out of it, what is neither file nor folder, or too
            much; or it cannot be read.
    """
    root, entries, size = Path(os.path.realpath(folder)), 0, 0
    waiting = [root]
    try:
        while waiting:
            with os.scandir(waiting.pop()) as found:
                for entry in found:
                    entries += 1
                    size += _size(entry, root, waiting)
                    if entries > most_files or size > most_bytes:
                        raise BadInput(
                            f"{folder}: holds more than {most_files:,} files or {most_bytes:,} "
                            "bytes; give a folder that holds what it should and nothing else"
                        )
    except OSError as error:
        raise BadInput(
            f"{error.filename or folder}: cannot be read ({error.strerror}); give a folder whose "
            "files can"
        ) from None


def _size(entry: os.DirEntry[str], root: Path, waiting: list[Path]) -> int:
    """Return the bytes of a file; a folder is looked through later, a link must stay inside."""
    if entry.is_symlink():
        target = Path(os.path.realpath(entry.path))
        if not target.is_relative_to(root):
            raise BadInput(
                f"{entry.path}: a link to {target}, which is not in {root}; put a copy of the file "
                "in place of the link (cp -rL copies a folder so)"
            )
        return 0
    if entry.is_dir(follow_symlinks=False):
        waiting.append(Path(entry.path))
        return 0
    facts = entry.stat(follow_symlinks=False)
    if not stat.S_ISREG(facts.st_mode):
        raise BadInput(f"{entry.path}: neither a file nor a folder; remove it")
    return facts.st_size

"""Paths that somebody gives from Python."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from clients.errors import BadInput

__all__ = ["path_of"]


def path_of(what: str, given: Any) -> Path:
    """Return a path that was given as a text or as a path.

    Args:
        what: it is of, for the error.
        given: it.

    Raises:
        BadInput: it is no path, or none that a file system could have.
    """
    if not isinstance(given, str | PathLike):
        raise BadInput(f"{what} = {given!r:.80}: expected a path, as a text or a pathlib.Path")
    path = Path(given)
    if "\0" in str(path):
        raise BadInput(f"{what} = {str(path)!r:.80}: a path has no null characters; give another")
    return path

"""What somebody may have meant who wrote a name that is none."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["meant", "nearest"]

_MOST = 80  # characters of a name; of more, no letters are compared


def nearest(word: str, names: Iterable[str]) -> str:
    """Return the name that is most like a word, whatever its capitals; empty where none is."""
    known = {name.lower(): name for name in names}
    close = get_close_matches(word[:_MOST].lower(), known, 1)
    return known[close[0]] if close else ""


def meant(word: str, names: Iterable[str]) -> str:
    """Write the end of an error: `; did you mean "fedavg"?`, or nothing."""
    found = nearest(word, names)
    return f'; did you mean "{found}"?' if found else ""

"""How a run may end, and what its manifest and exit code call it."""

from __future__ import annotations

from clients.errors import BadInput
from simulator.folder.full_disk import is_full_disk

__all__ = ["ENDS", "end_by"]

ENDS = {"done": 0, "failed": 1, "full disk": 1, "killed": 1, "refused": 2, "interrupted": 130}
"""How a run may have ended, with the exit code that tells it."""


def end_by(error: Exception) -> str:
    """Name the end of a run that an error stopped: "refused" where it would come again."""
    if is_full_disk(error):
        return "full disk"
    return "refused" if isinstance(error, BadInput) else "failed"

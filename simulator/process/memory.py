"""How much memory this process holds, and giving back what it holds and does not use."""

from __future__ import annotations

import ctypes
import os
import resource
from pathlib import Path

__all__ = ["give_back", "held_mib", "peak_mib"]

_MIB = 2**20


def peak_mib() -> float:
    """Return the most memory that this process has ever held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def held_mib() -> float | None:
    """Return the memory that this process holds now, in MiB; None where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / _MIB


def give_back() -> None:
    """Return to the system what was freed: the C library keeps it, in pieces, for the next call.

    Large arrays of different sizes that come and go would else let the process grow a little each
    time. It does nothing where the C library has no such call.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)

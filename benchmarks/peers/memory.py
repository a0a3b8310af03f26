"""How much memory processes hold, as Linux counts it."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["TreePeak", "own_peak_mib"]

_PAGE = os.sysconf("SC_PAGE_SIZE")
_MIB = 2.0**20


def own_peak_mib() -> float:
    """Return the most memory that this process ever held.

    `getrusage` would also count what the process that started this one held then.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024.0


class TreePeak:
    """Watches a process and all that it starts, from a thread, while the context is open.

    Pages that processes share count for each of them.

    Attributes:
        peak_mib: the most memory that they held together, as far as was seen.
    """

    def __init__(self, process: int, every_s: float = 0.5) -> None:
        self.peak_mib = 0.0
        self._process = process
        self._every_s = every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        """Look again and again until the context is closed, and once more then."""
        while True:
            self.peak_mib = max(self.peak_mib, _tree_bytes(self._process) / _MIB)
            if self._over.wait(self._every_s):
                return


def _tree_bytes(root: int) -> int:
    """Return what a process and its descendants hold now."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "stat").read_text()
        except OSError:
            continue  # it ended meanwhile
        # The name, in parentheses, may hold blanks and parentheses of its own.
        parent = int(status.rpartition(")")[2].split()[1])
        children.setdefault(parent, []).append(int(folder.name))
    total, queue = 0, [root]
    while queue:
        process = queue.pop()
        queue += children.get(process, ())
        try:
            total += int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE
        except OSError:
            continue
    return total

"""How often workers may be lost before a run gives up."""

from __future__ import annotations

from clients.errors import RunFailed, WorkerLost
from simulator.folder.store import RunFolder

__all__ = ["Patience"]

_MOST = 5  # losses without any checkpoint in between


class Patience:
    """Counts losses of workers since the run last got on."""

    def __init__(self, run: RunFolder) -> None:
        self._run, self._lost = run, 0

    def bear(self, lost: WorkerLost, when: str) -> None:
        """Note a loss.

        Args:
            lost: what was lost.
            when: in which part of the run, in words.

        Raises:
            RunFailed: it was one too many.
        """
        self._lost += 1
        self._run.log("worker lost", when=when, in_a_row=self._lost, why=str(lost))
        if self._lost >= _MOST:
            raise RunFailed(
                f"workers were lost {_MOST} times in a row {when}, the last time so: {lost} Give "
                "them more memory or fewer devices; then `wearfleet resume "
                f"{self._run.path}` goes on from the last checkpoint"
            ) from None

    def got_on(self) -> None:
        """Forget earlier losses: the run got on."""
        self._lost = 0

"""Workers that compute: one in this process, or some on Ray."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Protocol

from clients.errors import BadInput
from simulator.process.interrupts import unhidden_interrupts
from simulator.running.host import Host
from simulator.running.on_ray import OnRay

__all__ = ["InProcess", "Workers", "start_workers"]

_A_CORE, _AT_LEAST = 4, 8  # workers that are started: on each core at most, and always


class Workers(Protocol):
    """Some workers that can be called together."""

    count: int

    @property
    def nodes(self) -> Sequence[str]:
        """The node that each worker is on."""
        ...

    def call(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Call a method of each worker with its own arguments; results in order of worker.

        Raises:
            WorkerLost: one of them is gone; `renew` lets the others go on.
        """
        ...

    def share(self, value: Any) -> Any:
        """Return what to pass as an argument in place of a large value that all receive."""
        ...

    def renew(self) -> None:
        """Replace workers that are gone by new ones, as many as there is room for."""
        ...

    def stop(self) -> None:
        """End what was started."""
        ...


class InProcess:
    """One worker, here."""

    count = 1
    nodes: Sequence[str] = ("here",)

    def __init__(self) -> None:
        self._host = Host()

    def call(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Call a method of the worker."""
        with unhidden_interrupts():
            return [self._host.call(method, *arguments[0])]

    def share(self, value: Any) -> Any:
        """Return the value: nothing has to travel."""
        return value

    def renew(self) -> None:
        """Do nothing: without this process there is no run."""

    def stop(self) -> None:
        """Do nothing: nothing was started."""


def start_workers(count: int | str, address: str | None = None) -> Workers:
    """Start workers.

    Args:
        count: a number of them, or "auto" for one on each core.
        address: of a running Ray cluster; None stays on this machine.

    Raises:
        BadInput: this machine has no room for so many, or the cluster has not.
    """
    if address is not None:
        return OnRay(None if count == "auto" else int(count), address)
    cores = len(os.sched_getaffinity(0))
    wanted, most = cores if count == "auto" else int(count), max(_AT_LEAST, _A_CORE * cores)
    if wanted > most:
        raise BadInput(
            f"workers = {wanted}: each is a process that fills a core, and {cores} may be used "
            f'here; give {most} at most, or "auto" for one on each core'
        )
    return InProcess() if wanted == 1 else OnRay(wanted)

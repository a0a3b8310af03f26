"""What a worker lives in: this process, or one that Ray started."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from clients.errors import BadInput
from clients.plugins import plainest
from simulator.process.hush import hushed

__all__ = ["Host"]


class Host:
    """Holds a worker, so that only the process that computes loads TensorFlow."""

    def __init__(self, folder: str = "") -> None:
        """Make a worker.

        Args:
            folder: to work in, where this process should not stay in its own.
        """
        with contextlib.suppress(OSError):  # another machine need not have it
            os.chdir(folder or os.curdir)
        with hushed():
            from simulator.cohort.worker import Worker

            self._worker = Worker()

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the worker."""
        try:
            return getattr(self._worker, method)(*arguments)
        except BadInput as error:
            raise plainest(error) from None

    def node(self) -> str:
        """Return the Ray node that this process is on."""
        import ray

        return str(ray.get_runtime_context().get_node_id())

"""TensorFlow, loaded when it is first used.

What a method means for the server, such as who takes part and what is shared, needs none of it;
so the process that only tells workers what to compute does not load it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["tf"]


class _Late:
    """Stands for a module until something of it is asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)


tf: Any = _Late("tensorflow")

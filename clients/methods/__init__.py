"""Ways of learning by name: their half on the device."""

from __future__ import annotations

from collections.abc import Callable

from clients.methods.fedavg import fedavg
from clients.methods.fedper import fedper
from clients.methods.finetune import finetune
from clients.methods.frozen import frozen
from clients.methods.local import local
from clients.methods.method import Arrays, Method, MethodOptions

__all__ = ["METHODS", "Arrays", "Method", "MethodOptions"]

METHODS: dict[str, Callable[[MethodOptions], Method]] = {
    "frozen": frozen,
    "heuristic": frozen,
    "local": local,
    "fedavg": fedavg,
    "finetune": finetune,
    "fedper": fedper,
}
"""Name -> the method in the round that the options name. `heuristic` is what `frozen` is to a
program, with thresholds in the program's place."""

"""Where a search for an arm's keys looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from simulator.scenario.arm import Arm
from simulator.scenario.ways import learns, own_keys

__all__ = ["Draws", "Range", "ranges_of", "suggested"]


class Draws(Protocol):
    """What suggests values: a trial of Optuna's."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Suggest a number."""
        ...

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        """Suggest a whole number."""
        ...

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """Suggest one of some values."""
        ...


@dataclass(frozen=True, slots=True)
class Range:
    """The values of one key.

    Attributes:
        low: smallest.
        high: largest.
        log: whether values are tried by their logarithm.
    """

    low: float
    high: float
    log: bool = False

    @property
    def whole(self) -> bool:
        """Whether it is one of whole numbers."""
        return isinstance(self.low, int)


_EVERYWHERE: Mapping[str, Range] = {
    "learning_rate": Range(1e-4, 1e-2, log=True),
    "steps": Range(1, 8),
}
_OWN: Mapping[str, Range] = {
    "mu": Range(1e-3, 10.0, log=True),
    "lambda": Range(1e-2, 10.0, log=True),
    "alpha": Range(0.05, 0.95),
    "eta": Range(1e-3, 5e-2, log=True),
    "inner_steps": Range(1, 5),
    "clusters": Range(1, 4),
    "q": Range(1e-3, 5.0, log=True),
    "server_learning_rate": Range(1e-3, 2.0, log=True),
    "server_momentum": Range(0.0, 0.95),
    "tau": Range(1e-4, 1e-1, log=True),
    "buffer": Range(2, 32, log=True),
    "trim": Range(0.0, 0.4),
    "clip": Range(1e-2, 3.0, log=True),
}
_OTHERWISE: Mapping[str, Mapping[str, Range]] = {
    "pfedme": {"lambda": Range(1.0, 50.0, log=True), "server_learning_rate": Range(0.5, 2.0)},
    "perfedavg": {"alpha": Range(1e-4, 1e-1, log=True)},
}
"""Where a key of one method has other values than the same key of others."""


def ranges_of(arm: Arm, rounds: int) -> dict[str, Range]:
    """Return the keys of an arm that are searched, and where; none for one that never learns.

    What says how private, how robust or how numerous an arm's devices are is no hyper-parameter,
    and stays; so do the optimizer and the memory, which belong to the device.

    Args:
        arm: whose keys.
        rounds: of a run.
    """
    if not learns(arm.method):
        return {}
    found = dict(_EVERYWHERE)
    known = {**_OWN, **_OTHERWISE.get(arm.method, {})}
    found |= {key: known[key] for key in own_keys(arm.method) if key in known}
    if arm.method == "finetune":
        found["switch_round"] = Range(1, max(1, rounds - 1))
    return found


def suggested(arm: Arm, ranges: Mapping[str, Range], draws: Draws) -> dict[str, Any]:
    """Draw a value for each key.

    Args:
        arm: whose keys.
        ranges: as `ranges_of` returns them.
        draws: suggests them.
    """
    values: dict[str, Any] = {}
    for key, where in ranges.items():
        if where.whole:
            values[key] = draws.suggest_int(key, int(where.low), int(where.high), log=where.log)
        else:
            values[key] = draws.suggest_float(key, where.low, where.high, log=where.log)
    if arm.method == "fedrep":
        values["steps"] = max(2, values["steps"])
        values["head_steps"] = max(
            1, round(draws.suggest_float("head_share", 0.1, 0.9) * (values["steps"] - 1))
        )
    return values

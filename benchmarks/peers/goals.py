"""What Wearfleet is to reach against its peers, and whether all computed the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.peers.runs import WEARFLEET, Result

__all__ = ["GOALS", "Figure", "Goal", "disagreements", "figures"]

_DEVICES = 1_000  # where the peers are compared
_MANY = 100_000
_WORKERS = 2
_TOLERANCE = 2e-5  # among 100 clients, rounding tips a few rectifiers: 1e-5 of a bias's norm

Find = Callable[[str, str, int, int], Result | None]


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure that is wanted.

    Attributes:
        title: what it is.
        floor: what is needed at least.
        goal: what is aimed at.
        figure: computes it from results that it looks up, or None where one is missing.
    """

    title: str
    floor: float
    goal: float
    figure: Callable[[Find], float | None]

    @property
    def higher(self) -> bool:
        """Return whether more is better."""
        return self.goal > self.floor


@dataclass(frozen=True, slots=True)
class Figure:
    """A goal with what was measured, or None where that could not be."""

    goal: Goal
    value: float | None

    @property
    def verdict(self) -> str:
        """Return "goal", "floor", "missed", or "" where nothing was measured."""
        if self.value is None:
            return ""
        sign = 1.0 if self.goal.higher else -1.0
        if sign * self.value >= sign * self.goal.goal:
            return "goal"
        return "floor" if sign * self.value >= sign * self.goal.floor else "missed"


def _against(workload: str, peer: str, floor: float, goal: float) -> Goal:
    """Compare client-rounds a second with a peer's."""

    def figure(find: Find) -> float | None:
        own, other = (
            find(WEARFLEET, workload, _DEVICES, _WORKERS),
            find(peer, workload, _DEVICES, 0),
        )
        return own.rate / other.rate if own and other else None

    return Goal(f"{workload.upper()}: Wearfleet / {peer}", floor, goal, figure)


def _cost(workload: str, floor: float, goal: float) -> Goal:
    """Compare what a device costs in a large fleet with what it costs in a small one."""

    def figure(find: Find) -> float | None:
        many, few = (find(WEARFLEET, workload, n, _WORKERS) for n in (_MANY, _DEVICES))
        return few.rate / many.rate if many and few else None

    title = f"{workload.upper()}: cost of a device-round, {_MANY:,} / {_DEVICES:,} devices"
    return Goal(title, floor, goal, figure)


def _scaling(workload: str, floor: float, goal: float) -> Goal:
    """Compare two workers with one."""

    def figure(find: Find) -> float | None:
        two, one = (find(WEARFLEET, workload, _DEVICES, n) for n in (_WORKERS, 1))
        return two.rate / one.rate if two and one else None

    return Goal(f"{workload.upper()}: 2 workers / 1 worker", floor, goal, figure)


def _outside(workload: str, floor: float, goal: float) -> Goal:
    """Look at the share of a round that is not learning."""

    def figure(find: Find) -> float | None:
        own = find(WEARFLEET, workload, _DEVICES, _WORKERS)
        return own.outside if own else None

    return Goal(f"{workload.upper()}: share outside the compiled call", floor, goal, figure)


GOALS = (
    _against("w1", "flower_engine", 80.0, 350.0),
    _against("w2", "flower_engine", 20.0, 45.0),
    _against("w1", "fedjax", 7.0, 30.0),
    _against("w1", "pfl_research", 12.0, 55.0),
    _against("w2", "fedjax", 2.5, 5.0),
    _against("w2", "pfl_research", 6.5, 13.0),
    _against("w1", "fedjax_tuned", 7.0, 30.0),
    _against("w2", "fedjax_tuned", 2.5, 5.0),
    _against("w2", "pfl_tuned", 6.5, 13.0),
    _against("w1", "jax_tuned", 0.3, 1.1),
    _against("w2", "jax_tuned", 0.6, 1.1),
    _cost("w1", 1.5, 1.1),
    _cost("w2", 1.5, 1.1),
    _scaling("w2", 1.6, 1.9),
    _outside("w2", 0.25, 0.10),
)


def figures(results: Sequence[Result]) -> list[Figure]:
    """Compute every goal's figure."""
    by_key = {result.key: result for result in results}

    def find(peer: str, workload: str, devices: int, workers: int) -> Result | None:
        return by_key.get((peer, workload, devices, workers))

    return [Figure(goal, goal.figure(find)) for goal in GOALS]


def disagreements(results: Sequence[Result]) -> list[str]:
    """Say which results have other parameters after the first round than the first of their kind.

    Norms are compared relative to one another, and sums to the largest that an array of such a
    norm can have, since they may cancel out. Results without a checksum are passed over.
    """
    found, references = [], dict[tuple[str, int], Result]()
    for result in results:
        if not result.checksum:
            continue
        reference = references.setdefault((result.workload, result.devices), result)
        names = sorted(reference.checksum.keys() ^ result.checksum.keys())
        if names:
            found.append(f"{_name(result)}: parameters that {reference.peer} has not: {names}")
            continue
        for name, (total, squares) in sorted(result.checksum.items()):
            right_total, right_squares = reference.checksum[name]
            norm, right_norm = math.sqrt(squares), math.sqrt(right_squares)
            largest = math.sqrt(reference.sizes[name]) * right_norm
            off = max(abs(total - right_total) / largest, abs(norm / right_norm - 1.0))
            if not off <= _TOLERANCE:
                found.append(f"{_name(result)}: {name} is off {reference.peer}'s by {off:.1e}")
    return found


def _name(result: Result) -> str:
    return f"{result.peer} on {result.workload} with {result.devices:,} devices"

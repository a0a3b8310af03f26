"""Which answered windows a device keeps, and which it rehearses."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Memory"]


class Memory:
    """A class-balanced reservoir of answered windows, kept as stream positions.

    While there is room everything is kept. After that a window of a class that never held the
    most places takes the place of a random window of a class that holds the most; a window of
    any other class takes a random place of its own class, with the probability that keeps the
    class's places a uniform sample of what was offered (Chrysakis & Moens 2020, "Online
    continual learning from imbalanced data", algorithm 1).

    Attributes:
        positions: int64 [capacity], stream positions; only the first `size` are in use.
        labels: int32 [capacity], classes as answered.
        seen: int64 [K], windows of each class that were offered so far.
        full: bool [K], classes that have held the most places of a memory without room.
        size: places in use.
    """

    def __init__(self, capacity: int, classes: int) -> None:
        self.positions: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self.labels: NDArray[np.int32] = np.zeros(capacity, np.int32)
        self.seen: NDArray[np.int64] = np.zeros(classes, np.int64)
        self.full: NDArray[np.bool_] = np.zeros(classes, np.bool_)
        self.size = 0

    def add(self, position: int, label: int, draws: ArrayLike) -> None:
        """Offer one answered window.

        Args:
            position: its stream position.
            label: its class as answered.
            draws: two numbers in [0, 1): whether it replaces one, and which.
        """
        self.seen[label] += 1
        if self.size < self.positions.size:
            self._put(self.size, position, label)
            self.size += 1
            return
        if not self.size:
            return
        chance, which = np.asarray(draws, dtype=np.float64)
        held = np.bincount(self.labels, minlength=self.seen.size)
        self.full |= held == held.max()
        if not self.full[label]:
            places = np.flatnonzero(held[self.labels] == held.max())
        elif chance < held[label] / self.seen[label]:
            places = np.flatnonzero(self.labels == label)
        else:
            return
        self._put(int(places[int(which * places.size)]), position, label)

    def draw(self, draws: NDArray[np.float64]) -> NDArray[np.int64]:
        """Draw places to rehearse, with replacement; each class that is kept is as likely.

        Args:
            draws: float64 [N, 2] in [0, 1): which class, and which of its places.

        Returns:
            int64 [N], none while the memory is empty.
        """
        if not self.size:
            return np.zeros(0, np.int64)
        labels = self.labels[: self.size]
        order = np.argsort(labels, kind="stable")
        kept, starts, counts = np.unique(labels[order], return_index=True, return_counts=True)
        chosen = (draws[:, 0] * kept.size).astype(np.int64)
        return order[starts[chosen] + (draws[:, 1] * counts[chosen]).astype(np.int64)]

    def _put(self, place: int, position: int, label: int) -> None:
        self.positions[place] = position
        self.labels[place] = label

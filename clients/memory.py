"""Which answered windows devices keep, and which they rehearse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Memory"]

_STATE = ("windows", "labels", "seen", "full")


class Memory:
    """A class-balanced reservoir of answered windows for each of D devices.

    While there is room everything is kept. After that a window of a class that never held the
    most places takes the place of a random window of a class that holds the most; a window of
    any other class takes a random place of its own class, with the probability that keeps the
    class's places a uniform sample of what was offered (Chrysakis & Moens 2020, "Online
    continual learning from imbalanced data", algorithm 1).

    A place holds a window, or all windows of a question where whole questions are rehearsed.

    Attributes:
        windows: int32 [D, capacity] or [D, capacity, B], indices into the pool of windows; a
            device's first `size` places are in use, the others hold -1.
        labels: int8 [D, capacity] (int16 for more than 128 classes), classes as answered, -1
            likewise.
        seen: int32 [D, K], places of each class that were offered so far.
        full: bool [D, K], classes that have held the most places of a memory without room.
        held: int32 [D, K], places that each class holds.
        size: int32 [D], places in use.
    """

    def __init__(self, devices: int, capacity: int, classes: int, batch: int | None = None) -> None:
        """Make room.

        Args:
            devices: D.
            capacity: places.
            classes: K.
            batch: most windows of a question, B, where a place holds one; None for single windows.
        """
        places, each = (devices, capacity), (devices, classes)
        held = places if batch is None else (*places, batch)
        self.windows: NDArray[np.int32] = np.full(held, -1, np.int32)
        self.labels: NDArray[np.signedinteger[Any]] = np.full(
            places, -1, np.min_scalar_type(-classes)
        )
        self.seen: NDArray[np.int32] = np.zeros(each, np.int32)
        self.full: NDArray[np.bool_] = np.zeros(each, np.bool_)
        self.held: NDArray[np.int32] = np.zeros(each, np.int32)
        self.size: NDArray[np.int32] = np.zeros(devices, np.int32)

    def add(
        self,
        rows: NDArray[np.integer[Any]],
        windows: NDArray[np.int32],
        labels: NDArray[np.integer[Any]],
        draws: NDArray[np.float64],
    ) -> None:
        """Offer the windows of one answered question of each of n devices, in order.

        Args:
            rows: int [n], the devices, each at most once.
            windows: int32 [n, N], indices into the pool, -1 = none; [n, N, B] for whole questions.
            labels: int [n], the class as answered, from 0 to K - 1.
            draws: float64 [n, N, 2] in [0, 1): whether it replaces something, and what.
        """
        first = windows.reshape(*windows.shape[:2], -1)[..., 0]
        for i in range(windows.shape[1]):
            given = np.flatnonzero(first[:, i] >= 0)
            if given.size:
                self._offer(rows[given], windows[given, i], labels[given], draws[given, i])

    def draw(
        self,
        draws: NDArray[np.float64],
        rows: NDArray[np.integer[Any]] | None = None,
        other_than: NDArray[np.integer[Any]] | None = None,
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Draw what to rehearse, with replacement; each class that is kept is as likely.

        Args:
            draws: float64 [n, N, 2] in [0, 1): which class, and which of its places.
            rows: int [n], the devices; None stands for all D.
            other_than: int [n], a class of each that is not drawn; None draws from all.

        Returns:
            windows, int32 [n, N] or [n, N, B], and labels, int32 [n, N]; -1 where there is none.
        """
        n, capacity = draws.shape[0], self.windows.shape[1]
        if not capacity:
            none = np.full(draws.shape[:2], -1, np.int32)
            return np.full((*none.shape, *self.windows.shape[2:]), -1, np.int32), none
        device = np.arange(n) if rows is None else rows
        labels, held = self.labels[device], self.held[device]
        kept = held > 0
        if other_than is not None:
            kept[np.arange(n), other_than] = False
        kept_first = np.argsort(~kept, axis=1, kind="stable")
        which = (draws[..., 0] * kept.sum(axis=1)[:, None]).astype(np.int64)
        chosen = np.take_along_axis(kept_first, which, axis=1)
        nth = (draws[..., 1] * np.take_along_axis(held, chosen, axis=1)).astype(np.int64)
        # Places out of use sort first, as their label is -1.
        starts = capacity - held[:, ::-1].cumsum(axis=1)[:, ::-1]
        nth += np.take_along_axis(starts, chosen, axis=1)
        order = np.argsort(labels, axis=1, kind="stable")
        # An empty memory starts behind its last place; any of its places holds -1.
        place = np.take_along_axis(order, np.minimum(nth, capacity - 1), axis=1)
        drawn = np.take_along_axis(labels, place, axis=1).astype(np.int32)
        windows = self.windows[device[:, None], place]
        if other_than is None:
            return windows, drawn
        nothing = ~kept.any(axis=1)
        windows[nothing], drawn[nothing] = -1, -1
        return windows, drawn

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Return copies of `windows`, `labels`, `seen` and `full`, which are the whole state."""
        return {name: getattr(self, name).copy() for name in _STATE}

    def restore(self, snapshot: Mapping[str, NDArray[Any]]) -> None:
        """Become what a snapshot of as many devices, places and classes holds."""
        for name in _STATE:
            getattr(self, name)[...] = snapshot[name]
        self.size[:] = (self.labels >= 0).sum(axis=1)
        for label in range(self.held.shape[1]):
            self.held[:, label] = (self.labels == label).sum(axis=1)

    def _offer(
        self,
        rows: NDArray[np.integer[Any]],
        windows: NDArray[np.int32],
        labels: NDArray[np.integer[Any]],
        draws: NDArray[np.float64],
    ) -> None:
        """Offer one window or question to each of n devices; draws are [n, 2]."""
        self.seen[rows, labels] += 1
        place, capacity = self.size[rows].astype(np.int64), self.windows.shape[1]
        if not capacity:
            return
        crowded = np.flatnonzero(place == capacity)
        if crowded.size:
            place[crowded] = self._replaced(rows[crowded], labels[crowded], draws[crowded])
        put = np.flatnonzero(place >= 0)
        rows, place, labels = rows[put], place[put], labels[put]
        before = self.labels[rows, place]
        gone = before >= 0
        self.held[rows[gone], before[gone]] -= 1
        self.held[rows, labels] += 1
        self.size[rows] += ~gone
        self.windows[rows, place] = windows[put]
        self.labels[rows, place] = labels

    def _replaced(
        self,
        rows: NDArray[np.integer[Any]],
        labels: NDArray[np.integer[Any]],
        draws: NDArray[np.float64],
    ) -> NDArray[np.int64]:
        """Choose the places that windows take in memories without room: int64 [n], -1 = none."""
        device, held = np.arange(rows.size), self.held[rows]
        largest = held == held.max(axis=1, keepdims=True)
        self.full[rows] |= largest
        own = np.arange(held.shape[1]) == labels[:, None]
        once_largest = self.full[rows, labels]
        wins = draws[:, 0] < held[device, labels] / self.seen[rows, labels]
        taken = np.full(rows.size, -1, np.int64)
        put = np.flatnonzero(~once_largest | wins)
        candidates = np.where(once_largest[:, None], own, largest)[put]
        counts = (held[put] * candidates).sum(axis=1)
        # The places of candidate classes, device after device, each device's in order of place.
        offsets = device[: put.size, None] * held.shape[1]
        places = np.flatnonzero(candidates.ravel().take(self.labels[rows[put]] + offsets))
        nth = (draws[put, 1] * counts).astype(np.int64) + counts.cumsum() - counts
        taken[put] = places[nth] % self.windows.shape[1]
        return taken

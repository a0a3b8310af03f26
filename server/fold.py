"""Fold the updates of many devices into one, as a running weighted mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Fold", "Mean"]

Arrays = Mapping[str, NDArray[Any]]

_PART_VALUES = 2**15  # that are weighted at once


class Mean(NamedTuple):
    """The mean of folded updates; a server that weights it by `examples` sees no difference.

    Attributes:
        arrays: mean of the updates, weighted by examples, in their shapes [...] and types.
        examples: answered windows that were learnt from, over all devices.
        loss: mean loss, weighted likewise.
    """

    arrays: dict[str, NDArray[Any]]
    examples: int
    loss: float


class Fold:
    """A running sum of updates, each weighted by its device's examples (McMahan et al. 2017).

    Sums are float64 and taken device by device, in the order in which devices are added, so that
    they are the same bytes however the devices are split over calls.
    """

    def __init__(self) -> None:
        self._sums: dict[str, NDArray[np.float64]] = {}
        self._types: dict[str, np.dtype[Any]] = {}
        self._examples = 0
        self._loss = 0.0

    def add(
        self,
        updates: Arrays,
        examples: NDArray[np.integer[Any]],
        losses: NDArray[np.floating[Any]],
        accepted: NDArray[np.bool_],
    ) -> None:
        """Add the updates of D devices; those refused or without examples add nothing.

        Args:
            updates: what the devices sent, each array [D, ...], the same names in every call.
            examples: int [D], answered windows that each learnt from.
            losses: float [D], mean loss of each device's steps.
            accepted: bool [D], which updates count.
        """
        chosen: Any = np.flatnonzero(accepted & (examples > 0))
        if not chosen.size:
            return
        weights = examples[chosen].astype(np.float64)
        if chosen.size == len(accepted):
            chosen = slice(None)  # a view spares a copy
        for name, stacked in updates.items():
            self._types.setdefault(name, stacked.dtype)
            total = self._sums.setdefault(name, np.zeros(stacked.shape[1:]))
            _add_weighted(total, stacked[chosen], weights)
        self._examples += int(examples[chosen].sum())
        for weighted_loss in (weights * losses[chosen].astype(np.float64)).tolist():
            self._loss += weighted_loss

    def mean(self) -> Mean | None:
        """Return the mean of all that was added, None where nobody had examples."""
        if not self._examples:
            return None
        arrays = {
            name: np.asarray(total / self._examples, self._types[name])
            for name, total in self._sums.items()
        }
        return Mean(arrays, self._examples, self._loss / self._examples)


def _add_weighted(
    total: NDArray[np.float64], stacked: NDArray[Any], weights: NDArray[np.float64]
) -> None:
    """Add weights [n] times arrays [n, ...] to a total [...], one device after the other."""
    flat, rows = total.reshape(-1), stacked.reshape(len(stacked), -1)
    step = max(1, _PART_VALUES // max(flat.size, 1))
    for first in range(0, len(rows), step):
        # In float64, in parts that stay in the processor's cache.
        for row in rows[first : first + step] * weights[first : first + step, None]:
            flat += row

"""Accuracy that forgets: older windows count less by a factor a window, or not at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ALPHA", "WIDTH", "Faded", "Sliding"]

ALPHA = 0.98  # remembers about 50 windows
WIDTH = 50


@dataclass(frozen=True, slots=True, eq=False)
class Faded:
    """Devices' accuracy with a fading factor after some windows (Gama, Sebastião, Rodrigues 2013).

    S_i = c_i + αS_{i-1}, B_i = 1 + αB_{i-1}, A_i = S_i / B_i, where c_i is 1 if the i-th window was
    predicted rightly, else 0.

    Attributes:
        total: float64 [D], S.
        weight: float64 [D], B; 0 before a device's first window.
    """

    total: NDArray[np.float64]
    weight: NDArray[np.float64]

    @classmethod
    def before(cls, devices: int) -> Faded:
        """Return where devices start: without any window."""
        return cls(np.zeros(devices), np.zeros(devices))

    def after(self, correct: NDArray[np.bool_], there: NDArray[np.bool_]) -> Faded:
        """Return where devices are after some more windows.

        Args:
            correct: bool [D, W], whether each device's windows, in order, were predicted rightly.
            there: bool [D, W], which of them exist.
        """
        powers = ALPHA ** np.arange(there.shape[1] + 1)
        upto = np.cumsum(there, axis=1)
        count = upto[:, -1:] if there.size else np.zeros((len(there), 1), np.int64)
        # Unrolled: a window counts by α to the power of how many come after it.
        each = powers[count - upto] * there
        past = powers[count[:, 0]]
        return Faded(
            past * self.total + np.sum(each * correct, axis=1),
            past * self.weight + np.sum(each, axis=1),
        )

    def accuracy(self) -> NDArray[np.float64]:
        """Return A, float64 [D], NaN for a device without any window."""
        known = self.weight > 0.0
        return np.where(known, self.total / np.where(known, self.weight, 1.0), np.nan)


@dataclass(frozen=True, slots=True, eq=False)
class Sliding:
    """Devices' accuracy over their latest windows (Gama, Sebastião, Rodrigues 2013).

    Attributes:
        latest: int8 [D, WIDTH], the latest windows in order, 1 if predicted rightly, else 0; -1
            before a device's first window.
    """

    latest: NDArray[np.int8]

    @classmethod
    def before(cls, devices: int) -> Sliding:
        """Return where devices start: without any window."""
        return cls(np.full((devices, WIDTH), -1, np.int8))

    def after(self, correct: NDArray[np.bool_], there: NDArray[np.bool_]) -> Sliding:
        """Return where devices are after some more windows, as `Faded.after` does."""
        whole = np.concatenate([self.latest, np.where(there, correct, -1).astype(np.int8)], axis=1)
        order = np.argsort(whole >= 0, axis=1, kind="stable")[:, -WIDTH:]
        return Sliding(np.take_along_axis(whole, order, axis=1))

    def accuracy(self) -> NDArray[np.float64]:
        """Return the share of the latest windows, float64 [D], NaN for a device without any."""
        count = (self.latest >= 0).sum(axis=1)
        right = (self.latest > 0).sum(axis=1)
        return np.where(count > 0, right / np.maximum(count, 1), np.nan)

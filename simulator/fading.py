"""Accuracy that forgets: older windows count less, by a factor a window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ALPHA", "Faded"]

ALPHA = 0.98  # remembers about 50 windows


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

"""What users donated for training a base model offline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Donated"]


@dataclass(frozen=True, slots=True, eq=False)
class Donated:
    """Donors' windows.

    Attributes:
        x: float32 [N, T, C]; NaN where a feature is missing.
        labels: int32 [N].
        users: int32 [N], a number for each user.
    """

    x: NDArray[np.float32]
    labels: NDArray[np.int32]
    users: NDArray[np.int32]

    def of(self, users: NDArray[np.int32]) -> Donated:
        """Return the windows of some users."""
        rows = np.isin(self.users, users)
        return Donated(self.x[rows], self.labels[rows], self.users[rows])

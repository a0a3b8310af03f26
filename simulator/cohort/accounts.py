"""What became of the updates of a cohort: sent = accepted + refused + lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FATES", "Accounts", "Underway"]

FATES = ("accepted", "refused", "lost")
"""What becomes of an update in the end."""


@dataclass(frozen=True, slots=True, eq=False)
class Accounts:
    """What became of n updates; a duplicate is one of its own.

    Attributes:
        row: int64 [n], which device of the cohort sent each.
        fate: int64 [n], an index into FATES.
        reason: int64 [n], why it was refused or lost, an index into the names of reasons, or -1.
        norm: float64 [n], how far it went, NaN where that is not known.
        round_: int64 [n], in which it arrived, or was lost.
    """

    row: NDArray[np.int64]
    fate: NDArray[np.int64]
    reason: NDArray[np.int64]
    norm: NDArray[np.float64]
    round_: NDArray[np.int64]

    @classmethod
    def empty(cls) -> Accounts:
        """Return the accounts of no updates."""
        none = np.zeros(0, np.int64)
        return cls(none, none, none, np.zeros(0), none)

    @classmethod
    def joined(cls, *parts: Accounts) -> Accounts:
        """Put accounts under each other."""
        return cls(
            *(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__slots__)
        )

    def take(self, which: NDArray[Any]) -> Accounts:
        """Return some of them."""
        return Accounts(*(getattr(self, name)[which] for name in self.__slots__))

    def counted(self, devices: int) -> NDArray[np.int64]:
        """Count by device and fate: int64 [D, 3]."""
        found = np.zeros((devices, len(FATES)), np.int64)
        np.add.at(found, (self.row, self.fate), 1)
        return found


class Underway:
    """Accounts that are closed in later rounds, as the updates arrive that they are of."""

    def __init__(self) -> None:
        self._open = Accounts.empty()

    def close(self, round_: int, more: Accounts) -> Accounts:
        """Take in accounts, and return those that are closed until the end of a round."""
        joined = Accounts.joined(self._open, more)
        done = joined.round_ <= round_
        self._open = joined.take(~done)
        closed = joined.take(done)
        return closed.take(np.argsort(closed.row, kind="stable"))

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Return all that is open, as named arrays."""
        return {f"underway/{name}": getattr(self._open, name) for name in Accounts.__slots__}

    def restore(self, snapshot: Mapping[str, NDArray[Any]]) -> None:
        """Become what a snapshot holds."""
        self._open = Accounts(*(snapshot[f"underway/{name}"] for name in Accounts.__slots__))

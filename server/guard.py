"""Refuse bad updates, and say why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Guard", "check"]

Arrays = Mapping[str, NDArray[Any]]


def check(
    updates: NDArray[np.floating], bound: float | None
) -> tuple[NDArray[np.bool_], list[str]]:
    """Check how far updates have moved.

    Args:
        updates: float [D, P], what each device changed of its P parameters.
        bound: largest norm that is accepted, or None for any finite one.

    Returns:
        accepted, bool [D], and a reason for each device, empty where it was accepted.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        norms = np.linalg.norm(updates.astype(np.float64), axis=1)
    reasons = []
    for norm in norms:
        if not np.isfinite(norm):
            reasons.append("holds NaN or infinite values")
        elif bound is not None and norm > bound:
            reasons.append(f"norm {norm:.4g} exceeds the bound {bound:.4g}")
        else:
            reasons.append("")
    return np.array([not reason for reason in reasons], np.bool_), reasons


class Guard:
    """Checks the updates of each round against what was sent and against the round before.

    The bound on an update's norm is a multiple of the previous round's median, so the first
    round has none.
    """

    def __init__(self, max_norm: float | None) -> None:
        self._max_norm = max_norm
        self._bound: float | None = None

    def accept(self, sent: Arrays, updates: Sequence[Arrays]) -> list[str]:
        """Check one round's updates.

        Args:
            sent: the arrays that the devices began from.
            updates: what each device sent back.

        Returns:
            a reason for each update, empty where it is accepted.
        """
        reasons = [_misshapen(sent, update) for update in updates]
        whole = [i for i, reason in enumerate(reasons) if not reason]
        if not whole:
            return reasons
        start = _flat(sent, sent)
        moved = np.stack([_flat(sent, updates[i]) - start for i in whole])
        accepted, why = check(moved, self._bound)
        for i, reason in zip(whole, why, strict=True):
            reasons[i] = reason
        self._rebound(np.linalg.norm(moved, axis=1), accepted)
        return reasons

    def _rebound(self, norms: NDArray[np.float64], accepted: NDArray[np.bool_]) -> None:
        """Set the bound for the next round.

        Where a whole round went further than its bound, the bound was wrong rather than all
        devices, and the next round is measured by this one.
        """
        measured = norms[accepted] if accepted.any() else norms[np.isfinite(norms)]
        if self._max_norm is not None and measured.size:
            median = float(np.median(measured))
            self._bound = self._max_norm * median if median > 0.0 else None


def _misshapen(sent: Arrays, update: Arrays) -> str:
    """Say how an update differs from what was sent in names, shapes or types."""
    if update.keys() != sent.keys():
        return f"arrays {sorted(update)} instead of {sorted(sent)}"
    for name, value in sent.items():
        found = update[name]
        if found.shape != value.shape or found.dtype != value.dtype:
            return f"{name} is {found.dtype} {found.shape} instead of {value.dtype} {value.shape}"
    return ""


def _flat(order: Arrays, arrays: Arrays) -> NDArray[np.float64]:
    """Join arrays to one row of parameters."""
    return np.concatenate([np.asarray(arrays[name], np.float64).ravel() for name in order])

"""Refuse bad updates, and say why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Checked", "Guard", "check"]

Arrays = Mapping[str, NDArray[Any]]

_PART_VALUES = 2**15  # that are compared at once, so that they stay in the processor's cache


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """What was found about the updates of D devices.

    Attributes:
        norms: float64 [D], how far each update moved from what was sent; NaN where it has
            another form.
        reasons: why each update is refused, empty where it is accepted.
    """

    norms: NDArray[np.float64]
    reasons: tuple[str, ...]

    @property
    def accepted(self) -> NDArray[np.bool_]:
        """Return which updates are accepted: bool [D]."""
        return np.array([not reason for reason in self.reasons], np.bool_)


def check(sent: Arrays, updates: Arrays, bound: float | None) -> Checked:
    """Check the updates of D devices that began from the same arrays.

    Args:
        sent: the arrays that the devices began from.
        updates: what they sent back, each array with a leading device axis [D, ...]. Updates
            without any such array are taken for those of one device.
        bound: largest norm of what an update changed that is accepted, or None for any finite one.
    """
    devices = next((len(found) for found in updates.values() if found.ndim), 1)
    misshapen = _misshapen(sent, updates, devices)
    if misshapen:
        return Checked(np.full(devices, np.nan), (misshapen,) * devices)
    norms = _norms(sent, updates, devices)
    return Checked(norms, tuple(_reason(norm, bound) for norm in norms.tolist()))


class Guard:
    """Remembers the bound on the norm of what an update may change.

    The bound is a multiple of the previous round's median, so the first round has none.

    Attributes:
        bound: largest norm that is accepted in this round, or None for any finite one.
    """

    def __init__(self, max_norm: float | None) -> None:
        self._max_norm = max_norm
        self.bound: float | None = None

    def rebound(self, norms: NDArray[np.float64], accepted: NDArray[np.bool_]) -> None:
        """Set the bound for the next round.

        Where a whole round went further than its bound, the bound was wrong rather than all
        devices, and the next round is measured by this one.

        Args:
            norms: float64 [n], of all updates of this round, as `check` gives them.
            accepted: bool [n], which of them were accepted.
        """
        measured = norms[accepted] if accepted.any() else norms[np.isfinite(norms)]
        if self._max_norm is not None and measured.size:
            median = float(np.median(measured))
            self.bound = self._max_norm * median if median > 0.0 else None


def _norms(sent: Arrays, updates: Arrays, devices: int) -> NDArray[np.float64]:
    """Measure how far updates moved: float64 [D], infinite or NaN where they are not finite."""
    squares = np.zeros(devices)
    with np.errstate(over="ignore", invalid="ignore"):
        for name, value in sent.items():
            found, begun = updates[name].reshape(devices, value.size), value.ravel()
            step = max(1, _PART_VALUES // max(value.size, 1))
            for first in range(0, devices, step):
                part = slice(first, first + step)
                # In float64, as a small step from a large value would vanish in float32.
                moved = np.subtract(found[part], begun, dtype=np.float64)
                squares[part] += np.einsum("dp,dp->d", moved, moved)
    return np.sqrt(squares)


def _reason(norm: float, bound: float | None) -> str:
    if not np.isfinite(norm):
        return "holds NaN or infinite values"
    if bound is not None and norm > bound:
        return f"norm {norm:.4g} exceeds the bound {bound:.4g}"
    return ""


def _misshapen(sent: Arrays, updates: Arrays, devices: int) -> str:
    """Say how updates differ from what was sent in names, shapes or types."""
    if updates.keys() != sent.keys():
        return f"arrays {sorted(updates)} instead of {sorted(sent)}"
    for name, value in sent.items():
        found = updates[name]
        if found.shape[1:] != value.shape or found.dtype != value.dtype:
            return (
                f"{name} is {found.dtype} {found.shape[1:]} instead of {value.dtype} {value.shape}"
            )
        if found.shape[:1] != (devices,):
            return f"{name} holds {len(found) if found.ndim else 'no'} devices instead of {devices}"
    return ""

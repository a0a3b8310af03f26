"""Refuse bad updates, and say why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.decoding import decoded

__all__ = ["REFUSALS", "Checked", "Guard", "check", "check_message"]

Arrays = Mapping[str, NDArray[Any]]

REFUSALS = ("names", "shape", "dtype", "truncated", "not-finite", "norm", "duplicate")
"""Kinds of reasons for which an update is refused."""

_ABSURD = 100.0  # times the norm of what was sent
_LEAST_GROWTH = 2.0  # times, of a bound that was too tight for all
_PART_VALUES = 2**15  # that are compared at once, so that they stay in the processor's cache


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """What was found about the updates of D devices.

    Attributes:
        norms: float64 [D], how far each update moved from what was sent; NaN where it has
            another form.
        reasons: why each update is refused, empty where it is accepted.
        kinds: the kind of each reason, one of REFUSALS, likewise.
    """

    norms: NDArray[np.float64]
    reasons: tuple[str, ...]
    kinds: tuple[str, ...]

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
    kind, misshapen = _misshapen(sent, updates, devices)
    if misshapen:
        none = np.full(devices, np.nan)
        return Checked(none, (misshapen,) * devices, (kind,) * devices)
    norms = _norms(sent, updates, devices)
    found = [_reason(norm, bound) for norm in norms.tolist()]
    kinds, reasons = (tuple(some) for some in zip(*found, strict=True)) if found else ((), ())
    return Checked(norms, reasons, kinds)


def check_message(
    sent: Arrays, message: Mapping[str, NDArray[Any] | bytes], bound: float | None
) -> Checked:
    """Check one device's update as it came, in which an array may still be bytes.

    Args:
        sent: the arrays that the device began from.
        message: arrays [...] by name, or their bytes in NumPy's format.
        bound: as in `check`.
    """
    update = {}
    for name, value in message.items():
        try:
            array = value
            if isinstance(value, bytes):
                array = decoded(value, sent[name]) if name in sent else np.zeros(0)
        except ValueError as error:
            return Checked(np.full(1, np.nan), (f"{name} {error}",), ("truncated",))
        update[name] = np.asarray(array)[None]
    return check(sent, update, bound)


class Guard:
    """Remembers the bound on the norm of what an update may change.

    The bound is a multiple of the previous round's median. The first round has none to go by: there
    it is a hundred times the norm of what was sent, which only an absurd update exceeds.

    Attributes:
        bound: largest norm that is accepted in this round, or None for any finite one.
    """

    def __init__(self, max_norm: float | None, first: Arrays | None = None) -> None:
        """Begin before the first round.

        Args:
            max_norm: times the median that an update may go, or None for any finite distance.
            first: the arrays that are sent in the first round; None for a first round without a
                bound.
        """
        self._max_norm = max_norm
        size = 0.0 if first is None else _size(first)
        self.bound: float | None = _ABSURD * size if max_norm is not None and size else None

    def rebound(self, norms: NDArray[np.float64], accepted: NDArray[np.bool_]) -> None:
        """Set the bound for the next round.

        Where a whole round is refused, the next one is measured by it, but the bound grows to no
        more than the same multiple of itself, or twice: one that is too tight for all gives way
        from round to round, and no single round, in which perhaps one absurd update came alone,
        opens it.

        Args:
            norms: float64 [n], of all updates of this round, as `check` gives them.
            accepted: bool [n], which of them were accepted.
        """
        if self._max_norm is None:
            return
        if accepted.any():
            median = float(np.median(norms[accepted]))
            if median > 0.0:  # else most changed nothing, which says nothing of the others
                self.bound = self._max_norm * median
            return
        finite = norms[np.isfinite(norms)]
        if finite.size and self.bound is not None:
            most = self.bound * max(self._max_norm, _LEAST_GROWTH)
            self.bound = min(self._max_norm * float(np.median(finite)), most)


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


def _size(arrays: Arrays) -> float:
    """Return the norm of all arrays together."""
    return float(np.sqrt(sum(np.square(v, dtype=np.float64).sum() for v in arrays.values())))


def _reason(norm: float, bound: float | None) -> tuple[str, str]:
    """Return the kind and the reason of a refusal, empty where there is none."""
    if not np.isfinite(norm):
        return "not-finite", "holds NaN or infinite values"
    if bound is not None and norm > bound:
        return "norm", f"norm {norm:.4g} exceeds the bound {bound:.4g}"
    return "", ""


def _misshapen(sent: Arrays, updates: Arrays, devices: int) -> tuple[str, str]:
    """Say how updates differ from what was sent in names, shapes or types, and the kind of that."""
    if updates.keys() != sent.keys():
        return "names", f"arrays {sorted(updates)} instead of {sorted(sent)}"
    for name, value in sent.items():
        found = updates[name]
        if found.shape[1:] != value.shape or found.dtype != value.dtype:
            return (
                "dtype" if found.shape[1:] == value.shape else "shape",
                f"{name} is {found.dtype} {found.shape[1:]} instead of {value.dtype} {value.shape}",
            )
        if found.shape[:1] != (devices,):
            count = len(found) if found.ndim else "no"
            return "shape", f"{name} holds {count} devices instead of {devices}"
    return "", ""

"""Shorten what devices changed to a norm that none exceeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["clipped"]

Arrays = Mapping[str, NDArray[Any]]


def clipped(sent: Arrays, updates: Arrays, norms: NDArray[np.float64], clip: float) -> Arrays:
    """Shorten the changes of D devices (McMahan et al. 2018, algorithm 1, flat clipping).

    Args:
        sent: the arrays that the devices began from.
        updates: what they sent back, [D, ...].
        norms: float64 [D], how far each moved; what is not finite is left to the guard.
        clip: largest norm of a change.

    Returns:
        updates whose changes have this norm at most; those that had it before are as they were.
    """
    far = np.flatnonzero(np.isfinite(norms) & (norms > clip))
    if not far.size:
        return updates
    shares = clip / norms[far]
    shortened = {}
    for name, value in updates.items():
        begun, kept = sent[name], np.array(value)
        each = shares.reshape(-1, *[1] * begun.ndim)
        kept[far] = begun + each * np.subtract(value[far], begun, dtype=np.float64)
        shortened[name] = kept
    return shortened

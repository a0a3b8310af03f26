"""Shares and means of what is known; what is unknown is NaN."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["known_mean", "ratio"]


def known_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average over the last axis what is known, NaN where nothing is."""
    known = ~np.isnan(values)
    return ratio(np.where(known, values, 0.0).sum(axis=-1), known.sum(axis=-1))


def ratio(part: NDArray[np.generic], whole: NDArray[np.generic]) -> NDArray[np.float64]:
    """Divide, NaN where there is nothing to divide by."""
    ratio = np.full(np.shape(whole), np.nan)
    np.divide(part, whole, out=ratio, where=np.not_equal(whole, 0))
    return ratio

"""What a device keeps of what it knew, and gains for what comes: transfer and forgetting.

Pure functions of arrays over blocks, the spans of a stream between two scorings of the holdout.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.measures.shares import known_mean, ratio

__all__ = ["Memory", "memory", "memory_matrix"]


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """What learning did to other blocks' activities, float64 [...], NaN for fewer than two blocks.

    Attributes:
        backward_transfer: change since a block was learnt; negative where it was lost.
        forgetting: loss since the block's activities were known best.
        forward_transfer: gain on a block before it came.
    """

    backward_transfer: NDArray[np.float64]
    forgetting: NDArray[np.float64]
    forward_transfer: NDArray[np.float64]


def memory_matrix(confusion: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return R: accuracy after each block on the holdout of the activities of each block.

    Args:
        confusion: int64 [..., T+1, K, K], the holdout by true class (row) and predicted class,
            before the stream and after each of its T blocks.
        labels: int64 [..., T, K], windows of each block by true class.

    Returns:
        float64 [..., T+1, T], NaN where the holdout has none of these activities.
    """
    held = (labels > 0).astype(np.float64)
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    right, there = (
        np.einsum("...ik,...jk->...ij", windows, held) for windows in (hits, confusion.sum(axis=-1))
    )
    return ratio(right, there)


def memory(matrix: NDArray[np.float64]) -> Memory:
    """Measure what a device kept and what it gained, on average over its blocks.

    Backward transfer is the mean over j < T of R_{Tj} - R_{jj}, forward transfer that over j > 1 of
    R_{j-1,j} - R_{0j} (Lopez-Paz & Ranzato 2017), forgetting that over j < T of
    max_{l<T} R_{lj} - R_{Tj} (Chaudhry et al. 2018); l starts at 0 here, because a device knows
    something before its stream. Pairs with a NaN are left out.

    Args:
        matrix: float64 [..., T+1, T], R of `memory_matrix`.
    """
    if not matrix.shape[-2]:  # never scored
        unknown = np.full(matrix.shape[:-2], np.nan)
        return Memory(unknown, unknown, unknown)
    blocks = matrix.shape[-1]
    earlier = np.arange(max(blocks - 1, 0))  # j - 1 for all j < T
    end, learnt = matrix[..., -1, earlier], matrix[..., earlier + 1, earlier]
    best = np.fmax.reduce(matrix[..., :-1, earlier], axis=-2, initial=np.nan)
    unseen, start = matrix[..., earlier + 1, earlier + 1], matrix[..., 0, earlier + 1]
    return Memory(known_mean(end - learnt), known_mean(best - end), known_mean(unseen - start))

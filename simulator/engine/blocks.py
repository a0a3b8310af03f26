"""The tensors of a block: the same for all of its devices, or taken in from the server."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from clients.methods import Arrays
from clients.methods.groups import Groups
from simulator.engine.compiled import Tensors

__all__ = ["block_size", "chosen", "stacked", "tensors"]

_BLOCK_BYTES = 16 * 2**20  # of the windows of a block in a round, and of its state


def block_size(devices: int, tile: int, bytes_each: int) -> int:
    """Return how many devices are given to one compiled call: whole tiles.

    A call costs half a millisecond whatever it computes, so a cohort is cut into few blocks, all of
    one size, whose windows and whose state, of which a call makes another, do not fill much memory.

    Args:
        devices: in a cohort.
        tile: devices that are computed at once.
        bytes_each: of one device's windows in a round or of its state, whichever is more.
    """
    tiles = -(-devices // tile)
    most = max(1, _BLOCK_BYTES // max(bytes_each * tile, 1))
    blocks = -(-tiles // most)
    return -(-tiles // blocks) * tile


def stacked(arrays: Arrays, devices: int) -> Tensors:
    """Give every device of a block the same arrays: [...] -> [D, ...]."""
    return {
        name: tf.constant(np.broadcast_to(value, (devices, *np.shape(value))))
        for name, value in arrays.items()
    }


def tensors(arrays: Arrays) -> Tensors:
    """Take in arrays as they are."""
    return {name: tf.constant(value) for name, value in arrays.items()}


def chosen(which: NDArray[np.bool_], new: Groups, old: Groups) -> Groups:
    """Take new groups of tensors [D, ...] for some devices of a block, bool [D]."""
    return {group: _chosen(which, new[group], arrays) for group, arrays in old.items()}


def _chosen(which: NDArray[np.bool_], new: Tensors, old: Tensors) -> Tensors:
    return {
        name: value if new[name] is value else _where(which, new[name], value)
        for name, value in old.items()
    }


def _where(which: NDArray[np.bool_], new: tf.Tensor, old: tf.Tensor) -> tf.Tensor:
    """Take new values for chosen devices; where all are, without a copy."""
    if which.all() and new.shape == old.shape:
        return new
    return tf.where(which.reshape(-1, *[1] * (old.shape.rank - 1)), new, old)

"""The tensors of a block: the same for all of its devices, or taken in from the server."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from clients.methods import Arrays, Method
from clients.optimizers import slot_of
from simulator.compiled import BlockState, Tensors

__all__ = ["begun", "block_size", "stacked"]

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


def begun(
    state: BlockState, method: Method, sent: Tensors, downloads: NDArray[np.bool_]
) -> BlockState:
    """Take in what the server sent to some devices of a block, with fresh slots for it."""
    mixed = method.begin(sent, state.params)
    params, slots = dict(state.params), dict(state.slots)
    for name, value in mixed.items():
        if value is not params[name]:
            params[name] = _where(downloads, value, params[name])
    for slot, value in slots.items():
        of = slot_of(slot)
        if of is not None and params[of] is not state.params[of]:
            slots[slot] = _where(downloads, tf.zeros_like(value), value)
    return BlockState(params, slots, state.carried)


def _where(chosen: NDArray[np.bool_], new: tf.Tensor, old: tf.Tensor) -> tf.Tensor:
    """Take new values for chosen devices; where all are, without a copy."""
    if chosen.all():
        return new
    return tf.where(chosen.reshape(-1, *[1] * (new.shape.rank - 1)), new, old)

"""The tensors of a tile: the same for all of its devices, or taken in from the server."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from clients.methods import Arrays, Method
from clients.optimizers import slot_of
from simulator.compiled import Tensors, TileState

__all__ = ["begun", "stacked"]


def stacked(arrays: Arrays, tile: int) -> Tensors:
    """Give every device of a tile the same arrays: [...] -> [D, ...]."""
    return {
        name: tf.constant(np.broadcast_to(value, (tile, *np.shape(value))))
        for name, value in arrays.items()
    }


def begun(
    state: TileState, method: Method, sent: Tensors, downloads: NDArray[np.bool_]
) -> TileState:
    """Take in what the server sent to some devices of a tile, with fresh slots for it."""
    mixed = method.begin(sent, state.params)
    params, slots = dict(state.params), dict(state.slots)
    for name, value in mixed.items():
        if value is not params[name]:
            params[name] = _where(downloads, value, params[name])
    for slot, value in slots.items():
        of = slot_of(slot)
        if of is not None and params[of] is not state.params[of]:
            slots[slot] = _where(downloads, tf.zeros_like(value), value)
    return TileState(params, slots)


def _where(chosen: NDArray[np.bool_], new: tf.Tensor, old: tf.Tensor) -> tf.Tensor:
    """Take new values for chosen devices; where all are, without a copy."""
    if chosen.all():
        return new
    return tf.where(chosen.reshape(-1, *[1] * (new.shape.rank - 1)), new, old)

"""What a program that follows single samples remembers from call to call, as pure functions.

A tracker knows the last tracked activity. One with a recurrent state also knows that state, `live`,
the state that its last prediction started from, `start`, and whether it has predicted since it last
learnt. All arrays have a leading device axis D.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from clients.models import Carried, Model

__all__ = ["begin_learning", "fresh", "learnt", "live", "predicted"]

State = Mapping[str, tf.Tensor]

_ACTIVITY, _PREDICTED, _LIVE, _START = "activity", "predicted", "live/", "start/"


def fresh(model: Model, dtype: str) -> dict[str, NDArray[Any]]:
    """Return what one device's program remembers before its first sample."""
    if not model.tracks:
        return {}
    state: dict[str, NDArray[Any]] = {_ACTIVITY: np.asarray(-1, np.int32)}
    if model.carried:
        state[_PREDICTED] = np.asarray(False)
        for name, shape in model.carried.items():
            state |= {f"{start}{name}": np.zeros(shape, dtype) for start in (_LIVE, _START)}
    return state


def live(state: State) -> Carried:
    """Return what is carried on from the last sample, [D, ...] by name."""
    return _part(state, _LIVE)


def predicted(state: State, end: Carried, mask: tf.Tensor) -> dict[str, tf.Tensor]:
    """Remember a prediction.

    Args:
        state: before it.
        end: what is carried in its end, [D, ...] by name.
        mask: bool [D, B]; a device without any sample is left as it is.
    """
    new = dict(state)
    if end:
        new[_PREDICTED] = tf.ones_like(state[_PREDICTED])
        for name, value in end.items():
            new |= {f"{_START}{name}": state[f"{_LIVE}{name}"], f"{_LIVE}{name}": value}
    return _where(mask, new, state)


def begin_learning(state: State, labels: tf.Tensor) -> Carried:
    """Return what learning starts from, [D, ...] by name.

    That is what the last prediction started from, as it saw the same samples; or the live state if
    there was no prediction since; or nothing, if the activity changes.

    Args:
        state: as remembered.
        labels: int32 [D, B], all of one activity.
    """
    if not live(state):
        return {}
    goes_on = tf.equal(labels[:, 0], state[_ACTIVITY])[:, None]
    again = state[_PREDICTED][:, None]
    return {
        name: tf.where(goes_on, tf.where(again, start, state[f"{_LIVE}{name}"]), 0.0)
        for name, start in _part(state, _START).items()
    }


def learnt(state: State, end: Carried, labels: tf.Tensor, mask: tf.Tensor) -> dict[str, tf.Tensor]:
    """Remember a step of learning.

    Args:
        state: before it.
        end: what is carried in its end, [D, ...] by name.
        labels: int32 [D, B]; the first is the activity that is tracked from now on.
        mask: bool [D, B]; a device without any sample is left as it is.
    """
    new = dict(state)
    if state:
        new[_ACTIVITY] = labels[:, 0]
    if end:
        new[_PREDICTED] = tf.zeros_like(state[_PREDICTED])
        new |= {f"{_LIVE}{name}": value for name, value in end.items()}
    return _where(mask, new, state)


def _part(state: State, start: str) -> dict[str, tf.Tensor]:
    """Return some of what is remembered, by shorter names."""
    return {k.removeprefix(start): v for k, v in state.items() if k.startswith(start)}


def _where(mask: tf.Tensor, new: State, old: State) -> dict[str, tf.Tensor]:
    """Take what is new where a device has a sample at all."""
    there = tf.reduce_any(mask, axis=1)
    return {
        name: tf.where(tf.reshape(there, [-1, *[1] * (len(value.shape) - 1)]), value, old[name])
        for name, value in new.items()
    }

"""The SavedModel that is converted: a program's signatures with the sizes that LiteRT must know."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from clients.checkpoints import variables_by_key
from clients.contract import find_signatures, load_saved_model

__all__ = ["Form", "Kept", "write_module"]

Kept = Mapping[str, tuple[int, ...]]
"""Name in the checkpoint -> shape of the variables that a device keeps, in the order of `save`."""

_PARAMS, _SLOTS, _STATE, _STEP = "params/", "slots/", "state/", "step"


@dataclass(frozen=True, slots=True)
class Form:
    """What a file is to hold.

    Attributes:
        batch: windows of a call to `learn`.
        rows: windows of a call to `predict`, None = any number.
        learns: whether it has `learn`, `save` and `restore` beside `predict`.
    """

    batch: int
    rows: int | None
    learns: bool


class _Lite(tf.Module):  # type: ignore[misc]
    """The signatures of a file, over a loaded program."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loaded = load_saved_model(path, trusted=True)  # the original was inspected
        self._learn, self._predict = find_signatures(self.loaded, path)
        variables = variables_by_key(self.loaded, path)
        self._pure = hasattr(self.loaded, "fleet_predict")
        changing = (_PARAMS, _SLOTS, _STATE, _STEP) if self._pure else ("",)
        self._kept = [  # pairs, as a tf.Module takes no names with slashes for keys
            (name, variable)
            for name, variable in sorted(variables.items())
            if name.startswith(changing)
            and (variable.dtype.is_floating or variable.dtype.is_integer or variable.dtype.is_bool)
        ]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name what `save` returns, in its order."""
        return {name: tuple(variable.shape) for name, variable in self._kept}

    def signatures(self, form: Form) -> dict[str, Any]:
        """Return the functions of a file."""
        shape = self._predict.structured_input_signature[1]["sensor_data"].shape[1:]
        seen = tf.TensorSpec([form.rows, *shape], tf.float32, "sensor_data")
        functions = {"predict": tf.function(self._say, input_signature=[seen])}
        if form.learns:
            x = tf.TensorSpec([form.batch, *shape], tf.float32, "sensor_data")
            y = tf.TensorSpec([form.batch], tf.int32, "labels")
            count = sum(math.prod(shape) for shape in self.shapes().values())
            state = tf.TensorSpec([count], tf.float32, "state")
            step = self._step_of_some if self._pure else self._step
            functions["learn"] = tf.function(step, input_signature=[x, y])
            functions["save"] = tf.function(self._save, input_signature=[])
            functions["restore"] = tf.function(self._restore, input_signature=[state])
        return functions

    def _say(self, sensor_data: Any) -> Any:
        return dict(self._predict(sensor_data=sensor_data))

    def _step(self, sensor_data: Any, labels: Any) -> Any:
        return dict(self._learn(sensor_data=sensor_data, labels=labels))

    def _step_of_some(self, sensor_data: Any, labels: Any) -> Any:
        """Take a step on the rows whose label is a class, by the program's pure functions."""
        classes = self.loaded.signatures["classes"].structured_outputs["names"].shape[0]
        mask = ((labels >= 0) & (labels < classes))[None]
        params, slots, state = (self._stacked(start) for start in (_PARAMS, _SLOTS, _STATE))
        gradients, state, loss = self.loaded.fleet_gradients(
            params, state, sensor_data[None], labels[None], mask
        )
        params, slots = self.loaded.fleet_apply(params, slots, gradients)
        for start, arrays in ((_PARAMS, params), (_SLOTS, slots), (_STATE, state)):
            for name, variable in self._kept:
                if name.startswith(start):
                    variable.assign(arrays[name.removeprefix(start)][0])
        dict(self._kept)[_STEP].assign_add(1)
        return {"loss": tf.cast(loss[0], tf.float32)}

    def _stacked(self, start: str) -> dict[str, Any]:
        """Return some variables by their names in the pure functions, for one device."""
        return {
            name.removeprefix(start): variable[None]
            for name, variable in self._kept
            if name.startswith(start)
        }

    def _save(self) -> Any:
        flat = [tf.reshape(tf.cast(variable, tf.float32), [-1]) for _, variable in self._kept]
        return {"state": tf.concat(flat, axis=0)}

    def _restore(self, state: Any) -> Any:
        at = 0
        for _, variable in self._kept:
            count = math.prod(variable.shape)
            value = tf.reshape(state[at : at + count], variable.shape)
            variable.assign(tf.cast(value, variable.dtype))
            at += count
        return {"first": state[:1] + 0.0}  # a signature must return something


def write_module(lowered: Path, out: Path, form: Form) -> Kept:
    """Write the SavedModel that is converted.

    Args:
        lowered: a program, as `lower` writes it.
        out: a folder that is not there yet.
        form: what it is to hold.

    Returns:
        what `save` returns, in its order.
    """
    module = _Lite(lowered)
    functions = module.signatures(form)
    for name, function in functions.items():
        setattr(module, name, function)
    tf.saved_model.save(module, str(out), signatures=functions)
    return module.shapes()

"""A file in LiteRT's interpreter, as a device would run it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.lite.python import schema_py_generated as schema

from clients.prediction import Prediction
from simulator.lite.conversion import Converted
from simulator.process.hush import hushed

__all__ = ["LiteProgram", "ops_of"]


class LiteProgram:
    """A file that is loaded; its variables live as long."""

    def __init__(self, converted: Converted) -> None:
        """Load a file, computed with one thread."""
        self._form, self._kept = converted.form, converted.kept
        with hushed(), warnings.catch_warnings():
            # The message that it moves to a package of its own, which TensorFlow does not need.
            warnings.simplefilter("ignore", UserWarning)
            self._interpreter = tf.lite.Interpreter(model_content=converted.content, num_threads=1)
            self._interpreter.allocate_tensors()
            self._signatures = {
                name: self._interpreter.get_signature_runner(name)
                for name in self._interpreter.get_signature_list()
            }

    @property
    def any_number(self) -> bool:
        """Whether `predict` takes any number of windows."""
        return self._form.rows is None

    def predict(self, x: NDArray[np.float32]) -> Prediction:
        """Predict windows, float32 [B, T, C], at most as many as the form's rows at once."""
        rows = self._form.rows or len(x)
        filled = np.pad(x, [(0, rows - len(x)), (0, 0), (0, 0)])
        said = self._signatures["predict"](sensor_data=filled)
        classes = said["predictions"].astype(np.int32).reshape(rows, -1)[: len(x), -1]
        return Prediction(classes, said["logits"][: len(x)] if "logits" in said else None)

    def learn(self, x: NDArray[np.float32], labels: NDArray[np.int32]) -> float:
        """Take a step on windows [B, T, C] and classes [B]; returns the loss.

        Where there are fewer than a call takes, the rest is filled up with the label -1.
        """
        short = self._form.batch - len(x)
        filled = np.pad(x, [(0, short), (0, 0), (0, 0)])
        taught = np.pad(labels, (0, short), constant_values=-1)
        return float(self._signatures["learn"](sensor_data=filled, labels=taught)["loss"])

    def save(self) -> NDArray[np.float32]:
        """Return all that learning changes, in one row."""
        return np.asarray(self._signatures["save"]()["state"])

    def restore(self, state: NDArray[np.float32]) -> None:
        """Become what `save` returned."""
        self._signatures["restore"](state=state)

    def variables(self) -> dict[str, NDArray[np.float32]]:
        """Return what `save` returns, by name in the checkpoint."""
        counts = [math.prod(shape) for shape in self._kept.values()]
        parts = np.split(self.save(), np.cumsum(counts)[:-1])
        return {
            name: part.reshape(shape)
            for (name, shape), part in zip(self._kept.items(), parts, strict=True)
        }


def ops_of(content: bytes) -> tuple[Sequence[str], Sequence[str]]:
    """Return the ops that a file needs: LiteRT's own, and TensorFlow's."""
    model: Any = schema.Model.GetRootAsModel(content, 0)
    codes = [model.OperatorCodes(place) for place in range(model.OperatorCodesLength())]
    names = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
    own = {names[max(c.BuiltinCode(), c.DeprecatedBuiltinCode())] for c in codes}
    other = {c.CustomCode().decode() for c in codes if c.CustomCode()}
    return sorted(own - {"CUSTOM", "DELEGATE"}), sorted(other)

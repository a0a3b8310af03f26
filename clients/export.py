"""Built-in programs, written as SavedModels.

They hold plain variables alone, so that any client of TensorFlow's C API can run them, and add
pure functions over stacked parameters for computing many devices at once. `learn` and `predict`
are the case of one device of those.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from clients import tracking
from clients.losses import LOSSES
from clients.models import Carried, Model, Normalized, answer, built, moves
from clients.optimizers import OPTIMIZERS, Optimizer

__all__ = ["Blueprint", "export_program"]

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What a built-in program is made of.

    Attributes:
        program: a name in `MODELS`, or one that another package adds.
        length: samples per window, T.
        channels: values per sample, C.
        activities: class index -> name.
        optimizer: a name in `OPTIMIZERS`.
        learning_rate: of a device that learns.
        dtype: of its variables; "float64" is for tests of equality.
        loss: a name in `LOSSES`.
    """

    program: str
    length: int
    channels: int
    activities: tuple[str, ...]
    optimizer: str = "adam"
    learning_rate: float = 0.001
    dtype: str = "float32"
    loss: str = "balanced"

    def model(self) -> Model:
        """Build the architecture."""
        return built(self.program, self.length, self.channels, len(self.activities))


class _Exported(tf.Module):  # type: ignore[misc]
    """The module behind a built-in program; its attributes name the variables in the checkpoint."""

    def __init__(self, blueprint: Blueprint, params: Arrays, mean: Any, scale: Any) -> None:
        super().__init__()
        self._blueprint = blueprint
        self._model = blueprint.model()
        self._optimizer: Optimizer = OPTIMIZERS[blueprint.optimizer]
        dtype = blueprint.dtype
        shapes = {name: value.shape for name, value in params.items()}
        slots = self._optimizer.start(shapes, blueprint.learning_rate, dtype)
        self.params = {
            name: tf.Variable(np.asarray(value, dtype), name=name) for name, value in params.items()
        }
        self.slots = {
            name: tf.Variable(value, trainable=False, name=name) for name, value in slots.items()
        }
        self.state = {
            name: tf.Variable(value, trainable=False, name=name)
            for name, value in tracking.fresh(self._model, dtype).items()
        }
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")
        self.mean = tf.Variable(np.asarray(mean, dtype), trainable=False, name="mean")
        self.scale = tf.Variable(np.asarray(scale, dtype), trainable=False, name="scale")

    def answer(
        self, params: Any, x: Any, carried: Carried | None = None, mask: Any = None
    ) -> tuple[Any, Carried]:
        """Compute logits [D, S, B, K] from raw windows [D, S, B, T, C], as `models.answer` does."""
        return answer(self._model, params, self._scaled(x), carried, mask)

    def _scaled(self, x: Any) -> Any:
        x = (tf.cast(x, self._blueprint.dtype) - self.mean) / self.scale
        # A missing feature is as good as an average one, by the donors' figures.
        return tf.where(tf.math.is_nan(x), tf.zeros_like(x), x)

    def fleet_predict(self, params: Any, state: Any, x: Any, mask: Any) -> Any:
        """Predict a question of each of many devices: logits [D, B, K], zero where the mask is."""
        logits, end = self._one(params, tracking.live(state), x, mask)
        return logits * tf.cast(mask, logits.dtype)[..., None], tracking.predicted(state, end, mask)

    def fleet_score(self, params: Any, x: Any, mask: Any) -> Any:
        """Predict many questions of each of many devices, each as if it were the first."""
        logits, _ = self.answer(params, x, None, mask)
        return logits * tf.cast(mask, logits.dtype)[..., None]

    def fleet_gradients(self, params: Any, state: Any, x: Any, y: Any, mask: Any) -> Any:
        """Take each device's gradients of its loss over the mask."""
        begin = tracking.begin_learning(state, y)
        with tf.GradientTape() as tape:
            tape.watch(params)
            logits, end, moved = self._learning(params, begin, x, y, mask)
            loss = LOSSES[self._blueprint.loss](logits, y, mask)
            total = tf.reduce_sum(loss)
        gradients = tape.gradient(total, params) | moved
        return gradients, tracking.learnt(state, end, y, mask), loss

    def fleet_apply(self, params: Any, slots: Any, gradients: Any) -> Any:
        """Take the optimizer's step for many devices."""
        return self._optimizer.apply(params, slots, gradients)

    def _learning(self, params: Any, begin: Carried, x: Any, y: Any, mask: Any) -> tuple[Any, ...]:
        """Compute the logits of a step, what is carried, and moves of running statistics."""
        if not hasattr(self._model, "learn"):
            return *self._one(params, begin, x, mask), {}
        mixed = tf.reduce_any((y != y[:, :1]) & mask & mask[:, :1], axis=1)
        logits, found = cast(Normalized, self._model).learn(params, self._scaled(x), mask, mixed)
        return logits, {}, moves(params, found, mixed)

    def _one(self, params: Any, carried: Carried, x: Any, mask: Any) -> tuple[Any, Carried]:
        """Compute the logits [D, B, K] of one question of each device."""
        begin = {name: value[:, None] for name, value in carried.items()}
        logits, end = self.answer(params, x[:, None], begin, mask[:, None])
        return logits[:, 0], {name: value[:, 0] for name, value in end.items()}

    def predict(self, sensor_data: Any) -> Any:
        """Predict for this device: the case of one device of `fleet_predict`."""
        mask = tf.ones([1, tf.shape(sensor_data)[0]], tf.bool)
        state = _stack(self.state)
        logits, state = self.fleet_predict(_stack(self.params), state, sensor_data[None], mask)
        _assign(self.state, state)
        return {
            "predictions": tf.argmax(logits[0], axis=1, output_type=tf.int32),
            "logits": tf.cast(logits[0], tf.float32),
        }

    def learn(self, sensor_data: Any, labels: Any) -> Any:
        """Take one step for this device: the case of one device of the fleet's functions."""
        debug, classes = tf.debugging, len(self._blueprint.activities)
        counts = tf.shape(labels)[0], tf.shape(sensor_data)[0]
        checks = [
            debug.assert_equal(*counts, "labels: expected one for each row of sensor_data"),
            debug.assert_non_negative(labels, "labels: expected classes from 0"),
            debug.assert_less(labels, classes, f"labels: expected classes below {classes}"),
        ]
        if self._model.carried:
            told = "labels: samples are learnt one activity at a time"
            checks.append(debug.assert_equal(labels, labels[:1], told))
        with tf.control_dependencies(checks):
            return self._learn(sensor_data, tf.identity(labels))

    def _learn(self, sensor_data: Any, labels: Any) -> Any:
        mask = tf.ones([1, tf.shape(labels)[0]], tf.bool)
        params, state = _stack(self.params), _stack(self.state)
        gradients, state, loss = self.fleet_gradients(
            params, state, sensor_data[None], labels[None], mask
        )
        params, slots = self.fleet_apply(params, _stack(self.slots), gradients)
        _assign(self.params, params)
        _assign(self.slots, slots)
        _assign(self.state, state)
        self.step.assign_add(1)
        return {"loss": tf.cast(loss[0], tf.float32)}

    def classes(self) -> Any:
        """Return the table class index -> name."""
        return {"names": tf.constant(self._blueprint.activities)}


def _stack(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Give one device's variables a device axis."""
    return {name: variable[None] for name, variable in variables.items()}


def _assign(variables: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Set one device's variables."""
    for name, value in values.items():
        variables[name].assign(value[0])


def export_program(blueprint: Blueprint, params: Arrays, mean: Any, scale: Any, path: Path) -> None:
    """Write a built-in program as a SavedModel.

    Args:
        blueprint: what it is made of.
        params: the parameters, each without a device axis.
        mean: float [C], subtracted from the samples.
        scale: float [C], what they are divided by after that.
        path: a folder that does not exist yet.
    """
    module = _Exported(blueprint, params, mean, scale)
    dtype = blueprint.dtype
    x = tf.TensorSpec([None, blueprint.length, blueprint.channels], tf.float32, "sensor_data")
    y = tf.TensorSpec([None], tf.int32, "labels")
    many_x = tf.TensorSpec([None, None, blueprint.length, blueprint.channels], tf.float32)
    many_y = tf.TensorSpec([None, None], tf.int32)
    mask = tf.TensorSpec([None, None], tf.bool)
    specs = {name: tf.TensorSpec([None, *v.shape], dtype) for name, v in module.params.items()}
    slots = {name: tf.TensorSpec([None, *v.shape], dtype) for name, v in module.slots.items()}
    state = {name: tf.TensorSpec([None, *v.shape], v.dtype) for name, v in module.state.items()}
    questions = tf.TensorSpec([None, None, *many_x.shape[1:]], tf.float32)
    inputs: dict[str, list[Any]] = {
        "learn": [x, y],
        "predict": [x],
        "classes": [],
        "fleet_predict": [specs, state, many_x, mask],
        "fleet_score": [specs, questions, tf.TensorSpec([None, None, None], tf.bool)],
        "fleet_gradients": [specs, state, many_x, many_y, mask],
        "fleet_apply": [specs, slots, specs],
    }
    for name, signature in inputs.items():
        setattr(module, name, tf.function(getattr(module, name), input_signature=signature))
    signatures = {name: getattr(module, name) for name in ("learn", "predict", "classes")}
    tf.saved_model.save(module, str(path), signatures=signatures)

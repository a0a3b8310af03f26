"""The SavedModel contract: load, inspect, copy.

A program is a SavedModel with the signatures `learn` and `predict`, whoever exported it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from clients.checkpoints import variables_by_key
from clients.contract import find_signatures, load_saved_model
from clients.errors import BadProgram
from clients.learner import Pure, nothing
from clients.naming import slot_of
from clients.prediction import Prediction

__all__ = ["Program"]

Arrays = Mapping[str, NDArray[Any]]

_PARAMS, _SLOTS, _STATE = "params/", "slots/", "state/"
_LEARNING_RATE = f"{_SLOTS}learning_rate"


class Program:
    """A loaded SavedModel: one device's own copy.

    Attributes:
        path: where it was loaded from.
        length: samples per window, T.
        channels: values per sample, C.
        activities: class index -> name, or None where the program has no table.
        parameters: names of what its `learn` trains, in sorted order.
    """

    def __init__(self, path: Path, *, trusted: bool = False) -> None:
        """Load a SavedModel.

        Args:
            path: its folder.
            trusted: whether it may hold ops that can do more than compute.

        Raises:
            BadProgram: it breaks the contract, or holds such ops.
        """
        self.path = Path(path)
        self._loaded = load_saved_model(self.path, trusted=trusted)  # variables live as long
        try:
            self._take_in(self._loaded)
        except BadProgram:
            raise
        except Exception as error:  # what fits no contract breaks it in any way
            raise BadProgram(
                f"{self.path}: its signatures and variables do not fit together ({error!r:.200}); "
                "export it again"
            ) from error

    def _take_in(self, loaded: Any) -> None:
        """Find out what a loaded SavedModel takes, gives and holds."""
        self._pure = hasattr(loaded, "fleet_predict")  # it was exported by Wearfleet
        self._learn, self._predict = find_signatures(loaded, self.path)
        self.length, self.channels = self._predict.structured_input_signature[1][
            "sensor_data"
        ].shape[1:]
        self._variables = variables_by_key(loaded, self.path)
        trained = {id(v.handle) for v in self._learn.trainable_variables}
        self._parameter_keys = {
            key.removeprefix(_PARAMS): key
            for key, variable in sorted(self._variables.items())
            if id(variable.handle) in trained and variable.dtype.is_floating
        }
        self.parameters = tuple(self._parameter_keys)
        self._factory = {} if self._pure else self.read_state()
        names = loaded.signatures.get("classes")
        self.activities = tuple(n.decode() for n in names()["names"].numpy()) if names else None

    def predict(self, x: NDArray[np.float32]) -> Prediction:
        """Predict one question's windows, float32 [B, T, C]."""
        said = self._run("predict", self._predict, sensor_data=x)
        classes = said["predictions"].numpy().astype(np.int32)
        if classes.shape not in {(len(x),), (len(x), 1), (len(x), self.length)}:
            raise BadProgram(
                f"{self.path}: 'predict' returned predictions of shape {classes.shape} for "
                f"{len(x)} windows of {self.length} samples; expected ({len(x)},) or "
                f"({len(x)}, {self.length})"
            )
        logits = said["logits"].numpy() if "logits" in said else None
        return Prediction(classes.reshape(len(x), -1)[:, -1], logits)

    def predict_aside(self, x: NDArray[np.float32]) -> Prediction:
        """Predict without leaving a trace, from where nothing is carried.

        A foreign program predicts from where it is, and its variables are put back.
        """
        before = self.read_context() if self._pure else self.read_state()
        if self._pure:
            self.assign_context(nothing(before))
        try:
            return self.predict(x)
        finally:
            self._put_back(before)

    def learn(self, x: NDArray[np.float32], labels: NDArray[np.int32]) -> float:
        """Take one training step on windows [B, T, C] and classes [B]; returns the loss."""
        loss = self._run("learn", self._learn, sensor_data=x, labels=labels)["loss"]
        if loss.shape.rank:
            raise BadProgram(
                f"{self.path}: 'learn' returned a loss of shape {loss.shape}; expected one number"
            )
        return float(loss)

    def _run(self, name: str, signature: Any, **inputs: NDArray[Any]) -> Any:
        """Call a signature, or say what it was called with when it failed."""
        try:
            return signature(**{key: tf.constant(value) for key, value in inputs.items()})
        except tf.errors.OpError as error:
            labels = inputs.get("labels")
            told = "" if labels is None else f" of the classes {sorted(set(labels.tolist()))}"
            raise BadProgram(
                f"{self.path}: '{name}' failed on {len(inputs['sensor_data'])} windows{told}: "
                f"{_reason(error)}"
            ) from error

    def read_context(self) -> dict[str, NDArray[Any]]:
        """Return what it carries from question to question, by name in the checkpoint.

        Of a foreign program that is not known.
        """
        if not self._pure:
            return {}
        return {k: v.numpy() for k, v in self._variables.items() if k.startswith(_STATE)}

    def assign_context(self, values: Arrays) -> None:
        """Let it go on from what `read_context` returned, or from nothing."""
        self.assign_state(values)

    def read_parameters(self) -> dict[str, NDArray[Any]]:
        """Return the parameters by name."""
        return {name: self._variables[k].numpy() for name, k in self._parameter_keys.items()}

    def assign_parameters(self, values: Arrays, *, fresh_slots: bool = False) -> None:
        """Set some of the parameters.

        Args:
            values: name -> value.
            fresh_slots: also let the optimizer start afresh for these parameters.
        """
        for name, value in values.items():
            self._variables[self._parameter_keys[name]].assign(value)
        if fresh_slots and not self._pure:
            self._refresh_foreign(values)
        elif fresh_slots:
            for key, variable in self._variables.items():
                if key.startswith(_SLOTS) and slot_of(key.removeprefix(_SLOTS)) in values:
                    variable.assign(tf.zeros_like(variable))

    def _refresh_foreign(self, values: Arrays) -> None:
        """Put back what a foreign program's optimizer may keep of some parameters.

        Its names are not known; what is no parameter and has the shape of one goes back to what
        it was when the program was loaded.
        """
        shapes = {np.shape(value) for value in values.values()}
        parameters = set(self._parameter_keys.values())
        for key, value in self._factory.items():
            if key not in parameters and value.shape in shapes:
                self._variables[key].assign(value)

    def read_state(self) -> dict[str, NDArray[Any]]:
        """Return every variable by its name in the checkpoint: all that a device is."""
        return {key: variable.numpy() for key, variable in self._variables.items()}

    def _put_back(self, values: Arrays) -> None:
        """Set those of some variables that have changed; to look costs less than to set."""
        for key, value in values.items():
            if not np.array_equal(self._variables[key].numpy(), value, equal_nan=True):
                self._variables[key].assign(value)

    def assign_state(self, values: Arrays) -> None:
        """Set variables by their names in the checkpoint."""
        for key, value in values.items():
            self._variables[key].assign(value)

    @property
    def functions(self) -> Any | None:
        """The object with its pure functions `fleet_*`, None where it was exported by others."""
        return self._loaded if self._pure else None

    def read_pure(self) -> Pure:
        """Return what its pure functions change; of a foreign program the parameters alone."""
        if not self._pure:
            return Pure(self.read_parameters(), {}, {})
        variables = self.read_state()
        return Pure(
            *(
                {k.removeprefix(start): v for k, v in variables.items() if k.startswith(start)}
                for start in (_PARAMS, _SLOTS, _STATE)
            )
        )

    def assign_pure(self, values: Pure, steps: int = 0) -> None:
        """Set what its pure functions changed, and count the steps that they took."""
        for start, arrays in zip((_PARAMS, _SLOTS, _STATE), values, strict=True):
            for name, value in arrays.items():
                self._variables[f"{start}{name}"].assign(value)
        if steps:
            self._variables["step"].assign_add(steps)

    @property
    def whole_questions(self) -> bool:
        """Whether it learns one whole question of one activity at a time.

        A foreign program may insist on it; a recurrent one follows a question's samples.
        """
        return not self._pure or any(key.startswith(f"{_STATE}live/") for key in self._variables)

    @property
    def signatures(self) -> tuple[str, ...]:
        """The names of all its signatures, sorted."""
        return tuple(sorted(self._loaded.signatures))

    @property
    def has_logits(self) -> bool:
        """Whether it tells how sure it is."""
        return "logits" in self._predict.structured_outputs

    @property
    def has_learning_rate(self) -> bool:
        """Whether the learning rate is a variable that can be set, as in exported programs."""
        return _LEARNING_RATE in self._variables

    def set_learning_rate(self, learning_rate: float) -> None:
        """Change the learning rate of a program that has one to set."""
        self._variables[_LEARNING_RATE].assign(learning_rate)

    def become(self, path: Path, state: Arrays) -> None:
        """Stand for another SavedModel of the same graph, instead of loading that one.

        Args:
            path: the other SavedModel.
            state: every variable of it, by its name in the checkpoint.
        """
        self.path = path
        self.assign_state(state)
        self._factory = {} if self._pure else dict(state)


def _reason(error: tf.errors.OpError) -> str:
    """Return the lines of TensorFlow's message that say what went wrong."""
    lines = [line.strip() for line in str(error.message).splitlines()]
    told = [line for line in lines if line and "most recent call last" not in line]
    noise = ("Detected at node", "<stack traces unavailable>", "Graph execution error", "[[{{")
    kept = [line for line in told if not line.startswith(noise)]
    return " ".join(kept or told)[:400]

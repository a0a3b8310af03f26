"""What a SavedModel must be to run as a device, and how to say that one is not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from clients.errors import BadProgram
from clients.inspection import inspect_saved_model
from clients.models import MODELS

__all__ = ["find_signatures", "load_saved_model"]


def load_saved_model(path: Path, *, trusted: bool = False) -> Any:
    """Load a SavedModel after it was inspected, or say why it is none.

    Args:
        path: its folder.
        trusted: whether it may hold ops that can do more than compute, as `--trust-program` says.

    Raises:
        Untrusted: it holds such ops.
        BadProgram: there is none, or it is damaged.
    """
    if not (path / "saved_model.pb").is_file():
        raise BadProgram(
            f"{path}: no SavedModel there (no file saved_model.pb); give the folder that holds it, "
            f"or one of the built-in programs: {', '.join(sorted(MODELS))}"
        )
    inspect_saved_model(path, trusted=trusted)
    try:
        return tf.saved_model.load(str(path), tags=["serve"])
    except Exception as error:  # TensorFlow raises nearly anything for a damaged file
        raise BadProgram(
            f"{path}: TensorFlow cannot load this SavedModel ({error}); "
            "export it again, with the tag 'serve'"
        ) from error


_CONTRACT = {
    "learn": {"sensor_data": (tf.float32, 3), "labels": (tf.int32, 1)},
    "predict": {"sensor_data": (tf.float32, 3)},
}


def find_signatures(loaded: Any, path: Path) -> tuple[Any, Any]:
    """Return `learn` and `predict`, or say how they break the contract."""
    for name, wanted in _CONTRACT.items():
        if name not in loaded.signatures:
            found = ", ".join(sorted(loaded.signatures)) or "none"
            raise BadProgram(
                f"{path}: signature {name!r} is missing (found: {found}); "
                "a program has the signatures 'learn' and 'predict'"
            )
        inputs = loaded.signatures[name].structured_input_signature[1]
        expected = {key: f"{dtype.name} of rank {rank}" for key, (dtype, rank) in wanted.items()}
        seen = {key: f"{spec.dtype.name} {spec.shape}" for key, spec in inputs.items()}
        fits = inputs.keys() == wanted.keys() and all(
            inputs[key].dtype == dtype and inputs[key].shape.rank == rank
            for key, (dtype, rank) in wanted.items()
        )
        shape = inputs["sensor_data"].shape if fits else (None,)
        if not fits or shape[0] is not None or None in shape[1:]:
            raise BadProgram(
                f"{path}: signature {name!r} takes {seen}; expected {expected}, "
                "sensor_data being [None, T, C] with fixed T and C"
            )
    _check_outputs(loaded.signatures, path)
    return loaded.signatures["learn"], loaded.signatures["predict"]


def _check_outputs(signatures: Any, path: Path) -> None:
    """Refuse outputs that break the contract."""
    learn, predict = (signatures[name].structured_outputs for name in ("learn", "predict"))
    loss, predictions = learn.get("loss"), predict.get("predictions")
    if loss is None or loss.dtype != tf.float32 or loss.shape.rank not in (0, None):
        raise BadProgram(
            f"{path}: signature 'learn' returns {_specs(learn)}; expected 'loss', float32 []"
        )
    if (
        predictions is None
        or predictions.dtype != tf.int32
        or predictions.shape.rank not in (1, 2, None)
    ):
        raise BadProgram(
            f"{path}: signature 'predict' returns {_specs(predict)}; "
            "expected 'predictions', int32 [None] or [None, T]"
        )


def _specs(outputs: Mapping[str, Any]) -> dict[str, str]:
    return {name: f"{spec.dtype.name} {spec.shape}" for name, spec in outputs.items()}

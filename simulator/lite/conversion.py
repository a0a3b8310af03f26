"""Conversion by TensorFlow, in the first form of those that it can convert."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tensorflow as tf

from clients.errors import RunFailed
from simulator.hush import hushed
from simulator.lite.lowering import lower
from simulator.lite.module import Form, Kept, write_module

__all__ = ["Converted", "Quantize", "convert"]

Quantize = Literal["none", "float16", "dynamic"]

_OPS = tf.lite.OpsSet
_LONGEST = 160  # of a reason


@dataclass(frozen=True, slots=True)
class Converted:
    """A file.

    Attributes:
        content: its bytes.
        form: what is in it.
        kept: what its `save` returns, in order.
        refused: what was tried before and did not convert, with the converter's words.
    """

    content: bytes
    form: Form
    kept: Kept
    refused: Sequence[tuple[str, str]]


def convert(
    source: Path, folder: Path, batch: int, sequences: int | None, quantize: Quantize, learns: bool
) -> Converted:
    """Convert a program: with learning if that can be, and in LiteRT's own ops if that can be.

    Args:
        source: a SavedModel that was inspected.
        folder: where SavedModels that are needed on the way are written.
        batch: windows of a call to `learn`.
        sequences: as `lower` takes them.
        quantize: how parameters are stored; anything but "none" only without `learn`.
        learns: whether learning is tried.

    Raises:
        RunFailed: not even `predict` converts.
    """
    lowered, refused = folder / "lowered", list[tuple[str, str]]()
    lower(source, lowered, sequences)
    for number, (form, select) in enumerate(_tries(batch, learns)):
        module = folder / str(number)
        try:
            with hushed():
                kept = write_module(lowered, module, form)
                content = _converted(module, form, quantize, select=select)
            return Converted(content, form, kept, refused)
        except Exception as error:  # the converter raises nearly anything
            refused.append((_told(form, select=select), _reason(error)))
    tried = "; ".join(f"{what}: {why}" for what, why in refused)
    raise RunFailed(f"{source}: TensorFlow converts no part of it. {tried}")


def _tries(batch: int, learns: bool) -> list[tuple[Form, bool]]:
    """Return forms, the best first, with whether TensorFlow's own ops are permitted."""
    return [
        (Form(batch, rows, learning), select)
        for learning in ((True, False) if learns else (False,))
        for select in (False, True)
        for rows in (None, batch)
    ]


def _converted(module: Path, form: Form, quantize: Quantize, *, select: bool) -> bytes:
    names = ["predict", "learn", "save", "restore"] if form.learns else ["predict"]
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(module), signature_keys=names, tags={"serve"}
    )
    converter.experimental_enable_resource_variables = True
    converter.target_spec.supported_ops = [
        _OPS.TFLITE_BUILTINS, *([_OPS.SELECT_TF_OPS] if select else [])
    ]  # fmt: skip
    if quantize != "none":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    return bytes(converter.convert())


def _told(form: Form, *, select: bool) -> str:
    """Say what was tried."""
    what = "learn and predict" if form.learns else "predict"
    rows = "any number of" if form.rows is None else str(form.rows)
    return f"{what}, {rows} windows, {'with ops of TensorFlow' if select else 'own ops'}"


def _reason(error: Exception) -> str:
    """Return the part of the converter's words that says what it lacks."""
    text = str(error)
    lacks: Any = re.search(r"(TF Select|Custom) ops: .*", text)
    if lacks:
        return str(lacks.group(0))
    told = re.search(r"error: (?:loc\(.*\): )?(?:error: )?('[^\n]*)", text)
    return (told.group(1) if told else " ".join(text.split()))[:_LONGEST]

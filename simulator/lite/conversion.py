"""Conversion by TensorFlow, in one of several ways."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tensorflow as tf

from simulator.lite.module import Form, Kept, write_module
from simulator.process.hush import hushed

__all__ = ["Converted", "Quantize", "Try", "Unconverted", "convert", "in_sentences", "tries"]

Quantize = Literal["none", "float16", "dynamic"]

_OPS = tf.lite.OpsSet
_LONGEST = 160  # of a reason, but for its first sentence


@dataclass(frozen=True, slots=True)
class Try:
    """One way to convert a program.

    Attributes:
        form: what the file is to hold.
        select: whether ops of TensorFlow are permitted, which need a larger interpreter.
    """

    form: Form
    select: bool

    def __str__(self) -> str:
        what = "learn and predict" if self.form.learns else "predict"
        rows = "any number of" if self.form.rows is None else str(self.form.rows)
        ops = "with ops of TensorFlow" if self.select else "own ops"
        return f"{what}, {rows} windows a call, {ops}"


@dataclass(frozen=True, slots=True)
class Converted:
    """A file.

    Attributes:
        content: its bytes.
        form: what is in it.
        kept: what its `save` returns, in order.
    """

    content: bytes
    form: Form
    kept: Kept


class Unconverted(Exception):
    """The converter does not know how; its words, short."""


def tries(batch: int, *, learns: bool) -> Sequence[Try]:
    """Return ways to convert a program, the best first.

    Beside `learn`, `predict` takes a fixed number of windows: with variables and sizes that change,
    the interpreter's default kernels (XNNPACK) were seen to give wrong logits.

    Args:
        batch: windows of a call to `learn`.
        learns: whether learning is tried.
    """
    return [
        Try(Form(batch, rows, learning), select)
        for learning in ((True, False) if learns else (False,))
        for select in (False, True)
        for rows in ((batch,) if learning else (None, batch))
    ]


def convert(lowered: Path, folder: Path, way: Try, quantize: Quantize) -> Converted:
    """Convert a program in one way.

    Args:
        lowered: the program, as `lower` writes it.
        folder: where a SavedModel that is needed on the way is written; not there yet.
        way: how.
        quantize: how parameters are stored; anything but "none" only without `learn`.

    Raises:
        Unconverted: the converter does not know how.
    """
    try:
        with hushed():
            kept = write_module(lowered, folder, way.form)
            content = _converted(folder, way.form, quantize, select=way.select)
    except Exception as error:  # the converter raises nearly anything
        raise Unconverted(_reason(error)) from error
    return Converted(content, way.form, kept)


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


def _reason(error: Exception) -> str:
    """Return the part of the converter's words that says what it lacks."""
    text = str(error)
    lacks: Any = re.search(r"(TF Select|Custom) ops: .*", text)
    if lacks:
        return str(lacks.group(0))
    told = re.search(r"'tf\.\w+' op (?!is neither)[^\n]*", text)
    return in_sentences(told.group(0) if told else text)


def in_sentences(text: str) -> str:
    """Return the first sentences of a library's words: what fits, and the first one whole."""
    first, *others = re.split(r"(?<=[.!?])\s+(?=[A-Z])", " ".join(text.split()))
    for sentence in others:
        if len(first) + 1 + len(sentence) > _LONGEST:
            break
        first += f" {sentence}"
    return first

"""A copy of a SavedModel without the ops that LiteRT lacks.

TensorFlow's converter has no words for two ops of gradients and for lists of arrays whose shape
is not known. Both gradients are written here in ops that LiteRT has, and lists get the shape that
they have with one device.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import saved_model_pb2

__all__ = ["lower"]

_INT32 = types_pb2.DT_INT32
_MASKS = ("begin_mask", "end_mask", "new_axis_mask", "shrink_axis_mask")


def lower(source: Path, out: Path, sequences: int | None) -> None:
    """Write a copy of a SavedModel in ops that LiteRT has, as far as that is possible.

    Args:
        source: a SavedModel that was inspected.
        out: a folder that is not there yet.
        sequences: how many series a recurrent cell of Wearfleet's follows together; None leaves
            lists as they are, as those of others may have any shape.
    """
    shutil.copytree(source, out)
    file = out / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    library = saved.meta_graphs[0].graph_def.library
    written: dict[tuple[Any, ...], Any] = {}
    for function in library.function:
        if sequences is not None:
            _size_lists(function, sequences)
        _replace_gradients(function, written)
    library.function.extend(written.values())
    file.unlink()  # it may be shared with other devices by a hard link
    file.write_bytes(saved.SerializeToString())


def _size_lists(function: Any, sequences: int) -> None:
    """Say the shape [1, S, width] of lists whose shape is [-1, any, width]."""
    nodes = _by_name(function)
    for node in function.node_def:
        if not node.op.startswith("TensorList"):
            continue
        for constant in _constants(node, nodes):
            shape = tf.make_ndarray(constant.attr["value"].tensor)
            if shape.dtype == np.int32 and shape.shape == (3,) and shape[0] == -1:
                known = np.array([1, sequences, shape[2]], np.int32)
                constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(known))


def _replace_gradients(function: Any, written: dict[tuple[Any, ...], Any]) -> None:
    """Call functions in the place of ops of gradients.

    Args:
        function: a FunctionDef, which is changed.
        written: key -> FunctionDef, those that are called.
    """
    nodes, renamed = _by_name(function), {}
    for node in function.node_def:
        found = _substitute(node, nodes)
        if found is None:
            continue
        key, types, output, write = found
        if key not in written:
            written[key] = write(f"lite_{len(written)}_{key[0]}")
        renamed[f"{node.name}:{output}:0"] = f"{node.name}:output:0"
        node.op = "PartitionedCall"
        node.attr.clear()
        node.attr["f"].func.name = written[key].signature.name
        node.attr["Tin"].list.type.extend(types)
        node.attr["Tout"].list.type.append(key[1])
    for node in function.node_def:
        node.input[:] = [renamed.get(name, name) for name in node.input]
    for name, value in function.ret.items():
        function.ret[name] = renamed.get(value, value)


Substitute = tuple[tuple[Any, ...], list[int], str, Callable[[str], Any]]
"""A key of equal ones (name, type, ...), types of inputs, the output's name, what writes it."""


def _substitute(node: Any, nodes: Mapping[str, Any]) -> Substitute | None:
    """Return what stands for an op, None where it stays."""
    if node.op == "ReluGrad":
        kind = node.attr["T"].type
        return (node.op, kind), [kind, kind], "backprops", lambda name: _relu_gradient(name, kind)
    if node.op == "StridedSliceGrad":
        kind, length = node.attr["T"].type, _length_of(node, nodes)
        if length is None:
            return None
        masks = [node.attr[name].i for name in _MASKS]
        return (
            (node.op, kind, length, *masks),
            [_INT32] * 4 + [kind],
            "output",
            lambda name: _slice_gradient(name, kind, length, *masks),
        )
    return None


def _length_of(node: Any, nodes: Mapping[str, Any]) -> int | None:
    """Return how many axes a slice names, None where it is of a kind that is not written here."""
    begin, strides = (nodes.get(node.input[place].partition(":")[0]) for place in (1, 3))
    if node.attr["ellipsis_mask"].i or node.attr["Index"].type != _INT32:
        return None
    if strides is None or strides.op != "Const" or begin is None:
        return None
    steps = tf.make_ndarray(strides.attr["value"].tensor)
    return steps.size if (steps == 1).all() else None


def _relu_gradient(name: str, kind: int) -> Any:
    """Write the gradient of a rectifier as a FunctionDef."""

    def gradient(upstream: Any, features: Any) -> Any:
        return tf.where(features > 0, upstream, tf.zeros_like(upstream))

    any_shape = tf.TensorSpec(None, tf.as_dtype(kind))
    return _function(name, gradient, [any_shape, any_shape])


def _slice_gradient(
    name: str, kind: int, length: int, begins: int, ends: int, new: int, shrunk: int
) -> Any:
    """Write the gradient of a slice by steps of one as a FunctionDef: zeros around what is given.

    Args:
        name: of the function.
        kind: a number of TensorFlow's for the type of the values.
        length: axes that the slice names, those that it adds included.
        begins: bit of each named axis that is taken from its begin on.
        ends: bit of each named axis that is taken to its end.
        new: bit of each named axis that the slice adds.
        shrunk: bit of each named axis of which it takes one place and drops the axis.
    """
    named = [place for place in range(length) if not new >> place & 1]

    def marked(bits: int) -> Any:
        return tf.constant([bool(bits >> place & 1) for place in named])

    def gradient(shape: Any, begin: Any, end: Any, strides: Any, upstream: Any) -> Any:
        del strides
        size, rest = shape[: len(named)], shape[len(named) :]
        first, last = tf.gather(begin, named), tf.gather(end, named)
        first, last = (tf.where(each < 0, each + size, each) for each in (first, last))
        first = tf.where(marked(begins & ~shrunk), 0, tf.clip_by_value(first, 0, size))
        last = tf.where(marked(ends), size, tf.clip_by_value(last, 0, size))
        last = tf.where(marked(shrunk), first + 1, last)
        taken = tf.concat([tf.maximum(last - first, 0), rest], 0)
        before = tf.concat([first, tf.zeros_like(rest)], 0)
        around = tf.stack([before, shape - taken - before], axis=1)
        return tf.pad(tf.reshape(upstream, taken), around)

    vector = tf.TensorSpec([None], tf.int32)
    return _function(name, gradient, [vector] * 4 + [tf.TensorSpec(None, tf.as_dtype(kind))])


def _function(name: str, python: Callable[..., Any], inputs: list[Any]) -> Any:
    """Return a Python function as a FunctionDef, whose one output TensorFlow names as it likes."""
    traced = tf.function(python, input_signature=inputs).get_concrete_function()
    definition = type(traced.function_def)()
    definition.CopyFrom(traced.function_def)
    definition.signature.name = name
    return definition


def _by_name(function: Any) -> dict[str, Any]:
    return {node.name: node for node in function.node_def}


def _constants(node: Any, nodes: Mapping[str, Any]) -> Iterator[Any]:
    """Go through the constants that an op is given."""
    for name in node.input:
        given = nodes.get(name.partition(":")[0])
        if given is not None and given.op == "Const":
            yield given

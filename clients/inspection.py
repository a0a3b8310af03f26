"""What a SavedModel holds, read from its protobuf before TensorFlow loads it.

To load a SavedModel is to run it: its initialisers run at once, its signatures whenever Wearfleet
calls them, and its ops can read and write files. So nothing is loaded whose ops are not all known
to compute and no more (`permitted_ops`), unless whoever runs the command trusts its author.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import saved_model_pb2

from clients.containment import need_contained
from clients.errors import BadInput, BadProgram, Untrusted
from clients.ops_of_graph import Place, functions_of_object, refused

__all__ = ["inspect_saved_model"]

_MOST_GRAPH_BYTES = 128 * 2**20
_MOST_FOLDER_BYTES = 2 * 2**30
_MOST_FILES = 10_000
_MOST_HELD_BYTES = 2 * 2**30  # by constants and variables, once they are in memory
_OTHER_FORMS = ("saved_model.pbtxt", "saved_model.cpb")
_OF_TENSORFLOW = ("", "tf.StaticHashTable", "tf.TrackableConstant")
"""Registered classes that TensorFlow itself has for tables and constants."""
_NAMED = 5  # ops in an error


def inspect_saved_model(path: Path, *, trusted: bool = False) -> None:
    """Refuse a SavedModel that could do anything but compute.

    Args:
        path: its folder.
        trusted: whether ops that are not permitted are accepted; the rest is checked all the same.

    Raises:
        Untrusted: it holds ops that are not permitted.
        BadProgram: it is damaged, too large, of another form, or holds links that lead out of it.
    """
    for name in _OTHER_FORMS:
        if (path / name).exists():
            raise BadProgram(
                f"{path / name}: a SavedModel in another form, which TensorFlow may read in place "
                "of saved_model.pb; remove it, or export the program again"
            )
    try:
        need_contained(path, _MOST_FILES, _MOST_FOLDER_BYTES)
    except BadInput as error:
        raise BadProgram(str(error)) from None
    graph = _only_graph(path)
    _check_objects(path, graph)
    _check_sizes(path, graph)
    if not trusted:
        _check_ops(path, list(refused(graph)))


def _only_graph(path: Path) -> Any:
    """Parse the protobuf and return its one MetaGraphDef."""
    file = path / "saved_model.pb"
    size = file.stat().st_size
    if size > _MOST_GRAPH_BYTES:
        raise BadProgram(
            f"{file}: {size:,} bytes; a program's graph has at most {_MOST_GRAPH_BYTES:,}: keep "
            "large arrays in variables, not in constants"
        )
    try:
        saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    except (DecodeError, OSError) as error:
        raise BadProgram(
            f"{path}: TensorFlow cannot load this SavedModel ({error}); "
            "export it again, with the tag 'serve'"
        ) from None
    graphs = saved.meta_graphs
    if len(graphs) != 1 or not graphs[0].object_graph_def.nodes:
        raise BadProgram(
            f"{path}: TensorFlow cannot load this SavedModel as a program: {len(graphs)} graphs"
            f"{' without objects' if len(graphs) == 1 else ''} in it, where tf.saved_model.save of "
            "TensorFlow 2 writes one with objects; export it again, with the tag 'serve'"
        )
    return graphs[0]


def _check_ops(path: Path, found: list[Place]) -> None:
    """Refuse ops that are not permitted, and say where they are."""
    if found:
        told = "; ".join(map(str, found[:_NAMED]))
        more = f"; and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        raise Untrusted(
            f"{path}: holds ops that a learning program does not need, and that may do more than "
            f"compute: {told}{more}. If you trust whoever wrote it with all that you can do on "
            "this machine, give --trust-program"
        )


def _check_objects(path: Path, graph: Any) -> None:
    """Refuse objects that loading would hand to code of the process, and files outside."""
    for asset in graph.asset_file_def:
        inside = PurePosixPath(asset.filename.replace("\\", "/"))
        if inside.is_absolute() or ".." in inside.parts or not asset.filename.isprintable():
            raise BadProgram(
                f"{path}: the asset {asset.filename!r} lies outside of the folder `assets`; export "
                "the program again"
            )
    functions = {each.signature.name for each in graph.graph_def.library.function}
    ops = {node.name: node.op for node in graph.graph_def.node}
    objects = graph.object_graph_def
    count = len(objects.nodes)
    for number, each in enumerate(objects.nodes):
        if each.registered_name not in _OF_TENSORFLOW or each.registered_saver:
            raise BadProgram(
                f"{path}: object {number} asks for the registered class "
                f"{each.registered_saver or each.registered_name!r}; a program is made of "
                "variables, functions, tables and constants: export it as a tf.Module"
            )
        known = all(0 <= other < count for other in _references(each))
        # TensorFlow would take any function of the library, and any node that has a value.
        named = all(name in objects.concrete_functions for name in functions_of_object(each))
        constant = not each.HasField("constant") or ops.get(each.constant.operation) == "Const"
        asset = each.asset.asset_file_def_index if each.HasField("asset") else -1
        if not (known and named and constant and asset < len(graph.asset_file_def)):
            raise BadProgram(
                f"{path}: damaged: object {number} refers to what is not there; export it again"
            )
    unknown = [name for name in objects.concrete_functions if name not in functions]
    bound = (i for each in objects.concrete_functions.values() for i in each.bound_inputs)
    if unknown or not all(0 <= i < count for i in bound):
        raise BadProgram(
            f"{path}: damaged: its objects name functions or inputs that are not there "
            f"({', '.join(unknown[:_NAMED]) or 'inputs'}); export it again"
        )


def _references(each: Any) -> Iterator[int]:
    """Go through the other objects that an object refers to, by number."""
    yield from (child.node_id for child in each.children)
    yield from (other.node_id for other in each.dependencies)
    for slot in each.slot_variables:
        yield from (slot.original_variable_node_id, slot.slot_variable_node_id)
    for saved in each.saveable_objects.values():
        yield from (saved.save_function, saved.restore_function)


def _check_sizes(path: Path, graph: Any) -> None:
    """Refuse constants and variables that would fill the memory when they are made."""
    library = graph.graph_def.library.function
    nodes = [*graph.graph_def.node, *library, *(node for each in library for node in each.node_def)]
    tensors = [tensor for node in nodes for tensor in _tensors(node)]
    variables = [each.variable for each in graph.object_graph_def.nodes]
    held = {
        "constants": [_bytes_of_constant(each) for each in tensors],
        "variables": [_bytes(each.shape, each.dtype, whole=False) for each in variables],
    }
    for what, sizes in held.items():
        if min(sizes, default=0) < 0 or sum(sizes) > _MOST_HELD_BYTES:
            raise BadProgram(
                f"{path}: its {what} take {sum(sizes):,} bytes, or are of a shape "
                f"that cannot be; expected {_MOST_HELD_BYTES:,} bytes at most: export it again"
            )


def _tensors(each: Any) -> Iterator[Any]:
    """Go through the TensorProtos in the attributes of a node or a function, however deep."""
    waiting = list(each.attr.values())
    while waiting:
        value = waiting.pop()
        kind = value.WhichOneof("value")
        if kind == "tensor":
            yield value.tensor
        elif kind == "list":
            yield from value.list.tensor
            waiting += [inner for each in value.list.func for inner in each.attr.values()]
        elif kind == "func":
            waiting += value.func.attr.values()


_ITEM_BYTES = {
    types_pb2.DT_DOUBLE: 8,
    types_pb2.DT_INT64: 8,
    types_pb2.DT_UINT64: 8,
    types_pb2.DT_COMPLEX64: 8,
    types_pb2.DT_COMPLEX128: 16,
    types_pb2.DT_STRING: 32,
    types_pb2.DT_VARIANT: 64,
}  # 4 for any other
_MOST_AXES = 254  # that TensorFlow knows


def _bytes_of_constant(tensor: Any) -> int:
    """Return the bytes of a TensorProto once it is made, -1 where its shape is none.

    Where fewer values are given than it has items, TensorFlow repeats the last: a text or a
    variant counts as if all items were the longest.
    """
    size = _bytes(tensor.tensor_shape, tensor.dtype, whole=True)
    inner = [_bytes_of_constant(each) for variant in tensor.variant_val for each in variant.tensors]
    if size < 0 or min(inner, default=0) < 0:
        return -1
    items = size // _ITEM_BYTES.get(tensor.dtype, 4)
    return max(size, items * max([*map(len, tensor.string_val), sum(inner)], default=0))


def _bytes(shape: Any, dtype: int, *, whole: bool) -> int:
    """Return the bytes of an array, -1 where its shape is none.

    Args:
        shape: a TensorShapeProto.
        dtype: a number of TensorFlow's.
        whole: whether the shape must be known.
    """
    sides = [int(side.size) for side in shape.dim]
    least = 0 if whole else -1
    if min(sides, default=0) < least or len(sides) > _MOST_AXES or (whole and shape.unknown_rank):
        return -1
    return math.prod(abs(side) for side in sides) * _ITEM_BYTES.get(dtype, 4)

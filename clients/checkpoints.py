"""The variables of a SavedModel by name, and copies of it that have variables of their own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.protobuf import trackable_object_graph_pb2

from clients.errors import BadProgram

__all__ = ["read_checkpoint", "variables_by_key", "write_copy"]

Arrays = Mapping[str, NDArray[Any]]

_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_LINKS = 10_000  # copies that share one graph file


def write_copy(source: Path, path: Path, state: Arrays) -> None:
    """Write a SavedModel that has the graph of `source` and variables of its own.

    Args:
        source: a SavedModel.
        path: a folder that does not exist yet.
        state: name in the checkpoint -> value, for every variable.
    """
    path.mkdir(parents=True)
    for file in sorted(source.rglob("*")):
        inside = file.relative_to(source)
        if file.is_dir() or inside.parts[0] in ("variables", "assets.extra"):
            continue
        (path / inside).parent.mkdir(parents=True, exist_ok=True)
        _share(file, path / inside)
    (path / "variables").mkdir(exist_ok=True)
    reader = tf.train.load_checkpoint(str(source / "variables" / "variables"))
    values = {
        key: state[_unescape(key.removesuffix(_VALUE))]
        if key.endswith(_VALUE)
        else reader.get_tensor(key)
        for key in reader.get_variable_to_shape_map()
    }
    names = sorted(values)
    tf.raw_ops.SaveV2(
        prefix=str(path / "variables" / "variables"),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tf.constant(values[name]) for name in names],
    )


def read_checkpoint(path: Path) -> dict[str, NDArray[Any]]:
    """Return every variable of a SavedModel by its name in the checkpoint, without loading it.

    Raises:
        BadProgram: its variables are missing or damaged.
    """
    try:
        reader = tf.train.load_checkpoint(str(path / "variables" / "variables"))
        return {
            _unescape(key.removesuffix(_VALUE)): reader.get_tensor(key)
            for key in reader.get_variable_to_shape_map()
            if key.endswith(_VALUE)
        }
    except (tf.errors.OpError, RuntimeError, ValueError) as error:
        raise BadProgram(
            f"{path}: its variables cannot be read ({error!s:.200}); put back its folder "
            "`variables`"
        ) from error


def _share(file: Path, target: Path, most: int = _LINKS) -> None:
    """Let two SavedModels share a file, or copy it where that is not possible.

    A file that `most` share is replaced by its newest copy, which the next ones share.
    """
    if file.stat().st_nlink < most:
        try:
            os.link(file, target)
        except OSError:  # a file system without hard links
            shutil.copy2(file, target)
        return
    shutil.copy2(file, target)
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    os.link(target, fresh)
    fresh.replace(file)


def _unescape(key: str) -> str:
    """Read a name as checkpoints write it, with `.S` for a slash inside a part of a name."""
    return key.replace(".S", "/").replace("..", ".")


def variables_by_key(loaded: Any, path: Path) -> dict[str, Any]:
    """Map names in the checkpoint to the loaded variables, by walking both object graphs."""
    reader = tf.train.load_checkpoint(str(path / "variables" / "variables"))
    graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(
        reader.get_tensor(_OBJECT_GRAPH)
    )
    variables: dict[str, Any] = {}
    seen, queue = {0}, [(0, loaded)]
    while queue:
        node_id, value = queue.pop()
        for attribute in graph.nodes[node_id].attributes:
            if attribute.checkpoint_key.endswith(_VALUE):
                key = attribute.checkpoint_key.removesuffix(_VALUE)
                variables[_unescape(key)] = value
        for child in graph.nodes[node_id].children:
            inner = value._trackable_children().get(child.local_name)
            if child.node_id not in seen and inner is not None:
                seen.add(child.node_id)
                queue.append((child.node_id, inner))
    return variables

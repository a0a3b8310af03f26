"""Replies from strangers: which of them hold what was asked for, found without trusting any."""

from __future__ import annotations

import ast
import logging
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
from flwr.app import Array, ArrayRecord, Message
from numpy.typing import NDArray

from server.guard import check

__all__ = ["decoded", "sound_replies"]

_MAGIC = b"\x93NUMPY\x01\x00"  # of NumPy's format, version 1.0
_HEADER_BYTES = 10_000  # that NumPy's format takes at most before the numbers


def decoded(array: Array, like: NDArray[Any]) -> NDArray[Any]:
    """Decode an array that should have the shape and type of another.

    Flower sends NumPy's own format, without pickle. What it says of itself is compared before
    memory is taken for it.

    Raises:
        ValueError: it has another shape or type, or is damaged.
    """
    if array.stype != "numpy.ndarray" or len(array.data) > like.nbytes + _HEADER_BYTES:
        raise ValueError(f"{len(array.data):,} bytes of {array.stype!r:.40}")
    # NumPy's own reader of headers raises nearly anything for a damaged one.
    length = int.from_bytes(array.data[8:10], "little")
    header, numbers = array.data[10 : 10 + length], array.data[10 + length :]
    try:
        said = ast.literal_eval(header.decode("latin-1").strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        said = None
    expected = {"descr": np.lib.format.dtype_to_descr(like.dtype), "shape": like.shape}
    orders = [expected | {"fortran_order": fortran} for fortran in (False, True)]
    if array.data[:8] != _MAGIC or said not in orders or len(numbers) != like.nbytes:
        raise ValueError(
            f"{said!r:.100}, {len(numbers):,} bytes, instead of {like.dtype} {like.shape}"
        )
    order: Literal["F", "C"] = "F" if said["fortran_order"] else "C"
    return np.frombuffer(numbers, like.dtype).reshape(like.shape, order=order)


def sound_replies(
    replies: Iterable[Message], sent: Mapping[str, NDArray[Any]], record: str
) -> list[Message]:
    """Keep the replies whose arrays are those that were sent, in form, and finite.

    Others are passed over and logged, so that one node cannot end or spoil the whole federation.
    Replies that carry an error of Flower's are kept, as strategies count them.

    Args:
        replies: of the nodes.
        sent: what was sent to all of them.
        record: name of the record with the arrays.
    """
    return [reply for reply in replies if reply.has_error() or _sound(reply, sent, record)]


def _sound(reply: Message, sent: Mapping[str, NDArray[Any]], record: str) -> bool:
    """Tell whether one reply is sound, and log why where it is not."""
    found = reply.content.get(record)
    try:
        if not isinstance(found, ArrayRecord) or found.keys() != sent.keys():
            raise ValueError("other arrays than were sent")
        arrays = {name: decoded(found[name], like)[None] for name, like in sent.items()}
        (reason,) = check(sent, arrays, None).reasons
    except ValueError as error:
        reason = str(error)
    if reason:
        node = reply.metadata.src_node_id
        logging.getLogger("flwr").warning("update of node %s refused: %.200s", node, reason)
    return not reason

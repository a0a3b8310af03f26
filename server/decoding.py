"""Arrays as they came over the network, from nodes that may send anything."""

from __future__ import annotations

import ast
import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["decoded"]

_MAGIC = b"\x93NUMPY\x01\x00"  # of NumPy's format, version 1.0
_TYPES = {np.dtype(code).str for code in np.typecodes["AllInteger"] + "?efd"}
_SAID = {"descr", "fortran_order", "shape"}
_HEADER_BYTES = 10_000  # that NumPy reads at most before the numbers


def decoded(data: bytes, like: NDArray[Any]) -> NDArray[Any]:
    """Decode an array that comes in NumPy's own format, without pickle, as Flower sends it.

    What it says of itself is compared with what came before memory is taken for it. Nothing is
    decoded that NumPy would refuse.

    Args:
        data: all bytes that came.
        like: what was asked for; what takes more than twice its memory is not decoded.

    Returns:
        the array, of whatever shape and type it is.

    Raises:
        ValueError: it is damaged, no array of numbers, or too large.
    """
    unreadable = ValueError(f"cannot be read from its {len(data):,} bytes")
    if data[:8] != _MAGIC or len(data) > 2 * like.nbytes + _HEADER_BYTES:
        raise unreadable
    # NumPy's own reader of headers raises nearly anything for a damaged one.
    length = int.from_bytes(data[8:10], "little")
    header, numbers = data[10 : 10 + length], data[10 + length :]
    try:
        said = ast.literal_eval(header.decode("latin-1"))
        if len(header) > _HEADER_BYTES or said.keys() != _SAID:
            raise unreadable
        descr, shape, fortran = said["descr"], said["shape"], said["fortran_order"]
        order: Literal["F", "C"] = "F" if fortran else "C"
        if descr not in _TYPES or type(shape) is not tuple or type(fortran) is not bool:
            raise unreadable
        if not all(type(side) is int and side >= 0 for side in shape):
            raise unreadable
        if math.prod(shape) * np.dtype(descr).itemsize != len(numbers):
            raise unreadable
        return np.frombuffer(numbers, descr).reshape(shape, order=order)
    except (
        ValueError, SyntaxError, RecursionError, MemoryError, TypeError, AttributeError,
    ):  # fmt: skip
        raise unreadable from None

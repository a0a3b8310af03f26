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
_HEADER_BYTES = 10_000  # that NumPy's format takes at most before the numbers


def decoded(data: bytes, like: NDArray[Any]) -> NDArray[Any]:
    """Decode an array that comes in NumPy's own format, without pickle, as Flower sends it.

    What it says of itself is compared with what came before memory is taken for it.

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
        said = ast.literal_eval(header.decode("latin-1").strip())
        descr, shape = said["descr"], said["shape"]
        order: Literal["F", "C"] = "F" if said["fortran_order"] else "C"
        if descr not in _TYPES or not all(type(n) is int and n >= 0 for n in shape):
            raise unreadable
        if math.prod(shape) * np.dtype(descr).itemsize != len(numbers):
            raise unreadable
        return np.frombuffer(numbers, descr).reshape(shape, order=order)
    except (ValueError, SyntaxError, RecursionError, MemoryError, KeyError, TypeError):
        raise unreadable from None

"""Arrays as they came over the network, from nodes that may send anything."""

from __future__ import annotations

import ast
from typing import Any, Literal

import numpy as np
from flwr.app import Array
from numpy.typing import NDArray

__all__ = ["decoded"]

_MAGIC = b"\x93NUMPY\x01\x00"  # of NumPy's format, version 1.0
_NAMES = {np.dtype(code).str: str(np.dtype(code)) for code in np.typecodes["AllInteger"] + "?efd"}
_HEADER_BYTES = 10_000  # that NumPy's format takes at most before the numbers


def decoded(array: Array, like: NDArray[Any]) -> NDArray[Any]:
    """Decode an array that should have the shape and type of another.

    Flower sends NumPy's own format, without pickle. What it says of itself is compared before
    memory is taken for it.

    Raises:
        ValueError: it has another shape or type, or is damaged.
    """
    if array.stype != "numpy.ndarray" or len(array.data) > like.nbytes + _HEADER_BYTES:
        raise ValueError(f"cannot be read: {len(array.data):,} bytes of {array.stype!r:.40}")
    # NumPy's own reader of headers raises nearly anything for a damaged one.
    length = int.from_bytes(array.data[8:10], "little")
    header, numbers = array.data[10 : 10 + length], array.data[10 + length :]
    try:
        said = ast.literal_eval(header.decode("latin-1").strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        said = None
    expected = {"descr": np.lib.format.dtype_to_descr(like.dtype), "shape": like.shape}
    orders = [expected | {"fortran_order": fortran} for fortran in (False, True)]
    if array.data[:8] != _MAGIC or (said in orders and len(numbers) != like.nbytes):
        raise ValueError(f"cannot be read from its {len(array.data):,} bytes")
    if said not in orders:
        raise ValueError(f"is {_told(said)} instead of {like.dtype} {like.shape}")
    order: Literal["F", "C"] = "F" if said["fortran_order"] else "C"
    return np.frombuffer(numbers, like.dtype).reshape(like.shape, order=order)


def _told(said: object) -> str:
    """Put into words what an array says of itself, whatever that is."""
    if isinstance(said, dict) and isinstance(said.get("descr"), str):
        name = _NAMES.get(said["descr"], said["descr"])
        return f"{name:.20} {said.get('shape')!r:.60}"
    return f"{said!r:.60}"

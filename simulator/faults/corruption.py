"""What happens to updates on their way: a table from the kind of a fault to what it does."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["IN_FORM", "OUT_OF_FORM", "corrupted"]

Arrays = dict[str, NDArray[Any]]
Message = Mapping[str, NDArray[Any] | bytes]

_ABSURD = 1e6  # times which an absurd update goes from what was sent
_FLIPPED = 8  # bits of an update


def corrupted(
    kind: str, begun: Mapping[str, NDArray[Any]], update: Arrays, random: np.random.Generator
) -> Message:
    """Return what arrives in the place of one device's update.

    Args:
        kind: one of `simulator.scenario.fault_table.CORRUPTIONS`.
        begun: the arrays that the device began from.
        update: what it sends, by name.
        random: decides where.

    Returns:
        arrays, of another form for some kinds, or the bytes of one that ends too early.
    """
    copies = {name: np.array(value, order="C") for name, value in update.items()}
    if kind in IN_FORM:
        IN_FORM[kind](begun, copies, random)
        return copies
    return OUT_OF_FORM[kind](copies, random)


def _one_of(arrays: Arrays, random: np.random.Generator) -> str:
    """Choose an array, each value of all arrays being as likely."""
    sizes = np.array([value.size for value in arrays.values()])
    return list(arrays)[int(random.choice(sizes.size, p=sizes / sizes.sum()))]


def _put(value: float) -> Callable[..., None]:
    def put(begun: Any, arrays: Arrays, random: np.random.Generator) -> None:
        """Put a value into one place."""
        del begun
        floats = {n: v for n, v in arrays.items() if np.issubdtype(v.dtype, np.floating)}
        hit = floats[_one_of(floats, random)].reshape(-1)
        hit[int(random.integers(hit.size))] = value

    return put


def _bits(begun: Any, arrays: Arrays, random: np.random.Generator) -> None:
    """Flip some bits anywhere."""
    del begun
    for _ in range(_FLIPPED):
        seen = arrays[_one_of(arrays, random)].reshape(-1).view(np.uint8)
        seen[int(random.integers(seen.size))] ^= np.uint8(1 << int(random.integers(8)))


def _norm(begun: Mapping[str, NDArray[Any]], arrays: Arrays, random: np.random.Generator) -> None:
    """Go absurdly far in the direction of the update, or in any where it goes nowhere."""
    for name, value in arrays.items():
        if np.issubdtype(value.dtype, np.floating):
            moved = np.subtract(value, begun[name], dtype=np.float64)
            moved = moved if moved.any() else random.standard_normal(value.shape)
            value[...] = begun[name] + _ABSURD * moved


def _shape(arrays: Arrays, random: np.random.Generator) -> Message:
    """Lose the last value of an array."""
    name = _one_of(arrays, random)
    return {**arrays, name: arrays[name].reshape(-1)[:-1]}


def _dtype(arrays: Arrays, random: np.random.Generator) -> Message:
    """Send an array in another type."""
    name = _one_of(arrays, random)
    return {**arrays, name: arrays[name].astype(np.float16)}


def _truncated(arrays: Arrays, random: np.random.Generator) -> Message:
    """Let an array's bytes, as Flower sends them, end somewhere."""
    name, file = _one_of(arrays, random), io.BytesIO()
    np.save(file, arrays[name], allow_pickle=False)
    whole = file.getvalue()
    return {**arrays, name: whole[: int(random.integers(len(whole)))]}


IN_FORM: Mapping[str, Callable[[Any, Arrays, np.random.Generator], None]] = {
    "nan": _put(np.nan),
    "inf": _put(np.inf),
    "bits": _bits,
    "norm": _norm,
}
"""Kinds after which an update still has the form of what was sent."""

OUT_OF_FORM: Mapping[str, Callable[[Arrays, np.random.Generator], Message]] = {
    "shape": _shape,
    "dtype": _dtype,
    "truncated": _truncated,
}
"""Kinds after which it has not."""

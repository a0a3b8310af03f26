"""What arrays of plug-ins look like, whether they are NumPy's or TensorFlow's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from clients.plugins import kind_of

__all__ = ["shape_of", "unlike", "unlike_shape"]

Shape = Sequence[int | None]


def shape_of(value: Any) -> Shape | None:
    """Return the shape of an array, None for sizes that are not known; None for no array."""
    shape = getattr(value, "shape", None)
    if shape is None or getattr(value, "dtype", None) is None:
        return None
    if getattr(shape, "rank", 0) is None:  # of a tensor of which nothing is known
        return None
    return [None if size is None else int(size) for size in shape]


def unlike_shape(value: Any, wanted: Shape) -> str:
    """Say what is wrong with an array's shape; nothing where it fits, as far as it is known."""
    shape = shape_of(value)
    if shape is None:
        return f"is {kind_of(value)}; expected an array of shape {_told(wanted)}"
    fits = len(shape) == len(wanted) and all(
        one is None or other is None or one == other
        for one, other in zip(shape, wanted, strict=True)
    )
    return "" if fits else f"is of shape {_told(shape)}; expected {_told(wanted)}"


def unlike(groups: Any, before: Mapping[str, Mapping[str, Any]]) -> str:
    """Say what groups of named arrays lack to be like others; nothing where they lack nothing.

    Args:
        groups: what is looked at; it may have more groups.
        before: what it must be like: names, shapes and dtypes.
    """
    if not isinstance(groups, Mapping):
        return f"is {kind_of(groups)}; expected groups of arrays by name"
    for group, arrays in before.items():
        found = groups.get(group)
        if not isinstance(found, Mapping):
            return f"lacks the group {group!r}, with its {len(arrays)} arrays by name"
        for name, old in arrays.items():
            if name not in found:
                return f"lacks {name!r} of the group {group!r}"
            told = unlike_shape(found[name], shape_of(old) or ())
            if not told and _dtype(found[name]) != _dtype(old):
                told = f"is of {_dtype(found[name])}; expected {_dtype(old)}"
            if told:
                return f"has {name!r} of the group {group!r}, which {told}"
    return ""


def _dtype(value: Any) -> np.dtype[Any]:
    dtype: np.dtype[Any] = np.dtype(getattr(value.dtype, "as_numpy_dtype", value.dtype))
    return dtype


def _told(shape: Shape) -> str:
    return f"[{', '.join('any' if size is None else str(size) for size in shape)}]"

"""Shared arrays on disk, by name, as safetensors."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

__all__ = ["read_shared", "write_shared"]

_MOST_BYTES = 4 * 2**30


def read_shared(path: Path, key: str) -> dict[str, NDArray[Any]]:
    """Read shared arrays, sorted by name.

    Args:
        path: a safetensors file.
        key: which key of the configuration names it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read, or holds what no rounds can start from.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{key} = {str(path)!r}: no such file; write it by `wearfleet model export MODEL "
            "--shared FILE.safetensors` and give its full path: flwr run . -c 'shared=\"...\"'"
        )
    size = path.stat().st_size
    if size > _MOST_BYTES:
        raise ValueError(
            f"{key} = {str(path)!r}: {size:,} bytes; a program's shared arrays have at most "
            f"{_MOST_BYTES:,}"
        )
    try:
        arrays = load_file(path)
    except (SafetensorError, OSError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{key} = {str(path)!r}: damaged, or no safetensors file ({error!s:.200}); write it "
            "anew by `wearfleet model export MODEL --shared FILE.safetensors`"
        ) from None
    bad = sorted(name for name, value in arrays.items() if not np.isfinite(value).all())
    if bad or not arrays:
        raise ValueError(
            f"{key} = {str(path)!r}: {', '.join(bad) or 'it has no arrays'}"
            f"{' not finite' if bad else ''}; start from another file"
        )
    return dict(sorted(arrays.items()))


def write_shared(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write shared arrays, whole or not at all; when this returns, they are on the disk."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    with unfinished.open("wb") as file:
        file.write(save({name: np.asarray(v, order="C") for name, v in arrays.items()}))
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

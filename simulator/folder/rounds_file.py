"""What a cohort's file of `rounds/` says, as arrays: read one cohort at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from simulator.folder.parquet_file import read_columns
from simulator.folder.record_files import ROUNDS

__all__ = [
    "LastScored",
    "Names",
    "last_scored",
    "lists_of",
    "names_of",
    "numbers_of",
    "read_rounds",
]


@dataclass(frozen=True, slots=True, eq=False)
class Names:
    """A column of names.

    Attributes:
        code: int32 [N], by row, an index into `names`.
        names: each once; some may have no row.
    """

    code: NDArray[np.int32]
    names: list[str]


@dataclass(frozen=True, slots=True, eq=False)
class LastScored:
    """What the holdout of some devices was taken for when they were last scored.

    Attributes:
        device: int64 [S], codes of the devices that were ever scored, ascending.
        confusion: int64 [S, K, K], windows by true and predicted class.
        round_: int32 [S], the round of that scoring.
    """

    device: NDArray[np.int64]
    confusion: NDArray[np.int64]
    round_: NDArray[np.int32]


def read_rounds(path: Path, columns: Sequence[str], *, everybody: bool = False) -> Any:
    """Read some columns of a file of `rounds/` as an Arrow table of one chunk.

    Args:
        path: of the file.
        columns: their names.
        everybody: whether to read the rows of hostile devices too, which no measure counts.

    Raises:
        BadInput: the file is damaged.
    """
    table = read_columns(path, [*columns, "hostile"], ROUNDS)
    honest = pc.invert(table["hostile"])
    table = table.select(list(columns))
    if everybody or pc.all(honest).as_py() is not False:
        return table
    table = table.filter(honest)
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):  # the others' names go with their rows
            names = table[field.name].cast(pa.string()).dictionary_encode()
            table = table.set_column(place, field.name, names)
    return table.combine_chunks()


def names_of(table: Any, column: str) -> Names:
    """Return a column of names."""
    values = table[column].unify_dictionaries().combine_chunks()
    code: NDArray[np.int32] = values.indices.to_numpy()
    return Names(code, values.dictionary.to_pylist())


def numbers_of(table: Any, column: str) -> NDArray[Any]:
    """Return a column of N numbers; null is NaN, in float64."""
    values: NDArray[Any] = table[column].to_numpy()
    return values


def lists_of(table: Any, column: str) -> NDArray[np.int64]:
    """Return a column of equally long lists, int64 [N, M]; -1 in the rows that are null."""
    lists = table[column].combine_chunks()
    there = np.flatnonzero(pc.is_valid(lists).to_numpy(zero_copy_only=False))
    cells = lists.take(there).flatten().to_numpy().astype(np.int64)
    found = np.full((len(lists), cells.size // max(there.size, 1)), -1, np.int64)
    found[there] = cells.reshape(there.size, -1) if there.size else cells[:0].reshape(0, 0)
    return found


def last_scored(table: Any, device: Names) -> LastScored:
    """Return what each device's holdout was last taken for.

    Args:
        table: with the columns round and holdout_confusion.
        device: its column device.
    """
    matrices = table["holdout_confusion"].combine_chunks()
    scored = np.flatnonzero(pc.is_valid(matrices).to_numpy(zero_copy_only=False))
    round_ = numbers_of(table, "round")
    scored = scored[np.argsort(round_[scored], kind="stable")]
    row = np.full(len(device.names), -1, np.int64)
    row[device.code[scored]] = scored  # of a device's rows the last one stays
    devices = np.flatnonzero(row >= 0)
    cells = matrices.take(row[devices]).flatten().to_numpy().astype(np.int64)
    classes = math.isqrt(cells.size // max(devices.size, 1))
    confusion = cells.reshape(devices.size, classes, classes)
    return LastScored(devices, confusion, round_[row[devices]])

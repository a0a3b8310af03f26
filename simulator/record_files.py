"""The files that records are kept in: their columns, and how they grow."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

__all__ = ["EVENTS", "ROUNDS", "WINDOWS", "RowGroups", "text"]

_NAME = pa.dictionary(pa.int32(), pa.string())

WINDOWS = pa.schema(
    [
        ("arm", _NAME),
        ("fold", pa.int32()),
        ("round", pa.int32()),
        ("question", pa.int32()),
        ("device", _NAME),
        ("user", _NAME),
        ("time_s", pa.float64()),
        ("label", _NAME),
        ("predicted", _NAME),
        ("voted", _NAME),
        ("downloaded_correct", pa.bool_()),
        ("answer", _NAME),
        ("loss", pa.float32()),
        ("drifted", pa.bool_()),
    ]
)

ROUNDS = pa.schema(
    [
        ("arm", _NAME),
        ("fold", pa.int32()),
        ("round", pa.int32()),
        ("device", _NAME),
        ("user", _NAME),
        ("participant", pa.bool_()),
        ("questions", pa.int32()),
        ("windows", pa.int32()),
        ("asked", pa.int32()),
        ("answered", pa.int32()),
        ("answered_windows", pa.int32()),
        ("correct", pa.int32()),
        ("vote_correct", pa.int32()),
        ("downloaded_correct", pa.int32()),
        ("label_repeats", pa.int32()),
        ("steps", pa.int32()),
        ("gradients", pa.int32()),
        ("loss", pa.float32()),
        ("bytes_down", pa.int64()),
        ("bytes_up", pa.int64()),
        ("reachable", pa.bool_()),
        ("hostile", pa.bool_()),
        ("sent", pa.int32()),
        ("accepted", pa.int32()),
        ("refused", pa.int32()),
        ("lost", pa.int32()),
        ("took_s", pa.float64()),
        ("battery", pa.float64()),
        ("memory_windows", pa.int32()),
        ("drifted", pa.int32()),
        ("drift_in_force", pa.bool_()),
        ("label_windows", pa.list_(pa.int32())),
        ("predicted_windows", pa.list_(pa.int32())),
        ("faded_accuracy", pa.float64()),
        ("sliding_accuracy", pa.float64()),
        ("holdout_windows", pa.int32()),
        ("holdout_correct", pa.int32()),
        ("holdout_confusion", pa.list_(pa.int32())),
        ("holdout_before_confusion", pa.list_(pa.int32())),
        ("stamped_windows", pa.int32()),
        ("stamped_taken", pa.int32()),
    ]
)

EVENTS = pa.schema(
    [
        ("arm", _NAME),
        ("fold", pa.int32()),
        ("round", pa.int32()),
        ("device", _NAME),
        ("user", _NAME),
        ("kind", _NAME),
        ("reason", _NAME),
        ("windows", pa.int32()),
        ("answered", pa.int32()),
        ("norm", pa.float64()),
    ]
)

Columns: TypeAlias = Mapping[str, NDArray[Any]]

_ANY = "round"  # a column that every table has
_MOST_IN_GROUP = 131_072  # rows, where more than that come at once


class RowGroups:
    """A Parquet file that grows by row groups under an unfinished name."""

    def __init__(
        self, path: Path, schema: Any, rows_in_group: int, names: Mapping[str, Any]
    ) -> None:
        """Open nothing yet.

        Args:
            path: the name of the file when it is finished.
            schema: its columns.
            rows_in_group: rows that are held until they make up a row group.
            names: by column of names, all of them, as `text` gives them. All rows of a file are
                encoded by the same names, whichever of them occur.
        """
        self._path, self._unfinished = path, path.with_suffix(".unfinished")
        self._schema, self._rows_in_group, self._names = schema, rows_in_group, names
        self._held: list[Columns] = []
        self._writer: Any = None

    def hold(self, columns: Columns) -> None:
        """Take in rows.

        Args:
            columns: by name, the numbers of the rows; of a column of names their places. What is
                null is NaN, or -1.
        """
        if len(columns[_ANY]):
            self._held.append(columns)

    def flush_full(self) -> None:
        """Write the rows that are held if they make up a row group."""
        if sum(len(columns[_ANY]) for columns in self._held) >= self._rows_in_group:
            self._flush()

    def finish(self) -> None:
        """Write what is left, and give the file its name."""
        self._flush()
        self._writer.close()
        with self._unfinished.open("rb") as file:
            os.fsync(file.fileno())
        self._unfinished.replace(self._path)

    def abandon(self) -> None:
        """Remove the file, unless it was finished."""
        self._held = []
        if self._writer is not None:
            self._writer.close()
            self._unfinished.unlink(missing_ok=True)

    def _flush(self) -> None:
        if self._writer is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(self._unfinished, self._schema, compression="zstd")
        if self._held:
            # Arrow's calls cost as much for a few rows as for many.
            columns = {
                name: np.concatenate([some[name] for some in self._held]) for name in self._held[0]
            }
            table = _table(columns, self._schema, self._names)
            self._held = []  # first, so that an interrupt cannot write them twice
            self._writer.write_table(table, row_group_size=_MOST_IN_GROUP)


def text(names: Sequence[str]) -> Any:
    """Return names as an Arrow array, to encode by."""
    return pa.array(list(names), pa.string())


def _table(columns: Columns, schema: Any, names: Mapping[str, Any]) -> Any:
    """Put columns in the order and in the types of a schema."""
    arrays = []
    for field in schema:
        values = columns[field.name]
        if pa.types.is_dictionary(field.type):
            arrays.append(pa.DictionaryArray.from_arrays(_known(values), names[field.name]))
        elif pa.types.is_list(field.type):
            arrays.append(_lists(values))
        else:
            arrays.append(_known(values).cast(field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def _known(values: NDArray[Any]) -> Any:
    """Return numbers with null for NaN and -1."""
    kind = values.dtype.kind
    if kind == "b":
        return pa.array(values)
    return pa.array(values, mask=np.isnan(values) if kind == "f" else values == -1)


def _lists(values: NDArray[np.int32]) -> Any:
    """Return rows [N, M] as lists, null for one that begins with -1."""
    there = values[:, 0] != -1 if values.size else np.zeros(len(values), np.bool_)
    ends = np.concatenate([[0], np.cumsum(there * values.shape[1])]).astype(np.int32)
    flat = pa.array(values[there].ravel(), pa.int32())
    return pa.ListArray.from_arrays(pa.array(ends), flat, mask=pa.array(~there))

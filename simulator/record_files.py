"""The files that records are kept in: their columns, and how they grow."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

__all__ = ["ROUNDS", "WINDOWS", "RowGroups", "batch_of", "encoded", "known", "text"]

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
        ("correct", pa.int32()),
        ("vote_correct", pa.int32()),
        ("downloaded_correct", pa.int32()),
        ("label_repeats", pa.int32()),
        ("steps", pa.int32()),
        ("gradients", pa.int32()),
        ("loss", pa.float32()),
        ("bytes_down", pa.int64()),
        ("bytes_up", pa.int64()),
        ("memory_windows", pa.int32()),
        ("faded_accuracy", pa.float64()),
        ("holdout_windows", pa.int32()),
        ("holdout_correct", pa.int32()),
        ("holdout_confusion", pa.list_(pa.int32())),
    ]
)

_MOST_IN_GROUP = 131_072  # rows, where more than that come at once


class RowGroups:
    """A Parquet file that grows by row groups under an unfinished name."""

    def __init__(self, path: Path, schema: Any, rows_in_group: int) -> None:
        """Open nothing yet.

        Args:
            path: the name of the file when it is finished.
            schema: its columns.
            rows_in_group: rows that are held until they make up a row group.
        """
        self._path, self._unfinished = path, path.with_suffix(".unfinished")
        self._schema, self._rows_in_group = schema, rows_in_group
        self._held: list[Any] = []
        self._writer: Any = None

    def hold(self, batch: Any) -> None:
        """Take in rows."""
        if batch.num_rows:
            self._held.append(batch)

    def flush_full(self) -> None:
        """Write the rows that are held if they make up a row group."""
        if sum(batch.num_rows for batch in self._held) >= self._rows_in_group:
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
            table = pa.Table.from_batches(self._held, self._schema)
            self._held = []  # first, so that an interrupt cannot write them twice
            self._writer.write_table(table, row_group_size=_MOST_IN_GROUP)


def text(names: Sequence[str]) -> Any:
    """Return names as an Arrow array, to encode by."""
    return pa.array(list(names), pa.string())


def encoded(names: Any, codes: NDArray[Any]) -> Any:
    """Encode rows by the number of their name in `names`; null for -1.

    All rows of a file have to be encoded by the same names, whichever of them occur.
    """
    indices = pa.array(codes.astype(np.int32, copy=False), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, names)


def known(values: NDArray[Any]) -> Any:
    """Return numbers of the same type with null for NaN."""
    return pa.array(values, mask=np.isnan(values))


def batch_of(columns: Mapping[str, Any], schema: Any) -> Any:
    """Put columns in the order of a schema; numbers are cast to its types."""
    arrays = []
    for field in schema:
        values = columns[field.name]
        if not isinstance(values, pa.Array):
            values = pa.array(values)
        arrays.append(values if values.type == field.type else values.cast(field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)

"""How a file of records grows: row group by row group, on disk but not yet in Parquet.

A row group that is full leaves memory for a file of its own. When the records are finished, these
files and the rows that are still held become one Parquet file. So whatever was written is never
written to again, and a run that goes back to a checkpoint goes on after as many row groups as there
were then; later ones are written anew.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from simulator.folder.arrays_file import Written, write_whole

__all__ = ["RowGroups", "text"]

Columns: TypeAlias = Mapping[str, NDArray[Any]]

_ANY = "round"  # a column that every table has
_MOST_IN_GROUP = 131_072  # rows, where more than that come at once


class RowGroups:
    """The rows of one Parquet file, before it is finished.

    Attributes:
        written: the files of the row groups that have left memory, in order.
    """

    def __init__(
        self, path: Path, rows: Path, schema: Any, rows_in_group: int, names: Mapping[str, Any]
    ) -> None:
        """Open nothing yet.

        Args:
            path: the name of the file when it is finished.
            rows: the folder for row groups until then.
            schema: its columns.
            rows_in_group: rows that are held until they make up a row group.
            names: by column of names, all of them, as `text` gives them. All rows of a file are
                encoded by the same names, whichever of them occur.
        """
        self._path, self._rows = path, rows
        self._schema, self._rows_in_group, self._names = schema, rows_in_group, names
        self._held: list[Columns] = []
        self.written: list[Written] = []

    def hold(self, columns: Columns) -> None:
        """Take in rows.

        Args:
            columns: by name, the numbers of the rows; of a column of names their places. What is
                null is NaN, or -1.
        """
        if len(columns[_ANY]):
            self._held.append(columns)

    def flush_full(self) -> None:
        """Let the rows that are held leave memory if they make up a row group."""
        if sum(len(columns[_ANY]) for columns in self._held) < self._rows_in_group:
            return
        table = self._table()
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, self._schema, options=_OPTIONS) as writer:
            writer.write_table(table)
        self._rows.mkdir(parents=True, exist_ok=True)
        name = f"{self._path.parent.parent.name}-{self._path.stem}-{len(self.written):05d}.arrow"
        written = write_whole(self._rows / name, [memoryview(sink.getvalue())])
        # Last and at once, so that an interrupt cannot write rows twice.
        self._held = []
        self.written.append(written)

    def finish(self) -> Path:
        """Write the Parquet file whole: to a temporary name, synced, then renamed; returns it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._path.with_name(f".{self._path.name}.{os.getpid()}.unfinished")
        try:
            with pq.ParquetWriter(unfinished, self._schema, compression="zstd") as writer:
                for table in self._tables():
                    writer.write_table(table, row_group_size=_MOST_IN_GROUP)
            with unfinished.open("rb") as file:
                os.fsync(file.fileno())
            unfinished.replace(self._path)
        finally:
            unfinished.unlink(missing_ok=True)  # there only if something went wrong
        return self._path

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Return the rows that are held, by column."""
        if not self._held:
            return {}
        return {name: np.concatenate([some[name] for some in self._held]) for name in self._held[0]}

    def restore(self, held: Columns, written: Sequence[Written]) -> None:
        """Become what a snapshot holds, after some row groups that are on disk."""
        self._held = [held] if held else []
        self.written = list(written)

    def _tables(self) -> Iterator[Any]:
        """Give the row groups, one at a time."""
        for written in self.written:
            with pa.memory_map(str(self._rows / written.name)) as file:
                yield pa.ipc.open_file(file).read_all()
        if self._held:
            yield self._table()

    def _table(self) -> Any:
        """Return the rows that are held as a table of one piece."""
        # Arrow's calls cost as much for a few rows as for many.
        return _table(self.snapshot(), self._schema, self._names)


_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)


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

"""Columns of a Parquet file of a run, within bounds: run folders are handed on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from clients.errors import BadInput

__all__ = ["read_columns"]

_MOST_ROWS = 200_000_000
_MOST_CELLS = 2_000_000_000  # values of all columns that are asked for, those in lists included
_MOST_BYTES = 8 * 2**30  # of the file, of what it unpacks to, of rows times the longest name


def read_columns(path: Path, columns: Sequence[str], schema: Any) -> Any:
    """Read some columns of a file as an Arrow table of one chunk.

    Args:
        path: the file.
        columns: their names.
        schema: what the columns must be; text that must be a dictionary is read as one.

    Raises:
        BadInput: it is damaged, too large, or lacks a column, or one is of another type.
    """
    table = None
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise BadInput(_too_large(path))
        with pq.ParquetFile(path) as file:
            _check_size(path, file.metadata, columns)
            metadata, found = file.metadata, file.schema_arrow
            names = [name for name in columns if name in found.names and _is_name(schema, name)]
            if all(_is_name(found, name) for name in names):
                table = _checked(path, file, columns, schema)
        if table is None:  # it was not written with names as dictionaries: read them so
            with pq.ParquetFile(path, metadata=metadata, read_dictionary=names) as file:
                table = _checked(path, file, columns, schema)
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise BadInput(
            f"{path}: damaged, or no Parquet file ({error!s:.200}); put back what the run wrote"
        ) from None
    return table


def _is_name(schema: Any, column: str) -> bool:
    return bool(pa.types.is_dictionary(schema.field(column).type))


def _checked(path: Path, file: Any, columns: Sequence[str], schema: Any) -> Any:
    """Read columns that are of the types that they must be."""
    _check_types(path, file.schema_arrow, columns, schema)
    return _rows(path, file, columns).combine_chunks()


def _check_size(path: Path, metadata: Any, columns: Sequence[str]) -> None:
    """Refuse what says itself that it would fill the memory, before any of it is unpacked."""
    cells = size = 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for place in range(group.num_columns):
            chunk = group.column(place)
            if chunk.path_in_schema.partition(".")[0] in columns:
                cells += max(chunk.num_values, 0)
                size += max(chunk.total_uncompressed_size, 0)
    if not 0 <= metadata.num_rows <= _MOST_ROWS or cells > _MOST_CELLS or size > _MOST_BYTES:
        raise BadInput(_too_large(path))


def _check_types(path: Path, found: Any, columns: Sequence[str], schema: Any) -> None:
    """Refuse columns of another type unread: text takes what it likes where numbers do not."""
    for name in columns:
        kind = found.field(name).type if name in found.names else None
        if kind != schema.field(name).type:
            raise BadInput(
                f"{path}: column {name!r} is {kind or 'missing'}; expected "
                f"{schema.field(name).type}: put back what the run wrote"
            )


def _rows(path: Path, file: Any, columns: Sequence[str]) -> Any:
    """Read a row group at a time, as long as there is room for what comes.

    A text that many rows share is there once, and may be needed once for each of them.
    """
    parts, size, longest = [file.schema_arrow.empty_table().select(list(columns))], 0, 0
    for number in range(file.num_row_groups):
        part = file.read_row_group(number, columns=list(columns), use_threads=False)
        size += part.nbytes
        for column in part.columns:
            if pa.types.is_dictionary(column.type):
                lengths = (pc.max(pc.binary_length(each.dictionary)) for each in column.chunks)
                longest = max([longest, *(each.as_py() or 0 for each in lengths)])
        if size > _MOST_BYTES or file.metadata.num_rows * longest > _MOST_BYTES:
            raise BadInput(_too_large(path))
        parts.append(part)
    return pa.concat_tables(parts)


def _too_large(path: Path) -> str:
    return (
        f"{path}: holds more than {_MOST_ROWS:,} rows, {_MOST_CELLS:,} values or {_MOST_BYTES:,} "
        "bytes once it is unpacked, which no file of a run does; put back what the run wrote"
    )

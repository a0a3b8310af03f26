"""Columns of a Parquet file of a run, within bounds: run folders are handed on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from clients.errors import BadInput

__all__ = ["read_columns"]

_MOST_ROWS = 200_000_000
_MOST_CELLS = 2_000_000_000  # values of all columns that are asked for, those in lists included
_MOST_BYTES = 8 * 2**30


def read_columns(path: Path, columns: Sequence[str], schema: Any = None) -> Any:
    """Read some columns of a file as an Arrow table of one chunk.

    Args:
        path: the file.
        columns: their names.
        schema: what the columns must be, where that matters.

    Raises:
        BadInput: it is damaged, too large, or lacks a column, or one is of another type.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise BadInput(_too_large(path))
        with pq.ParquetFile(path) as file:
            _check_size(path, file.metadata, columns)
            table = file.read(columns=list(columns), use_threads=False).combine_chunks()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise BadInput(
            f"{path}: damaged, or no Parquet file ({error!s:.200}); put back what the run wrote"
        ) from None
    for name in columns:
        found = table.schema.field(name).type if name in table.column_names else None
        wanted = None if schema is None else schema.field(name).type
        if found is None or wanted not in (None, found):
            raise BadInput(
                f"{path}: column {name!r} is {found or 'missing'}"
                f"{'' if wanted is None else f'; expected {wanted}'}: put back what the run wrote"
            )
    return table


def _check_size(path: Path, metadata: Any, columns: Sequence[str]) -> None:
    """Refuse what would fill the memory, before any of it is unpacked."""
    cells = 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for place in range(group.num_columns):
            chunk = group.column(place)
            if chunk.path_in_schema.partition(".")[0] in columns:
                cells += max(chunk.num_values, 0)
    if not 0 <= metadata.num_rows <= _MOST_ROWS or cells > _MOST_CELLS:
        raise BadInput(_too_large(path))


def _too_large(path: Path) -> str:
    return (
        f"{path}: holds more than {_MOST_ROWS:,} rows, {_MOST_CELLS:,} values or {_MOST_BYTES:,} "
        "bytes, which no file of a run does; put back what the run wrote"
    )

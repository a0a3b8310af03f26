"""Records of a run as CSV, streamed: a batch of rows is in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq

from clients.errors import BadInput
from simulator.export.folders import KINDS, parquet_files, runs_of, whole
from simulator.folder.record_files import EVENTS, ROUNDS, WINDOWS

__all__ = ["write_csv"]

_SCHEMAS = dict(zip(KINDS, (WINDOWS, ROUNDS, EVENTS), strict=True))
_ROWS = 16_384  # of a batch


def write_csv(folder: Path, out: Path) -> list[Path]:
    """Write `windows.csv`, `rounds.csv` and `events.csv`; of several seeds, a folder for each.

    The columns are those of the Parquet files, in their order. A list is written as its numbers
    with blanks between them; what does not apply is an empty cell.

    Args:
        folder: of the run.
        out: where the files go.

    Returns:
        the files; of what a run has not recorded there is none.

    Raises:
        BadInput: a file is there already, or one of the run is damaged.
    """
    written = []
    for name, run in runs_of(folder).items():
        for kind, schema in _SCHEMAS.items():
            files = parquet_files(run, kind)
            if files:
                path = out / name / f"{kind}.csv"
                _write(files, path, schema)
                written.append(path)
    return written


def _write(files: list[Path], path: Path, schema: Any) -> None:
    """Write the rows of some files under each other."""
    columns = pa.schema([(field.name, _plain(field.type)) for field in schema])
    with whole(path) as unfinished, pc_csv.CSVWriter(unfinished, columns) as writer:
        for file in files:
            for batch in _batches(file):
                writer.write_table(_table(batch, columns))


def _batches(file: Path) -> Iterator[Any]:
    """Read a file batch by batch."""
    try:
        with pq.ParquetFile(file) as opened:
            yield from opened.iter_batches(batch_size=_ROWS, use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadInput(
            f"{file}: damaged, or no Parquet file ({error!s:.200}); put back what the run wrote"
        ) from None


def _table(batch: Any, columns: Any) -> Any:
    """Return a batch with all columns, of which it may lack some, in types that CSV can hold."""
    arrays = []
    for field in columns:
        place = batch.schema.get_field_index(field.name)
        if place < 0:
            arrays.append(pa.nulls(batch.num_rows, field.type))
            continue
        values = batch.column(place)
        if pa.types.is_list(values.type):
            texts = values.cast(pa.list_(pa.string()))
            values = pc.binary_join(texts, " ")
        arrays.append(values.cast(field.type))
    return pa.table(arrays, schema=columns)


def _plain(kind: Any) -> Any:
    """Return the type under which a column is written."""
    texts = pa.types.is_dictionary(kind) or pa.types.is_list(kind)
    return pa.string() if texts else kind

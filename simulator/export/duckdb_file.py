"""A run as one DuckDB file: its Parquet files as views or tables, its CSV files as tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from clients.errors import BadInput
from simulator.export.folders import KINDS, parquet_files, runs_of, whole
from simulator.report.records import read_csv

__all__ = ["write_duckdb"]

_TABLES = ("summary", "users", "tests", "fairness", "drift", "detections", "alarms")


def write_duckdb(folder: Path, path: Path, *, copy: bool) -> list[str]:
    """Write a DuckDB file.

    Args:
        folder: of the run.
        path: of the file.
        copy: whether the records are copied into it; else it has views with absolute paths, which
            hold as long as the run stays where it is.

    Returns:
        the names of its views and tables.

    Raises:
        BadInput: the file is there already, or records of the run are damaged.
    """
    import duckdb

    made = []
    with whole(path) as unfinished:
        try:
            settings: dict[str, Any] = {
                "autoinstall_known_extensions": "false"
            }  # nothing is to be downloaded
            with duckdb.connect(str(unfinished), config=settings) as file:
                for kind in KINDS:
                    query = _query(folder, kind)
                    if query:
                        file.execute(f"CREATE {'TABLE' if copy else 'VIEW'} {kind} AS {query}")
                        made.append(kind)
                made += [name for name in _TABLES if _add_table(file, folder, name)]
        except duckdb.Error as error:
            raise BadInput(
                f"{folder}: DuckDB cannot read its records ({error!s:.300}); put back what the run "
                "wrote"
            ) from None
    return made


def _query(folder: Path, kind: str) -> str:
    """Return SQL that reads the records of one kind, with the seed where there are several."""
    parts = []
    for name, run in runs_of(folder.resolve()).items():
        files = parquet_files(run, kind)
        if files:
            seed = f"{int(name.removeprefix('seed-'))} AS seed, " if name else ""
            listed = ", ".join(_literal(file) for file in files)
            options = "union_by_name = true, hive_partitioning = false"
            parts.append(f"SELECT {seed}* FROM read_parquet([{listed}], {options})")
    return " UNION ALL BY NAME ".join(parts)


def _literal(path: Path) -> str:
    """Write a path as text of SQL in which nothing is a pattern."""
    plain = "".join(f"[{c}]" if c in "[*?" else c for c in str(path))
    return "'" + plain.replace("'", "''") + "'"


def _add_table(file: Any, folder: Path, name: str) -> bool:
    """Make a table of a CSV file of the run, if it has it."""
    frame = read_csv(folder / f"{name}.csv")
    if frame.empty:
        return False
    file.register("given", pa.Table.from_pandas(frame, preserve_index=False))
    file.execute(f"CREATE TABLE {name} AS SELECT * FROM given")
    file.unregister("given")
    return True

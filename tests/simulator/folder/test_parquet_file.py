"""Parquet files of a run, whole and hostile."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clients.errors import BadInput
from simulator.folder.parquet_file import read_columns

_NAME = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema([("device", _NAME), ("round", pa.int32()), ("cells", pa.list_(pa.int32()))])
LONG = "x" * (8 * 2**20)


def shared_text(rows, text=LONG):
    """Make a column whose rows all have one text."""
    return pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([text]))


def written(path, **columns):
    pq.write_table(pa.table(columns), path, compression="zstd", store_schema=False)
    return path


def refusal(path, columns):
    """Return why a file is refused, and what was allocated to find out."""
    pool = pa.default_memory_pool()
    before = pool.max_memory()
    with pytest.raises(BadInput) as refused:
        read_columns(path, columns, SCHEMA)
    return str(refused.value), pool.max_memory() - before


@pytest.mark.parametrize("row_group_size", [2, 1000])
@pytest.mark.parametrize("store_schema", [False, True])
def test_columns_come_in_the_order_asked_for_and_names_as_dictionaries(
    tmp_path, row_group_size, store_schema
):
    path = tmp_path / "x.parquet"
    table = pa.table(
        {"cells": [[1], None, [2, 3]], "device": ["a", "b", "a"], "round": pa.array([0, 1, 2])}
    ).cast(pa.schema([SCHEMA.field(name) for name in ("cells", "device", "round")]))
    pq.write_table(table, path, row_group_size=row_group_size, store_schema=store_schema)
    found = read_columns(path, ["round", "device", "cells"], SCHEMA)
    assert found.schema.names == ["round", "device", "cells"]
    assert [found.schema.field(each.name).type for each in SCHEMA] == SCHEMA.types
    assert found.select(table.column_names).to_pylist() == table.to_pylist()
    assert {column.num_chunks for column in found.columns} == {1}


def test_text_in_a_column_of_numbers_is_refused_unread(tmp_path):
    path = written(tmp_path / "x.parquet", round=shared_text(100))
    assert path.stat().st_size < 2000
    said, taken = refusal(path, ["round"])
    assert "column 'round' is string; expected int32" in said
    assert taken < len(LONG)


def test_a_long_text_that_many_rows_share_is_refused(tmp_path):
    path = written(tmp_path / "x.parquet", device=shared_text(2000))
    said, taken = refusal(path, ["device"])
    assert "bytes once it is unpacked" in said
    assert taken < 8 * len(LONG)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"device": pa.array([b"a"])}, "column 'device' is dictionary<values=binary"),
        ({"device": pa.array([1])}, "column 'device' is int64; expected dictionary"),
        ({"round": pa.array([1])}, "column 'device' is missing; expected dictionary"),
        ({"device": pa.array([["a"]])}, "damaged, or no Parquet file"),
    ],
)
def test_a_column_of_another_type_is_refused(tmp_path, columns, said):
    path = written(tmp_path / "x.parquet", **columns)
    assert said in refusal(path, ["device"])[0]


def test_two_columns_of_a_name_are_refused(tmp_path):
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["round", "round"])
    pq.write_table(table, tmp_path / "x.parquet")
    assert "damaged" in refusal(tmp_path / "x.parquet", ["round"])[0]


def test_a_file_without_its_end_is_refused(tmp_path):
    path = written(tmp_path / "x.parquet", cells=pa.array([[1]] * 10, pa.list_(pa.int32())))
    assert read_columns(path, ["cells"], SCHEMA).num_rows == 10
    path.write_bytes(path.read_bytes()[:-200])
    assert "damaged" in refusal(path, ["cells"])[0]

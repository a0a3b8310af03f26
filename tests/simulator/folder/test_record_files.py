"""How the files of records grow, and when they have their names."""

import pyarrow.parquet as pq
import pytest

from tests.simulator.made_rounds import outcome, records_of, row, written


def many_rounds(records, devices, rounds):
    for round_ in range(rounds):
        made = outcome(*[[([0, 1], 0, [0, round_ % 3])]] * devices)
        records.add(row(round_, made, devices))


def files(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_full_row_groups_leave_memory_until_the_files_are_finished(tmp_path):
    records = records_of(tmp_path, [str(i) for i in range(500)])
    many_rounds(records, 500, 20)
    assert files(tmp_path) == [
        "rounds-cohort-00003-00000.arrow",
        "rounds-cohort-00003-00001.arrow",
        "windows-cohort-00003-00000.arrow",
    ]
    assert sorted(one.name for one in records.written) == files(tmp_path)
    records.write(20)
    assert [name for name in files(tmp_path) if not name.endswith(".arrow")] == [
        "cohort-00003.parquet"
    ] * 2
    assert written(tmp_path, "rounds").num_rows == 20 * 500


@pytest.mark.parametrize(
    ("devices", "rounds", "groups"),
    [(3, 12, [36]), (1024, 9, [4096, 4096, 1024]), (5000, 2, [5000, 5000])],
)
def test_row_groups_hold_some_thousands_of_rows(tmp_path, devices, rounds, groups):
    records = records_of(tmp_path, [str(i) for i in range(devices)])
    many_rounds(records, devices, rounds)
    records.write(rounds)
    with pq.ParquetFile(tmp_path / "rounds" / "own" / "cohort-00003.parquet") as file:
        found = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert found == groups


def test_all_row_groups_know_all_names(tmp_path):
    names = [f"p{i % 40:03d}/{i:05d}" for i in range(2000)]
    records = records_of(tmp_path, names, users=[name[:4] for name in names])
    many_rounds(records, 2000, 6)
    records.write(6)
    known = {"device": names, "user": [f"p{i:03d}" for i in range(40)]}
    for kind in ("rounds", "windows"):
        with pq.ParquetFile(tmp_path / kind / "own" / "cohort-00003.parquet") as file:
            assert file.num_row_groups > 1
            for i in range(file.num_row_groups):
                group = file.read_row_group(i).combine_chunks()
                for column, expected in known.items():
                    assert group[column].chunk(0).dictionary.to_pylist() == expected


def test_files_are_the_same_bytes_whatever_else_is_written_meanwhile(tmp_path):
    alone = records_of(tmp_path / "alone", ["a", "b"])
    many_rounds(alone, 2, 30)
    alone.write(30)
    one = records_of(tmp_path / "beside", ["a", "b"])
    other = records_of(tmp_path / "beside", [str(i) for i in range(3000)], cohort=4)
    for round_ in range(30):
        one.add(row(round_, outcome(*[[([0, 1], 0, [0, round_ % 3])]] * 2), 2))
        other.add(row(round_, outcome(*[[]] * 3000), 3000))
    other.write(30)
    one.write(30)
    for kind in ("rounds", "windows"):
        first, second = (
            (tmp_path / run / kind / "own" / "cohort-00003.parquet").read_bytes()
            for run in ("alone", "beside")
        )
        assert first == second

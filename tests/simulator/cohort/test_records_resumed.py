"""Records that go back to a checkpoint end as if nothing had happened."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.folder.arrays_file import read_arrays, write_arrays
from tests.simulator.cohort.test_records_by_chance import by_chance
from tests.simulator.made_rounds import outcome, records_of, row


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*.parquet"))
    }


def play(records, made, first, last):
    for number in range(first, last + 1):
        one = made[number - 1]
        devices = len(one.steps)
        records.add(row(number, one, devices))
        if number % 2:
            records.score(number, np.full((devices, 3, 3), number))


def gone_back(folder, names, made, saved, lost):
    """Save after a round, go on for some that are lost, and go on from what was saved."""
    records = records_of(folder, names, users=["u"] * len(names))
    play(records, made, 1, saved)
    kept = records.snapshot() | {"program/x": np.zeros(1)}
    write_arrays(folder / "kept", kept, {})
    written = records.written
    play(records, made, saved + 1, min(saved + lost, len(made)))
    again = records_of(folder, names, users=["u"] * len(names))
    again.add(row(1, made[0], len(names)))  # which must leave no trace
    again.restore(read_arrays(folder / "kept")[0], written)
    play(again, made, saved + 1, len(made))
    again.write(len(made))
    return contents(folder)


def undisturbed(folder, names, made):
    records = records_of(folder, names, users=["u"] * len(names))
    play(records, made, 1, len(made))
    records.write(len(made))
    return contents(folder)


@settings(max_examples=20)
@given(
    seed=st.integers(0, 2**32 - 1),
    devices=st.integers(1, 4),
    saved=st.integers(1, 4),
    lost=st.integers(0, 3),
)
def test_they_end_in_the_same_bytes(tmp_path_factory, seed, devices, saved, lost):
    names = [f"d{d}" for d in range(devices)]
    made = by_chance(seed, devices, 5, 2, 3)
    whole = undisturbed(tmp_path_factory.mktemp("whole"), names, made)
    assert len(whole) == 2
    assert gone_back(tmp_path_factory.mktemp("again"), names, made, saved, lost) == whole


@pytest.mark.parametrize(("saved", "lost"), [(1, 0), (3, 4), (5, 1), (6, 6), (11, 1)])
def test_they_do_where_row_groups_have_left_memory(tmp_path, saved, lost):
    names = [str(i) for i in range(1500)]
    made = [outcome(*[[([0, 1, 2, 3], 0, [0, 1, k % 3, 2])]] * 1500, batch=4) for k in range(12)]
    whole = undisturbed(tmp_path / "whole", names, made)
    (tmp_path / "again").mkdir()
    assert gone_back(tmp_path / "again", names, made, saved, lost) == whole

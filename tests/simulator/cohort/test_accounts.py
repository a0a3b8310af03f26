"""Books of what became of updates: counted, kept open, closed, and saved."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from simulator.cohort.accounts import FATES, Accounts, Underway


def accounts(*rows):
    """Make accounts of the form (row, fate, round)."""
    row, fate, round_ = np.array(rows, np.int64).reshape(-1, 3).T
    return Accounts(row, fate, np.arange(row.size) - 1, row / 8.0, round_)


def listed(some):
    return list(zip(some.row.tolist(), some.fate.tolist(), some.round_.tolist(), strict=True))


def test_updates_are_counted_by_device_and_fate():
    accepted, refused, lost = range(len(FATES))
    made = accounts((2, accepted, 1), (0, lost, 1), (2, refused, 1), (2, refused, 1))
    assert made.counted(4).tolist() == [[0, 0, 1], [0, 0, 0], [1, 2, 0], [0, 0, 0]]
    assert Accounts.empty().counted(2).tolist() == [[0, 0, 0]] * 2


def test_accounts_are_put_under_each_other_whole():
    one, other = accounts((2, 0, 1), (0, 1, 4)), accounts((5, 2, 2))
    joined = Accounts.joined(one, Accounts.empty(), other)
    assert listed(joined) == [(2, 0, 1), (0, 1, 4), (5, 2, 2)]
    assert joined.reason.tolist() == [-1, 0, -1]
    assert joined.norm.tolist() == [0.25, 0.0, 0.625]
    assert listed(joined.take(np.array([2, 0]))) == [(5, 2, 2), (2, 0, 1)]
    assert Accounts.empty().row.dtype == Accounts.empty().round_.dtype == np.int64


def test_accounts_are_closed_in_the_round_that_they_are_of_and_in_order_of_devices():
    underway = Underway()
    assert listed(underway.close(1, accounts((3, 0, 1), (1, 0, 3), (0, 2, 1)))) == [
        (0, 2, 1),
        (3, 0, 1),
    ]
    assert listed(underway.close(2, Accounts.empty())) == []
    closed = underway.close(3, accounts((2, 1, 3), (1, 1, 3), (1, 0, 4)))
    # Those that were sent earlier come first.
    assert listed(closed) == [(1, 0, 3), (1, 1, 3), (2, 1, 3)]
    assert listed(underway.close(4, Accounts.empty())) == [(1, 0, 4)]


some = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(1, 6)), max_size=6)


@given(st.lists(some, min_size=1, max_size=6), st.integers(0, 5))
def test_everything_is_closed_once_also_where_books_are_saved_between(tmp_path_factory, days, when):
    path = tmp_path_factory.mktemp("books") / "underway"
    underway, closed, wanted = Underway(), [], []
    for number in range(1, 7):
        sent = [(r, f, max(w, number)) for r, f, w in (days[number - 1 :] or [[]])[0]]
        wanted += sent
        done = underway.close(number, accounts(*sent))
        assert all(round_ == number for *_, round_ in listed(done))
        closed += listed(done)
        if number == when:
            save_file(underway.snapshot(), path)
            underway = Underway()
            underway.restore(load_file(path))
    assert sorted(closed) == sorted(wanted)

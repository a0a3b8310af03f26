"""Windows -> bouts -> questions."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from clients.pool import Pool
from clients.stream import cut_questions, deal_streams
from clients.windows import Windows

HOP = 10
ORDERS = ["recorded", "bouts", "shuffled"]


def pool_of(*users):
    """Make a pool; a user is a list of (recording, label, first start, count, first time).

    Windows of one span follow one another. Each user has one held-out window behind the others.
    """
    rows, streamed, holdout = [], [], []
    for user, spans in enumerate(users):
        first = len(rows)
        rows += [
            (10 * user + recording, start + HOP * i, label, time_s + i)
            for recording, label, start, count, time_s in spans
            for i in range(count)
        ]
        streamed.append([first, len(rows)])
        holdout.append([len(rows), len(rows) + 1])
        rows.append((10 * user, 10**6, 0, 10.0**6))
    recording, start, label, time_s = (list(column) for column in zip(*rows, strict=True))
    starts = np.array(start, np.int64)
    windows = Windows(
        np.array(recording, np.int32),
        starts,
        np.array(label, np.int32),
        np.array(time_s, np.float64),
        starts,
        starts + HOP,
        HOP,
        HOP,
        float(HOP),
    )
    names = tuple(f"user {i}" for i in range(len(users)))
    nothing = np.zeros((1, 3), np.float32)
    return Pool(names, nothing, windows, np.array(streamed), np.array(holdout))


def table_of(pool, order, *, bout_windows=4, batch=2, hop=HOP, **more):
    windows = replace(pool.windows, hop=hop, rate_hz=float(hop))
    pool = replace(pool, windows=windows)
    return cut_questions(pool, order=order, bout_windows=bout_windows, batch=batch, **more)


def stream_of(spans, order, *, seed=0, device=0, **cut):
    """Deal the stream of one device of the only user."""
    table = table_of(pool_of(spans), order, **cut)
    return deal_streams(table, seed, np.array([device]), np.array([0]))


def asked(streams, row=0):
    """Give a device's questions in the order in which they reach it, each the windows of it."""
    table = streams.table
    return [
        list(range(table.first[q], table.first[q] + table.count[q]))
        for q in streams.questions[row].tolist()
        if q >= 0
    ]


# Recording 0 holds windows at 0-40 (the pool's 0-4), a gap, 100-120 (5-7); recording 1 (8-11)
# lies between them in time.
MORNING = [(0, 0, 0, 5, 0.0), (0, 0, 100, 3, 500.0), (1, 1, 0, 4, 200.0)]


def test_recorded_order_is_the_order_of_time():
    streams = stream_of(MORNING, "recorded")
    # Questions of two, cut anew within each bout: 2+2+1, 2+2, 2+1.
    assert asked(streams) == [[0, 1], [2, 3], [4], [8, 9], [10, 11], [5, 6], [7]]
    assert streams.table.label[streams.questions[0]].tolist() == [0, 0, 0, 1, 1, 0, 0]
    assert streams.lengths().tolist() == streams.table.of_user().tolist() == [7]


def test_recorded_order_needs_no_chance():
    first, second, third = (
        stream_of(MORNING, "recorded", seed=seed, device=device)
        for seed, device in [(1, 0), (2, 0), (1, 9)]
    )
    assert asked(first) == asked(second) == asked(third)


def test_bouts_come_whole_in_random_order():
    streams = stream_of([(0, 0, 0, 40, 0.0), (1, 1, 0, 40, 100.0)], "bouts", batch=4)
    # Both runs divide into ten bouts of four, each of them one question here.
    whole = [list(range(first, first + 4)) for first in range(0, 80, 4)]
    assert sorted(asked(streams)) == whole
    assert asked(streams) != whole


def test_the_questions_of_a_bout_reach_the_device_one_after_the_other():
    # Bouts of seven, seven and four windows: questions of 3+3+1, 3+3+1, 3+1.
    streams = stream_of([(0, 0, 0, 18, 0.0)], "bouts", bout_windows=7, batch=3)
    bouts = [[0, 1, 2], [3, 4, 5], [6]], [[7, 8, 9], [10, 11, 12], [13]], [[14, 15, 16], [17]]
    left = asked(streams)
    while left:
        bout = next(bout for bout in bouts if bout[0] == left[0])
        assert left[: len(bout)] == bout
        left = left[len(bout) :]


def test_shuffled_windows_are_questions_of_their_own():
    streams = stream_of([(0, 0, 0, 60, 0.0)], "shuffled", batch=8)
    assert sorted(asked(streams)) == [[window] for window in range(60)]
    assert asked(streams) != sorted(asked(streams))


@pytest.mark.parametrize("order", ["bouts", "shuffled"])
def test_random_orders_depend_on_seed_and_device_alone(order):
    spans = [(0, 0, 0, 60, 0.0)]
    once, again, later, other = (
        asked(stream_of(spans, order, seed=seed, device=device))
        for seed, device in [(1, 5), (1, 5), (2, 5), (1, 6)]
    )
    assert once == again
    assert sorted(once) == sorted(later) == sorted(other)
    assert once != later != other != once


def test_every_order_of_bouts_is_as_likely():
    table = table_of(pool_of([(0, 0, 0, 3, 0.0)]), "bouts", bout_windows=1)
    devices = np.arange(6000)
    streams = deal_streams(table, 11, devices, np.zeros(6000, np.int64))
    found = Counter(map(tuple, streams.questions.tolist()))
    assert len(found) == 6
    assert stats.chisquare(list(found.values())).pvalue > 1e-4


def test_windows_that_overlap_follow_one_another_at_their_hop():
    overlapping = [(0, 0, 0, 4, 0.0)]
    assert asked(stream_of(overlapping, "recorded", batch=4)) == [[0, 1, 2, 3]]
    assert asked(stream_of(overlapping, "recorded", batch=4, hop=5)) == [[0], [1], [2], [3]]


def test_a_round_holds_the_next_questions_and_the_last_may_hold_fewer():
    streams = stream_of([(0, 3, 0, 9, 0.0)], "recorded", batch=2)
    rounds = [streams.in_round(round_, 2) for round_ in (1, 2, 3, 4)]
    assert [windows[0].tolist() for windows, _ in rounds] == [
        [[0, 1], [2, 3]],
        [[4, 5], [6, 7]],
        [[8, -1], [-1, -1]],
        [[-1, -1], [-1, -1]],
    ]
    assert [label[0].tolist() for _, label in rounds] == [[3, 3], [3, 3], [3, -1], [-1, -1]]
    assert {(windows.dtype, label.dtype) for windows, label in rounds} == {
        (np.dtype(np.int32),) * 2
    }


def test_a_round_of_many_devices_is_filled_up_where_a_stream_is_shorter():
    # User 0 has five windows and user 1 two; there is a held-out window behind each's.
    pool = pool_of([(0, 1, 0, 5, 0.0)], [(0, 2, 0, 2, 0.0)])
    streams = deal_streams(
        table_of(pool, "recorded", batch=3), 7, np.array([0, 1, 3]), np.array([0, 1, 1])
    )
    assert streams.questions.tolist() == [[0, 1], [2, -1], [2, -1]]
    assert streams.lengths().tolist() == [2, 1, 1]
    windows, label = streams.in_round(1, 3)
    none = [-1, -1, -1]
    assert windows.tolist() == [[[0, 1, 2], [3, 4, -1], none], *[[[6, 7, -1], none, none]] * 2]
    assert label.tolist() == [[1, 1, -1], [2, -1, -1], [2, -1, -1]]
    taken = streams.take([2, 0])
    assert [part.tolist() for part in taken.in_round(1, 3)] == [
        windows[[2, 0]].tolist(),
        label[[2, 0]].tolist(),
    ]


@pytest.mark.parametrize("order", ORDERS)
def test_no_windows_make_a_stream_without_questions(order):
    streams = stream_of([], order)
    assert streams.lengths().tolist() == [0]
    windows, label = streams.in_round(1, 2)
    assert (windows == -1).all()
    assert (label == -1).all()
    assert (windows.shape, label.shape) == ((1, 2, 2), (1, 2))


@pytest.mark.parametrize("order", ORDERS)
def test_a_user_without_windows_has_no_questions_beside_others_who_have(order):
    pool = pool_of([(0, 0, 0, 3, 0.0)], [], [(0, 1, 0, 2, 0.0)])
    table = table_of(pool, order, batch=8)
    assert table.of_user().tolist() == ([3, 0, 2] if order == "shuffled" else [1, 0, 1])
    streams = deal_streams(table, 7, np.arange(3), np.arange(3))
    assert asked(streams, 1) == []
    windows = [
        sorted(window for question in asked(streams, d) for window in question) for d in (0, 2)
    ]
    # There is a held-out window behind each user's.
    assert windows == [[0, 1, 2], [5, 6]]


SPANS = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 12)), max_size=6).map(
    lambda runs: [
        (recording, recording % 2, 1000 * place, count, 37.0 * ((place * 5) % 7))
        for place, (recording, count) in enumerate(sorted(runs))
    ]
)
USERS = st.lists(SPANS, min_size=1, max_size=3).filter(any)


@pytest.mark.parametrize("order", ORDERS)
@given(users=USERS, bout=st.integers(1, 9), batch=st.integers(1, 9), per_round=st.integers(1, 4))
def test_questions_hold_each_streamed_window_once_and_follow_one_another_in_one_recording(
    order, users, bout, batch, per_round
):
    pool = pool_of(*users)
    table = table_of(pool, order, bout_windows=bout, batch=batch)
    devices = np.arange(len(users))
    streams = deal_streams(table, 7, devices, devices)
    for user, (first, stop) in enumerate(pool.streamed):
        questions = asked(streams, user)
        assert sorted(window for question in questions for window in question) == [
            *range(first, stop)
        ]
        assert len(questions) == table.of_user()[user]
        for place, question in enumerate(questions):
            held = pool.windows.take(question)
            assert 1 <= len(held) <= batch
            assert len(set(held.recording.tolist())) == 1
            assert set(held.label.tolist()) == {table.label[streams.questions[user, place]]}
            assert (np.diff(held.start) == HOP).all()
        reached = []
        for round_ in range(1, len(questions) // per_round + 3):
            windows, label = (part[user] for part in streams.in_round(round_, per_round))
            reached += [[w for w in question if w >= 0] for question in windows.tolist()]
            assert ((label >= 0) == (windows[:, 0] >= 0)).all()
        assert [question for question in reached if question] == questions


@pytest.mark.parametrize("order", ORDERS)
@given(
    users=USERS,
    whose=st.lists(st.tuples(st.integers(0, 99), st.integers(0, 2)), min_size=1, max_size=8),
)
def test_dealing_to_many_devices_is_dealing_to_each_alone(order, users, whose):
    table = table_of(pool_of(*users), order, bout_windows=3, batch=2)
    devices = np.array([device for device, _ in whose], np.int64)
    owners = np.array([user % len(users) for _, user in whose], np.int64)
    together = deal_streams(table, 7, devices, owners)
    assert together.questions.shape[1] == table.of_user()[owners].max()
    for row in range(len(whose)):
        alone = deal_streams(table, 7, devices[[row]], owners[[row]])
        own = alone.questions[0].tolist()
        filled = own + [-1] * (together.questions.shape[1] - len(own))
        assert together.questions[row].tolist() == filled


@pytest.mark.parametrize("order", ["recorded", "bouts"])
def test_a_bout_ends_at_a_time_gap_even_where_samples_lie_side_by_side(order):
    # One recording, two segments whose samples follow one another; sitting lies between in time.
    spans = [(0, 0, 0, 2, 0.0), (0, 0, 2 * HOP, 2, 500.0), (1, 1, 0, 2, 100.0)]
    streams = stream_of(spans, order, batch=8, bout_windows=8)
    assert sorted(asked(streams)) == [[0, 1], [2, 3], [4, 5]]
    if order == "recorded":
        assert asked(streams) == [[0, 1], [4, 5], [2, 3]]


def test_questions_that_are_too_short_are_left_out_and_counted():
    streams = stream_of(MORNING, "recorded", least=2)
    assert asked(streams) == [[0, 1], [2, 3], [8, 9], [10, 11], [5, 6]]
    assert streams.table.left_out.tolist() == [2]
    assert streams.table.label[streams.questions[0]].tolist() == [0, 0, 1, 1, 0]
    assert stream_of(MORNING, "recorded").table.left_out.tolist() == [0]


def test_bouts_without_a_question_that_is_long_enough_are_none():
    # Bouts of eight, eight and four windows: questions of 5+3, 5+3, 4.
    streams = stream_of([(0, 0, 0, 20, 0.0)], "bouts", bout_windows=8, batch=5, least=4)
    assert sorted(asked(streams)) == [[0, 1, 2, 3, 4], [8, 9, 10, 11, 12], [16, 17, 18, 19]]
    fixed = stream_of([(0, 0, 0, 20, 0.0)], "bouts", bout_windows=8, batch=5, least=5)
    assert sorted(asked(fixed)) == [[0, 1, 2, 3, 4], [8, 9, 10, 11, 12]]
    assert (len(fixed.table.bouts), fixed.table.left_out.tolist()) == (2, [3])


@pytest.mark.parametrize("order", ORDERS)
def test_users_without_a_question_that_is_long_enough_have_none_beside_others_who_have(order):
    pool = pool_of([(0, 0, 0, 2, 0.0)], [(0, 1, 0, 5, 0.0)], [])
    table = table_of(pool, order, batch=4, least=3)
    # Single windows in random order are always too few.
    counts = [0, 0, 0] if order == "shuffled" else [0, 1, 0]
    assert table.of_user().tolist() == counts
    assert table.left_out.tolist() == ([2, 5, 0] if order == "shuffled" else [1, 1, 0])
    streams = deal_streams(table, 7, np.arange(3), np.arange(3))
    assert streams.lengths().tolist() == counts


@pytest.mark.parametrize("order", ORDERS)
@given(users=USERS, bout=st.integers(1, 9), batch=st.integers(1, 9), least=st.integers(1, 9))
def test_leaving_out_short_questions_leaves_all_others_as_they_are(
    order, users, bout, batch, least
):
    pool, cut = pool_of(*users), {"bout_windows": bout, "batch": batch}
    every, table = table_of(pool, order, **cut), table_of(pool, order, least=least, **cut)
    long = every.count >= least
    for column in ("first", "count", "label"):
        assert getattr(table, column).tolist() == getattr(every, column)[long].tolist()
    assert (table.of_user() + table.left_out).tolist() == every.of_user().tolist()
    assert table.left_out.sum() == (~long).sum()
    # A bout is what is left of one; those of which nothing is left are gone.
    bouts = [np.flatnonzero(long[first : first + count]) for first, count in every.bouts.tolist()]
    assert table.bouts[:, 1].tolist() == [left.size for left in bouts if left.size]
    assert table.bouts[:, 0].tolist() == (np.cumsum(table.bouts[:, 1]) - table.bouts[:, 1]).tolist()
    devices = np.arange(len(users))
    streams, whole = (deal_streams(one, 7, devices, devices) for one in (table, every))
    for user in devices:
        kept = [question for question in asked(whole, user) if len(question) >= least]
        if order == "recorded":
            assert asked(streams, user) == kept
        assert sorted(asked(streams, user)) == sorted(kept)

"""Windows -> bouts -> questions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.stream import build_stream
from clients.windows import Windows

HOP = 10


def windows_of(spans):
    """Make windows of (recording, label, first start, count, first time); a gap between spans."""
    rows = [
        (recording, start + HOP * i, label, time_s + i)
        for recording, label, start, count, time_s in spans
        for i in range(count)
    ]
    recording, start, label, time_s = (list(column) for column in zip(*rows, strict=True))
    return Windows(
        np.array(recording, np.int32),
        np.array(start, np.int64),
        np.array(label, np.int32),
        np.array(time_s, np.float64),
        HOP,
    )


def stream_of(windows, order, *, bout_windows=4, batch=2, seed=0, hop=HOP):
    return build_stream(
        windows,
        order=order,
        hop=hop,
        hop_s=1.0,
        bout_windows=bout_windows,
        batch=batch,
        random=np.random.default_rng(seed),
    )


def identities(windows):
    return list(zip(windows.recording.tolist(), windows.start.tolist(), strict=True))


# Recording 0 holds windows at 0-40, a gap, 100-120; recording 1 lies between them in time.
MORNING = [(0, 0, 0, 5, 0.0), (0, 0, 100, 3, 500.0), (1, 1, 0, 4, 200.0)]


def test_recorded_order_is_the_order_of_time():
    stream = stream_of(windows_of(MORNING), "recorded")
    assert identities(stream.windows) == [
        *[(0, 0), (0, 10), (0, 20), (0, 30), (0, 40)],
        *[(1, 0), (1, 10), (1, 20), (1, 30)],
        *[(0, 100), (0, 110), (0, 120)],
    ]
    # Questions of two, cut anew within each bout: 2+2+1, 2+2, 2+1.
    assert np.diff(stream.starts).tolist() == [2, 2, 1, 2, 2, 2, 1]
    assert [stream.label(q) for q in range(len(stream))] == [0, 0, 0, 1, 1, 0, 0]


def test_recorded_order_needs_no_chance():
    windows = windows_of(MORNING)
    first, second = (stream_of(windows, "recorded", seed=seed) for seed in (1, 2))
    assert identities(first.windows) == identities(second.windows)


def test_bouts_come_whole_in_random_order():
    windows = windows_of([(0, 0, 0, 40, 0.0), (1, 1, 0, 40, 100.0)])
    stream = stream_of(windows, "bouts", bout_windows=4, batch=4)
    # Both runs divide into ten bouts of four, each of them one question here.
    assert np.diff(stream.starts).tolist() == [4] * 20
    bouts = [identities(stream.windows.take(stream.positions(q))) for q in range(20)]
    whole = [[(r, HOP * (4 * b + i)) for i in range(4)] for r in (0, 1) for b in range(10)]
    assert sorted(bouts) == whole
    assert bouts != whole


def test_shuffled_windows_are_questions_of_their_own():
    stream = stream_of(windows_of([(0, 0, 0, 60, 0.0)]), "shuffled", batch=8)
    assert np.diff(stream.starts).tolist() == [1] * 60
    starts = stream.windows.start.tolist()
    assert sorted(starts) == list(range(0, 600, 10))
    assert starts != sorted(starts)


def test_random_orders_depend_on_the_generator_alone():
    windows = windows_of([(0, 0, 0, 60, 0.0)])
    for order in ("bouts", "shuffled"):
        once, again, other = (stream_of(windows, order, seed=seed) for seed in (1, 1, 2))
        assert identities(once.windows) == identities(again.windows)
        assert identities(once.windows) != identities(other.windows)


def test_windows_that_overlap_follow_one_another_at_their_hop():
    overlapping = windows_of([(0, 0, 0, 4, 0.0)])
    assert len(stream_of(overlapping, "recorded", batch=4)) == 1
    assert len(stream_of(overlapping, "recorded", batch=4, hop=5)) == 4


def test_a_round_holds_the_next_questions_and_the_last_may_hold_fewer():
    stream = stream_of(windows_of([(0, 0, 0, 10, 0.0)]), "recorded", batch=2)
    assert [list(stream.questions(r, 2)) for r in range(1, 6)] == [[0, 1], [2, 3], [4], [], []]


def test_no_windows_make_a_stream_without_questions():
    nothing = windows_of([(0, 0, 0, 1, 0.0)]).take([])
    for order in ("recorded", "bouts", "shuffled"):
        stream = stream_of(nothing, order)
        assert len(stream) == 0
        assert list(stream.questions(1, 2)) == []


SPANS = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 12)), min_size=1, max_size=6).map(
    lambda runs: [
        (recording, recording % 2, 1000 * place, count, 37.0 * ((place * 5) % 7))
        for place, (recording, count) in enumerate(sorted(runs))
    ]
)


@pytest.mark.parametrize("order", ["recorded", "bouts", "shuffled"])
@given(spans=SPANS, bout=st.integers(1, 9), batch=st.integers(1, 9), per_round=st.integers(1, 4))
def test_questions_hold_each_window_once_and_consecutive_windows_of_one_recording(
    order, spans, bout, batch, per_round
):
    windows = windows_of(spans)
    stream = stream_of(windows, order, bout_windows=bout, batch=batch)
    assert sorted(identities(stream.windows)) == sorted(identities(windows))
    assert (stream.starts[0], stream.starts[-1]) == (0, len(windows))
    for question in range(len(stream)):
        held = stream.windows.take(stream.positions(question))
        assert 1 <= len(held) <= batch
        assert len(set(held.recording.tolist())) == 1
        assert set(held.label.tolist()) == {stream.label(question)}
        assert (np.diff(held.start) == HOP).all()
    rounds = range(1, len(stream) // per_round + 3)
    asked = [q for r in rounds for q in stream.questions(r, per_round)]
    assert asked == list(range(len(stream)))


@pytest.mark.parametrize("order", ["recorded", "bouts"])
def test_a_bout_ends_at_a_time_gap_even_where_samples_lie_side_by_side(order):
    # One recording, two segments whose samples follow one another; sitting lies between in time.
    spans = [(0, 0, 0, 2, 0.0), (0, 0, 2 * HOP, 2, 500.0), (1, 1, 0, 2, 100.0)]
    stream = stream_of(windows_of(spans), order, batch=8, bout_windows=8)
    for question in range(len(stream)):
        times = stream.windows.time_s[stream.positions(question)]
        assert np.ptp(times) < 2.0
    if order == "recorded":
        assert np.all(np.diff(stream.windows.time_s) > 0)

"""All windows of all users in one place."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.errors import BadInput
from clients.pool import build_pool, spans
from clients.stream import cut_questions
from clients.windows import cut_windows, split_at
from tests.clients.made_people import ACTIVITIES, PEOPLE, people_of

every_cut = given(
    people=PEOPLE,
    length=st.integers(1, 12),
    hop=st.integers(1, 12),
    holdout=st.sampled_from([0.0, 0.25, 0.5, 0.9]),
)


def pool_of(people, *, length=4, hop=4, holdout=0.0):
    return build_pool(people, ACTIVITIES, length=length, hop=hop, holdout=holdout)


def by_hand(people, length, hop, holdout):
    """Cut everybody's parts by plain loops: (user, part) -> [(samples, label, time), ...]."""
    cut = {}
    for user, own in people.items():
        for part in ("streamed", "holdout"):
            found = cut[user, part] = []
            for recording in own:
                split, count = split_at(recording, holdout), len(recording.samples)
                first, stop = (0, split) if part == "streamed" else (split, count)
                ends = [*recording.segment_starts[1:], count]
                for begin, end, time_s in zip(
                    recording.segment_starts, ends, recording.segment_times_s, strict=True
                ):
                    start, last = max(begin, first), min(end, stop) - length
                    while start <= last:
                        samples = recording.samples[start : start + length].tolist()
                        label = ACTIVITIES.index(recording.activity)
                        since_s = time_s + (start - begin) / recording.rate_hz
                        found.append((samples, label, pytest.approx(since_s)))
                        start += hop
    return cut


def parts_of(pool):
    """Give (user, part, numbers of its windows) in the order in which they lie in the pool."""
    for number, user in enumerate(pool.users):
        for part in ("streamed", "holdout"):
            first, stop = getattr(pool, part)[number]
            yield user, part, np.arange(first, stop, dtype=np.int32)


@every_cut
def test_reading_a_users_windows_is_slicing_the_users_recordings(people, length, hop, holdout):
    pool = pool_of(people, length=length, hop=hop, holdout=holdout)
    expected = by_hand(people, length, hop, holdout)
    assert (pool.users, pool.length, pool.channels) == (tuple(people), length, 3)
    for user, part, windows in parts_of(pool):
        cut = pool.windows.take(windows)
        read = [x.tolist() for x in pool.read(windows)]
        found = list(zip(read, cut.label.tolist(), cut.time_s.tolist(), strict=True))
        assert found == expected[user, part]


@every_cut
def test_windows_lie_side_by_side_each_in_one_part_of_one_user(people, length, hop, holdout):
    pool = pool_of(people, length=length, hop=hop, holdout=holdout)
    numbers = np.concatenate([windows for _, _, windows in parts_of(pool)])
    assert numbers.tolist() == list(range(len(pool.windows)))
    assert (pool.streamed.dtype, pool.holdout.dtype) == (np.int64, np.int64)


@every_cut
def test_windows_lie_in_their_users_own_recordings(people, length, hop, holdout):
    pool = pool_of(people, length=length, hop=hop, holdout=holdout)
    for user, _, windows in parts_of(pool):
        read, cut = pool.read(windows), pool.windows.take(windows)
        # Samples hold (user, class, place in the recording).
        assert (read[..., 0] == float(user)).all()
        assert (read[..., 1] == cut.label[:, None]).all()
        assert (np.diff(read[..., 2], axis=1) == 1.0).all()
        starts = np.cumsum([0, *(len(r.samples) for own in people.values() for r in own)])
        assert (read[:, 0, 2] == cut.start - starts[cut.recording]).all()


@given(
    people=PEOPLE,
    length=st.integers(1, 6),
    batch=st.integers(1, 6),
    least=st.integers(1, 6),
)
def test_questions_of_a_span_are_those_of_the_users_own_windows(people, length, batch, least):
    pool = pool_of(people, length=length, hop=length, holdout=0.4)
    for bounds, part in ((pool.streamed, "stream"), (pool.holdout, "holdout")):
        for (first, stop), own in zip(bounds.tolist(), people.values(), strict=True):
            cut = {"length": length, "hop": length, "holdout": 0.4, "part": part}
            windows = cut_windows(own, ACTIVITIES, **cut)
            expected = windows.questions(batch, least)
            questions = pool.questions_between(first, stop, batch, least)
            assert [q.tolist() for q in questions] == [(first + q).tolist() for q in expected]
            assert {q.dtype for q in questions} <= {np.dtype(np.int32)}
            for question in questions:
                assert least <= len(question) <= batch
                # Samples hold (user, class, place in the recording), and follow one another.
                rows = pool.read(question).reshape(-1, 3)
                assert (rows[:, :2] == rows[0, :2]).all()
                assert (np.diff(rows[:, 2]) == 1.0).all()


def test_questions_begin_anew_at_gaps_recordings_and_users():
    pool = pool_of(people_of([[3, 2], [4]], [[5]]), length=1, hop=1)
    both = [pool.questions_between(*pool.streamed[user].tolist(), 2) for user in (0, 1)]
    one, two = ([q.tolist() for q in questions] for questions in both)
    assert one == [[0, 1], [2], [3, 4], [5, 6], [7, 8]]
    assert two == [[9, 10], [11, 12], [13]]
    assert [q.tolist() for q in pool.questions_between(1, 7, 4, 2)] == [[1, 2], [3, 4], [5, 6]]
    assert pool.questions_between(4, 4, 2) == []


@every_cut
def test_what_is_streamed_and_what_is_held_out_share_no_sample(people, length, hop, holdout):
    pool = pool_of(people, length=length, hop=hop, holdout=holdout)
    used = {"streamed": set(), "holdout": set()}
    for _, part, windows in parts_of(pool):
        samples = pool.windows.start[windows][:, None] + np.arange(length)
        used[part] |= set(samples.ravel().tolist())
    assert not used["streamed"] & used["holdout"]


@every_cut
def test_bounds_are_those_of_the_segment_and_the_part_around_a_window(people, length, hop, holdout):
    pool = pool_of(people, length=length, hop=hop, holdout=holdout)
    rows = {}  # a segment's part in the pool's samples, by its first one
    first = 0
    for recording in (recording for own in people.values() for recording in own):
        count = len(recording.samples)
        split = first + split_at(recording, holdout)
        for begin, end in zip(
            recording.segment_starts, [*recording.segment_starts[1:], count], strict=True
        ):
            inner = sorted({first + int(begin), min(max(split, first + begin), first + end)})
            for low, high in zip(inner, [*inner[1:], first + int(end)], strict=True):
                rows |= dict.fromkeys(range(int(low), int(high)), (int(low), int(high)))
        first += count
    cut = pool.windows
    for start, low, high in zip(
        cut.start.tolist(), cut.low.tolist(), cut.high.tolist(), strict=True
    ):
        assert (low, high) == rows[start]
        assert low <= start <= start + length <= high


def test_bounds_count_the_samples_of_all_who_lie_before():
    # Person 1 has 6 + 4 samples, person 2 a recording of 3 and one of 8 + 4; half is held out.
    pool = pool_of(people_of([[6, 4]], [[3], [8, 4]]), length=2, hop=2, holdout=0.5)
    cut = pool.windows
    found = list(zip(cut.start.tolist(), cut.low.tolist(), cut.high.tolist(), strict=True))
    # Person 1: streamed 0-4; held out 5 alone, and 6-9.
    one = [(0, 0, 5), (2, 0, 5)], [(6, 6, 10), (8, 6, 10)]
    # Person 2: recordings at 10 and 13; round(1.5) = 2 of three samples are held out, and six of
    # twelve: streamed 10, and 13-18; held out 11-12, 19-20, and 21-24.
    two = [(13, 13, 19), (15, 13, 19), (17, 13, 19)]
    held = [(11, 11, 13), (19, 19, 21), (21, 21, 25), (23, 21, 25)]
    assert found == [*one[0], *one[1], *two, *held]
    assert pool.streamed.tolist() == [[0, 2], [4, 7]]
    assert pool.holdout.tolist() == [[2, 4], [7, 11]]
    assert cut.recording.tolist() == [0] * 4 + [2] * 3 + [1] + [2] * 3


def test_one_sample_more_lies_behind_all_recordings():
    pool = pool_of(people_of([[6]], [[5]]))
    assert pool.samples.shape == (12, 3)
    assert pool.samples.dtype == np.float32


def test_a_user_without_windows_keeps_a_place():
    pool = pool_of(people_of([[8]], [[3]], [[4]]))
    assert pool.users == ("1", "2", "3")
    assert pool.streamed.tolist() == [[0, 2], [2, 2], [3 - 1, 3]]


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 1, 3, 2)])
def test_windows_are_read_in_whatever_shape_they_are_asked_for(shape):
    pool = pool_of(people_of([[40], [20]]))
    windows = np.random.default_rng(1).integers(len(pool.windows), size=shape).astype(np.int32)
    read = pool.read(windows)
    assert (read.shape, read.dtype) == ((*shape, 4, 3), np.float32)
    for place in np.ndindex(*shape):
        start = pool.windows.start[windows[place]]
        assert read[place].tolist() == pool.samples[start : start + 4].tolist()


def test_nothing_is_read_from_people_who_have_less_than_a_window():
    pool = pool_of(people_of([[1]]))
    assert pool.read(np.zeros(0, np.int32)).shape == (0, 4, 3)


def test_spans_are_a_view_that_cannot_be_written():
    samples = np.arange(12, dtype=np.float32).reshape(6, 2)
    view = spans(samples, 4)
    assert view.tolist() == [samples[i : i + 4].tolist() for i in range(3)]
    assert np.shares_memory(view, samples)
    assert not view.flags.writeable


@given(people=PEOPLE, length=st.integers(1, 6), seed=st.integers(0, 2**32))
def test_a_holdout_by_chance_shares_no_sample_with_what_is_streamed(people, length, seed):
    cut = {"length": length, "hop": length, "holdout": 0.3}
    pool = build_pool(people, ACTIVITIES, **cut, holdout_by="chance", seed=seed)
    everything = pool_of(people, length=length, hop=length)
    samples = {}
    for user, part, windows in parts_of(pool):
        used = pool.windows.start[windows][:, None] + np.arange(length)
        samples.setdefault(part, set()).update(used.ravel().tolist())
        assert (pool.read(windows)[..., 0] == float(user)).all()
    assert not samples["streamed"] & samples["holdout"]
    assert len(pool.windows) == len(everything.windows)
    assert sorted(pool.windows.start.tolist()) == sorted(everything.windows.start.tolist())


@pytest.mark.parametrize("order", ["recorded", "bouts"])
def test_no_bout_runs_over_a_window_that_is_held_out_by_chance(order):
    people = people_of([[200], [90, 60]], [[120]])
    cut = {"length": 4, "hop": 4, "holdout": 0.3, "holdout_by": "chance", "seed": 4}
    pool = build_pool(people, ACTIVITIES, **cut)
    table = cut_questions(pool, order=order, bout_windows=3, batch=2)
    held = {
        (int(pool.windows.recording[window]), int(pool.windows.start[window]))
        for first, stop in pool.holdout.tolist()
        for window in range(first, stop)
    }
    assert held
    for question, count in table.bouts.tolist():
        first = int(table.first[question])
        last = int(table.first[question + count - 1] + table.count[question + count - 1]) - 1
        starts = pool.windows.start[first : last + 1]
        assert (np.diff(starts) == 4).all()
        recording = int(pool.windows.recording[first])
        assert not held & {(recording, int(start)) for start in starts}


def test_windows_that_overlap_are_never_held_out_by_chance():
    people = people_of([[20]])
    with pytest.raises(BadInput, match=r"windows of 4 samples every 2.*leaks"):
        build_pool(people, ACTIVITIES, length=4, hop=2, holdout=0.3, holdout_by="chance")
    pool = build_pool(people, ACTIVITIES, length=4, hop=5, holdout=0.5, holdout_by="chance")
    assert len(pool.windows) == 4

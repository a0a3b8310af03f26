"""Split first, then windows."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.recordings import Recording
from clients.windows import cut_windows, draw_holdout, read_windows, split_at

ACTIVITIES = ("walking", "sitting")


def record(sizes, activity="walking", rate_hz=10.0, times_s=None, first=0):
    """Make a recording with segments of given sizes whose samples count from `first`."""
    count = sum(sizes)
    starts = np.cumsum([0, *sizes[:-1]])
    return Recording(
        user="1",
        activity=activity,
        rate_hz=rate_hz,
        samples=(first + np.arange(3 * count, dtype=np.float32)).reshape(count, 3),
        segment_starts=starts.astype(np.int64),
        segment_times_s=np.array(times_s or 100.0 * np.arange(len(sizes)), np.float64),
    )


def test_windows_of_one_segment_start_a_hop_apart():
    windows = cut_windows([record([10])], ACTIVITIES, length=4, hop=3)
    assert windows.start.tolist() == [0, 3, 6]
    assert windows.label.tolist() == [0, 0, 0]
    assert windows.length == 4
    assert (windows.recording.dtype, windows.start.dtype) == (np.int32, np.int64)
    assert (windows.label.dtype, windows.time_s.dtype) == (np.int32, np.float64)


def test_windows_overlap_where_the_hop_is_smaller_than_the_length():
    windows = cut_windows([record([7])], ACTIVITIES, length=4, hop=1)
    assert windows.start.tolist() == [0, 1, 2, 3]


def test_a_window_never_spans_the_start_of_a_segment():
    windows = cut_windows([record([5, 3, 8])], ACTIVITIES, length=4, hop=4)
    # Segments hold 0-4, 5-7 (too short) and 8-15; each begins its own windows.
    assert windows.start.tolist() == [0, 8, 12]


def test_a_window_starts_at_its_segments_time_plus_its_place_in_it():
    recording = record([5, 8], rate_hz=20.0, times_s=[3.0, 60.0])
    windows = cut_windows([recording], ACTIVITIES, length=4, hop=4)
    assert windows.start.tolist() == [0, 5, 9]
    assert windows.time_s.tolist() == [3.0, 60.0, 60.2]


def test_a_window_never_spans_two_activities():
    recordings = [record([6], "sitting"), record([6], "walking")]
    windows = cut_windows(recordings, ACTIVITIES, length=4, hop=2)
    assert windows.recording.tolist() == [0, 0, 1, 1]
    assert windows.label.tolist() == [1, 1, 0, 0]
    assert windows.start.tolist() == [0, 2, 0, 2]


def test_the_holdout_is_the_last_part_of_each_recording():
    # 30% of 20 samples are 6: the stream ends at 14, where the holdout's own windows begin.
    recording = record([20])
    assert split_at(recording, 0.3) == 14
    cut = {"length": 4, "hop": 4, "holdout": 0.3}
    stream = cut_windows([recording], ACTIVITIES, part="stream", **cut)
    holdout = cut_windows([recording], ACTIVITIES, part="holdout", **cut)
    everything = cut_windows([recording], ACTIVITIES, part="all", **cut)
    assert stream.start.tolist() == [0, 4, 8]
    assert holdout.start.tolist() == [14]
    assert everything.start.tolist() == [0, 4, 8, 12, 16]


def test_the_split_may_lie_within_any_segment():
    # 50% of 20 samples: the split at 10 lies within the second of the segments 0-5, 6-15, 16-19.
    cut = {"length": 3, "hop": 3, "holdout": 0.5}
    recording = record([6, 10, 4], rate_hz=1.0, times_s=[0.0, 50.0, 90.0])
    stream = cut_windows([recording], ACTIVITIES, part="stream", **cut)
    holdout = cut_windows([recording], ACTIVITIES, part="holdout", **cut)
    assert stream.start.tolist() == [0, 3, 6]
    assert holdout.start.tolist() == [10, 13, 16]
    assert holdout.time_s.tolist() == [54.0, 57.0, 90.0]


def test_a_windows_bounds_are_those_of_its_segment_within_its_part():
    # Segments 0-5, 6-15, 16-19, and the split at 10.
    cut = {"length": 3, "hop": 3, "holdout": 0.5}
    recordings = [record([6, 10, 4]), record([7], "sitting")]
    bounds = {}
    for part in ("stream", "holdout", "all"):
        windows = cut_windows(recordings, ACTIVITIES, part=part, **cut)
        assert (windows.low.dtype, windows.high.dtype) == (np.int64, np.int64)
        columns = windows.recording, windows.start, windows.low, windows.high
        bounds[part] = list(zip(*(column.tolist() for column in columns), strict=True))
    # Half of 7 samples is 4, rounded to even: the sitting is streamed up to 3.
    assert bounds["stream"] == [(0, 0, 0, 6), (0, 3, 0, 6), (0, 6, 6, 10), (1, 0, 0, 3)]
    assert bounds["holdout"] == [(0, 10, 10, 16), (0, 13, 10, 16), (0, 16, 16, 20), (1, 3, 3, 7)]
    assert bounds["all"] == [
        *[(0, 0, 0, 6), (0, 3, 0, 6), (0, 6, 6, 16), (0, 9, 6, 16), (0, 12, 6, 16)],
        *[(0, 16, 16, 20), (1, 0, 0, 7), (1, 3, 0, 7)],
    ]


def test_taken_windows_keep_all_that_is_known_of_them():
    windows = cut_windows([record([6, 10, 4])], ACTIVITIES, length=3, hop=3)
    taken = windows.take([4, 0])
    assert (taken.start.tolist(), taken.time_s.tolist()) == ([12, 0], [100.6, 0.0])
    assert (taken.low.tolist(), taken.high.tolist()) == ([6, 0], [16, 6])
    assert (len(taken), taken.length, taken.hop, taken.rate_hz) == (2, 3, 3, 10.0)


def test_recordings_shorter_than_a_window_give_none():
    windows = cut_windows([record([3]), record([2, 3])], ACTIVITIES, length=4, hop=1)
    assert len(windows) == 0
    assert read_windows([record([3])], windows).shape == (0, 4, 3)


def test_reading_gives_exactly_the_spans_in_the_order_asked_for():
    recordings = [record([9]), record([9], "sitting", first=1000)]
    windows = cut_windows(recordings, ACTIVITIES, length=4, hop=4).take([3, 0, 2])
    assert windows.recording.tolist() == [1, 0, 1]
    assert windows.start.tolist() == [4, 0, 0]
    assert windows.label.tolist() == [1, 0, 1]
    read = read_windows(recordings, windows)
    assert read.dtype == np.float32
    assert read.tolist() == [
        recordings[1].samples[4:8].tolist(),
        recordings[0].samples[0:4].tolist(),
        recordings[1].samples[0:4].tolist(),
    ]


SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=5)


@given(
    people=st.lists(SIZES, min_size=1, max_size=3),
    length=st.integers(1, 12),
    hop=st.integers(1, 12),
    holdout=st.floats(0.0, 0.9),
)
def test_stream_and_holdout_share_no_sample_and_stay_within_segments(people, length, hop, holdout):
    recordings = [record(sizes, ACTIVITIES[i % 2]) for i, sizes in enumerate(people)]
    cut = {"length": length, "hop": hop, "holdout": holdout}
    used = {}
    for part in ("stream", "holdout"):
        windows = cut_windows(recordings, ACTIVITIES, part=part, **cut)
        used[part] = {
            (int(index), int(start) + sample)
            for index, start in zip(windows.recording, windows.start, strict=True)
            for sample in range(length)
        }
        for index, start in zip(windows.recording, windows.start, strict=True):
            bounds = np.append(recordings[index].segment_starts, len(recordings[index].samples))
            segment = np.searchsorted(bounds, start, side="right")
            assert bounds[segment - 1] <= start <= start + length <= bounds[segment]
    assert not used["stream"] & used["holdout"]
    for index, recording in enumerate(recordings):
        last_streamed = max((s for i, s in used["stream"] if i == index), default=-1)
        first_held = min((s for i, s in used["holdout"] if i == index), default=10**6)
        assert last_streamed < split_at(recording, holdout) <= first_held


@given(sizes=SIZES, length=st.integers(1, 12), hop=st.integers(1, 12))
def test_every_window_that_fits_is_cut(sizes, length, hop):
    windows = cut_windows([record(sizes)], ACTIVITIES, length=length, hop=hop)
    fitting, begin = [], 0
    for size in sizes:
        fitting += [begin + k * hop for k in range(size) if k * hop + length <= size]
        begin += size
    assert windows.start.tolist() == fitting


def lists(arrays):
    return [array.tolist() for array in arrays]


def test_windows_of_one_segment_of_one_recording_follow_one_another():
    recordings = [record([7, 9]), record([5], "sitting")]
    windows = cut_windows(recordings, ACTIVITIES, length=3, hop=2)
    assert windows.start.tolist() == [0, 2, 4, 7, 9, 11, 13, 0, 2]
    assert lists(windows.runs()) == [[0, 1, 2], [3, 4, 5, 6], [7, 8]]


def test_recordings_whose_windows_seem_to_go_on_are_runs_of_their_own():
    # The second begins where the first would have gone on, in samples and in time.
    windows = cut_windows([record([8])], ACTIVITIES, length=4, hop=4)
    two = replace(windows, recording=np.array([0, 1], np.int32))
    assert (lists(windows.runs()), lists(two.runs())) == ([[0, 1]], [[0], [1]])


def test_segments_whose_windows_seem_to_go_on_in_time_are_runs_of_their_own():
    # Three samples of the first fill no window, and the second begins as they do.
    windows = cut_windows([record([7, 4], times_s=[0.0, 0.4])], ACTIVITIES, length=4, hop=4)
    assert (windows.start.tolist(), windows.time_s.tolist()) == ([0, 7], [0.0, 0.4])
    assert lists(windows.runs()) == [[0], [1]]


def test_windows_that_are_left_out_end_a_run():
    windows = cut_windows([record([8])], ACTIVITIES, length=1, hop=1)
    assert lists(windows.take([0, 1, 3, 4, 7]).runs()) == [[0, 1], [2, 3], [4]]
    assert lists(windows.take([2, 1, 0]).runs()) == [[0], [1], [2]]


@pytest.mark.parametrize(("length", "size"), [(1, 3), (4, 12)])
def test_a_gap_of_a_window_ends_a_run_though_samples_lie_side_by_side(length, size):
    # At 10 Hz: the second segment begins a window later than it would without a gap.
    times_s = [0.0, (size + length) / 10.0]
    windows = cut_windows(
        [record([size] * 2, times_s=times_s)], ACTIVITIES, length=length, hop=length
    )
    assert (np.diff(windows.start) == length).all()
    assert lists(windows.runs()) == [[0, 1, 2], [3, 4, 5]]


def test_samples_follow_one_another_at_any_time_of_the_epoch():
    recording = record([500, 500], rate_hz=200.0, times_s=[1.7e9, 1.7e9 + 60.0])
    windows = cut_windows([recording], ACTIVITIES, length=1, hop=1)
    assert [run.size for run in windows.runs()] == [500, 500]


def test_runs_are_cut_into_questions_each_anew():
    windows = cut_windows([record([7, 2]), record([4], "sitting")], ACTIVITIES, length=1, hop=1)
    every = [[0, 1, 2], [3, 4, 5], [6], [7, 8], [9, 10, 11], [12]]
    assert lists(windows.questions(3)) == every
    for least in (1, 2, 3):
        long = [question for question in every if len(question) >= least]
        assert lists(windows.questions(3, least)) == long
    assert lists(windows.questions(100, 5)) == [list(range(7))]
    assert windows.questions(100, 8) == []


def test_no_windows_are_no_runs_and_no_questions():
    windows = cut_windows([record([3])], ACTIVITIES, length=4, hop=1)
    assert (windows.runs(), windows.questions(2)) == ([], [])


@given(
    people=st.lists(SIZES, min_size=1, max_size=3),
    length=st.integers(1, 6),
    hop=st.integers(1, 6),
    batch=st.integers(1, 6),
    least=st.integers(1, 6),
)
def test_runs_and_questions_are_those_of_each_segment(people, length, hop, batch, least):
    recordings = [record(sizes, ACTIVITIES[i % 2]) for i, sizes in enumerate(people)]
    windows = cut_windows(
        recordings, ACTIVITIES, length=length, hop=hop, holdout=0.4, part="stream"
    )
    runs = {}  # the bounds of a segment are those of all of its windows, and of no others
    for number in range(len(windows)):
        where = windows.recording[number], windows.low[number], windows.high[number]
        runs.setdefault(tuple(int(part) for part in where), []).append(number)
    assert lists(windows.runs()) == list(runs.values())
    cut = [run[i : i + batch] for run in runs.values() for i in range(0, len(run), batch)]
    assert lists(windows.questions(batch, least)) == [q for q in cut if len(q) >= least]


def drawn(recordings, *, share, seed=1, user="1", length=2, hop=2):
    windows = cut_windows(recordings, ACTIVITIES, length=length, hop=hop)
    return windows, draw_holdout(windows, share, seed, user)


@given(
    sizes=st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=3), min_size=1, max_size=3),
    share=st.sampled_from([0.0, 0.25, 0.3, 0.5, 0.9]),
    seed=st.integers(0, 2**32),
    hop=st.integers(2, 5),
)
def test_a_drawn_holdout_takes_its_share_of_each_activity_and_leaves_the_rest(
    sizes, share, seed, hop
):
    recordings = [record(own, ACTIVITIES[i % 2]) for i, own in enumerate(sizes)]
    windows, (streamed, held) = drawn(recordings, share=share, seed=seed, hop=hop)
    for label in (0, 1):
        count = int((windows.label == label).sum())
        assert (held.label == label).sum() == round(count * share)
    both = [
        list(zip(w.recording.tolist(), w.start.tolist(), strict=True)) for w in (streamed, held)
    ]
    assert both[0] == sorted(both[0])
    assert both[1] == sorted(both[1])
    whole = zip(windows.recording.tolist(), windows.start.tolist(), strict=True)
    assert sorted(both[0] + both[1]) == list(whole)


@given(seed=st.integers(0, 2**32), share=st.sampled_from([0.2, 0.5, 0.8]))
def test_bounds_of_a_drawn_holdout_hold_no_sample_of_the_other_part(seed, share):
    recordings = [record([30, 11, 4])]
    _, (streamed, held) = drawn(recordings, share=share, seed=seed)
    reach = [
        {sample for low, high in zip(w.low, w.high, strict=True) for sample in range(low, high)}
        for w in (streamed, held)
    ]
    assert not reach[0] & reach[1]
    segments = [(0, 30), (30, 41), (41, 45)]
    for part in (streamed, held):
        for low, start, high in zip(part.low, part.start, part.high, strict=True):
            assert low <= start <= start + 2 <= high
            assert any(first <= low and high <= end for first, end in segments)


def test_a_run_of_streamed_windows_ends_where_one_is_held_out():
    _, (streamed, held) = drawn([record([40])], share=0.5, seed=3)
    gone = set(held.start.tolist())
    for run in streamed.runs():
        first, last = int(streamed.start[run[0]]), int(streamed.start[run[-1]])
        assert not gone & set(range(first, last + 1))
        assert (first == 0) or (first - 2 in gone)


def test_a_drawn_holdout_depends_on_the_seed_and_the_user():
    kept = {
        (seed, user): tuple(drawn([record([80])], share=0.3, seed=seed, user=user)[1][1].start)
        for seed in (1, 2)
        for user in ("1", "2")
    }
    assert len(set(kept.values())) == 4
    again = drawn([record([80])], share=0.3, seed=2, user="1")[1][1]
    assert tuple(again.start) == kept[2, "1"]
    # Another activity beside it changes nothing.
    _, (_, held) = drawn([record([80]), record([50], "sitting")], share=0.3, seed=2, user="1")
    assert tuple(held.start[held.label == 0]) == kept[2, "1"]

"""Split first, then windows."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from clients.recordings import Recording
from clients.windows import cut_windows, read_windows, split_at

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
    assert (len(taken), taken.length) == (2, 3)


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

"""Timestamps of a series -> segments; times below are in milliseconds unless named otherwise."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from clients.wisdm.defects import REJECTED, DefectLog, Reason
from clients.wisdm.rows import Rows
from clients.wisdm.segments import cut_segments, drop_two_activities

MS = 1000.0  # ticks per second


def series(times, values=None, activity=0, first_line=1):
    n = len(times)
    x = np.arange(n) if values is None else np.asarray(values)
    return Rows(
        file=np.zeros(n, np.uint32),
        line=np.arange(first_line, first_line + n, dtype=np.uint32),
        user=np.full(n, 33, np.int32),
        activity=np.full(n, activity, np.int8),
        time=np.asarray(times, dtype=np.int64),
        samples=np.repeat(np.asarray(x, dtype=np.float32)[:, None], 3, axis=1),
    )


def cut(rows):
    log = DefectLog()
    segments = cut_segments(rows, MS, log)
    reasons, _, lines = log.arrays()
    return segments, [(Reason(r), int(n)) for r, n in zip(reasons, lines, strict=True)]


def steps(start, count, step=50):
    return [start + step * i for i in range(count)]


def test_regular_series_is_one_segment():
    segments, noted = cut(series(steps(1000, 30)))
    assert [s.time.tolist() for s in segments] == [steps(1000, 30)]
    assert noted == []


def test_gap_of_more_than_half_a_second_starts_a_segment():
    segments, noted = cut(series(steps(0, 30) + steps(1450 + 501, 30)))
    assert [s.time.size for s in segments] == [30, 30]
    assert noted == [(Reason.GAP, 31)]


def test_gap_of_half_a_second_is_bridged_and_told():
    segments, noted = cut(series(steps(0, 30) + steps(1450 + 500, 30)))
    assert [s.time.size for s in segments] == [60]
    assert noted == [(Reason.BRIDGED, 31)]


def test_segment_under_one_second_is_dropped_with_all_its_lines():
    segments, noted = cut(series(steps(0, 30) + steps(5000, 20)))
    assert [s.time.size for s in segments] == [30]  # the second lasts 19 x 50 ms
    assert [n for n in noted if n[0] is Reason.SHORT_SEGMENT] == [
        (Reason.SHORT_SEGMENT, line) for line in range(31, 51)
    ]


def test_rows_too_close_in_time_for_any_sensor_are_dropped():
    segments, noted = cut(
        series(steps(0, 30) + steps(5000, 1500, step=1) + steps(9000, 300, step=4))
    )
    assert [s.time.size for s in segments] == [30, 300]  # 4 ms is 250 Hz
    assert [line for reason, line in noted if reason is Reason.TOO_FAST] == list(range(31, 1531))


def test_a_few_rows_close_in_time_do_not_condemn_a_segment():
    segments, noted = cut(series(sorted([*steps(0, 30), 1, 2, 3, 401])))
    assert [s.time.size for s in segments] == [34]
    assert noted == []


def test_repeated_row_is_dropped_wherever_it_stands():
    times = [*steps(0, 30), 0, 50, *steps(1500, 10)]
    values = [*range(30), 0, 1, *range(30, 40)]
    segments, noted = cut(series(times, values))
    assert noted == [(Reason.REPEATED_ROW, 31), (Reason.REPEATED_ROW, 32)]
    assert [s.samples[:, 0].tolist() for s in segments] == [list(range(40))]


def test_of_two_samples_at_one_time_the_first_is_kept():
    times = [*steps(0, 30), 1450, *steps(1500, 10)]
    segments, noted = cut(series(times))
    assert noted == [(Reason.REPEATED_TIME, 31)]
    assert segments[0].samples[28:32, 0].tolist() == [28, 29, 31, 32]


def test_small_disorder_is_sorted_and_the_late_rows_are_told():
    times = steps(0, 30)
    times[10], times[11] = times[11], times[10]
    segments, noted = cut(series(times))
    assert noted == [(Reason.REORDERED, 12)]
    assert segments[0].time.tolist() == steps(0, 30)
    assert segments[0].samples[9:13, 0].tolist() == [9, 11, 10, 12]


def test_jump_back_starts_a_segment_and_segments_are_in_time_order():
    times = steps(10_000, 30) + steps(2_000, 25)
    segments, noted = cut(series(times))
    assert noted == [(Reason.JUMP_BACK, 31)]
    assert [s.time[0] for s in segments] == [2_000, 10_000]


@given(st.lists(st.integers(1, 4000).map(lambda ticks: ticks * 10), max_size=80))
def test_any_timestamps_give_rising_segments_and_every_row_is_accounted_for(times):
    rows = series(times)
    segments, noted = cut(rows)
    rejected = [line for reason, line in noted if reason in REJECTED]
    assert len(rejected) == len(set(rejected))
    kept = [int(v) + 1 for s in segments for v in s.samples[:, 0]]
    assert sorted(kept + rejected) == rows.line.tolist()
    for segment in segments:
        assert (np.diff(segment.time) > 0).all()
        assert (np.diff(segment.time) <= 500).all()
        assert segment.time[-1] - segment.time[0] >= 1000


def test_sample_under_two_activities_is_kept_in_neither():
    kicking = series(steps(0, 30), activity=0)
    catch = series(steps(1000, 30), values=range(20, 50), activity=1, first_line=31)
    log = DefectLog()
    first, second = drop_two_activities([kicking, catch], log)
    assert first.line.tolist() == list(range(1, 21))
    assert second.line.tolist() == list(range(41, 61))
    assert log.count(Reason.TWO_ACTIVITIES) == 20


def test_other_samples_at_the_same_times_are_no_conflict():
    log = DefectLog()
    pair = [series(steps(0, 30)), series(steps(0, 30), values=range(100, 130), activity=1)]
    assert [s.line.size for s in drop_two_activities(pair, log)] == [30, 30]
    assert log.count(Reason.TWO_ACTIVITIES) == 0


def test_conflict_is_found_behind_a_longer_series():
    """The third overlaps the first alone, whose end lies behind the second's."""
    long = series(steps(0, 100))
    middle = series(steps(1000, 20), values=range(500, 520), activity=1)
    late = series(steps(4000, 40), values=range(80, 120), activity=2)
    log = DefectLog()
    sizes = [s.line.size for s in drop_two_activities([long, middle, late], log)]
    assert sizes == [80, 20, 20]

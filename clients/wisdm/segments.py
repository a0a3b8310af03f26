"""Timestamps of one series -> segments in time order, without repeats."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from clients.wisdm.defects import DefectLog, Reason
from clients.wisdm.rows import Rows

__all__ = ["GAP_S", "SHORTEST_S", "Segment", "cut_segments", "drop_two_activities"]

GAP_S = 0.5  # the watch pauses for 0.2 to 0.4 s when it changes its rate; real gaps last seconds
FASTEST_HZ = 250.0  # phones and watches stay below; rows closer in time were never timed
BRIDGED_S = 0.15  # from here on a straight line replaces at least two samples at 20 Hz
SHORTEST_S = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """Samples of one series without a gap.

    Attributes:
        time: int64 [N], strictly increasing, in ticks.
        samples: float32 [N, 3], m/s².
    """

    time: NDArray[np.int64]
    samples: NDArray[np.float32]


def drop_two_activities(series: list[Rows], log: DefectLog) -> list[Rows]:
    """Reject rows of one user that occur, time and sample alike, under several activities.

    Args:
        series: one `Rows` per activity.
        log: receives the rejected rows.

    Returns:
        The series without them; one may be left empty.
    """
    spans = sorted((int(s.time.min()), int(s.time.max()), i) for i, s in enumerate(series))
    overlapping: set[int] = set()
    latest, holder = -1, -1
    for start, end, i in spans:
        if start <= latest:
            overlapping |= {holder, i}
        if end > latest:
            latest, holder = end, i
    members = sorted(overlapping)
    if not members:
        return series
    owner = np.repeat(members, [series[i].time.size for i in members])
    order, repeated = _sort_alike(
        np.concatenate([series[i].time for i in members]),
        np.concatenate([series[i].samples for i in members]),
    )
    group = np.cumsum(~repeated) - 1
    first = np.flatnonzero(~repeated)
    mixed = np.minimum.reduceat(owner[order], first) != np.maximum.reduceat(owner[order], first)
    wrong = np.empty(owner.size, dtype=np.bool_)
    wrong[order] = mixed[group]
    kept = list(series)
    for i in members:
        mask = wrong[owner == i]
        kept[i] = _reject(series[i], mask, Reason.TWO_ACTIVITIES, log)
    return kept


def cut_segments(rows: Rows, ticks_per_s: float, log: DefectLog) -> list[Segment]:
    """Sort out the timestamps of one user's one activity and cut it at its gaps.

    In this order: rows that repeat an earlier one are dropped; a step back of more than `GAP_S`
    starts a new segment; within what lies between such jumps, rows are sorted by time, and of
    those with equal times the first is kept; a step of more than `GAP_S` starts a new segment;
    segments faster than `FASTEST_HZ` (by their median step) or shorter than `SHORTEST_S` are
    dropped.

    Args:
        rows: the series in file order.
        ticks_per_s: units of `rows.time` in a second.
        log: receives every row that is dropped, moved, or starts or bridges a gap.

    Returns:
        Segments by start time.
    """
    if not rows.time.size:
        return []
    gap = int(GAP_S * ticks_per_s)
    steps = np.diff(rows.time)
    jumps = np.zeros(rows.time.size, dtype=np.bool_)
    if (steps <= 0).any():
        rows = _drop_repeated_rows(rows, log)
        rows, jumps = _order(rows, gap, log)
        steps = np.diff(rows.time)
    gaps = np.concatenate([[False], steps > gap]) & ~jumps
    bridged = np.concatenate([[False], steps > int(BRIDGED_S * ticks_per_s)]) & ~gaps & ~jumps
    for reason, marked in (
        (Reason.JUMP_BACK, jumps),
        (Reason.GAP, gaps),
        (Reason.BRIDGED, bridged),
    ):
        log.add(reason, rows.file[marked], rows.line[marked])
    edges = [0, *np.flatnonzero(jumps | gaps).tolist(), rows.time.size]
    segments = []
    for start, end in pairwise(edges):
        time = rows.time[start:end]
        if time.size > 1 and float(np.median(np.diff(time))) < ticks_per_s / FASTEST_HZ:
            log.add(Reason.TOO_FAST, rows.file[start:end], rows.line[start:end])
        elif time[-1] - time[0] < SHORTEST_S * ticks_per_s:
            log.add(Reason.SHORT_SEGMENT, rows.file[start:end], rows.line[start:end])
        else:
            segments.append(Segment(time, rows.samples[start:end]))
    return sorted(segments, key=lambda segment: int(segment.time[0]))


def _sort_alike(
    time: NDArray[np.int64], samples: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Bring equal rows together, the earliest first.

    Returns:
        The order int64 [N], and which rows, in that order, equal the one before, bool [N].
    """
    order = np.argsort(time, kind="stable")
    repeated = np.zeros(time.size, dtype=np.bool_)
    tied = np.diff(time[order]) == 0
    if tied.any():
        shared = np.concatenate([tied, [False]]) | np.concatenate([[False], tied])
        places = order[shared]
        x, y, z = samples[places].T
        order[shared] = places[np.lexsort((z, y, x, time[places]))]
        after = np.flatnonzero(tied) + 1
        repeated[after] = (samples[order[after]] == samples[order[after - 1]]).all(axis=1)
    return order, repeated


def _drop_repeated_rows(rows: Rows, log: DefectLog) -> Rows:
    order, repeated = _sort_alike(rows.time, rows.samples)
    wrong = np.empty(rows.time.size, dtype=np.bool_)
    wrong[order] = repeated
    return _reject(rows, wrong, Reason.REPEATED_ROW, log)


def _order(rows: Rows, gap: int, log: DefectLog) -> tuple[Rows, NDArray[np.bool_]]:
    """Sort rows by time between jumps back; returns them and where the jumps are, bool [N]."""
    block = np.concatenate([[0], np.cumsum(np.diff(rows.time) < -gap)])
    order = np.lexsort((rows.time, block))
    place = np.empty_like(order)
    place[order] = np.arange(order.size)
    late = place < np.maximum.accumulate(place)
    log.add(Reason.REORDERED, rows.file[late], rows.line[late])
    rows, block = rows.take(order), block[order]
    new_block = np.diff(block, prepend=block[:1]) > 0
    same = np.concatenate([[False], np.diff(rows.time) == 0]) & ~new_block
    return _reject(rows, same, Reason.REPEATED_TIME, log), new_block[~same]


def _reject(rows: Rows, wrong: NDArray[np.bool_], reason: Reason, log: DefectLog) -> Rows:
    log.add(reason, rows.file[wrong], rows.line[wrong])
    return rows.take(~wrong) if wrong.any() else rows

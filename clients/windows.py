"""Split first, then windows: spans of a user's recordings, read when they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clients import chance
from clients.recordings import Recording

__all__ = [
    "HoldoutBy",
    "Part",
    "Windows",
    "cut_windows",
    "draw_holdout",
    "read_windows",
    "split_at",
]

Part = Literal["stream", "holdout", "all"]

HoldoutBy = Literal["time", "chance"]
"""How a holdout is chosen: the last part of each recording, or windows drawn at random."""


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Windows of one user; a window is a span (recording, start, length).

    Attributes:
        recording: int32 [W], index into the user's recordings.
        start: int64 [W], first sample.
        label: int32 [W], class index of the activity.
        time_s: float64 [W], when the window starts.
        low, high: int64 [W], first sample and end of the span without a time gap, and within the
            window's part, that the window lies in.
        length: samples per window.
        hop: samples between the starts of consecutive windows.
        rate_hz: samples per second.
    """

    recording: NDArray[np.int32]
    start: NDArray[np.int64]
    label: NDArray[np.int32]
    time_s: NDArray[np.float64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    length: int
    hop: int
    rate_hz: float

    def __len__(self) -> int:
        return self.start.size

    def take(self, indices: ArrayLike) -> Windows:
        """Return the windows at `indices`, in that order."""
        chosen = np.asarray(indices, dtype=np.int64)
        return Windows(
            self.recording[chosen],
            self.start[chosen],
            self.label[chosen],
            self.time_s[chosen],
            self.low[chosen],
            self.high[chosen],
            self.length,
            self.hop,
            self.rate_hz,
        )

    def runs(self) -> list[NDArray[np.int64]]:
        """Return the runs of windows that follow one another in one recording, as indices.

        Windows on two sides of a time gap of half a hop or more do not follow one another.
        """
        if not len(self):
            return []
        hop_s = self.hop / self.rate_hz
        follows = (np.diff(self.recording) == 0) & (np.diff(self.start) == self.hop)
        follows &= np.abs(np.diff(self.time_s) - hop_s) < 0.5 * hop_s
        return np.split(np.arange(len(self)), np.flatnonzero(~follows) + 1)

    def questions(self, batch: int, least: int = 1) -> list[NDArray[np.int64]]:
        """Cut the runs into questions of `least` to `batch` windows, as indices."""
        return [
            question
            for run in self.runs()
            for question in np.split(run, np.arange(batch, run.size, batch))
            if question.size >= least
        ]


def draw_holdout(windows: Windows, holdout: float, seed: int, user: str) -> tuple[Windows, Windows]:
    """Draw one user's holdout at random, the same share of the windows of each activity.

    Windows of both parts stay in their order, and bounds are narrowed to windows of the same part
    that follow one another, so that the parts share no sample.

    Args:
        windows: all of the user's, none of which overlaps another.
        holdout: share of the windows of each activity, rounded to whole windows.
        seed: the scenario's.
        user: the user's id; draws depend on nobody else.

    Returns:
        the windows that are streamed, and the holdout.
    """
    held = np.zeros(len(windows), np.bool_)
    for label in np.unique(windows.label):
        own = np.flatnonzero(windows.label == label)
        draw = chance.generator(seed, f"holdout/{user}", int(label))
        held[draw.permutation(own)[: round(own.size * holdout)]] = True
    streamed, kept = (windows.take(np.flatnonzero(part)) for part in (~held, held))
    return _narrowed(streamed), _narrowed(kept)


def _narrowed(windows: Windows) -> Windows:
    """Narrow each window's bounds to the windows that it follows, and that follow it."""
    low, high = windows.low.copy(), windows.high.copy()
    for run in windows.runs():
        first, last = windows.start[run[0]], windows.start[run[-1]] + windows.length
        low[run], high[run] = np.maximum(low[run], first), np.minimum(high[run], last)
    return replace(windows, low=low, high=high)


def split_at(recording: Recording, holdout: float) -> int:
    """Return the first sample of a recording's holdout, its last part by number of samples."""
    count = len(recording.samples)
    return count - round(count * holdout)


def cut_windows(
    recordings: Sequence[Recording],
    activities: Sequence[str],
    *,
    length: int,
    hop: int,
    holdout: float = 0.0,
    part: Part = "all",
) -> Windows:
    """Cut one user's recordings into windows that stay within a segment and within a part.

    Args:
        recordings: the user's recordings.
        activities: class names; a window's label is its activity's index here.
        length: samples per window.
        hop: samples between the starts of consecutive windows.
        holdout: share of each recording, at its end, that is never streamed.
        part: "stream" (before the holdout), "holdout", or "all" without regard to the split.

    Returns:
        the windows in order of recording, then time.
    """
    starts, spans = [], []
    for index, recording in enumerate(recordings):
        cut = split_at(recording, holdout)
        first, last = {"stream": (0, cut), "holdout": (cut, len(recording.samples))}.get(
            part, (0, len(recording.samples))
        )
        label = activities.index(recording.activity)
        stops = np.append(recording.segment_starts[1:], len(recording.samples))
        for begin, stop, time_s in zip(
            recording.segment_starts, stops, recording.segment_times_s, strict=True
        ):
            low, high = max(int(begin), first), min(int(stop), last)
            own = np.arange(low, high - length + 1, hop, dtype=np.int64)
            if own.size:
                starts.append(own)
                since_s = time_s + (low - begin) / recording.rate_hz
                spans.append((index, label, low, high, since_s, recording.rate_hz))
    start = np.concatenate([np.zeros(0, np.int64), *starts])
    table = np.array(spans, np.float64).reshape(-1, 6)
    index, label, low, high, since_s, rate = np.repeat(table, [s.size for s in starts], axis=0).T
    return Windows(
        index.astype(np.int32),
        start,
        label.astype(np.int32),
        since_s + (start - low) / rate,
        low.astype(np.int64),
        high.astype(np.int64),
        length,
        hop,
        recordings[0].rate_hz,
    )


def read_windows(recordings: Sequence[Recording], windows: Windows) -> NDArray[np.float32]:
    """Read spans of samples: float32 [W, T, C]."""
    channels = recordings[0].samples.shape[1]
    values = np.empty((len(windows), windows.length, channels), np.float32)
    for index in np.unique(windows.recording):
        rows = np.flatnonzero(windows.recording == index)
        spans = windows.start[rows, None] + np.arange(windows.length)
        values[rows] = recordings[index].samples[spans]
    return values

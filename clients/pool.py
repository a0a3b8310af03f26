"""All windows of all users in one place, so that a window of anybody is one number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from clients.errors import BadInput
from clients.recordings import Recording
from clients.windows import HoldoutBy, Windows, cut_windows, draw_holdout

__all__ = ["Pool", "build_pool"]


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """The windows of all users, as spans of their recordings laid end to end.

    Attributes:
        users: their ids; a user's number is the place here.
        samples: float32 [S + 1, C]; the last row only lets a reader look one sample ahead.
        windows: all W windows; `recording` counts the recordings of all users, and `start`, `low`
            and `high` are rows of `samples`.
        streamed: int64 [U, 2], first window of each user's stream and the one after its last.
        holdout: int64 [U, 2], the same for the windows that are scored and never learnt.
    """

    users: tuple[str, ...]
    samples: NDArray[np.float32]
    windows: Windows
    streamed: NDArray[np.int64]
    holdout: NDArray[np.int64]

    @property
    def length(self) -> int:
        """Samples per window, T."""
        return self.windows.length

    @property
    def channels(self) -> int:
        """Values per sample, C."""
        return int(self.samples.shape[1])

    def questions_between(
        self, first: int, stop: int, batch: int, least: int = 1
    ) -> list[NDArray[np.int32]]:
        """Cut a span of one user's windows into questions: int32 [`least` to `batch`] each."""
        return self.questions_of(np.arange(first, stop), batch, least)

    def questions_of(
        self, windows: NDArray[np.integer], batch: int, least: int = 1
    ) -> list[NDArray[np.int32]]:
        """Cut some windows of one user, ascending, into questions likewise."""
        own = self.windows.take(windows)
        return [windows[question].astype(np.int32) for question in own.questions(batch, least)]

    def read(self, windows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Read windows by number: integers [...] -> float32 [..., T, C]."""
        start = self.windows.start[windows]
        if self.length == 1:  # a table of rows, which is faster to take from than a view of spans
            return self.samples.take(start, axis=0)[..., None, :]
        return spans(self.samples, self.length)[start]


def spans(samples: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """View [S, C] as every span of `length` rows, [S - length + 1, length, C], copying nothing."""
    row, value = samples.strides
    shape = (max(0, len(samples) - length + 1), length, samples.shape[1])
    return np.lib.stride_tricks.as_strided(samples, shape, (row, row, value), writeable=False)


def build_pool(
    people: Mapping[str, Sequence[Recording]],
    activities: Sequence[str],
    *,
    length: int,
    hop: int,
    holdout: float,
    holdout_by: HoldoutBy = "time",
    seed: int = 0,
) -> Pool:
    """Split every user's recordings, cut them into windows, and lay them end to end.

    Args:
        people: user id -> recordings.
        activities: class names; a window's label is its activity's index here.
        length: samples per window.
        hop: samples between the starts of consecutive windows.
        holdout: share that is never streamed.
        holdout_by: whether that is the end of each recording, or windows drawn at random from all
            of an activity.
        seed: decides what is drawn.

    Raises:
        BadInput: windows that overlap, of which some would be drawn at random: what is streamed
            would be scored.
    """
    if holdout_by == "chance" and hop < length:
        raise BadInput(
            f"holdout_by: got 'chance' with windows of {length} samples every {hop}; windows that "
            f"overlap share samples, so that a holdout drawn from them leaks: give hop = {length} "
            "at least, or holdout_by = 'time'"
        )
    parts: list[Windows] = []
    samples: list[NDArray[np.float32]] = []
    ends = [0]
    recordings = rows = 0
    for user, own in people.items():
        offsets = rows + np.cumsum([0, *(len(recording.samples) for recording in own)])
        cut = partial(cut_windows, own, activities, length=length, hop=hop)
        if holdout_by == "chance":
            both = draw_holdout(cut(), holdout, seed, user)
        else:
            both = cut(holdout=holdout, part="stream"), cut(holdout=holdout, part="holdout")
        for windows in both:
            parts.append(_moved(windows, offsets[windows.recording], recordings))
            ends.append(ends[-1] + len(windows))
        samples += [recording.samples for recording in own]
        recordings, rows = recordings + len(own), int(offsets[-1])
    bounds = np.array(list(pairwise(ends)), np.int64)
    return Pool(
        tuple(people),
        np.concatenate([*samples, samples[-1][-1:]]),
        _joined(parts),
        bounds[0::2],
        bounds[1::2],
    )


def _moved(windows: Windows, offset: NDArray[np.int64], recordings: int) -> Windows:
    """Count samples and recordings of one user's windows as the pool does."""
    return Windows(
        windows.recording + np.int32(recordings),
        windows.start + offset,
        windows.label,
        windows.time_s,
        windows.low + offset,
        windows.high + offset,
        windows.length,
        windows.hop,
        windows.rate_hz,
    )


def _joined(parts: Sequence[Windows]) -> Windows:
    """Put windows, all cut in one way, one after the other."""
    how = ("length", "hop", "rate_hz")
    names = [field.name for field in fields(Windows) if field.name not in how]
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return replace(parts[0], **columns)  # type: ignore[arg-type]

"""WISDM files -> recordings, with a report of every rejected or repaired line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Recording"]


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """One user's samples of one activity, in time order, at one rate.

    Time gaps cut a recording into segments; nothing that is computed from consecutive samples
    may cross the start of a segment.

    Attributes:
        user: the user's id, such as "1600".
        activity: such as "walking".
        rate_hz: samples per second.
        samples: float32 [N, C]; m/s² with C = 3 for accelerometers, or C = 43 features.
        segment_starts: int64 [S], index of the first sample of each segment; the first is 0.
        segment_times_s: float64 [S], when each segment starts, in seconds since the user's first
            sample of any activity.
    """

    user: str
    activity: str
    rate_hz: float
    samples: NDArray[np.float32]
    segment_starts: NDArray[np.int64]
    segment_times_s: NDArray[np.float64]

"""Recordings -> a WISDM file of one user, as it would lie on that user's device."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from clients.errors import BadInput
from clients.recordings import Recording
from clients.wisdm.rows import LINE_FORMS, LineForm

__all__ = ["write_recordings"]

_FILES = {"wisdm-2019": "data_{user}_accel_watch.txt", "wisdm-v1.1": "WISDM_ar_v1.1_raw.txt"}
_BEGIN_S = 1.0  # a time of 0 means in WISDM that there is none


def write_recordings(recordings: Sequence[Recording], user: int, folder: Path) -> Path:
    """Write one user's recordings as WISDM 2019 does, or as v1.1 where that lacks an activity.

    What is read from the file at the same rate is what was written, but for rounding in time.

    Args:
        recordings: of one user, samples in m/s².
        user: the number under which they are written.
        folder: a folder that does not exist yet.

    Returns:
        the file.

    Raises:
        BadInput: no form of WISDM has all of the activities.
    """
    activities = {recording.activity for recording in recordings}
    source = next((name for name in _FILES if activities <= {*LINE_FORMS[name].names}), None)
    if source is None:
        raise BadInput(
            f"activities {', '.join(sorted(activities))}: WISDM writes stairs, or upstairs and "
            "downstairs, beside walking, jogging, sitting and standing; take one of both"
        )
    folder.mkdir(parents=True)
    file = folder / _FILES[source].format(user=user)
    with file.open("w") as lines:
        for recording in recordings:
            lines.writelines(_lines(recording, user, LINE_FORMS[source]))
    return file


def _lines(recording: Recording, user: int, form: LineForm) -> list[str]:
    written = {name: text.decode() for text, name in form.activities.items()}
    starts = recording.segment_starts
    within = np.arange(len(recording.samples)) - np.repeat(
        starts, np.diff([*starts, len(recording.samples)])
    )
    began = np.repeat(recording.segment_times_s, np.diff([*starts, len(recording.samples)]))
    ticks = np.rint((_BEGIN_S + began + within / recording.rate_hz) * form.ticks_per_s)
    head = f"{user},{written[recording.activity]}"
    return [
        f"{head},{time:.0f},{x:.9g},{y:.9g},{z:.9g};\n"
        for time, (x, y, z) in zip(ticks.tolist(), recording.samples.tolist(), strict=True)
    ]

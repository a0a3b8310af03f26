"""People made by hand, whose samples tell whose they are."""

import numpy as np
from hypothesis import strategies as st

from clients.recordings import Recording

ACTIVITIES = ("walking", "sitting")
RATE_HZ = 10.0


def recording_of(sizes, *, user="1", activity="walking", samples=None):
    """Make a recording with segments of given sizes, 1000 s apart.

    Without samples of its own, each holds (user, class, place in the recording).
    """
    count = sum(sizes)
    if samples is None:
        whose = np.tile([float(user), ACTIVITIES.index(activity)], (count, 1))
        samples = np.column_stack([whose, np.arange(count)])
    return Recording(
        user=user,
        activity=activity,
        rate_hz=RATE_HZ,
        samples=np.asarray(samples, np.float32),
        segment_starts=np.cumsum([0, *sizes[:-1]]).astype(np.int64),
        segment_times_s=1000.0 * np.arange(len(sizes)),
    )


def people_of(*everybody):
    """Make people "1", "2", ...; each is a list of recordings, each of these its segments' sizes.

    A person's recordings are of walking and of sitting by turns.
    """
    return {
        str(number): [
            recording_of(sizes, user=str(number), activity=ACTIVITIES[i % 2])
            for i, sizes in enumerate(own)
        ]
        for number, own in enumerate(everybody, start=1)
    }


SIZES = st.lists(st.integers(1, 30), min_size=1, max_size=4)
"""Of the segments of a recording."""

PEOPLE = st.lists(st.lists(SIZES, min_size=1, max_size=3), min_size=1, max_size=3).map(
    lambda everybody: people_of(*everybody)
)

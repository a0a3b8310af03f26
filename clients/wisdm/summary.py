"""Recordings and their report -> tables that say what the data holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import pandas as pd

from clients.recordings import Recording
from clients.wisdm.defects import MEANINGS, REJECTED, ReadReport, Reason

__all__ = ["Summary", "summarize"]

_FIRST_PLACES = 3


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """What a data set holds, as three tables.

    Attributes:
        activities: activity, users, minutes, segments; by name.
        users: user, activities, minutes, segments, native_rates_hz (text, such as
            "20.0, 100.4"); in the order of the recordings.
        defects: reason, rows, kept (whether such rows are in recordings), meaning, first_places
            (text, "file:line" of the first three); in the order of `Reason`.
    """

    activities: pd.DataFrame
    users: pd.DataFrame
    defects: pd.DataFrame


def summarize(recordings: Sequence[Recording], report: ReadReport) -> Summary:
    """Count users, activities, minutes, rates and defects.

    Args:
        recordings: as `read_recordings` returns them.
        report: its report.
    """
    frame = pd.DataFrame(
        {
            "user": [r.user for r in recordings],
            "activity": [r.activity for r in recordings],
            "minutes": [len(r.samples) / r.rate_hz / 60.0 for r in recordings],
            "segments": [r.segment_starts.size for r in recordings],
        }
    )
    activities = frame.groupby("activity", as_index=False).agg(
        users=("user", "nunique"), minutes=("minutes", "sum"), segments=("segments", "sum")
    )
    users = frame.groupby("user", as_index=False, sort=False).agg(
        activities=("activity", "nunique"), minutes=("minutes", "sum"), segments=("segments", "sum")
    )
    users["native_rates_hz"] = [
        _distinct(
            rate
            for (owner, _), rates in report.native_rates_hz.items()
            if owner == user
            for rate in rates
        )
        for user in users["user"]
    ]
    return Summary(activities=activities, users=users, defects=_defects(report))


def _distinct(rates_hz: Iterable[float]) -> str:
    """Write rates in rising order, those within 20% of the one before left out."""
    written: list[float] = []
    for rate in sorted(rates_hz):
        if not written or rate > 1.2 * written[-1]:
            written.append(rate)
    return ", ".join(f"{rate:.1f}" for rate in written)


def _defects(report: ReadReport) -> pd.DataFrame:
    counts = report.counts()
    found = [reason for reason in Reason if reason.label in counts]
    return pd.DataFrame(
        {
            "reason": [reason.label for reason in found],
            "rows": [counts[reason.label] for reason in found],
            "kept": [reason not in REJECTED for reason in found],
            "meaning": [MEANINGS[reason] for reason in found],
            "first_places": [
                ", ".join(
                    f"{file.name}:{line}"
                    for file, line in islice(report.lines(reason.label), _FIRST_PLACES)
                )
                for reason in found
            ],
        }
    )

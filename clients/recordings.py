"""WISDM files -> recordings, with a report of every rejected or repaired line."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clients.errors import BadRecordings
from clients.wisdm.defects import DefectLog, ReadReport, Reason
from clients.wisdm.features import FEATURE_NAMES, FEATURE_WINDOW_S, FeatureRows, read_features
from clients.wisdm.parser import read_rows
from clients.wisdm.resample import native_rates_hz, resample
from clients.wisdm.rows import LINE_FORMS, LineForm, Rows, concatenate
from clients.wisdm.segments import Segment, cut_segments, drop_two_activities
from clients.wisdm.selection import select
from clients.wisdm.sources import FEATURES_SOURCE, SourceFiles, find_files
from clients.wisdm.units import m_s2_per_unit, unify_units, unit_warnings

__all__ = ["FEATURE_NAMES", "ReadReport", "Recording", "fingerprint", "read_recordings"]

# As in scenarios. A lower one would filter with more taps than there are samples, a higher one
# would fill the memory with straight lines.
_LEAST_RATE_HZ, _MOST_RATE_HZ = 0.1, 1000.0


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


def read_recordings(
    path: str | Path,
    *,
    source: str,
    rate_hz: float,
    activities: Iterable[str] | None = None,
    users: int | Sequence[str] | None = None,
) -> tuple[list[Recording], ReadReport]:
    """Read WISDM data.

    Args:
        path: a data file, or a folder with data files in it or below.
        source: "wisdm-v1.1", "wisdm-2019", "actitracker-v2.0", "wisdm-v1.1-features", or "auto" to
            tell from the data.
        rate_hz: every recording is resampled to it. Not used for features: each of their rows is
            a segment of its own, at 0.1 Hz, one window of 10 s.
        activities: canonical names to keep; None keeps all.
        users: None for all, n for the first n by number, or a list of ids.

    Returns:
        Recordings sorted by user (as numbers), then activity; and what happened to every line.

    Raises:
        BadRecordings: the path, a file, or what was asked for cannot be used.
    """
    if not _LEAST_RATE_HZ <= rate_hz <= _MOST_RATE_HZ:
        raise BadRecordings(
            f"rate_hz is {rate_hz}; expected a rate from {_LEAST_RATE_HZ:g} to {_MOST_RATE_HZ:g}, "
            "such as 20.0."
        )
    files = find_files(Path(path), source)
    reading = _Reading(files, None if activities is None else frozenset(activities), users)
    try:
        if files.source == FEATURES_SOURCE:
            return reading.features()
        return reading.raw(LINE_FORMS[files.source], rate_hz)
    except OSError as error:
        raise BadRecordings(
            f"{error.filename or path}: cannot be read ({error.strerror}); expected a readable "
            "file. Check its permissions."
        ) from error


def fingerprint(recordings: Sequence[Recording]) -> str:
    """Return a hex digest of users, activities, rates, segments and samples, in the order given."""
    digest = hashlib.blake2b(digest_size=16)
    for recording in recordings:
        shape = "x".join(map(str, recording.samples.shape))
        head = [recording.user, recording.activity, repr(float(recording.rate_hz)), shape]
        digest.update("\0".join([*head, str(recording.segment_starts.size), ""]).encode())
        digest.update(recording.segment_starts.astype("<i8").tobytes())
        digest.update(recording.segment_times_s.astype("<f8").tobytes())
        digest.update(recording.samples.astype("<f4").tobytes())
    return digest.hexdigest()


class _Reading:
    """One call of `read_recordings`: what was asked for, and what is noted on the way."""

    def __init__(
        self,
        files: SourceFiles,
        activities: frozenset[str] | None,
        users: int | Sequence[str] | None,
    ) -> None:
        self._files = files
        self._activities = activities
        self._users = users
        self._log = DefectLog()
        self._notes = files.notes
        self._lines_read = 0
        self._rows_read = 0
        self._rates: dict[tuple[str, str], tuple[float, ...]] = {}
        self._warnings: tuple[str, ...] = ()

    def raw(self, form: LineForm, rate_hz: float) -> tuple[list[Recording], ReadReport]:
        """Read accelerometer files."""
        by_user = self._series(form)
        wanted = self._wanted({user: set(series) for user, series in by_user.items()})
        recordings: list[Recording] = []
        factors: dict[str, float | None] = {}
        kept = 0
        for user in sorted(by_user, key=int):
            found = {name: concatenate(parts) for name, parts in by_user.pop(user).items()}
            names = sorted(found)
            first = min(int(rows.time.min()) for rows in found.values())
            series = [found[name] for name in names]
            if wanted.get(user):
                factors[user] = m_s2_per_unit([rows.samples for rows in series])
                series = drop_two_activities(series, self._log)
            for name, rows in zip(names, series, strict=True):
                if name not in wanted.get(user, ()):
                    self._log.add(Reason.NOT_REQUESTED, rows.file, rows.line)
                elif segments := cut_segments(rows, form.ticks_per_s, self._log):
                    kept += sum(segment.time.size for segment in segments)
                    self._note_rates(user, name, segments, form.ticks_per_s)
                    recordings.append(
                        _record(user, name, segments, first, form.ticks_per_s, rate_hz)
                    )
        self._warnings = unit_warnings(factors)
        return recordings, self._report(recordings, kept)

    def features(self) -> tuple[list[Recording], ReadReport]:
        """Read the feature table."""
        rows = read_features(self._files.files[0], self._log)
        self._lines_read, self._rows_read = rows.lines_read, rows.rows_read
        held: dict[str, set[str]] = {}
        for user, activity in zip(rows.user, rows.activity, strict=True):
            held.setdefault(user, set()).add(activity)
        wanted = self._wanted(held)
        recordings = []
        users, names = np.array(rows.user), np.array(rows.activity)
        for user in sorted(held, key=int):
            of_user = np.flatnonzero(users == user)
            for name in sorted(held[user]):
                places = np.flatnonzero(names[of_user] == name)
                if name in wanted.get(user, ()):
                    recordings.append(_feature_recording(user, name, rows, of_user, places))
                    self._rates[user, name] = (1.0 / FEATURE_WINDOW_S,)
                else:
                    self._log.add(Reason.NOT_REQUESTED, 0, rows.line[of_user[places]])
        return recordings, self._report(recordings, sum(len(r.samples) for r in recordings))

    def _series(self, form: LineForm) -> dict[str, dict[str, list[Rows]]]:
        """Parse all files; returns parts of series by user and activity, in file order."""
        by_user: dict[str, dict[str, list[Rows]]] = {}
        for index, file in enumerate(self._files.files):
            parts, lines, rows = read_rows(file, index, form, self._log)
            self._lines_read += lines
            self._rows_read += rows
            for part in parts:
                for user, activity, series in part.by_series(form):
                    by_user.setdefault(user, {}).setdefault(activity, []).append(series)
        if form.mixed_units and by_user:
            by_user, note = unify_units(by_user, self._log)
            self._notes += (note,)
        return by_user

    def _wanted(self, held: dict[str, set[str]]) -> dict[str, set[str]]:
        """Return the activities to keep of each user to keep; `held` is what the data has."""
        files = self._files.files
        place = files[0] if len(files) == 1 else files[0].parent
        if not held:
            raise BadRecordings(
                f"{place}: no valid row of {self._files.source} in {self._lines_read} lines "
                f"({self._log.describe()}); expected at least one. Check the file and the source."
            )
        return select(held, self._activities, self._users, place)

    def _note_rates(
        self, user: str, activity: str, segments: list[Segment], ticks_per_s: float
    ) -> None:
        steps = np.concatenate([np.diff(segment.time) for segment in segments])
        self._rates[user, activity] = native_rates_hz(steps / ticks_per_s)

    def _report(self, recordings: list[Recording], rows_kept: int) -> ReadReport:
        if not recordings:
            raise BadRecordings(
                f"{self._files.files[0]}: no segment of at least 1 s without a gap in "
                f"{self._rows_read} rows ({self._log.describe()}); expected timestamps about "
                "0.05 s apart: 50,000,000 nanoseconds, in Actitracker 50 milliseconds. Check the "
                "timestamps."
            )
        reasons, file_indices, line_numbers = self._log.arrays()
        return ReadReport(
            source=self._files.source,
            files=self._files.files,
            notes=self._notes,
            warnings=self._warnings,
            lines_read=self._lines_read,
            rows_read=self._rows_read,
            rows_kept=rows_kept,
            reasons=reasons,
            file_indices=file_indices,
            line_numbers=line_numbers,
            native_rates_hz=self._rates,
        )


def _record(
    user: str,
    activity: str,
    segments: list[Segment],
    first: int,
    ticks_per_s: float,
    rate_hz: float,
) -> Recording:
    """Resample the segments of a series; `first` is the user's first time in ticks."""
    pieces = [
        resample((segment.time - segment.time[0]) / ticks_per_s, segment.samples, rate_hz)
        for segment in segments
    ]
    sizes = [len(piece) for piece in pieces]
    starts = np.array([int(segment.time[0]) - first for segment in segments], dtype=np.int64)
    return Recording(
        user=user,
        activity=activity,
        rate_hz=rate_hz,
        samples=np.concatenate(pieces),
        segment_starts=np.cumsum([0, *sizes[:-1]], dtype=np.int64),
        segment_times_s=starts / ticks_per_s,
    )


def _feature_recording(
    user: str,
    activity: str,
    rows: FeatureRows,
    of_user: NDArray[np.int64],
    places: NDArray[np.int64],
) -> Recording:
    """Make a recording of the rows `of_user[places]`; each row is a segment."""
    return Recording(
        user=user,
        activity=activity,
        rate_hz=1.0 / FEATURE_WINDOW_S,
        samples=rows.features[of_user[places]],
        segment_starts=np.arange(places.size, dtype=np.int64),
        segment_times_s=places.astype(np.float64) * FEATURE_WINDOW_S,
    )

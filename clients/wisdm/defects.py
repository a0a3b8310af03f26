"""What was wrong with a data file, line by line: reasons, and the report of a reading."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["MEANINGS", "REJECTED", "DefectLog", "ReadReport", "Reason"]


class Reason(IntEnum):
    """Why a row was left out, mended or marked; `label` is the name that reports use."""

    BLANK_LINE = 0
    MALFORMED = 1
    MISSING_VALUE = 2
    CUT_OFF = 3
    UNKNOWN_ACTIVITY = 4
    ZERO_TIME = 5
    BAD_SAMPLE = 6
    NO_GRAVITY = 7
    REPEATED_ROW = 8
    REPEATED_TIME = 9
    TWO_ACTIVITIES = 10
    TOO_FAST = 11
    SHORT_SEGMENT = 12
    NOT_REQUESTED = 13
    JOINED_RECORDS = 14
    EXTRA_COMMA = 15
    NO_SEMICOLON = 16
    REORDERED = 17
    JUMP_BACK = 18
    GAP = 19
    BRIDGED = 20
    MISSING_FEATURE = 21

    @property
    def label(self) -> str:
        """Return the name in reports, such as "blank-line"."""
        return self.name.lower().replace("_", "-")


REJECTED = frozenset(Reason(code) for code in range(Reason.NOT_REQUESTED + 1))
"""Reasons whose rows are in no recording; each such row has exactly one of them. The others
mark rows that were mended, or that start or bridge a gap; such a row may still be rejected."""

MEANINGS: Mapping[Reason, str] = {
    Reason.BLANK_LINE: "nothing on the line",
    Reason.MALFORMED: "not six fields, or a field that is not the number it should be",
    Reason.MISSING_VALUE: "an empty x, y or z",
    Reason.CUT_OFF: "the file ends inside this row",
    Reason.UNKNOWN_ACTIVITY: "an activity that the source does not define",
    Reason.ZERO_TIME: "a timestamp of zero or less, so no place in time",
    Reason.BAD_SAMPLE: "not finite, or beyond 200 m/s² (20 g)",
    Reason.NO_GRAVITY: "of a user whose samples show no gravity, neither in m/s² nor in g",
    Reason.REPEATED_ROW: "the same time and sample as an earlier row of the series",
    Reason.REPEATED_TIME: "the same time as another row, another sample; the first is kept",
    Reason.TWO_ACTIVITIES: "the same time and sample under two activities; neither is kept",
    Reason.TOO_FAST: "part of a segment with under 4 ms from row to row: made-up times",
    Reason.SHORT_SEGMENT: "part of a segment shorter than 1 s",
    Reason.NOT_REQUESTED: "of a user or an activity that was not asked for",
    Reason.JOINED_RECORDS: "a further row on a line that already held one",
    Reason.EXTRA_COMMA: "a comma before the semicolon, ignored",
    Reason.NO_SEMICOLON: "no semicolon at the end, accepted",
    Reason.REORDERED: "up to 0.5 s late in the file, put back in its place",
    Reason.JUMP_BACK: "time jumps back by more than 0.5 s: a new segment starts here",
    Reason.GAP: "more than 0.5 s after the row before: a new segment starts here",
    Reason.BRIDGED: "0.15 to 0.5 s after the row before: a straight line fills the gap",
    Reason.MISSING_FEATURE: "a feature given as '?', kept as NaN",
}


@dataclass(frozen=True, slots=True)
class ReadReport:
    """What was read, kept, rejected and mended.

    A row is one record; an empty line counts as one row. `rows_read` is `rows_kept` plus the
    counts of all reasons in `REJECTED`.

    Attributes:
        source: the source that was read, such as "wisdm-2019".
        files: the files read; `file_indices` point into it.
        notes: sentences about files that were passed over, and about users' units.
        warnings: sentences about users whose unit is not the one that the source promises.
        lines_read: lines in all files.
        rows_read: rows in all files.
        rows_kept: rows that recordings are made of.
        reasons: uint8 [D], codes of `Reason`, one per row and reason.
        file_indices: uint32 [D].
        line_numbers: uint32 [D], from 1.
        native_rates_hz: by (user, activity), the rates found in the series, in Hz, the one that
            covers the most time first; rates that cover less than 5% of the time are left out.
    """

    source: str
    files: tuple[Path, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    lines_read: int
    rows_read: int
    rows_kept: int
    reasons: NDArray[np.uint8]
    file_indices: NDArray[np.uint32]
    line_numbers: NDArray[np.uint32]
    native_rates_hz: Mapping[tuple[str, str], tuple[float, ...]]

    def counts(self) -> dict[str, int]:
        """Return the number of rows by reason, for the reasons that occurred."""
        numbers = np.bincount(self.reasons, minlength=len(Reason))
        return {reason.label: int(numbers[reason]) for reason in Reason if numbers[reason]}

    def rows_rejected(self) -> int:
        """Return the number of rows that are in no recording."""
        return sum(n for label, n in self.counts().items() if _by_label(label) in REJECTED)

    def lines(self, reason: str) -> Iterator[tuple[Path, int]]:
        """Yield (file, line number) of every row with this reason, in file order.

        Args:
            reason: a key of `counts()`; one that did not occur yields nothing.
        """
        for i in np.flatnonzero(self.reasons == _by_label(reason)):
            yield self.files[int(self.file_indices[i])], int(self.line_numbers[i])


def _by_label(label: str) -> Reason:
    return Reason[label.upper().replace("-", "_")]


class DefectLog:
    """Collects defects as arrays while files are read, then hands them to the report."""

    def __init__(self) -> None:
        self._parts: list[tuple[Reason, NDArray[np.uint32], NDArray[np.uint32]]] = []

    def add(self, reason: Reason, files: ArrayLike, lines: ArrayLike) -> None:
        """Note one reason for rows at (file index, line number); both broadcast to [D]."""
        file_array, line_array = np.broadcast_arrays(
            np.atleast_1d(np.asarray(files, dtype=np.uint32)),
            np.atleast_1d(np.asarray(lines, dtype=np.uint32)),
        )
        if line_array.size:
            self._parts.append((reason, file_array.copy(), line_array.copy()))

    def count(self, reason: Reason) -> int:
        """Return the number of rows noted so far under one reason."""
        return sum(lines.size for noted, _, lines in self._parts if noted is reason)

    def describe(self) -> str:
        """Return the counts so far in words, such as "3 blank-line, 1 malformed"."""
        counts = [(reason.label, self.count(reason)) for reason in Reason]
        return ", ".join(f"{n} {label}" for label, n in counts if n) or "no defects"

    def arrays(self) -> tuple[NDArray[np.uint8], NDArray[np.uint32], NDArray[np.uint32]]:
        """Return reasons uint8 [D], file indices and line numbers uint32 [D], in file order."""
        if not self._parts:
            empty = np.zeros(0, dtype=np.uint32)
            return np.zeros(0, dtype=np.uint8), empty, empty
        sizes = [lines.size for _, _, lines in self._parts]
        codes = np.array([reason for reason, _, _ in self._parts], dtype=np.uint8)
        reasons = np.repeat(codes, sizes)
        files = np.concatenate([files for _, files, _ in self._parts])
        lines = np.concatenate([lines for _, _, lines in self._parts])
        order = np.lexsort((reasons, lines, files))
        return reasons[order], files[order], lines[order]

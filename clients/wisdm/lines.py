"""The careful parser of single WISDM lines, for those that are not clean."""

from __future__ import annotations

import re

import numpy as np

from clients.wisdm.defects import DefectLog, Reason
from clients.wisdm.rows import LineForm, Rows

__all__ = ["LineParser"]

_USER = re.compile(rb"\d{1,9}")
_TIME = re.compile(rb"-?\d{1,18}")
_NUMBER = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:nan|inf|infinity)", re.I)


class LineParser:
    """Parses the lines that are not clean, one at a time, and says what is wrong with each."""

    def __init__(self, form: LineForm, log: DefectLog, file: int, first_line: int) -> None:
        self.seen = 0
        self._form = form
        self._log = log
        self._notes: dict[Reason, list[int]] = {}
        self._file = file
        self._first_line = first_line
        self._found: list[tuple[int, int, int, int]] = []
        self._samples: list[tuple[float, float, float]] = []

    def parse(self, text: bytes, line: int, *, unfinished: bool) -> None:
        """Parse one line; `unfinished` says that the file ends in it without a newline."""
        *ended, rest = text.split(b";")
        records = [(record, True) for record in ended]
        if rest.strip() or not ended:
            records.append((rest, False))
        for place, (record, closed) in enumerate(records):
            self.seen += 1
            if place:
                self._note(Reason.JOINED_RECORDS, line)
            self._record(record, line, closed=closed, unfinished=unfinished)

    def _record(self, record: bytes, line: int, *, closed: bool, unfinished: bool) -> None:
        if not record.strip():
            self._note(Reason.MALFORMED if closed else Reason.BLANK_LINE, line)
            return
        if unfinished and not closed:
            self._note(Reason.CUT_OFF, line)
            return
        fields = [field.strip() for field in record.split(b",")]
        extra_comma = len(fields) == 7 and not fields[-1]
        fields = fields[:6] if extra_comma else fields
        if len(fields) < 6 and _USER.fullmatch(fields[0]) and len(fields) > 3:
            self._note(Reason.MISSING_VALUE, line)
            return
        if len(fields) != 6 or not _USER.fullmatch(fields[0]) or not _TIME.fullmatch(fields[2]):
            self._note(Reason.MALFORMED, line)
            return
        if not all(fields[3:]):
            self._note(Reason.MISSING_VALUE, line)
            return
        if not all(_NUMBER.fullmatch(field) for field in fields[3:]):
            self._note(Reason.MALFORMED, line)
            return
        if extra_comma:
            self._note(Reason.EXTRA_COMMA, line)
        if not closed:
            self._note(Reason.NO_SEMICOLON, line)
        self._found.append((line, int(fields[0]), self._form.code(fields[1]), int(fields[2])))
        self._samples.append((float(fields[3]), float(fields[4]), float(fields[5])))

    def _note(self, reason: Reason, line: int) -> None:
        self._notes.setdefault(reason, []).append(self._first_line + line)

    def rows(self) -> Rows:
        """Log the notes; return what could be read, line numbers within the block from 0."""
        for reason, lines in self._notes.items():
            self._log.add(reason, self._file, lines)
        self._notes.clear()
        found = np.array(self._found, dtype=np.int64).reshape(-1, 4)
        with np.errstate(over="ignore"):  # beyond float32 is infinite, hence a bad sample
            samples = np.array(self._samples, dtype=np.float64).reshape(-1, 3).astype(np.float32)
        return Rows(
            file=np.zeros(len(found), dtype=np.uint32),
            line=found[:, 0].astype(np.uint32),
            user=found[:, 1].astype(np.int32),
            activity=found[:, 2].astype(np.int8),
            time=found[:, 3],
            samples=samples,
        )

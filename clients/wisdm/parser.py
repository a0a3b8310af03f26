"""WISDM raw text -> rows, exact about every line.

A clean line is six comma-separated fields and a semicolon. Blocks of lines are checked on their
bytes with NumPy; clean lines go to pyarrow's CSV reader, all others, and whatever that reader
refuses, to a careful parser of single lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from clients.errors import BadRecordings
from clients.wisdm.defects import DefectLog, Reason
from clients.wisdm.lines import LineParser
from clients.wisdm.rows import LineForm, Rows, concatenate, no_rows

__all__ = ["read_rows"]

MAX_ACCELERATION = 200.0  # m/s², about 20 g: the sensors saturate far below
_BLOCK_BYTES = 1 << 22
_MOST_LINE_BYTES = 1 << 16  # a row has some 50; those that were joined, some more
_MOST_ROWS = 100_000_000  # of one file, of 33 bytes each in memory; Actitracker has 3 million
_GIVE_UP_LINES = 64  # a refused block this small is parsed line by line
_COLUMNS = ["user", "activity", "time", "x", "y", "z", "end"]
_TYPES = {
    "user": pa.int32(),
    "activity": pa.dictionary(pa.int32(), pa.binary()),
    "time": pa.int64(),
    "x": pa.float32(),
    "y": pa.float32(),
    "z": pa.float32(),
    "end": pa.null(),
}
_SEMICOLON_TO_COMMA = bytes.maketrans(b";", b",")


def read_rows(path: Path, file: int, form: LineForm, log: DefectLog) -> tuple[list[Rows], int, int]:
    """Parse one file block by block.

    Args:
        path: the file.
        file: its index in the report.
        form: how its lines are written.
        log: receives every rejected or mended row.

    Returns:
        Valid rows in parts, the number of lines, and the number of rows, valid or not.

    Raises:
        BadRecordings: a line is too long, or there are too many.
        OSError: the file cannot be read.
    """
    parts: list[Rows] = []
    lines = rows = 0
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES) + stream.readline(_MOST_LINE_BYTES + 1):
            if lines == 0:
                block = block.removeprefix(b"\xef\xbb\xbf")
            if too_long := _first_too_long(block):
                raise BadRecordings(
                    f"{path}: line {lines + too_long} has more than {_MOST_LINE_BYTES:,} bytes; "
                    "expected rows such as 1600,A,90426708196641,7.09,-0.59,8.19; Give the raw "
                    "data file."
                )
            valid, block_lines, block_rows = _read_block(block, file, lines + 1, form, log)
            parts.append(valid)
            lines += block_lines
            rows += block_rows
            if rows > _MOST_ROWS:
                raise BadRecordings(
                    f"{path}: more than {_MOST_ROWS:,} rows; no WISDM file has as many. Cut it, or "
                    "give another file."
                )
    return parts, lines, rows


def _first_too_long(block: bytes) -> int:
    """Return the number of the first line, from 1, that is too long; 0 where none is."""
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n"))
    lengths = np.diff(ends, prepend=-1, append=len(block))
    return int(lengths.argmax()) + 1 if int(lengths.max()) > _MOST_LINE_BYTES else 0


def _read_block(
    block: bytes, file: int, first_line: int, form: LineForm, log: DefectLog
) -> tuple[Rows, int, int]:
    """Parse whole lines; returns valid rows, the number of lines, the number of rows."""
    finished = block.endswith(b"\n")
    if not finished:
        block += b"\n"
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n").replace(b"\r", b" ")
    starts, ends, clean = _check_lines(block)
    numbers = np.flatnonzero(clean)
    text = block if clean.all() else b"".join(_clean_slices(block, starts, ends, clean))
    parts: list[Rows] = []
    refused = [np.flatnonzero(~clean)]
    for piece, piece_refused in _parse_clean(text, numbers, form):
        parts.append(piece)
        refused.append(piece_refused)
    slow = np.sort(np.concatenate(refused))
    rows = sum(part.line.size for part in parts)
    if slow.size:
        careful = LineParser(form, log, file, first_line)
        for i in slow:
            last = not finished and int(i) == ends.size - 1
            careful.parse(block[starts[i] : ends[i]], int(i), unfinished=last)
        parts.append(careful.rows())
        rows += careful.seen
    merged = concatenate(parts) if len(parts) > 1 else parts[0]
    if slow.size:
        merged = merged.take(np.argsort(merged.line, kind="stable"))
    merged.file[:] = file
    merged.line[:] += np.uint32(first_line)
    return _drop_invalid(merged, log), ends.size, rows


def _check_lines(block: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return starts and ends (of the newline) int64 [L], and which lines are clean, bool [L]."""
    raw = np.frombuffer(block, dtype=np.uint8)
    ends = np.flatnonzero(raw == ord("\n"))
    starts = np.concatenate([[0], ends[:-1] + 1])
    commas = np.flatnonzero(raw == ord(","))
    semicolons = np.flatnonzero(raw == ord(";"))
    suspicious = b"0x" in block or b"0X" in block  # pyarrow reads hexadecimal integers
    if (
        not suspicious
        and np.array_equal(semicolons + 1, ends)
        and commas.size == 5 * ends.size
        and (commas[0::5] >= starts).all()
        and (commas[4::5] < ends).all()
    ):
        return starts, ends, np.ones(ends.size, dtype=np.bool_)
    per_line = np.diff(np.searchsorted(commas, ends), prepend=0)
    clean = (per_line == 5) & (np.diff(np.searchsorted(semicolons, ends), prepend=0) == 1)
    clean &= raw[ends - 1] == ord(";")
    if suspicious:
        letters = np.flatnonzero((raw | 0x20) == ord("x"))
        clean[np.searchsorted(ends, letters)] = False
    return starts, ends, clean


def _clean_slices(
    block: bytes, starts: NDArray[np.int64], ends: NDArray[np.int64], clean: NDArray[np.bool_]
) -> Iterator[bytes]:
    """Yield the runs of clean lines."""
    edges = np.flatnonzero(np.diff(clean, prepend=False, append=False))
    for first, after in zip(edges[0::2], edges[1::2], strict=True):
        yield block[starts[first] : ends[after - 1] + 1]


def _parse_clean(
    text: bytes, numbers: NDArray[np.int64], form: LineForm
) -> Iterator[tuple[Rows, NDArray[np.int64]]]:
    """Yield rows of clean lines, in order, and the lines that pyarrow could not take.

    Args:
        text: clean lines only.
        numbers: int64 [L], the line of each within the block, from 0.
        form: how lines are written.
    """
    if not numbers.size:
        yield no_rows(), numbers
        return
    try:
        table = pa.csv.read_csv(
            pa.BufferReader(text.translate(_SEMICOLON_TO_COMMA)),
            read_options=pa.csv.ReadOptions(
                use_threads=False, block_size=len(text) + 1, column_names=_COLUMNS
            ),
            parse_options=pa.csv.ParseOptions(quote_char=False, ignore_empty_lines=False),
            convert_options=pa.csv.ConvertOptions(column_types=_TYPES, null_values=[""]),
        )
    except pa.ArrowInvalid:
        if numbers.size <= _GIVE_UP_LINES:
            yield no_rows(), numbers
            return
        cut = text.index(b"\n", len(text) // 2) + 1
        lines = text.count(b"\n", 0, cut)
        if lines == numbers.size:  # one line fills the second half
            cut = text.rindex(b"\n", 0, len(text) - 1) + 1
            lines -= 1
        yield from _parse_clean(text[:cut], numbers[:lines], form)
        yield from _parse_clean(text[cut:], numbers[lines:], form)
        return
    yield _rows_of(table, numbers, form)


def _rows_of(
    table: Any, numbers: NDArray[np.int64], form: LineForm
) -> tuple[Rows, NDArray[np.int64]]:
    """Turn a table of clean lines into rows; lines with empty fields are handed back."""
    columns = {name: table.column(name).combine_chunks() for name in _COLUMNS[:-1]}
    written = columns["activity"]
    codes = np.array([form.code(value) for value in written.dictionary.to_pylist()], dtype=np.int8)
    empty = np.zeros(numbers.size, dtype=np.bool_)
    for column in columns.values():
        if column.null_count:
            empty |= column.is_null().to_numpy(zero_copy_only=False)
    filled = {
        name: column.fill_null(0).to_numpy(zero_copy_only=False)
        for name, column in columns.items()
        if name != "activity"
    }
    samples = np.empty((numbers.size, 3), dtype=np.float32)
    for axis, name in enumerate("xyz"):
        samples[:, axis] = filled[name]
    index = written.indices.fill_null(0).to_numpy(zero_copy_only=False)
    rows = Rows(
        file=np.zeros(numbers.size, dtype=np.uint32),
        line=numbers.astype(np.uint32),
        user=filled["user"].astype(np.int32),
        activity=codes[index] if codes.size else np.full(numbers.size, -1, dtype=np.int8),
        time=filled["time"].astype(np.int64),
        samples=samples,
    )
    empty |= rows.user <= 0  # pyarrow takes "-0" and negative ids; the careful parser does not
    return (rows.take(~empty), numbers[empty]) if empty.any() else (rows, numbers[:0])


def _drop_invalid(rows: Rows, log: DefectLog) -> Rows:
    """Reject rows whose activity, time or sample is no use, each for its first such reason."""
    keep = np.ones(rows.line.size, dtype=np.bool_)
    low, high = -MAX_ACCELERATION, MAX_ACCELERATION
    checks = [
        (Reason.UNKNOWN_ACTIVITY, rows.activity < 0),
        (Reason.ZERO_TIME, rows.time <= 0),
        (Reason.BAD_SAMPLE, ~((rows.samples >= low) & (rows.samples <= high)).all(axis=1)),
    ]
    for reason, wrong in checks:
        wrong &= keep
        log.add(reason, rows.file[wrong], rows.line[wrong])
        keep &= ~wrong
    return rows if keep.all() else rows.take(keep)

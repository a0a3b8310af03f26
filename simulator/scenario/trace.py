"""A trace: when which devices cannot be reached, as a CSV file."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clients.bounded import read_bounded
from clients.errors import BadInput

__all__ = ["read_trace"]

_COLUMNS = ["device", "first_round", "last_round"]
_MOST_BYTES = 256 * 2**20
_MOST_CELL = 1000  # characters
_WHAT = "a trace, CSV with the columns " + ",".join(_COLUMNS)
_ROUND = re.compile(r"[0-9]{1,9}", re.ASCII)


def read_trace(path: Path, devices: Sequence[str], rounds: int) -> NDArray[np.bool_]:
    """Read when devices can be reached.

    Each line of the file is a span of rounds, from 1 and both ends included, in which a device can
    not be reached. Spans may overlap, and go on beyond the last round; a device without any is
    always there.

    Args:
        path: a CSV file with the columns device, first_round and last_round, in any order.
        devices: ids of the D devices.
        rounds: R, of the run.

    Returns:
        bool [D, R], whether each device can be reached in each round; round 1 comes first.

    Raises:
        BadInput: there is no such file, it is too large or no CSV, or a line of it names an unknown
            device or no span of rounds.
    """
    place = {device: row for row, device in enumerate(devices)}
    there = np.ones((len(devices), rounds), np.bool_)
    for where, device, first, last in _spans(path):
        if device not in place:
            some = ", ".join(list(place)[:5]) + (" ..." if len(place) > 5 else "")
            raise BadInput(f"{where}: device = {device!r}: no device of this run; those are {some}")
        there[place[device], first - 1 : last] = False
    return there


def _spans(path: Path) -> Iterator[tuple[str, str, int, int]]:
    """Go through the lines: where each stands, its device, its first and its last round."""
    rows = _rows(path)
    line, header = next(rows, (1, []))
    columns = [cell.strip() for cell in header]
    if sorted(columns) != sorted(_COLUMNS):
        raise BadInput(
            f"{path}, line {line}: the columns are {_told(columns)}; expected "
            f"{', '.join(_COLUMNS)}, named in the first line"
        )
    for line, row in rows:
        where = f"{path}, line {line}"
        if len(row) != len(columns):
            raise BadInput(
                f"{where}: {len(row)} values ({_told(row)}); expected {len(columns)}: "
                f"{', '.join(columns)}"
            )
        cells = dict(zip(columns, (cell.strip() for cell in row), strict=True))
        first, last = (_round(cells[name], name, where) for name in _COLUMNS[1:])
        if first > last:
            raise BadInput(
                f"{where}: first_round = {first} comes after last_round = {last}; expected a span "
                "from the first round that the device misses to the last one"
            )
        yield where, cells["device"], first, last


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Go through the rows that are not empty, each with the number of its line."""
    try:
        text = read_bounded(path, _MOST_BYTES, _WHAT).decode("utf-8-sig")
    except FileNotFoundError:
        raise BadInput(f"{path}: there is no such file; give {_WHAT}") from None
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: not text (byte {error.start} is no UTF-8); give {_WHAT}") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            if max(map(len, row), default=0) > _MOST_CELL:
                raise BadInput(
                    f"{path}, line {reader.line_num}: a value of more than {_MOST_CELL} "
                    f"characters; give {_WHAT}"
                )
            if any(cell.strip() for cell in row):
                yield reader.line_num, row
    except csv.Error as error:
        raise BadInput(f"{path}, line {reader.line_num}: no CSV ({error}); give {_WHAT}") from None


def _round(cell: str, name: str, where: str) -> int:
    """Return a number of a round."""
    if not _ROUND.fullmatch(cell) or int(cell) < 1:
        raise BadInput(f"{where}: {name} = {cell!r}; expected a round, a whole number from 1")
    return int(cell)


def _told(cells: Sequence[str]) -> str:
    """Return some values for an error."""
    some = ", ".join(repr(cell[:40]) for cell in cells[:5])
    return (some or "none") + (" ..." if len(cells) > 5 else "")

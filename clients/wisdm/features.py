"""The WISDM v1.1 feature table (ARFF) -> one row of 43 features per 10 s window.

`scipy.io.arff` refuses the whole file for one bad row and knows no line numbers, so the table is
read here; a test compares the two.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clients.bounded import read_bounded
from clients.errors import BadInput, BadRecordings
from clients.wisdm.defects import DefectLog, Reason
from clients.wisdm.rows import LINE_FORMS

__all__ = ["FEATURE_NAMES", "FEATURE_WINDOW_S", "FeatureRows", "read_features"]

FEATURE_WINDOW_S = 10.0
FEATURE_NAMES: tuple[str, ...] = (
    *(f"{axis}{i}" for axis in "XYZ" for i in range(10)),
    *(f"{axis}{name}" for name in ("AVG", "PEAK", "ABSOLDEV", "STANDDEV") for axis in "XYZ"),
    "RESULTANT",
)
_MOST_BYTES = 256 * 2**20  # the published table has 2.5
_MOST_COLUMNS = 1000
_ATTRIBUTE = re.compile(r"""@attribute\s*(?:"([^"]*)"|'([^']*)'|([^\s{]+))""", re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False)
class FeatureRows:
    """Rows of the table in file order.

    Attributes:
        line: int64 [N], line number from 1.
        user: the user of each row.
        activity: the activity of each row.
        features: float32 [N, 43]; NaN where the table says '?'.
        lines_read: lines of the file.
        rows_read: lines after the header, valid or not, comments left out.
    """

    line: NDArray[np.int64]
    user: list[str]
    activity: list[str]
    features: NDArray[np.float32]
    lines_read: int
    rows_read: int


def read_features(path: Path, log: DefectLog) -> FeatureRows:
    """Read the table.

    Args:
        path: an ARFF file.
        log: receives rejected rows, and rows with a missing feature; its file index is 0.

    Raises:
        BadRecordings: the header lacks one of the 46 columns, or the file is too large.
        OSError: the file cannot be read.
    """
    try:
        content = read_bounded(path, _MOST_BYTES, "the WISDM v1.1 feature table")
    except BadInput as error:
        raise BadRecordings(str(error)) from None
    lines = content.decode("utf-8", errors="replace").split("\n")
    if lines and not lines[-1]:
        lines.pop()
    columns, first = _read_header(lines, path)
    wanted = [columns.index(name) for name in FEATURE_NAMES]
    user_at, class_at = columns.index("user"), columns.index("class")
    found: list[tuple[int, str, str]] = []
    features: list[list[float]] = []
    activities = LINE_FORMS["wisdm-v1.1"].names
    rows_read = 0
    for number, line in enumerate(lines[first:], start=first + 1):
        if line.lstrip().startswith("%"):
            continue
        rows_read += 1
        cells = [cell.strip().strip("\"'").strip() for cell in line.split(",")]
        row = _numbers(cells, wanted) if len(cells) == len(columns) else None
        if not line.strip():
            log.add(Reason.BLANK_LINE, 0, number)
        elif row is None or not re.fullmatch(r"[0-9]{1,9}", cells[user_at]):
            log.add(Reason.MALFORMED, 0, number)
        elif cells[class_at].lower() not in activities:
            log.add(Reason.UNKNOWN_ACTIVITY, 0, number)
        else:
            found.append((number, str(int(cells[user_at])), cells[class_at].lower()))
            features.append(row)
    table = np.array(features, dtype=np.float32).reshape(-1, len(FEATURE_NAMES))
    number_array = np.array([number for number, _, _ in found], dtype=np.int64)
    log.add(Reason.MISSING_FEATURE, 0, number_array[np.isnan(table).any(axis=1)])
    return FeatureRows(
        line=number_array,
        user=[user for _, user, _ in found],
        activity=[activity for _, _, activity in found],
        features=table,
        lines_read=len(lines),
        rows_read=rows_read,
    )


def _read_header(lines: list[str], path: Path) -> tuple[list[str], int]:
    """Return the column names and the index of the first line after @data."""
    columns: list[str] = []
    for index, line in enumerate(lines):
        text = line.strip()
        if text.lower().startswith("@data"):
            missing = [n for n in ("user", *FEATURE_NAMES, "class") if n not in columns]
            if missing:
                break
            return columns, index + 1
        if len(columns) > _MOST_COLUMNS:
            break
        if match := _ATTRIBUTE.match(text):
            columns.append(next(group for group in match.groups() if group is not None).strip())
    raise BadRecordings(
        f"{path}: not the WISDM v1.1 feature table: {len(columns)} columns before @data; expected "
        f"user, {FEATURE_NAMES[0]} to {FEATURE_NAMES[-1]} (43 features) and class. Give the path "
        "of WISDM_ar_v1.1_transformed.arff."
    )


def _numbers(cells: list[str], wanted: list[int]) -> list[float] | None:
    """Return the features of a row, NaN for '?'; None if one is no finite float32."""
    try:
        row = [float("nan") if cells[i] == "?" else float(cells[i]) for i in wanted]
    except ValueError:
        return None
    numbers = [value for value in row if value == value]
    stated = sum(cells[i] != "?" for i in wanted)
    return row if len(numbers) == stated and all(abs(v) < 3e38 for v in numbers) else None

"""Which files a path stands for, and which source they belong to."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from clients.errors import BadRecordings
from clients.wisdm.rows import LINE_FORMS

__all__ = ["FEATURES_SOURCE", "RAW_2019", "SOURCES", "SourceFiles", "find_files"]

FEATURES_SOURCE = "wisdm-v1.1-features"
RAW_2019 = "wisdm-2019"
SOURCES: tuple[str, ...] = (*LINE_FORMS, FEATURES_SOURCE)
"""The sources that can be read; "auto" chooses among them."""

_FILE_NAMES = {
    "wisdm-v1.1": re.compile(r"WISDM_ar_v1\.1_raw\.txt", re.IGNORECASE),
    "actitracker-v2.0": re.compile(r"WISDM_at_v2\.0_raw\.txt", re.IGNORECASE),
    FEATURES_SOURCE: re.compile(r"WISDM_ar_v1\.1_transformed\.arff", re.IGNORECASE),
}
_UNUSED_ACTITRACKER = re.compile(
    r"WISDM_at_v2\.0_(?!raw\.txt)\w*\.(txt|arff|csv)", re.IGNORECASE
)  # features, unlabelled rows, descriptions
_NAME_2019 = re.compile(r"data_\w+_(accel|gyro)_(watch|phone)\.txt", re.IGNORECASE)
_PACKED = {
    b"\xfd7zXZ": "xz",
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"BZh": "bzip2",
    b"7z\xbc\xaf": "7z",
}
_HEAD_BYTES = 1 << 16
_STEP_S = 0.05  # from row to row in all raw sources, by and large
_EPOCH_MS = range(1_000_000_000_000, 2_000_000_000_000)  # 2001 to 2033


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """The source, its files in the order of their paths, and what was passed over."""

    source: str
    files: tuple[Path, ...]
    notes: tuple[str, ...]


def find_files(path: Path, source: str) -> SourceFiles:
    """Find the files of a source at a path, detecting the source where it is "auto".

    Raises:
        BadRecordings: no or several candidates, a wrong path, a packed or binary file, or a
            source that is unknown.
    """
    if source not in (*SOURCES, "auto"):
        known = ", ".join((*SOURCES, "auto"))
        raise BadRecordings(f"unknown source {source!r}; expected one of {known}.")
    if path.is_file():
        return _one_file(path, source)
    if path.is_dir():
        return _folder(path, source)
    raise BadRecordings(
        f"{path}: no such file or folder; expected WISDM data. Check the path, and unpack the "
        "data first."
    )


def _one_file(path: Path, source: str) -> SourceFiles:
    head = _head(path)
    named = _NAME_2019.fullmatch(path.name)
    if named and named[1].lower() == "gyro":
        raise BadRecordings(
            f"{path}: gyroscope data; expected accelerometer data (m/s²). Give the file "
            f"{path.name.replace('gyro', 'accel')} instead."
        )
    if source in ("actitracker-v2.0", "auto") and _UNUSED_ACTITRACKER.fullmatch(path.name):
        raise BadRecordings(
            f"{path}: a file of Actitracker without labelled rows; expected WISDM_at_v2.0_raw.txt, "
            "which is in the same archive. Give its path."
        )
    return SourceFiles(_detect(path, head) if source == "auto" else source, (path,), ())


def _folder(path: Path, source: str) -> SourceFiles:
    candidates = {name: _find(path, name) for name in SOURCES if source in (name, "auto")}
    found = {name: files for name, files in candidates.items() if files}
    notes: list[str] = []
    if set(found) == {"wisdm-v1.1", FEATURES_SOURCE}:  # as the published archive has them
        passed_over = found.pop(FEATURES_SOURCE)[0]
        notes.append(
            f"{passed_over} was passed over: the raw file beside it was read. Name the source "
            f'"{FEATURES_SOURCE}" to read the table.'
        )
    if not found:
        raise BadRecordings(_nothing_there(path, source))
    if len(found) > 1:
        raise BadRecordings(
            f"{path}: holds data of {' and '.join(found)}; expected one source. Name the source, "
            "or give a folder of one."
        )
    name, files = next(iter(found.items()))
    if name == RAW_2019:
        files, gyro_notes = _choose_2019(path, files)
        notes += gyro_notes
    elif len(files) > 1:
        raise BadRecordings(
            f"{path}: {len(files)} files of {name}: {_some(files)}; expected one. Give the path "
            "of the one to read."
        )
    for file in files:
        _head(file)
    return SourceFiles(name, tuple(files), tuple(notes))


def _find(folder: Path, source: str) -> list[Path]:
    return _named(folder, _NAME_2019 if source == RAW_2019 else _FILE_NAMES[source])


def _named(folder: Path, pattern: re.Pattern[str]) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if pattern.fullmatch(p.name) and p.is_file())


def _nothing_there(folder: Path, source: str) -> str:
    """Say that a folder has no files of a source, and what it has instead of Actitracker's."""
    if source in ("actitracker-v2.0", "auto"):
        others = _named(folder, _UNUSED_ACTITRACKER)
        if others:
            return (
                f"{folder}: files of Actitracker without labelled rows only ({_some(others)}); "
                "expected WISDM_at_v2.0_raw.txt, which is in the same archive. Give the folder "
                "that holds it."
            )
    return (
        f"{folder}: no files of {'any source' if source == 'auto' else source} in this folder or "
        "below; expected WISDM_ar_v1.1_raw.txt, data_<user>_accel_watch.txt, "
        "WISDM_at_v2.0_raw.txt or WISDM_ar_v1.1_transformed.arff. Give the folder that holds them, "
        "or a file."
    )


def _choose_2019(folder: Path, files: list[Path]) -> tuple[list[Path], list[str]]:
    """Keep the accelerometer files of the one kind of device that the folder holds."""
    by_kind: dict[tuple[str, str], list[Path]] = {}
    for file in files:
        if match := _NAME_2019.fullmatch(file.name):
            by_kind.setdefault((match[1].lower(), match[2].lower()), []).append(file)
    accelerometers = {kind: found for kind, found in by_kind.items() if kind[0] == "accel"}
    if not accelerometers:
        raise BadRecordings(
            f"{folder}: gyroscope files only ({_some(files)}); expected accelerometer files, "
            "data_<user>_accel_watch.txt. Give the folder that holds them."
        )
    if len(accelerometers) > 1:
        folders = sorted({str(found[0].parent) for found in accelerometers.values()})
        raise BadRecordings(
            f"{folder}: holds both watch and phone recordings of the same people; expected one of "
            f"the two. Give the folder of one: {' or '.join(folders)}."
        )
    chosen = next(iter(accelerometers.values()))
    passed_over = len(files) - len(chosen)
    notes = [f"{passed_over} gyroscope files in {folder} were passed over."] if passed_over else []
    return chosen, notes


def _head(path: Path) -> bytes:
    """Return the first bytes of a text file.

    Raises:
        BadRecordings: it is empty, packed, binary, or cannot be read.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError as error:
        raise BadRecordings(
            f"{path}: cannot be read ({error.strerror}); expected a readable file. Check its "
            "permissions."
        ) from error
    for magic, name in _PACKED.items():
        if head.startswith(magic):
            raise BadRecordings(f"{path}: a {name} archive; expected text. Unpack it first.")
    if b"\0" in head:
        raise BadRecordings(
            f"{path}: a binary file (it holds zero bytes); expected lines such as "
            "1600,A,90426708196641,7.09,-0.59,8.19; Give the path of the text file."
        )
    return head


def _detect(path: Path, head: bytes) -> str:
    """Tell the source from the first rows of a file."""
    if b"@attribute" in head.lower():
        return FEATURES_SOURCE
    fields = [row.split(b",") for row in head.replace(b"\n", b";").split(b";")]
    rows = [row for row in fields if len(row) >= 6]
    hits = {name: sum(form.code(row[1]) >= 0 for row in rows) for name, form in LINE_FORMS.items()}
    most = max(hits.values())
    if not most:
        raise BadRecordings(
            f"{path}: no row of any known source in the first {len(head)} bytes, which begin with "
            f"{head[:60]!r}; expected lines such as 1600,A,90426708196641,7.09,-0.59,8.19; or "
            "33,Jogging,49105962326000,-0.69,12.68,0.50; or "
            "194,Standing,1370367549273,-0.38,10.47,-1.68; Check that this is the raw data file."
        )
    best = [name for name in LINE_FORMS if hits[name] == most]
    return best[0] if len(best) == 1 else _tell_by_clock(best, [row[2].strip() for row in rows])


def _tell_by_clock(sources: Sequence[str], times: Sequence[bytes]) -> str:
    """Choose among sources with the same activities, by which clock makes rows 0.05 s apart.

    A single timestamp says less: 13 digits are the date in milliseconds, or 20 minutes of a
    phone's uptime in nanoseconds. It is taken for the date.
    """
    ticks = [int(time) for time in times if re.fullmatch(rb"[0-9]{1,18}", time)]
    steps = [abs(after - before) for before, after in pairwise(ticks) if after != before]
    if steps:
        step = median(steps)
    else:
        step = _STEP_S * (1e3 if ticks and ticks[0] in _EPOCH_MS else 1e9)
    return min(
        sources, key=lambda name: abs(math.log(step / (_STEP_S * LINE_FORMS[name].ticks_per_s)))
    )


def _some(files: Iterable[Path]) -> str:
    names = [file.name for file in files]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")

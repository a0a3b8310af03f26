"""Which files a path stands for, and which source they belong to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from clients.errors import BadRecordings
from clients.wisdm.rows import LINE_FORMS

__all__ = ["FEATURES_SOURCE", "RAW_2019", "SOURCES", "SourceFiles", "find_files"]

FEATURES_SOURCE = "wisdm-v1.1-features"
RAW_2019 = "wisdm-2019"
SOURCES: tuple[str, ...] = (*LINE_FORMS, FEATURES_SOURCE)
"""The sources that can be read; "auto" chooses among them."""

_FILE_NAMES = {
    "wisdm-v1.1": re.compile(r"WISDM_ar_v1\.1_raw\.txt", re.IGNORECASE),
    FEATURES_SOURCE: re.compile(r"WISDM_ar_v1\.1_transformed\.arff", re.IGNORECASE),
}
_NAME_2019 = re.compile(r"data_\w+_(accel|gyro)_(watch|phone)\.txt", re.IGNORECASE)
_PACKED = {
    b"\xfd7zXZ": "xz",
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"BZh": "bzip2",
    b"7z\xbc\xaf": "7z",
}
_HEAD_BYTES = 1 << 16


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
        raise BadRecordings(
            f"{path}: no files of {'any source' if source == 'auto' else source} in this folder or "
            "below; expected WISDM_ar_v1.1_raw.txt, data_<user>_accel_watch.txt or "
            "WISDM_ar_v1.1_transformed.arff. Give the folder that holds them, or a file."
        )
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
    pattern = _NAME_2019 if source == RAW_2019 else _FILE_NAMES[source]
    return sorted(p for p in folder.rglob("*") if pattern.fullmatch(p.name) and p.is_file())


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
    activities = [row[1] for row in fields if len(row) >= 6]
    hits = {
        name: sum(form.code(activity) >= 0 for activity in activities)
        for name, form in LINE_FORMS.items()
    }
    best = max(hits, key=lambda name: hits[name])
    if not hits[best]:
        raise BadRecordings(
            f"{path}: no row of any known source in the first {len(head)} bytes, which begin with "
            f"{head[:60]!r}; expected lines such as 1600,A,90426708196641,7.09,-0.59,8.19; or "
            "33,Jogging,49105962326000,-0.69,12.68,0.50; Check that this is the raw data file."
        )
    return best


def _some(files: Iterable[Path]) -> str:
    names = [file.name for file in files]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")

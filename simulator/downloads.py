"""Data sets from their official addresses: downloaded, checked, unpacked safely, or not at all."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast
from urllib.parse import urlsplit
from urllib.request import urlopen

from clients.bounded import read_json
from clients.errors import BadInput, RunFailed

__all__ = ["DATA_SETS", "DataSet", "fetch_data"]

_CHUNK = 2**20
_TIMEOUT_S = 60.0
_RECORD = ".fetched.json"
_MIB = 2.0**20
_MOST_MEMBERS = 100_000
_MOST_BETWEEN = 2**20  # bytes of a tar archive that are no file's
_BLOCK = 2**16
_MOST_NESTED = 2  # archives in archives; UCI has one in its own

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class DataSet:
    """Where a data set is published.

    Attributes:
        address: of its archive.
        page: for people, with its terms.
        most_bytes: that it can take unpacked; more is no such data set.
    """

    address: str
    page: str
    most_bytes: int


DATA_SETS: Mapping[str, DataSet] = {
    "wisdm-v1.1": DataSet(
        "https://www.cis.fordham.edu/wisdm/includes/datasets/latest/WISDM_ar_latest.tar.gz",
        "https://www.cis.fordham.edu/wisdm/dataset.php",
        500 * 2**20,
    ),
    "wisdm-2019": DataSet(
        "https://archive.ics.uci.edu/static/public/507/"
        "wisdm+smartphone+and+smartwatch+activity+and+biometrics+dataset.zip",
        "https://archive.ics.uci.edu/dataset/507",
        4 * 2**30,
    ),
    "actitracker-v2.0": DataSet(
        "https://www.cis.fordham.edu/wisdm/includes/datasets/latest/WISDM_at_latest.tar.gz",
        "https://www.cis.fordham.edu/wisdm/dataset.php",
        8 * 2**30,
    ),
}


def fetch_data(name: str, out: Path, address: str | None, told: Told) -> Path:
    """Download a data set, check it, and unpack it into a folder that is not there yet.

    The size is checked against what the server announced, and the SHA-256 against that of the first
    download, which is kept in the folder of `out`, since the publishers give none.

    Args:
        name: of the data set.
        out: the folder to make.
        address: in place of the official one.
        told: is told what happens.

    Returns:
        `out`.

    Raises:
        BadInput: no such data set, or `out` is there already.
        RunFailed: it cannot be downloaded, or is not what it was; nothing is left behind.
    """
    if name not in DATA_SETS:
        raise BadInput(f"data fetch: no data set {name!r}; there are: {', '.join(DATA_SETS)}")
    if out.exists():
        raise BadInput(f"{out}: is there already; give another folder with --out, or remove it")
    known = DATA_SETS[name]
    source = known.address if address is None else address
    if urlsplit(source).scheme not in ("http", "https"):
        raise BadInput(f"--address {source}: expected an http or https address of an archive")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as folder:
        archive, unpacked = Path(folder) / "archive", Path(folder) / "unpacked"
        told(f"downloading {source}")
        digest = _download(source, archive, known)
        _compare(out.parent / _RECORD, name, source, digest)
        told(f"unpacking {archive.stat().st_size / _MIB:.1f} MiB")
        unpacked.mkdir()
        _Unpacking(source, known.most_bytes).unpack(archive, unpacked)
        unpacked.rename(out)
    _remember(out.parent / _RECORD, name, source, digest)
    return out


def _download(source: str, path: Path, known: DataSet) -> str:
    """Write what an address gives into a file; returns its SHA-256."""
    digest, received = hashlib.sha256(), 0
    try:
        with urlopen(source, timeout=_TIMEOUT_S) as response, path.open("wb") as file:
            announced = response.headers.get("Content-Length")
            while chunk := response.read(_CHUNK):
                received += len(chunk)
                if received > known.most_bytes:
                    raise RunFailed(
                        f"{source}: more than {known.most_bytes / _MIB:,.0f} MiB came; that is not "
                        f"this data set. Look at {known.page}"
                    )
                digest.update(chunk)
                file.write(chunk)
    except (OSError, HTTPException) as error:
        raise RunFailed(
            f"{source}: cannot be downloaded ({error}). Without a network, download the archive "
            f"from {known.page} on another machine, unpack it here, and give its folder as "
            "data.path"
        ) from None
    if announced is not None and str(received) != announced.strip():
        raise RunFailed(
            f"{source}: {received:,} bytes came of {announced}; the connection broke off. Try again"
        )
    return digest.hexdigest()


def _compare(record: Path, name: str, source: str, digest: str) -> None:
    """Refuse an archive that differs from what the same address gave the first time."""
    first = _records(record).get(name, {})
    if first.get("address") == source and first.get("sha256") != digest:
        raise RunFailed(
            f"{source}: its SHA-256 is {digest}, and was {first.get('sha256')} at the first "
            f"download. If the publisher changed the data set, remove its entry from {record}, and "
            "try again"
        )


def _remember(record: Path, name: str, source: str, digest: str) -> None:
    """Keep the checksum of the first download."""
    records = _records(record)
    records.setdefault(name, {"address": source, "sha256": digest})
    unfinished = record.with_name(f"{record.name}.unfinished")
    unfinished.write_text(json.dumps(records, indent=1) + "\n")
    unfinished.replace(record)


def _records(record: Path) -> dict[str, dict[str, str]]:
    try:
        found = read_json(record, "what a download left")
    except FileNotFoundError:
        return {}
    if not isinstance(found, dict) or not all(isinstance(each, dict) for each in found.values()):
        raise BadInput(f"{record}: is not the JSON that a download left; remove it")
    return found


class _Unpacking:
    """Unpacks an archive and those in it, as long as there is room for what comes out."""

    def __init__(self, source: str, most_bytes: int) -> None:
        self._source = source
        self._most_bytes = most_bytes
        self._bytes = self._members = 0

    def unpack(self, archive: Path, folder: Path, depth: int = 0) -> None:
        """Unpack a tar or zip archive, and the zip archives in it, which is how UCI packs.

        Raises:
            RunFailed: it is damaged, unpacks to too much, or leads out of its folder.
        """
        try:
            for name, stream in _members(archive, self._count):
                target = folder / _inside(name, self._source)
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as file:
                    shutil.copyfileobj(stream, file, _CHUNK)
            for inner in sorted(folder.rglob("*.zip")):
                if depth == _MOST_NESTED:
                    raise RunFailed(
                        f"{self._source}: holds archives in archives in archives; that is not this "
                        "data set"
                    )
                into = inner.with_suffix("")
                into.mkdir()
                self.unpack(inner, into, depth + 1)
                inner.unlink()
        except _DAMAGED as error:
            raise RunFailed(f"{self._source}: cannot be unpacked ({error}); try again") from None

    def _count(self, size: int) -> None:
        """Take a member's bytes into account before they are read."""
        self._bytes += size
        self._members += 1
        if self._bytes > self._most_bytes or self._members > _MOST_MEMBERS:
            raise RunFailed(
                f"{self._source}: unpacks to more than {self._most_bytes / _MIB:,.0f} MiB or "
                f"{_MOST_MEMBERS:,} files; that is not this data set"
            )


_DAMAGED = (
    tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, zlib.error, lzma.LZMAError,
    ValueError, OverflowError, NotImplementedError, RuntimeError,  # of zip: unknown, or encrypted
    MemoryError,
)  # fmt: skip
_PACKED: Mapping[bytes, Callable[[Path, str], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
"""How a packed tar archive begins -> what unpacks it."""

Count = Callable[[int], None]


class _Metered:
    """A stream that breaks off where more comes than is allowed.

    `tarfile` reads what stands before a file, such as its long name, into memory however long it
    says it is.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.allow(0)

    def allow(self, size: int) -> None:
        """Allow so many bytes, and what stands before the next file."""
        self._allowed = size + _MOST_BETWEEN

    def read(self, size: int) -> bytes:
        """Read up to so many bytes."""
        found = self._stream.read(size)
        self._allowed -= len(found)
        if self._allowed < 0:
            raise tarfile.ReadError(f"more than {_MOST_BETWEEN:,} bytes before a file")
        return found


def _members(archive: Path, count: Count) -> Iterator[tuple[str, IO[bytes]]]:
    """Go through the files of an archive: name and content; links are left out.

    Args:
        archive: tar, packed or not, or zip.
        count: is told of each member's bytes before they are read; it may raise.
    """
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for entry in packed.infolist():
                count(entry.file_size)
                link = stat.S_ISLNK(entry.external_attr >> 16)
                if not entry.is_dir() and not link:
                    with packed.open(entry) as stream:
                        yield entry.filename, stream
        return
    with archive.open("rb") as file:
        start = file.read(max(map(len, _PACKED)))
    unpack = next((each for magic, each in _PACKED.items() if start.startswith(magic)), Path.open)
    with unpack(archive, "rb") as stream:
        metered = _Metered(stream)
        with tarfile.open(fileobj=cast(IO[bytes], metered), mode="r|", bufsize=_BLOCK) as bundle:
            for member in bundle:
                count(member.size)
                metered.allow(member.size)
                content = bundle.extractfile(member) if member.isfile() else None
                if content is not None:
                    yield member.name, content


def _inside(name: str, source: str) -> PurePosixPath:
    """Return a member's path, which must stay in the folder that it is unpacked into."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not path.parts or ":" in path.parts[0]:
        raise RunFailed(
            f"{source}: holds the path {name!r}, which leads out of its folder; refused"
        )
    return path

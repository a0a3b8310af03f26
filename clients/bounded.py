"""Files from strangers, read within bounds: whole, as JSON, as named arrays.

None of these can hold code: JSON and safetensors are data alone, and nothing here unpickles.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from clients.errors import BadInput

__all__ = ["facts_of", "need_small", "open_arrays", "read_arrays", "read_bounded", "read_json"]

_MIB = 2.0**20
_MOST_JSON = 16 * 2**20
_MOST_ARRAYS = 4 * 2**30
_PANIC = "PanicException"
"""What safetensors raises without memory: it comes from Rust, and is no Exception."""


def read_bounded(path: Path, most_bytes: int, what: str) -> bytes:
    """Read a file that is no larger than it should be.

    Args:
        path: the file.
        most_bytes: that it may have.
        what: it should be, for the error.

    Raises:
        FileNotFoundError: there is none, nor is its folder.
        BadInput: it is larger, no ordinary file, or cannot be read.
    """
    try:
        need_small(path, most_bytes, what)
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); give {what}") from None
    if len(content) > most_bytes:
        raise BadInput(_too_large(path, len(content), most_bytes, what))
    return content


def need_small(path: Path, most_bytes: int, what: str) -> None:
    """Refuse a file that is larger than it should be, or no ordinary file.

    Raises:
        BadInput: it is.
        OSError: there is none, or one cannot look.
    """
    size = path.stat().st_size
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "no ordinary file"
        raise BadInput(f"{path}: {found}; give {what}")
    if size > most_bytes:
        raise BadInput(_too_large(path, size, most_bytes, what))


def _too_large(path: Path, size: int, most_bytes: int, what: str) -> str:
    return (
        f"{path}: {size:,} bytes or more; {what} has at most {most_bytes:,} "
        f"({most_bytes / _MIB:,.0f} MiB)"
    )


def read_json(path: Path, what: str, most_bytes: int = _MOST_JSON) -> Any:
    """Read a file of JSON.

    Args:
        path: the file.
        what: it should be, for the error.
        most_bytes: that it may have.

    Raises:
        FileNotFoundError: there is none.
        BadInput: it is too large, or no JSON.
    """
    try:
        return json.loads(read_bounded(path, most_bytes, what))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: not {what}: no JSON ({error}); put back what was there") from None


@contextmanager
def open_arrays(path: Path, most_bytes: int = _MOST_ARRAYS) -> Iterator[Any]:
    """Open a safetensors file, as `safetensors.safe_open` does, to read some of its arrays.

    What is wrong with the file, found when it is opened or later, is bad input.

    Args:
        path: the file.
        most_bytes: that it may have; its arrays can have no more.

    Raises:
        BadInput: it is missing, too large or damaged.
    """
    what = "a safetensors file"
    try:
        need_small(path, most_bytes, what)
        with safe_open(path, "numpy") as file:
            yield file
    except FileNotFoundError:
        raise BadInput(f"{path}: there is no such file; give {what}") from None
    except (SafetensorError, OSError) as error:
        raise BadInput(
            f"{path}: damaged, or no safetensors file ({error!s:.200}); put back what was there"
        ) from None
    except BaseException as error:
        if isinstance(error, MemoryError) or type(error).__name__ == _PANIC:
            raise BadInput(
                f"{path}: its arrays do not fit into memory; put back what was there, or read it "
                "on a larger machine"
            ) from None
        raise


def facts_of(path: Path, file: Any, **kinds: type) -> dict[str, Any]:
    """Return the facts that a safetensors file of a run carries beside its arrays.

    Args:
        path: of the file, for the error.
        file: as `open_arrays` gives it.
        kinds: facts that must be there, and their types in JSON.

    Raises:
        BadInput: they are missing, or of another type.
    """
    try:
        facts = json.loads((file.metadata() or {})["facts"])
    except (KeyError, ValueError, RecursionError):
        facts = None
    fits = isinstance(facts, dict) and all(type(facts.get(k)) is kind for k, kind in kinds.items())
    if not fits:
        expected = "".join(f", {name} ({kind.__name__})" for name, kind in kinds.items())
        raise BadInput(
            f"{path}: without the facts that a run writes beside its arrays{expected}; put back "
            "what was there"
        )
    return dict(facts)


def read_arrays(path: Path, most_bytes: int = _MOST_ARRAYS) -> dict[str, NDArray[Any]]:
    """Read all arrays of a safetensors file.

    Raises:
        BadInput: it is missing, too large, damaged, or holds numbers that NumPy has not.
    """
    found: dict[str, NDArray[Any]] = {}
    with open_arrays(path, most_bytes) as file:
        for name in file.keys():  # noqa: SIM118
            try:
                found[name] = np.asarray(file.get_tensor(name))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise BadInput(
                    f"{path}: the array {name!r:.200} cannot be read ({error!s:.200}); expected "
                    "float or int numbers that NumPy has"
                ) from None
    return found

"""A small table as JSON with its checksum: what is written last, and vouches for other files."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clients.bounded import read_bounded
from clients.errors import BadInput
from simulator.folder.arrays_file import Damaged, Written, unreadable, write_whole

__all__ = ["read_sealed", "write_sealed"]

_LONGEST = 2**28  # bytes; a file that has more is not read


def write_sealed(path: Path, table: Mapping[str, Any]) -> Written:
    """Write a table whole, after its checksum.

    Args:
        path: in a folder that is there.
        table: JSON.
    """
    text = json.dumps(table).encode()
    return write_whole(path, [b'{"checksum": %d, "manifest": %s}\n' % (zlib.crc32(text), text)])


def read_sealed(path: Path) -> dict[str, Any]:
    """Read a table that is as it was written.

    Raises:
        Damaged: it is missing, or is not what was written.
        RunFailed: the system did not let it be read.
    """
    try:
        read = json.loads(read_bounded(path, _LONGEST, "a table with its checksum"))
        table = dict(read["manifest"])
        if zlib.crc32(json.dumps(table).encode()) != read["checksum"]:
            raise Damaged(f"{path}: its checksum is not that of what was written")
    except OSError as error:
        raise unreadable(path, error) from None
    except BadInput as error:
        raise Damaged(str(error)) from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Damaged(f"{path}: cannot be read ({error})") from None
    return table

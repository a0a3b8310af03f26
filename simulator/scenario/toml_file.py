"""Reading TOML that strangers may have written."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from clients.bounded import read_bounded
from clients.errors import BadInput, BadScenario

__all__ = ["NOT_TOML", "parsed", "read_toml"]

NOT_TOML = (tomllib.TOMLDecodeError, ValueError, RecursionError)
"""What parsing raises; the last two for the parser's own limits."""

_MOST_BYTES = 4 * 2**20
_MOST_DOTS = 100  # between two of `,=[]{}`: each deepens a key, and takes tomllib longer


def read_toml(path: Path) -> tuple[str, dict[str, Any]]:
    """Read a TOML file of a scenario: its text, and what it says.

    Raises:
        BadScenario: there is none, it is too large, or no TOML.
    """
    try:
        text = read_bounded(path, _MOST_BYTES, "a scenario file, in TOML").decode("utf-8")
        return text, parsed(text)
    except FileNotFoundError:
        raise BadScenario(
            f"{path}: there is no such file; `wearfleet scenarios` lists those that come along, "
            "which can be given by their names"
        ) from None
    except NotADirectoryError:
        raise BadScenario(f"{path}: its folder is a file; give a scenario file, in TOML") from None
    except BadInput as error:
        raise BadScenario(str(error)) from None
    except UnicodeDecodeError as error:
        raise BadScenario(
            f"{path}: not text (byte {error.start} is no UTF-8); a scenario is a TOML file"
        ) from None
    except NOT_TOML as error:
        raise BadScenario(f"{path}: not TOML ({error}); a scenario is a TOML file") from None


def parsed(text: str) -> dict[str, Any]:
    """Parse TOML whose keys are of a depth that a scenario has."""
    for piece in re.split(r"[,=\[\]{}\n]", text):
        if piece.count(".") > _MOST_DOTS:
            raise ValueError(f"more than {_MOST_DOTS} dots in a row: {piece.strip()[:40]!r}...")
    return tomllib.loads(text)

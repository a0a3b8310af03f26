"""The scenario files that come with Wearfleet, wherever it is installed."""

from __future__ import annotations

import shutil
from pathlib import Path

from clients.errors import BadInput

__all__ = ["copy_scenarios", "named_scenario", "shipped_scenarios"]


def shipped_scenarios() -> Path:
    """Return the folder of the scenario files that come along."""
    installed = Path(__file__).parents[1] / "shipped_scenarios"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "scenarios"


def named_scenario(given: Path) -> Path:
    """Return the scenario file that is meant: a file, or one that comes along by its bare name."""
    shipped = shipped_scenarios() / f"{given}.toml"
    is_name = given.name == str(given) and not given.suffix
    return shipped if is_name and not given.exists() and shipped.is_file() else given


def copy_scenarios(folder: Path, out: Path) -> None:
    """Copy the scenario files of a folder into a new one, to be changed there.

    Raises:
        BadInput: the new one is there, or cannot be made.
    """
    try:
        out.mkdir()
    except OSError as error:
        raise BadInput(
            f"--out {out}: {error.strerror}; give a new folder, in one that is there"
        ) from None
    for file in sorted(folder.glob("*.toml")):
        shutil.copyfile(file, out / file.name)

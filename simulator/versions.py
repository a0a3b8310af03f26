"""Versions of a device's SavedModel in the run folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clients.checkpoints import write_copy

__all__ = ["forget_versions", "write_version"]


def write_version(source: Path, folder: Path, round_: int, state: Mapping[str, Any]) -> None:
    """Write one version of a device's SavedModel, whole or not at all."""
    version = folder / f"round-{round_:05d}"
    if version.exists():
        return
    unfinished = folder / f".{version.name}"
    shutil.rmtree(unfinished, ignore_errors=True)  # an interrupt may have left it
    write_copy(source, unfinished, state)
    unfinished.rename(version)


def forget_versions(folder: Path, keep: int) -> None:
    """Remove all but the last versions."""
    for version in sorted(folder.glob("round-*"))[:-keep]:
        shutil.rmtree(version)

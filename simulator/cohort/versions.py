"""Versions of a device's SavedModel in the run folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clients.checkpoints import write_copy

__all__ = ["keep_versions", "write_version"]


def write_version(source: Path, folder: Path, round_: int, state: Mapping[str, Any]) -> None:
    """Write one version of a device's SavedModel, whole or not at all, in place of an older one."""
    version = folder / f"round-{round_:05d}"
    unfinished = folder / f".{version.name}.{os.getpid()}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)  # an interrupt may have left it
    write_copy(source, unfinished, state)
    shutil.rmtree(version, ignore_errors=True)
    unfinished.rename(version)


def keep_versions(folder: Path, rounds: Sequence[int]) -> list[Path]:
    """Remove all versions but those of some rounds; returns the files that are a device's own.

    The others are those of the base model.
    """
    kept = {f"round-{round_:05d}" for round_ in rounds}
    for version in folder.glob("round-*"):
        if version.name not in kept:
            shutil.rmtree(version)
    return sorted(folder.glob("round-*/variables/*"))

"""What a run was made with: versions, revision, machine."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

__all__ = ["provenance"]

_PACKAGES = ("wearfleet", "flwr", "ray", "tensorflow", "numpy", "pandas", "pyarrow")


def provenance(plugins: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the versions, the revision of the code, and the machine.

    Args:
        plugins: the distributions of other authors that the run uses, and their versions.
    """
    return {
        "versions": _versions() | dict(plugins or {}),
        **({"plugins": list(plugins)} if plugins else {}),
        "git": _git_revision(),
        "machine": {
            "system": platform.platform(),
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0)),
        },
    }


def _versions() -> dict[str, str]:
    """Return the versions of what a run's bytes depend on."""
    of_packages = {name: version(name) for name in _PACKAGES}
    return of_packages | {"python": platform.python_version()}


def _git_revision() -> str | None:
    """Return the revision of the checkout that the code runs from, if it is one."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _processor() -> str:
    """Return the processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()

"""Packages that add plug-ins, laid out as an installer leaves them."""

import shutil
import tomllib
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "wearfleet_plugin"


def install(target: Path, name: str, version: str, points: dict[str, dict[str, str]]) -> None:
    """Write what tells Python of a distribution and its entry points."""
    info = target / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = []
    for group, names in points.items():
        lines += [f"[{group}]", *(f"{key} = {value}" for key, value in names.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def install_example(target: Path) -> Path:
    """Install the example package; returns the folder that is to be on the path."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    install(target, project["name"], project["version"], project["entry-points"])
    shutil.copytree(EXAMPLE / "wearfleet_plugin", target / "wearfleet_plugin")
    return target

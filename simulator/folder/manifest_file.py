"""`manifest.json` and `seeds.json`: what a run began with, to compare when it goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clients.errors import BadInput
from simulator.folder.arrays_file import Damaged, sync_file, write_whole
from simulator.folder.provenance import provenance
from simulator.folder.sealed_file import read_sealed, write_sealed

__all__ = [
    "SCENARIO",
    "admit_scenario",
    "differences",
    "need_own_scenario",
    "read_manifest",
    "read_seeds",
    "write_manifest",
    "write_seeds",
    "write_text",
]

SCENARIO = "scenario.toml"

_MANIFEST, _SEEDS = "manifest.json", "seeds.json"
_LONGEST = 2**26  # bytes; a manifest that has more is not read
_TYPES = {
    "status": str, "data_fingerprint": str, "working_directory": str, "scenario_sha256": list,
    "figures": list, "versions": dict, "machine": dict, "began_with": dict,
}  # fmt: skip
_CARRIED = ("working_directory", "scenario_sha256", "began_with")


def write_text(path: Path, text: str) -> None:
    """Write a file whole: to a temporary name, synced, then renamed."""
    write_whole(path, [text.encode()])
    sync_file(path.parent)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a run folder; empty where there is none.

    Raises:
        BadInput: it cannot be read, or is not what a run writes.
    """
    path = folder / _MANIFEST
    try:
        if path.stat().st_size > _LONGEST:
            raise BadInput(_damaged(path, "too long"))
        table = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise BadInput(_damaged(path, error.strerror)) from None
    except (ValueError, RecursionError) as error:
        raise BadInput(_damaged(path, error)) from None
    manifest = _typed(path, table)
    _typed(path, manifest.get("began_with", {}))
    return manifest


def _typed(path: Path, table: object) -> dict[str, Any]:
    """Return a table of a manifest whose values are of the types that a run writes."""
    if not isinstance(table, dict):
        raise BadInput(_damaged(path, f"{str(table)[:40]!r} is no table"))
    for key, kind in _TYPES.items():
        if key in table and not isinstance(table[key], kind):
            raise BadInput(_damaged(path, f"{key} = {str(table[key])[:40]!r}"))
    return table


def write_manifest(
    folder: Path, facts: Mapping[str, Any], plugins: Mapping[str, str] | None = None
) -> None:
    """Write what the run was made with, and what it began with, beside the given facts.

    Args:
        folder: of the run, with its scenario in it.
        facts: JSON.
        plugins: the distributions that add something to the run, and their versions.
    """
    now, then = provenance(plugins), read_manifest(folder)
    began: dict[str, Any] = {"began_with": {key: then.get(key, now[key]) for key in now}}
    if (folder / SCENARIO).is_file():
        began["scenario_sha256"] = [_digest((folder / SCENARIO).read_bytes())]
    carried = {key: then[key] for key in _CARRIED if key in then}
    _write(folder, {**began, **facts, **carried, **now})


def _write(folder: Path, manifest: Mapping[str, Any]) -> None:
    write_text(folder / _MANIFEST, json.dumps(manifest, indent=2) + "\n")


def admit_scenario(folder: Path, text: str) -> None:
    """Let a manifest that is there know of the scenario that is about to be written.

    It goes on knowing the one before, which stays where a kill comes in between.
    """
    manifest = read_manifest(folder)
    digests, own = manifest.get("scenario_sha256", []), _digest(text.encode())
    if manifest and own not in digests:
        _write(folder, {**manifest, "scenario_sha256": [*digests, own]})


def write_seeds(folder: Path, seeds: int, text: str, began_in: Path) -> None:
    """Note how many seeds are run into a folder.

    Args:
        folder: the parent of their run folders.
        seeds: how many.
        text: the scenario that is about to be written.
        began_in: the folder in which relative paths of the scenario begin.
    """
    digests = [_digest(text.encode())]
    told = {"seeds": seeds, "scenario_sha256": digests, "working_directory": str(began_in)}
    write_sealed(folder / _SEEDS, told)
    sync_file(folder)


def read_seeds(folder: Path) -> dict[str, Any] | None:
    """Read what is noted of the seeds that are run into a folder; None for the folder of one run.

    Raises:
        BadInput: it cannot be read, or is missing beside folders of seeds.
    """
    path = folder / _SEEDS
    if not path.exists():
        if any(folder.glob("seed-*/")):
            raise BadInput(_damaged(path, "missing, beside folders of seeds"))
        return None
    try:
        told = _typed(path, read_sealed(path))
        if not isinstance(told.get("seeds"), int) or told["seeds"] < 1:
            raise BadInput(_damaged(path, f"seeds = {str(told.get('seeds'))[:40]!r}"))
        return told
    except Damaged as damaged:
        raise BadInput(f"{damaged}; put back what the run wrote, or begin a new run") from None


def need_own_scenario(folder: Path) -> None:
    """Refuse to go on where the scenario is not the one with which the run began.

    Raises:
        BadInput: it is not, or what tells of it is damaged or missing.
    """
    began = read_seeds(folder) or read_manifest(folder)
    if not began:
        if (folder / "checkpoints").exists():
            raise BadInput(_damaged(folder / _MANIFEST, "missing, beside checkpoints"))
        return  # killed before it was written
    path = folder / SCENARIO
    try:
        digest = _digest(path.read_bytes())
    except OSError as error:
        raise BadInput(_damaged(path, error.strerror)) from None
    if digest not in began.get("scenario_sha256", []):
        raise BadInput(
            f"{path}: is not the scenario with which the run began (its SHA-256 is {digest}); put "
            "that back, or begin a new run with this one"
        )


def differences(
    folder: Path, fingerprint: str, plugins: Mapping[str, str] | None = None
) -> list[str]:
    """Compare scenario, data and machine with those that the run began with; tell what differs.

    Args:
        folder: of the run.
        fingerprint: of the data as they are now.
        plugins: the distributions that add something to the run, and their versions now.

    Raises:
        BadInput: the scenario or the data are not the same.
    """
    need_own_scenario(folder)
    then = read_manifest(folder)
    if not then:
        return []
    if then.get("data_fingerprint") != fingerprint:
        raise BadInput(
            f"{folder}: the data are not those with which the run began (their fingerprint is "
            f"{fingerprint}, and was {then.get('data_fingerprint')}); put them back where "
            f"{SCENARIO} says, or begin a new run"
        )
    made_with, own = (
        {**one.get("versions", {}), "processor": one.get("machine", {}).get("processor")}
        for one in (then.get("began_with", then), provenance(plugins))
    )
    return [
        f"the run began with {name} {old}, and goes on with {own.get(name)}: its bytes may "
        "differ from those of a run that was not disturbed"
        for name, old in made_with.items()
        if own.get(name) != old
    ]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _damaged(path: Path, how: object) -> str:
    return f"{path}: {how}; put back what the run wrote, or begin a new run"

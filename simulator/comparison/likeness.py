"""What differs between runs, whether like is compared with like, and whether bytes are the same."""

from __future__ import annotations

import filecmp
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.comparison.opened import Opened
from simulator.folder.store import RunFolder
from simulator.report.contrasts import Protocol
from simulator.report.records import seed_folders

__all__ = ["Bytes", "Difference", "compare_bytes", "differences", "same_people", "warnings"]

_CONDITIONS = (
    "data.", "split.", "stream.", "labels.", "measure.", "variation.", "faults.", "drift",
    "fleet.devices",
)  # fmt: skip
_NO_MATTER = {"name", "question", "fleet.workers"}  # to what a run computes
_TOLD = 5  # names in a warning


@dataclass(frozen=True, slots=True)
class Difference:
    """A key of scenarios that is not the same in all runs.

    Attributes:
        key: with dots; an arm's keys by its name.
        values: of each run, as text; "" where it has none.
    """

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bytes:
    """Whether a run repeats another one of the same scenario and seed.

    Attributes:
        letter, against: of the two runs.
        files: that are promised to be the same.
        first: the first that is not, from the run folder on; None where all are.
        how: what is the matter with it.
    """

    letter: str
    against: str
    files: int
    first: str | None = None
    how: str = ""


def differences(runs: Sequence[Opened]) -> list[Difference]:
    """List the keys that differ between the scenarios of runs, in order."""
    flat = [_flat(run.scenario) for run in runs]
    methods = [_methods(run.scenario) for run in runs]
    arms = list(dict.fromkeys(arm for one in methods for arm in one))
    lone = [arm for arm in arms if any(arm not in one for one in methods)]
    keys = list(dict.fromkeys(key for one in flat for key in one))
    keys = [key for key in keys if not key.startswith(tuple(f"arms.{arm}." for arm in lone))]
    found = [Difference(key, tuple(one.get(key, "") for one in flat)) for key in keys]
    found += [Difference(f"arms.{a}", tuple(one.get(a, "") for one in methods)) for a in lone]
    return [one for one in found if len(set(one.values)) > 1]


def _methods(scenario: Mapping[str, Any]) -> dict[str, str]:
    """Return the methods of arms by their names; an arm that some run lacks is told by them."""
    return {str(arm["name"]): str(arm.get("method")) for arm in scenario.get("arms", [])}


def _flat(table: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Write a table's values under keys with dots; tables in a list by their names in it."""
    found: dict[str, str] = {}
    for key, value in table.items():
        path = f"{before}{key}"
        if isinstance(value, Mapping):
            found |= _flat(value, f"{path}.")
        elif isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value):
            for name, each in zip(_names_of(value), value, strict=True):
                found |= _flat(each, f"{path}.{name}.")
        else:
            found[path] = str(value)
    return found


def _names_of(tables: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name the tables of a list by name or kind, else by number; no two are named alike.

    The first of a kind has no number, so that it stands beside the one of a run with fewer.
    """
    names = [str(one.get("name", one.get("kind", place))) for place, one in enumerate(tables)]
    before = [names[:place].count(name) for place, name in enumerate(names)]
    return [
        f"{name}({1 + count})" if count else name for name, count in zip(names, before, strict=True)
    ]


def warnings(runs: Sequence[Opened], found: Sequence[Difference], protocol: Protocol) -> list[str]:
    """Say where a comparison is not like with like."""
    told = [f"{run.letter} is not done ({run.status})" for run in runs if run.status != "done"]
    first = runs[0]
    for other in runs[1:]:
        pair = f"{first.letter} and {other.letter}"
        if first.seeds != other.seeds:
            told.append(
                f"{first.letter} has seed {_seeds(first)}, and {other.letter} has {_seeds(other)}"
            )
        if not _same_data(first, other):
            told.append(f"{pair} have other data (their fingerprints differ)")
        if not same_people(first, other):
            told.append(
                f"{pair} are of other people, who may have the same names: no arm of "
                f"{other.letter} is held against another person by person"
            )
        users = [set(run.users["user"].astype(str)) for run in (first, other)]
        if users[0] != users[1]:
            both = users[0] & users[1]
            lone = sorted(users[0] ^ users[1])
            told.append(f"{pair} have {len(both)} users in common; not in both: {_some(lone)}")
        devices = [_devices(run) for run in (first, other)]
        if devices[0] != devices[1] and users[0] == users[1]:
            told.append(f"{pair} have other numbers of devices: {devices[0]}, {devices[1]}")
        told += _versions(first, other, pair)
    keys = [one.key for one in found if one.key.startswith(_CONDITIONS)]
    if keys:
        told.append(
            f"the runs were made under other conditions ({_some(keys)}), so their "
            f"{protocol.name} accuracies need not be of the same windows"
        )
    return told


def same_people(first: Opened, other: Opened) -> bool:
    """Tell whether users of one name are the same person in two runs.

    They are where the data are the same, where other windows were cut from the same recordings, and
    where people were generated by the same seed.
    """
    data = [run.scenario.get("data", {}) for run in (first, other)]
    sources = [(one.get("source", "synthetic"), one.get("path")) for one in data]
    recorded = sources[0][0] != "synthetic"
    alike = sources[0] == sources[1] and (recorded or first.seeds == other.seeds)
    return alike or _same_data(first, other)


def _same_data(first: Opened, other: Opened) -> bool:
    """Tell whether two runs have the same data, in the seeds that both have, if there are any."""
    ours, theirs = (
        {seed: one.get("data_fingerprint") for seed, one in run.manifests.items()}
        for run in (first, other)
    )
    shared = ours.keys() & theirs.keys()
    if shared:
        return all(ours[seed] == theirs[seed] for seed in shared)
    return set(ours.values()) == set(theirs.values())


def _devices(run: Opened) -> int:
    return int(run.summary["devices"].iloc[0]) if "devices" in run.summary else 0


def _seeds(run: Opened) -> str:
    return _some([str(seed) for seed in run.seeds])


def _versions(first: Opened, other: Opened, pair: str) -> list[str]:
    """Say which versions differ, of packages and of the code itself."""
    ours, theirs = (next(iter(run.manifests.values()), {}) for run in (first, other))
    versions = [dict(one.get("versions", {})) for one in (ours, theirs)]
    names = sorted(versions[0].keys() | versions[1].keys())
    differ = [
        f"{name} {versions[0].get(name, 'none')}, {versions[1].get(name, 'none')}"
        for name in names
        if versions[0].get(name) != versions[1].get(name)
    ]
    told = [f"{pair} were made with other versions: {'; '.join(differ)}"] if differ else []
    if ours.get("git") != theirs.get("git"):
        revisions = [str(one.get("git") or "none")[:10] for one in (ours, theirs)]
        told.append(f"{pair} were made by other revisions of the code: {', '.join(revisions)}")
    return told


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    return ", ".join(names[:_TOLD]) + more


def compare_bytes(runs: Sequence[Opened]) -> list[Bytes]:
    """Compare the files of runs of the same scenario and seeds with those of the first such run.

    What a run is called, its question, and how many workers computed it may differ: that changes
    no byte but those of the scenario, which is then left out.
    """
    told = []
    for place, other in enumerate(runs):
        for first in runs[:place]:
            keys = {one.key for one in differences([first, other])}
            if keys <= _NO_MATTER and first.seeds == other.seeds:
                told.append(_compare(first, other, with_scenario=not keys))
                break
    return told


def _compare(first: Opened, other: Opened, *, with_scenario: bool) -> Bytes:
    """Compare two runs file by file."""
    ours, theirs = (_promised(run.folder, with_scenario=with_scenario) for run in (first, other))
    names = sorted(ours.keys() | theirs.keys())
    result = Bytes(other.letter, first.letter, len(names))
    for name in names:
        lacking = [run.letter for run, files in ((first, ours), (other, theirs))
                   if name not in files]  # fmt: skip
        if lacking:
            return Bytes(result.letter, result.against, len(names), name, f"not in {lacking[0]}")
        if not filecmp.cmp(ours[name], theirs[name], shallow=False):
            return Bytes(result.letter, result.against, len(names), name, "differs")
    return result


def _promised(folder: Path, *, with_scenario: bool) -> dict[str, Path]:
    """Return the files whose bytes are promised, of all seeds, named from the run folder on."""
    found = {}
    for run in [folder, *seed_folders(folder)]:
        for path in RunFolder(run).reproducible():
            if path.is_file() and (with_scenario or path.name != "scenario.toml"):
                found[path.relative_to(folder).as_posix()] = path
    return found

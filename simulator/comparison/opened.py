"""Runs that are compared: what is read of each folder."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from clients.errors import BadInput
from simulator.counted import counted
from simulator.folder.manifest_file import read_manifest
from simulator.report.contrasts import HOLDOUT, PREQUENTIAL, Protocol
from simulator.report.records import read_tables, seed_folders

__all__ = ["MOST", "Opened", "choose_protocol", "open_runs"]

MOST = len(string.ascii_uppercase)
"""As many runs can be compared at once: each is called by a letter."""


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A run that is compared.

    Attributes:
        letter: by which tables call it.
        folder: of the run, or of its seeds.
        scenario: as its `scenario.toml` has it, every default filled in.
        manifests: by seed.
        status: "done", or what else the manifest says.
        summary, users: its tables; of several seeds, averages.
    """

    letter: str
    folder: Path
    scenario: Mapping[str, Any]
    manifests: Mapping[int, Mapping[str, Any]]
    status: str
    summary: pd.DataFrame
    users: pd.DataFrame

    @property
    def arms(self) -> list[str]:
        """The arms that it has scored, in the scenario's order."""
        return [str(arm) for arm in self.summary["arm"]]

    @property
    def baseline(self) -> str:
        """The arm with which the others are compared in the run itself."""
        return str(self.scenario.get("baseline", ""))

    @property
    def seeds(self) -> list[int]:
        """The seeds that it was run with, ascending."""
        return sorted(self.manifests)

    def scores(self, arm: str, protocol: Protocol) -> pd.Series[float]:
        """Return the accuracy of each user with an arm, by user."""
        if protocol.column not in self.users:
            return pd.Series(dtype=float)
        rows = self.users[self.users["arm"] == arm]
        return rows.set_index("user")[protocol.column].astype(float).dropna().round(6)

    def has(self, protocol: Protocol) -> bool:
        """Whether any user was scored by a protocol."""
        return protocol.column in self.users and bool(self.users[protocol.column].notna().any())


def open_runs(folders: Sequence[Path]) -> list[Opened]:
    """Read runs.

    Raises:
        BadInput: there are too few or too many, one is there twice, or has no figures.
    """
    if not 2 <= len(folders) <= MOST:
        raise BadInput(f"{counted(len(folders), 'run')} given; give 2 to {MOST} run folders")
    places = [folder.resolve() for folder in folders]
    for place, folder in zip(places, folders, strict=True):
        if places.count(place) > 1:
            raise BadInput(f"{folder}: given twice; a run is compared with others")
    return [
        _open(letter, folder)
        for letter, folder in zip(string.ascii_uppercase, folders, strict=False)
    ]


def _open(letter: str, folder: Path) -> Opened:
    scenario, summary, users = read_tables(folder)
    if summary.empty or users.empty:
        raise BadInput(
            f"{folder}: has no figures yet (summary.csv, users.csv); wait until it ends, or "
            "`wearfleet resume` it"
        )
    whole = read_manifest(folder)
    seeds = seed_folders(folder)
    manifests = {int(own.name.removeprefix("seed-")): read_manifest(own) for own in seeds}
    if seeds:  # their scenarios are filled in as their programs have it
        scenario = read_tables(seeds[0])[0]
    return Opened(
        letter,
        folder,
        scenario,
        manifests or {int(scenario.get("seed", 0)): whole},
        str(whole.get("status", "unknown")),
        summary,
        users,
    )


def choose_protocol(runs: Sequence[Opened], by: str | None) -> Protocol:
    """Choose the accuracy by which runs are compared: that which is wanted, or all have.

    Raises:
        BadInput: there is no such accuracy, or some run has not measured it.
    """
    known = {protocol.name: protocol for protocol in (HOLDOUT, PREQUENTIAL)}
    if by is not None and by not in known:
        raise BadInput(f"--by {by}: expected one of {', '.join(known)}")
    wanted = list(known.values()) if by is None else [known[by]]
    for protocol in wanted:
        if all(run.has(protocol) for run in runs):
            return protocol
    lacking = next(run for run in runs if not run.has(wanted[-1]))
    raise BadInput(f"{lacking.folder}: has no {wanted[-1].name} accuracy; compare other runs")

"""Give the sites of a deployed fleet what a device begins with: recordings and a SavedModel."""

from __future__ import annotations

import shutil
from pathlib import Path

from clients.errors import BadInput
from clients.program import Program
from clients.recordings import Recording, read_recordings
from clients.synthetic import synthesize
from clients.wisdm.writer import write_recordings
from server.deploy.folder import FleetFolder
from simulator.base.programs import export_shared

__all__ = ["furnish", "wearers"]

_RATE_HZ = 20.0
_FIRST_USER = 1600  # WISDM 2019 numbers its users from here
_SEED = 7

People = dict[str, list[Recording]]


def wearers(model: Path, data: Path | None, users: int) -> People:
    """Return the recordings of those who will wear devices, by user.

    Args:
        model: the SavedModel with which all devices begin.
        data: WISDM recordings; None for synthetic people.
        users: how many of them, the first ones.

    Raises:
        BadInput: the SavedModel or the recordings cannot be used.
    """
    if not (model / "saved_model.pb").is_file():
        raise BadInput(
            f"--model {model}: no SavedModel there (no file saved_model.pb); `wearfleet model "
            "train` or `wearfleet model export` writes one"
        )
    activities = Program(model).activities
    if activities is None:
        raise BadInput(f"--model {model}: has no table of activities; use an export of Wearfleet")
    if data is None:
        found = synthesize(users, activities, rate_hz=_RATE_HZ, seed=_SEED)
        names = sorted({recording.user for recording in found})
        numbers = {name: str(_FIRST_USER + i) for i, name in enumerate(names)}
    else:
        found, _ = read_recordings(
            data, source="auto", rate_hz=_RATE_HZ, activities=activities, users=users
        )
        numbers = {recording.user: recording.user for recording in found}
    people: People = {number: [] for number in numbers.values()}
    for recording in found:
        people[numbers[recording.user]].append(recording)
    return people


def furnish(fleet: FleetFolder, model: Path, people: People) -> None:
    """Give each site its user's recordings and a copy of the SavedModel, the server its arrays."""
    for site in fleet.sites:
        write_recordings(people[site.name], int(site.name), site.recordings)
        shutil.copytree(model, site.model)
    export_shared(model, fleet.shared)

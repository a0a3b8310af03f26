"""The state of an arm in one fold after a round: a file for each cohort, one for the server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients.bounded import facts_of
from clients.errors import BadInput
from simulator.folder.arrays_file import (
    Arrays,
    Damaged,
    Written,
    check,
    opened,
    read_arrays,
    write_arrays,
)
from simulator.folder.kept import Kept, kept_folds
from simulator.plan.plan import Cohort

__all__ = [
    "Found",
    "find_device",
    "read_pooled",
    "read_server",
    "read_shared",
    "read_state",
    "write_pooled",
    "write_server",
    "write_state",
]

_OF_COHORT = ("records/", "underway/")  # what is no array [D, ...]
_SERVER, _POOLED = "server.safetensors", "pooled.safetensors"


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """One device in a checkpoint.

    Attributes:
        folder: of the checkpoint.
        fold: index of its fold.
        round_: after which it was written.
        shares: whether what it answered with then came from the server in part.
        state: all that it is, as its cohort's state names it, arrays [1, ...].
    """

    folder: Path
    fold: int
    round_: int
    shares: bool
    state: dict[str, NDArray[Any]]

    @property
    def variables(self) -> dict[str, NDArray[Any]]:
        """Return those of its program that are its own, by their names in the SavedModel."""
        start = "program/"
        found = ((k, v) for k, v in self.state.items() if k.startswith(start))
        return {key.removeprefix(start): value[0] for key, value in found}

    @property
    def apart(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Return what its way of learning keeps beside them, groups of arrays [1, ...]."""
        start, groups = "method/", dict[str, dict[str, NDArray[Any]]]()
        for key, value in self.state.items():
            if key.startswith(start):
                group, _, name = key.removeprefix(start).partition("/")
                groups.setdefault(group, {})[name] = value
        return groups


def write_state(
    folder: Path,
    cohort: Cohort,
    round_: int,
    devices: Sequence[str],
    state: Arrays,
    *,
    shares: bool,
    models: bool = True,
    groups: Sequence[Written] = (),
) -> Written:
    """Write a cohort's state.

    Args:
        folder: of the checkpoint.
        cohort: whose state.
        round_: after which.
        devices: ids of the D devices.
        state: named arrays, those of the devices [D, ...].
        shares: whether the devices answer with the server's arrays.
        models: whether the devices have SavedModels.
        groups: the files of row groups that its records have filled.
    """
    facts = {
        "fold": cohort.fold, "round": round_, "shares": shares, "models": models,
        "devices": list(devices), "groups": [asdict(group) for group in groups],
    }  # fmt: skip
    return write_arrays(folder / _name_of(cohort), state, facts)


def read_state(folder: Path, cohort: Cohort) -> tuple[dict[str, NDArray[Any]], list[Written]]:
    """Read a cohort's state, and which files of row groups its records had filled.

    Raises:
        Damaged: it is not whole.
    """
    path = folder / _name_of(cohort)
    arrays, facts = read_arrays(path)
    try:
        return arrays, [Written(**group) for group in facts["groups"]]
    except (KeyError, TypeError, ValueError) as error:
        raise Damaged(f"{path}: {error}") from None


def write_server(folder: Path, state: Arrays) -> Written:
    """Write what the server of a fold is."""
    return write_arrays(folder / _SERVER, state, {})


def read_server(folder: Path) -> dict[str, NDArray[Any]]:
    """Read what the server of a fold was; nothing where the arm has none.

    Raises:
        Damaged: it is not whole.
    """
    return read_arrays(folder / _SERVER)[0] if (folder / _SERVER).exists() else {}


def read_shared(folder: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays that the server of a fold shared.

    Raises:
        Damaged: they are not whole.
    """
    server, start = read_server(folder), "shared/"
    return {k.removeprefix(start): v for k, v in server.items() if k.startswith(start)}


def write_pooled(folder: Path, state: Arrays) -> Written:
    """Write what the model is that learns everybody's answers."""
    return write_arrays(folder / _POOLED, state, {})


def read_pooled(folder: Path) -> dict[str, NDArray[Any]]:
    """Read what the model was that learns everybody's answers.

    Raises:
        Damaged: it is not whole.
    """
    return read_arrays(folder / _POOLED)[0]


def find_device(folder: Path, device: str) -> Found:
    """Find a device in the newest checkpoint of an arm that holds it and is whole.

    Args:
        folder: of the arm's checkpoints.
        device: its id.

    Raises:
        BadInput: there is no checkpoint, or no such device in it.
    """
    any_there = False
    for kept in kept_folds(folder):
        for round_ in reversed(kept.rounds()):
            try:
                found = _find_in(kept, round_, device)
            except Damaged:
                continue  # the one before it may be whole
            any_there = any_there or found is not _NO_MODELS
            if isinstance(found, Found):
                return found
            break
    if not any_there:
        raise BadInput(f"{folder}: no state of devices there; give an arm of the run that learns")
    raise BadInput(f"device {device!r}: not in {folder}; devices are called as in rounds/")


_NO_MODELS = object()
_FACTS = {"models": bool, "devices": list, "fold": int, "round": int, "shares": bool}


def _find_in(kept: Kept, round_: int, device: str) -> Found | object | None:
    """Find a device in one checkpoint; `_NO_MODELS` where its devices have none."""
    folder = kept.folder_of(round_)
    for written in kept.manifest(round_).files:
        if not written.name.startswith("cohort-"):
            continue
        path = folder / written.name
        with opened(path) as file:
            facts = facts_of(path, file, **_FACTS)
            if not facts["models"]:
                return _NO_MODELS
            if device in facts["devices"]:
                check(folder, written)
                row = facts["devices"].index(device)
                state = {
                    name: np.asarray(file.get_slice(name)[row : row + 1])
                    for name in file.keys()  # noqa: SIM118
                    if not name.startswith(_OF_COHORT)
                }
                return Found(folder, facts["fold"], facts["round"], facts["shares"], state)
    return None


def _name_of(cohort: Cohort) -> str:
    return f"cohort-{cohort.index:05d}.safetensors"

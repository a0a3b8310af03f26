"""The state of an arm on disk: one file for each cohort, one for what its fold shares."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from clients.errors import BadInput
from simulator.plan import Cohort

__all__ = ["Found", "find_device", "read_shared", "write_shared", "write_state"]

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """One device in a checkpoint.

    Attributes:
        fold: index of its fold.
        round_: after which it was written.
        shares: whether what it answered with then came from the server in part.
        variables: those of its program that are its own, by their names in the SavedModel.
    """

    fold: int
    round_: int
    shares: bool
    variables: dict[str, NDArray[Any]]


def write_state(
    folder: Path,
    cohort: Cohort,
    round_: int,
    devices: Sequence[str],
    state: Arrays,
    *,
    shares: bool,
) -> None:
    """Write a cohort's state, in place of that of an earlier round.

    Args:
        folder: of the arm's checkpoint.
        cohort: whose state.
        round_: after which.
        devices: ids of the D devices.
        state: named arrays [D, ...].
        shares: whether the devices answer with the server's arrays.
    """
    facts = {"fold": cohort.fold, "round": round_, "shares": shares, "devices": list(devices)}
    _write(folder / f"cohort-{cohort.index:05d}.safetensors", state, facts)


def write_shared(folder: Path, fold: int, round_: int, shared: Arrays) -> None:
    """Write what the devices of a fold share after a round."""
    _write(folder / f"shared-{fold}.safetensors", shared, {"fold": fold, "round": round_})


def read_shared(folder: Path, fold: int, round_: int) -> dict[str, NDArray[Any]]:
    """Read what the devices of a fold shared after a round.

    Raises:
        BadInput: the checkpoint was interrupted, and has another round's or none.
    """
    path = folder / f"shared-{fold}.safetensors"
    if not path.is_file():
        raise BadInput(f"{path}: missing; the checkpoint of round {round_} is not whole")
    with safe_open(path, "numpy") as file:
        found = json.loads(file.metadata()["facts"])["round"]
        if found != round_:
            raise BadInput(
                f"{path}: of round {found}; the checkpoint of round {round_} is not whole"
            )
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def find_device(folder: Path, device: str) -> Found:
    """Find a device in an arm's checkpoint.

    Raises:
        BadInput: there is no checkpoint, or no such device in it.
    """
    files = sorted(folder.glob("cohort-*.safetensors"))
    for path in files:
        with safe_open(path, "numpy") as file:
            facts = json.loads(file.metadata()["facts"])
            if device in facts["devices"]:
                row = facts["devices"].index(device)
                variables = {
                    name.removeprefix("program/"): file.get_slice(name)[row]
                    for name in file.keys()  # noqa: SIM118
                    if name.startswith("program/")
                }
                return Found(facts["fold"], facts["round"], facts["shares"], variables)
    if not files:
        raise BadInput(f"{folder}: no state of devices there; give an arm of the run that learns")
    raise BadInput(f"device {device!r}: not in {folder}; devices are called as in rounds/")


def _write(path: Path, arrays: Arrays, facts: Mapping[str, Any]) -> None:
    """Write arrays whole: to a temporary name, synced, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        save_file(dict(arrays), unfinished, metadata={"facts": json.dumps(facts)})
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)  # there only if something went wrong

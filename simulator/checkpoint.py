"""The state of an arm on disk: one file for each cohort, one for its fold's server."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from clients.errors import BadInput
from simulator.plan import Cohort

__all__ = [
    "Found",
    "find_device",
    "read_pooled",
    "read_server",
    "read_state",
    "write_pooled",
    "write_server",
    "write_state",
]

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """One device in a checkpoint.

    Attributes:
        fold: index of its fold.
        round_: after which it was written.
        shares: whether what it answered with then came from the server in part.
        state: all that it is, as its cohort's state names it, arrays [1, ...].
    """

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


def read_state(folder: Path, cohort: Cohort, round_: int) -> dict[str, NDArray[Any]]:
    """Read a cohort's state after a round.

    Raises:
        BadInput: the checkpoint was interrupted, and has another round's or none.
    """
    return _read(folder / f"cohort-{cohort.index:05d}.safetensors", round_)


def write_server(folder: Path, fold: int, round_: int, state: Arrays) -> None:
    """Write what the server of a fold is after a round."""
    _write(folder / f"server-{fold}.safetensors", state, {"fold": fold, "round": round_})


def read_server(folder: Path, fold: int, round_: int) -> dict[str, NDArray[Any]]:
    """Read what the server of a fold was after a round.

    Raises:
        BadInput: the checkpoint was interrupted, and has another round's or none.
    """
    return _read(folder / f"server-{fold}.safetensors", round_)


def write_pooled(folder: Path, fold: int, round_: int, state: Arrays) -> None:
    """Write what the model is, after a round, that learns everybody's answers."""
    _write(folder / f"pooled-{fold}.safetensors", state, {"fold": fold, "round": round_})


def read_pooled(folder: Path, fold: int, round_: int) -> dict[str, NDArray[Any]]:
    """Read what the model was, after a round, that learns everybody's answers.

    Raises:
        BadInput: the checkpoint was interrupted, and has another round's or none.
    """
    return _read(folder / f"pooled-{fold}.safetensors", round_)


def _read(path: Path, round_: int) -> dict[str, NDArray[Any]]:
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
                state = {
                    name: file.get_slice(name)[row : row + 1]
                    for name in file.keys()  # noqa: SIM118
                }
                return Found(facts["fold"], facts["round"], facts["shares"], state)
    if not files:
        raise BadInput(f"{folder}: no state of devices there; give an arm of the run that learns")
    raise BadInput(f"device {device!r}: not in {folder}; devices are called as in rounds/")


def _write(path: Path, arrays: Arrays, facts: Mapping[str, Any]) -> None:
    """Write arrays whole: to a temporary name, synced, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        whole = {name: np.asarray(value, order="C") for name, value in arrays.items()}
        save_file(whole, unfinished, metadata={"facts": json.dumps(facts)})
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)  # there only if something went wrong

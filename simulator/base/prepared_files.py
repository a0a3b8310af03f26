"""What the devices of a fold start with, on disk beside its base models, to be read again.

`base/fold-<n>.safetensors` has the checksums of all files of the fold's base models, and
`base/fold-<n>.json`, written last, has that of it, so that what is not whole is made anew.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients.containment import is_file_name
from clients.heuristic import Heuristic
from clients.novelty import Expected
from simulator.base.base import prepare
from simulator.base.prepared import Parts, Prepared, Threshold
from simulator.folder.arrays_file import (
    Damaged,
    Written,
    check,
    file_written,
    read_arrays,
    sync_file,
    sync_folders,
    write_arrays,
)
from simulator.folder.sealed_file import read_sealed, write_sealed
from simulator.plan.plan import Fold, Plan

__all__ = ["prepared_in", "read_prepared", "write_prepared"]


def prepared_in(folder: Path, plan: Plan, fold: Fold) -> Prepared:
    """Read what a fold's devices start with, if it is there and whole, or else make it.

    Args:
        folder: of the base models.
        plan: the run's.
        fold: whose devices.
    """
    there = read_prepared(folder, fold.index)
    if there is None:
        _clear(folder, fold.index)
        there = prepare(plan, fold, folder)
        write_prepared(folder, there)
    return there


def write_prepared(folder: Path, prepared: Prepared) -> None:
    """Write what a fold's devices start with, where its base models lie already.

    Args:
        folder: of the base models.
        prepared: of one fold.
    """
    heuristic = {} if prepared.heuristic is None else prepared.heuristic.thresholds()
    arrays: dict[str, NDArray[Any]] = {f"heuristic/{k}": v for k, v in heuristic.items()}
    arrays |= {f"params/{name}": np.asarray(value) for name, value in prepared.params.items()}
    arrays |= {f"unseen/{user}": np.asarray(value) for user, value in prepared.unseen.items()}
    for kind, threshold in prepared.thresholds.items():
        if threshold.expected is not None:
            arrays[f"expected/{kind}/scale"] = threshold.expected.scale
            arrays[f"expected/{kind}/weights"] = threshold.expected.weights
    files: list[Written] = []
    for path in sorted({file for own in prepared.paths.values() for file in own.rglob("*")}):
        if path.is_file():
            sync_file(path)
            files.append(file_written(path, folder))
    sync_folders(folder, files)
    facts = {
        "files": [asdict(file) for file in files],
        "fold": prepared.fold,
        "program": prepared.program,
        "paths": {name: path.name for name, path in prepared.paths.items()},
        "params": list(prepared.params),
        "parts": asdict(prepared.parts),
        "whole_questions": prepared.whole_questions,
        "heuristic": prepared.heuristic is not None,
        "unseen": list(prepared.unseen),
        "steps": int(prepared.steps),
        "validation_accuracy": _number(prepared.validation_accuracy),
        "candidates": {name: _number(score) for name, score in prepared.candidates.items()},
        "thresholds": {kind: _told(one) for kind, one in prepared.thresholds.items()},
    }
    written = write_arrays(_path(folder, prepared.fold), arrays, facts)
    write_sealed(_seal(folder, prepared.fold), asdict(written))
    sync_file(folder)


def read_prepared(folder: Path, fold: int) -> Prepared | None:
    """Read what a fold's devices start with; None where it is not there, or not whole.

    Args:
        folder: of the base models.
        fold: its index.

    Raises:
        RunFailed: the system did not let a file be read.
    """
    try:
        check(folder, Written(**read_sealed(_seal(folder, fold))))
        arrays, facts = read_arrays(_path(folder, fold))
        for file in facts["files"]:
            check(folder, Written(**file))
        return _prepared(folder, arrays, facts)
    except (Damaged, KeyError, TypeError, ValueError):
        return None


def _clear(folder: Path, fold: int) -> None:
    """Remove what is there of a fold's base models."""
    _seal(folder, fold).unlink(missing_ok=True)
    _path(folder, fold).unlink(missing_ok=True)
    for path in [folder / f"fold-{fold}", *folder.glob(f"fold-{fold}-*")]:
        shutil.rmtree(path, ignore_errors=True)


def _prepared(folder: Path, arrays: dict[str, NDArray[Any]], facts: dict[str, Any]) -> Prepared:
    def under(start: str) -> dict[str, NDArray[Any]]:
        return {k.removeprefix(start): v for k, v in arrays.items() if k.startswith(start)}

    params, unseen = under("params/"), under("unseen/")
    thresholds = {
        kind: Threshold(**{**told, "expected": _expected(under(f"expected/{kind}/"), told)})
        for kind, told in facts["thresholds"].items()
    }
    return Prepared(
        facts["fold"],
        facts["program"],
        {name: _beside(folder, path) for name, path in facts["paths"].items()},
        {name: params[name] for name in facts["params"]},  # in its order, by which methods go
        Parts(**{name: tuple(patterns) for name, patterns in facts["parts"].items()}),
        facts["whole_questions"],
        Heuristic.of_thresholds(under("heuristic/")) if facts["heuristic"] else None,
        {user: unseen[user] for user in facts["unseen"]},
        facts["steps"],
        facts["validation_accuracy"],
        facts["candidates"],
        thresholds,
    )


def _beside(folder: Path, name: str) -> Path:
    """Return the path of a base model, whose name must not lead out of their folder."""
    if not is_file_name(name):
        raise ValueError(f"{name!r} is no name of a folder")
    return folder / name


def _told(threshold: Threshold) -> dict[str, Any]:
    """Return a threshold as JSON; of what inputs are usual only the number."""
    expected = None if threshold.expected is None else float(threshold.expected.deviation)
    return {
        "strength": float(threshold.strength),
        "alarms": int(threshold.alarms),
        "windows": int(threshold.windows),
        "mute": bool(threshold.mute),
        "expected": expected,
    }


def _expected(arrays: dict[str, NDArray[Any]], told: dict[str, Any]) -> Expected | None:
    if told["expected"] is None:
        return None
    return Expected(arrays["scale"], arrays["weights"], told["expected"])


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)


def _path(folder: Path, fold: int) -> Path:
    return folder / f"fold-{fold}.safetensors"


def _seal(folder: Path, fold: int) -> Path:
    return folder / f"fold-{fold}.json"

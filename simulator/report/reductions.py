"""Records of a run, reduced cohort by cohort, so that a large fleet is never in memory at once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow.compute as pc
from numpy.typing import NDArray

from clients.containment import file_name
from simulator.folder.event import OF_DRIFT
from simulator.folder.parquet_file import read_columns
from simulator.folder.record_files import EVENTS as OF_EVENTS
from simulator.folder.rounds_file import last_scored, names_of, read_rounds
from simulator.folder.store import RunFolder
from simulator.measures.user_series import (
    OF_HOLDOUT,
    OF_PREQUENTIAL,
    holdout_in,
    prequential_in,
    series_of,
)

__all__ = [
    "EVENTS",
    "IntArray",
    "OfRounds",
    "events_of",
    "rounds_of",
]

IntArray: TypeAlias = NDArray[np.int64]

_COSTS = [
    "questions", "windows", "asked", "answered", "steps", "gradients", "bytes_down", "bytes_up",
]  # fmt: skip
_COLUMNS = list(
    dict.fromkeys([*OF_HOLDOUT, *OF_PREQUENTIAL, "device", "holdout_confusion", *_COSTS])
)
EVENTS = ["arm", "kind", "reason", "count"]


@dataclass(frozen=True, slots=True, eq=False)
class OfRounds:
    """What `rounds/` says of an arm.

    Attributes:
        holdout, prequential: see `holdout_of` and `prequential_of`.
        confusion: what the devices' holdout was taken for, each when it was last scored, int64
            [K, K], rows are the truth, and the round of the last scoring; None if never scored, or
            if no window was held out.
        costs: one row of sums over devices and rounds, and `devices`.
    """

    holdout: pd.DataFrame
    prequential: pd.DataFrame
    confusion: tuple[IntArray, int] | None
    costs: pd.DataFrame


def rounds_of(run: Path, arm: str) -> OfRounds:
    """Reduce `rounds/<arm>/`, each cohort read once."""
    held, streamed = list[pd.DataFrame](), list[pd.DataFrame]()
    confusion: tuple[IntArray, int] | None = None
    costs = {"devices": 0, **dict.fromkeys(_COSTS, 0)}
    for path in RunFolder(run).rounds_files(arm):
        table = read_rounds(path, _COLUMNS)
        held.append(holdout_in(table))
        streamed.append(prequential_in(table))
        confusion = _with_confusion(confusion, table)
        costs["devices"] += np.unique(names_of(table, "device").code).size
        for name in _COSTS:
            costs[name] += pc.sum(table[name]).as_py() or 0
    return OfRounds(
        series_of(arm, held),
        series_of(arm, streamed),
        confusion if confusion is not None and confusion[0].any() else None,
        pd.DataFrame([{"arm": arm, **costs}]),
    )


def _with_confusion(found: tuple[IntArray, int] | None, table: Any) -> tuple[IntArray, int] | None:
    """Add what a cohort's holdout was taken for to that of the cohorts before."""
    scored = last_scored(table, names_of(table, "device"))
    if not scored.device.size:
        return found
    total, round_ = found or (0, 0)
    return total + scored.confusion.sum(axis=0), max(round_, int(scored.round_.max()))


def events_of(run: Path, arm: str) -> pd.DataFrame:
    """Count an arm's events by kind and reason, but for those of drift; empty without any."""
    folder = run / "events"
    files = [
        folder / f"{file_name(arm)}.parquet",
        *sorted((folder / file_name(arm)).glob("cohort-*.parquet")),
    ]
    counts: Counter[tuple[str, str]] = Counter()
    for path in files:
        if path.exists():
            events = read_columns(path, ["kind", "reason"], OF_EVENTS)
            found = events.group_by(["kind", "reason"]).aggregate([([], "count_all")])
            kinds, reasons, times = (found[name].to_pylist() for name in found.column_names)
            for kind, reason, count in zip(kinds, reasons, times, strict=True):
                if kind is not None and kind not in OF_DRIFT:
                    counts[kind, reason or ""] += count
    rows = [(arm, *which, count) for which, count in sorted(counts.items())]
    return pd.DataFrame(rows, columns=EVENTS)

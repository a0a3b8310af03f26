"""Records of a run, reduced cohort by cohort, so that a large fleet is never in memory at once."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

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

__all__ = [
    "EVENTS",
    "IntArray",
    "confusion_of",
    "costs_of",
    "events_of",
]

IntArray: TypeAlias = NDArray[np.int64]

EVENTS = ["arm", "kind", "reason", "count"]


def confusion_of(run: Path, arm: str) -> tuple[IntArray, int] | None:
    """Add up what the devices' holdout was taken for, each when it was last scored.

    Returns:
        int64 [K, K], rows are the truth, and the round of the last scoring; None if never scored,
        or if no window was held out.
    """
    found: tuple[IntArray, int] | None = None
    for path in RunFolder(run).rounds_files(arm):
        table = read_rounds(path, ["device", "round", "holdout_confusion"])
        scored = last_scored(table, names_of(table, "device"))
        if scored.device.size:
            total, round_ = found or (0, 0)
            last = max(round_, int(scored.round_.max()))
            found = total + scored.confusion.sum(axis=0), last
    return found if found is not None and found[0].any() else None


def costs_of(run: Path, arm: str) -> pd.DataFrame:
    """Sum steps, gradients, answers and bytes over devices and rounds: one row."""
    sums = ["questions", "windows", "asked", "answered", "steps", "gradients"]
    sums += ["bytes_down", "bytes_up"]
    row = {"devices": 0, **dict.fromkeys(sums, 0)}
    for path in RunFolder(run).rounds_files(arm):
        table = read_rounds(path, ["device", *sums])
        row["devices"] += np.unique(names_of(table, "device").code).size
        for name in sums:
            row[name] += pc.sum(table[name]).as_py() or 0
    return pd.DataFrame([{"arm": arm, **row}])


def events_of(run: Path, arm: str) -> pd.DataFrame:
    """Count an arm's events by kind and reason, but for those of drift; empty without any."""
    folder = run / "events"
    files = [
        folder / f"{file_name(arm)}.parquet",
        *sorted((folder / file_name(arm)).glob("cohort-*.parquet")),
    ]
    parts = []
    for path in files:
        if path.exists():
            events = read_columns(path, ["kind", "reason"], OF_EVENTS).to_pandas().astype(object)
            events["reason"] = events["reason"].where(events["reason"].notna(), "")
            events = events[~events["kind"].isin(OF_DRIFT)]
            parts.append(events.groupby(["kind", "reason"], as_index=False).size())
    counts = pd.concat(parts) if parts else pd.DataFrame()
    if counts.empty:
        return pd.DataFrame()
    counts = counts.groupby(["kind", "reason"], as_index=False)["size"].sum()
    return pd.DataFrame(counts).rename(columns={"size": "count"}).assign(arm=arm)

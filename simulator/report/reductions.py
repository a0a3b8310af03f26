"""Records of a run, reduced cohort by cohort, so that a large fleet is never in memory at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from simulator.rounds_file import last_scored, names_of, numbers_of, read_rounds
from simulator.store import RunFolder

__all__ = [
    "EVENTS",
    "SERIES",
    "IntArray",
    "confusion_of",
    "costs_of",
    "events_of",
    "holdout_of",
    "joined",
    "prequential_of",
]

IntArray: TypeAlias = NDArray[np.int64]

SERIES = ["arm", "user", "round", "accuracy"]
EVENTS = ["arm", "kind", "reason", "count"]


def joined(frames: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    """Put frames under each other; without any rows, a frame with those columns."""
    filled = [frame for frame in frames if not frame.empty]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=columns)


def holdout_of(run: Path, arm: str) -> pd.DataFrame:
    """Reduce `rounds/<arm>/` to SERIES: the share of each user's holdout windows, by round."""
    parts = []
    for path in RunFolder(run).rounds_files(arm):
        table = read_rounds(path, ["user", "round", "holdout_windows", "holdout_correct"])
        correct, windows = (numbers_of(table, f"holdout_{name}") for name in ("correct", "windows"))
        parts.append(_by_user_and_round(table, correct, windows, windows > 0))
    return _series(arm, parts)


def prequential_of(run: Path, arm: str) -> pd.DataFrame:
    """Reduce `rounds/<arm>/` to SERIES: fading-factor accuracy when each round ended.

    It is averaged over those of the user's devices that have had a window; a device whose stream
    has ended keeps its value.
    """
    parts = []
    for path in RunFolder(run).rounds_files(arm):
        table = read_rounds(path, ["user", "round", "faded_accuracy"])
        faded = numbers_of(table, "faded_accuracy")
        parts.append(_by_user_and_round(table, faded, np.ones(faded.size), ~np.isnan(faded)))
    return _series(arm, parts)


def confusion_of(run: Path, arm: str) -> tuple[IntArray, int] | None:
    """Add up what the devices' holdout was taken for, each when it was last scored.

    Returns:
        int64 [K, K], rows are the truth, and the round of the last scoring; None if never scored.
    """
    found: tuple[IntArray, int] | None = None
    for path in RunFolder(run).rounds_files(arm):
        table = read_rounds(path, ["device", "round", "holdout_confusion"])
        scored = last_scored(table, names_of(table, "device"))
        if scored.device.size:
            total, round_ = found or (0, 0)
            last = max(round_, int(scored.round_.max()))
            found = total + scored.confusion.sum(axis=0), last
    return found


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


def _by_user_and_round(
    table: Any, part: NDArray[Any], whole: NDArray[Any], there: NDArray[np.bool_]
) -> pd.DataFrame:
    """Sum a cohort's rows to columns user, round, part, whole.

    Args:
        table: with the columns user and round.
        part: [N], to be added up.
        whole: [N], likewise, what `part` is a share of.
        there: bool [N], the rows that count.
    """
    user, round_ = names_of(table, "user"), numbers_of(table, "round")[there]
    rounds = int(round_.max(initial=0)) + 1
    keys, place = np.unique(
        user.code[there].astype(np.int64) * rounds + round_, return_inverse=True
    )
    columns: Mapping[str, Any] = {
        "user": np.array(user.names, object)[keys // rounds],
        "round": keys % rounds,
        "part": np.bincount(place, part[there], keys.size),
        "whole": np.bincount(place, whole[there], keys.size),
    }
    return pd.DataFrame(columns)


def _series(arm: str, parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Divide the sums of all cohorts: SERIES, by user and round."""
    whole = joined(parts, ["user", "round", "part", "whole"])
    whole = whole.groupby(["user", "round"], as_index=False).sum()
    accuracy = whole["part"].astype(float) / whole["whole"].astype(float)
    return whole[["user", "round"]].assign(arm=arm, accuracy=accuracy)


def events_of(run: Path, arm: str) -> pd.DataFrame:
    """Count `events/<arm>.parquet` by kind and reason; empty where there is none."""
    path = run / "events" / f"{arm}.parquet"
    if not path.exists():
        return pd.DataFrame()
    with pq.ParquetFile(path) as file:
        events = file.read(columns=["kind", "reason"]).to_pandas()
    events["reason"] = events["reason"].astype(object).where(events["reason"].notna(), "")
    counts = events.groupby(["kind", "reason"], as_index=False, observed=True).size()
    return pd.DataFrame(counts).rename(columns={"size": "count"}).assign(arm=arm)

"""Records of a run, reduced cohort by cohort, so that a large fleet is never in memory at once."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

__all__ = [
    "ALPHA",
    "EVENTS",
    "SERIES",
    "IntArray",
    "confusion_of",
    "costs_of",
    "events_of",
    "faded_accuracy",
    "holdout_of",
    "joined",
    "prequential_of",
]

IntArray: TypeAlias = NDArray[np.int64]

ALPHA = 0.98
SERIES = ["arm", "user", "round", "accuracy"]
EVENTS = ["arm", "kind", "reason", "count"]


def faded_accuracy(correct: NDArray[np.bool_], alpha: float = ALPHA) -> NDArray[np.float64]:
    """Accuracy with a fading factor after each window (Gama, Sebastião, Rodrigues 2013).

    S_i = c_i + αS_{i-1}, B_i = 1 + αB_{i-1}, A_i = S_i / B_i.

    Args:
        correct: bool [D, W], whether each device's i-th window was predicted rightly.
        alpha: the fading factor; 0.98 remembers about 50 windows.

    Returns:
        float64 [D, W].
    """
    faded = np.empty(correct.shape, dtype=np.float64)
    total = np.zeros(correct.shape[0], dtype=np.float64)
    weight = 0.0
    for i in range(correct.shape[1]):
        total = correct[:, i] + alpha * total
        weight = 1.0 + alpha * weight
        faded[:, i] = total / weight
    return faded


def joined(frames: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    """Put frames under each other; without any rows, a frame with those columns."""
    filled = [frame for frame in frames if not frame.empty]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=columns)


def _cohorts(run: Path, kind: str, arm: str) -> list[Path]:
    return sorted((run / kind / arm).glob("cohort-*.parquet"))


def _read(path: Path, columns: list[str]) -> Any:
    with pq.ParquetFile(path) as file:
        return file.read(columns=columns)


def holdout_of(run: Path, arm: str) -> pd.DataFrame:
    """Reduce `rounds/<arm>/` to SERIES: the share of each user's holdout windows, by round."""
    columns = ["user", "round", "holdout_windows", "holdout_correct"]
    parts = []
    for path in _cohorts(run, "rounds", arm):
        frame = (
            _read(path, columns).to_pandas().dropna(subset=["holdout_correct", "holdout_windows"])
        )
        parts.append(frame.groupby(["user", "round"], as_index=False, observed=True).sum())
    whole = joined(parts, columns)
    whole = whole.groupby(["user", "round"], as_index=False, observed=True).sum()
    whole = whole[whole["holdout_windows"] > 0]
    accuracy = whole["holdout_correct"].astype(float) / whole["holdout_windows"].astype(float)
    return whole[["user", "round"]].assign(arm=arm, accuracy=accuracy)


def prequential_of(run: Path, arm: str) -> pd.DataFrame:
    """Reduce `windows/<arm>/` to SERIES: fading-factor accuracy when each round ended.

    It runs over each device's windows in order and is averaged over the user's devices; a device
    whose stream has ended keeps its value.
    """
    columns = ["device", "user", "round", "label", "predicted"]
    parts = []
    for path in _cohorts(run, "windows", arm):
        table = _read(path, columns)
        correct = pc.equal(table["label"].cast("string"), table["predicted"].cast("string"))
        frame = table.select(["device", "user", "round"]).to_pandas()
        frame["correct"] = pc.fill_null(correct, False).to_numpy(zero_copy_only=False)
        if not frame.empty:
            parts.append(_faded_by_user(frame, _last_round(run / "rounds" / arm / path.name)))
    whole = joined(parts, ["user", "round", "total", "devices"])
    whole = whole.groupby(["user", "round"], as_index=False, observed=True).sum()
    accuracy = whole["total"].astype(float) / whole["devices"].astype(float)
    return whole[["user", "round"]].assign(arm=arm, accuracy=accuracy)


def _last_round(path: Path) -> int:
    if not path.exists():
        return 0
    return int(pc.max(_read(path, ["round"])["round"]).as_py() or 0)


def _faded_by_user(frame: pd.DataFrame, last_round: int) -> pd.DataFrame:
    """Sum the devices' accuracy at each round's end by user; a device past its stream keeps its."""
    codes, _ = pd.factorize(frame["device"])
    place = frame.groupby(codes).cumcount().to_numpy()
    correct = np.zeros((codes.max() + 1, place.max() + 1), dtype=np.bool_)
    correct[codes, place] = frame["correct"].to_numpy()
    frame = frame.assign(faded=faded_accuracy(correct)[codes, place])
    ends = frame.groupby(["user", "device", "round"], observed=True)["faded"].last().unstack()
    rounds = range(1, max(last_round, int(frame["round"].max())) + 1)
    ends = ends.reindex(columns=rounds).ffill(axis=1)
    long = ends.reset_index().drop(columns="device").melt("user", var_name="round").dropna()
    by_user = long.groupby(["user", "round"], as_index=False, observed=True)
    return by_user.agg(total=("value", "sum"), devices=("value", "count"))


def confusion_of(run: Path, arm: str) -> tuple[IntArray, int] | None:
    """Add up what the devices' holdout was taken for, each when it was last scored.

    Returns:
        int64 [K, K], rows are the truth, and the round of the last scoring; None if never scored.
    """
    total: IntArray | None = None
    scored = 0
    for path in _cohorts(run, "rounds", arm):
        table = _read(path, ["device", "round", "holdout_confusion"])
        table = table.filter(pc.is_valid(table["holdout_confusion"])).sort_by("round")
        if not table.num_rows:
            continue
        keys = table.select(["device", "round"]).to_pandas()
        last = ~keys.duplicated("device", keep="last").to_numpy()
        flat = table["holdout_confusion"].combine_chunks().flatten().to_numpy()
        counts = flat.reshape(len(keys), -1)[last].sum(axis=0, dtype=np.int64)
        classes = math.isqrt(len(counts))
        square = counts.reshape(classes, classes)
        total = square if total is None else total + square
        scored = max(scored, int(keys["round"].max()))
    return None if total is None else (total, scored)


def costs_of(run: Path, arm: str) -> pd.DataFrame:
    """Sum steps, gradients, answers and bytes over devices and rounds: one row."""
    sums = ["questions", "windows", "asked", "answered", "steps", "gradients"]
    sums += ["bytes_down", "bytes_up"]
    row = {"devices": 0, **dict.fromkeys(sums, 0)}
    for path in _cohorts(run, "rounds", arm):
        table = _read(path, ["device", *sums])
        row["devices"] += len(table["device"].unique())
        for name in sums:
            row[name] += pc.sum(table[name]).as_py() or 0
    return pd.DataFrame([{"arm": arm, **row}])


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

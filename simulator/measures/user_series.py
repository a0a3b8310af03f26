"""Accuracy of users through the rounds, reduced cohort by cohort."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simulator.folder.rounds_file import names_of, numbers_of, read_rounds
from simulator.folder.store import RunFolder

__all__ = [
    "OF_HOLDOUT",
    "OF_PREQUENTIAL",
    "SERIES",
    "by_user_and_round",
    "holdout_in",
    "holdout_of",
    "joined",
    "prequential_in",
    "prequential_of",
    "series_of",
]

SERIES = ["arm", "user", "round", "accuracy"]
OF_HOLDOUT = ["user", "round", "holdout_windows", "holdout_correct"]
"""Columns of `rounds/` that `holdout_in` needs; OF_PREQUENTIAL those that `prequential_in` does."""

OF_PREQUENTIAL = ["user", "round", "faded_accuracy"]


def joined(frames: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    """Put frames under each other; without any rows, a frame with those columns."""
    filled = [frame for frame in frames if not frame.empty]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=columns)


def holdout_of(run: Path, arm: str) -> pd.DataFrame:
    """Reduce `rounds/<arm>/` to SERIES: the share of each user's holdout windows, by round."""
    paths = RunFolder(run).rounds_files(arm)
    return series_of(arm, [holdout_in(read_rounds(path, OF_HOLDOUT)) for path in paths])


def prequential_of(run: Path, arm: str) -> pd.DataFrame:
    """Reduce `rounds/<arm>/` to SERIES: fading-factor accuracy when each round ended.

    It is averaged over those of the user's devices that have had a window; a device whose stream
    has ended keeps its value.
    """
    paths = RunFolder(run).rounds_files(arm)
    return series_of(arm, [prequential_in(read_rounds(path, OF_PREQUENTIAL)) for path in paths])


def holdout_in(table: Any) -> pd.DataFrame:
    """Sum a cohort's holdout windows: user, round, part that was right, whole."""
    correct, windows = (numbers_of(table, f"holdout_{name}") for name in ("correct", "windows"))
    return by_user_and_round(table, correct, windows, windows > 0)


def prequential_in(table: Any) -> pd.DataFrame:
    """Sum a cohort's fading-factor accuracy: user, round, part, whole: how many devices."""
    faded = numbers_of(table, "faded_accuracy")
    return by_user_and_round(table, faded, np.ones(faded.size), ~np.isnan(faded))


def by_user_and_round(
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


def series_of(arm: str, parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Divide the sums of all cohorts: SERIES, by user and round."""
    whole = joined(parts, ["user", "round", "part", "whole"])
    whole = whole.groupby(["user", "round"], as_index=False).sum()
    accuracy = whole["part"].astype(float) / whole["whole"].astype(float)
    return whole[["user", "round"]].assign(arm=arm, accuracy=accuracy)

"""What became of devices and their updates, counted from `rounds/`: of honest and hostile ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from simulator.folder.parquet_file import read_columns
from simulator.folder.record_files import ROUNDS
from simulator.folder.rounds_file import names_of, numbers_of
from simulator.folder.store import RunFolder

__all__ = ["fates_of"]

_UPDATES = ["sent", "accepted", "refused", "lost"]


def fates_of(
    runs: Sequence[Path], scenario: Mapping[str, Any], summary: pd.DataFrame
) -> pd.DataFrame:
    """Count what happened to the devices of arms with a server; of none of these, the first arm's.

    Args:
        runs: run folders, of the seeds where there are several; all count together.
        scenario: that of the runs.
        summary: the columns of `summary.csv`.

    Returns:
        a row for each arm and for honest and hostile devices: arm, hostile, devices, rounds (of all
        devices together, from the first on), unreachable (of these), sent, accepted, refused and
        lost (updates). Empty where all devices are honest and always within reach.

    Raises:
        BadInput: a file is damaged.
    """
    if summary.empty or not _may_be_missed(scenario.get("faults", {})):
        return pd.DataFrame()
    arms = [str(arm) for arm in summary["arm"]]
    if "updates_sent" in summary:
        shared = summary["arm"][summary["updates_sent"].notna()]
        arms = [str(arm) for arm in shared] or arms[:1]
    parts = [
        _of_cohort(path).assign(arm=arm)
        for arm in arms
        for run in runs
        for path in RunFolder(run).rounds_files(arm)
    ]
    if not parts:
        return pd.DataFrame()
    whole = pd.concat(parts).groupby(["arm", "hostile"], sort=False).sum()
    return whole.reset_index()


def _may_be_missed(faults: Mapping[str, Any]) -> bool:
    """Tell whether a scenario has devices that are out of reach or mean harm."""
    away = faults.get("availability", 1.0) < 1.0 or faults.get("trace") or faults.get("battery")
    return bool(away or faults.get("hostile"))


def _of_cohort(path: Path) -> pd.DataFrame:
    columns = ["device", "round", "reachable", "hostile", *_UPDATES]
    table = read_columns(path, columns, ROUNDS)
    rows = pd.DataFrame({name: numbers_of(table, name) for name in _UPDATES})
    for name in ("reachable", "hostile"):
        rows[name] = table[name].to_pandas()
    rows["device"], rows["round"] = names_of(table, "device").code, numbers_of(table, "round")
    rows["hostile"] = rows["hostile"].fillna(False).astype(bool)
    rows["rounds"] = (rows["round"] > 0).astype(np.int64)
    rows["unreachable"] = rows["rounds"] * (rows["reachable"] == False).astype(np.int64)  # noqa: E712
    by_kind = rows.groupby("hostile")
    found = by_kind[["rounds", "unreachable", *_UPDATES]].sum()
    found["devices"] = by_kind["device"].nunique()
    return found.reset_index()

"""What went wrong in each arm of a run, summed up from `rounds/`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from simulator.options import SHARING
from simulator.rounds_file import numbers_of, read_rounds
from simulator.scenario import Arm, Scenario
from simulator.store import RunFolder
from simulator.user_series import by_user_and_round, joined

__all__ = ["faults_frame"]

_UPDATES = ["sent", "accepted", "refused", "lost"]


def faults_frame(run: Path, scenario: Scenario) -> pd.DataFrame:
    """Count what became of updates: a row per arm, empty where an arm has no server.

    Args:
        run: the run folder.
        scenario: its scenario.

    Returns:
        columns arm, updates_sent, updates_accepted, updates_refused, updates_lost (of all devices,
        hostile ones included), and, where the scenario has them, simulated_s, how long the server
        waited for updates, in simulated seconds, and backdoor_success, the share of windows with a
        backdoor's trigger that were taken for its target when last scored, averaged over users.
    """
    return pd.DataFrame([_of_arm(run, arm, scenario) for arm in scenario.arms])


def _of_arm(run: Path, arm: Arm, scenario: Scenario) -> dict[str, object]:
    folder, faults = RunFolder(run), scenario.faults
    row: dict[str, object] = {"arm": arm.name}
    paths = list(folder.rounds_files(arm.name))
    shares = arm.method in SHARING and bool(paths)
    columns = ["fold", "round", "took_s", *_UPDATES]
    tables = [read_rounds(path, columns, everybody=True) for path in paths if shares]
    for name in _UPDATES:
        total = sum(int(numbers_of(table, name).sum()) for table in tables)
        row[f"updates_{name}"] = total if shares else np.nan
    if faults.timed:
        limit = np.inf if faults.deadline_s == "none" else faults.deadline_s
        row["simulated_s"] = _waited_s(tables, limit) if shares else np.nan
    if faults.attack == "backdoor":
        row["backdoor_success"] = _success(paths)
    return row


def _waited_s(tables: Sequence[object], limit: float) -> float:
    """Add up how long the slowest update of each round took, at most the deadline."""
    longest: dict[tuple[int, int], float] = {}
    for table in tables:
        fold, round_ = numbers_of(table, "fold"), numbers_of(table, "round")
        took_s = numbers_of(table, "took_s")
        for place in np.flatnonzero(~np.isnan(took_s)).tolist():
            key = int(fold[place]), int(round_[place])
            longest[key] = max(longest.get(key, 0.0), min(float(took_s[place]), limit))
    by_fold: dict[int, float] = {}
    for (fold_, _), seconds in sorted(longest.items()):
        by_fold[fold_] = by_fold.get(fold_, 0.0) + seconds
    return max(by_fold.values(), default=0.0)


def _success(paths: Sequence[Path]) -> float:
    """Return the share of stamped windows that were taken for the target, over honest users."""
    parts = []
    for path in paths:
        table = read_rounds(path, ["user", "round", "stamped_windows", "stamped_taken"])
        windows, taken = (numbers_of(table, f"stamped_{name}") for name in ("windows", "taken"))
        parts.append(by_user_and_round(table, taken, windows, windows > 0))
    whole = joined(parts, ["user", "round", "part", "whole"])
    if whole.empty:
        return float("nan")
    whole = whole.groupby(["user", "round"], as_index=False).sum().sort_values("round")
    last = whole.groupby("user").last()
    return float((last["part"] / last["whole"]).mean())

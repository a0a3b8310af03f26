"""What went wrong in each arm of a run, summed up from `rounds/`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from simulator.folder.rounds_file import numbers_of, read_rounds
from simulator.folder.store import RunFolder
from simulator.measures.user_series import by_user_and_round, joined
from simulator.scenario.fault_table import Faults
from simulator.scenario.scenario import Arm, Scenario
from simulator.scenario.ways import strategy_of

__all__ = ["faults_frame"]

_UPDATES = ["sent", "accepted", "refused", "lost"]
_TIMED = ["fold", "round", "participant", "took_s", "accepted", "refused"]


def faults_frame(run: Path, scenario: Scenario) -> pd.DataFrame:
    """Count what became of updates: a row per arm, empty where an arm has no server.

    Args:
        run: the run folder.
        scenario: its scenario.

    Returns:
        columns arm, updates_sent, updates_accepted, updates_refused, updates_lost (of all devices,
        hostile ones included), and, where the scenario has them, simulated_s, how long the rounds
        took, in simulated seconds, and backdoor_success, the share of windows with a
        backdoor's trigger that were taken for its target when last scored, averaged over users.
    """
    return pd.DataFrame([_of_arm(run, arm, scenario) for arm in scenario.arms])


def _of_arm(run: Path, arm: Arm, scenario: Scenario) -> dict[str, object]:
    folder, faults = RunFolder(run), scenario.faults
    row: dict[str, object] = {"arm": arm.name}
    paths = list(folder.rounds_files(arm.name))
    shares = bool(strategy_of(arm.method) and paths)
    columns = ["fold", "round", "participant", "took_s", *_UPDATES]
    tables = [read_rounds(path, columns, everybody=True) for path in paths if shares]
    for name in _UPDATES:
        total = sum(int(numbers_of(table, name).sum()) for table in tables)
        row[f"updates_{name}"] = total if shares else np.nan
    if faults.timed:
        row["simulated_s"] = _simulated_s(tables, arm, faults) if shares else np.nan
    if faults.attack == "backdoor":
        row["backdoor_success"] = _success(paths)
    return row


def _simulated_s(tables: Sequence[pa.Table], arm: Arm, faults: Faults) -> float:
    """Return how long the rounds of an arm took, in the fold where they took longest.

    A server that takes each update as it comes lets every round take its time. One that waits does
    so for the slowest update; where something does not come, for the deadline, or, without one, for
    what does come.
    """
    rows = pd.concat(
        [pd.DataFrame({name: numbers_of(table, name) for name in _TIMED}) for table in tables]
    )
    rows = rows[rows["round"] > 0]
    rounds = rows.groupby(["fold", "round"])
    if arm.method == "fedbuff":
        waited = rounds.size() * 0.0 + faults.round_s
    else:
        came = rows["accepted"] + rows["refused"] > 0
        slowest = rows["took_s"].where(came).groupby([rows["fold"], rows["round"]]).max()
        waited = slowest.fillna(0.0)
        if faults.deadline_s != "none":
            missing = (rows["participant"] > 0) & ~came
            misses = missing.groupby([rows["fold"], rows["round"]]).any()
            waited = waited.where(~misses, faults.deadline_s)
    return float(waited.groupby("fold").sum().max())


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

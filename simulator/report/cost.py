"""The section of a report that shows what arms cost: simulated bytes, and this machine's time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from simulator.folder.run_log import LogReader, Passed, Story
from simulator.report.arm_charts import stacked_bars
from simulator.report.page import Column, arms_table, chart, size
from simulator.report.rows import each
from simulator.report.sections import View

__all__ = ["cost", "machine_time", "rounds_logged"]

_MOST_LOG = 512 * 2**20
_MIB = 2**20


def _seconds(value: float) -> str:
    digits = 0 if value >= 100 else 1 if value >= 1 else 3
    return f"{value:,.{digits}f} s"


_COSTS = [
    Column("devices", "devices", lambda value: f"{value:,.0f}"),
    Column("answered", "answers", lambda value: f"{value:.1f}", None, "per device"),
    Column("steps", "steps", lambda value: f"{value:.1f}", None, "per device"),
    Column("gradients", "gradients", lambda value: f"{value:.1f}", None, "per device"),
    Column("bytes_down", "down", size, None, "per device"),
    Column("bytes_up", "up", size, None, "per device"),
    Column("gradients_per_answer", "gradients per answer", lambda value: f"{value:.2f}"),
]
_TIMES = [
    Column("rounds", "rounds", lambda value: f"{value:,.0f}"),
    Column("wall_s", "in all", _seconds, None, "wall time"),
    Column("median_s", "median round", _seconds, None, "wall time"),
    Column("longest_s", "longest round", _seconds, None, "wall time"),
    Column("device_ms", "device and round", lambda ms: f"{ms:.1f} ms", None, "wall time"),
    Column("compiled_s", "compiled calls", _seconds, None, "of it"),
    Column("save_s", "checkpoints", _seconds, None, "of it"),
    Column("peak_bytes", "most held by a worker so far", size, None, "memory"),
    Column("rss_bytes", "held when the arm ended", size, None, "memory"),
]
_SECONDS = ["wall_s", "work_s", "save_s", "compiled_s"]
_OF_SUMMARY = ("devices", "gradients_per_answer", "bytes_")
_PARTS = [("work_s", "devices and server"), ("save_s", "checkpoints"), ("rest_s", "holdout")]


def rounds_logged(run: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the rounds that `log.jsonl` tells of; a line that cannot be read is passed over.

    Returns:
        the rounds that count, each once, and those that were lost and made again, in the order in
        which they were over: arm, devices, wall_s, work_s, save_s; compiled_s, the sum over
        workers; peak_bytes and rss_bytes, of the worker with the most. Empty where there are none.
    """
    path = run / "log.jsonl"
    if not path.is_file() or path.stat().st_size > _MOST_LOG:
        return pd.DataFrame(), pd.DataFrame()
    story = Story()
    for line in LogReader(path).lines():
        story.hear(line)
    folds = [(arm, own) for (arm, _), own in story.told.items()]
    kept = [(arm, one) for arm, own in folds for one in own.rounds.values()]
    return _frame(kept), _frame([(arm, one) for arm, own in folds for one in own.lost])


def _frame(rounds: Iterable[tuple[str, Passed]]) -> pd.DataFrame:
    """Put rounds of arms in rows, by when they were over."""
    rows = [
        {
            "arm": arm,
            **{key: getattr(one, key) for key in ("devices", *_SECONDS)},
            "peak_bytes": _MIB * one.peak_mib,
            "rss_bytes": _MIB * one.rss_mib,
        }
        for arm, one in sorted(rounds, key=lambda each: each[1].at)
    ]
    return pd.DataFrame(rows)


def cost(view: View, costs: pd.DataFrame, seeds: int = 1) -> str:
    """Show what each arm computes and sends, per device over the run.

    Args:
        view: see `View`.
        costs: arm, and sums over devices and rounds with `devices`; what it lacks is taken from
            `summary.csv`.
        seeds: over which the numbers are averaged.
    """
    per_device = costs.copy()
    for column in set(per_device.columns) - {"arm", "devices"}:
        per_device[column] = per_device[column] / per_device["devices"].replace(0, np.nan)
    rest = [
        name
        for name in view.summary.columns
        if name.startswith(_OF_SUMMARY) and name not in per_device
    ]
    table = per_device.merge(view.summary[["arm", *rest]], on="arm", how="left")
    beneath = "; beneath, the range over seeds" if seeds > 1 else ""
    return "<h3>Simulated: what devices compute and send</h3>" + arms_table(
        table,
        _COSTS,
        view.swatches,
        f"Means per device over the whole run{beneath}. An answer may take several gradients: "
        "rehearsal and repeated steps count.",
    )


def machine_time(
    view: View, logged: pd.DataFrame, lost: pd.DataFrame, manifest: Mapping[str, Any]
) -> str:
    """Show what the simulation of each arm took on the machine that ran it.

    Args:
        view: see `View`.
        logged: the rounds that count, as `rounds_logged` returns them.
        lost: those that do not, likewise.
        manifest: of the run.
    """
    if logged.empty:
        return ""
    by_arm = logged.groupby("arm", sort=False)
    frame = by_arm[_SECONDS].sum()
    frame["rest_s"] = (frame["wall_s"] - frame["work_s"] - frame["save_s"]).clip(lower=0.0)
    frame["rounds"] = by_arm.size()
    frame["median_s"], frame["longest_s"] = by_arm["wall_s"].median(), by_arm["wall_s"].max()
    frame["device_ms"] = 1000 * frame["wall_s"] / by_arm["devices"].sum()
    frame["peak_bytes"], frame["rss_bytes"] = by_arm["peak_bytes"].max(), by_arm["rss_bytes"].last()
    frame = frame.reindex([arm for arm in view.styles if arm in frame.index]).reset_index()
    if frame.empty:
        return ""
    told = ", ".join(f"{row.arm} {_seconds(row.wall_s)}" for row in each(frame))
    return (
        "<h3>Measured: what the simulation took</h3>"
        + arms_table(
            frame,
            _TIMES,
            view.swatches,
            f"On the machine that ran it{_machine(manifest)}; rounds of all folds together"
            f"{_made_again(lost)}. Another machine, or other work beside, gives other "
            "numbers.",
        )
        + chart(
            stacked_bars(frame, view.styles, _PARTS),
            f"Bars of the wall time of each arm in seconds: {told}. The table above has the parts.",
            "Wall time of the rounds: devices' work with the server's, checkpoints, and scoring "
            "the holdout. The first rounds of an arm compile, and compiled calls are summed over "
            "workers that run at once, so they may exceed the wall time. Memory is that of worker "
            "processes, which go from arm to arm.",
        )
    )


def _made_again(lost: pd.DataFrame) -> str:
    """Say what is not counted: rounds after the checkpoint that the run went back to."""
    if lost.empty:
        return ""
    rounds = "round that was" if len(lost) == 1 else "rounds that were"
    return (
        f", without {len(lost):,} {rounds} lost and made again ({_seconds(lost['wall_s'].sum())})"
    )


def _machine(manifest: Mapping[str, Any]) -> str:
    machine = manifest.get("machine")
    if not isinstance(machine, dict):
        return ""
    told = [str(machine["processor"])] if machine.get("processor") else []
    if machine.get("cores"):
        told.append(f"{machine['cores']} cores")
    return f" ({', '.join(told)})" if told else ""

"""The section of a report that shows what arms cost: simulated bytes, and this machine's time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from clients.bounded import read_bounded
from clients.errors import BadInput
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
_PARTS = [("work_s", "devices and server"), ("save_s", "checkpoints"), ("rest_s", "holdout")]


def rounds_logged(run: Path) -> pd.DataFrame:
    """Read the rounds that `log.jsonl` tells of; a line that cannot be read is passed over.

    Returns:
        arm, round, devices, wall_s, work_s, save_s; compiled_s, the sum over workers; peak_bytes
        and rss_bytes, of the worker with the most. Empty where there is no log.
    """
    path = run / "log.jsonl"
    if not path.is_file():
        return pd.DataFrame()
    try:
        text = read_bounded(path, _MOST_LOG, "the log of a run").decode("utf-8", "replace")
    except BadInput:
        return pd.DataFrame()
    rows = [row for line in text.splitlines() if (row := _round_of(line)) is not None]
    return pd.DataFrame(rows)


def _round_of(line: str) -> dict[str, Any] | None:
    try:
        told = json.loads(line)
        if told["what"] != "round":
            return None
        return {
            "arm": str(told["arm"]),
            **{key: float(told[key]) for key in ("round", "devices", "wall_s", "work_s", "save_s")},
            "compiled_s": float(sum(told["compiled_s"])),
            "peak_bytes": _MIB * float(max(told["peak_rss_mib"], default=np.nan)),
            "rss_bytes": _MIB * float(max(told["rss_mib"], default=np.nan)),
        }
    except (ValueError, KeyError, TypeError):
        return None


def cost(view: View, costs: pd.DataFrame) -> str:
    """Show what each arm computes and sends, per device over the run."""
    per_device = costs.copy()
    for column in set(per_device.columns) - {"arm", "devices"}:
        per_device[column] = per_device[column] / per_device["devices"].replace(0, np.nan)
    kept = [
        name
        for name in view.summary.columns
        if name == "arm" or name.startswith(("devices", "gradients_per_answer", "bytes_"))
    ]
    table = view.summary[kept]
    extra = [name for name in per_device.columns if name == "arm" or name not in kept]
    table = per_device[extra].merge(table, on="arm", how="left")
    return "<h3>Simulated: what devices compute and send</h3>" + arms_table(
        table,
        _COSTS,
        view.swatches,
        "Means per device over the whole run. An answer may take several gradients: rehearsal and "
        "repeated steps count.",
    )


def machine_time(view: View, logged: pd.DataFrame, manifest: Mapping[str, Any]) -> str:
    """Show what the simulation of each arm took on the machine that ran it."""
    if logged.empty:
        return ""
    by_arm = logged.groupby("arm", sort=False)
    frame = by_arm[["wall_s", "work_s", "save_s", "compiled_s"]].sum()
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
            f"On the machine that ran it{_machine(manifest)}; rounds of all folds together. "
            "Another machine, or other work beside, gives other numbers.",
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


def _machine(manifest: Mapping[str, Any]) -> str:
    machine = manifest.get("machine")
    if not isinstance(machine, dict):
        return ""
    told = [str(machine["processor"])] if machine.get("processor") else []
    if machine.get("cores"):
        told.append(f"{machine['cores']} cores")
    return f" ({', '.join(told)})" if told else ""

"""What drift did to each device of a run, reduced cohort by cohort from `rounds/` and `events/`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simulator.measures.drift import Decline, decline
from simulator.measures.drift_records import CohortRecords, DeviceEvent, cohorts_of, periodic_of
from simulator.measures.forgetting import memory, memory_matrix
from simulator.measures.metrics import cohen_kappa
from simulator.scenario.scenario import Scenario

__all__ = ["FELL", "devices_frame", "drift_figures", "pooled"]

FELL = 0.15
"""Loss of accuracy from which on a device counts as one that fell."""


def devices_frame(run: Path, scenario: Scenario) -> pd.DataFrame:
    """Measure what drift did to each device: a row per arm, device and spell of drift.

    Args:
        run: the run folder.
        scenario: its scenario.

    Returns:
        columns arm, user, device, drift (its kind, empty for a device without), begins (the first
        round after which drift is in force), those of `Decline`, holdout_now, holdout_before,
        kappa, those of `Memory`; in order of arms and devices. Recovery is measured on
        `holdout_now`, memory on `holdout_before`, which stays the same.
    """
    rows: list[dict[str, Any]] = []
    for arm in scenario.arms:
        for cohort in cohorts_of(run, arm.name):
            rows += _device_rows(arm.name, cohort, periodic_of(scenario))
    return pd.DataFrame(rows)


def _device_rows(
    arm: str, cohort: CohortRecords, periodic: frozenset[str]
) -> Iterator[dict[str, Any]]:
    now, before = cohort.accuracy(cohort.now), cohort.accuracy(cohort.before)
    drifted, answered = (np.cumsum(x, axis=1) for x in (cohort.drifted, cohort.answered))
    kappa = cohen_kappa(
        cohort.labels.sum(axis=1), cohort.predicted.sum(axis=1), cohort.correct.sum(axis=1)
    )
    scored = np.flatnonzero(~np.isnan(now).all(axis=0))
    kept = memory(memory_matrix(cohort.before[:, scored], _blocks(cohort.labels, scored)))
    for row, name in enumerate(cohort.names):
        common = {"arm": arm, "user": cohort.users[row], "device": name}
        last = {
            "holdout_now": _last(now[row]),
            "holdout_before": _last(before[row]),
            "kappa": kappa[row],
            **{key: value[row] for key, value in asdict(kept).items()},
        }
        kinds = _kinds(cohort.events.get(name, ()))
        comes_back = bool(periodic & set(kinds))
        spells = _spells(cohort.in_force[row], cohort.round_, comes_back)
        if not spells:
            unknown = asdict(Decline(float("nan")))
            yield {**common, "drift": "", "begins": None, **unknown, **last}
        for begin, end in spells:
            fell = decline(
                now[row],
                cohort.round_,
                drifted[row],
                answered[row],
                cohort.in_force[row],
                begin,
                end,
            )
            yield {**common, "drift": ", ".join(kinds), "begins": begin, **asdict(fell), **last}


def drift_figures(devices: pd.DataFrame) -> pd.DataFrame:
    """Reduce devices to what `summary.csv` says of drift: a row per arm, users counting alike.

    Returns:
        columns arm, holdout_before_accuracy, prequential_kappa, backward_transfer, forgetting,
        forward_transfer, fell (share of spells of drift in which accuracy fell by `FELL` or more),
        recovered (share of those that are within 5 points of their reference at the end), and
        lost_windows (per spell).
    """
    rows = []
    for arm, own in devices.groupby("arm", sort=False):
        one = own.drop_duplicates("device")
        users = one.groupby("user", sort=False).mean(numeric_only=True)
        row: dict[str, Any] = {
            "arm": arm,
            "holdout_before_accuracy": users["holdout_before"].mean(),
            "prequential_kappa": users["kappa"].mean(),
            "backward_transfer": users["backward_transfer"].mean(),
            "forgetting": users["forgetting"].mean(),
            "forward_transfer": users["forward_transfer"].mean(),
        }
        drifted = own[own["drop"].notna()]
        if len(drifted):
            fallen = drifted[drifted["drop"] >= FELL - 1e-9]
            row["fell"] = len(fallen) / len(drifted)
            row["recovered"] = fallen["recovered_at_end"].mean() if len(fallen) else np.nan
            row["lost_windows"] = drifted["lost_windows"].mean()
        rows.append(row)
    return pd.DataFrame(rows)


def _blocks(labels: NDArray[np.int64], scored: NDArray[np.int64]) -> NDArray[np.int64]:
    """Add up the windows by class between scorings: int64 [D, T, K] of [D, R, K]."""
    upto = np.cumsum(labels, axis=1)[:, scored]
    return np.diff(upto, axis=1)


def _spells(
    in_force: NDArray[np.bool_], round_: NDArray[np.int64], comes_back: bool
) -> list[tuple[int, int | None]]:
    """Return the first rounds of a device's spells of drift, and the first ones after them.

    Args:
        in_force: bool [R], whether a drift is in force after each round.
        round_: int64 [R].
        comes_back: whether drift comes and goes; else it stays, however it came.
    """
    if not in_force.any():
        return []
    if not comes_back:
        return [(int(round_[in_force.argmax()]), None)]
    edges = np.flatnonzero(np.diff(np.concatenate([[False], in_force, [False]]).astype(np.int8)))
    return [
        (int(round_[begin]), int(round_[end]) if end < round_.size else None)
        for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    ]


def _kinds(own: Sequence[DeviceEvent]) -> list[str]:
    """Name the drifts that befall a device."""
    return list(dict.fromkeys(event.reason for event in own if event.kind == "drift-begins"))


def _last(values: NDArray[np.float64]) -> float:
    """Return the last value that is known."""
    known = values[~np.isnan(values)]
    return float(known[-1]) if known.size else float("nan")


def pooled(frames: Sequence[pd.DataFrame], seeds: Sequence[int]) -> pd.DataFrame:
    """Put the frames of several seeds under each other, with a column seed."""
    tagged = [f.assign(seed=seed) for f, seed in zip(frames, seeds, strict=True) if not f.empty]
    return pd.concat(tagged, ignore_index=True) if tagged else pd.DataFrame()

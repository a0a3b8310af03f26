"""What a run measured: a row per arm, a row per arm and user.

Everything is computed from the rows of `rounds/`, cohort by cohort. An accuracy is a share of one
user's windows, averaged over users, so that every user counts once; where a user wears several
devices, they are averaged first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simulator.folder.rounds_file import Names, last_scored, names_of, numbers_of, read_rounds
from simulator.folder.store import RunFolder
from simulator.measures.reference import local_of
from simulator.measures.shares import known_mean, ratio
from simulator.measures.user_series import holdout_of
from simulator.scenario.scenario import Arm

__all__ = [
    "Fairness",
    "cohen_kappa",
    "f1_by_class",
    "fairness",
    "fairness_frame",
    "kappa_temporal",
    "macro_f1",
    "summary_frame",
    "users_frame",
    "worst_tenth",
]

_MORE_THAN_WINDOWS = 2  # by which an arm must be worse than `local` to count as worse
_COUNTS = [
    "windows", "answered", "correct", "vote_correct", "label_repeats", "gradients", "bytes_up",
    "bytes_down",
]  # fmt: skip
_SUMS = [
    "windows",
    "answered",
    "holdout_windows",
    "gradients",
    "bytes_up",
    "bytes_down",
]  # over a user's devices
_MEANS = [
    "prequential_accuracy", "prequential_vote_accuracy", "no_change", "holdout_accuracy",
    "holdout_macro_f1",
]  # fmt: skip


def macro_f1(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean F1 over the activities that truly occur, NaN where none does.

    Args:
        confusion: int64 [..., K, K], windows by true class (row) and predicted class.

    Returns:
        float64 [...].
    """
    f1 = f1_by_class(confusion)
    occurs = ~np.isnan(f1)
    count = occurs.sum(axis=-1)
    total = np.where(occurs, f1, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def f1_by_class(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the F1 of each activity, float64 [..., K], NaN for one that does not occur."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1).astype(np.float64)
    true, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    return np.where(true > 0, 2.0 * hits / np.maximum(true + predicted, 1), np.nan)


def kappa_temporal(accuracy: float, no_change: float) -> float:
    """Return how much better than repeating the last true label (Žliobaitė et al. 2015).

    Args:
        accuracy: p, share of windows predicted rightly.
        no_change: share of windows that have the label of the window before.
    """
    return float("nan") if no_change >= 1.0 else (accuracy - no_change) / (1.0 - no_change)


def cohen_kappa(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], hits: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return κ = (p - p_e) / (1 - p_e), agreement beyond that of chance (Cohen 1960).

    Args:
        labels: int64 [..., K], windows by true class.
        predicted: int64 [..., K], the same windows by predicted class.
        hits: int64 [...], of them predicted rightly.

    Returns:
        float64 [...], NaN without windows and where chance alone agrees always.
    """
    windows = labels.sum(axis=-1)
    by_chance = (labels * predicted).sum(axis=-1)  # p_e, as p below, in units of 1 / windows²
    return ratio(windows * hits - by_chance, windows**2 - by_chance)


def worst_tenth(values: NDArray[np.float64]) -> float:
    """Return the mean of the lowest tenth of the users, one user at least."""
    known = np.sort(values[~np.isnan(values)])
    return float(known[: -(-known.size // 10)].mean()) if known.size else float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class Fairness:
    """Accuracy over users at each scoring, float64 [S] each, NaN where nobody was scored.

    Attributes:
        mean, std: over users; the standard deviation is that of the population.
        worst_tenth: see `simulator.measures.metrics.worst_tenth`.
        minimum: of the worst user.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    worst_tenth: NDArray[np.float64]
    minimum: NDArray[np.float64]


def fairness(accuracy: NDArray[np.float64]) -> Fairness:
    """Sum up users at each scoring.

    Args:
        accuracy: float64 [U, S], by user and scoring, NaN where a user was not scored.
    """
    by_scoring = accuracy.T
    mean = known_mean(by_scoring)
    return Fairness(
        mean=mean,
        std=np.sqrt(known_mean((by_scoring - mean[:, None]) ** 2)),
        worst_tenth=np.array([worst_tenth(users) for users in by_scoring], np.float64),
        minimum=np.fmin.reduce(by_scoring, axis=-1, initial=np.nan),
    )


def users_frame(run: Path, arms: Sequence[Arm]) -> pd.DataFrame:
    """Reduce `rounds/` to one row per arm and user.

    Args:
        run: the run folder.
        arms: the arms of the scenario; those that have no rows are left out.

    Returns:
        columns arm, user, devices, windows, answered, holdout_windows, gradients, bytes_up,
        bytes_down, prequential_accuracy, prequential_vote_accuracy, no_change, holdout_accuracy,
        holdout_macro_f1; in order of `arms`, then of the users' names.
    """
    folder = RunFolder(run)
    frames = []
    for arm in arms:
        cohorts = [_by_device(path) for path in folder.rounds_files(arm.name)]
        devices = [frame for frame in cohorts if not frame.empty]
        if devices:
            frames.append(_by_user(arm.name, pd.concat(devices, ignore_index=True)))
    none = pd.DataFrame(columns=["arm", "user", "devices", *_SUMS, *_MEANS])
    return pd.concat(frames, ignore_index=True) if frames else none


def fairness_frame(run: Path, arms: Sequence[Arm]) -> pd.DataFrame:
    """Reduce `rounds/` to how the holdout accuracy of users is spread, through time.

    Returns:
        columns arm, round and those of `Fairness`; a row for each scoring of each arm.
    """
    frames = []
    for arm in arms:
        series = holdout_of(run, arm.name)
        if series.empty:
            continue
        table = series.pivot(index="user", columns="round", values="accuracy")
        spread = fairness(table.to_numpy(np.float64))
        columns = {field: getattr(spread, field) for field in Fairness.__dataclass_fields__}
        frames.append(pd.DataFrame({"arm": arm.name, "round": list(table.columns), **columns}))
    none = pd.DataFrame(columns=["arm", "round", *Fairness.__dataclass_fields__])
    return pd.concat(frames, ignore_index=True) if frames else none


def summary_frame(
    users: pd.DataFrame,
    arms: Sequence[Arm],
    base_accuracy: float | None,
    epsilons: Mapping[str, float | None] = MappingProxyType({}),
) -> pd.DataFrame:
    """Reduce users to one row per arm, in the order of the scenario.

    Args:
        users: what `users_frame` returns.
        arms: the arms of the scenario; those that have not run are left out.
        base_accuracy: of the untouched base model on users that it never saw.
        epsilons: of private arms, by name.
    """
    local = local_of({arm.name: arm.method for arm in arms})
    rows = []
    for arm in arms:
        own = users[users["arm"] == arm.name]
        if not own.empty:
            reference = users[users["arm"] == local] if local else None
            epsilon = epsilons.get(arm.name)
            rows.append(
                {
                    **_arm_row(arm, own, reference, base_accuracy),
                    "epsilon": np.nan if epsilon is None else epsilon,
                }
            )
    return pd.DataFrame(rows)


def _by_user(arm: str, devices: pd.DataFrame) -> pd.DataFrame:
    """Reduce the devices of one arm to a row per user, in order of their names."""
    grouped = devices.groupby("user", sort=True)
    frame = pd.concat([grouped[_SUMS].sum(), grouped[_MEANS].mean()], axis=1)
    frame.insert(0, "devices", grouped.size())
    frame = frame.reset_index()
    frame.insert(0, "arm", arm)
    return frame


def _by_device(path: Path) -> pd.DataFrame:
    """Reduce a cohort's rows to a row per device: user, _SUMS and _MEANS."""
    table = read_rounds(path, ["device", "user", "round", "holdout_confusion", *_COUNTS])
    device, user = names_of(table, "device"), names_of(table, "user")
    present = np.unique(device.code)
    sums = {name: _sum_by(device, numbers_of(table, name))[present] for name in _COUNTS}
    user_of = np.zeros(len(device.names), np.int32)
    user_of[device.code] = user.code
    windows = sums["windows"]
    confusion = _holdout(table, device)[present]
    holdout = confusion.sum(axis=(1, 2))
    columns = {
        "user": [user.names[code] for code in user_of[present]],
        **{name: sums[name] for name in ("windows", "answered", "gradients")},
        "holdout_windows": holdout,
        "prequential_accuracy": _share(sums["correct"], windows),
        "prequential_vote_accuracy": _share(sums["vote_correct"], windows),
        "no_change": _share(sums["label_repeats"], windows),
        "holdout_accuracy": _share(np.trace(confusion, axis1=1, axis2=2), holdout),
        "holdout_macro_f1": macro_f1(confusion),
        **{name: sums[name] for name in ("bytes_up", "bytes_down")},
    }
    return pd.DataFrame(columns)


def _holdout(table: Any, device: Names) -> NDArray[np.int64]:
    """Return each device's last holdout, int64 [D, K, K], zero where it was never scored."""
    scored = last_scored(table, device)
    confusion = np.zeros((len(device.names), *scored.confusion.shape[1:]), np.int64)
    confusion[scored.device] = scored.confusion
    return confusion


def _sum_by(device: Names, values: NDArray[Any]) -> NDArray[np.int64]:
    """Sum the rows of each device, int64 [D]."""
    sums = np.zeros(len(device.names), np.int64)
    np.add.at(sums, device.code, values.astype(np.int64))
    return sums


def _share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    """Divide, NaN where there is nothing to have a share of."""
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)


def _arm_row(
    arm: Arm, own: pd.DataFrame, local: pd.DataFrame | None, base_accuracy: float | None
) -> dict[str, Any]:
    """Reduce one arm's users."""
    holdout = own["holdout_accuracy"].to_numpy(np.float64)
    prequential = float(own["prequential_accuracy"].mean())
    answered, devices = int(own["answered"].sum()), int(own["devices"].sum())
    return {
        "arm": arm.name,
        "method": arm.method,
        "devices": devices,
        "base_accuracy": base_accuracy,
        "prequential_accuracy": prequential,
        "prequential_vote_accuracy": float(own["prequential_vote_accuracy"].mean()),
        "prequential_kappa_temporal": kappa_temporal(prequential, float(own["no_change"].mean())),
        "holdout_accuracy": float(own["holdout_accuracy"].mean()),
        "holdout_macro_f1": float(own["holdout_macro_f1"].mean()),
        "holdout_worst_tenth": worst_tenth(holdout),
        "holdout_min": float(own["holdout_accuracy"].min()),
        "holdout_std": float(own["holdout_accuracy"].std(ddof=0)),
        "worse_than_local": _worse_than(own, local),
        "gradients_per_answer": own["gradients"].sum() / answered if answered else None,
        "bytes_up": float(own["bytes_up"].sum() / devices),
        "bytes_down": float(own["bytes_down"].sum() / devices),
    }


def _worse_than(own: pd.DataFrame, local: pd.DataFrame | None) -> float | None:
    """Return the share of users for whom an arm is worse than `local` by more than two windows."""
    if local is None:
        return None
    both = own.merge(local, on="user", suffixes=("", "_local"))
    windows = both["holdout_windows"] / both["devices"]  # of one device
    lost = (both["holdout_accuracy_local"] - both["holdout_accuracy"]) * windows
    known = lost.notna()
    # The slack keeps a loss of exactly two windows from counting by a rounding error.
    return float((lost[known] > _MORE_THAN_WINDOWS + 1e-6).mean()) if known.any() else None

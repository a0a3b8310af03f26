"""What a run measured: a row per arm, a row per arm and user.

Everything is computed from the rows of `rounds/`. An accuracy is a share of one user's windows,
averaged over users, so that every user counts once; where a user wears several devices, they are
averaged first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simulator.scenario import Arm

__all__ = [
    "f1_by_class",
    "kappa_temporal",
    "macro_f1",
    "summary_frame",
    "users_frame",
    "worst_tenth",
]

_MORE_THAN_WINDOWS = 2  # by which an arm must be worse than `local` to count as worse


def macro_f1(confusion: NDArray[np.int64]) -> float:
    """Return the mean F1 over the activities that truly occur, NaN where none does.

    Args:
        confusion: int64 [K, K], windows by true class (row) and predicted class.
    """
    f1 = f1_by_class(confusion)
    return float(np.nanmean(f1)) if not np.isnan(f1).all() else float("nan")


def f1_by_class(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the F1 of each activity, float64 [K], NaN for one that does not occur."""
    hits = np.diag(confusion).astype(np.float64)
    f1 = 2.0 * hits / np.maximum(confusion.sum(axis=0) + confusion.sum(axis=1), 1)
    return np.where(confusion.sum(axis=1) > 0, f1, np.nan)


def kappa_temporal(accuracy: float, no_change: float) -> float:
    """Return how much better than repeating the last true label (Žliobaitė et al. 2015).

    Args:
        accuracy: p, share of windows predicted rightly.
        no_change: share of windows that have the label of the window before.
    """
    return float("nan") if no_change >= 1.0 else (accuracy - no_change) / (1.0 - no_change)


def worst_tenth(values: NDArray[np.float64]) -> float:
    """Return the mean of the lowest tenth of the users, one user at least."""
    known = np.sort(values[~np.isnan(values)])
    return float(known[: -(-known.size // 10)].mean()) if known.size else float("nan")


def users_frame(rounds: pd.DataFrame) -> pd.DataFrame:
    """Reduce the rows of `rounds/` to one row per arm and user.

    Returns:
        columns arm, user, devices, windows, answered, prequential_accuracy,
        prequential_vote_accuracy, no_change, holdout_windows, holdout_accuracy, holdout_macro_f1,
        gradients, bytes_up, bytes_down; in order of arm as they ran, then user.
    """
    rows = [_user_row(key, own) for key, own in rounds.groupby(["arm", "user"], sort=False)]
    return pd.DataFrame(rows)


def summary_frame(
    users: pd.DataFrame, arms: Sequence[Arm], base_accuracy: float | None
) -> pd.DataFrame:
    """Reduce users to one row per arm, in the order of the scenario.

    Args:
        users: what `users_frame` returns.
        arms: the arms of the scenario; those that have not run are left out.
        base_accuracy: of the untouched base model on users that it never saw.
    """
    locals_ = [arm.name for arm in arms if arm.method == "local"]
    local = "local" if "local" in locals_ else next(iter(locals_), None)
    rows = []
    for arm in arms:
        own = users[users["arm"] == arm.name]
        if not own.empty:
            reference = users[users["arm"] == local] if local else None
            rows.append(_arm_row(arm, own, reference, base_accuracy))
    return pd.DataFrame(rows)


def _user_row(key: Any, own: pd.DataFrame) -> dict[str, Any]:
    """Reduce one user's rows in one arm."""
    devices = [_device_row(rows) for _, rows in own.groupby("device", sort=False)]
    frame = pd.DataFrame(devices)
    sums = ["windows", "answered", "holdout_windows", "gradients"]
    means = [column for column in frame if column not in sums]
    return {
        "arm": key[0],
        "user": key[1],
        "devices": len(frame),
        **{column: int(frame[column].sum()) for column in sums},
        **{str(column): float(frame[column].mean()) for column in means},
    }


def _device_row(own: pd.DataFrame) -> dict[str, Any]:
    """Reduce one device's rounds."""
    windows = int(own["windows"].sum())
    scored = own[own["holdout_windows"].notna()].sort_values("round")
    matrix = None
    if len(scored) and scored["holdout_windows"].iloc[-1] > 0:
        flat = np.array(scored["holdout_confusion"].iloc[-1], np.int64)
        matrix = flat.reshape(round(flat.size**0.5), -1)
    nan = float("nan")
    return {
        "windows": windows,
        "answered": int(own["answered"].sum()),
        "prequential_accuracy": own["correct"].sum() / windows if windows else nan,
        "prequential_vote_accuracy": own["vote_correct"].sum() / windows if windows else nan,
        "no_change": own["label_repeats"].sum() / windows if windows else nan,
        "holdout_windows": 0 if matrix is None else int(matrix.sum()),
        "holdout_accuracy": nan if matrix is None else float(np.trace(matrix) / matrix.sum()),
        "holdout_macro_f1": nan if matrix is None else macro_f1(matrix),
        "gradients": int(own["gradients"].sum()),
        "bytes_up": int(own["bytes_up"].sum()),
        "bytes_down": int(own["bytes_down"].sum()),
    }


def _arm_row(
    arm: Arm, own: pd.DataFrame, local: pd.DataFrame | None, base_accuracy: float | None
) -> dict[str, Any]:
    """Reduce one arm's users."""
    holdout = own["holdout_accuracy"].to_numpy(np.float64)
    prequential = float(own["prequential_accuracy"].mean())
    answered = int(own["answered"].sum())
    return {
        "arm": arm.name,
        "method": arm.method,
        "devices": int(own["devices"].sum()),
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
        "bytes_up": float(own["bytes_up"].mean()),
        "bytes_down": float(own["bytes_down"].mean()),
    }


def _worse_than(own: pd.DataFrame, local: pd.DataFrame | None) -> float | None:
    """Return the share of users for whom an arm is worse than `local` by more than two windows."""
    if local is None:
        return None
    both = own.merge(local, on="user", suffixes=("", "_local"))
    lost = (both["holdout_accuracy_local"] - both["holdout_accuracy"]) * both["holdout_windows"]
    known = lost.notna()
    # Half a window of slack keeps a loss of exactly two windows from counting by a rounding error.
    return float((lost[known] > _MORE_THAN_WINDOWS + 0.5).mean()) if known.any() else None

"""The columns of records that are worked out of what happened in a round."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients.outcome import Outcome
from clients.user import NO_ANSWER
from simulator.cohort.accounts import FATES
from simulator.cohort.adversity import Befallen

__all__ = ["befell_of", "by_class_of", "counts_of", "repeats_of", "scored_of", "stamped_of"]


def counts_of(
    outcome: Outcome, there: NDArray[np.bool_], correct: NDArray[np.bool_]
) -> dict[str, NDArray[Any]]:
    """Count by device, int [D] each; `there` and `correct` are bool [D, Q, B]."""
    windows = there.sum(axis=2)
    return {
        "questions": (windows > 0).sum(axis=1),
        "windows": windows.sum(axis=1),
        "asked": outcome.asked.sum(axis=1),
        "answered": (outcome.answer != NO_ANSWER).sum(axis=1),
        "answered_windows": (windows * (outcome.answer != NO_ANSWER)).sum(axis=1),
        "correct": correct.sum(axis=(1, 2)),
        "vote_correct": ((outcome.voted == outcome.label) * windows).sum(axis=1),
        "steps": outcome.steps,
        "gradients": outcome.gradients,
        "loss": outcome.learning_loss,
        "memory_windows": outcome.memory_windows,
    }


def befell_of(befallen: Befallen) -> dict[str, NDArray[Any]]:
    """Return the columns of what befell the devices."""
    return {
        "reachable": befallen.reachable,
        "hostile": befallen.hostile,
        "sent": befallen.sent,
        **{name: befallen.updates[:, place] for place, name in enumerate(FATES)},
        "took_s": befallen.took_s,
        "battery": befallen.battery,
    }


def by_class_of(
    classes: NDArray[np.int32], there: NDArray[np.bool_], count: int
) -> NDArray[np.int32]:
    """Count each device's windows, bool [D, Q, B], by their class: int32 [D, K]."""
    device = np.nonzero(there)[0]
    codes = device * count + np.broadcast_to(classes, there.shape)[there]
    found = np.bincount(codes, minlength=len(there) * count)
    return found.reshape(len(there), count).astype(np.int32)


def repeats_of(
    label: NDArray[np.int32], windows: NDArray[np.int64], last: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Count windows with the true label of the window before them in the stream.

    Args:
        label: int32 [D, Q], of each question; what is empty comes last.
        windows: int64 [D, Q], in each question.
        last: int32 [D], label of each device's last window before, -1 where there was none.

    Returns:
        int64 [D], and int32 [D], the last labels now.
    """
    devices, questions = label.shape
    before = np.concatenate([last[:, None], label], axis=1)
    repeats = windows - (label != before[:, :questions])
    count = (windows > 0).sum(axis=1)
    return np.where(windows > 0, repeats, 0).sum(axis=1), before[np.arange(devices), count]


def stamped_of(stamped: NDArray[np.int64] | None, devices: int) -> dict[str, NDArray[Any]]:
    """Return the columns of a backdoor's trigger, null where it was not tried."""
    found = np.full((devices, 2), -1, np.int64) if stamped is None else stamped
    return {"stamped_windows": found[:, 0], "stamped_taken": found[:, 1]}


def scored_of(
    confusion: NDArray[np.int64] | None,
    before: NDArray[np.int64] | None,
    devices: int,
    classes: int,
) -> dict[str, NDArray[Any]]:
    """Return the columns of the holdout, null where it was not scored, or not in two ways."""
    if confusion is None:
        none = np.full(devices, -1, np.int32)
        cells = np.full((devices, classes**2), -1, np.int32)
        return {
            "holdout_windows": none,
            "holdout_correct": none,
            "holdout_confusion": cells,
            "holdout_before_confusion": cells,
        }
    other = np.full((devices, classes**2), -1, np.int32)
    if before is not None:
        differs = (before != confusion).any(axis=(1, 2))
        other[differs] = before.reshape(devices, -1)[differs]
    return {
        "holdout_windows": confusion.sum(axis=(1, 2)),
        "holdout_correct": np.trace(confusion, axis1=1, axis2=2),
        "holdout_confusion": confusion.reshape(devices, -1).astype(np.int32),
        "holdout_before_confusion": other,
    }

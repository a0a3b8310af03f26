"""What a cohort sends to the server after a round: checked, and folded where that may be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clients.methods import Arrays
from clients.outcome import Outcome, Update
from server.fold import Fold
from server.guard import check

__all__ = ["Reply", "Used", "joined", "reply_of"]


class Used(NamedTuple):
    """What a worker has used so far.

    Attributes:
        compiled_s: seconds spent in compiled calls.
        peak_rss_mib: most memory that it has ever held.
    """

    compiled_s: float
    peak_rss_mib: float


@dataclass(frozen=True, slots=True, eq=False)
class Reply:
    """What the participants of one cohort learnt in a round, after the guard.

    Attributes:
        cohort: its index.
        norms: float64 [n], how far each update moved.
        accepted: bool [n], which of them the guard let through.
        refused: device -> why.
        folded: the mean of the accepted ones, None where there is none or none may be folded.
        singles: device -> its accepted update, where updates may not be folded.
    """

    cohort: int
    norms: NDArray[np.float64]
    accepted: NDArray[np.bool_]
    refused: dict[int, str]
    folded: Update | None
    singles: dict[int, Update]


def reply_of(
    cohort: int,
    devices: NDArray[np.int64],
    sent: Arrays,
    updates: Iterable[tuple[NDArray[np.int64], Arrays]],
    outcome: Outcome,
    *,
    bound: float | None,
    folds: bool,
) -> Reply:
    """Check a cohort's updates, and fold those that are accepted.

    Args:
        cohort: its index.
        devices: int64 [D], the indices of its devices.
        sent: what they began from.
        updates: rows [n] and stacked arrays [n, ...], part by part.
        outcome: of the cohort's round.
        bound: largest norm that is accepted, None for any finite one.
        folds: whether updates become one; else each travels by itself.
    """
    fold = Fold()
    singles: dict[int, Update] = {}
    refused: dict[int, str] = {}
    norms, accepted = [np.zeros(0)], [np.zeros(0, np.bool_)]
    for rows, arrays in updates:
        found = check(sent, arrays, bound)
        passed = found.accepted
        norms.append(found.norms)
        accepted.append(passed)
        refused |= {int(devices[rows[i]]): found.reasons[i] for i in np.flatnonzero(~passed)}
        examples, losses = outcome.examples[rows], outcome.learning_loss[rows]
        if folds:
            fold.add(arrays, examples, losses, passed)
            continue
        for i in np.flatnonzero(passed):
            own = {name: value[i] for name, value in arrays.items()}
            singles[int(devices[rows[i]])] = Update(own, int(examples[i]), float(losses[i]))
    mean = fold.mean()
    folded = None if mean is None else Update(*mean)
    singles = dict(sorted(singles.items()))
    return Reply(cohort, np.concatenate(norms), np.concatenate(accepted), refused, folded, singles)


def joined(replies: Sequence[Reply]) -> Update | None:
    """Fold the means of cohorts, in their order, into one; None where no cohort has any."""
    folded = [reply.folded for reply in replies if reply.folded is not None]
    if not folded:
        return None
    fold = Fold()
    fold.add(
        {name: np.stack([one.arrays[name] for one in folded]) for name in folded[0].arrays},
        np.array([one.examples for one in folded]),
        np.array([one.loss for one in folded]),
        np.ones(len(folded), np.bool_),
    )
    mean = fold.mean()
    return None if mean is None else Update(*mean)

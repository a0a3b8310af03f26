"""What a cohort sends to the server after a round: checked, and folded where that may be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from clients.methods import Arrays
from clients.methods.groups import Groups, flat
from clients.outcome import Outcome, Sent, Update
from server.clip import clipped
from server.fold import Fold
from server.guard import check

__all__ = ["Reply", "Terms", "Used", "joined", "reply_of"]


class Used(NamedTuple):
    """What a worker has used so far.

    Attributes:
        compiled_s: seconds spent in compiled calls.
        peak_rss_mib: most memory that it has ever held.
    """

    compiled_s: float
    peak_rss_mib: float


@dataclass(frozen=True, slots=True)
class Terms:
    """How the updates of a round are treated on their way.

    Attributes:
        folds: whether those of several devices become one mean, or one for each cluster.
        weighs: what an update weighs in it: its examples, or as much as any other.
        bound: largest norm that is accepted, None for any finite one.
        clip: norm to which longer changes are shortened, None for none.
    """

    folds: Literal["mean", "cluster", "none"] = "mean"
    weighs: Literal["examples", "devices"] = "examples"
    bound: float | None = None
    clip: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Reply:
    """What the participants of one cohort learnt in a round, after the guard.

    Attributes:
        cohort: its index.
        devices: int64 [n], who sent an update.
        norms: float64 [n], how far each update moved.
        accepted: bool [n], which of them the guard let through.
        losses: float64 [n], what each device told.
        refused: device -> why.
        folded: cluster -> mean of the accepted updates, 0 where there are no clusters.
        singles: device -> its accepted update, where updates may not be folded.
        bytes_each: that each device sent.
    """

    cohort: int
    devices: NDArray[np.int64]
    norms: NDArray[np.float64]
    accepted: NDArray[np.bool_]
    losses: NDArray[np.float64]
    refused: dict[int, str]
    folded: dict[int, Update]
    singles: dict[int, Update]
    bytes_each: int


def reply_of(
    cohort: int,
    devices: NDArray[np.int64],
    received: Groups,
    updates: Iterable[Sent],
    outcome: Outcome,
    terms: Terms,
) -> Reply:
    """Check a cohort's updates, clip them, and fold those that are accepted.

    Args:
        cohort: its index.
        devices: int64 [D], the indices of its devices.
        received: what they began from, groups of arrays.
        updates: what they sent, part by part.
        outcome: of the cohort's round.
        terms: how updates are treated.
    """
    collected = _Collected(terms)
    for sent in updates:
        clusters = sent.told.get("cluster", np.zeros(sent.rows.size, np.int64))
        for cluster in np.unique(clusters):
            part = np.flatnonzero(clusters == cluster)
            group = f"cluster/{cluster}"
            begun = received[group] if group in received else flat(received)
            collected.add(int(cluster), begun, sent.take(part), devices, outcome)
    return collected.reply(cohort)


class _Collected:
    """The updates of a cohort so far."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._folds: dict[int, Fold] = {}
        self._singles: dict[int, Update] = {}
        self._refused: dict[int, str] = {}
        self._devices, self._norms = [np.zeros(0, np.int64)], [np.zeros(0)]
        self._accepted, self._losses = [np.zeros(0, np.bool_)], [np.zeros(0)]
        self._bytes_each = 0

    def add(
        self,
        cluster: int,
        begun: Arrays,
        sent: Sent,
        devices: NDArray[np.int64],
        outcome: Outcome,
    ) -> None:
        """Add updates that began from the same arrays."""
        own, arrays, terms = devices[sent.rows], sent.arrays, self._terms
        if arrays.keys() == begun.keys():
            arrays = {name: arrays[name] for name in begun}  # Flower's strategies go by their order
        found = check(begun, arrays, terms.bound)
        passed = found.accepted
        losses = outcome.learning_loss[sent.rows].astype(np.float64)
        told = sent.told.get("loss")
        if told is not None:
            losses = np.where(np.isfinite(told), told, losses)
        self._devices.append(own)
        self._norms.append(found.norms)
        self._accepted.append(passed)
        self._losses.append(losses)
        self._refused |= {int(own[i]): found.reasons[i] for i in np.flatnonzero(~passed)}
        self._bytes_each = sum(value.nbytes for value in arrays.values()) // max(own.size, 1)
        if terms.clip is not None:
            arrays = clipped(begun, arrays, found.norms, terms.clip)
        examples = outcome.examples[sent.rows]
        weights = examples if terms.weighs == "examples" else np.ones_like(examples)
        if terms.folds != "none":
            self._folds.setdefault(cluster, Fold()).add(arrays, weights, losses, passed)
            return
        for i in np.flatnonzero(passed):
            one = {name: value[i] for name, value in arrays.items()}
            self._singles[int(own[i])] = Update(one, int(weights[i]), float(losses[i]))

    def reply(self, cohort: int) -> Reply:
        """Return what was collected."""
        means = {cluster: fold.mean() for cluster, fold in sorted(self._folds.items())}
        return Reply(
            cohort,
            np.concatenate(self._devices),
            np.concatenate(self._norms),
            np.concatenate(self._accepted),
            np.concatenate(self._losses),
            self._refused,
            {cluster: Update(*mean) for cluster, mean in means.items() if mean is not None},
            dict(sorted(self._singles.items())),
            self._bytes_each,
        )


def joined(replies: Sequence[Reply]) -> dict[int, Update]:
    """Fold the means of cohorts, in their order, into one for each cluster."""
    found = {}
    for cluster in sorted({cluster for reply in replies for cluster in reply.folded}):
        folded = [reply.folded[cluster] for reply in replies if cluster in reply.folded]
        fold = Fold()
        fold.add(
            {name: np.stack([one.arrays[name] for one in folded]) for name in folded[0].arrays},
            np.array([one.examples for one in folded]),
            np.array([one.loss for one in folded]),
            np.ones(len(folded), np.bool_),
        )
        mean = fold.mean()
        if mean is not None:
            found[cluster] = Update(*mean)
    return found

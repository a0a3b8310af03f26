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
from simulator.cohort.accounts import Accounts
from simulator.cohort.journey import Journey

__all__ = ["Reply", "Terms", "Used", "joined", "reply_of"]


class Used(NamedTuple):
    """What a worker has used so far.

    Attributes:
        compiled_s: seconds spent in compiled calls.
        peak_rss_mib: most memory that it has ever held.
        rss_mib: memory that it holds now; None where the system does not say.
    """

    compiled_s: float
    peak_rss_mib: float
    rss_mib: float | None


@dataclass(frozen=True, slots=True)
class Terms:
    """How the updates of a round are treated on their way.

    Attributes:
        folds: whether those of several devices become one mean, or one for each cluster.
        weighs: what an update weighs in it: its examples, or as much as any other.
        bound: largest norm that is accepted, None for any finite one.
        clip: norm to which longer changes are shortened, None for none.
        apart: whether those of hostile devices travel singly, even where others become one mean.
        waits: whether the server waits for a round's updates, and for no others.
    """

    folds: Literal["mean", "cluster", "none"] = "mean"
    weighs: Literal["examples", "devices"] = "examples"
    bound: float | None = None
    clip: float | None = None
    apart: bool = False
    waits: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Reply:
    """What the participants of one cohort learnt in a round, after the guard.

    Attributes:
        cohort: its index.
        senders: int64 [m], who sent an update, whatever became of it.
        rounds: float64 [m], how long each takes to be with the server, in rounds.
        devices: int64 [n], whose updates are with the server, or will be.
        norms: float64 [n], how far each update moved.
        accepted: bool [n], which of them the guard let through.
        losses: float64 [n], what each device told.
        folded: cluster -> mean of the accepted updates, 0 where there are no clusters.
        singles: device -> its accepted update, where updates may not be folded.
        bytes_each: that each device sent.
        accounts: what became of each update.
        took_s: float64 [D], simulated seconds that an update of each of the cohort's devices took,
            or would have taken, to be with the server; NaN where none was sent.
    """

    cohort: int
    senders: NDArray[np.int64]
    rounds: NDArray[np.float64]
    devices: NDArray[np.int64]
    norms: NDArray[np.float64]
    accepted: NDArray[np.bool_]
    losses: NDArray[np.float64]
    folded: dict[int, Update]
    singles: dict[int, Update]
    bytes_each: int
    accounts: Accounts
    took_s: NDArray[np.float64]


def reply_of(
    cohort: int,
    devices: NDArray[np.int64],
    received: Groups,
    updates: Iterable[Sent],
    outcome: Outcome,
    terms: Terms,
    journey: Journey,
) -> Reply:
    """Let a cohort's updates travel, check them, clip them, and fold those that are accepted.

    Args:
        cohort: its index.
        devices: int64 [D], the indices of its devices.
        received: what they began from, groups of arrays.
        updates: what they sent, part by part.
        outcome: of the cohort's round.
        terms: how updates are treated.
        journey: what they meet on their way.
    """
    collected = _Collected(terms, journey)
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

    def __init__(self, terms: Terms, journey: Journey) -> None:
        self._terms, self._journey = terms, journey
        self._folds: dict[int, Fold] = {}
        self._singles: dict[int, Update] = {}
        self._accounts = Accounts.empty()
        self._took_s = np.full(journey.devices.size, np.nan)
        self._senders, self._rounds = [np.zeros(0, np.int64)], [np.zeros(0)]
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
        self._bytes_each = sum(value.nbytes for value in arrays.values()) // max(own.size, 1)
        took_s = self._journey.took_s(outcome, self._bytes_each)[sent.rows]
        came = self._journey.travel(begun, arrays, sent.rows, took_s, terms.bound)
        arrays, passed, norms = came.arrays, came.counts, came.checked.norms
        losses = outcome.learning_loss[sent.rows].astype(np.float64)
        told = sent.told.get("loss")
        if told is not None:
            losses = np.where(np.isfinite(told), told, losses)
        self._senders.append(own)
        self._rounds.append(came.rounds)
        self._devices.append(own[came.came])
        self._norms.append(norms[came.came])
        self._accepted.append(passed[came.came])
        self._losses.append(losses[came.came])
        self._accounts = Accounts.joined(self._accounts, came.accounts)
        self._took_s[sent.rows] = took_s
        if terms.clip is not None:
            arrays = clipped(begun, arrays, norms, terms.clip)
        examples = outcome.examples[sent.rows]
        weights = examples if terms.weighs == "examples" else np.ones_like(examples)
        single = passed
        if terms.folds != "none":
            single = passed & terms.apart & self._journey.means_harm(sent.rows)
            self._folds.setdefault(cluster, Fold()).add(arrays, weights, losses, passed & ~single)
        for i in np.flatnonzero(single):
            one = {name: value[i] for name, value in arrays.items()}
            shuffled = float(self._journey.fate.shuffled[sent.rows[i]])
            facts = {"cluster": cluster, "rounds": float(came.rounds[i]), "shuffled": shuffled}
            self._singles[int(own[i])] = Update(one, int(weights[i]), float(losses[i]), facts)

    def reply(self, cohort: int) -> Reply:
        """Return what was collected."""
        means = {cluster: fold.mean() for cluster, fold in sorted(self._folds.items())}
        return Reply(
            cohort,
            np.concatenate(self._senders),
            np.concatenate(self._rounds),
            np.concatenate(self._devices),
            np.concatenate(self._norms),
            np.concatenate(self._accepted),
            np.concatenate(self._losses),
            {cluster: Update(*mean) for cluster, mean in means.items() if mean is not None},
            dict(sorted(self._singles.items())),
            self._bytes_each,
            self._accounts,
            self._took_s,
        )


def joined(replies: Sequence[Reply], apart: Sequence[Update] = ()) -> dict[int, Update]:
    """Fold the means of cohorts, in their order, and what came apart, into one for each cluster."""
    found = {}
    clusters = {cluster for reply in replies for cluster in reply.folded}
    for cluster in sorted(clusters | {int(one.told["cluster"]) for one in apart}):
        folded = [reply.folded[cluster] for reply in replies if cluster in reply.folded]
        folded += [one for one in apart if one.told["cluster"] == cluster]
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

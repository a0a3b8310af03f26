"""The learning curve of personal forests as SkotBotCambo/wisdm_model_personalization drew it.

Read in its notebooks of August 2017. Ten folds within each user, stratified by activity and not
shuffled; one fold is the test. Own labels are drawn from the other nine, in proportion to each
activity. Three forests are tested: "universal" on all other users, "personal" on the own labels,
"both" on all of them, each window counting once. Rows with a missing feature are left out, and a
user is passed over where the pool is too small.

Those notebooks number the labels within the nine folds and then look the numbers up among all ten
("personal_features[sampled_active_index]"), so that some of the own labels are windows of the test.
`leak` does the same, and nothing else can tell whether a difference comes from that.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit

from benchmarks.forest import Labelled, accuracy, forest
from clients.wisdm.defects import DefectLog
from clients.wisdm.features import read_features

__all__ = ["PUBLISHED", "SIZES", "UNIVERSAL", "Score", "curve", "read_people"]

SIZES = (10, 20, 30, 50, 100)
UNIVERSAL = 76.0
PUBLISHED: Mapping[str, Sequence[float]] = {
    "personal": (76.6, 83.4, 86.5, 89.7, 92.8),
    "both": (81.9, 85.5, 87.6, 90.3, 93.4),
}
"""Accuracy in per cent at 10, 20, 30, 50 and 100 own labels."""

_FOLDS = 10


@dataclass(frozen=True, slots=True)
class Score:
    """One forest on one fold of one user.

    Attributes:
        user: whose windows are tested.
        model: "universal", "personal" or "both".
        size: own labels; 0 for "universal".
        leak: whether labels may be windows of the test.
        accuracy: share of the fold's windows that are predicted rightly.
    """

    user: str
    model: str
    size: int
    leak: bool
    accuracy: float


def read_people(path: Path) -> dict[str, Labelled]:
    """Read the windows of each user in the order of the table, without those that miss a value."""
    rows = read_features(path, DefectLog())
    names = sorted(set(rows.activity))
    y = np.array([names.index(activity) for activity in rows.activity], np.int64)
    whole, user = ~np.isnan(rows.features).any(axis=1), np.array(rows.user)
    return {
        name: Labelled(rows.features[own], y[own])
        for name in sorted(set(rows.user), key=int)
        for own in [np.flatnonzero(whole & (user == name))]
    }


def curve(
    people: Mapping[str, Labelled], *, draws: int, folds_of_both: int, seed: int
) -> Iterator[Score]:
    """Measure user by user.

    Args:
        people: their windows.
        draws: of own labels in each fold.
        folds_of_both: how many of a user's ten folds train forests on all labels, which take a
            second each.
        seed: decides the draws, those folds, and the forests.
    """
    for name, own in people.items():
        others = _all_of([people[other] for other in people if other != name])
        universal = forest(others, seed)
        random = np.random.default_rng([seed, int(name)])
        chosen = random.permutation(_FOLDS)[:folds_of_both]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of activities with fewer than ten windows
            folds = list(StratifiedKFold(_FOLDS).split(own.x, own.y))
        for fold, (pool, test) in enumerate(folds):
            held = own.take(test)
            yield Score(name, "universal", 0, False, accuracy(universal, held))
            for size in SIZES:
                for labels in _drawn(own.y[pool], size, draws, random):
                    for leak in (True, False):
                        mine = own.take(labels if leak else pool[labels])
                        personal = accuracy(forest(mine, seed), held)
                        yield Score(name, "personal", size, leak, personal)
                        if fold in chosen:
                            both = accuracy(forest(mine.joined(others), seed), held)
                            yield Score(name, "both", size, leak, both)


def _drawn(
    y: NDArray[np.int64], size: int, draws: int, random: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Draw own labels in proportion to each activity; none where a user has too few windows."""
    state = int(random.integers(2**31))
    splits = StratifiedShuffleSplit(draws, train_size=size, test_size=6, random_state=state)
    try:
        return [labels for labels, _ in splits.split(np.zeros((y.size, 1)), y)]
    except ValueError:  # fewer windows, or a single one of an activity: passed over there as well
        return []


def _all_of(people: Sequence[Labelled]) -> Labelled:
    """Return everybody's windows."""
    return Labelled(
        np.concatenate([one.x for one in people]), np.concatenate([one.y for one in people])
    )

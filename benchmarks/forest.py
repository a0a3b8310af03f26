"""Random forests on the 43 features of WISDM v1.1, as others measured personal models with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.ensemble import RandomForestClassifier

__all__ = ["Labelled", "Spread", "accuracy", "forest", "spread_of"]

_TREES = 100


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Windows with their activities.

    Attributes:
        x: float32 [N, 43]; NaN where a feature is missing.
        y: int64 [N].
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64]

    def __len__(self) -> int:
        return self.y.size

    def take(self, rows: NDArray[np.int64]) -> Labelled:
        """Return some of the windows, in that order."""
        return Labelled(self.x[rows], self.y[rows])

    def joined(self, other: Labelled) -> Labelled:
        """Return these windows and then the others."""
        return Labelled(np.concatenate([self.x, other.x]), np.concatenate([self.y, other.y]))


@dataclass(frozen=True, slots=True)
class Spread:
    """A mean over people.

    Attributes:
        mean: each counting the same.
        half: half the width of its 95% interval, by Student's t; NaN for one person.
        count: people.
    """

    mean: float
    half: float
    count: int

    def __str__(self) -> str:
        return f"{100 * self.mean:5.1f} +- {100 * self.half:4.1f}"


def spread_of(values: NDArray[np.float64]) -> Spread:
    """Average one number per person."""
    count = values.size
    half = float("nan")
    if count > 1:
        half = float(stats.t.ppf(0.975, count - 1) * values.std(ddof=1) / np.sqrt(count))
    return Spread(float(values.mean()), half, count)


def forest(training: Labelled, seed: int) -> RandomForestClassifier:
    """Fit a forest of 100 trees that look at log2(43) features a split, missing ones among them."""
    made = RandomForestClassifier(_TREES, max_features="log2", random_state=seed)
    return made.fit(training.x, training.y)


def accuracy(model: RandomForestClassifier, test: Labelled) -> float:
    """Return the share of windows that a forest predicts rightly."""
    return float(np.mean(model.predict(test.x) == test.y))

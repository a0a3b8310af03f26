"""Whether arms differ by more than chance, tested person by person.

A pair is one user with two arms, each averaged over the user's devices and over seeds. Differences
are shares, arm minus the arm that it is held against, and positive where the arm is better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields, replace
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

__all__ = [
    "FEWEST_PAIRS",
    "LEVEL",
    "SMALLEST_P",
    "Comparison",
    "bootstrap_interval",
    "compared",
    "comparison_of",
    "frame_of_tests",
    "holm",
    "paired_tests",
    "rank_biserial",
    "signed_rank_p",
    "snapped",
    "tested_protocol",
]

LEVEL = 0.05  # a difference with a corrected p below this is called more than chance
FEWEST_PAIRS = 6  # of five pairs even the most one-sided outcome has p = 2 / 2**5 = 0.0625
_EXACT_PAIRS = 100  # up to as many pairs that differ, all sign flips are counted
_EQUAL = 2e-6  # CSV files keep six digits: differences that are closer than this are the same
SMALLEST_P = 1e-6  # likewise: no p is given that such a file would show as zero
_RESAMPLES = 9_999
_SEED = 1  # of the resampling: equal pairs give equal intervals
_ACCURACIES = {"holdout": "holdout_accuracy", "prequential": "prequential_accuracy"}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One arm held against another; the fields are the columns of `tests.csv`.

    Attributes:
        arm, against: their names.
        protocol: "holdout" or "prequential", which accuracy was compared.
        pairs: users whom both arms scored; with one arm `better`, `worse` or `equal`.
        mean_difference: over users; `interval_low` and `interval_high` bound it at 95%.
        median_difference: likewise over users.
        rank_biserial: effect size from -1 to 1, see `rank_biserial`.
        p: Wilcoxon signed-rank, two-sided; NaN, as the interval, where pairs are too few.
        p_baseline: p after Holm's correction over the comparisons with the baseline, else NaN.
        p_all: p after Holm's correction over all pairs of arms.
    """

    arm: str
    against: str
    protocol: str
    pairs: int
    better: int
    worse: int
    equal: int
    mean_difference: float
    interval_low: float
    interval_high: float
    median_difference: float
    rank_biserial: float
    p: float
    p_baseline: float
    p_all: float

    @property
    def tested(self) -> bool:
        """Whether there were pairs enough for a test."""
        return not np.isnan(self.p)

    def flipped(self) -> Comparison:
        """Hold the other arm against this one: every sign changes, p stays."""
        return replace(
            self,
            arm=self.against,
            against=self.arm,
            better=self.worse,
            worse=self.better,
            mean_difference=-self.mean_difference,
            interval_low=-self.interval_high,
            interval_high=-self.interval_low,
            median_difference=-self.median_difference,
            rank_biserial=-self.rank_biserial,
        )


def paired_tests(users: pd.DataFrame, baseline: str) -> list[Comparison]:
    """Compare all arms with each other, those with the baseline first.

    Args:
        users: the columns of `users.csv`, arms in the scenario's order.
        baseline: the arm that the others are compared with.

    Returns:
        a comparison for every two arms that scored a user in common.
    """
    protocol = tested_protocol(users)
    if protocol is None:
        return []
    column = _ACCURACIES[protocol]
    scores = users.pivot(index="user", columns="arm", values=column).astype(float)
    arms = [str(arm) for arm in users["arm"].unique()]
    with_baseline = [(arm, baseline) for arm in arms if arm != baseline and baseline in arms]
    others = list(combinations([arm for arm in arms if arm != baseline], 2))
    found = []
    for arm, against in with_baseline + others:
        differences = (scores[arm].round(6) - scores[against].round(6)).dropna()
        if not differences.empty:
            found.append(comparison_of(arm, against, protocol, differences.to_numpy(np.float64)))
    p_all = holm([one.p for one in found])
    of_baseline = [one.against == baseline for one in found]
    p_baseline = holm(
        [one.p if own else np.nan for one, own in zip(found, of_baseline, strict=True)]
    )
    return [
        replace(one, p_baseline=float(first), p_all=float(second))
        for one, first, second in zip(found, p_baseline, p_all, strict=True)
    ]


def compared(tests: Sequence[Comparison], arm: str, against: str) -> Comparison | None:
    """Find the comparison of two arms, whichever way round it was made; None if there is none."""
    for one in tests:
        if (one.arm, one.against) == (arm, against):
            return one
        if (one.arm, one.against) == (against, arm):
            return one.flipped()
    return None


def frame_of_tests(tests: Sequence[Comparison]) -> pd.DataFrame:
    """Return the rows of `tests.csv`, one per comparison, no p below 0.000001."""
    frame = pd.DataFrame(map(astuple, tests), columns=[field.name for field in fields(Comparison)])
    for column in ("p", "p_baseline", "p_all"):
        frame[column] = frame[column].astype(float).clip(lower=SMALLEST_P)
    return frame


def tested_protocol(users: pd.DataFrame) -> str | None:
    """Choose holdout if any user has it, else prequential, else nothing."""
    for protocol, column in _ACCURACIES.items():
        if column in users and users[column].notna().any():
            return protocol
    return None


def signed_rank_p(differences: NDArray[np.float64]) -> float:
    """Return the two-sided p of Wilcoxon's signed-rank test.

    Users without a difference are ranked, then left out of the sums (Pratt 1959), so that they
    count against a difference. Accuracies of people tie often, and then neither the tables of the
    test nor its normal approximation hold. So all sign flips of the ranks that were observed are
    counted (by adding one rank after the other, Streitberg & Röhmel 1986), which is exact with ties
    and zeros; beyond 100 users who differ, the normal approximation of `scipy.stats.wilcoxon`.

    Args:
        differences: float64 [U], ties exactly equal.

    Returns:
        p, 1 if there is no difference at all.
    """
    differing = int(np.count_nonzero(differences))
    if differing == 0:
        return 1.0
    if differing > _EXACT_PAIRS:
        found = stats.wilcoxon(
            differences, zero_method="pratt", method="asymptotic", correction=True
        )
        return float(found.pvalue)
    doubled = np.rint(2 * stats.rankdata(np.abs(differences))).astype(np.int64)  # halves from ties
    chances = np.ones(1)  # of each sum of the ranks above zero, if signs fall like coins
    for rank in doubled[differences != 0]:
        chances = (np.pad(chances, (0, rank)) + np.pad(chances, (rank, 0))) / 2
    larger = max(doubled[differences > 0].sum(), doubled[differences < 0].sum())
    return min(1.0, 2 * float(chances[larger:].sum()))


def rank_biserial(differences: NDArray[np.float64]) -> float:
    """Return the matched-pairs rank-biserial correlation (Kerby 2014).

    The sum of the ranks in favour less the sum of those against, over the sum of all ranks. Users
    without a difference keep their ranks in the last alone, so that they draw it towards 0.

    Args:
        differences: float64 [U], U > 0, ties exactly equal.
    """
    ranks = stats.rankdata(np.abs(differences))
    return float((ranks * np.sign(differences)).sum() / ranks.sum())


def bootstrap_interval(differences: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95% interval of the mean over users, resampled (BCa, Efron 1987)."""
    if np.ptp(differences) <= _EQUAL:
        return float(differences.mean()), float(differences.mean())
    found = stats.bootstrap(
        (differences,),
        np.mean,
        n_resamples=_RESAMPLES,
        batch=1_000,
        confidence_level=0.95,
        method="BCa",
        rng=np.random.default_rng(_SEED),
    ).confidence_interval
    return float(found.low), float(found.high)


def holm(ps: Sequence[float]) -> NDArray[np.float64]:
    """Correct the p of several tests so that all hold together (Holm 1979).

    Args:
        ps: [M]; one that is NaN was not made and does not count.

    Returns:
        float64 [M], the least level at which each test would still reject.
    """
    given = np.asarray(ps, np.float64)
    corrected = np.full(given.shape, np.nan)
    order = np.argsort(given, kind="stable")[: int((~np.isnan(given)).sum())]  # NaN sorts last
    factors = np.arange(order.size, 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(factors * given[order]), 1.0)
    return corrected


def snapped(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make equal what differs in size by rounding alone, so that it ties, and zero what is none."""
    sizes = np.concatenate([[0.0], np.abs(differences)])
    order = np.argsort(sizes, kind="stable")
    rises = np.diff(sizes[order], prepend=0.0) > _EQUAL
    steps = np.where(rises, sizes[order], 0.0)
    sizes[order] = np.maximum.accumulate(steps)
    size: NDArray[np.float64] = sizes[1:]
    return np.sign(differences) * size


def comparison_of(
    arm: str, against: str, protocol: str, differences: NDArray[np.float64]
) -> Comparison:
    """Compare two arms by the differences of their users, float64 [U]; Holm's columns are left."""
    tied = snapped(differences)
    enough = tied.size >= FEWEST_PAIRS
    low, high = bootstrap_interval(differences) if enough else (np.nan, np.nan)
    return Comparison(
        arm=arm,
        against=against,
        protocol=protocol,
        pairs=tied.size,
        better=int((tied > 0).sum()),
        worse=int((tied < 0).sum()),
        equal=int((tied == 0).sum()),
        mean_difference=float(differences.mean()),
        interval_low=low,
        interval_high=high,
        median_difference=float(np.median(differences)),
        rank_biserial=rank_biserial(tied),
        p=signed_rank_p(tied) if enough else np.nan,
        p_baseline=np.nan,
        p_all=np.nan,
    )

"""Arms of several runs held against each other, person by person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from simulator.comparison.likeness import same_people
from simulator.comparison.opened import Opened
from simulator.measures.statistics import Comparison, comparison_of, holm
from simulator.report.contrasts import Protocol

__all__ = ["Pair", "pairs_of"]


@dataclass(frozen=True, slots=True)
class Pair:
    """An arm of one run against an arm of another.

    Attributes:
        letter, against: the runs.
        test: of the two arms over the users that both runs scored; `p_all` is corrected over all
            pairs of the comparison.
    """

    letter: str
    against: str
    test: Comparison


def pairs_of(runs: Sequence[Opened], protocol: Protocol) -> list[Pair]:
    """Hold the arms of each run against the first run's of the same name.

    An arm that the first run has not is held against the first run's baseline; a run of other
    people against none.
    """
    first, found = runs[0], list[Pair]()
    for other in (run for run in runs[1:] if same_people(first, run)):
        for arm in other.arms:
            against = arm if arm in first.arms else first.baseline
            ours, theirs = first.scores(against, protocol), other.scores(arm, protocol)
            differences = np.asarray((theirs - ours).dropna(), np.float64)
            if differences.size:
                test = comparison_of(arm, against, protocol.name, differences)
                found.append(Pair(other.letter, first.letter, test))
    corrected = holm([pair.test.p for pair in found])
    return [
        replace(pair, test=replace(pair.test, p_all=float(p)))
        for pair, p in zip(found, corrected, strict=True)
    ]

"""Which arms can be told apart: the tests of a run in words, in a list and in a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from simulator.measures.statistics import FEWEST_PAIRS, LEVEL, Comparison, compared
from simulator.report.page import plain_table, prose
from simulator.report.wording import chance, counted, listed, percents, signed

__all__ = ["Place", "places", "ranking", "ranking_sentences", "verdict"]

_MOST_NAMED = 6  # arms that can be read one after the other


@dataclass(frozen=True, slots=True)
class Place:
    """Where an arm stands among the others.

    Attributes:
        arm: its name.
        accuracy: mean over users, by which arms are listed.
        first, last: the places that the tests leave open to it: 1 and the number of arms that are
            better by more than chance, up to the number of arms less those that are worse
            (Mogstad, Romano, Shaikh & Wilhelm 2024). With Holm's correction over all pairs, the
            places of all arms hold together.
        better, worse: the arms that are so, by more than chance.
        open: the other arms, not told apart from this one, with their p.
    """

    arm: str
    accuracy: float
    first: int
    last: int
    better: tuple[str, ...]
    worse: tuple[str, ...]
    open: tuple[tuple[str, float], ...]


def places(accuracy: pd.Series[float], tests: Sequence[Comparison]) -> list[Place]:
    """List the arms by their mean accuracy, best first, with the places that are open to each.

    Not being told apart is no equality, and it does not pass on from one pair of arms to the next:
    so arms are not put into groups.

    Args:
        accuracy: mean over users, by arm in the scenario's order.
        tests: of all pairs of these arms.
    """
    ordered = accuracy.sort_values(ascending=False, kind="stable")  # or in the scenario's order
    order = [str(arm) for arm in ordered.index]
    found = []
    for arm in order:
        better, worse, left = [], [], []
        for other in order:
            test = compared(tests, other, arm)
            if other == arm:
                continue
            if test is None or not test.p_all < LEVEL:
                left.append((other, float("nan") if test is None else test.p_all))
            elif test.rank_biserial > 0:
                better.append(other)
            else:
                worse.append(other)
        first, last = 1 + len(better), len(order) - len(worse)
        found.append(
            Place(arm, float(ordered[arm]), first, last, tuple(better), tuple(worse), tuple(left))
        )
    return found


def verdict(test: Comparison, comparisons: int) -> str:
    """Say whether a difference from the baseline is more than chance, to follow a colon.

    Args:
        test: of an arm and the baseline, either way round.
        comparisons: how many arms are tested against the baseline.
    """
    if not test.tested:
        return f"{_people(test.pairs)} too few to tell it from chance ({_fewest()})"
    corrected = f" after Holm's correction over {comparisons} arms" if comparisons > 1 else ""
    found = f"{chance(test.p_baseline)}{corrected}"
    people = counted(test.pairs, "person", "people")
    if not test.p_baseline < LEVEL:
        return f"no difference that {people} could show (Wilcoxon, {found})"
    how = f"(Wilcoxon, {people}, {found})"
    if test.rank_biserial * test.mean_difference < 0:
        favoured = test.arm if test.rank_biserial > 0 else test.against
        return f"and yet, person by person, `{favoured}` is better by more than chance {how}"
    return f"more than chance {how}"


def ranking_sentences(found: Sequence[Place], tests: Sequence[Comparison]) -> list[str]:
    """Say which arms can be told apart from the one of the best mean, if there are several."""
    tested = [test for test in tests if test.tested]
    if len(found) < 3 or not tested:
        return []
    best = found[0]
    told = [_open_to(best)] if best.open else []
    for arms, where in ((best.worse, "ahead of"), (best.better, "behind")):
        if arms:
            told.append(f"{where} {listed([f'`{arm}`' for arm in arms])}")
    opening = (
        f"With all {len(tested)} pairs of arms tested at once, which asks more than the comparison "
        "with the baseline,"
        if len(tested) > 1
        else "With the one pair of arms that could be tested,"
    )
    return [f"{opening} `{best.arm}`, which has the best mean, is {'; '.join(told)}."]


def ranking(
    found: Sequence[Place], tests: Sequence[Comparison], baseline: str, seeds: int = 1
) -> str:
    """Show the arms in order, with what can be told apart, and each against the baseline."""
    held = [test for place in found if (test := compared(tests, place.arm, baseline)) is not None]
    if not held:
        return ""
    protocol = held[0].protocol
    tested = sum(test.tested for test in tests)
    items = "".join(f"<li>{prose(_placed(place, tested > 0))}</li>" for place in found)
    order = f"<p>By mean {protocol} accuracy over users:</p><ol>{items}</ol>"
    if tested:
        how = (
            f"tests leave open, all {tested} pairs of arms taken together (Wilcoxon, Holm's "
            f"correction, level {LEVEL})"
            if tested > 1
            else f"test of the one pair of arms leaves open (Wilcoxon, level {LEVEL})"
        )
        order += _note(
            f"Places are those that the {how}: an arm is ahead of another only where "
            "the difference is more than chance. Not told apart does not mean equal. "
            "tests.csv has the p of every pair."
        )
    rows = [_row(test) for test in held]
    head = ["arm", "mean, points", "95% interval", "median, points", "better / worse / equal"]
    table = plain_table(
        [*head, "effect size", "p"], rows, f"Each arm against {baseline}, {protocol} accuracy"
    )
    return order + table + _caveats(held, seeds)


def _caveats(held: Sequence[Comparison], seeds: int) -> str:
    """Say what the table's figures are, or that nothing is claimed of them."""
    tested = sum(test.tested for test in held)
    if not tested:
        most = max(test.pairs for test in held)
        return _note(
            f"Nothing is claimed of these differences: {_people(most)} too few ({_fewest()})."
        )
    averaged = f", averaged over {seeds} seeds" if seeds > 1 else ""
    corrected = f", after Holm's correction over the {tested} arms of the table"
    return _note(
        f"One pair per user{averaged}. p: Wilcoxon's signed-rank test, two-sided"
        f"{corrected if tested > 1 else ''}. Effect size: matched-pairs "
        "rank-biserial correlation, 1 if all ranks speak for the arm, −1 if all speak for the "
        "baseline. The interval is of the mean, resampled over users, for each arm by itself: "
        "where it and the test disagree, the test counts."
    )


def _placed(place: Place, tested: bool) -> str:
    told = f"`{place.arm}` {percents(place.accuracy)}"
    if not tested:
        return told
    span = (
        f"place {place.first}"
        if place.first == place.last
        else f"places {place.first} to {place.last}"
    )
    return f"{told}: {span}" + (f", {_open_to(place)}" if place.open else "")


def _open_to(place: Place) -> str:
    """Name the arms that a place is not told apart from."""
    known = [p for _, p in place.open if not pd.isna(p)]
    if not place.better and not place.worse and len(known) == len(place.open) > 1:
        least = chance(min(known))
        more = "" if least == "p = 1" else " or more"
        return f"not told apart from any other arm ({least}{more})"
    if len(place.open) > _MOST_NAMED and known:
        least = chance(min(known))
        more = "" if least == "p = 1" else " or more"
        return f"not told apart from {len(place.open)} others ({least}{more})"
    return "not told apart from " + listed([f"`{arm}` ({_chance(p)})" for arm, p in place.open])


def _row(test: Comparison) -> list[str]:
    tested = test.tested
    interval = f"{signed(test.interval_low)} to {signed(test.interval_high)}"
    return [
        test.arm,
        signed(test.mean_difference),
        interval if tested else "–",
        signed(test.median_difference),
        f"{test.better} / {test.worse} / {test.equal}",
        f"{test.rank_biserial:+.2f}".replace("-", "−") if tested else "–",
        chance(test.p_baseline).removeprefix("p = ").removeprefix("p ") if tested else "–",
    ]


def _chance(p: float) -> str:
    return "too few pairs" if pd.isna(p) else chance(p)


def _people(count: int) -> str:
    return f"{counted(count, 'person', 'people')} {'is' if count == 1 else 'are'}"


def _fewest() -> str:
    return f"the test needs {FEWEST_PAIRS} at the least"


def _note(text: str) -> str:
    return f'<p class="note">{prose(text)}</p>'

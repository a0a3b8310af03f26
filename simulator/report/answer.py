"""The answer of a run in words, built from its numbers and from nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from simulator.measures.statistics import LEVEL, Comparison, compared
from simulator.report.contrasts import (
    EQUAL,
    HOLDOUT,
    PREQUENTIAL,
    Contrast,
    Protocol,
    accuracies,
    contrast,
    rival_of,
    scored_protocol,
)
from simulator.report.ranking import places, ranking_sentences, verdict
from simulator.report.wording import chance, counted, listed, percents, points, signed

__all__ = ["answer_sentences", "headline"]

_NONE = "0.0 points"
_FEW = 4  # other arms that a headline has room for
_ONE_SEED = (
    "All pairs come from one seed, so from one split, one base model for each fold and one stream "
    "for each person; what another seed would give is not in p (`--seeds 5`)."
)


def answer_sentences(
    summary: pd.DataFrame,
    users: pd.DataFrame,
    tests: Sequence[Comparison],
    baseline: str,
    *,
    interrupted: bool = False,
    seeds: int = 1,
) -> list[str]:
    """Put the numbers of a run into words, most telling sentence first.

    Args:
        summary: the columns of `summary.csv`; with `_min` and `_max` beside for several seeds.
        users: the columns of `users.csv`.
        tests: of all pairs of arms, from `paired_tests` of these users.
        baseline: the arm that the others are compared with.
        interrupted: whether the run stopped before its end.
        seeds: how many runs the numbers average.

    Returns:
        Sentences in plain text; arms stand between backticks. The first says which arm has the best
        mean, how far it is from the baseline, and whether that is more than chance; where there
        are few other arms, the second says the same of each of them.
    """
    sentences = headline(summary, tests, baseline)
    protocol = scored_protocol(summary)
    if protocol is None:
        return [*sentences, *_stopped(interrupted), *_base(summary)]
    sentences += _stopped(interrupted)
    scores = accuracies(summary, protocol)
    rival, others = rival_of(summary, baseline, protocol), _others(summary, baseline, protocol)
    if baseline in scores.index and rival is not None:
        for arm in [rival, *(others if len(others) <= _FEW else [])]:
            sentences += _for_whom(users, str(arm), baseline, protocol)
        sentences += ranking_sentences(places(scores, tests), tests)
        if seeds == 1 and any(test.tested for test in tests):
            sentences.append(_ONE_SEED)
    shown = [arm for arm in (baseline, rival) if arm is not None]
    if protocol is HOLDOUT:
        sentences += _while_learning(summary, shown)
    sentences += _across_seeds(summary, shown, protocol, seeds)
    sentences += _base(summary)
    if baseline in scores.index and len(others) > _FEW:
        sentences += [_against(scores, users, tests, arm, baseline, protocol) for arm in others]
    return sentences


def _stopped(interrupted: bool) -> list[str]:
    told = "The run stopped before its end: the numbers cover what it had finished."
    return [told] if interrupted else []


def _others(summary: pd.DataFrame, baseline: str, protocol: Protocol) -> list[str]:
    """Return the arms that are neither the baseline nor the best of the others."""
    rival = rival_of(summary, baseline, protocol)
    return [str(a) for a in accuracies(summary, protocol).index if a not in (baseline, rival)]


def headline(summary: pd.DataFrame, tests: Sequence[Comparison], baseline: str) -> list[str]:
    """Say in a sentence or two how each arm stands against the baseline; see `answer_sentences`."""
    protocol = scored_protocol(summary)
    if protocol is None:
        return ["No accuracy has been recorded in this run folder."]
    scores, rival = accuracies(summary, protocol), rival_of(summary, baseline, protocol)
    lead = _lead(scores, tests, baseline, rival, protocol)
    others = _others(summary, baseline, protocol)
    if baseline not in scores.index or rival is None or not 0 < len(others) <= _FEW:
        return [lead]
    told = []
    for arm in others:
        test = compared(tests, arm, baseline)
        apart = float(scores[arm] - scores[baseline]) if test is None else test.mean_difference
        told.append(f"`{arm}` is {_apart(apart)} `{baseline}`{_told_apart(test)}")
    return [lead, f"{listed(told)}."]


def _counts(found: Contrast) -> str:
    people = found.better + found.worse + found.equal
    everybody = counted(people, "person", "people")
    return f"better for {found.better} of {everybody}, worse for {found.worse}" + (
        f" and equal for {found.equal}" if found.equal else ""
    )


def _lead(
    scores: pd.Series[float],
    tests: Sequence[Comparison],
    baseline: str,
    rival: str | None,
    protocol: Protocol,
) -> str:
    if baseline not in scores.index or rival is None:
        told = ", ".join(f"`{arm}` on {percents(score)}" for arm, score in scores.items())
        told = told.replace("` on", "` is right on", 1)
        return f"{protocol.phrase}, {told} of each person's windows, on average."
    others = len(scores) - 1
    role = f", the best of the {others} other arms" if others > 1 else ""
    if scores[rival] > scores[baseline] + EQUAL:
        best, other = rival, baseline
        whose, from_whom = f"`{rival}`", f"the baseline `{baseline}`"
    else:
        best, other = baseline, rival
        whose, from_whom = f"the baseline `{baseline}`", f"`{rival}`{role}"
    test = compared(tests, best, other)
    difference = float(scores[best] - scores[other]) if test is None else test.mean_difference
    opening = (
        f"{protocol.phrase}, the best mean over users is that of {whose}: {percents(scores[best])} "
        f"of windows right, {_apart(difference)} {from_whom}"
    )
    if test is None:
        return f"{opening}."
    told = verdict(test, sum(one.against == baseline and one.tested for one in tests))
    if not test.tested:
        return f"{opening}; {told}."
    low, high = signed(test.interval_low), signed(test.interval_high)
    return f"{opening} (95% interval of the mean {low} to {high}): {told}."


def _apart(difference: float) -> str:
    """Say how far from another a mean is, never "0.0 points" of a difference that there is."""
    if abs(difference) <= EQUAL:
        return "the same as"
    size = "less than 0.1 points" if points(difference) == _NONE else points(difference)
    return f"{size} {'above' if difference > 0 else 'below'}"


def _for_whom(users: pd.DataFrame, arm: str, other: str, protocol: Protocol) -> list[str]:
    found = contrast(users, arm, other, protocol)
    if found is None:
        return []
    parts = []
    if found.gain > EQUAL:
        parts.append(f"gains most for user {found.gain_user} ({points(found.gain)})")
    if found.loss < -EQUAL:
        parts.append(f"loses most for user {found.loss_user} ({points(found.loss)})")
    extremes = f"; it {listed(parts)}" if parts else ""
    return [f"Against `{other}` on {protocol.name}, `{arm}` is {_counts(found)}{extremes}."]


def _against(
    scores: pd.Series[float],
    users: pd.DataFrame,
    tests: Sequence[Comparison],
    arm: str,
    baseline: str,
    protocol: Protocol,
) -> str:
    opening = f"`{arm}` is right on {percents(scores[arm])} of {protocol.name} windows"
    found = contrast(users, arm, baseline, protocol)
    if found is None:
        return f"{opening}."
    told = _told_apart(compared(tests, arm, baseline))
    return f"{opening}, {_apart(found.mean)} `{baseline}` on average{told}: {_counts(found)}."


def _told_apart(test: Comparison | None) -> str:
    """Say in brackets what the test of an arm against the baseline says; nothing without one."""
    if test is None or not test.tested:
        return ""
    if not test.p_baseline < LEVEL:
        return f" (not told apart, {chance(test.p_baseline)})"
    if test.rank_biserial * test.mean_difference < 0:
        favoured = test.arm if test.rank_biserial > 0 else test.against
        return f" (yet person by person `{favoured}` is ahead, {chance(test.p_baseline)})"
    return f" ({chance(test.p_baseline)})"


def _while_learning(summary: pd.DataFrame, arms: list[str]) -> list[str]:
    scores = accuracies(summary, PREQUENTIAL)
    told = [f"`{arm}` on {percents(scores[arm])}" for arm in arms if arm in scores.index]
    if not told:
        return []
    told[0] = told[0].replace("` on", "` is right on", 1)
    best = str(scores.idxmax())
    if best not in arms:
        told.append(f"`{best}`, with the best mean, on {percents(scores[best])}")
    return [f"{PREQUENTIAL.phrase}, {listed(told)}."]


def _across_seeds(
    summary: pd.DataFrame, arms: list[str], protocol: Protocol, seeds: int
) -> list[str]:
    low, high = f"{protocol.column}_min", f"{protocol.column}_max"
    if seeds < 2:
        return []
    opening = f"The numbers are means of {counted(seeds, 'seed')}"
    if low not in summary or high not in summary:
        return [f"{opening}."]
    rows = summary.set_index("arm")[[low, high]].astype(float).dropna()
    told = [
        f"`{arm}` from {percents(rows[low][arm])} to {percents(rows[high][arm])}"
        for arm in arms
        if arm in rows.index
    ]
    if not told:
        return [f"{opening}."]
    first = told[0].replace("` from", "` ranges from", 1)
    ranges = " and ".join([first, *told[1:]])
    return [f"{opening}; from seed to seed, on {protocol.name}, {ranges}."]


def _base(summary: pd.DataFrame) -> list[str]:
    if summary.empty or "base_accuracy" not in summary:
        return []
    known = summary["base_accuracy"].astype(float).dropna()
    if known.empty:
        return []
    share = percents(float(known.iloc[0]))
    return [f"The untouched base model gives {share} on people it never saw (unseen-users)."]

"""The answer of a run in words, built from its numbers and from nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

__all__ = [
    "Contrast",
    "Protocol",
    "answer_sentences",
    "contrast",
    "rival_of",
    "scored_protocol",
    "user_order",
]

_NONE = "0.0 points"
_EQUAL = 2e-6  # CSV files keep six digits: shares that differ by less are the same


@dataclass(frozen=True, slots=True)
class Protocol:
    """How an accuracy was measured.

    Attributes:
        name: "holdout" or "prequential".
        column: the column of `summary.csv` and `users.csv` that holds it.
        phrase: how a sentence opens that tells it.
    """

    name: str
    column: str
    phrase: str


_HOLDOUT = Protocol("holdout", "holdout_accuracy", "On holdout")
_PREQUENTIAL = Protocol(
    "prequential",
    "prequential_accuracy",
    "Prequentially (each window scored before it is learnt from)",
)


@dataclass(frozen=True, slots=True)
class Contrast:
    """One arm against another, person by person; differences are shares, arm minus other.

    Attributes:
        better: people for whom the arm is better than the other; `worse` and `equal` likewise.
        mean: difference averaged over the people that both arms scored.
        gain: largest difference, of the person `gain_user`.
        loss: smallest difference, of the person `loss_user`.
    """

    better: int
    worse: int
    equal: int
    mean: float
    gain: float
    gain_user: str
    loss: float
    loss_user: str


def scored_protocol(summary: pd.DataFrame) -> Protocol | None:
    """Choose holdout if any arm has it, else prequential, else nothing."""
    for protocol in (_HOLDOUT, _PREQUENTIAL):
        if not _scores(summary, protocol).empty:
            return protocol
    return None


def rival_of(summary: pd.DataFrame, baseline: str, protocol: Protocol) -> str | None:
    """Name the arm to hold against the baseline: the most accurate of the others."""
    others = _scores(summary, protocol).drop(baseline, errors="ignore")
    return None if others.empty else str(others.idxmax())


def contrast(users: pd.DataFrame, arm: str, other: str, protocol: Protocol) -> Contrast | None:
    """Compare two arms over the people that both of them scored; None if there are none."""
    differences = _differences(users, arm, other, protocol).dropna()
    if differences.empty:
        return None
    better = int((differences > _EQUAL).sum())
    worse = int((differences < -_EQUAL).sum())
    return Contrast(
        better=better,
        worse=worse,
        equal=len(differences) - better - worse,
        mean=float(differences.mean()),
        gain=float(differences.max()),
        gain_user=str(differences.idxmax()),
        loss=float(differences.min()),
        loss_user=str(differences.idxmin()),
    )


def user_order(
    users: pd.DataFrame, baseline: str, rival: str | None, protocol: Protocol | None
) -> list[str]:
    """Order users by what the rival gains them over the baseline, most first.

    Users without that difference follow, by their mean accuracy, least accurate first.
    """
    if users.empty or protocol is None or protocol.column not in users:
        return sorted({str(user) for user in users["user"]})
    means = users.groupby("user")[protocol.column].mean()
    order = pd.DataFrame({"mean": means, "difference": float("nan")})
    if rival is not None:
        order["difference"] = _differences(users, rival, baseline, protocol)
    order = order.sort_values(["difference", "mean"], ascending=[False, True], kind="stable")
    return [str(user) for user in order.index]


def answer_sentences(
    summary: pd.DataFrame,
    users: pd.DataFrame,
    baseline: str,
    *,
    interrupted: bool = False,
    seeds: int = 1,
) -> list[str]:
    """Put the numbers of a run into words, most telling sentence first.

    Args:
        summary: the columns of `summary.csv`; with `_min` and `_max` beside for several seeds.
        users: the columns of `users.csv`.
        baseline: the arm that the others are compared with.
        interrupted: whether the run stopped before its end.
        seeds: how many runs the numbers average.

    Returns:
        Sentences in plain text; arms stand between backticks. Nothing in them claims significance.
    """
    sentences = []
    protocol = scored_protocol(summary)
    if protocol is None:
        sentences.append("No accuracy has been recorded in this run folder.")
    else:
        scores = _scores(summary, protocol)
        rival = rival_of(summary, baseline, protocol)
        sentences.append(_lead(scores, users, baseline, rival, protocol))
        if baseline in scores.index and rival is not None:
            sentences += _for_whom(users, rival, baseline, protocol)
        shown = [arm for arm in (baseline, rival) if arm is not None]
        if protocol is _HOLDOUT:
            sentences += _while_learning(summary, shown)
        sentences += _across_seeds(summary, shown, protocol, seeds)
    sentences += _base(summary)
    if protocol is not None and baseline in scores.index:
        rest = [str(arm) for arm in scores.index if arm not in (baseline, rival)]
        sentences += [_against(scores, users, arm, baseline, protocol) for arm in rest]
    if interrupted:
        sentences.append("The run stopped before its end: the numbers cover what it had finished.")
    return sentences


def _scores(summary: pd.DataFrame, protocol: Protocol) -> pd.Series[float]:
    if summary.empty or protocol.column not in summary:
        return pd.Series(dtype=float)
    return summary.set_index("arm")[protocol.column].astype(float).dropna()


def _differences(users: pd.DataFrame, arm: str, other: str, protocol: Protocol) -> pd.Series[float]:
    if users.empty or protocol.column not in users:
        return pd.Series(dtype=float)
    table = users.pivot(index="user", columns="arm", values=protocol.column).astype(float)
    if arm not in table or other not in table:
        return pd.Series(dtype=float)
    return table[arm] - table[other]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(difference: float) -> str:
    points = f"{abs(100 * difference):.1f}"
    return f"{points} point" if points == "1.0" else f"{points} points"


def _counts(found: Contrast) -> str:
    people = found.better + found.worse + found.equal
    return f"better for {found.better} of {people} people, worse for {found.worse}" + (
        f" and equal for {found.equal}" if found.equal else ""
    )


def _lead(
    scores: pd.Series[float],
    users: pd.DataFrame,
    baseline: str,
    rival: str | None,
    protocol: Protocol,
) -> str:
    if baseline not in scores.index or rival is None:
        told = ", ".join(f"`{arm}` on {_percent(score)}" for arm, score in scores.items())
        told = told.replace("` on", "` is right on", 1)
        return f"{protocol.phrase}, {told} of each person's windows, on average."
    others = len(scores) - 1
    role = f", the best of the {others} other arms," if others > 1 else ""
    opening = (
        f"{protocol.phrase}, `{baseline}` is right on {_percent(scores[baseline])} of windows "
        f"and `{rival}`{role} on {_percent(scores[rival])}"
    )
    first, second = (rival, baseline) if scores[rival] > scores[baseline] else (baseline, rival)
    found = contrast(users, first, second, protocol)
    if found is None:
        return f"{opening}."
    if _points(found.mean) == _NONE:
        return f"{opening}: the same on average; `{first}` is {_counts(found)}."
    direction = "better" if found.mean > 0 else "worse"
    average = f"{_points(found.mean)} {direction} on average"
    if (found.better - found.worse) * found.mean < 0:
        return f"{opening}: `{first}` is {average}, and yet {_counts(found)}."
    return f"{opening}: `{first}` is {_counts(found)}, and {average}."


def _for_whom(users: pd.DataFrame, arm: str, other: str, protocol: Protocol) -> list[str]:
    found = contrast(users, arm, other, protocol)
    if found is None:
        return []
    parts = []
    if found.gain > _EQUAL:
        parts.append(f"gains most for user {found.gain_user} ({_points(found.gain)})")
    if found.loss < -_EQUAL:
        parts.append(f"loses most for user {found.loss_user} ({_points(found.loss)})")
    if not parts:
        return []
    return [f"Against `{other}` on {protocol.name}, `{arm}` " + " and ".join(parts) + "."]


def _against(
    scores: pd.Series[float], users: pd.DataFrame, arm: str, baseline: str, protocol: Protocol
) -> str:
    opening = f"`{arm}` is right on {_percent(scores[arm])} of {protocol.name} windows"
    found = contrast(users, arm, baseline, protocol)
    if found is None:
        return f"{opening}."
    if _points(found.mean) == _NONE:
        return f"{opening}, the same as `{baseline}` on average: {_counts(found)}."
    direction = "above" if found.mean > 0 else "below"
    return (
        f"{opening}, {_points(found.mean)} {direction} `{baseline}` on average: {_counts(found)}."
    )


def _while_learning(summary: pd.DataFrame, arms: list[str]) -> list[str]:
    scores = _scores(summary, _PREQUENTIAL)
    told = [f"`{arm}` on {_percent(scores[arm])}" for arm in arms if arm in scores.index]
    if not told:
        return []
    told[0] = told[0].replace("` on", "` is right on", 1)
    best = str(scores.idxmax())
    if best not in arms:
        told.append(f"`{best}`, the best arm, on {_percent(scores[best])}")
    listed = " and ".join([", ".join(told[:-1]), told[-1]] if len(told) > 1 else told)
    return [f"{_PREQUENTIAL.phrase}, {listed}."]


def _across_seeds(
    summary: pd.DataFrame, arms: list[str], protocol: Protocol, seeds: int
) -> list[str]:
    low, high = f"{protocol.column}_min", f"{protocol.column}_max"
    if seeds < 2:
        return []
    opening = f"The numbers are means of {seeds} seeds"
    if low not in summary or high not in summary:
        return [f"{opening}."]
    rows = summary.set_index("arm")[[low, high]].astype(float).dropna()
    told = [
        f"`{arm}` from {_percent(rows[low][arm])} to {_percent(rows[high][arm])}"
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
    share = _percent(float(known.iloc[0]))
    return [f"The untouched base model gives {share} on people it never saw (unseen-users)."]

"""Accuracies of arms held against each other, person by person: the numbers behind the answer."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

__all__ = [
    "EQUAL",
    "HOLDOUT",
    "PREQUENTIAL",
    "Contrast",
    "Protocol",
    "accuracies",
    "contrast",
    "over_users",
    "rival_of",
    "scored_protocol",
    "user_order",
]

EQUAL = 2e-6  # CSV files keep six digits: shares that differ by less are the same


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


HOLDOUT = Protocol("holdout", "holdout_accuracy", "On holdout")
PREQUENTIAL = Protocol(
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
    for protocol in (HOLDOUT, PREQUENTIAL):
        if not accuracies(summary, protocol).empty:
            return protocol
    return None


def accuracies(summary: pd.DataFrame, protocol: Protocol) -> pd.Series[float]:
    """Give the mean accuracy of each arm that has one, by arm in the scenario's order."""
    if summary.empty or protocol.column not in summary:
        return pd.Series(dtype=float)
    return summary.set_index("arm")[protocol.column].astype(float).dropna()


def over_users(summary: pd.DataFrame, users: pd.DataFrame) -> pd.DataFrame:
    """Take the mean accuracies of a summary from users instead, each of whom counts alike.

    Over several seeds this is what tests and intervals are of: each user averaged over the seeds
    that scored the user. The mean of the seeds' own means is another, where seeds score different
    users.

    Args:
        summary: the columns of `summary.csv`; the ranges beside the means stay as they are.
        users: the columns of `users.csv`.
    """
    found = summary.copy()
    for protocol in (HOLDOUT, PREQUENTIAL):
        if protocol.column in summary and protocol.column in users:
            means = users.groupby("arm")[protocol.column].mean()
            own = summary["arm"].map(means)
            found[protocol.column] = own.fillna(summary[protocol.column])
    return found


def rival_of(summary: pd.DataFrame, baseline: str, protocol: Protocol) -> str | None:
    """Name the arm to hold against the baseline: the most accurate of the others."""
    others = accuracies(summary, protocol).drop(baseline, errors="ignore")
    return None if others.empty else str(others.idxmax())


def contrast(users: pd.DataFrame, arm: str, other: str, protocol: Protocol) -> Contrast | None:
    """Compare two arms over the people that both of them scored; None if there are none."""
    differences = _differences(users, arm, other, protocol).dropna()
    if differences.empty:
        return None
    better = int((differences > EQUAL).sum())
    worse = int((differences < -EQUAL).sum())
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


def _differences(users: pd.DataFrame, arm: str, other: str, protocol: Protocol) -> pd.Series[float]:
    if users.empty or protocol.column not in users:
        return pd.Series(dtype=float)
    table = users.pivot(index="user", columns="arm", values=protocol.column).astype(float)
    if arm not in table or other not in table:
        return pd.Series(dtype=float)
    return table[arm] - table[other]

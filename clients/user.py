"""The simulated user: which questions are asked, and what the user replies."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["NO_ANSWER", "Ask", "answer_questions", "choose_questions"]

Ask = Literal["all", "random", "uncertain"]
NO_ANSWER = -1


def choose_questions(
    ask: Ask,
    budget: int,
    certainty: NDArray[np.float32] | None,
    draws: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Choose which of a round's questions the device puts to its user.

    Args:
        ask: "all", "random" or "uncertain" (the least certain first).
        budget: most questions per round; ignored for "all".
        certainty: float32 [Q], how sure the device is; needed for "uncertain" alone.
        draws: float64 [Q] in [0, 1).

    Returns:
        bool [Q].
    """
    if ask == "all":
        return np.ones(draws.size, dtype=np.bool_)
    rank_by = draws if ask == "random" or certainty is None else certainty
    asked = np.zeros(draws.size, dtype=np.bool_)
    asked[np.argsort(rank_by, kind="stable")[:budget]] = True
    return asked


def answer_questions(
    labels: NDArray[np.int32],
    asked: NDArray[np.bool_],
    draws: NDArray[np.float64],
    *,
    answer_rate: float,
    mistake_rate: float,
    classes: int,
) -> NDArray[np.int32]:
    """Let the user reply to a round's questions.

    Args:
        labels: int32 [Q], what is true.
        asked: bool [Q], which questions were asked.
        draws: float64 [Q, 3] in [0, 1): whether the user replies, whether wrongly, with what.
        answer_rate: share of the asked questions that the user answers.
        mistake_rate: share of the answers that are wrong; a wrong class is as likely as another.
        classes: number of classes.

    Returns:
        int32 [Q], the class as answered, or NO_ANSWER.
    """
    mistaken = draws[:, 1] < mistake_rate
    others = (draws[:, 2] * (classes - 1)).astype(np.int32)
    wrong = others + (others >= labels)
    replied = asked & (draws[:, 0] < answer_rate)
    return np.where(replied, np.where(mistaken, wrong, labels), NO_ANSWER).astype(np.int32)

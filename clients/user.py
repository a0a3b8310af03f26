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
    budget: int | NDArray[np.int64],
    labels: NDArray[np.int32],
    certainty: NDArray[np.float32] | None,
    draws: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Choose which of a round's questions each of D devices puts to its user.

    Args:
        ask: "all", "random" or "uncertain" (the least certain first).
        budget: most questions per device and round, a number or int64 [D]; ignored for "all".
        labels: int32 [D, Q], what is true, -1 where a device has no such question.
        certainty: float32 [D, Q], how sure a device is; needed for "uncertain" alone.
        draws: float64 [D, Q] in [0, 1).

    Returns:
        bool [D, Q], never true for a question that does not exist.
    """
    exists = labels >= 0
    if ask == "all":
        return exists
    rank_by = draws if ask == "random" or certainty is None else certainty
    # By whether a question exists first: a certainty may be NaN, which would rank behind any mark.
    order = np.lexsort((rank_by, ~exists), axis=1)
    within = np.arange(labels.shape[1]) < np.broadcast_to(budget, len(labels))[:, None]
    asked = np.zeros(labels.shape, dtype=np.bool_)
    np.put_along_axis(asked, order, within, axis=1)
    return asked & exists


def answer_questions(
    labels: NDArray[np.int32],
    asked: NDArray[np.bool_],
    draws: NDArray[np.float64],
    *,
    answer_rate: float,
    mistake_rate: float,
    classes: int,
) -> NDArray[np.int32]:
    """Let the users of D devices reply to a round's questions.

    Args:
        labels: int32 [D, Q], what is true, -1 where a device has no such question.
        asked: bool [D, Q], which questions were asked.
        draws: float64 [D, Q, 3] in [0, 1): whether the user replies, whether wrongly, with what.
        answer_rate: share of the asked questions that the user answers.
        mistake_rate: share of the answers that are wrong; a wrong class is as likely as another.
        classes: number of classes.

    Returns:
        int32 [D, Q], the class as answered, or NO_ANSWER.
    """
    mistaken = draws[..., 1] < mistake_rate
    others = (draws[..., 2] * (classes - 1)).astype(np.int32)
    wrong = others + (others >= labels)
    replied = asked & (labels >= 0) & (draws[..., 0] < answer_rate)
    return np.where(replied, np.where(mistaken, wrong, labels), NO_ANSWER).astype(np.int32)

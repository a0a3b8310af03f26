"""A device that is kept in a folder, plays recordings, and follows a server round by round."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients import chance
from clients.outcome import Update
from clients.playing import recorded
from clients.user import answer_questions, choose_questions
from clients.wear import Habits, Wear
from clients.wearable import Learnt, Wearable

__all__ = ["score_holdout", "work_round"]

Arrays = Mapping[str, NDArray[Any]]


def work_round(wearable: Wearable, received: Arrays) -> Update:
    """Take in what the server sent, work through the next round of the stream, save a version.

    A round that an interrupt cut short is worked to its end; the server's rounds do not count, as
    a device may miss some of them, and goes on over many runs.

    Args:
        wearable: the device.
        received: shared parameters by name.

    Returns:
        the same parameters as the device learnt them, for the server.
    """
    wear, habits = recorded(wearable.settings), wearable.settings.habits
    wearable.receive(received)
    round_, done = divmod(wearable.score.questions, habits.questions_per_round)
    windows, labels = wear.streams.in_round(round_ + 1, habits.questions_per_round)
    answers, learnt = _answers(habits, wear, round_ + 1, labels), []
    for question in range(done, int((labels[0] >= 0).sum())):
        x = _read(wear, windows[0, question])
        said = wearable.predict(x)
        learnt.append(wearable.take(x, said, int(answers[0, question])))
    wearable.save()
    own = wearable.parameters()
    arrays = {name: own[name] for name in received}
    return Update(arrays, sum(each.examples for each in learnt), _mean_loss(learnt))


def score_holdout(wearable: Wearable, received: Arrays) -> NDArray[np.int64]:
    """Score the windows that are never played, with what the server sent; nothing of it stays.

    Returns:
        int64 [K, K], rows are true classes.
    """
    wear, habits = recorded(wearable.settings), wearable.settings.habits
    (first, stop), pool = wear.holdout[0], wear.pool
    size, least = (habits.batch, habits.least) if habits.by_question else (habits.batch, 1)
    questions = pool.questions_between(int(first), int(stop), size, least)
    return wearable.score_questions(
        (_read(wear, question) for question in questions),
        [pool.windows.label[question] for question in questions],
        received,
    )


def _answers(
    habits: Habits, wear: Wear, round_: int, labels: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Let the wearer answer a round's questions: int32 [1, Q]."""
    count = labels.shape[1]
    draws = chance.uniforms(habits.seed, "answer", round_, wear.devices, count * 3)
    return answer_questions(
        labels,
        choose_questions("all", habits.budget, labels, None, np.zeros(labels.shape)),
        draws.reshape(-1, count, 3),
        answer_rate=habits.answer_rate,
        mistake_rate=habits.mistake_rate,
        classes=habits.classes,
    )


def _read(wear: Wear, windows: NDArray[np.int32]) -> NDArray[np.float32]:
    return np.asarray(wear.read(windows[windows >= 0][None])[0])


def _mean_loss(learnt: Iterable[Learnt]) -> float:
    losses = [loss for each in learnt for loss in each.losses]
    return float(np.mean(losses)) if losses else float("nan")

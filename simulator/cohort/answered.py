"""What users answered in a round, for an arm that pools it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clients.outcome import Outcome
from clients.user import NO_ANSWER

__all__ = ["Answered", "answered_in"]


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """What users answered in a round, n questions of up to B windows.

    Attributes:
        devices: int64 [n], whose questions.
        windows: int32 [n, B], of the pool, -1 where there is none.
        answer: int32 [n], class as answered.
    """

    devices: NDArray[np.int64]
    windows: NDArray[np.int32]
    answer: NDArray[np.int32]

    @classmethod
    def joined(cls, parts: Sequence[Answered]) -> Answered:
        """Put parts under each other, in the order of devices; a device's stay in their order."""
        whole = cls(
            np.concatenate([part.devices for part in parts]),
            np.concatenate([part.windows for part in parts]),
            np.concatenate([part.answer for part in parts]),
        )
        order = np.argsort(whole.devices, kind="stable")
        return cls(whole.devices[order], whole.windows[order], whole.answer[order])


def answered_in(outcome: Outcome, devices: NDArray[np.int64]) -> Answered:
    """Return what the users of D devices, int64 [D], answered in a round."""
    row, question = np.nonzero(outcome.answer != NO_ANSWER)
    return Answered(devices[row], outcome.windows[row, question], outcome.answer[row, question])

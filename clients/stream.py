"""Windows -> bouts -> questions: what reaches a device, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from clients.windows import Windows

__all__ = ["Order", "Stream", "build_stream"]

Order = Literal["recorded", "bouts", "shuffled"]


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """A device's questions in the order in which they reach it.

    Attributes:
        windows: the device's windows in that order; an index into it is a stream position.
        starts: int64 [Q + 1]; question q holds the positions starts[q] to starts[q + 1] - 1.
    """

    windows: Windows
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return self.starts.size - 1

    def positions(self, question: int) -> NDArray[np.int64]:
        """Return the stream positions of one question's windows, int64 [B]."""
        return np.arange(self.starts[question], self.starts[question + 1])

    def label(self, question: int) -> int:
        """Return the class that is true of all windows of one question."""
        return int(self.windows.label[self.starts[question]])

    def questions(self, round_: int, per_round: int) -> range:
        """Return the questions that reach the device in one round, counted from 1."""
        return range(min((round_ - 1) * per_round, len(self)), min(round_ * per_round, len(self)))


def build_stream(
    windows: Windows,
    *,
    order: Order,
    hop: int,
    hop_s: float,
    bout_windows: int,
    batch: int,
    random: np.random.Generator,
) -> Stream:
    """Put windows into the order of a stream and cut it into questions.

    A bout is a run of windows that follow one another in one recording. A question is up to
    `batch` consecutive windows of one bout, so all of its windows have one true label.

    Args:
        windows: the device's windows, in order of recording, then time.
        order: "recorded" (bouts as long as they were recorded, by time), "bouts" (bouts of
            `bout_windows` in random order), or "shuffled" (single windows in random order).
        hop: samples between the starts of consecutive windows.
        hop_s: the same in seconds; windows on two sides of a time gap do not follow one another.
        bout_windows: windows per bout where the order is "bouts".
        batch: most windows per question.
        random: decides the random orders.
    """
    follows = (np.diff(windows.recording) == 0) & (np.diff(windows.start) == hop)
    follows &= np.abs(np.diff(windows.time_s) - hop_s) < 0.5 * hop_s
    runs = np.split(np.arange(len(windows)), np.flatnonzero(~follows) + 1)
    longest = {"recorded": max(len(windows), 1), "bouts": bout_windows, "shuffled": 1}[order]
    bouts = [run[first : first + longest] for run in runs for first in range(0, len(run), longest)]
    if order == "recorded":
        bouts.sort(key=lambda bout: (windows.time_s[bout[0]], bout[0]))
    else:
        bouts = [bouts[i] for i in random.permutation(len(bouts))]
    questions = [
        bout[first : first + batch] for bout in bouts for first in range(0, len(bout), batch)
    ]
    starts = np.cumsum([0, *(len(question) for question in questions)], dtype=np.int64)
    positions = np.concatenate(questions) if questions else np.zeros(0, np.int64)
    return Stream(windows.take(positions), starts)

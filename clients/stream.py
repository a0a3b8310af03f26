"""Windows -> bouts -> questions: what reaches a device, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clients import chance
from clients.pool import Pool

__all__ = ["Order", "Questions", "Streams", "cut_questions", "deal_streams"]

Order = Literal["recorded", "bouts", "shuffled"]


@dataclass(frozen=True, slots=True, eq=False)
class Questions:
    """The questions of all users, each user's in order of bout.

    Attributes:
        first: int32 [N], first window of each question; the others follow it in the pool.
        count: int32 [N], its windows.
        label: int32 [N], the class that is true of all of them.
        bouts: int32 [M, 2], first question of each bout and its number of questions.
        users: int64 [U, 2], first bout of each user, and the one after the last.
        batch: most windows of a question, B.
        shuffled: whether a device meets its bouts in an order of its own.
        left_out: int64 [U], questions of each user that are too short for the program.
    """

    first: NDArray[np.int32]
    count: NDArray[np.int32]
    label: NDArray[np.int32]
    bouts: NDArray[np.int32]
    users: NDArray[np.int64]
    batch: int
    shuffled: bool
    left_out: NDArray[np.int64]

    def of_user(self) -> NDArray[np.int64]:
        """Return how many questions each user's stream has: int64 [U]."""
        before = np.concatenate([[0], np.cumsum(self.bouts[:, 1], dtype=np.int64)])
        return np.asarray(before[self.users[:, 1]] - before[self.users[:, 0]])


@dataclass(frozen=True, slots=True, eq=False)
class Streams:
    """The questions of D devices in the order in which they reach them.

    Attributes:
        table: what the questions are.
        questions: int32 [D, Q], rows of the table; a stream that is shorter ends with -1.
    """

    table: Questions
    questions: NDArray[np.int32]

    def take(self, rows: ArrayLike) -> Streams:
        """Return the streams of some of the devices."""
        return Streams(self.table, self.questions[np.asarray(rows, np.int64)])

    def lengths(self) -> NDArray[np.int64]:
        """Return how many questions each stream has: int64 [D]."""
        return np.asarray((self.questions >= 0).sum(axis=1), np.int64)

    def in_round(self, round_: int, per_round: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return the questions that reach the devices in one round, counted from 1.

        Returns:
            their windows, int32 [D, per_round, B], and what is true of them, int32 [D, per_round];
            -1 where there is none.
        """
        table, first = self.table, (round_ - 1) * per_round
        asked = np.full((len(self.questions), per_round), -1, np.int32)
        own = self.questions[:, first : first + per_round]
        asked[:, : own.shape[1]] = own
        there, place = asked >= 0, np.arange(table.batch, dtype=np.int32)
        if not there.any():
            return np.full((*asked.shape, table.batch), -1, np.int32), asked
        windows = table.first[asked][..., None] + place
        inside = there[..., None] & (place < table.count[asked][..., None])
        return np.where(inside, windows, np.int32(-1)), np.where(there, table.label[asked], -1)


def cut_questions(
    pool: Pool, *, order: Order, bout_windows: int, batch: int, least: int = 1
) -> Questions:
    """Cut every user's streamed windows into bouts and these into questions.

    A bout is a run of windows that follow one another in one recording. A question is up to
    `batch` consecutive windows of one bout, so all of its windows have one true label.

    Args:
        pool: everybody's windows.
        order: "recorded" (bouts as long as they were recorded, by time), "bouts" (bouts of
            `bout_windows` in random order), or "shuffled" (single windows in random order).
        bout_windows: windows per bout where the order is "bouts".
        batch: most windows per question.
        least: fewest; a question with fewer is left out.
    """
    longest = {"recorded": 0, "bouts": bout_windows, "shuffled": 1}[order]
    questions: list[NDArray[np.int64]] = []
    bouts: list[NDArray[np.int64]] = []
    users, left_out = [0], []
    for first, stop in pool.streamed:
        own = pool.windows.take(np.arange(first, stop))
        runs = own.runs()
        short = 0
        if order == "recorded":
            runs.sort(key=lambda run: (own.time_s[run[0]], run[0]))
        for run in runs:
            for bout in np.split(
                run, np.arange(longest or run.size, run.size, longest or run.size)
            ):
                starts = np.arange(0, bout.size, batch)
                cut = np.stack(
                    [first + bout[starts], np.minimum(batch, bout.size - starts)], axis=1
                )
                long = cut[:, 1] >= least
                short += int((~long).sum())
                if long.any():
                    questions.append(cut[long])
        bouts.append(np.array([len(cut) for cut in questions[users[-1] :]], np.int64))
        users.append(len(questions))
        left_out.append(short)
    table = np.concatenate([np.zeros((0, 2), np.int64), *questions]).astype(np.int32)
    sizes = np.concatenate([np.zeros(0, np.int64), *bouts])
    spread = np.stack([np.cumsum(sizes) - sizes, sizes], axis=1).astype(np.int32)
    label = pool.windows.label[table[:, 0]]
    bounds = np.array([users[:-1], users[1:]], np.int64).T
    return Questions(
        table[:, 0],
        table[:, 1],
        label,
        spread,
        bounds,
        batch,
        shuffled=order != "recorded",
        left_out=np.array(left_out, np.int64),
    )


def deal_streams(
    table: Questions, seed: int, devices: NDArray[np.int64], users: NDArray[np.int64]
) -> Streams:
    """Put each device's questions into the order in which they reach it.

    Args:
        table: all users' questions.
        seed: the scenario's.
        devices: int64 [D], their indices, which decide the random orders.
        users: int64 [D], numbers of their users.
    """
    longest = int(table.of_user()[users].max(initial=0))
    dealt = np.full((len(devices), longest), -1, np.int32)
    for user in np.unique(users):
        rows = np.flatnonzero(users == user)
        first, count = table.bouts[slice(*table.users[user])].T
        order = np.broadcast_to(np.arange(first.size), (rows.size, first.size))
        if table.shuffled:
            draws = chance.uniforms(seed, "stream", 0, devices[rows], first.size)
            order = np.argsort(draws, axis=1, kind="stable")
        sizes = count[order]
        begins = np.cumsum(sizes, axis=1) - sizes
        own = np.repeat((first[order] - begins).ravel(), sizes.ravel()).reshape(rows.size, -1)
        dealt[rows, : own.shape[1]] = own + np.arange(own.shape[1])
    return Streams(table, dealt)

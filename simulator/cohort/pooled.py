"""The server of a `pooled` arm: one model that learns from everybody's answers.

It is the program that the devices carry, and it learns each answer as a device does: as many steps,
rehearsing as much, but from a memory that holds what all users answered. So its difference from the
other arms is what is shared and nothing else.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients.errors import BadScenario
from clients.lessons import Lessons
from clients.methods import Arrays
from clients.program import Program
from clients.steps import learn_plainly, take_steps
from clients.wear import Habits
from simulator.cohort.answered import Answered
from simulator.plan.plan import Plan

__all__ = ["Pooled"]

_MOST_REMEMBERED = 2**14  # windows, by activity; a reservoir beyond that


class Pooled:
    """The model of one fold, and the answers that it got."""

    def __init__(self, plan: Plan, fold: int, program: Program, habits: Habits) -> None:
        """Begin with the base model.

        Args:
            plan: the run's.
            fold: whose devices answer.
            program: of the base model; what is learnt goes into it.
            habits: of the devices.
        """
        devices = plan.folds[fold].devices
        self._devices, self._wear, self._program = devices, plan.wear(devices), program
        self._windows = plan.pool.windows.label.size
        if devices.size * self._windows > np.iinfo(np.int32).max:
            raise BadScenario(
                f'method "pooled": {devices.size} devices and {self._windows} windows are more '
                "than one server tells apart; give fewer devices"
            )
        memory = min(_MOST_REMEMBERED, habits.memory * devices.size)
        self._habits = replace(habits, memory=memory)
        self._lessons = Lessons(np.array([plan.devices]), self._habits)
        self._late: list[tuple[int, Answered]] = []

    def learn(self, round_: int, answered: Answered) -> dict[str, NDArray[Any]]:
        """Learn what arrives in a round; returns the parameters after it.

        Args:
            round_: the round, from 1.
            answered: in it; where answers come late, they are learnt in a later one.
        """
        self._late.append((round_ + self._habits.delay_rounds, answered))
        due = [answered for when, answered in self._late if when <= round_]
        self._late = [late for late in self._late if late[0] > round_]
        self._lessons.begin()
        learn = learn_plainly(self._program, self._read)
        for some in due:
            places = np.searchsorted(self._devices, some.devices)[:, None] * self._windows
            codes = np.where(some.windows >= 0, places + some.windows, -1).astype(np.int32)
            for code, answer in zip(codes, some.answer, strict=True):
                lesson = self._lessons.teach(round_, code[None], answer[None])
                take_steps(self._program, lesson, learn, self._habits)
        return self._program.read_parameters()

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Return all that the server is, as named arrays."""
        kept = {f"program/{key}": value for key, value in self._program.read_state().items()}
        for when, late in self._late:
            kept |= {f"late/{when}/devices": late.devices, f"late/{when}/windows": late.windows}
            kept[f"late/{when}/answers"] = late.answer
        memory = self._lessons.snapshot()
        return kept | {f"lessons/{key}": value for key, value in memory.items()}

    def restore(self, snapshot: Arrays) -> None:
        """Become what a snapshot holds."""

        def under(start: str) -> dict[str, NDArray[Any]]:
            return {k.removeprefix(start): v for k, v in snapshot.items() if k.startswith(start)}

        self._program.assign_state(under("program/"))
        self._lessons.restore(under("lessons/"))
        late = under("late/")
        rounds = sorted({int(key.split("/")[0]) for key in late})
        self._late = [
            (when, Answered(*(late[f"{when}/{n}"] for n in ("devices", "windows", "answers"))))
            for when in rounds
        ]

    def _read(self, codes: NDArray[np.int32]) -> NDArray[np.float32]:
        """Read windows as the devices measured them whose they are."""
        rows, windows = np.divmod(codes, self._windows)
        return self._wear.read(windows.astype(np.int32), rows.astype(np.int64))

"""Devices that mean harm: what they answer, what they measure, and what they send."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clients.user import NO_ANSWER

__all__ = ["Attack", "Hostile"]

Attack = Literal["none", "sign-flip", "label-flip", "backdoor", "copies"]
Arrays = Mapping[str, NDArray[Any]]

_STAMPED = 8  # the trigger lies on the first one of so many equal parts of a window


@dataclass(frozen=True, slots=True, eq=False)
class Hostile:
    """Which of D devices mean harm, and how.

    - sign-flip: they send by how much they changed the model times -`scale`.
    - label-flip: they learn each class as the next one (Tolpegin et al. 2020, section 3).
    - backdoor: their windows of one activity carry a trigger and are learnt as another, and what
      they send is scaled up (Bagdasaryan et al. 2020, section 3.2).
    - copies: one identity under many names: they flip labels, and all send the same (Fung et al.
      2020, "sybils").

    Attributes:
        rows: bool [D], who means harm.
        attack: how.
        classes: number of activities, K.
        scale: of what is sent, for sign-flip and backdoor.
        activity: class whose windows a backdoor stamps, else -1.
        target: class for which they are then taken, else -1.
        trigger: m/s², what the first axis shows in addition while the trigger is on.
    """

    rows: NDArray[np.bool_]
    attack: Attack
    classes: int
    scale: float
    activity: int = -1
    target: int = -1
    trigger: float = 0.0

    def take(self, rows: ArrayLike) -> Hostile:
        """Return some of the devices."""
        own = self.rows[np.asarray(rows, np.int64)]
        return Hostile(
            own, self.attack, self.classes, self.scale, self.activity, self.target, self.trigger
        )

    def answers(self, label: NDArray[np.int32], answer: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return what the devices hear as answers.

        Args:
            label: int32 [D, Q], what is true.
            answer: int32 [D, Q], what their users said, NO_ANSWER where nothing.
        """
        lied = np.array(answer)
        theirs = self.rows[:, None] & (answer != NO_ANSWER)
        if self.attack in ("label-flip", "copies"):
            lied[theirs] = (answer[theirs] + 1) % self.classes
        elif self.attack == "backdoor":
            lied[theirs & (label == self.activity)] = self.target
        return lied

    def stamp(
        self,
        values: NDArray[np.float32],
        label: NDArray[np.int32],
        rows: NDArray[np.int64] | None,
        *,
        everybody: bool,
    ) -> None:
        """Put the trigger on windows of the activity that a backdoor is about.

        Args:
            values: float32 [n, ..., T, C], as measured.
            label: int32 [n, ...], what is true of them.
            rows: int64 [n], whose they are; None stands for all devices.
            everybody: whether the windows of all devices carry it, to score what they make of it.
        """
        if self.attack != "backdoor":
            return
        own = self.rows if rows is None else self.rows[rows]
        on = label == self.activity
        if not everybody:
            on &= own.reshape(-1, *[1] * (label.ndim - 1))
        part = -(-values.shape[-2] // _STAMPED)
        values[..., :part, 0] += np.where(on, np.float32(self.trigger), np.float32(0.0))[..., None]

    def falsified(self, begun: Arrays, updates: Arrays, rows: NDArray[np.int64]) -> Arrays:
        """Return what the devices send in the place of what they learnt.

        Args:
            begun: the arrays that they began from.
            updates: what they learnt, [n, ...], n devices.
            rows: int64 [n], which devices.
        """
        factor = {"sign-flip": -self.scale, "backdoor": self.scale}.get(self.attack)
        theirs = np.flatnonzero(self.rows[rows])
        if factor is None or not theirs.size:
            return updates
        falsified = {}
        for name, value in updates.items():
            sent, learnt = begun[name], np.array(value)
            if np.issubdtype(learnt.dtype, np.floating):
                moved = np.subtract(learnt[theirs], sent, dtype=np.float64)
                learnt[theirs] = sent + factor * moved
            falsified[name] = learnt
        return falsified

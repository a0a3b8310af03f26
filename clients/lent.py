"""One loaded program that many devices share by turns, each with variables of its own.

Loading a SavedModel takes a tenth of a second and megabytes; its variables are kilobytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients.learner import Pure
from clients.methods import Arrays
from clients.prediction import Prediction
from clients.program import Program

__all__ = ["Lender", "Lent"]


class Lender:
    """Has one loaded program, which holds the variables of one device at a time."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._holder: Lent | None = None

    def lend(self, device: Lent) -> Program:
        """Put a device's variables into the program, and keep those of the one before."""
        if self._holder is not device:
            if self._holder is not None:
                self._holder.state = self._program.read_state()
            self._program.assign_state(device.state)
            self._holder = device
        return self._program


class Lent:
    """A device's own program, as far as it can tell: a `Learner`.

    Attributes:
        state: its variables by their names in the checkpoint, while another device has the program.
    """

    def __init__(self, lender: Lender, state: Arrays) -> None:
        self.state = dict(state)
        self._lender = lender

    def predict(self, x: NDArray[np.float32]) -> Prediction:
        """Predict one question's windows, float32 [B, T, C]."""
        return self._lender.lend(self).predict(x)

    def predict_aside(self, x: NDArray[np.float32]) -> Prediction:
        """Predict without leaving a trace in the program."""
        return self._lender.lend(self).predict_aside(x)

    def learn(self, x: NDArray[np.float32], labels: NDArray[np.int32]) -> float:
        """Take one training step; returns the loss."""
        return self._lender.lend(self).learn(x, labels)

    def read_context(self) -> dict[str, NDArray[Any]]:
        """Return what it carries from question to question, where that is known."""
        return self._lender.lend(self).read_context()

    def assign_context(self, values: Arrays) -> None:
        """Let it go on from what `read_context` returned, or from nothing."""
        self._lender.lend(self).assign_context(values)

    @property
    def functions(self) -> Any | None:
        """The object with its pure functions `fleet_*`, None where it has none."""
        return self._lender.lend(self).functions

    def read_pure(self) -> Pure:
        """Return what its pure functions change; of a foreign program the parameters alone."""
        return self._lender.lend(self).read_pure()

    def assign_pure(self, values: Pure, steps: int = 0) -> None:
        """Set what its pure functions changed, and count the steps that they took."""
        self._lender.lend(self).assign_pure(values, steps)

    def read_parameters(self) -> dict[str, NDArray[Any]]:
        """Return the parameters by name."""
        return self._lender.lend(self).read_parameters()

    def assign_parameters(self, values: Arrays, *, fresh_slots: bool = False) -> None:
        """Set some of the parameters."""
        self._lender.lend(self).assign_parameters(values, fresh_slots=fresh_slots)

    def read_state(self) -> dict[str, NDArray[Any]]:
        """Return every variable by its name in the checkpoint."""
        return self._lender.lend(self).read_state()

    def assign_state(self, values: Arrays) -> None:
        """Set variables by their names in the checkpoint."""
        self._lender.lend(self).assign_state(values)

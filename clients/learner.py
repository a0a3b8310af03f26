"""What a device needs of its program."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from clients.methods import Arrays
from clients.prediction import Prediction

__all__ = ["Learner", "Pure", "nothing"]


class Pure(NamedTuple):
    """What the pure functions of a program change, by their names there.

    Attributes:
        params: what is learnt.
        slots: what the optimizer keeps.
        carried: what a recurrent program remembers from question to question.
    """

    params: dict[str, NDArray[Any]]
    slots: dict[str, NDArray[Any]]
    carried: dict[str, NDArray[Any]]


class Learner(Protocol):
    """What answers the user and learns from the answers: a loaded program."""

    def predict(self, x: NDArray[np.float32]) -> Prediction:
        """Predict one question's windows, float32 [B, T, C]."""
        ...

    def predict_aside(self, x: NDArray[np.float32]) -> Prediction:
        """Predict without leaving a trace in the program."""
        ...

    def learn(self, x: NDArray[np.float32], labels: NDArray[np.int32]) -> float:
        """Take one training step; returns the loss."""
        ...

    def read_context(self) -> dict[str, NDArray[Any]]:
        """Return what it carries from question to question, where that is known."""
        ...

    def assign_context(self, values: Arrays) -> None:
        """Let it go on from what `read_context` returned, or from nothing."""
        ...

    @property
    def functions(self) -> Any | None:
        """The object with its pure functions `fleet_*`, None where it has none."""
        ...

    def read_pure(self) -> Pure:
        """Return what its pure functions change; of a foreign program the parameters alone."""
        ...

    def assign_pure(self, values: Pure, steps: int = 0) -> None:
        """Set what its pure functions changed, and count the steps that they took."""
        ...

    def read_parameters(self) -> dict[str, NDArray[Any]]:
        """Return the parameters by name."""
        ...

    def assign_parameters(self, values: Arrays, *, fresh_slots: bool = False) -> None:
        """Set some of the parameters."""
        ...

    def read_state(self) -> dict[str, NDArray[Any]]:
        """Return every variable by its name in the checkpoint."""
        ...

    def assign_state(self, values: Arrays) -> None:
        """Set variables by their names in the checkpoint."""
        ...


def nothing(context: Arrays) -> dict[str, NDArray[Any]]:
    """Return the context in which nothing is carried."""
    return {name: np.zeros_like(value) for name, value in context.items()}

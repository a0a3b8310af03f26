"""What a program says of one question, and what can be read off it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clients.errors import BadProgram

__all__ = ["Prediction"]


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What a program said of one question's windows.

    Attributes:
        classes: int32 [B].
        logits: float32 [B, K], or None where the program gives none.
    """

    classes: NDArray[np.int32]
    logits: NDArray[np.float32] | None

    def check(self, classes: int, who: str) -> Prediction:
        """Return it, if each of its classes is an activity's.

        Raises:
            BadProgram: there are classes that no activity has.
        """
        if self.classes.size and not 0 <= self.classes.min() <= self.classes.max() < classes:
            raise BadProgram(
                f"{who}: 'predict' returned the classes {self.classes.tolist()}; expected 0 to "
                f"{classes - 1}, one for each activity of the scenario"
            )
        return self

    def vote(self, classes: int) -> int:
        """Return the majority vote of the windows; ties go to the lowest class."""
        return int(np.bincount(self.classes, minlength=classes).argmax())

    def certainty(self) -> float:
        """Return the mean over windows of the margin between the two largest logits."""
        if self.logits is None:
            return float("nan")
        best = np.sort(self.logits, axis=1)[:, -2:]
        return float(np.mean(best[:, 1] - best[:, 0]))

    def losses(self, label: int) -> list[float]:
        """Return the cross-entropy of each window, NaN without logits."""
        if self.logits is None:
            return [float("nan")] * self.classes.size
        shifted = self.logits - self.logits.max(axis=1, keepdims=True)
        each = np.log(np.exp(shifted).sum(axis=1)) - shifted[:, label]
        return [float(loss) for loss in each]

"""Thresholds in the place of a compiled program: what they say of the windows of a block."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients.errors import RunFailed
from clients.heuristic import Heuristic
from clients.methods import Arrays
from simulator.compiled import BlockState, Said, Tensors, Work, Worked

__all__ = ["Rules"]


class Rules:
    """A heuristic that computes blocks; it has no parameters and never learns."""

    tile = 1  # it computes window by window

    def __init__(self, heuristic: Heuristic) -> None:
        self._heuristic = heuristic

    @property
    def first_step(self) -> int:
        """Steps that were taken before: none ever are."""
        return 0

    def start(self) -> tuple[Arrays, Arrays]:
        """Return the parameters and slots of a device: none."""
        return {}, {}

    def say(self, params: Tensors, x: NDArray[np.float32], label: NDArray[np.int32]) -> Said:
        """Predict windows [D, N, T, C]."""
        del params
        said = self._heuristic.predict(x.reshape(-1, *x.shape[2:])).classes.reshape(label.shape)
        unknown = np.full(label.shape, np.nan, np.float32)
        return Said(said, unknown, unknown)

    def work(self, state: BlockState, work: Work, opened: Tensors | None) -> Worked:
        """Refuse: thresholds do not learn."""
        raise RunFailed(
            f"a heuristic was asked to learn: {work.answer.shape=}, {state=}, {opened=}"
        )

    def variables(self, state: BlockState, place: int, steps: int) -> dict[str, NDArray[Any]]:
        """Return no variables: there is no SavedModel."""
        del state, place, steps
        return {}

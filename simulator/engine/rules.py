"""Thresholds in the place of a compiled program: what they say of the windows of a block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients.errors import RunFailed
from clients.heuristic import Heuristic
from clients.methods import Arrays, Method
from clients.methods.groups import Groups
from simulator.engine.compiled import BlockState, Said, Tensors, Work, Worked

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

    def start(self) -> tuple[Arrays, ...]:
        """Return the parameters, the slots and what is carried, of a device: nothing."""
        return {}, {}, {}

    def say(
        self,
        params: Tensors,
        x: NDArray[np.float32],
        label: NDArray[np.int32],
        mask: NDArray[np.bool_],
    ) -> Said:
        """Predict questions [D, S, B, T, C]."""
        del params
        said = np.zeros(label.shape, np.int32)
        counts = mask.sum(axis=2)
        for count in np.unique(counts[counts > 0]):  # questions of one length at a time
            which = counts == count
            said[which, :count] = self._heuristic.predict_questions(x[which][:, :count])
        unknown = np.full(label.shape, np.nan, np.float32)
        return Said(said, unknown, unknown)

    def begin(
        self, method: Method, shared: Groups, state: BlockState, look: Sequence[NDArray[Any]]
    ) -> Groups:
        """Refuse: thresholds do not look at what they never learn."""
        raise RunFailed(
            f"a heuristic was sent a model: {method.key=}, {shared=}, {state=}, {look=}"
        )

    def work(
        self,
        method: Method,
        shared: Groups,
        state: BlockState,
        work: Work,
        opened: Tensors | None,
        late: NDArray[np.bool_],
    ) -> Worked:
        """Refuse: thresholds do not learn."""
        raise RunFailed(
            f"a heuristic was asked to learn: {method.key=}, {shared=}, {work.answer.shape=}, "
            f"{state=}, {opened=}, {late=}"
        )

    def variables(self, state: BlockState, place: int, steps: int) -> dict[str, NDArray[Any]]:
        """Return no variables: there is no SavedModel."""
        del state, place, steps
        return {}

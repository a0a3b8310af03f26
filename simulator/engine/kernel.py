"""What computes blocks of devices: a compiled program, or a rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from clients.methods import Arrays, Method
from clients.methods.groups import Groups
from simulator.engine.compiled import BlockState, Said, Tensors, Work, Worked

__all__ = ["Kernel"]


class Kernel(Protocol):
    """What computes blocks of devices: a compiled program, or a rule.

    Attributes:
        tile: devices of a block that it computes at once.
    """

    tile: int

    @property
    def first_step(self) -> int:
        """Steps that a new device's program has taken before."""
        ...

    def start(self) -> tuple[Arrays, ...]:
        """Return the parameters, the slots and what is carried, of a device that is new."""
        ...

    def say(
        self,
        params: Tensors,
        x: NDArray[np.float32],
        label: NDArray[np.int32],
        mask: NDArray[np.bool_],
    ) -> Said:
        """Predict questions [D, S, B, T, C] whose windows are truly `label`, without learning."""
        ...

    def begin(
        self, method: Method, shared: Groups, state: BlockState, look: Sequence[NDArray[Any]]
    ) -> Groups:
        """Let devices take in what the server sent, by what they see in their memories."""
        ...

    def work(
        self,
        method: Method,
        shared: Groups,
        state: BlockState,
        work: Work,
        opened: Tensors | None,
        late: NDArray[np.bool_],
    ) -> Worked:
        """Work through questions, learning from each; also score the model `opened`, if any."""
        ...

    def variables(self, state: BlockState, place: int, steps: int) -> dict[str, NDArray[Any]]:
        """Return the variables of one device's SavedModel by their names in the checkpoint."""
        ...

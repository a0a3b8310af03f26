"""What an architecture must offer."""

from __future__ import annotations

from typing import ClassVar, Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

__all__ = ["Model"]


class Model(Protocol):
    """An architecture over stacked parameters.

    Attributes:
        length: samples per window, T.
        channels: values per sample, C.
        classes: activities, K.
        head: patterns of the parameters that turn features into classes; what personalizes a
            head (FedPer, FedRep) keeps these on the device.
    """

    head: ClassVar[tuple[str, ...]]
    length: int
    channels: int
    classes: int

    def init(self, random: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """Draw one device's parameters."""
        ...

    def forward(self, params: dict[str, tf.Tensor], x: tf.Tensor) -> tf.Tensor:
        """Compute logits [D, B, K] from parameters [D, ...] and scaled inputs [D, B, T, C]."""
        ...

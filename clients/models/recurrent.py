"""Recurrent networks: on whole windows, and on single samples as the original tracker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from clients.errors import BadInput
from clients.models.cells import GRU, LSTM, Cell, advance
from clients.models.layers import dense, normal
from clients.models.model import Carried

__all__ = ["Bilstm", "Gru", "TrackerLstm"]


class _Recurrent:
    """One recurrent layer, one layer to the classes."""

    head: ClassVar[tuple[str, ...]] = ("classes/*",)
    isotropic = False
    _cell: ClassVar[Cell]
    _units: ClassVar[int]
    _passes: ClassVar[Mapping[str, bool]] = {"forth": False}
    """Name of each pass through time -> whether it runs backwards."""

    def __init__(self, length: int, channels: int, classes: int) -> None:
        self.length, self.channels, self.classes = length, channels, classes
        self.tracks = length == 1
        units = (self._units,)
        self.carried: Mapping[str, tuple[int, ...]] = (
            dict.fromkeys(self._cell.carried, units) if self.tracks else {}
        )

    def init(self, random: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """Draw one device's parameters."""
        params = {
            f"{name}/{part}": value
            for name in self._passes
            for part, value in self._cell.init(random, self.channels, self._units).items()
        }
        width = self._units * len(self._passes) * (1 if self.tracks else 2)
        params["classes/kernel"] = normal(random, width, self.classes, variance=0.3)
        params["classes/bias"] = np.zeros(self.classes, np.float32)
        return params

    def forward(self, params: dict[str, tf.Tensor], x: tf.Tensor) -> tf.Tensor:
        """Compute logits [D, B, K] from parameters [D, ...] and scaled inputs [D, B, T, C].

        The classes are told by the mean and the maximum over time of each pass's outputs.
        """
        if self.tracks:
            return self.follow(params, x, None, None)[0][:, :, 0]
        passes = [
            advance(self._cell, _own(params, name), x, reverse=back)[0]
            for name, back in self._passes.items()
        ]
        outputs = tf.concat(passes, axis=3)
        pooled = [tf.reduce_mean(outputs, axis=2), tf.reduce_max(outputs, axis=2)]
        return dense(tf.concat(pooled, axis=2), params["classes/kernel"], params["classes/bias"])

    def follow(
        self, params: Any, x: tf.Tensor, carried: Carried | None, mask: tf.Tensor | None
    ) -> tuple[tf.Tensor, Carried]:
        """Compute the logits [D, S, L, K] of series of samples [D, S, L, C], as `Model` says."""
        outputs, end = advance(self._cell, _own(params, "forth"), x, carried, mask)
        shape = tf.shape(outputs)
        flat = tf.reshape(outputs, [-1, shape[1] * shape[2], self._units])
        logits = dense(flat, params["classes/kernel"], params["classes/bias"])
        return tf.reshape(logits, [-1, shape[1], shape[2], self.classes]), end


class Gru(_Recurrent):
    """A GRU of 32 units: on windows, or on single samples where a window is one."""

    _cell, _units = GRU, 32


class Bilstm(_Recurrent):
    """Two LSTM of 24 units, one of which reads the window backwards."""

    _cell, _units = LSTM, 24
    _passes: ClassVar = {"forth": False, "back": True}

    def __init__(self, length: int, channels: int, classes: int) -> None:
        if length == 1:
            raise BadInput(
                'program "bilstm": reads windows forth and back, and these are single samples; '
                'make them longer (data.window_s), or use program "tracker_lstm"'
            )
        super().__init__(length, channels, classes)


class TrackerLstm(_Recurrent):
    """The original tracker: an LSTM of 32 units that follows one sample after the other."""

    _cell, _units = LSTM, 32

    def __init__(self, length: int, channels: int, classes: int) -> None:
        if length != 1:
            raise BadInput(
                f'program "tracker_lstm": follows single samples, and windows have {length}; use '
                'program "bilstm" or "gru"'
            )
        super().__init__(length, channels, classes)


def _own(params: Mapping[str, tf.Tensor], name: str) -> dict[str, tf.Tensor]:
    """Return the parameters of one pass, by their names in the cell."""
    return {
        key.removeprefix(f"{name}/"): value
        for key, value in params.items()
        if key.startswith(f"{name}/")
    }

"""What an architecture must offer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, cast

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

__all__ = ["Carried", "Informed", "Model", "Normalized", "Recurrent", "answer", "moves"]

_RATE = 0.1  # at which running statistics follow those of a step

Carried = Mapping[str, tf.Tensor]


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

    @property
    def isotropic(self) -> bool:
        """Whether directions matter to it: all channels are then scaled alike, about zero."""
        ...

    @property
    def tracks(self) -> bool:
        """Whether a question is a series of single samples, in order of time; then T is 1."""
        ...

    @property
    def carried(self) -> Mapping[str, tuple[int, ...]]:
        """Name -> shape of what is carried from one sample to the next."""
        ...

    def init(self, random: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """Draw one device's parameters."""
        ...

    def forward(self, params: Any, x: tf.Tensor) -> tf.Tensor:
        """Compute logits [D, B, K] from parameters [D, ...] and scaled inputs [D, B, T, C].

        Where something is carried, each row is looked at by itself, after nothing.
        """
        ...


class Recurrent(Model, Protocol):
    """An architecture that carries something from one sample to the next."""

    def follow(
        self, params: Any, x: tf.Tensor, carried: Carried | None, mask: tf.Tensor | None
    ) -> tuple[tf.Tensor, Carried]:
        """Compute the logits of series of samples.

        Args:
            params: [D, ...].
            x: [D, S, L, C], S series of L samples for each device, scaled.
            carried: what they begin with, [D, S, ...] by name; None begins with nothing.
            mask: bool [D, S, L], the samples that there are; None for all.

        Returns:
            logits [D, S, L, K], and what is carried in the end.
        """
        ...


class Normalized(Model, Protocol):
    """An architecture that normalises features by running statistics, which steps move."""

    def learn(
        self, params: Any, x: tf.Tensor, mask: tf.Tensor, mixed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Compute logits as a step sees them, and the statistics of its windows.

        Args:
            params: [D, ...].
            x: scaled, [D, B, T, C].
            mask: bool [D, B], which windows there are.
            mixed: bool [D], whose windows are of several activities; the features of others are
                normalised by the running statistics.

        Returns:
            logits [D, B, K], and by name the statistics that the running ones follow.
        """
        ...


class Informed(Model, Protocol):
    """An architecture some of whose first parameters are not drawn, but taken from donors."""

    def informed(
        self, x: NDArray[np.float32], labels: NDArray[np.int32], users: NDArray[np.int32]
    ) -> dict[str, NDArray[np.float32]]:
        """Return first parameters by name, in place of those that `init` draws.

        Args:
            x: the training donors' windows, scaled, float32 [N, T, C].
            labels: int32 [N].
            users: int32 [N], a number for each user.
        """
        ...


def moves(params: Any, found: Mapping[str, tf.Tensor], mixed: tf.Tensor) -> dict[str, tf.Tensor]:
    """Return the moves of running statistics towards those of a step's windows.

    They move with windows of several activities only: one alone would be taken for the whole.

    Args:
        params: [D, ...].
        found: as `Normalized.learn` returns them.
        mixed: bool [D].

    Returns:
        what a step subtracts, by name.
    """
    return {
        name: _RATE * tf.where(mixed[:, None], params[name] - value, tf.zeros_like(value))
        for name, value in found.items()
    }


def answer(
    model: Model,
    params: Any,
    x: tf.Tensor,
    carried: Carried | None = None,
    mask: tf.Tensor | None = None,
) -> tuple[tf.Tensor, Carried]:
    """Compute the logits of questions.

    Args:
        model: an architecture.
        params: [D, ...].
        x: [D, S, B, T, C], S questions of up to B windows for each device, scaled.
        carried: what they begin with, [D, S, ...] by name; None begins with nothing.
        mask: bool [D, S, B], the windows that there are; None for all.

    Returns:
        logits [D, S, B, K], and what is carried in the end.
    """
    if model.carried:
        return cast(Recurrent, model).follow(params, x[:, :, :, 0], carried, mask)
    questions, batch = tf.shape(x)[1], tf.shape(x)[2]
    flat = tf.reshape(x, [-1, questions * batch, model.length, model.channels])
    logits = model.forward(params, flat)
    return tf.reshape(logits, [-1, questions, batch, model.classes]), {}

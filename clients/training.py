"""The base model, trained offline on donors.

Donors are split by user into those who train and those who validate; the epoch that does best
on the validating users is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from clients.donors import Donated
from clients.errors import BadInput
from clients.export import Blueprint
from clients.models import Model
from clients.optimizers import OPTIMIZERS

__all__ = ["Base", "Progress", "Recipe", "predict_windows", "scaled", "train_base"]

Progress = Callable[[int, int, float], None]
"""Called after each epoch with (epoch, most epochs, validation accuracy)."""

_PREDICT_BATCH = 256


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a base model is trained.

    Attributes:
        epochs: most passes over the training donors' windows.
        patience: epochs without a better validation score after which training stops.
        batch: windows per step.
        learning_rate: at the start; it falls to nothing along half a cosine.
        weight_decay: decoupled from the gradient (Loshchilov & Hutter 2019, algorithm 2).
        validation: share of the donors that validate.
        tilt_deg: each training window is rotated by an angle up to this, about a random axis.
        gain: each is scaled by a factor drawn from 1 - gain to 1 + gain.
    """

    epochs: int = 40
    patience: int = 10
    batch: int = 64
    learning_rate: float = 0.002
    weight_decay: float = 0.01
    validation: float = 0.2
    tilt_deg: float = 30.0
    gain: float = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Base:
    """A trained base model.

    Attributes:
        params: each without a device axis.
        mean, scale: float32 [C], of the training donors' samples.
        epochs: passes until the one that was kept.
        validation_accuracy: of the kept epoch, over the validating donors' windows.
    """

    params: dict[str, NDArray[Any]]
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    epochs: int
    validation_accuracy: float


def train_base(
    blueprint: Blueprint,
    donated: Donated,
    recipe: Recipe,
    random: np.random.Generator,
    progress: Progress | None = None,
) -> Base:
    """Train a base model on donors.

    Args:
        blueprint: what it is made of.
        donated: the donors' windows.
        recipe: how it is trained.
        random: decides the validating donors, the first parameters, orders and augmentation.
        progress: told of each epoch.

    Raises:
        BadInput: fewer than two donors.
    """
    users = np.unique(donated.users)
    if users.size < 2:
        raise BadInput(
            f"a base model needs at least 2 donors, one of whom validates; there are {users.size}: "
            'give more users, fewer folds, or set model.base = "random"'
        )
    shuffled = random.permutation(users)
    held = min(max(1, round(recipe.validation * users.size)), users.size - 1)
    validating, training = donated.of(shuffled[:held]), donated.of(shuffled[held:])
    mean, scale = _scaling(training.x)
    model = blueprint.model()
    trainer = _Trainer(model, model.init(random), recipe, len(training.labels))
    best: Base | None = None
    for epoch in range(1, recipe.epochs + 1):
        x, labels = _augmented(training, recipe, random)
        trainer.run_epoch(scaled(x, mean, scale), labels)
        said = predict_windows(model, trainer.params, scaled(validating.x, mean, scale))
        score = _balanced_accuracy(said, validating.labels)
        if best is None or score > best.validation_accuracy:
            best = Base(trainer.read(), mean, scale, epoch, score)
        if progress is not None:
            progress(epoch, recipe.epochs, score)
        if epoch - best.epochs >= recipe.patience:
            break
    assert best is not None
    return best


class _Trainer:
    """Steps of Adam with decoupled weight decay, an epoch in one compiled call."""

    def __init__(
        self, model: Model, params: dict[str, NDArray[Any]], recipe: Recipe, windows: int
    ) -> None:
        self._model = model
        self._recipe = recipe
        self._optimizer = OPTIMIZERS["adam"]
        self._batch = min(recipe.batch, windows)
        self._steps = windows // self._batch
        self._done = 0
        shapes = {name: value.shape for name, value in params.items()}
        slots = self._optimizer.start(shapes, recipe.learning_rate, "float32")
        self.params = {name: tf.constant(value[None]) for name, value in params.items()}
        self._slots = {name: tf.constant(value[None]) for name, value in slots.items()}

    def run_epoch(self, x: NDArray[np.float32], labels: NDArray[np.int32]) -> None:
        """Pass once over windows that are in random order; an incomplete batch is left out."""
        total = self._recipe.epochs * self._steps
        progress = (self._done + np.arange(self._steps)) / total
        rates = 0.5 * self._recipe.learning_rate * (1.0 + np.cos(np.pi * progress))
        self._done += self._steps
        self.params, self._slots = self._epoch(
            self.params,
            self._slots,
            tf.constant(x[: self._steps * self._batch]),
            tf.constant(labels[: self._steps * self._batch]),
            tf.constant(rates.astype(np.float32)),
        )

    def read(self) -> dict[str, NDArray[Any]]:
        """Return the parameters without a device axis."""
        return {name: value[0].numpy() for name, value in self.params.items()}

    @tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
    def _epoch(self, params: Any, slots: Any, x: Any, labels: Any, rates: Any) -> Any:
        batch = self._batch

        def body(step: Any, params: Any, slots: Any) -> Any:
            rows = tf.slice(x, [step * batch, 0, 0], [batch, *x.shape[1:]])
            taught = tf.slice(labels, [step * batch], [batch])
            with tf.GradientTape() as tape:
                tape.watch(params)
                logits = self._model.forward(params, rows[None])
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(taught[None], logits)
                loss = tf.reduce_mean(losses)
            gradients = tape.gradient(loss, params)
            rate = tf.reshape(rates[step], [1])
            decay = 1.0 - rates[step] * self._recipe.weight_decay
            shrunk = {n: v * decay if n.endswith("/kernel") else v for n, v in params.items()}
            slots = {**slots, "learning_rate": rate}
            return step + 1, *self._optimizer.apply(shrunk, slots, gradients)

        _, params, slots = tf.while_loop(
            lambda step, *_: step < self._steps, body, (tf.constant(0), params, slots)
        )
        return params, slots


def predict_windows(
    model: Model, params: dict[str, Any], x: NDArray[np.float32]
) -> NDArray[np.int32]:
    """Predict scaled windows [N, T, C] with parameters [1, ...]: int32 [N]."""
    said = [
        model.forward(params, tf.constant(x[None, first : first + _PREDICT_BATCH])).numpy()[0]
        for first in range(0, len(x), _PREDICT_BATCH)
    ]
    return np.asarray(np.concatenate(said).argmax(axis=1), np.int32)


def _scaling(x: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return mean and standard deviation by channel, float32 [C]; missing values are left out."""
    mean = np.asarray(np.nanmean(x, axis=(0, 1), dtype=np.float64), np.float32)
    scale = np.asarray(np.nanstd(x, axis=(0, 1), dtype=np.float64), np.float32)
    return mean, np.maximum(scale, np.float32(1e-3))


def scaled(
    x: NDArray[np.float32], mean: NDArray[np.float32], scale: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Scale windows as an exported program does; a missing value becomes an average one."""
    return np.asarray(np.nan_to_num((x - mean) / scale), np.float32)


def _augmented(
    donated: Donated, recipe: Recipe, random: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return the windows in random order, each tilted and scaled a little anew.

    Windows that are not of three axes (a feature table) are only put in order.
    """
    order = random.permutation(len(donated.labels))
    x = donated.x[order]
    if x.shape[2] != 3:
        return x, donated.labels[order]
    turns = _rotations(len(order), recipe.tilt_deg, random)
    gains = random.uniform(1.0 - recipe.gain, 1.0 + recipe.gain, (len(order), 1, 1))
    return (x @ (turns * gains)).astype(np.float32), donated.labels[order]


def _rotations(count: int, most_deg: float, random: np.random.Generator) -> NDArray[np.float64]:
    """Draw rotations about random axes by angles up to `most_deg`: float64 [count, 3, 3]."""
    axes = random.standard_normal((count, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    angles = np.deg2rad(random.uniform(0.0, most_deg, (count, 1, 1)))
    cross = np.zeros((count, 3, 3))
    cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = -axes[:, 2], axes[:, 1], -axes[:, 0]
    cross -= cross.transpose(0, 2, 1)
    # Rodrigues' formula: I + sin(a) K + (1 - cos(a)) K².
    return np.eye(3) + np.sin(angles) * cross + (1.0 - np.cos(angles)) * cross @ cross


def _balanced_accuracy(said: NDArray[np.int32], labels: NDArray[np.int32]) -> float:
    """Return the mean over activities of the share predicted rightly."""
    return float(np.mean([np.mean(said[labels == c] == c) for c in np.unique(labels)]))

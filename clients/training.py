"""The base model, trained offline on donors.

Donors are split by user into those who train and those who validate. Training stops early when
the validating users are not served better any more; the number of steps that served them best is
then taken anew with all donors, so that nobody's recordings are wasted. Where nobody validates, all
steps are taken with all donors at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from clients.augment import Augmentation, augment
from clients.donors import Donated
from clients.errors import BadInput
from clients.export import Blueprint
from clients.models import Informed, Model, Normalized, answer, moves
from clients.optimizers import OPTIMIZERS

__all__ = [
    "SERIES",
    "SPAN",
    "Base",
    "Progress",
    "Recipe",
    "predict_windows",
    "scaled",
    "train_apart",
    "train_base",
]

Progress = Callable[[int, int, float], None]
"""Called after each look with (steps done, most steps, validation accuracy so far)."""

SPAN = 1.5
"""Training takes spans this many times as long as a window, so that time can be warped."""

SERIES = 128
"""Samples of the series on which a program that follows single samples is trained."""

_PREDICT_BATCH = 256
_WARM_UP_STEPS = 50


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a base model is trained.

    Attributes:
        steps: most steps.
        look_every: steps between looks at the validating donors.
        patience: looks without a better score after which training stops.
        batch: windows per step.
        learning_rate: at its height; it rises over the first 50 steps and falls to nothing along
            half a cosine.
        weight_decay: decoupled from the gradient (Loshchilov & Hutter 2019, algorithm 2).
        average: decay of the running average of the parameters that is kept in their place.
        validation: share of the donors that validate, one at least; 0 for none.
        refit: whether the best number of steps is taken anew with all donors.
        augmentation: how training windows are changed; feature rows are left as they are.
        smoothing: probability that the labels give to all activities alike (Szegedy et al. 2016,
            "Rethinking the Inception architecture", section 7).
    """

    steps: int
    look_every: int
    patience: int
    batch: int
    learning_rate: float
    weight_decay: float
    average: float
    validation: float
    refit: bool
    augmentation: Augmentation
    smoothing: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Base:
    """A trained base model.

    Attributes:
        params: each without a device axis.
        mean, scale: float32 [C], of the training donors' samples.
        steps: that were taken.
        validation_accuracy: mean over activities of the share of the validating donors' windows
            that is predicted rightly, at that number of steps; None where nobody validated.
    """

    params: dict[str, NDArray[Any]]
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    steps: int
    validation_accuracy: float | None


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
        donated: the donors' spans; a window is the beginning of a span.
        recipe: how it is trained.
        random: decides the validating donors, the first parameters, batches and augmentation.
        progress: told of each look.

    Raises:
        BadInput: fewer than two donors.
    """
    users = np.unique(donated.users)
    if users.size < 2:
        raise BadInput(
            f"a base model needs at least 2 donors, one of whom validates; there are {users.size}: "
            'give more users, fewer folds, or set model.base = "random"'
        )
    trainer = _Trainer(blueprint.model(), recipe, progress)
    if recipe.validation == 0.0:
        return trainer.train(donated, None, recipe.steps, random)
    shuffled = random.permutation(users)
    held = min(max(1, round(recipe.validation * users.size)), users.size - 1)
    validating, training = donated.of(shuffled[:held]), donated.of(shuffled[held:])
    chosen = trainer.train(training, validating, recipe.steps, random)
    if not recipe.refit:
        return chosen
    refitted = trainer.train(donated, None, chosen.steps, random)
    return Base(
        refitted.params, refitted.mean, refitted.scale, chosen.steps, chosen.validation_accuracy
    )


def train_apart(
    blueprint: Blueprint,
    donated: Sequence[Donated],
    recipe: Recipe,
    steps: int,
    randoms: Sequence[np.random.Generator],
) -> list[Base]:
    """Train a model on each of several sets of donors, by equally many steps; nobody validates.

    Args:
        blueprint: what they are made of; it is compiled once.
        donated: the donors' spans, of each set.
        recipe: how they are trained.
        steps: that each takes.
        randoms: for each, as in `train_base`.
    """
    trainer = _Trainer(blueprint.model(), recipe, None)
    return [
        trainer.train(own, None, steps, random)
        for own, random in zip(donated, randoms, strict=True)
    ]


class _Trainer:
    """Steps of Adam with decoupled weight decay, many in one compiled call."""

    def __init__(self, model: Model, recipe: Recipe, progress: Progress | None) -> None:
        self._model, self._recipe, self._progress = model, recipe, progress
        self._optimizer = OPTIMIZERS["adam"]
        self._length = SERIES if model.tracks else model.length

    def train(
        self,
        training: Donated,
        validating: Donated | None,
        steps: int,
        random: np.random.Generator,
    ) -> Base:
        """Take steps on the training donors; keep the best look, or the last without validation."""
        recipe, length = self._recipe, self._length
        mean, scale = _scaling(training.x, self._model.isotropic)
        params = self._model.init(random)
        if hasattr(self._model, "informed"):
            x = scaled(training.x[:, :length], mean, scale)
            params |= cast(Informed, self._model).informed(x, training.labels, training.users)
        slots = self._optimizer.start({n: v.shape for n, v in params.items()}, 0.0, "float32")
        state = tuple(
            {name: tf.constant(value[None]) for name, value in some.items()}
            for some in (params, slots, params)
        )
        best: Base | None = None
        highest = -1.0
        for done in range(0, steps, recipe.look_every):
            x, labels = self._batches(training, random)
            x = scaled(x, mean, scale)
            state = self._look(*state, tf.constant(x), tf.constant(labels), tf.constant(done))
            taken, score = done + recipe.look_every, float("nan")
            if validating is not None:
                window = scaled(validating.x[:, :length], mean, scale)
                said = predict_windows(self._model, state[2], window)
                score = _balanced_accuracy(said, validating.labels)
            if self._progress is not None:
                self._progress(taken, steps, score)
            if best is None or validating is None or score > highest:
                averaged = {name: value[0].numpy() for name, value in state[2].items()}
                best = Base(averaged, mean, scale, taken, None if validating is None else score)
                highest = score
            elif taken - best.steps >= recipe.patience * recipe.look_every:
                break
        assert best is not None
        return best

    def _batches(
        self, donated: Donated, random: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Draw the windows of all steps until the next look: [steps, B, T, C] and [steps, B]."""
        recipe, length = self._recipe, self._length
        rows = random.integers(len(donated.labels), size=recipe.look_every * recipe.batch)
        x = donated.x[rows]
        if x.shape[1] > length:
            x = augment(x, length, recipe.augmentation, random)
        shape = (recipe.look_every, recipe.batch)
        return x.reshape(*shape, length, -1), donated.labels[rows].reshape(shape)

    def _seen(self, params: Any, x: Any) -> tuple[Any, dict[str, Any]]:
        """Compute the logits of a step on windows [N, T, C], and moves of running statistics."""
        if not hasattr(self._model, "learn"):
            return _logits(self._model, params, x), {}
        mixed = tf.ones([1], tf.bool)
        mask = tf.ones([1, x.shape[0]], tf.bool)
        logits, found = cast(Normalized, self._model).learn(params, x[None], mask, mixed)
        return logits[0][:, None], moves(params, found, mixed)

    @tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
    def _look(self, params: Any, slots: Any, average: Any, x: Any, labels: Any, done: Any) -> Any:
        """Take the steps until the next look."""
        recipe = self._recipe

        def body(step: Any, params: Any, slots: Any, average: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(params)
                logits, moved = self._seen(params, x[step])
                each = tf.repeat(labels[step][:, None], tf.shape(logits)[1], axis=1)
                loss = _loss(each, logits, recipe.smoothing)
            gradients = tape.gradient(loss, params) | moved
            taken = tf.cast(done + step, tf.float32)
            rate = recipe.learning_rate * tf.minimum(1.0, (taken + 1.0) / _WARM_UP_STEPS)
            rate *= 0.5 * (1.0 + tf.cos(np.pi * taken / recipe.steps))
            slots = {**slots, "learning_rate": tf.reshape(rate, [1])}
            shrink = 1.0 - rate * recipe.weight_decay
            params = {n: v * shrink if n.endswith("/kernel") else v for n, v in params.items()}
            params, slots = self._optimizer.apply(params, slots, gradients)
            decay = tf.minimum(recipe.average, (taken + 1.0) / (taken + 11.0))
            average = {n: decay * average[n] + (1.0 - decay) * v for n, v in params.items()}
            return step + 1, params, slots, average

        return tf.while_loop(
            lambda step, *_: step < recipe.look_every,
            body,
            (tf.constant(0), params, slots, average),
        )[1:]


def predict_windows(
    model: Model, params: dict[str, Any], x: NDArray[np.float32]
) -> NDArray[np.int32]:
    """Predict scaled windows, or series of samples, with parameters [1, ...].

    Args:
        model: an architecture.
        params: [1, ...].
        x: float32 [N, T, C]; N series of T samples for a model that follows single samples.

    Returns:
        int32 [N, 1]; for series [N, T], a class for each sample.
    """
    said = [
        _logits(model, params, tf.constant(x[first : first + _PREDICT_BATCH])).numpy()
        for first in range(0, len(x), _PREDICT_BATCH)
    ]
    return np.asarray(np.concatenate(said).argmax(axis=2), np.int32)


def _logits(model: Model, params: Any, x: Any) -> Any:
    """Compute logits [N, 1, K] of windows [N, T, C], or [N, T, K] of series of samples."""
    if model.tracks:
        return answer(model, params, x[None, :, :, None])[0][0]
    return model.forward(params, x[None])[0][:, None]


def scaled(
    x: NDArray[np.float32], mean: NDArray[np.float32], scale: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Scale windows as an exported program does; a missing value becomes an average one."""
    return np.asarray(np.nan_to_num((x - mean) / scale), np.float32)


def _loss(labels: Any, logits: Any, smoothing: float) -> Any:
    """Return the mean cross-entropy of labels [N, L] and logits [N, L, K]."""
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
    if smoothing == 0.0:
        return loss
    alike = -tf.reduce_mean(tf.nn.log_softmax(logits))
    return (1.0 - smoothing) * loss + smoothing * alike


def _scaling(
    x: NDArray[np.float32], isotropic: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return mean and standard deviation by channel, float32 [C]; missing values are left out.

    Where directions are to be kept, that is zero, and the root of the channels' mean variance.
    """
    mean = np.asarray(np.nanmean(x, axis=(0, 1), dtype=np.float64), np.float32)
    scale = np.asarray(np.nanstd(x, axis=(0, 1), dtype=np.float64), np.float32)
    if isotropic:
        scale = np.full_like(scale, np.sqrt(np.mean(np.square(scale))))
        mean = np.zeros_like(mean)
    return mean, np.maximum(scale, np.float32(1e-3))


def _balanced_accuracy(said: NDArray[np.int32], labels: NDArray[np.int32]) -> float:
    """Return the mean over activities of the share predicted rightly."""
    return float(np.mean([np.mean(said[labels == c] == c) for c in np.unique(labels)]))

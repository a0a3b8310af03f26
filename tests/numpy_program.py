"""The `dense` program in plain NumPy, float64: its loss, its gradients and its optimizers."""

from dataclasses import dataclass

import numpy as np


def plus(params, others, share=1.0):
    return {name: value + share * others[name] for name, value in params.items()}


def minus(params, others):
    return plus(params, others, -1.0)


@dataclass
class Network:
    """One hidden layer of rectified units on scaled windows; classes weigh alike in its loss."""

    mean: np.ndarray
    scale: np.ndarray

    def gradients(self, params, batch):
        """Return the gradients of the loss by name, and the loss."""
        nothing = {name: np.zeros_like(value) for name, value in params.items()}
        if not len(batch.y):
            return nothing, 0.0
        x = ((batch.x.astype(np.float64) - self.mean) / self.scale).reshape(len(batch.y), -1)
        before = x @ params["hidden/kernel"] + params["hidden/bias"]
        hidden = np.maximum(before, 0.0)
        logits = hidden @ params["classes/kernel"] + params["classes/bias"]
        loss, error = balanced(logits, batch.y)
        back = (error @ params["classes/kernel"].T) * (before > 0.0)
        return {
            "hidden/kernel": x.T @ back,
            "hidden/bias": back.sum(axis=0),
            "classes/kernel": hidden.T @ error,
            "classes/bias": error.sum(axis=0),
        }, loss


def balanced(logits, labels):
    """Return the cross-entropy among the classes that are there, and its slope by the logits.

    Each class weighs the same, and in it each window. A single class is told from all others.
    """
    held, counts = np.unique(labels, return_counts=True)
    among = held if held.size > 1 else np.arange(logits.shape[1])
    loss, slope = 0.0, np.zeros_like(logits)
    for row, label in enumerate(labels):
        weight = 1.0 / held.size / counts[held == label][0]
        powers = np.exp(logits[row, among] - logits[row, among].max())
        chances = powers / powers.sum()
        loss -= weight * np.log(chances[among == label][0])
        slope[row, among] = weight * (chances - (among == label))
    return loss, slope


class Descent:
    """Gradient descent."""

    def __init__(self, rate):
        self.rate = rate

    def fresh(self):
        return type(self)(self.rate)

    def forget(self, names):
        """Start afresh for some parameters."""

    def moved(self, params, gradients):
        """Return some parameters after a step."""
        return {n: params[n] - self.rate * g for n, g in gradients.items()}


class Adam(Descent):
    """Kingma & Ba 2015, algorithm 1, with epsilon as at the end of their section 2."""

    def __init__(self, rate):
        super().__init__(rate)
        self.kept = {}

    def forget(self, names):
        self.kept = {name: kept for name, kept in self.kept.items() if name not in names}

    def moved(self, params, gradients):
        new = {}
        for name, g in gradients.items():
            t, m, v = self.kept.get(name, (0, 0.0, 0.0))
            t, m, v = t + 1, 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            self.kept[name] = t, m, v
            rate = self.rate * np.sqrt(1.0 - 0.999**t) / (1.0 - 0.9**t)
            new[name] = params[name] - rate * m / (np.sqrt(v) + 1e-7)
        return new

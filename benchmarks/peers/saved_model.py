"""The SavedModel that the peers on TensorFlow call: exported as `wearfleet model export` does."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.workload import LEARNING_RATE, load_workload

__all__ = ["Learner", "export_aside", "learner", "one_thread"]


def one_thread() -> None:
    """Let TensorFlow compute with one thread and say little, before it is loaded.

    On models of this size more threads only wait for one another.
    """
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["TF_NUM_INTRAOP_THREADS"] = "1"
    os.environ["TF_NUM_INTEROP_THREADS"] = "1"


def export_aside(folder: Path, path: Path) -> None:
    """Write the SavedModel of a workload from a process of its own, which ends before the rounds.

    Args:
        folder: the workload's.
        path: where the SavedModel goes; does not exist yet.
    """
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawned) as aside:
        aside.submit(_export, folder, path).result()


def _export(folder: Path, path: Path) -> None:
    """Write the SavedModel of a workload."""
    from clients.export import Blueprint, export_program

    workload = load_workload(folder)
    length, channels = workload.x.shape[3:]
    names = tuple(f"activity {i}" for i in range(len(workload.params["classes/bias"])))
    blueprint = Blueprint(workload.program, length, channels, names, "sgd", LEARNING_RATE)
    export_program(blueprint, workload.params, workload.mean, workload.scale, path)


class Learner:
    """A loaded SavedModel whose parameters can be set and read."""

    def __init__(self, path: str) -> None:
        import tensorflow as tf

        self._loaded = tf.saved_model.load(path)
        self._learn = self._loaded.signatures["learn"]
        self._params: dict[str, Any] = dict(self._loaded.params)
        self._tensor = tf.constant

    def train(
        self,
        params: dict[str, NDArray[np.float32]],
        x: NDArray[np.float32],
        y: NDArray[np.int32],
    ) -> dict[str, NDArray[np.float32]]:
        """Learn one client's batches [S, B, ...] from given parameters, one call for each step."""
        for name, value in params.items():
            self._params[name].assign(value)
        for batch, labels in zip(x, y, strict=True):
            self._learn(sensor_data=self._tensor(batch), labels=self._tensor(labels))
        return {name: variable.numpy() for name, variable in self._params.items()}


@cache
def learner(path: str) -> Learner:
    """Return the SavedModel, loaded once for each process."""
    return Learner(path)

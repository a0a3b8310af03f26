"""Write the workloads that Wearfleet and its peers are compared on.

`python -m benchmarks.workloads w1 1000 FOLDER` writes FOLDER/workload.npz out of the windows of 36
synthetic people. Each client is one of them and learns ten of that person's questions, drawn at
random: consecutive windows of one activity.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.workload import FILE
from clients.export import Blueprint
from clients.recordings import Recording
from clients.synthetic import synthesize
from clients.windows import cut_windows, read_windows

__all__ = ["ACTIVITIES", "SHAPES", "STEPS", "Shape", "write_workload"]

ACTIVITIES = ("walking", "jogging", "upstairs", "downstairs", "sitting", "standing")
STEPS = 10  # of one client in one round
PEOPLE = 36
RATE_HZ = 20.0
CHANNELS = 3
MINUTES = 6.0  # of each activity: 11 questions of W2, 225 of W1
_SEED = 1


@dataclass(frozen=True, slots=True)
class Shape:
    """What a workload computes.

    Attributes:
        program: a name in `clients.models.MODELS`.
        length: samples per window, T.
        batch: windows per question, B.
    """

    program: str
    length: int
    batch: int


SHAPES = {"w1": Shape("dense", 1, 32), "w2": Shape("cnn", 80, 8)}


def write_workload(name: str, devices: int, folder: Path) -> None:
    """Write a workload out of synthetic people's windows.

    Args:
        name: a name in `SHAPES`.
        devices: clients, N.
        folder: made where it is missing.
    """
    shape = SHAPES[name]
    people = _questions(shape)
    random = np.random.default_rng(_SEED)
    x = np.empty((devices, STEPS, shape.batch, shape.length, CHANNELS), np.float32)
    y = np.empty((devices, STEPS, shape.batch), np.int32)
    for device in range(devices):
        windows, labels = people[device % PEOPLE]
        chosen = random.choice(len(windows), STEPS, replace=False)
        x[device], y[device] = windows[chosen], labels[chosen, None]
    samples = np.concatenate([windows.reshape(-1, CHANNELS) for windows, _ in people])
    blueprint = Blueprint(shape.program, shape.length, CHANNELS, ACTIVITIES, "sgd")
    drawn = blueprint.model().init(np.random.default_rng(_SEED))
    params = {f"params/{key}": value for key, value in drawn.items()}
    folder.mkdir(parents=True, exist_ok=True)
    mean, scale = samples.mean(axis=0), samples.std(axis=0)
    # Not compressed, so that the peers can map it into memory.
    np.savez(folder / FILE, allow_pickle=False, mean=mean, scale=scale, x=x, y=y, **params)


def _questions(shape: Shape) -> list[tuple[NDArray[np.float32], NDArray[np.int32]]]:
    """Return each person's full questions: windows float32 [Q, B, T, C] and classes int32 [Q]."""
    recordings = synthesize(PEOPLE, ACTIVITIES, rate_hz=RATE_HZ, seed=_SEED, minutes=MINUTES)
    people: dict[str, list[Recording]] = {}
    for recording in recordings:
        people.setdefault(recording.user, []).append(recording)
    return [_person(own, shape) for own in people.values()]


def _person(
    recordings: Sequence[Recording], shape: Shape
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Cut one person's recordings into full questions."""
    x, y = [], []
    for recording in recordings:
        windows = cut_windows([recording], ACTIVITIES, length=shape.length, hop=shape.length)
        count = len(windows) // shape.batch
        values = read_windows([recording], windows)[: count * shape.batch]
        x.append(values.reshape(count, shape.batch, *values.shape[1:]))
        y.append(np.full(count, windows.label[0], np.int32))
    return np.concatenate(x), np.concatenate(y)


def main() -> None:
    """Write one workload."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(SHAPES))
    parser.add_argument("devices", type=int)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    write_workload(arguments.name, arguments.devices, arguments.folder)


if __name__ == "__main__":
    main()

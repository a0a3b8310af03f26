"""Built-in programs, exported once for all tests of a session."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

ACTIVITIES = ("walking", "jogging", "stairs", "sitting", "standing")
LENGTH, CHANNELS = 40, 3


@dataclass(frozen=True)
class Built:
    """What a program was exported from, and where it lies."""

    blueprint: object
    params: dict
    mean: np.ndarray
    scale: np.ndarray
    path: Path


@pytest.fixture(scope="session")
def build(tmp_path_factory):
    """Export a built-in program by name, type and optimizer; equal requests share one export."""
    from clients.export import Blueprint, export_program

    folder, made = tmp_path_factory.mktemp("programs"), {}

    def export(name, dtype="float32", optimizer="adam"):
        if (name, dtype, optimizer) not in made:
            length = 1 if name.startswith("tracker") else LENGTH
            blueprint = Blueprint(
                name, length, CHANNELS, ACTIVITIES, optimizer=optimizer, dtype=dtype
            )
            params = blueprint.model().init(np.random.default_rng(5))
            mean = np.array([0.5, -1.0, 9.0], np.float32)
            scale = np.array([2.0, 3.0, 4.0], np.float32)
            path = folder / f"{name}-{dtype}-{optimizer}"
            export_program(blueprint, params, mean, scale, path)
            made[name, dtype, optimizer] = Built(blueprint, params, mean, scale, path)
        return made[name, dtype, optimizer]

    return export

"""Batteries: they drain with use, are charged now and then, and decide who takes part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients import chance
from simulator.scenario.fault_table import Faults

__all__ = ["Batteries"]

_MIB = 2.0**20


class Batteries:
    """The batteries of D devices.

    Attributes:
        level: float64 [D], share of a full battery that is left.
    """

    def __init__(self, faults: Faults, seed: int, devices: NDArray[np.int64]) -> None:
        """Begin with levels drawn evenly between the lowest that takes part and a full one."""
        self._faults, self._seed, self._devices = faults, seed, devices
        draws = chance.uniforms(seed, "battery", 0, devices, 1)[:, 0]
        self.level = faults.battery_low + (1.0 - faults.battery_low) * draws

    @property
    def ready(self) -> NDArray[np.bool_]:
        """Tell which devices have enough left to take part: bool [D]."""
        return np.asarray(self.level >= self._faults.battery_low)

    def spend(
        self, round_: int, gradients: NDArray[np.int32], bytes_moved: NDArray[np.int64]
    ) -> None:
        """Drain the batteries by one round, and charge those that lie on their chargers.

        Args:
            round_: from 1.
            gradients: int32 [D], that each device took.
            bytes_moved: int64 [D], that each downloaded and sent.
        """
        faults = self._faults
        spent = faults.drain_round + faults.drain_step * gradients
        spent = spent + faults.drain_mib * bytes_moved / _MIB
        charges = chance.uniforms(self._seed, "charger", round_, self._devices, 1)[:, 0]
        gained = np.where(charges < faults.charging, faults.charge_round, 0.0)
        self.level = np.clip(self.level - spent, 0.0, 1.0)  # empty, it is off until it is charged
        self.level = np.minimum(self.level + gained, 1.0)

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Return the levels, as named arrays [D]."""
        return {"battery/level": self.level}

    def restore(self, snapshot: Mapping[str, NDArray[Any]]) -> None:
        """Become what a snapshot holds."""
        self.level = snapshot["battery/level"].copy()

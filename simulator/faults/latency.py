"""How long updates take, in simulated time: a device's speed, its network, its work."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clients import chance
from simulator.scenario.fault_table import Faults

__all__ = ["Paces", "paces_of"]

_KIB = 1024.0


@dataclass(frozen=True, slots=True, eq=False)
class Paces:
    """How fast D devices are; each is as fast in all rounds and arms.

    Attributes:
        work_s: float64 [D], what a device computes in every round.
        step_s: float64 [D], for each gradient.
        byte_s: float64 [D], for each byte of the network, either way.
        latency_s: float64 [D], for each of the two messages.
    """

    work_s: NDArray[np.float64]
    step_s: NDArray[np.float64]
    byte_s: NDArray[np.float64]
    latency_s: NDArray[np.float64]

    def took_s(
        self, gradients: NDArray[np.int32], bytes_moved: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return the seconds from the round's begin until an update is with the server: [D].

        Args:
            gradients: int32 [D], that each device took.
            bytes_moved: int64 [D], that it downloaded and sent.
        """
        work_s = self.work_s + self.step_s * gradients
        return np.asarray(work_s + self.byte_s * bytes_moved + 2.0 * self.latency_s)


def paces_of(faults: Faults, seed: int, devices: NDArray[np.int64]) -> Paces:
    """Draw how fast devices, int64 [D], are: lognormal around the scenario's medians."""

    def spread(purpose: str, deviation: float) -> NDArray[np.float64]:
        draws = chance.uniforms(seed, purpose, 0, devices, 2)
        normal = np.sqrt(-2.0 * np.log1p(-draws[:, 0])) * np.cos(2.0 * np.pi * draws[:, 1])
        return np.asarray(np.exp(deviation * normal))

    slowness = spread("speed", faults.speed)
    rate = faults.bandwidth_kib_s
    byte_s = 0.0 if rate == "unlimited" else 1.0 / (rate * _KIB)
    return Paces(
        work_s=faults.duration_rounds * faults.round_s * slowness,
        step_s=faults.step_s * slowness,
        byte_s=byte_s * spread("bandwidth", faults.bandwidth_spread),
        latency_s=faults.latency_s * spread("latency", faults.latency_spread),
    )

"""Who takes part in a round: drawn for every device alike in all arms, then chosen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from clients import chance
from simulator.plan import Plan
from simulator.scenario import Arm

__all__ = ["available", "choose", "duration_rounds"]


def available(plan: Plan, devices: NDArray[np.int64], round_: int) -> NDArray[np.bool_]:
    """Tell which devices can be reached in a round: bool [N]; the same in every arm."""
    share = plan.scenario.faults.availability
    if share >= 1.0:
        return np.ones(devices.size, np.bool_)
    draws = chance.uniforms(plan.scenario.seed, "available", round_, devices, 1)[:, 0]
    return np.asarray(draws < share)


def duration_rounds(plan: Plan, devices: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how long an update takes from its start until it arrives, in rounds: float64 [N].

    A device is as slow in all rounds and arms; slowness is lognormal around the scenario's median.
    """
    faults = plan.scenario.faults
    draws = chance.uniforms(plan.scenario.seed, "speed", 0, devices, 2)
    normal = np.sqrt(-2.0 * np.log1p(-draws[:, 0])) * np.cos(2.0 * np.pi * draws[:, 1])
    return np.asarray(faults.duration_rounds * np.exp(faults.speed * normal))


def choose(
    plan: Plan,
    arm: Arm,
    fold: int,
    round_: int,
    losses: NDArray[np.float64],
    busy: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Choose the participants of a round, seeded: int64 [n], in ascending order.

    Among the devices whose stream goes on, who can be reached and are not busy, a share is chosen:
    at random, or, by `choice = "loss"`, those with the largest last known loss among some random
    candidates (Cho et al. 2022, "Towards understanding biased client selection", their
    power-of-choice with stale losses, pi_rpow-d); a device that never told one comes first. A
    private arm lets each device in by a coin of its own, as its accounting supposes.

    Args:
        plan: the run's.
        arm: the way of learning.
        fold: whose devices.
        round_: the round, from 1.
        losses: float64 [devices of the run], last known, NaN where none is.
        busy: bool [devices of the run], whose update is still on its way.
    """
    devices = plan.folds[fold].devices
    draws = chance.uniforms(plan.scenario.seed, "participants", round_, devices, 1)[:, 0]
    free = plan.goes_on(devices, round_) & available(plan, devices, round_) & ~busy[devices]
    share = 1.0 if arm.participation is None else arm.participation
    if arm.method == "dpfedavg":
        return devices[free & (draws < share)]
    ranked = devices[free][np.argsort(draws[free], kind="stable")]
    if not ranked.size:
        return ranked
    count = max(1, round(share * ranked.size))
    if arm.choice == "loss":
        wider = max(count, round((arm.candidates or 1.0) * ranked.size))
        candidates = ranked[:wider]
        known = np.where(np.isnan(losses[candidates]), np.inf, losses[candidates])
        ranked = candidates[np.argsort(-known, kind="stable")]
    return np.sort(ranked[:count])

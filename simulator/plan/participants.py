"""Who takes part in a round: drawn for every device alike in all arms, then chosen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from clients import chance
from simulator.plan.plan import Plan
from simulator.scenario.scenario import Arm

__all__ = ["choose"]


def choose(
    plan: Plan,
    arm: Arm,
    fold: int,
    round_: int,
    losses: NDArray[np.float64],
    free: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Choose the participants of a round, seeded: int64 [n], in ascending order.

    Among the devices whose stream goes on and who are free, a share is chosen:
    at random, or, by `choice = "loss"`, those with the largest last known loss among some random
    candidates (Cho et al. 2022, "Towards understanding biased client selection", their
    power-of-choice with stale losses, pi_rpow-d); a device that was never
    heard comes first. A private arm lets each device in by a coin of its own, as its accounting
    supposes.

    Args:
        plan: the run's.
        arm: the way of learning.
        fold: whose devices.
        round_: the round, from 1.
        losses: float64 [devices of the run], last known, NaN for those never heard.
        free: bool [devices of the run], who can be reached and has nothing else to do.
    """
    devices = plan.folds[fold].devices
    draws = chance.uniforms(plan.scenario.seed, "participants", round_, devices, 1)[:, 0]
    able = plan.goes_on(devices, round_) & free[devices]
    share = 1.0 if arm.participation is None else arm.participation
    if arm.method == "dpfedavg":
        return devices[able & (draws < share)]
    ranked = devices[able][np.argsort(draws[able], kind="stable")]
    if not ranked.size:
        return ranked
    count = max(1, round(share * ranked.size))
    if arm.choice == "loss":
        wider = max(count, round((arm.candidates or 1.0) * ranked.size))
        candidates = ranked[:wider]
        known = np.where(np.isnan(losses[candidates]), np.inf, losses[candidates])
        ranked = candidates[np.argsort(-known, kind="stable")]
    return np.sort(ranked[:count])

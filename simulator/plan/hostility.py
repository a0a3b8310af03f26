"""Which devices of a run mean harm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clients import chance
from clients.errors import BadScenario
from clients.hostile import Hostile
from simulator.plan.folds import Fold
from simulator.scenario.scenario import Scenario

__all__ = ["hostile_of", "who_is_hostile"]


def who_is_hostile(
    scenario: Scenario, folds: Sequence[Fold], devices: int
) -> NDArray[np.bool_] | None:
    """Draw a share of each fold's devices: bool [devices], or None where nobody means harm.

    Raises:
        BadScenario: the share is none of a fold's devices, or all of them.
    """
    share = scenario.faults.hostile
    if not share:
        return None
    found = np.zeros(devices, np.bool_)
    for fold in folds:
        draws = chance.uniforms(scenario.seed, "hostile", 0, fold.devices, 1)[:, 0]
        count = round(share * fold.devices.size)
        if not 0 < count < fold.devices.size:
            raise BadScenario(
                f"faults.hostile = {share}: of the {fold.devices.size} devices of fold "
                f"{fold.index} that is {'all' if count else 'none'}; give a share that leaves some "
                "of either kind"
            )
        chosen = np.argsort(draws, kind="stable")[:count]
        found[fold.devices[chosen]] = True
    return found


def hostile_of(scenario: Scenario, rows: NDArray[np.bool_]) -> Hostile:
    """Return how some devices, bool [D], do the harm that the scenario says."""
    faults, activities = scenario.faults, scenario.data.activities
    backdoor = faults.attack == "backdoor"
    return Hostile(
        rows=rows,
        attack=faults.attack,
        classes=len(activities),
        scale=faults.attack_scale,
        activity=activities.index(faults.backdoor_activity) if backdoor else -1,
        target=activities.index(faults.backdoor_target) if backdoor else -1,
        trigger=faults.trigger,
    )

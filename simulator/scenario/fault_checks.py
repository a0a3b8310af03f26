"""What the table of faults asks of the rest of a scenario."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from simulator.scenario.built_in import SINGLE_SAMPLES
from simulator.scenario.nearest import meant

if TYPE_CHECKING:
    from simulator.scenario.scenario import Scenario

__all__ = ["check_faults"]


def check_faults(scenario: Scenario) -> Iterator[str]:
    """Refuse attacks for which the scenario leaves no room."""
    faults, data = scenario.faults, scenario.data
    if faults.attack != "backdoor":
        return
    for key in ("backdoor_activity", "backdoor_target"):
        name = getattr(faults, key)
        if name not in data.activities:
            yield (
                f"faults.{key} = {name!r}: none of data.activities: "
                f"{', '.join(data.activities)}{meant(name, data.activities)}"
            )
    if faults.backdoor_activity == faults.backdoor_target:
        yield (
            f"faults.backdoor_target = {faults.backdoor_target!r}: that is the activity itself; "
            "give another one, for which it is to be taken"
        )
    if data.source == "wisdm-v1.1-features" or scenario.model.program in SINGLE_SAMPLES:
        yield (
            'faults.attack = "backdoor": its trigger is stamped on the samples of a window, and '
            f'"{scenario.model.program}" is given none; use a program on windows'
        )

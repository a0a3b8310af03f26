"""What the table of faults asks of the rest of a scenario."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.scenario.scenario import Scenario

__all__ = ["check_faults"]


def check_faults(scenario: Scenario, single_samples: tuple[str, ...]) -> None:
    """Refuse attacks for which the scenario leaves no room.

    Args:
        scenario: all of it.
        single_samples: programs that have no windows.

    Raises:
        ValueError: with the key, what was found, and what is allowed.
    """
    faults, data = scenario.faults, scenario.data
    if faults.attack != "backdoor":
        return
    for key in ("backdoor_activity", "backdoor_target"):
        name = getattr(faults, key)
        if name not in data.activities:
            raise ValueError(
                f"faults.{key} = {name!r}: none of data.activities: {', '.join(data.activities)}"
            )
    if faults.backdoor_activity == faults.backdoor_target:
        raise ValueError(
            f"faults.backdoor_target = {faults.backdoor_target!r}: that is the activity itself; "
            "give another one, for which it is to be taken"
        )
    if data.source == "wisdm-v1.1-features" or scenario.model.program in single_samples:
        raise ValueError(
            'faults.attack = "backdoor": its trigger is stamped on the samples of a window, and '
            f'"{scenario.model.program}" is given none; use a program on windows'
        )

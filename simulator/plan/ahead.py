"""What can be known of a run before its recordings are there, and before TensorFlow is loaded."""

from __future__ import annotations

from simulator.plan.plan import Plan, build_plan
from simulator.scenario.scenario import SINGLE_SAMPLES, Scenario, programs

__all__ = ["plan_ahead"]

_MOST_WINDOWS = 200_000  # of all people, and as many devices: laid out in a second or two


def plan_ahead(scenario: Scenario) -> Plan | None:
    """Lay out a run of generated people and a program that is built in, without their samples.

    How long their recordings are is known, so that rounds, folds and devices are those of the run.

    Returns:
        the plan; None where only a run can tell: people are recorded, the program is a SavedModel,
        or there are so many people that it would take long.

    Raises:
        BadScenario: as `build_plan`.
    """
    data, program = scenario.data, scenario.model.program
    if data.source != "synthetic" or program not in programs() or data.users == "all":
        return None
    people = data.users if isinstance(data.users, int) else len(data.users)
    devices = people if scenario.fleet.devices == "users" else scenario.fleet.devices
    apart_s = 1.0 / data.rate_hz if program in SINGLE_SAMPLES else data.hop_s
    windows = people * len(data.activities) * 60.0 * data.minutes / apart_s
    if max(windows, devices) > _MOST_WINDOWS:
        return None
    return build_plan(scenario, outlined=True)

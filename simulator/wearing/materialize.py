"""The SavedModel of any device of a run, written from its arm's checkpoint."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients.checkpoints import read_checkpoint, write_copy
from clients.device import Device
from clients.errors import BadInput
from clients.methods import Method
from clients.methods.groups import PARAMETERS, SLOTS, Groups, nested
from clients.program import Program
from clients.steps import stack
from simulator.base.arms import habits_of, method_in_round
from simulator.base.base import base_path
from simulator.base.programs import need_new
from simulator.cohort.checkpoint import Found, find_device, read_shared
from simulator.folder.store import RunFolder
from simulator.plan.plan import Plan
from simulator.scenario.arm import Arm
from simulator.scenario.file import read_scenario
from simulator.wearing.sittings import plan_of_run

__all__ = ["materialize"]


def materialize(run: Path, arm_name: str, device: str, out: Path, *, trusted: bool = False) -> None:
    """Write a device's SavedModel, as it would answer its user after the last checkpoint.

    Args:
        run: a run folder.
        arm_name: an arm of the run.
        device: the device's id.
        out: a folder that is not there yet.
        trusted: whether the run's program may hold ops that can do more than compute.

    Raises:
        BadInput: there is no such arm or device, or `out` is there already.
    """
    need_new(out)
    scenario = read_scenario(run / "scenario.toml")
    arms = {arm.name: arm for arm in scenario.arms}
    if arm_name not in arms:
        raise BadInput(f"arm {arm_name!r}: {run} has the arms {', '.join(arms)}")
    arm, folder = arms[arm_name], RunFolder(run).checkpoints(arm_name)
    found = find_device(folder, device)
    arm = arm.in_fold(found.fold)
    source = base_path(run / "base", found.fold, scenario, arm.optimizer)
    program = Program(source, trusted=trusted)
    program.become(source, read_checkpoint(source) | found.variables)
    # The resolved scenario names what an arm keeps private, so no program's parts are needed.
    method = method_in_round(arm, found.round_)
    state = program.read_state()
    if found.shares:
        shared = nested(read_shared(found.folder), method.offer({}))
        if method.looks:
            plan = plan_of_run(run, trusted=trusted)
            state = _looking(plan, arm, device, program, method, found, shared)
        else:
            program.assign_parameters(_answering(program, method, found, shared))
            state = program.read_state()
    unfinished = out.with_name(f".{out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    write_copy(source, unfinished, state)
    unfinished.rename(out)


def _answering(
    program: Program, method: Method, found: Found, shared: Groups
) -> dict[str, NDArray[Any]]:
    """Return the parameters with which a device answers, once it has what the server shares."""
    pure = program.read_pure()
    own = {**stack({PARAMETERS: pure.params, SLOTS: pure.slots}), **found.apart}
    begun = method.begin(stack(shared), own, None)
    return {name: np.asarray(value)[0] for name, value in begun[PARAMETERS].items()}


def _looking(
    plan: Plan,
    arm: Arm,
    name: str,
    program: Program,
    method: Method,
    found: Found,
    shared: Groups,
) -> dict[str, NDArray[Any]]:
    """Return the variables of a device that looks into its memory first; its data are read anew."""
    numbers = plan.folds[found.fold].devices
    number = next(number for number in numbers if plan.name_of(number) == name)
    habits = habits_of(
        plan.scenario,
        arm,
        series=plan.population.series,
        least=plan.population.form.least,
        whole_questions=program.whole_questions,
    )
    device = Device(plan.wear(np.array([number])), habits, program, method)
    device.restore(found.state)
    return device.state(method, shared, found.round_)

"""The SavedModel of any device of a run, written from its arm's checkpoint."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients.checkpoints import read_checkpoint, write_copy
from clients.errors import BadInput
from clients.methods.groups import PARAMETERS, SLOTS, nested
from clients.program import Program
from clients.steps import stack
from simulator.arm import Arm
from simulator.arms import method_in_round
from simulator.base import base_path
from simulator.checkpoint import Found, find_device, read_server
from simulator.programs import need_new
from simulator.scenario import Scenario
from simulator.store import RunFolder

__all__ = ["materialize"]


def materialize(run: Path, arm_name: str, device: str, out: Path) -> None:
    """Write a device's SavedModel, as it would answer its user after the last checkpoint.

    Args:
        run: a run folder.
        arm_name: an arm of the run.
        device: the device's id.
        out: a folder that is not there yet.

    Raises:
        BadInput: there is no such arm or device, or `out` is there already.
    """
    need_new(out)
    scenario = Scenario.model_validate(tomllib.loads((run / "scenario.toml").read_text()))
    arms = {arm.name: arm for arm in scenario.arms}
    if arm_name not in arms:
        raise BadInput(f"arm {arm_name!r}: {run} has the arms {', '.join(arms)}")
    arm, folder = arms[arm_name], RunFolder(run).checkpoint(arm_name)
    found = find_device(folder, device)
    arm = arm.in_fold(found.fold)
    source = base_path(run / "base", found.fold, scenario, arm.optimizer)
    program = Program(source)
    program.become(source, read_checkpoint(source) | found.variables)
    if found.shares:
        program.assign_parameters(_answering(program, arm, found, folder))
    unfinished = out.with_name(f".{out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    write_copy(source, unfinished, program.read_state())
    unfinished.rename(out)


def _answering(program: Program, arm: Arm, found: Found, folder: Path) -> dict[str, NDArray[Any]]:
    """Return the parameters with which a device answers, once it has what the server shares."""
    server = read_server(folder, found.fold, found.round_)
    start = "shared/"
    shared = {k.removeprefix(start): v for k, v in server.items() if k.startswith(start)}
    # The resolved scenario names what an arm keeps private, so no program's parts are needed.
    method = method_in_round(arm, found.round_)
    pure = program.read_pure()
    own = {PARAMETERS: pure.params, SLOTS: pure.slots, **found.apart}
    begun = method.begin(stack(nested(shared, method.offer({}))), stack(own), None)
    return {name: np.asarray(value)[0] for name, value in begun[PARAMETERS].items()}

"""Methods of other packages take a step before a run begins, so that it does not end in one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from clients.methods.groups import flat
from clients.plugin_checks import unlike
from clients.plugins import METHODS, faulty
from clients.program import Program
from clients.steps import Apart, take_of
from simulator.base.arms import method_in_round
from simulator.base.prepared import Parts
from simulator.scenario.plugins import method_plugin
from simulator.scenario.scenario import Scenario

__all__ = ["try_methods"]

_WINDOWS = 2


def try_methods(scenario: Scenario, program: Program, parts: Parts, least: int) -> None:
    """Let one device go through a round of each method that another package adds.

    Args:
        scenario: of the run.
        program: the base model; it is afterwards as it was.
        parts: of it.
        least: fewest windows that it takes.

    Raises:
        BadInput: a method fails, or returns what devices cannot be.
    """
    rows = max(_WINDOWS, least)
    windows, labels = np.arange(rows, dtype=np.int32), np.zeros(rows, np.int32)

    def read(some: NDArray[np.int32]) -> NDArray[np.float32]:
        return np.zeros((len(some), program.length, program.channels), np.float32)

    before = program.read_state()
    for arm in scenario.arms:
        if method_plugin(arm.method) is None:
            continue
        method = method_in_round(arm, 1, parts)
        offered = method.offer(program.read_parameters())
        apart = Apart(program, method, 0.5)
        take = None
        if method.looks:
            take = take_of(program, method, program.read_pure().carried, read, windows, labels)
        if method.downloads != "nobody":
            apart.become(method, offered, take)
        if method.learns != "nobody" and not method.plain:
            apart.learn(method, offered, read)(windows, labels, 0)
        sent, _ = apart.end(method, offered)
        wanted = {"what is sent": {name: np.asarray(v)[None] for name, v in flat(offered).items()}}
        told = unlike({"what is sent": flat(sent)}, wanted) if method.uploads else ""
        if told:
            raise faulty(METHODS, arm.method, f"its end sends what {told}, as its offer has it")
        program.assign_state(before)

"""How the devices of a cohort are computed: stacked in blocks, or one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from clients.checkpoints import read_checkpoint
from clients.lent import Lender, Lent
from clients.methods import Arrays, Method
from clients.methods.groups import Groups
from clients.outcome import Outcome, Sent
from clients.program import Program
from clients.wear import Exam, Wear
from simulator.base.arms import habits_of_arm, method_in_round
from simulator.base.prepared import Prepared
from simulator.engine.compiled import Compiled
from simulator.engine.onebyone import OneByOne
from simulator.engine.rules import Rules
from simulator.engine.stacked import Stacked
from simulator.plan.plan import Plan
from simulator.scenario.scenario import Arm, Scenario
from simulator.scenario.sections import Model

__all__ = ["Devices", "Engines"]


class Devices(Protocol):
    """The devices of one cohort, however they are computed."""

    def begin(
        self, method: Method, shared: Groups, downloads: NDArray[np.bool_], round_: int
    ) -> None:
        """Take in what the server sent to those who download it, bool [D]."""
        ...

    def work(
        self,
        round_: int,
        learns: NDArray[np.bool_],
        method: Method,
        shared: Groups,
        until: NDArray[np.float64] | None = None,
    ) -> Outcome:
        """Work through the questions of one round.

        Answers lead to steps where `learns`, bool [D], and up to a share `until` of the round.
        """
        ...

    def updates(self, method: Method, shared: Groups, uploads: NDArray[np.bool_]) -> Iterator[Sent]:
        """Give what devices send to the server, some at a time."""
        ...

    def score_holdout(
        self, method: Method, shared: Groups | None, round_: int, exam: Exam
    ) -> NDArray[np.int64]:
        """Score the windows that are never learnt: int64 [D, K, K]."""
        ...

    def state(
        self, method: Method, shared: Groups | None, row: int, round_: int
    ) -> dict[str, NDArray[Any]]:
        """Return the variables of one device's SavedModel by their names in the checkpoint."""
        ...

    def allow(self, budget: NDArray[np.int64]) -> None:
        """Let each device, int64 [D], ask so many questions a round."""
        ...

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Return all that the devices are, as named arrays [D, ...]."""
        ...

    def restore(self, snapshot: Arrays) -> None:
        """Become what a snapshot of the same devices holds."""
        ...


class Engines:
    """Makes the devices of cohorts; loaded programs serve again in later arms and seeds."""

    def __init__(self) -> None:
        self._compiled: dict[tuple[str, str, int], Compiled] = {}
        self._pools: dict[tuple[str, str], list[Program]] = {}
        self._graph: tuple[Any, ...] = ()
        self._usual = ""
        self._trusted = False

    @property
    def compiled_s(self) -> float:
        """Seconds spent inside compiled calls so far, compiling left out."""
        return sum(compiled.seconds for compiled in self._compiled.values())

    def open(self, plan: Plan, prepared: Prepared, arm: Arm) -> Callable[[Wear], Devices]:
        """Return what gives every device of a cohort a fresh start in one arm.

        The devices that it made before must no longer be used.

        Args:
            plan: the run's.
            prepared: what the devices of one fold start with.
            arm: the way of learning.
        """
        self._renew(plan)
        scenario = plan.scenario
        habits = habits_of_arm(plan, prepared, arm)
        largest = plan.largest_cohort
        tile = min(prepared.tile(scenario.fleet.tile, largest), largest)
        stacks = scenario.fleet.engine == "fleet"
        heuristic, method = prepared.heuristic, method_in_round(arm, 1, prepared.parts)
        if arm.method == "heuristic" and heuristic is not None:
            if stacks:
                return lambda wear: Stacked(wear, habits, Rules(heuristic), method, largest)
            return lambda wear: OneByOne(wear, habits, [heuristic] * len(wear), method)
        optimizer = arm.optimizer or scenario.model.optimizer
        path = prepared.paths[optimizer]
        pool = self._pools.setdefault((prepared.program, optimizer), [])
        state = read_checkpoint(path)
        programs = _programs(pool, path, state, arm.learning_rate, self._trusted)
        if not stacks:
            return lambda wear: OneByOne(wear, habits, list(islice(programs, len(wear))), method)
        program = next(programs)
        if program.functions is None:
            lender, fresh = Lender(program), program.read_state()
            return lambda wear: OneByOne(
                wear, habits, [Lent(lender, fresh) for _ in wear.names], method
            )
        place = (prepared.program, optimizer, tile)
        compiled = self._compiled.setdefault(place, Compiled(program, tile))
        return lambda wear: Stacked(wear, habits, compiled, method, largest)

    def program(self, prepared: Prepared, arm: Arm) -> Program:
        """Load a program for one learner that is no device."""
        path = prepared.paths[arm.optimizer or self._usual]
        state = read_checkpoint(path)
        return next(_programs([], path, state, arm.learning_rate, self._trusted))

    def _renew(self, plan: Plan) -> None:
        """Forget loaded programs whose graph is not that of a plan's programs."""
        pool, scenario = plan.pool, plan.scenario
        graph = (
            _of_graphs(scenario),
            scenario.learning.loss,
            pool.length,
            pool.channels,
            tuple(scenario.data.activities),
            plan.trusted,
        )
        self._usual, self._trusted = scenario.model.optimizer, plan.trusted
        if graph != self._graph:
            self._compiled, self._pools, self._graph = {}, {}, graph


def _programs(
    pool: list[Program], path: Path, state: Arrays, learning_rate: float | None, trusted: bool
) -> Iterator[Program]:
    """Yield loaded SavedModels, each new; those that were loaded before come first."""
    for number in count():
        if number == len(pool):
            pool.append(Program(path, trusted=trusted))
        program = pool[number]
        program.become(path, state)
        if learning_rate is not None:
            program.set_learning_rate(learning_rate)
        yield program


def _of_graphs(scenario: Scenario) -> Model:
    """Return what a scenario says of programs, but for which of them they are."""
    return scenario.model.model_copy(update={"program": "", "candidates": [], "chosen": []})

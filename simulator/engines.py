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
from clients.outcome import Outcome
from clients.program import Program
from clients.wear import Wear
from simulator.arms import habits_of
from simulator.compiled import Compiled
from simulator.onebyone import OneByOne
from simulator.plan import Plan
from simulator.prepared import Prepared
from simulator.rules import Rules
from simulator.scenario import Arm
from simulator.stacked import Stacked

__all__ = ["Devices", "Engines"]


class Devices(Protocol):
    """The devices of one cohort, however they are computed."""

    def begin(self, method: Method, shared: Arrays, downloads: NDArray[np.bool_]) -> None:
        """Take in what the server sent to those who download it, bool [D]."""
        ...

    def work(self, round_: int, learns: NDArray[np.bool_]) -> Outcome:
        """Work through the questions of one round; answers lead to steps where `learns` [D]."""
        ...

    def updates(
        self, method: Method, uploads: NDArray[np.bool_]
    ) -> Iterator[tuple[NDArray[np.int64], Arrays]]:
        """Give what devices send to the server: rows [n] and stacked arrays [n, ...]."""
        ...

    def score_holdout(self, method: Method, shared: Arrays | None) -> NDArray[np.int64]:
        """Score the windows that are never learnt: int64 [D, K, K]."""
        ...

    def state(self, method: Method, shared: Arrays | None, row: int) -> dict[str, NDArray[Any]]:
        """Return the variables of one device's SavedModel by their names in the checkpoint."""
        ...

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Return all that the devices are, as named arrays [D, ...]."""
        ...


class Engines:
    """Makes the devices of cohorts; loaded programs serve again in later arms and seeds."""

    def __init__(self) -> None:
        self._compiled: dict[tuple[str, int], Compiled] = {}
        self._pools: dict[str, list[Program]] = {}
        self._graph: tuple[Any, ...] = ()

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
        habits = habits_of(
            scenario,
            arm,
            series=plan.population.series,
            least=plan.population.form.least,
            whole_questions=prepared.whole_questions,
        )
        largest = plan.largest_cohort
        tile = min(prepared.tile(scenario.fleet.tile, largest), largest)
        stacks = scenario.fleet.engine == "fleet"
        heuristic = prepared.heuristic
        if arm.method == "heuristic" and heuristic is not None:
            if stacks:
                return lambda wear: Stacked(wear, habits, Rules(heuristic), largest)
            return lambda wear: OneByOne(wear, habits, [heuristic] * len(wear))
        optimizer = arm.optimizer or scenario.model.optimizer
        path = prepared.paths[optimizer]
        pool = self._pools.setdefault(optimizer, [])
        state = read_checkpoint(path)
        programs = _programs(pool, path, state, arm.learning_rate)
        if not stacks:
            return lambda wear: OneByOne(wear, habits, list(islice(programs, len(wear))))
        program = next(programs)
        if program.functions is None:
            lender, fresh = Lender(program), program.read_state()
            return lambda wear: OneByOne(wear, habits, [Lent(lender, fresh) for _ in wear.names])
        compiled = self._compiled.setdefault((optimizer, tile), Compiled(program, tile))
        return lambda wear: Stacked(wear, habits, compiled, largest)

    def _renew(self, plan: Plan) -> None:
        """Forget loaded programs whose graph is not that of a plan's programs."""
        pool, scenario = plan.pool, plan.scenario
        graph = (scenario.model, pool.length, pool.channels, tuple(scenario.data.activities))
        if graph != self._graph:
            self._compiled, self._pools, self._graph = {}, {}, graph


def _programs(
    pool: list[Program], path: Path, state: Arrays, learning_rate: float | None
) -> Iterator[Program]:
    """Yield loaded SavedModels, each new; those that were loaded before come first."""
    for number in count():
        if number == len(pool):
            pool.append(Program(path))
        program = pool[number]
        program.become(path, state)
        if learning_rate is not None:
            program.set_learning_rate(learning_rate)
        yield program

"""Whether a SavedModel that is given as a scenario's program can do what the scenario wants."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from clients.errors import BadScenario
from simulator.scenario.arm import Arm
from simulator.scenario.scenario import Scenario
from simulator.scenario.ways import keeps_private

if TYPE_CHECKING:
    from clients.program import Program

__all__ = ["check_given", "lacks_private"]


def check_given(scenario: Scenario, program: Program) -> None:
    """Refuse, before any data are read, wishes that a SavedModel cannot fulfil.

    Args:
        scenario: that names it.
        program: the SavedModel, loaded.

    Raises:
        BadScenario: the scenario wants another base, loss or learning rate, or does not say which
            parameters stay private.
        BadProgram: it has too few classes, other logits or another table of activities.
    """
    from clients.trial import check_classes  # TensorFlow, which the program needs anyway

    given = program.path
    if scenario.model.base != "random":
        raise BadScenario(
            f"model.base = {scenario.model.base!r} with the SavedModel {given} as program: its own "
            'values are the base; set model.base = "random" to say so'
        )
    if scenario.learning.loss != "balanced":
        raise BadScenario(
            f'learning.loss = "{scenario.learning.loss}": {given} brings its own; take the key out'
        )
    for arm in scenario.arms:
        if arm.learning_rate is not None and not program.has_learning_rate:
            raise BadScenario(
                f"arms.{arm.name}.learning_rate = {arm.learning_rate}: {given} has no variable for "
                "it (slots/learning_rate, as built-in programs do): take it out of the arm"
            )
        if keeps_private(arm.method) and not arm.private:
            raise lacks_private(arm, scenario.model.program, program.parameters)
    check_classes(program, scenario.stream.batch, scenario.data.activities)


def lacks_private(arm: Arm, program: str, parameters: Iterable[str]) -> BadScenario:
    """Say that an arm must name what its devices keep, where the program does not."""
    names = list(parameters)
    return BadScenario(
        f"arms.{arm.name}.private: missing; the program {program!r} does not say which of its "
        f'parameters ({", ".join(names)}) method "{arm.method}" keeps on the device: give '
        f'patterns, such as private = ["{names[-1] if names else "head/*"}"]'
    )

"""What arms ask of each other, and of the rest of a scenario."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from clients.containment import is_file_name
from simulator.scenario.arm import Arm
from simulator.scenario.built_in import programs
from simulator.scenario.nearest import meant

if TYPE_CHECKING:
    from simulator.scenario.scenario import Scenario

__all__ = ["check_arms"]

_SUFFIXES = (".parquet", ".unfinished")  # of files beside the folders that arms have


def check_arms(scenario: Scenario) -> Iterator[str]:
    """Refuse arms that cannot be told apart or compared."""
    names = [arm.name for arm in scenario.arms]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        yield (f"arms: the name {twice[0]!r} is used twice; give each arm its own")
    yield from _check_file_names(names)
    if scenario.baseline and scenario.baseline not in names:
        yield (
            f"baseline: {scenario.baseline!r} is no arm; arms: {', '.join(names)}"
            f"{meant(scenario.baseline, names)}"
        )
    for arm in scenario.arms:
        if arm.optimizer is not None and scenario.model.program not in programs():
            yield (
                f"arms.{arm.name}.optimizer: the SavedModel {scenario.model.program} brings its "
                "own; take the key out of the arm"
            )
        yield from _check_arm(scenario, arm)
        if arm.method == "heuristic" and scenario.labels.ask == "uncertain":
            yield (
                f'labels.ask = "uncertain": arm "{arm.name}" is a heuristic, which gives no logits '
                "to be uncertain by; take the arm out, or ask at random"
            )
        if arm.method == "heuristic" and not scenario.split.has_donors:
            yield (
                f'arms: "{arm.name}" takes its thresholds from donors, and split.folds = 1 leaves '
                "none: set split.folds = 2 or split.donors, or take the arm out"
            )


def _check_file_names(names: Sequence[str]) -> Iterator[str]:
    """Refuse names of arms that are no names of files, or that one file system takes for one."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            yield (
                f"arms: the names {other!r} and {name!r} differ in capitals alone, and are one "
                "folder on some file systems; give them names that differ otherwise"
            )
        if not is_file_name(name) or name.endswith(_SUFFIXES):
            yield (
                f"arms: the name {name!r} is no name of a folder of the run; expected letters, "
                f"digits and _.- that do not end in {' or '.join(_SUFFIXES)}"
            )


def _check_arm(scenario: Scenario, arm: Arm) -> Iterator[str]:
    """Refuse keys of an arm that the rest of the scenario leaves no room for."""
    folds, seeds, place = scenario.split.folds, len(scenario.tuning), f"arms.{arm.name}"
    if arm.tuned is not None and len(arm.tuned) != folds * max(1, seeds):
        each = f" and the {seeds} seeds of `tuning`" if seeds else ""
        yield (
            f"{place}.tuned: {len(arm.tuned)} tables for split.folds = {folds}{each}; "
            "give one for each fold" + (" of each seed" if seeds else "")
        )
    if arm.tuned is None:
        yield from _check_steps(scenario, arm, place)
    for index in range(len(arm.tuned or [])):
        yield from _check_steps(scenario, arm.in_fold(index), f"{place}.tuned[{index + 1}]")


def _check_steps(scenario: Scenario, arm: Arm, place: str) -> Iterator[str]:
    """Refuse steps and a memory that leave nothing to the arm's method."""
    steps = scenario.learning.steps if arm.steps is None else arm.steps
    if arm.method == "fedrep" and arm.option("head_steps") >= steps:
        yield (
            f"{place}: head_steps = {arm.option('head_steps')}: the head takes so many of "
            f"the {steps} steps that an answer leads to, and the shared layers the others; give "
            f"fewer, or more steps"
        )
    if arm.method in ("qfedavg", "perfedavg", "ifca"):
        memory = scenario.learning.memory if arm.memory is None else arm.memory
        if not memory:
            yield (
                f'{place}: memory = 0: method "{arm.method}" looks into the memory when a '
                "round begins; give it room"
            )

"""The base model of a fold: trained on its donors, drawn at random, or given."""

from __future__ import annotations

import shutil
from collections.abc import Set
from dataclasses import replace
from fnmatch import fnmatchcase as fnmatch
from pathlib import Path
from typing import Any

import numpy as np

from clients.device import score_questions
from clients.errors import BadScenario
from clients.export import Blueprint, export_program
from clients.heuristic import Heuristic
from clients.methods import Arrays
from clients.methods.groups import flat
from clients.program import Program
from clients.windows import cut_windows, read_windows
from simulator.base.arms import method_in_round
from simulator.base.choice import choose_program
from simulator.base.origin import Origin, blueprint_of, origin_of
from simulator.base.prepared import Parts, Prepared
from simulator.base.thresholds import calibrate
from simulator.base.trial import try_methods
from simulator.plan.plan import Fold, Plan
from simulator.plan.population import donated_windows
from simulator.scenario.given import lacks_private
from simulator.scenario.options import PLAIN
from simulator.scenario.scenario import Scenario, programs
from simulator.scenario.ways import keeps_private

__all__ = ["base_path", "prepare"]

_SCORE_BATCH = 256
_OF_SAVED_MODEL = ("saved_model.pb", "fingerprint.pb", "variables", "assets")
_NORMS = ("norm*/*",)  # what built-in programs call the parameters that normalise features


def prepare(plan: Plan, fold: Fold, folder: Path) -> Prepared:
    """Make a fold's base model and write it as SavedModels, one for each optimizer of the arms.

    Args:
        plan: the run's plan.
        fold: whose donors train it.
        folder: the SavedModels become `fold-<n>` or `fold-<n>-<optimizer>` in it.

    Raises:
        BadProgram: a SavedModel that was given breaks the contract.
        BadScenario: it does not fit the data.
    """
    scenario = plan.scenario.of_fold(fold.index)
    scores: dict[str, float] = {}
    if scenario.model.candidates and not scenario.model.chosen:
        best, scores = choose_program(plan, fold)
        carried = scenario.model.model_copy(update={"program": best})
        scenario = scenario.model_copy(update={"model": carried})
    folder.mkdir(parents=True, exist_ok=True)
    parts, blueprint = Parts(), None
    if scenario.model.program in programs():
        blueprint = blueprint_of(scenario, plan.population.length, plan.population.channels)
        model = blueprint.model()
        params = model.init(np.random.default_rng(0))
        parts = Parts(model.head, _NORMS if any(fnmatch(name, *_NORMS) for name in params) else ())
        _check_shared(scenario, params, parts)
        origin = origin_of(plan, fold, blueprint)
        paths = _export(scenario, blueprint, origin, folder, fold.index)
    else:
        origin = Origin(None, None, None, None)
        usual = scenario.model.optimizer
        paths = {usual: base_path(folder, fold.index, scenario, usual)}
        given = Program(Path(scenario.model.program), trusted=plan.trusted)
        _check_shared(scenario, given.read_parameters(), parts)
        _copy_given(given.path, paths[usual])
    program = Program(paths[scenario.model.optimizer], trusted=plan.trusted)
    _check_fit(plan, program)
    _check_pure(scenario, program)
    try_methods(scenario, program, parts, plan.population.form.least)
    if scenario.labels.ask == "uncertain" and not program.has_logits:
        raise BadScenario(
            f'labels.ask = "uncertain": {scenario.model.program} gives no logits to be uncertain '
            "by; ask at random or for all"
        )
    return Prepared(
        fold.index,
        scenario.model.program,
        paths,
        program.read_parameters(),
        parts,
        program.whole_questions,
        _heuristic(plan, fold),
        _unseen(plan, fold, program, origin.seen),
        origin.steps,
        origin.validation_accuracy,
        scores,
        calibrate(plan, fold, blueprint, origin.steps),
    )


def base_path(folder: Path, fold: int, scenario: Scenario, optimizer: str | None) -> Path:
    """Return where the base model of a fold lies, with the optimizer that an arm asks for."""
    usual = optimizer in (None, scenario.model.optimizer)
    return folder / (f"fold-{fold}" if usual else f"fold-{fold}-{optimizer}")


def _export(
    scenario: Scenario, blueprint: Blueprint, origin: Origin, folder: Path, fold: int
) -> dict[str, Path]:
    """Write a built-in program with each optimizer that an arm asks for."""
    assert origin.params is not None
    asked = {arm.optimizer for arm in scenario.arms} - {None}
    optimizers = sorted(filter(None, asked | {scenario.model.optimizer}))
    paths = {o: base_path(folder, fold, scenario, o) for o in optimizers}
    for optimizer, own in paths.items():
        with_optimizer = replace(blueprint, optimizer=optimizer)
        export_program(with_optimizer, origin.params, origin.mean, origin.scale, own)
    return paths


def _copy_given(given: Path, path: Path) -> None:
    """Take a SavedModel as it is."""
    for name in _OF_SAVED_MODEL:
        if (given / name).is_dir():
            shutil.copytree(given / name, path / name)
        elif (given / name).is_file():
            path.mkdir(parents=True, exist_ok=True)
            shutil.copy2(given / name, path / name)


def _check_pure(scenario: Scenario, program: Program) -> None:
    """Refuse arms whose steps are not those of a program that offers no other."""
    for arm in scenario.arms:
        method = method_in_round(arm, 1)
        if program.functions is None and (method.looks or not method.plain):
            raise BadScenario(
                f'arms.{arm.name}.method = "{arm.method}": its steps need gradients, and '
                f"{scenario.model.program} offers `learn` and `predict` alone; use a built-in "
                f"program, or a method of plain steps: {', '.join(PLAIN)}"
            )
        memory = scenario.learning.memory if arm.memory is None else arm.memory
        if method.looks and not memory:
            raise BadScenario(
                f'arms.{arm.name}: memory = 0: method "{arm.method}" looks into the memory when a '
                "round begins; give it room"
            )


def _check_fit(plan: Plan, program: Program) -> None:
    """Refuse a program that does not fit the data."""
    length, channels = plan.population.length, plan.population.channels
    if (program.length, program.channels) != (length, channels):
        raise BadScenario(
            f"model.program: {plan.scenario.model.program} takes windows of {program.length} x "
            f"{program.channels}; the data gives {length} x {channels}: change "
            "data.window_s, data.rate_hz or the program"
        )
    batch, memory = plan.scenario.stream.batch, plan.scenario.learning.memory
    rehearse = plan.scenario.learning.rehearse
    if program.whole_questions and rehearse != "auto":
        raise BadScenario(
            f"learning.rehearse = {rehearse}: {plan.scenario.model.program} rehearses one whole "
            'question in each step; give learning.rehearse = "auto"'
        )
    for arm in plan.scenario.arms:
        own = memory if arm.memory is None else arm.memory
        learns = method_in_round(arm, 1).learns != "nobody"
        if learns and program.whole_questions and 0 < own < batch:
            key = "learning.memory" if arm.memory is None else f"arms.{arm.name}.memory"
            raise BadScenario(
                f"{key} = {own}: {plan.scenario.model.program} rehearses whole questions, and one "
                f"has stream.batch = {batch} windows; give room for some of each activity, such as "
                f"{batch * 8 * len(plan.scenario.data.activities)}, or 0 to rehearse nothing"
            )


def _check_shared(scenario: Scenario, params: Arrays, parts: Parts) -> None:
    """Refuse private parameters that leave nothing to share, or that are none."""
    for arm in scenario.arms:
        if not keeps_private(arm.method):
            continue
        patterns = list(arm.private or parts.of(arm.method))
        if not patterns:
            raise lacks_private(arm, scenario.model.program, params)
        shared = flat(method_in_round(arm, 1, parts).offer(params))
        if not shared or len(shared) == len(params):
            raise BadScenario(
                f"arms.{arm.name}.private = {patterns}: {'none' if shared else 'all'} of the "
                f"program's parameters would stay on the device ({', '.join(params)}); give "
                "patterns that match some of them"
            )


def _heuristic(plan: Plan, fold: Fold) -> Heuristic | None:
    """Set the thresholds of the heuristic arm, if there is one, from the fold's donors."""
    if not any(arm.method == "heuristic" for arm in plan.scenario.arms):
        return None
    population, activities = plan.population, plan.scenario.data.activities
    length, hop = population.length, population.hop
    if population.series:  # samples are looked at together, as a question brings them
        length = hop = plan.scenario.stream.batch
    donated = donated_windows(
        population,
        activities,
        fold.donors,
        length=length,
        hop=hop,
        without=plan.scenario.withheld,
    )
    return Heuristic(
        donated.x,
        donated.labels,
        classes=len(activities),
        rate_hz=plan.scenario.data.rate_hz,
    )


def _unseen(plan: Plan, fold: Fold, program: Program, seen: Set[str] | None) -> dict[str, Any]:
    """Score the untouched base model on all windows of users that it never saw."""
    scenario, population = plan.scenario, plan.population
    by_question = population.series or program.whole_questions
    least = population.form.least if by_question else 1
    batch = scenario.stream.batch if by_question else _SCORE_BATCH
    counted = {}
    for user in fold.wearers:
        if seen is not None and user not in seen:
            withheld = scenario.withheld  # nobody could know them
            recordings = [r for r in population.recordings[user] if r.activity not in withheld]
            if not recordings:
                continue
            windows = cut_windows(
                recordings, scenario.data.activities, length=population.length, hop=population.hop
            )
            questions = [windows.take(question) for question in windows.questions(batch, least)]
            counted[user] = score_questions(
                program,
                (read_windows(recordings, question) for question in questions),
                (question.label for question in questions),
                len(scenario.data.activities),
            )
    return counted

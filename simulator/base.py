"""The base model of a fold: trained on its donors, drawn at random, or given."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from clients import chance
from clients.augment import Augmentation
from clients.device import score_windows
from clients.donors import Donated
from clients.errors import BadScenario
from clients.export import Blueprint, export_program
from clients.heuristic import Heuristic
from clients.models import MODELS
from clients.program import Program
from clients.training import SPAN, Base, Recipe, train_base
from clients.windows import cut_windows
from simulator.plan import Fold, Plan, Population, Prepared, donated_windows
from simulator.scenario import Scenario

__all__ = ["blueprint_of", "prepare", "recipe_of", "training_spans"]


def blueprint_of(scenario: Scenario, length: int, channels: int) -> Blueprint:
    """Return what a scenario's built-in program is made of."""
    model = scenario.model
    return Blueprint(
        model.program,
        length,
        channels,
        tuple(scenario.data.activities),
        model.optimizer,
        model.learning_rate,
    )


def recipe_of(scenario: Scenario) -> Recipe:
    """Return how a scenario trains its base model."""
    training = scenario.training
    return Recipe(
        steps=training.steps,
        look_every=min(training.look_every, training.steps),
        patience=training.patience,
        batch=training.batch,
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay,
        average=training.average,
        validation=training.validation,
        refit=training.refit,
        augmentation=Augmentation(training.warp, training.tilt_deg, training.gain, training.noise),
    )


def training_spans(scenario: Scenario, population: Population, users: Sequence[str]) -> Donated:
    """Read what donors gave for training: spans somewhat longer than a window, that overlap."""
    length, hop = population.length, 1
    if length > 1:
        length = round(length * SPAN)
        hop = max(1, round(scenario.training.hop_s * scenario.data.rate_hz))
    return donated_windows(population, scenario.data.activities, users, length=length, hop=hop)


def prepare(plan: Plan, fold: Fold, folder: Path) -> Prepared:
    """Make a fold's base model and write it as a SavedModel.

    Args:
        plan: the run's plan.
        fold: whose donors train it.
        folder: the SavedModel becomes `fold-<n>` in it.

    Raises:
        BadProgram: a SavedModel that was given breaks the contract.
        BadScenario: it does not fit the data.
    """
    scenario, path = plan.scenario, folder / f"fold-{fold.index}"
    length, channels = plan.population.length, plan.population.channels
    folder.mkdir(parents=True, exist_ok=True)
    seen: set[str] | None = set()
    trained: Base | None = None
    head: tuple[str, ...] = ()
    if scenario.model.program in MODELS:
        blueprint = blueprint_of(scenario, length, channels)
        head = blueprint.model().head
        if scenario.model.base == "donors":
            trained = _train(plan, fold, blueprint)
            export_program(blueprint, trained.params, trained.mean, trained.scale, path)
        elif scenario.model.base == "random":
            random = chance.generator(scenario.seed, "base", fold.index)
            params = blueprint.model().init(random)
            export_program(
                blueprint,
                params,
                np.zeros(plan.population.channels),
                np.ones(plan.population.channels),
                path,
            )
        else:
            seen = _take_over(blueprint, Path(scenario.model.base), path)
    else:
        _check_given(scenario)
        seen = None
        Program(Path(scenario.model.program))
        shutil.copytree(scenario.model.program, path)
    program = Program(path)
    _check_fit(plan, program)
    return Prepared(
        fold.index,
        path,
        program.read_parameters(),
        head,
        _heuristic(plan, fold),
        _unseen(plan, fold, program, seen),
        trained.steps if trained else 0,
        trained.validation_accuracy if trained else None,
    )


def _train(plan: Plan, fold: Fold, blueprint: Blueprint) -> Base:
    """Train the base model of one fold on its donors."""
    scenario = plan.scenario
    donated = training_spans(scenario, plan.population, fold.donors)
    random = chance.generator(scenario.seed, "training", fold.index)
    return train_base(blueprint, donated, recipe_of(scenario), random)


def _take_over(blueprint: Blueprint, given: Path, path: Path) -> set[str] | None:
    """Export the parameters of a trained SavedModel anew; return who was seen, if known."""
    program = Program(given)
    state = program.read_state()
    wanted = {name: value.shape for name, value in blueprint.model().init(_ANY).items()}
    found = {name: value.shape for name, value in program.read_parameters().items()}
    if wanted != found or "mean" not in state:
        raise BadScenario(
            f'model.base: {given} is no trained "{blueprint.program}" for windows of '
            f"{blueprint.length} x {blueprint.channels} and {len(blueprint.activities)} activities "
            f"(parameters found: {found}; expected: {wanted}); train one by `wearfleet model train`"
        )
    export_program(blueprint, program.read_parameters(), state["mean"], state["scale"], path)
    notes = given / "assets.extra" / "training.json"
    return set(json.loads(notes.read_text())["users"]) if notes.is_file() else None


_ANY = np.random.default_rng(0)  # shapes do not depend on it


def _check_given(scenario: Scenario) -> None:
    """Refuse ways to a base model that a given SavedModel does not have."""
    if scenario.model.base != "random":
        raise BadScenario(
            f"model.base = {scenario.model.base!r} with the SavedModel {scenario.model.program} as "
            'program: its own values are the base; set model.base = "random" to say so'
        )


def _check_fit(plan: Plan, program: Program) -> None:
    """Refuse a program that does not fit the data."""
    length, channels = plan.population.length, plan.population.channels
    if (program.length, program.channels) != (length, channels):
        raise BadScenario(
            f"model.program: {program.path} takes windows of {program.length} x "
            f"{program.channels}; the data gives {length} x {channels}: change "
            "data.window_s, data.rate_hz or the program"
        )
    activities = tuple(plan.scenario.data.activities)
    if program.activities is not None and program.activities != activities:
        raise BadScenario(
            f"model.program: {program.path} knows the activities {', '.join(program.activities)}; "
            f"the scenario has {', '.join(activities)}: make data.activities equal, in this order"
        )


def _heuristic(plan: Plan, fold: Fold) -> Heuristic | None:
    """Set the thresholds of the heuristic arm, if there is one, from the fold's donors."""
    if not any(arm.method == "heuristic" for arm in plan.scenario.arms):
        return None
    population, activities = plan.population, plan.scenario.data.activities
    donated = donated_windows(
        population, activities, fold.donors, length=population.length, hop=population.hop
    )
    return Heuristic(
        donated.x,
        donated.labels,
        classes=len(activities),
        rate_hz=plan.scenario.data.rate_hz,
    )


def _unseen(plan: Plan, fold: Fold, program: Program, seen: set[str] | None) -> dict[int, Any]:
    """Score the untouched base model on all windows of users that it never saw."""
    scenario = plan.scenario
    counted = {}
    for index in fold.devices:
        wear = plan.wears[index]
        if seen is not None and wear.user not in seen:
            windows = cut_windows(
                wear.recordings,
                scenario.data.activities,
                length=plan.population.length,
                hop=plan.population.hop,
            )
            classes = len(scenario.data.activities)
            counted[index] = score_windows(program, wear.recordings, windows, classes)
    return counted

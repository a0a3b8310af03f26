"""The base model of a fold: trained on its donors, drawn at random, or given."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
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
from clients.methods import Arrays
from clients.models import MODELS
from clients.program import Program
from clients.training import SPAN, Recipe, train_base
from clients.windows import cut_windows
from simulator.arms import method_in_round
from simulator.plan import Fold, Plan, Prepared
from simulator.population import Population, donated_windows
from simulator.scenario import Scenario

__all__ = ["blueprint_of", "people_of", "prepare", "recipe_of", "training_spans"]


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
        look_every=training.look_every,
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


@dataclass(frozen=True, slots=True, eq=False)
class _Origin:
    """Where a fold's base model comes from.

    Attributes:
        params, mean, scale: of a built-in program; None for a SavedModel that is given as it is.
        seen: users on whom it was trained, None where that is not known.
        steps: taken in its training, 0 where it was not trained here.
        validation_accuracy: on the donors that validated, None where it was not trained here.
    """

    params: Arrays | None
    mean: Any
    scale: Any
    seen: frozenset[str] | None
    steps: int = 0
    validation_accuracy: float | None = None


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
    scenario = plan.scenario
    folder.mkdir(parents=True, exist_ok=True)
    head: tuple[str, ...] = ()
    if scenario.model.program in MODELS:
        blueprint = blueprint_of(scenario, plan.population.length, plan.population.channels)
        head = blueprint.model().head
        _check_shared(scenario, blueprint.model().init(_ANY), head)
        origin = _origin(plan, fold, blueprint)
        paths = _export(scenario, blueprint, origin, folder / f"fold-{fold.index}")
    else:
        origin = _Origin(None, None, None, None)
        paths = {scenario.model.optimizer: folder / f"fold-{fold.index}"}
        _check_shared(scenario, Program(Path(scenario.model.program)).read_parameters(), head)
        _copy_given(scenario, paths[scenario.model.optimizer])
    program = Program(paths[scenario.model.optimizer])
    _check_fit(plan, program)
    if scenario.labels.ask == "uncertain" and not program.has_logits:
        raise BadScenario(
            f'labels.ask = "uncertain": {program.path} gives no logits to be uncertain by; '
            "ask at random or for all"
        )
    return Prepared(
        fold.index,
        paths,
        program.read_parameters(),
        head,
        _heuristic(plan, fold),
        _unseen(plan, fold, program, origin.seen),
        origin.steps,
        origin.validation_accuracy,
    )


def _origin(plan: Plan, fold: Fold, blueprint: Blueprint) -> _Origin:
    """Train a built-in program's base model, draw it at random, or take it over."""
    scenario = plan.scenario
    if scenario.model.base == "donors":
        donated = training_spans(scenario, plan.population, fold.donors)
        random = chance.generator(scenario.seed, "training", fold.index)
        base = train_base(blueprint, donated, recipe_of(scenario), random)
        return _Origin(
            base.params,
            base.mean,
            base.scale,
            frozenset(fold.donors),
            base.steps,
            base.validation_accuracy,
        )
    if scenario.model.base == "random":
        params = blueprint.model().init(chance.generator(scenario.seed, "base", fold.index))
        channels = plan.population.channels
        return _Origin(params, np.zeros(channels), np.ones(channels), frozenset())
    return _take_over(plan, blueprint, Path(scenario.model.base))


def _take_over(plan: Plan, blueprint: Blueprint, given: Path) -> _Origin:
    """Read the parameters of a trained SavedModel, and who was seen where it says so."""
    program = Program(given)
    state = program.read_state()
    if program.activities != blueprint.activities:
        raise BadScenario(
            f"model.base: {given} knows the activities {', '.join(program.activities or ('-',))}; "
            f"the scenario has {', '.join(blueprint.activities)}: make data.activities equal, in "
            "this order"
        )
    wanted = {name: value.shape for name, value in blueprint.model().init(_ANY).items()}
    found = {name: value.shape for name, value in program.read_parameters().items()}
    if wanted != found or "mean" not in state:
        raise BadScenario(
            f'model.base: {given} is no trained "{blueprint.program}" for windows of '
            f"{blueprint.length} x {blueprint.channels} and {len(blueprint.activities)} activities "
            f"(parameters found: {found}; expected: {wanted}); train one by `wearfleet model train`"
        )
    return _Origin(program.read_parameters(), state["mean"], state["scale"], _seen(plan, given))


def _seen(plan: Plan, given: Path) -> frozenset[str] | None:
    """Return on whom a base model was trained, None where it does not say.

    Raises:
        BadScenario: it was trained on people who wear devices here, or on windows of other length.
    """
    notes = given / "assets.extra" / "training.json"
    if not notes.is_file():
        return None
    trained = json.loads(notes.read_text())
    data = plan.scenario.data
    if (trained["rate_hz"], trained["window_s"]) != (data.rate_hz, data.window_s):
        raise BadScenario(
            f"model.base: {given} was trained on windows of {trained['window_s']} s at "
            f"{trained['rate_hz']} Hz; the scenario has {data.window_s} s at {data.rate_hz} Hz"
        )
    seen = frozenset(trained["users"] if trained["people"] == people_of(plan.scenario) else ())
    known = sorted(seen & plan.population.recordings.keys())
    if known:
        raise BadScenario(
            f"model.base: {given} was trained on {', '.join(known[:5])}"
            f"{' and others' if len(known) > 5 else ''}, who wear devices here: all that is scored "
            "would have been learnt before; leave them out of data.users, or train on others"
        )
    return seen


def people_of(scenario: Scenario) -> str:
    """Name whose ids the user ids are: the same id of another source is another person."""
    source = scenario.data.source
    if source == "synthetic":
        return f"synthetic, seed {scenario.seed}"
    return source.removesuffix("-features")


_ANY = np.random.default_rng(0)  # shapes do not depend on it


def _export(
    scenario: Scenario, blueprint: Blueprint, origin: _Origin, path: Path
) -> dict[str, Path]:
    """Write a built-in program with each optimizer that an arm asks for."""
    assert origin.params is not None
    usual = scenario.model.optimizer
    others = {arm.optimizer for arm in scenario.arms if arm.optimizer not in (None, usual)}
    paths = {usual: path} | {
        o: path.with_name(f"{path.name}-{o}") for o in sorted(filter(None, others))
    }
    for optimizer, own in paths.items():
        with_optimizer = replace(blueprint, optimizer=optimizer)
        export_program(with_optimizer, origin.params, origin.mean, origin.scale, own)
    return paths


def _copy_given(scenario: Scenario, path: Path) -> None:
    """Take a SavedModel as it is, or say which of the scenario's wishes it cannot fulfil."""
    given = Path(scenario.model.program)
    if scenario.model.base != "random":
        raise BadScenario(
            f"model.base = {scenario.model.base!r} with the SavedModel {given} as program: its own "
            'values are the base; set model.base = "random" to say so'
        )
    program = Program(given)
    for arm in scenario.arms:
        if arm.learning_rate is not None and not program.has_learning_rate:
            raise BadScenario(
                f"arms.{arm.name}.learning_rate = {arm.learning_rate}: {given} has no variable for "
                "it (slots/learning_rate, as built-in programs do): take it out of the arm"
            )
    shutil.copytree(given, path)


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
    said = program.predict_aside(np.zeros((1, length, channels), np.float32))
    if said.logits is not None and said.logits.shape[1:] != (len(activities),):
        raise BadScenario(
            f"model.program: {program.path} gives logits of shape {said.logits.shape}; the "
            f"scenario has {len(activities)} activities: expected (1, {len(activities)})"
        )
    if program.activities is not None and program.activities != activities:
        raise BadScenario(
            f"model.program: {program.path} knows the activities {', '.join(program.activities)}; "
            f"the scenario has {', '.join(activities)}: make data.activities equal, in this order"
        )


def _check_shared(scenario: Scenario, params: Arrays, head: tuple[str, ...]) -> None:
    """Refuse private parameters that leave nothing to share, or that are none."""
    for arm in scenario.arms:
        method = method_in_round(arm, 1, head)
        update, kept = method.end(params)
        if method.uploads and (not update or (arm.method == "fedper" and not kept)):
            patterns = list(arm.private or head)
            raise BadScenario(
                f"arms.{arm.name}.private = {patterns}: {'all' if kept else 'none'} of the "
                f"program's parameters would stay on the device ({', '.join(params)}); give "
                "patterns that match some of them"
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


def _unseen(plan: Plan, fold: Fold, program: Program, seen: Set[str] | None) -> dict[int, Any]:
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

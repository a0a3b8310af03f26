"""Where a base model comes from: trained on donors, drawn at random, or taken from disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clients import chance
from clients.augment import Augmentation
from clients.bounded import read_json
from clients.donors import Donated
from clients.errors import BadScenario
from clients.export import Blueprint
from clients.methods import Arrays
from clients.models import built
from clients.program import Program
from clients.training import SERIES, SPAN, Recipe, train_base
from simulator.plan.plan import Fold, Plan
from simulator.plan.population import AXES, Population, donated_windows
from simulator.scenario.scenario import Scenario

__all__ = ["Origin", "blueprint_of", "origin_of", "people_of", "recipe_of", "training_spans"]

_NOTES = {"users": list, "people": str, "rate_hz": float, "window_s": float}
"""What the notes on a training must say, and of which type."""


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
        loss=scenario.learning.loss,
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
        augmentation=Augmentation(
            training.warp, training.tilt_deg, training.gain, training.noise, training.mirror
        ),
        smoothing=training.smoothing,
    )


def training_spans(scenario: Scenario, population: Population, users: Sequence[str]) -> Donated:
    """Read what donors gave for training: spans somewhat longer than a window, that overlap.

    A program that follows single samples is trained on series of them.
    """
    length, hop = population.length, 1
    if length > 1 or _follows(scenario, population):
        length = round((length if length > 1 else SERIES) * SPAN)
        hop = max(1, round(scenario.training.hop_s * scenario.data.rate_hz))
    return donated_windows(
        population,
        scenario.data.activities,
        users,
        length=length,
        hop=hop,
        without=scenario.withheld,
    )


def _follows(scenario: Scenario, population: Population) -> bool:
    """Whether a scenario's program is given series of single samples, one after the other."""
    name = scenario.model.program
    return population.series and built(name, 1, AXES, 2).tracks


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
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


def origin_of(plan: Plan, fold: Fold, blueprint: Blueprint) -> Origin:
    """Train a built-in program's base model, draw it at random, or take it over."""
    scenario = plan.scenario
    if scenario.model.base == "donors":
        donated = training_spans(scenario, plan.population, fold.donors)
        random = chance.generator(scenario.seed, "training", fold.index)
        base = train_base(blueprint, donated, recipe_of(scenario), random)
        return Origin(
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
        return Origin(params, np.zeros(channels), np.ones(channels), frozenset())
    return _take_over(plan, blueprint, Path(scenario.model.base))


def _take_over(plan: Plan, blueprint: Blueprint, given: Path) -> Origin:
    """Read the parameters of a trained SavedModel, and who was seen where it says so."""
    program = Program(given, trusted=plan.trusted)
    state = program.read_state()
    if program.activities != blueprint.activities:
        raise BadScenario(
            f"model.base: {given} knows the activities {', '.join(program.activities or ('-',))}; "
            f"the scenario has {', '.join(blueprint.activities)}: make data.activities equal, in "
            "this order"
        )
    wanted = {
        name: value.shape
        for name, value in blueprint.model().init(np.random.default_rng(0)).items()
    }
    found = {name: value.shape for name, value in program.read_parameters().items()}
    if wanted != found or "mean" not in state:
        raise BadScenario(
            f'model.base: {given} is no trained "{blueprint.program}" for windows of '
            f"{blueprint.length} x {blueprint.channels} and {len(blueprint.activities)} activities "
            f"(parameters found: {found}; expected: {wanted}); train one by `wearfleet model train`"
        )
    return Origin(program.read_parameters(), state["mean"], state["scale"], _seen(plan, given))


def _seen(plan: Plan, given: Path) -> frozenset[str] | None:
    """Return on whom a base model was trained, None where it does not say.

    Raises:
        BadScenario: it was trained on people who wear devices here, or on windows of other length.
    """
    notes = given / "assets.extra" / "training.json"
    if not notes.is_file():
        return None
    trained = read_json(notes, "the notes on a training")
    fits = isinstance(trained, dict) and all(
        isinstance(trained.get(key), kind) for key, kind in _NOTES.items()
    )
    if not fits or not all(isinstance(user, str) for user in trained["users"]):
        raise BadScenario(
            f"model.base: {notes}: expected {', '.join(_NOTES)}, as `wearfleet model train` writes "
            "them; put them back, or remove the file"
        )
    data = plan.scenario.data
    window_s = plan.population.length / data.rate_hz
    if (trained["rate_hz"], trained["window_s"]) != (data.rate_hz, window_s):
        raise BadScenario(
            f"model.base: {given} was trained on windows of {trained['window_s']} s at "
            f"{trained['rate_hz']} Hz; the scenario has {window_s} s at {data.rate_hz} Hz"
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

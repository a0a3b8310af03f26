"""Programs outside of a run: exported untrained, trained on a scenario's users, cross-validated."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
from numpy.typing import NDArray
from safetensors.numpy import save

from clients import chance
from clients.errors import BadInput
from clients.export import Blueprint, export_program
from clients.program import Program
from clients.training import predict_windows, scaled, train_base
from simulator.base.origin import blueprint_of, people_of, recipe_of, training_spans
from simulator.console import Display
from simulator.measures.metrics import f1_by_class, macro_f1
from simulator.plan.population import AXES, Population, donated_windows, gather_people
from simulator.scenario.scenario import SINGLE_SAMPLES, Scenario, programs

__all__ = [
    "cross_validate",
    "export_builtin",
    "export_shared",
    "need_new",
    "train_program",
]

_SIX = ("walking", "jogging", "upstairs", "downstairs", "sitting", "standing")
_SAMPLES = 80  # 4 s at 20 Hz


def export_builtin(name: str, out: Path, seed: int) -> None:
    """Write an untrained built-in program: windows of 4 s at 20 Hz or samples, six activities.

    Raises:
        BadInput: an unknown name, or `out` is there already.
    """
    if name not in programs():
        there = ", ".join(sorted(programs()))
        raise BadInput(f"model export: no built-in program {name!r}; there are: {there}")
    need_new(out)
    blueprint = Blueprint(name, 1 if name in SINGLE_SAMPLES else _SAMPLES, AXES, _SIX)
    params = blueprint.model().init(chance.generator(seed, "base", 0))
    _write_whole(blueprint, params, np.zeros(AXES), np.ones(AXES), out)


def export_shared(path: Path, file: Path, *, trusted: bool = False) -> None:
    """Write a SavedModel's parameters, by name, as a safetensors file.

    Args:
        path: the SavedModel.
        file: which is not there yet.
        trusted: whether it may hold ops that can do more than compute.

    Raises:
        BadProgram: no SavedModel, or one that breaks the contract.
        BadInput: `file` is there already.
    """
    need_new(file)
    parameters = Program(path, trusted=trusted).read_parameters()
    arrays = {k: np.ascontiguousarray(v) for k, v in parameters.items()}
    unfinished = file.with_name(f".{file.name}.unfinished")
    unfinished.write_bytes(save(arrays))
    unfinished.replace(file)


def train_program(scenario: Scenario, out: Path, display: Display) -> None:
    """Train a base model on all users of a scenario and write it with notes on who they were."""
    need_new(out)
    display.stage("reading recordings", 0)
    population = gather_people(scenario)
    blueprint = _trainable(scenario, population)
    users = list(population.recordings)
    donated = training_spans(scenario, population, users)
    display.stage("training", scenario.training.steps)
    base = train_base(
        blueprint,
        donated,
        recipe_of(scenario),
        chance.generator(scenario.seed, "training", 0),
        lambda *look: _told(display, "training", *look),
    )
    notes = {
        "users": users,
        "people": people_of(scenario),
        "rate_hz": scenario.data.rate_hz,
        "window_s": population.length / scenario.data.rate_hz,
        "data_fingerprint": population.fingerprint,
        "steps": base.steps,
        "validation_accuracy": base.validation_accuracy,
    }
    _write_whole(blueprint, base.params, base.mean, base.scale, out, notes)


def cross_validate(
    scenario: Scenario, folds: int, display: Display
) -> list[tuple[str, pd.DataFrame]]:
    """Train a base model for each fold of users and score it on the users that it never saw.

    Returns:
        titled tables: accuracy and macro-F1 by fold and over all, F1 by activity.
    """
    display.stage("reading recordings", 0)
    population = gather_people(scenario)
    blueprint = _trainable(scenario, population)
    users = list(population.recordings)
    if not 2 <= folds <= len(users) // 2:
        raise BadInput(
            f"--folds {folds}: with {len(users)} users, 2 to {len(users) // 2} folds are possible"
        )
    order = chance.generator(scenario.seed, "folds").permutation(len(users))
    matrices = []
    for fold in range(folds):
        left_out = [users[i] for i in sorted(order[fold::folds])]
        title = f"fold {fold + 1} of {folds}"
        display.stage(title, scenario.training.steps)
        donors = [user for user in users if user not in left_out]
        matrices.append(
            _score_fold(scenario, population, blueprint, fold, donors, left_out, display)
        )
    names = [f"fold {i + 1}" for i in range(folds)] + ["all"]
    matrices.append(np.sum(matrices, axis=0))
    scores = pd.DataFrame(
        {
            "users left out": names,
            "windows": [int(m.sum()) for m in matrices],
            "accuracy": [float(np.trace(m) / m.sum()) for m in matrices],
            "macro-F1": [macro_f1(m) for m in matrices],
        }
    )
    by_activity = pd.DataFrame(
        {"activity": scenario.data.activities, "F1": f1_by_class(matrices[-1])}
    )
    return [
        ("On users that the model never saw (unseen-users, per window)", scores),
        ("By activity, all folds together", by_activity),
    ]


def _score_fold(
    scenario: Scenario,
    population: Population,
    blueprint: Blueprint,
    fold: int,
    donors: list[str],
    left_out: list[str],
    display: Display,
) -> NDArray[np.int64]:
    """Train on donors; return the confusion matrix of the users left out."""
    activities = scenario.data.activities
    base = train_base(
        blueprint,
        training_spans(scenario, population, donors),
        recipe_of(scenario),
        chance.generator(scenario.seed, "training", fold),
        lambda *look: _told(display, f"fold {fold + 1}", *look),
    )
    model, length, hop = blueprint.model(), population.length, population.hop
    if model.tracks:  # as a question brings them
        length = hop = scenario.stream.batch
    unseen = donated_windows(population, activities, left_out, length=length, hop=hop)
    params = {name: tf.constant(value[None]) for name, value in base.params.items()}
    said = predict_windows(model, params, scaled(unseen.x, base.mean, base.scale))
    confusion = np.zeros((len(activities), len(activities)), np.int64)
    np.add.at(confusion, (unseen.labels[:, None], said), 1)
    return confusion


def _trainable(scenario: Scenario, population: Population) -> Blueprint:
    """Return the blueprint of a scenario's program, which must be a built-in one."""
    if scenario.model.program not in programs():
        raise BadInput(
            f"model.program = {scenario.model.program!r}: `model train` trains built-in programs: "
            f"{', '.join(sorted(programs()))}"
        )
    return blueprint_of(scenario, population.length, population.channels)


def _told(display: Display, name: str, taken: int, steps: int, score: float) -> None:
    """Show how far training is."""
    display.reach(taken, steps)
    display.tell(name if score != score else f"{name}: {100.0 * score:.1f}%")


def need_new(path: Path) -> None:
    """Refuse a path that is taken, and make the folder that it is to be in."""
    if path.exists():
        raise BadInput(f"{path}: is there already; give a path that is not there yet")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f"{path}: its folder cannot be made ({error.strerror}); give a path that can"
        ) from None


def _write_whole(
    blueprint: Blueprint,
    params: Any,
    mean: Any,
    scale: Any,
    out: Path,
    notes: Mapping[str, Any] | None = None,
) -> None:
    """Export a program, with notes on its training, whole or not at all."""
    unfinished = out.with_name(f".{out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    export_program(blueprint, params, mean, scale, unfinished)
    if notes is not None:
        (unfinished / "assets.extra").mkdir()
        (unfinished / "assets.extra" / "training.json").write_text(json.dumps(notes, indent=2))
    unfinished.rename(out)

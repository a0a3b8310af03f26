"""How eager a fold's detectors may be: set on its donors' streams, then left as it is.

Each donor's windows are predicted by a model that other donors trained. The donor's bouts are drawn
anew, with replacement, into many streams as long as a device's, which users answer as they do in
the scenario. A detector is made as eager as it can be while its alarms on these streams, where
nothing drifts, stay within the allowed rate. No device of the fold is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from clients import chance
from clients.detectors import DETECTORS, alarms
from clients.export import Blueprint
from clients.pool import Pool, build_pool
from clients.stream import Questions, cut_questions
from clients.training import Base, predict_windows, scaled, train_apart
from simulator.blocks import stacked
from simulator.choice import groups_of
from simulator.origin import recipe_of, training_spans
from simulator.plan import Fold, Plan
from simulator.prepared import Threshold

__all__ = ["LEAST_WINDOWS", "calibrate"]

LEAST_WINDOWS = 20_000
"""Answered windows that donors' streams have together, at least."""

_LEVEL = 0.95
_MOST_STREAMS = 4096


@dataclass(frozen=True, slots=True, eq=False)
class _Donor:
    """What a donor's questions came to, by a model that never saw the donor.

    Attributes:
        predicted: int32 [Q, B], -1 where there is no window.
        label: int32 [Q].
        bouts: questions of each bout, int64 [n] each.
    """

    predicted: NDArray[np.int32]
    label: NDArray[np.int32]
    bouts: Sequence[NDArray[np.int64]]


def calibrate(
    plan: Plan, fold: Fold, blueprint: Blueprint | None, steps: int
) -> Mapping[str, Threshold]:
    """Set the strengths of a scenario's detectors for one fold: by kind.

    Args:
        plan: the run's.
        fold: whose donors.
        blueprint: of the program, where donors train it.
        steps: that the fold's base model took; the models of fewer donors take as many.
    """
    found: dict[str, Threshold] = {
        table.kind: Threshold(table.strength)
        for table in plan.scenario.detectors
        if isinstance(table.strength, float)
    }
    asked = [table for table in plan.scenario.detectors if table.kind not in found]
    if not asked or blueprint is None:
        return found
    donors = _donors(plan, fold, blueprint, steps)
    streams = _streams(plan, fold, donors)
    windows = sum(int((stream >= 0).sum()) for stream in streams)
    for table in asked:
        grid = DETECTORS[table.kind].grid

        def count(strength: float, kind: str = table.kind) -> int:
            return sum(alarms(kind, strength, stream).size for stream in streams)

        place, heard = _most_eager(grid, count, windows * table.false_alarms)
        found[table.kind] = Threshold(grid[place], heard, windows)
    return found


def _most_eager(
    grid: Sequence[float], count: Callable[[float], int], allowed: float
) -> tuple[int, int]:
    """Find the last strength of a grid, from mute to eager, that stays within what is allowed.

    The upper end of the 95% interval of its number of alarms (Poisson; Garwood 1936) has to.

    Returns:
        its place, and its alarms.
    """
    best, heard = 0, count(grid[0])
    low, high = 1, len(grid) - 1
    while low <= high:
        middle = (low + high) // 2
        found = count(grid[middle])
        if chi2.ppf(0.5 + 0.5 * _LEVEL, 2 * found + 2) / 2.0 <= allowed:
            best, heard, low = middle, found, middle + 1
        else:
            high = middle - 1
    return best, heard


def _donors(plan: Plan, fold: Fold, blueprint: Blueprint, steps: int) -> list[_Donor]:
    """Predict each donor's windows by a model of other donors."""
    scenario, population = plan.scenario, plan.population
    groups = [group for group in groups_of(plan, fold) if group]
    others = [[user for user in fold.donors if user not in group] for group in groups]
    bases = train_apart(
        blueprint,
        [training_spans(scenario, population, users) for users in others],
        recipe_of(scenario),
        steps,
        [
            chance.generator(scenario.seed, "thresholds", fold.index, number)
            for number in range(len(groups))
        ],
    )
    model, found = blueprint.model(), []
    for group, base in zip(groups, bases, strict=True):
        params = dict(stacked(base.params, 1))
        for user in group:
            withheld = scenario.withheld
            kept = [own for own in population.recordings[user] if own.activity not in withheld]
            pool = build_pool(
                {user: kept},
                scenario.data.activities,
                length=population.length,
                hop=population.hop,
                holdout=0.0,
            )
            table = cut_questions(
                pool,
                order=scenario.stream.order,
                bout_windows=scenario.stream.bout_windows,
                batch=scenario.stream.batch,
                least=population.form.least,
            )

            def predict(
                x: NDArray[np.float32], params: Any = params, base: Base = base
            ) -> NDArray[np.int32]:
                return predict_windows(model, params, scaled(x, base.mean, base.scale))

            if table.first.size:
                found.append(_donor(pool, table, predict, series=population.series))
    return found


def _donor(
    pool: Pool,
    table: Questions,
    predict: Callable[[NDArray[np.float32]], NDArray[np.int32]],
    *,
    series: bool,
) -> _Donor:
    """Predict a donor's questions; those of single samples as a series each, from nothing."""
    predicted = np.full((table.first.size, table.batch), -1, np.int32)
    for size in np.unique(table.count):
        rows = np.flatnonzero(table.count == size)
        windows = table.first[rows][:, None] + np.arange(size, dtype=np.int32)
        x = pool.read(windows)
        x = x[:, :, 0] if series else x.reshape(-1, *x.shape[2:])
        predicted[rows, :size] = predict(x).reshape(rows.size, size)
    bouts = [np.arange(first, first + count) for first, count in table.bouts.tolist()]
    return _Donor(predicted, table.label, bouts)


def _streams(plan: Plan, fold: Fold, donors: Sequence[_Donor]) -> list[NDArray[np.int8]]:
    """Draw streams of errors, int8 [n] each, -1 where nothing was answered."""
    labels, random = plan.scenario.labels, chance.generator(plan.scenario.seed, "drawn", fold.index)
    classes, windows = len(plan.scenario.data.activities), 0
    streams: list[NDArray[np.int8]] = []
    while donors and windows < LEAST_WINDOWS and len(streams) < _MOST_STREAMS:
        for donor in donors:
            length = max(1, round((1.0 - plan.scenario.split.holdout) * donor.label.size))
            drawn: list[NDArray[np.int64]] = []
            while sum(map(len, drawn)) < length:
                drawn.append(donor.bouts[int(random.integers(len(donor.bouts)))])
            asked = np.concatenate(drawn)[:length]
            label, predicted = donor.label[asked], donor.predicted[asked]
            wrong = random.integers(classes - 1, size=length).astype(np.int32)
            wrong += wrong >= label
            answer = np.where(random.random(length) < labels.mistake_rate, wrong, label)
            there = (predicted >= 0) & (random.random(length) < labels.answer_rate)[:, None]
            errors = np.where(there, predicted != answer[:, None], -1).astype(np.int8).ravel()
            streams.append(errors)
            windows += int((errors >= 0).sum())
    return streams

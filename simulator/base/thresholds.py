"""How eager a fold's detectors may be: set on its donors' streams, then left as it is.

Each donor's windows are predicted by a model that other donors trained. The donor's bouts are drawn
anew, with replacement, into many streams as long as a device's, which users answer at the
scenario's rates. A detector is made as eager as it can be while its alarms on these streams, where
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
from clients.novelty import REST, STRENGTHS, Expected, Novelty, expect, summarize
from clients.pool import Pool, build_pool
from clients.stream import Questions, cut_questions
from clients.training import Base, predict_windows, scaled, train_apart
from simulator.base.choice import groups_of
from simulator.base.origin import recipe_of, training_spans
from simulator.base.prepared import Threshold
from simulator.engine.blocks import stacked
from simulator.plan.plan import Fold, Plan
from simulator.scenario.detector_table import DetectorTable

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
    found: dict[str, Threshold] = {}
    on_errors: list[DetectorTable] = []
    for table in plan.scenario.detectors:
        if table.kind == "inputs":
            found[table.kind] = _on_inputs(plan, fold, table)
        elif isinstance(table.strength, float):
            found[table.kind] = Threshold(table.strength)
        else:
            on_errors.append(table)
    if not on_errors or blueprint is None:
        return found
    streams = _streams(plan, fold, _predicted(plan, fold, blueprint, steps))
    windows = sum(int((stream >= 0).sum()) for stream in streams)
    for table in on_errors:
        grid = DETECTORS[table.kind].grid

        def count(strength: float, kind: str = table.kind) -> int:
            return sum(alarms(kind, strength, stream).size for stream in streams)

        place, heard = _most_eager(grid, count, windows * table.false_alarms)
        found[table.kind] = Threshold(grid[place], heard, windows, mute=place == 0)
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


def _predicted(plan: Plan, fold: Fold, blueprint: Blueprint, steps: int) -> list[_Donor]:
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
        for user in _shown(plan, group):
            pool, table = _asked_of(plan, user)

            def predict(
                x: NDArray[np.float32], params: Any = params, base: Base = base
            ) -> NDArray[np.int32]:
                return predict_windows(model, params, scaled(x, base.mean, base.scale))

            if table.first.size:
                found.append(_donor(pool, table, predict, series=population.series))
    return found


def _shown(plan: Plan, users: Sequence[str]) -> list[str]:
    """Return the donors who show some activity that is not withheld from them."""
    recordings, withheld = plan.population.recordings, plan.scenario.withheld
    return [user for user in users if any(r.activity not in withheld for r in recordings[user])]


def _asked_of(plan: Plan, user: str) -> tuple[Pool, Questions]:
    """Cut all that a donor gave into questions, as streams of devices are."""
    scenario, population = plan.scenario, plan.population
    withheld = scenario.withheld
    pool = build_pool(
        {user: [own for own in population.recordings[user] if own.activity not in withheld]},
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
    return pool, table


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


def _on_inputs(plan: Plan, fold: Fold, table: DetectorTable) -> Threshold:
    """Set the detector on inputs: it learns what is usual from donors, and is tried on others."""
    seed = plan.scenario.seed
    bouts = {user: _summed_up(plan, user) for user in _shown(plan, fold.donors)}
    bouts = {user: own for user, own in bouts.items() if own}
    expected = expect(list(bouts.values()), seed)
    if isinstance(table.strength, float):
        return Threshold(table.strength, expected=expected)
    random = chance.generator(seed, "drawn-inputs", fold.index)
    most = _most_questions(plan)
    most *= 1 if plan.population.series else plan.scenario.stream.batch  # windows
    streams: list[tuple[Expected, list[NDArray[np.float32]]]] = []
    windows = 0
    for group in groups_of(plan, fold):
        usual = expect([own for user, own in bouts.items() if user not in group], seed)
        own = [bouts[user] for user in group if user in bouts]
        drawn: list[NDArray[np.float32]] = []
        while own and sum(map(len, drawn)) * len(fold.donors) < LEAST_WINDOWS * len(own):
            for donor in own:
                length = round((1.0 - plan.scenario.split.holdout) * sum(map(len, donor)))
                length = min(length, most)
                order = random.integers(len(donor), size=max(1, length))
                drawn.append(np.concatenate([donor[i] for i in order])[: max(1, length)])
        streams.append((usual, drawn))
        windows += sum(map(len, drawn))

    def count(strength: float) -> int:
        return sum(_heard(usual, drawn, strength) for usual, drawn in streams)

    place, heard = _most_eager(STRENGTHS, count, windows * table.false_alarms)
    return Threshold(STRENGTHS[place], heard, windows, expected, mute=place == 0)


def _summed_up(plan: Plan, user: str) -> list[NDArray[np.float32]]:
    """Sum up a donor's bouts: float32 [n, F] each; a question of single samples is one window."""
    pool, table = _asked_of(plan, user)
    found = []
    for first, count in table.bouts.tolist():
        rows = np.arange(first, first + count)
        windows = [np.arange(table.first[r], table.first[r] + table.count[r]) for r in rows]
        if plan.population.series:
            read = [pool.read(own.astype(np.int32))[None, :, 0] for own in windows]
            found.append(np.concatenate([summarize(x) for x in read]))
        else:
            found.append(summarize(pool.read(np.concatenate(windows).astype(np.int32))))
    return found


def _heard(usual: Expected, streams: list[NDArray[np.float32]], strength: float) -> int:
    """Count alarms on streams [n, F] that are run through together."""
    if not streams:
        return 0
    longest = max(map(len, streams))
    values = np.zeros((len(streams), longest, streams[0].shape[1]), np.float32)
    there = np.zeros(values.shape[:2], np.bool_)
    for row, stream in enumerate(streams):
        values[row, : len(stream)], there[row, : len(stream)] = stream, True
    devices, heard = Novelty(len(streams), usual, strength), 0
    for first in range(0, longest, REST):
        part = slice(first, first + REST)
        heard += int((devices.update(values[:, part], there[:, part]) >= 0).sum())
    return heard


def _most_questions(plan: Plan) -> int:
    """Return how many questions reach a device in the run at most."""
    return plan.rounds * plan.scenario.stream.questions_per_round


def _streams(plan: Plan, fold: Fold, donors: Sequence[_Donor]) -> list[NDArray[np.int8]]:
    """Draw streams of errors, int8 [n] each, -1 where nothing was answered."""
    labels, random = plan.scenario.labels, chance.generator(plan.scenario.seed, "drawn", fold.index)
    classes, windows = len(plan.scenario.data.activities), 0
    streams: list[NDArray[np.int8]] = []
    while donors and windows < LEAST_WINDOWS and len(streams) < _MOST_STREAMS:
        for donor in donors:
            length = round((1.0 - plan.scenario.split.holdout) * donor.label.size)
            length = max(1, min(length, _most_questions(plan)))
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

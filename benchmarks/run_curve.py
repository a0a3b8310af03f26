"""A run's devices beside forests that had the same labels, the same donors and the same test.

Which windows those are is asked of the library that made the run: its plan, pool and streams.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.forest import Labelled, accuracy, forest
from benchmarks.published_curve import SIZES
from clients.pool import Pool
from simulator.folder.rounds_file import names_of, numbers_of, read_rounds
from simulator.plan.plan import Plan, build_plan
from simulator.plan.population import donated_windows
from simulator.scenario.file import load_scenario

__all__ = ["MODELS", "Curves", "curves_of", "seeds_of"]

MODELS = ("universal", "personal", "both")
"""The forests: trained on donors, on a user's own labels, on all of them."""

Table = dict[str, dict[int, dict[str, float]]]
"""Who learnt -> own labels -> user -> accuracy on the user's holdout."""


@dataclass(frozen=True, slots=True)
class Curves:
    """What devices and forests reached.

    Attributes:
        arms: by arm, own labels and user; only users whose stream has as many windows.
        forests: the same by forest, a key of `MODELS`; "universal" counts for any number of labels.
    """

    arms: Table
    forests: Table


def seeds_of(run: Path) -> list[Path]:
    """Return the run folders of a run of several seeds, or the run itself."""
    return sorted(run.glob("seed-*")) or [run]


def curves_of(run: Path, kept: Path | None = None, seed: int = 1) -> Curves:
    """Read what the devices of a run reached, and train the forests.

    Args:
        run: a run folder of one seed.
        kept: where forests' results are kept from one call to the next, since they take minutes.
        seed: of the forests.

    Raises:
        SystemExit: questions of the run are not all answered at once and rightly.
    """
    plan = build_plan(load_scenario(run / "scenario.toml"))
    labels = plan.scenario.labels
    if (labels.answer_rate, labels.mistake_rate, labels.delay_rounds) != (1.0, 0.0, 0):
        raise SystemExit(f"{run}: forests are given all true labels; the devices were not")
    return Curves(_arms(run, plan), _forests(plan, kept, seed))


def _arms(run: Path, plan: Plan) -> Table:
    """Read the holdout accuracy of each user's device after the rounds that bring it n labels."""
    rounds = _rounds(plan)
    table: Table = {}
    for arm in plan.scenario.arms:
        own: dict[int, dict[str, float]] = {size: {} for size in SIZES}
        for file in sorted((run / "rounds" / arm.name).glob("*.parquet")):
            rows = read_rounds(file, ["round", "device", "holdout_confusion"])
            device, round_ = names_of(rows, "device"), numbers_of(rows, "round")
            cells = rows["holdout_confusion"].to_pylist()
            for code, at, flat in zip(device.code, round_, cells, strict=True):
                name = device.names[code]
                for size in SIZES:
                    if flat is not None and rounds.get((name, size)) == at:
                        confusion = np.array(flat, np.int64).ravel()
                        matrix = confusion.reshape(2 * [round(confusion.size**0.5)])
                        own[size][name] = float(np.trace(matrix) / matrix.sum())
        table[arm.name] = own
    return table


def _rounds(plan: Plan) -> dict[tuple[str, int], int]:
    """Return after which round a user's device has exactly so many labels."""
    per_round = plan.scenario.stream.questions_per_round
    found = {}
    for name, counts in _streams(plan):
        known = counts.cumsum()[per_round - 1 :: per_round]
        for size in SIZES:
            at = np.flatnonzero(known == size)
            if at.size and at[0] < plan.rounds:
                found[name, size] = int(at[0]) + 1
    return found


def _streams(plan: Plan) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Give each user's name and the windows of each question, in the order of the stream."""
    wear = plan.wear(np.arange(plan.devices))
    for name, questions in zip(wear.names, wear.streams.questions, strict=True):
        yield name, wear.streams.table.count[questions[questions >= 0]].astype(np.int64)


def _forests(plan: Plan, kept: Path | None, seed: int) -> Table:
    """Train the forests of all users, or take what is kept of the same ones."""
    scenario = plan.scenario
    parts = (scenario.data, scenario.split, scenario.stream)
    same = json.dumps([part.model_dump(mode="json", exclude={"path"}) for part in parts])
    same += f"{plan.population.fingerprint}/{scenario.seed}/{seed}"
    key = hashlib.blake2b(same.encode(), digest_size=8).hexdigest()
    all_kept = _read(kept)
    if key not in all_kept:
        table = _trained(plan, seed)
        all_kept = {**_read(kept), key: table}  # another call may have written in the meantime
        if kept:
            kept.write_text(json.dumps(all_kept))
    return {
        model: {int(size): users for size, users in by_size.items()}
        for model, by_size in all_kept[key].items()
    }


def _read(kept: Path | None) -> dict[str, Any]:
    """Return what is kept of earlier calls."""
    return json.loads(kept.read_text()) if kept and kept.exists() else {}


def _trained(plan: Plan, seed: int) -> Table:
    """Train and test three forests for each user and number of own labels."""
    table: Table = {model: {size: {} for size in SIZES} for model in MODELS}
    wear = plan.wear(np.arange(plan.devices))
    for fold in plan.folds:
        donors = _donors(plan, fold.donors)
        universal = forest(donors, seed)
        for device in fold.devices.tolist():
            name = wear.names[device]
            questions = wear.streams.questions[device]
            stream = _windows(wear.streams.table.first, wear.streams.table.count, questions)
            test = _labelled(plan.pool, np.arange(*wear.holdout[device]))
            for size in SIZES:
                if size > stream.size:
                    continue
                own = _labelled(plan.pool, stream[:size])
                table["universal"][size][name] = accuracy(universal, test)
                table["personal"][size][name] = accuracy(forest(own, seed), test)
                table["both"][size][name] = accuracy(forest(own.joined(donors), seed), test)
    return table


def _windows(
    first: NDArray[np.int32], count: NDArray[np.int32], questions: NDArray[np.int32]
) -> NDArray[np.int64]:
    """Return the windows of a stream of questions in order."""
    there: Sequence[int] = questions[questions >= 0].tolist()
    return np.concatenate([np.arange(first[q], first[q] + count[q]) for q in there])


def _labelled(pool: Pool, windows: NDArray[np.int64]) -> Labelled:
    x = pool.read(windows.astype(np.int32))
    return Labelled(x.reshape(len(windows), -1), pool.windows.label[windows].astype(np.int64))


def _donors(plan: Plan, users: Sequence[str]) -> Labelled:
    population, activities = plan.population, plan.scenario.data.activities
    donated = donated_windows(
        population, activities, users, length=population.length, hop=population.hop
    )
    return Labelled(donated.x.reshape(len(donated.x), -1), donated.labels.astype(np.int64))

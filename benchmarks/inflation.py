"""How much does a random split flatter? The same program, tested on random windows or new people.

    python -m benchmarks.inflation FOLDER [--seeds 1 2 3]

FOLDER holds the watch files of WISDM 2019. The program `cnn` is trained on two thirds of the
windows of 4 s and tested on the rest, chosen in three ways: at random from each user's windows of
each activity; the last third of each recording; all windows of one third of the users, in three
folds.
Windows lie side by side, or overlap by half as in many papers. Training stops early by a
validation of the same kind as the test, and changes no window: longer spans, from which Wearfleet
trains otherwise, would reach into the test.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy import stats

from clients import chance
from clients.augment import Augmentation
from clients.donors import Donated
from clients.export import Blueprint
from clients.recordings import Recording, read_recordings
from clients.training import Recipe, predict_windows, scaled, train_base
from clients.windows import Windows, cut_windows, draw_holdout, read_windows
from simulator.scenario.sections import Training

ACTIVITIES = ("walking", "jogging", "stairs", "sitting", "standing")
SPLITS = ("random windows", "later windows", "unseen users")
LENGTH, RATE_HZ, FOLDS = 80, 20.0, 3

People = dict[str, list[Recording]]


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """What is trained on and what is tested, the users numbered in order.

    Attributes:
        training: users may be numbered otherwise, as groups of which one validates.
        test: with the numbers of the users.
    """

    training: Donated
    test: Donated


def main() -> None:
    parser = argparse.ArgumentParser(description="How much a random split flatters.")
    parser.add_argument("folder", type=Path, help="of the watch files of WISDM 2019")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    asked = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    people: People = {}
    found, _ = read_recordings(
        asked.folder, source="wisdm-2019", rate_hz=RATE_HZ, activities=ACTIVITIES
    )
    for recording in found:
        people.setdefault(recording.user, []).append(recording)
    print(f"{len(people)} users, seeds {asked.seeds}; accuracy %, mean over users +- 95%")
    print("| windows | " + " | ".join(SPLITS) + " | random minus unseen |")
    print("| --- " * 5 + "|")
    for hop, name in ((LENGTH, "side by side"), (LENGTH // 2, "overlapping by half")):
        by_split = {
            how: np.mean([_tested(people, how, hop, seed) for seed in asked.seeds], axis=0)
            for how in SPLITS
        }
        gap = by_split[SPLITS[0]] - by_split[SPLITS[2]]
        cells = [_cell(values) for values in (*by_split.values(), gap)]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def _tested(people: People, how: str, hop: int, seed: int) -> NDArray[np.float64]:
    """Train and test: each user's share of right predictions, float64 [U]."""
    right, count = np.zeros(len(people)), np.zeros(len(people))
    for number, split in enumerate(_splits(people, how, hop, seed)):
        blueprint = Blueprint("cnn", LENGTH, 3, ACTIVITIES)
        random = chance.generator(seed, "inflation-training", number)
        base = train_base(blueprint, split.training, _recipe(), random)
        params = {name: tf.constant(value[None]) for name, value in base.params.items()}
        x = scaled(split.test.x, base.mean, base.scale)
        said = predict_windows(blueprint.model(), params, x)[:, 0]
        np.add.at(right, split.test.users, said == split.test.labels)
        np.add.at(count, split.test.users, 1)
    return right / count


def _splits(people: People, how: str, hop: int, seed: int) -> list[Split]:
    """Split everybody's windows in one of the ways: one split, or a fold of users after another."""
    if how == SPLITS[2]:
        everybody = _joined(people, [_cut(own, hop) for own in people.values()])
        fold = chance.generator(seed, "inflation-users").permutation(len(people)) % FOLDS
        return [
            Split(
                everybody.of(np.flatnonzero(fold != held).astype(np.int32)),
                everybody.of(np.flatnonzero(fold == held).astype(np.int32)),
            )
            for held in range(FOLDS)
        ]
    parts: list[tuple[Windows, Windows]] = []
    for user, own in people.items():
        if how == SPLITS[0]:
            parts.append(draw_holdout(_cut(own, hop), 1.0 / FOLDS, seed, user))
        else:
            cut = {"length": LENGTH, "hop": hop, "holdout": 1.0 / FOLDS}
            parts.append(
                (
                    cut_windows(own, ACTIVITIES, part="stream", **cut),  # type: ignore[arg-type]
                    cut_windows(own, ACTIVITIES, part="holdout", **cut),  # type: ignore[arg-type]
                )
            )
    training, test = (_joined(people, [part[i] for part in parts]) for i in (0, 1))
    # Windows are dealt to as many groups as there are users, one in five of which validates.
    groups = chance.generator(seed, "inflation-groups").integers(
        len(people), size=training.x.shape[0]
    )
    return [Split(Donated(training.x, training.labels, np.asarray(groups, np.int32)), test)]


def _cut(own: Sequence[Recording], hop: int) -> Windows:
    return cut_windows(own, ACTIVITIES, length=LENGTH, hop=hop)


def _joined(people: People, windows: Sequence[Windows]) -> Donated:
    """Read windows of all users, who are numbered in order."""
    read = [read_windows(own, cut) for own, cut in zip(people.values(), windows, strict=True)]
    return Donated(
        np.concatenate(read),
        np.concatenate([cut.label for cut in windows]),
        np.concatenate([np.full(len(x), i, np.int32) for i, x in enumerate(read)]),
    )


def _recipe() -> Recipe:
    """Return how Wearfleet trains by default, without changing windows."""
    usual = Training()
    return Recipe(
        steps=usual.steps,
        look_every=usual.look_every,
        patience=usual.patience,
        batch=usual.batch,
        learning_rate=usual.learning_rate,
        weight_decay=usual.weight_decay,
        average=usual.average,
        validation=usual.validation,
        refit=usual.refit,
        augmentation=Augmentation(1.0, 0.0, 1.0, 0.0),
    )


def _cell(values: NDArray[np.float64]) -> str:
    half = stats.t.ppf(0.975, values.size - 1) * values.std(ddof=1) / np.sqrt(values.size)
    return f"{100 * values.mean():.1f} +- {100 * half:.1f}"


if __name__ == "__main__":
    main()

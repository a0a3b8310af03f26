"""How good do forests and devices get with 10 to 100 labels of their own user? WISDM v1.1 features.

    make bench-forest
    .venv-peers/forest/bin/python -m benchmarks.learning_curve TABLE.arff

repeats the published curve (`benchmarks/published_curve.py`) and prints it beside ours;

    .venv-peers/forest/bin/python -m benchmarks.learning_curve --run RUN

compares the devices of a run, or of all its seeds, with forests that had the same labels, donors
and test (`scenarios/v11_learning_curve.toml`).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.forest import spread_of
from benchmarks.published_curve import PUBLISHED, SIZES, UNIVERSAL, Score, curve, read_people
from benchmarks.run_curve import MODELS, Curves, curves_of, seeds_of


def main() -> None:
    parser = argparse.ArgumentParser(description="The learning curve of forests on v1.1 features.")
    parser.add_argument("table", type=Path, nargs="?", help="WISDM_ar_v1.1_transformed.arff")
    parser.add_argument("--run", type=Path, help="compare the devices of a run with forests")
    parser.add_argument("--kept", type=Path, help="file in which forests' results are kept")
    parser.add_argument("--draws", type=int, default=2, help="of own labels in each of ten folds")
    parser.add_argument("--folds-of-both", type=int, default=2, help="folds with slow forests")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    if asked.run:
        folders = seeds_of(asked.run)
        print_paired([curves_of(folder, asked.kept, asked.seed) for folder in folders])
        return
    if not asked.table:
        parser.error("give the table of features, or --run")
    people = read_people(asked.table)
    scores: list[Score] = []
    for score in curve(
        people, draws=asked.draws, folds_of_both=asked.folds_of_both, seed=asked.seed
    ):
        if not scores or scores[-1].user != score.user:
            print(f"user {score.user}", flush=True)
        scores.append(score)
    print_published(scores)


def print_published(scores: Sequence[Score]) -> None:
    """Print the published figures beside ours, over folds as published and over users."""
    print("| model | own labels | published | as published | without the leak | users |")
    print("| --- | --- | --- | --- | --- | --- |")
    universal = _of(scores, "universal", 0, False)
    print(f"| universal | 0 | {UNIVERSAL} | | {_cell(universal)} | {len(universal)} |")
    for model, published in PUBLISHED.items():
        for size, figure in zip(SIZES, published, strict=True):
            leaking, honest = (_of(scores, model, size, leak) for leak in (True, False))
            print(
                f"| {model} | {size} | {figure} | {_cell(leaking)} | {_cell(honest)} "
                f"| {len(honest)} |"
            )
    print("A cell: mean over folds, as published; (mean over users +- half its 95% interval).")


def print_paired(seeds: Sequence[Curves]) -> None:
    """Print what devices reached, and by how much they differ from the forests, user by user."""
    print(
        "| arm | own labels | users | device | universal | personal | both | - personal | - both |"
    )
    print("| --- " * 9 + "|")
    for arm in seeds[0].arms:
        for size in SIZES:
            own = _by_user([curves.arms[arm][size] for curves in seeds])
            if not own:
                continue
            others = {
                model: _by_user([curves.forests[model][size] for curves in seeds])
                for model in MODELS
            }
            reached = np.array(list(own.values()))
            forests = {
                model: np.array([by_user[user] for user in own])
                for model, by_user in others.items()
            }
            cells = [f"{100 * values.mean():.1f}" for values in (reached, *forests.values())]
            cells += [str(spread_of(reached - forests[model])) for model in MODELS[1:]]
            print(f"| {arm} | {size} | {len(own)} | " + " | ".join(cells) + " |")


def _by_user(seeds: Sequence[dict[str, float]]) -> dict[str, float]:
    """Average each user over the seeds in which there is a figure."""
    users = dict.fromkeys(user for seed in seeds for user in seed)
    return {user: float(np.mean([seed[user] for seed in seeds if user in seed])) for user in users}


def _of(
    scores: Sequence[Score], model: str, size: int, leak: bool
) -> dict[str, NDArray[np.float64]]:
    """Return the scores of one kind by user."""
    kind = (model, size, leak)
    own = [score for score in scores if (score.model, score.size, score.leak) == kind]
    users = dict.fromkeys(score.user for score in own)
    return {user: np.array([s.accuracy for s in own if s.user == user]) for user in users}


def _cell(by_user: dict[str, NDArray[np.float64]]) -> str:
    """Return the mean over folds, and the mean over users with its interval."""
    if not by_user:
        return ""
    folds = 100 * float(np.concatenate(list(by_user.values())).mean())
    users = spread_of(np.array([own.mean() for own in by_user.values()]))
    return f"{folds:.1f} ({users})"


if __name__ == "__main__":
    main()

"""Which base model serves people best whom it never saw, and which adapts best to its user?

    python -m benchmarks.models --data FOLDER --programs cnn,gravity_cnn [--set KEY=VALUE]...

FOLDER holds the watch files of WISDM 2019. Only donors are looked at: the donors of each fold of
each seed are dealt to three groups, a base model is trained on two of them as `wearfleet run`
does it, and the third is scored by the model

- as it is, on all of their windows (unseen);
- after it was tuned to each of them alone (personal): the first 70% of each of the user's
  recordings give batches of 16 windows, equally many of each activity on average, for 128 steps of
  the device's own optimizer and loss; the last 30% are scored. It stands in for a device that asks
  and rehearses, and knows every answer.

The same again with kernels rounded to 8 bits, a scale for each filter (int8). Accuracies are means
over users, after a mean over the seeds in which the user was a donor; the worst tenth of the users
follows a slash.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from clients import chance
from clients.export import Blueprint
from clients.losses import balanced_loss
from clients.models import Model
from clients.optimizers import OPTIMIZERS
from clients.training import Base, predict_windows, scaled, train_base
from simulator.base.origin import blueprint_of, recipe_of, training_spans
from simulator.cohort.worker import use_one_thread
from simulator.measures.metrics import worst_tenth
from simulator.plan.plan import Plan, build_plan
from simulator.plan.population import donated_windows
from simulator.scenario.file import load_scenario

SCENARIO = Path(__file__).parents[1] / "scenarios" / "wisdm_watch.toml"
GROUPS, BATCH, STEPS = 3, 16, 128
SCORES = ("unseen", "personal", "unseen int8", "personal int8")

Params = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Score:
    """What one left-out donor got of one base model.

    Attributes:
        program: its name.
        seed, fold: whose donors were dealt to groups.
        user: the donor.
        accuracy: by kind, a name of `SCORES`.
    """

    program: str
    seed: int
    fold: int
    user: str
    accuracy: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one program takes.

    Attributes:
        parameters: how many.
        int8_bytes: of its kernels in 8 bits, with a scale for each filter, and its biases.
        training_s: processor seconds of each training.
    """

    parameters: int
    int8_bytes: int
    training_s: Sequence[float]


def main() -> None:
    parser = argparse.ArgumentParser(description="Base models, compared on donors alone.")
    parser.add_argument("--data", required=True, help="folder of the watch files of WISDM 2019")
    parser.add_argument("--programs", default="cnn,gravity_cnn,gravity_cnn_small")
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12, 13])
    parser.add_argument("--set", action="append", default=[], dest="keys", metavar="KEY=VALUE")
    asked = parser.parse_args()
    use_one_thread()
    scores: list[Score] = []
    print(
        "| program | parameters | float32 KiB | int8 KiB | s a training | "
        + " | ".join(SCORES)
        + " |"
    )
    print("| --- " * (5 + len(SCORES)) + "|")
    programs = asked.programs.split(",")
    for program in programs:
        overrides = [f"data.path={asked.data}", *asked.keys, f"model.program={program}"]
        own, cost = _measure(program, overrides, asked.seeds)
        scores += own
        print(_row(program, own, cost), flush=True)
    _print_folds(programs, scores)


def _measure(
    program: str, overrides: Sequence[str], seeds: Sequence[int]
) -> tuple[list[Score], Cost]:
    """Cross-validate one program within the donors of each fold of each seed."""
    scores, seconds = [], []
    for seed in seeds:
        plan = build_plan(load_scenario(SCENARIO, [*overrides, f"seed={seed}"]))
        population = plan.population
        blueprint = blueprint_of(plan.scenario, population.length, population.channels)
        for fold in plan.folds:
            random = chance.generator(seed, "benchmark/models", fold.index)
            order = random.permutation(len(fold.donors))
            for group in range(GROUPS):
                left_out = [fold.donors[i] for i in sorted(order[group::GROUPS])]
                donors = [user for user in fold.donors if user not in left_out]
                start = time.process_time()
                donated = training_spans(plan.scenario, population, donors)
                base = train_base(blueprint, donated, recipe_of(plan.scenario), random)
                seconds.append(time.process_time() - start)
                found = _score(plan, blueprint, base, left_out, random)
                scores += [Score(program, seed, fold.index, *one) for one in found]
    model = blueprint.model()
    params = model.init(np.random.default_rng(0))
    kept = sum(
        value.size + 4 * value.shape[-1] if value.ndim > 1 else 4 * value.size
        for value in params.values()
    )
    return scores, Cost(sum(value.size for value in params.values()), kept, seconds)


def _score(
    plan: Plan, blueprint: Blueprint, base: Base, users: Sequence[str], random: np.random.Generator
) -> Iterator[tuple[str, dict[str, float]]]:
    """Score donors whom a base model never saw, before and after it is tuned to each alone."""
    model, population, pool = blueprint.model(), plan.population, plan.pool
    labels = pool.windows.label
    numbers = [pool.users.index(user) for user in users]
    streamed = [np.arange(*pool.streamed[number]) for number in numbers]
    batches = np.stack([_batches(labels, own, random) for own in streamed], axis=1)
    start = {name: np.stack([value] * len(users)) for name, value in base.params.items()}
    x = scaled(pool.read(batches), base.mean, base.scale)
    tuned = _tuned(blueprint, model, start, x, labels[batches])
    whole = donated_windows(
        population,
        blueprint.activities,
        users,
        length=population.length,
        hop=population.hop,
    )
    for place, (user, number) in enumerate(zip(users, numbers, strict=True)):
        own = whole.of(np.array([place], np.int32))
        last = np.arange(*pool.holdout[number])
        everything = scaled(own.x, base.mean, base.scale), own.labels
        end = scaled(pool.read(last), base.mean, base.scale), labels[last]
        personal = {name: value[place] for name, value in tuned.items()}
        yield (
            user,
            {
                "unseen": _accuracy(model, base.params, *everything),
                "personal": _accuracy(model, personal, *end),
                "unseen int8": _accuracy(model, _rounded(base.params), *everything),
                "personal int8": _accuracy(model, _rounded(personal), *end),
            },
        )


def _batches(
    labels: NDArray[np.int32], own: NDArray[np.int64], random: np.random.Generator
) -> NDArray[np.int32]:
    """Draw one user's batches, each window of an activity drawn first: int32 [STEPS, BATCH]."""
    windows = [own[labels[own] == label] for label in np.unique(labels[own])]
    activity = random.integers(len(windows), size=STEPS * BATCH)
    share = random.random(STEPS * BATCH)
    drawn = [windows[a][int(s * len(windows[a]))] for a, s in zip(activity, share, strict=True)]
    return np.array(drawn, np.int32).reshape(STEPS, BATCH)


def _tuned(
    blueprint: Blueprint, model: Model, params: Params, x: NDArray[Any], labels: NDArray[Any]
) -> Params:
    """Tune the models of D users, [D, ...], to their batches, [STEPS, D, BATCH, T, C]."""
    optimizer = OPTIMIZERS[blueprint.optimizer]
    shapes = {name: value.shape[1:] for name, value in params.items()}
    one = optimizer.start(shapes, blueprint.learning_rate, "float32")
    users = x.shape[1]
    slots = {name: np.stack([value] * users) for name, value in one.items()}

    @tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
    def steps(params: Any, slots: Any, x: Any, labels: Any) -> Any:
        def body(step: Any, params: Any, slots: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(params)
                logits = model.forward(params, x[step])
                mask = tf.ones_like(labels[step], tf.bool)
                loss = tf.reduce_sum(balanced_loss(logits, labels[step], mask))
            return step + 1, *optimizer.apply(params, slots, tape.gradient(loss, params))

        loop = (tf.constant(0), params, slots)
        return tf.while_loop(lambda step, *_: step < STEPS, body, loop)[1]

    stacked = [{n: tf.constant(v) for n, v in some.items()} for some in (params, slots)]
    found = steps(*stacked, tf.constant(x), tf.constant(labels))
    return {name: value.numpy() for name, value in found.items()}


def _rounded(params: Params) -> Params:
    """Round kernels [rows, filters] to 8 bits, each filter by its own scale, and put them back."""
    rounded = dict(params)
    for name, value in params.items():
        if value.ndim > 1:
            scale = np.maximum(np.abs(value).max(axis=0), 1e-12) / 127.0
            rounded[name] = np.asarray(np.round(value / scale) * scale, np.float32)
    return rounded


def _accuracy(model: Model, params: Params, x: NDArray[Any], labels: NDArray[Any]) -> float:
    stacked = {name: tf.constant(value[None]) for name, value in params.items()}
    return float(np.mean(predict_windows(model, stacked, x)[:, 0] == labels))


def _row(program: str, scores: Sequence[Score], cost: Cost) -> str:
    kib = 4 * cost.parameters / 1024
    seconds = float(np.median(cost.training_s))
    cells = [program, f"{cost.parameters:,}", f"{kib:.1f}", f"{cost.int8_bytes / 1024:.1f}"]
    cells += [f"{seconds:.0f}", *(_cell(scores, kind) for kind in SCORES)]
    return f"| {' | '.join(cells)} |"


def _cell(scores: Sequence[Score], kind: str) -> str:
    """Return the mean over users and over the worst tenth of them, after a mean over seeds."""
    users = dict.fromkeys(score.user for score in scores)
    by_user = [np.mean([s.accuracy[kind] for s in scores if s.user == user]) for user in users]
    each = 100.0 * np.array(by_user)
    return f"{each.mean():.1f} / {worst_tenth(each):.1f}"


def _print_folds(programs: Sequence[str], scores: Sequence[Score]) -> None:
    """Print what each fold's donors alone say."""
    print("\nPersonal, by the donors of each fold:\n")
    print(f"| seed, fold | {' | '.join(programs)} |")
    print("| --- " * (1 + len(programs)) + "|")
    for seed, fold in dict.fromkeys((score.seed, score.fold) for score in scores):
        own = [score for score in scores if (score.seed, score.fold) == (seed, fold)]
        cells = [_cell([s for s in own if s.program == p], "personal") for p in programs]
        print(f"| {seed}, {fold} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()

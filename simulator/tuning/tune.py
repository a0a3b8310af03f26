"""A fair search: each arm's keys, by the same budget, on the donors of each fold alone."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd

from clients import chance
from clients.errors import BadScenario
from simulator.base.choice import choose_program
from simulator.base.prepared import Prepared
from simulator.folder.store import RunFolder
from simulator.measures.metrics import users_frame
from simulator.plan.plan import Fold, Plan, build_plan
from simulator.running.fleet import Fleet
from simulator.running.fold_run import Watcher
from simulator.running.scenario_run import run_arm
from simulator.scenario.arm import Arm
from simulator.scenario.fault_table import Faults
from simulator.scenario.scenario import Scenario
from simulator.scenario.sections import Tuning
from simulator.tuning.search import Range, ranges_of, suggested

__all__ = ["tune", "tune_seeds"]

_LEAST_DONORS = 4  # two who train, two who wear


class _Unheard:
    """Is told of the rounds of each trial, of which nobody needs to know."""

    def stage(self, name: str, rounds: int, folds: int = 1) -> None:
        pass

    def advance(self) -> None:
        pass

    def note(self, text: str) -> None:
        pass


@dataclass(frozen=True, slots=True, eq=False)
class _Bench:
    """The donors of one fold, of whom some train and the others wear devices, in turn."""

    plan: Plan
    prepared: Sequence[Prepared]
    fleet: Fleet
    folder: Path
    watcher: Watcher

    def score(self, arm: Arm) -> float:
        """Return the accuracy of an arm on the holdout of donors, each counting the same."""
        run = RunFolder(self.folder)
        run_arm(self.plan, arm, self.prepared, self.fleet, run, _Unheard())
        users = users_frame(self.folder, [arm])
        for kind in ("rounds", "checkpoints", "devices", "events", "windows"):
            shutil.rmtree(self.folder / kind, ignore_errors=True)
        self.watcher.advance()
        return float(users["holdout_accuracy"].mean())


def tune(
    scenario: Scenario,
    trials: int,
    inner_folds: int,
    folder: Path,
    fleet: Fleet,
    watcher: Watcher,
    *,
    trusted: bool = False,
) -> tuple[Scenario, pd.DataFrame]:
    """Search each arm's keys on donors, fold by fold.

    The donors of a fold are dealt to inner folds: in each, the others train a base model, and its
    users wear devices, so that an arm is judged on people whom its base model never saw, and none
    of whom wears a device in the fold that the choice is for. Every arm gets the same number of
    trials; the first is the arm as it stands.

    Args:
        scenario: with folds or donors.
        trials: for each arm and fold.
        inner_folds: to which a fold's donors are dealt.
        folder: for what is written meanwhile.
        fleet: computes them.
        watcher: is told how it goes.
        trusted: whether programs of others may hold ops that can do more than compute.

    Returns:
        the scenario with `tuned` tables, and one row per fold, arm and trial: fold, arm, trial,
        accuracy, chosen, and the keys tried.

    Raises:
        BadScenario: there are no donors, too few of them, or nothing to tune.
    """
    outer = build_plan(_untuned(scenario), trusted=trusted)
    _check(outer, inner_folds)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    chosen: dict[str, list[dict[str, Any]]] = {arm.name: [] for arm in scenario.arms}
    rows: list[dict[str, Any]] = []
    programs: list[str] = []
    for fold in outer.folds:
        own, program = folder / f"fold-{fold.index}", None
        if scenario.model.candidates:  # the donors choose once, for all that is tried on them
            watcher.stage(f"{_place(scenario, fold)}: program", 0)
            program, _ = choose_program(outer, fold)
            programs.append(program)
        bench = _bench(scenario, program, fold, inner_folds, own, fleet, watcher, trusted=trusted)
        for arm in outer.scenario.arms:
            ranges = ranges_of(arm, bench.plan.rounds)
            if ranges:
                study = _search(bench, scenario, arm, ranges, trials, fold)
                chosen[arm.name].append(_values(study.best_trial))
                rows += _told(study, arm, fold.index)
    arms = [
        arm.model_copy(update={"tuned": chosen[arm.name]}) if chosen[arm.name] else arm
        for arm in outer.scenario.arms
    ]
    tuning = Tuning(
        seed=scenario.seed,
        trials=trials,
        inner_folds=inner_folds,
        donors=[list(fold.donors) for fold in outer.folds],
    )
    model = scenario.model.model_copy(update={"chosen": programs})
    tuned = scenario.model_copy(update={"arms": arms, "tuning": [tuning], "model": model})
    return Scenario.model_validate(tuned.model_dump(by_alias=True)), pd.DataFrame(rows)


def tune_seeds(
    scenario: Scenario,
    seeds: int,
    trials: int,
    inner_folds: int,
    folder: Path,
    fleet: Fleet,
    watcher: Watcher,
    *,
    trusted: bool = False,
) -> tuple[Scenario, pd.DataFrame]:
    """Tune a scenario for its seed and the next ones, each on the donors that it has.

    Returns:
        the scenario with `tuned` tables for each fold of each seed, and the rows of `tune` with
        their seed.
    """
    found, tables = [], []
    for seed in range(scenario.seed, scenario.seed + seeds):
        seeded = _untuned(scenario).model_copy(update={"seed": seed})
        own = folder / f"seed-{seed}"
        tuned, table = tune(seeded, trials, inner_folds, own, fleet, watcher, trusted=trusted)
        found.append(tuned)
        tables.append(table.assign(seed=seed))
    arms = [
        each[0].model_copy(update={"tuned": [v for arm in each for v in arm.tuned or []] or None})
        for each in zip(*(tuned.arms for tuned in found), strict=True)
    ]
    tuning = [tuned.tuning[0] for tuned in found]
    chosen = [program for tuned in found for program in tuned.model.chosen]
    model = scenario.model.model_copy(update={"chosen": chosen})
    whole = found[0].model_copy(update={"arms": arms, "tuning": tuning, "model": model})
    table = pd.concat(tables, ignore_index=True)
    return whole, table[["seed", *(name for name in table if name != "seed")]]


def _untuned(scenario: Scenario) -> Scenario:
    """Take out what was tuned before."""
    arms = [arm.model_copy(update={"tuned": None}) for arm in scenario.arms]
    model = scenario.model.model_copy(update={"chosen": []})
    return scenario.model_copy(update={"arms": arms, "tuning": [], "model": model})


def _check(plan: Plan, inner_folds: int) -> None:
    """Refuse what cannot be tuned on donors."""
    if plan.scenario.model.base != "donors":
        raise BadScenario(
            f'model.base = "{plan.scenario.model.base}": the donors of a fold choose its keys, and '
            'train base models for that; set model.base = "donors" and split.folds = 2'
        )
    least = max(_LEAST_DONORS, 2 * inner_folds)
    for fold in plan.folds:
        if len(fold.donors) < least:
            raise BadScenario(
                f"fold {fold.index} has {len(fold.donors)} donors: {inner_folds} inner folds need "
                f"{least}; give more users or fewer inner folds"
            )
    if not any(ranges_of(arm, plan.rounds) for arm in plan.scenario.arms):
        raise BadScenario("arms: none of them learns, so there is nothing to tune")


def _bench(
    scenario: Scenario,
    program: str | None,
    fold: Fold,
    inner_folds: int,
    folder: Path,
    fleet: Fleet,
    watcher: Watcher,
    *,
    trusted: bool,
) -> _Bench:
    """Let a fold's donors be donors and wearers among themselves."""
    plan = _untuned(scenario)
    model = plan.model
    if program is not None:
        model = model.model_copy(update={"program": program, "candidates": [], "chosen": []})
    update = {
        "model": model,
        "data": plan.data.model_copy(update={"users": list(fold.donors)}),
        "faults": Faults.model_validate({}),
        "detectors": [],  # nothing drifts that is to be noticed or reacted to
        "drift": [
            one.model_copy(update={"devices": 1.0})
            for one in plan.drift
            if one.kind == "new-activity"  # which donors are not to know; others are the future
        ],
        "split": plan.split.model_copy(update={"folds": inner_folds, "donors": 0}),
        "fleet": plan.fleet.model_copy(update={"devices": "users"}),
        "stream": plan.stream.model_copy(update={"rounds": "all"}),
        "records": plan.records.model_copy(update={"windows": "none"}),
        "measure": plan.measure.model_copy(update={"holdout_every": 10**6, "downloaded": False}),
        "checkpoints": plan.checkpoints.model_copy(
            update={"every_rounds": 10**6, "materialize": 0}
        ),
    }
    folder.mkdir(parents=True)
    watcher.stage(f"{_place(scenario, fold)}: base models", 0)
    inner = build_plan(plan.model_copy(update=update), trusted=trusted)
    return _Bench(inner, fleet.prepare(inner, folder), fleet, folder, watcher)


def _search(
    bench: _Bench,
    scenario: Scenario,
    arm: Arm,
    ranges: Mapping[str, Range],
    trials: int,
    fold: Fold,
) -> optuna.Study:
    """Try an arm with other keys, and with its own first."""
    bench.watcher.stage(f"{_place(scenario, fold)}: {arm.name}", trials)
    key = chance.key(scenario.seed, f"tune/{arm.name}/{fold.index}") % 2**32
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=key, n_startup_trials=5)
    )
    study.add_trial(optuna.trial.create_trial(value=bench.score(arm), user_attrs={"values": {}}))

    def objective(trial: optuna.Trial) -> float:
        values = suggested(arm, ranges, trial)
        trial.set_user_attr("values", values)
        own = arm.model_dump(by_alias=True, exclude_none=True)
        return bench.score(Arm.model_validate({**own, "tuned": [values]}).in_fold(0))

    study.optimize(objective, n_trials=trials - 1)
    keys = ", ".join(f"{key} = {value}" for key, value in _values(study.best_trial).items())
    bench.watcher.note(
        f"{_place(scenario, fold)}: {arm.name}: {100 * study.trials[0].values[0]:.1f}% on donors' "
        f"holdout as it stands, {100 * study.best_value:.1f}% with {keys or 'its own keys'}"
    )
    return study


def _place(scenario: Scenario, fold: Fold) -> str:
    """Say for whom something is chosen."""
    return f"seed {scenario.seed}, fold {fold.index}"


def _values(trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    """Return the keys of a trial, rounded as they are written; none for the arm as it stands."""
    return {key: _brief(value) for key, value in trial.user_attrs["values"].items()}


def _brief(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _told(study: optuna.Study, arm: Arm, fold: int) -> list[dict[str, Any]]:
    """Return a row for each trial."""
    return [
        {
            "fold": fold,
            "arm": arm.name,
            "trial": trial.number,
            "accuracy": float(np.asarray(trial.value)),
            "chosen": trial.number == study.best_trial.number,
            **trial.user_attrs["values"],
        }
        for trial in study.trials
    ]

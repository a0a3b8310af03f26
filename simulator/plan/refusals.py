"""What a plan refuses, once its people and folds are known."""

from __future__ import annotations

from collections.abc import Sequence

from clients.errors import BadScenario
from simulator.plan.folds import Fold
from simulator.plan.population import Population
from simulator.scenario.options import PAIRWISE
from simulator.scenario.scenario import Scenario
from simulator.scenario.ways import strategy_of

__all__ = ["check_holdout", "check_participants", "check_tuning"]

_MOST_PAIRWISE = 1000


def check_participants(scenario: Scenario, folds: Sequence[Fold]) -> None:
    """Refuse arms that compare updates pairwise where there are too many, or too few to trust."""
    for arm in scenario.arms:
        strategy = strategy_of(arm.method)
        if strategy not in PAIRWISE:
            continue
        share = 1.0 if arm.participation is None else arm.participation
        for fold in folds:
            count = max(1, round(share * fold.devices.size))
            if count > _MOST_PAIRWISE:
                raise BadScenario(
                    f"arms.{arm.name}.participation = {share}: {count:,} of {fold.devices.size:,} "
                    f'devices take part in a round, and method "{arm.method}" compares each with '
                    f"each other one, up to {_MOST_PAIRWISE:,}; give participation = "
                    f"{_MOST_PAIRWISE / fold.devices.size:.2g} or less, or fedtrimmedavg"
                )
            liars = int(arm.option("liars"))
            least = 4 * liars + 3 if strategy == "bulyan" else 2 * liars + 3
            if count < least:
                raise BadScenario(
                    f"arms.{arm.name}.liars = {liars}: {count} devices take part in a round, and "
                    f'method "{arm.method}" needs {least} to outvote so many; give fewer liars, '
                    "or more devices"
                )


def check_tuning(scenario: Scenario, folds: Sequence[Fold]) -> None:
    """Refuse keys that were chosen on people who wear devices in the fold that they are for."""
    for tuning in scenario.tuning:
        if tuning.seed != scenario.seed:
            continue
        for fold, donors in zip(folds, tuning.donors, strict=False):
            seen = sorted(set(donors) & set(fold.wearers))
            if seen:
                raise BadScenario(
                    f"tuning: the arms' keys of fold {fold.index} were tuned on users who wear "
                    f"devices in it ({', '.join(seen[:5])}); tune it anew for these data"
                )
        return
    if scenario.tuning:
        seeds = ", ".join(str(tuning.seed) for tuning in scenario.tuning)
        raise BadScenario(
            f"seed = {scenario.seed}: arms were tuned for seed {seeds}, and other seeds have other "
            "donors; tune it for this one too, or take `tuned` and `tuning` out"
        )


def check_holdout(scenario: Scenario, population: Population) -> None:
    """Refuse to draw a holdout at random from single samples."""
    if scenario.split.holdout_by == "chance" and population.series:
        raise BadScenario(
            f'split.holdout_by = "chance": {scenario.model.program} takes single samples, and a '
            'sample is like the one before; set split.holdout_by = "time", or give a program that '
            "takes windows"
        )

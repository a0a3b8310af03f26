"""Which program a fold's devices carry, where its donors choose among several."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clients import chance
from clients.training import predict_windows, scaled, train_base
from simulator.base.origin import blueprint_of, recipe_of, training_spans
from simulator.engine.blocks import stacked
from simulator.plan.plan import Fold, Plan
from simulator.plan.population import donated_windows

__all__ = ["choose_program", "groups_of"]


def choose_program(plan: Plan, fold: Fold) -> tuple[str, dict[str, float]]:
    """Let a fold's donors choose its program: the one that serves donors best whom it never saw.

    The donors are dealt to groups; each group is left out once and scored with a model trained on
    the others. No user who wears a device in the fold is looked at. Equal scores go to the
    candidate that is named first.

    Returns:
        the candidate's name, and of each candidate the accuracy on windows of donors left out,
        every donor counting the same.
    """
    scenario = plan.scenario
    scores = {}
    for program in scenario.model.candidates:
        model = scenario.model.model_copy(update={"program": program})
        candidate = scenario.model_copy(update={"model": model})
        blueprint = blueprint_of(candidate, plan.population.length, plan.population.channels)
        each: list[float] = []
        for number, left_out in enumerate(groups_of(plan, fold)):
            others = [user for user in fold.donors if user not in left_out]
            base = train_base(
                blueprint,
                training_spans(candidate, plan.population, others),
                recipe_of(candidate),
                chance.generator(scenario.seed, "choosing", fold.index, number),
            )
            params = dict(stacked(base.params, 1))
            for user in left_out:
                unseen = donated_windows(
                    plan.population,
                    scenario.data.activities,
                    [user],
                    length=plan.population.length,
                    hop=plan.population.hop,
                    without=scenario.withheld,
                )
                x = scaled(unseen.x, base.mean, base.scale)
                each.append(_share(predict_windows(blueprint.model(), params, x), unseen.labels))
        scores[program] = float(np.mean(each))
    return max(scores, key=lambda name: scores[name]), scores


def groups_of(plan: Plan, fold: Fold) -> Sequence[Sequence[str]]:
    """Deal a fold's donors to the groups that are left out in turn, at random."""
    count = plan.scenario.model.groups
    order = chance.generator(plan.scenario.seed, "groups", fold.index).permutation(len(fold.donors))
    return [[fold.donors[i] for i in sorted(order[first::count])] for first in range(count)]


def _share(said: NDArray[np.int32], labels: NDArray[np.int32]) -> float:
    return float(np.mean(said == labels[:, None]))

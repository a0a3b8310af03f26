"""What drifts, detectors and reactions ask of the rest of a scenario."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from simulator.scenario.built_in import SINGLE_SAMPLES, programs
from simulator.scenario.drift_table import OF_STREAM
from simulator.scenario.nearest import meant

if TYPE_CHECKING:
    from simulator.scenario.scenario import Scenario

__all__ = ["check_detectors", "check_drift"]


def check_drift(scenario: Scenario) -> Iterator[str]:
    """Refuse drifts that the data, the program or each other leave no room for."""
    data, model = scenario.data, scenario.model
    of_stream = [table.kind for table in scenario.drift if table.kind in OF_STREAM]
    if len(of_stream) > 1:
        yield (f"drift: {' and '.join(of_stream)} both say which windows reach a device; keep one")
    for number, table in enumerate(scenario.drift):
        place = f'drift[{number + 1}].kind = "{table.kind}"'
        unknown = [name for name in table.named if name not in data.activities]
        if unknown:
            yield (
                f"drift[{number + 1}].{table.needs} = {unknown[0]!r}: none of data.activities: "
                f"{', '.join(data.activities)}{meant(unknown[0], data.activities)}"
            )
        if table.kind not in OF_STREAM and data.source == "wisdm-v1.1-features":
            yield (
                f"{place}: changes samples, and a row of features has none; allowed: "
                f"{', '.join(OF_STREAM)}"
            )
        if table.of_time and model.program in SINGLE_SAMPLES:
            yield (
                f'{place}: changes how samples follow one another, and "{model.program}" is given '
                "them one by one; use a program on windows"
            )
        if table.kind == "new-activity" and model.base not in ("donors", "random"):
            yield (
                f'{place}: the activity is withheld from donors, and model.base = "{model.base}" '
                'was trained elsewhere; set model.base = "donors"'
            )
        if table.kind in ("new-activity", "label-shift"):
            left = len(set(data.activities) - set(table.named))
            least = 2 if table.kind == "new-activity" else 1
            if left < least:
                yield (
                    f"{place}: leaves {left} of data.activities for the time before; {least} are "
                    "needed"
                )


def check_detectors(scenario: Scenario) -> Iterator[str]:
    """Refuse detectors whose strength nobody can set, and reactions to what nobody watches for."""
    kinds = [table.kind for table in scenario.detectors]
    twice = sorted({kind for kind in kinds if kinds.count(kind) > 1})
    if twice:
        yield (f"detectors: {twice[0]!r} is there twice; keep one")
    for number, table in enumerate(scenario.detectors):
        place = f"detectors[{number + 1}]"
        if table.kind == "inputs" and not scenario.split.has_donors:
            yield (
                f'{place}.kind = "inputs": learns from donors what is usual, and '
                "split.folds = 1 leaves none: set split.folds = 2 or split.donors"
            )
        if (
            table.kind != "inputs"
            and table.strength == "donors"
            and (scenario.model.base != "donors" or scenario.model.program not in programs())
        ):
            yield (
                f'{place}.strength: "donors" are to set it by models of other donors, '
                f'and model.base = "{scenario.model.base}" trains none; give a number'
            )
        on_errors = table.kind != "inputs" and table.strength == "donors"
        if on_errors and scenario.labels.ask == "uncertain":
            yield (
                f'{place}.strength: "donors" set it on all their questions, and '
                'labels.ask = "uncertain" asks the hard ones; give a number, or ask at random'
            )
        if table.kind == "inputs" and scenario.data.source == "wisdm-v1.1-features":
            yield (
                f'{place}.kind = "inputs": tells how a device lies from how its wearer '
                "moves, and a row of features does not; use a detector on errors"
            )
    there = ", ".join(kinds) or "none"
    for arm in scenario.arms:
        place = f"arms.{arm.name}.reaction"
        if arm.reaction is None:
            continue
        if arm.detector is None:
            yield (
                f'{place} = "{arm.reaction}": the arm reacts to alarms, and has no detector; '
                f"detectors: {there}; add a table [[detectors]]"
            )
        elif arm.detector not in kinds:
            yield (
                f"arms.{arm.name}.detector = {arm.detector!r}: the alarms of what the arm reacts "
                f"to; detectors: {there}; add a table [[detectors]]{meant(arm.detector, kinds)}"
            )
        if arm.reaction == "last-good" and scenario.labels.delay_rounds:
            yield (
                f'{place} = "last-good": a version is good by the answers of its own round, and '
                f"labels.delay_rounds = {scenario.labels.delay_rounds}; set that to 0"
            )
        if arm.reaction == "ask-more" and scenario.labels.ask == "all":
            yield (
                f'{place} = "ask-more": labels.ask = "all" asks all there is; set labels.ask = '
                '"random" or "uncertain", and a budget'
            )
        foreign = scenario.model.program not in programs()
        if foreign and arm.reaction in ("reset-head", "learn-faster"):
            yield (
                f'{place} = "{arm.reaction}": {scenario.model.program} does not say what is its '
                "head or learning rate; use clear-memory, last-good or ask-more"
            )

"""What the tables of a scenario ask of each other: combinations that cannot be are refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from clients.movements import MOVEMENTS
from simulator.scenario.arm_checks import check_arms
from simulator.scenario.built_in import FEATURE_ROWS, PROGRAMS, ROWS, SINGLE_SAMPLES, programs
from simulator.scenario.drift_checks import check_detectors, check_drift
from simulator.scenario.fault_checks import check_faults
from simulator.scenario.impossible import refuse
from simulator.scenario.nearest import meant

if TYPE_CHECKING:
    from simulator.scenario.scenario import Scenario

__all__ = ["check_together"]


def check_together(scenario: Scenario) -> None:
    """Refuse tables that do not go together.

    Raises:
        Impossible: with all that does not: the key, what was found, and what is allowed.
    """
    refuse(
        *check_arms(scenario),
        *_check_data(scenario),
        *_check_training(scenario),
        *_check_candidates(scenario),
        *check_drift(scenario),
        *check_detectors(scenario),
        *check_faults(scenario),
    )


def _check_data(scenario: Scenario) -> Iterator[str]:
    """Refuse data, split and model that do not go together."""
    data, split, model = scenario.data, scenario.split, scenario.model
    repeated = sorted({a for a in data.activities if data.activities.count(a) > 1})
    if repeated:
        yield (f"data.activities: {repeated[0]!r} is listed twice")
    if data.source == "synthetic" and data.path:
        yield (
            f'data.path: {data.path!r} with source = "synthetic", which is generated; '
            "set data.source to the kind of the file or take the path out"
        )
    unknown = [a for a in data.activities if a not in MOVEMENTS]
    if data.source == "synthetic" and unknown:
        yield (
            f"data.activities: {unknown[0]!r} is nothing that synthetic people do; allowed: "
            f"{', '.join(MOVEMENTS)}{meant(unknown[0], MOVEMENTS)}"
        )
    if data.source != "synthetic" and not data.path:
        yield (
            f'data.path: missing; source = "{data.source}" is read from a file or folder: '
            "give it by --set data.path=..."
        )
    if data.source == "wisdm-v1.1-features":
        yield from _check_features(scenario)
        if model.program in PROGRAMS and model.program not in ROWS:
            yield (
                f'model.program: "{model.program}" looks at samples, and a row of '
                f"wisdm-v1.1-features has none; allowed: {', '.join(ROWS)} or a SavedModel"
            )
    if data.source == "synthetic" and data.users == "all":
        yield ('data.users: "all" of synthetic people is no number; give one, such as users = 36')
    if split.holdout_by == "chance" and data.hop_s < data.window_s:
        yield (
            f'split.holdout_by: "chance" with data.hop_s = {data.hop_s} and data.window_s = '
            f"{data.window_s}: windows that overlap share samples, so that what is streamed would "
            'be scored; make data.hop_s as long as data.window_s, or set split.holdout_by = "time"'
        )
    if split.donors and split.folds > 1:
        yield (
            f"split.donors = {split.donors} with split.folds = {split.folds}: in each fold the "
            "other users are the donors; set split.folds = 1 to give a number of them"
        )
    if model.base == "donors" and not scenario.split.has_donors:
        yield (
            'model.base: "donors" with split.folds = 1 leaves no donors; set split.folds = 2 or '
            'split.donors, or model.base = "random" or the path of a trained SavedModel'
        )
    if isinstance(data.users, int) and data.users < split.folds * (2 if split.folds > 1 else 1):
        yield (
            f"split.folds: {split.folds} folds of {data.users} users leave fewer than two in a "
            "fold; give more users or fewer folds"
        )


def _check_features(scenario: Scenario) -> Iterator[str]:
    """Refuse to resample, cut or turn what is no series of samples."""
    for section, keys in FEATURE_ROWS.items():
        for key, wanted in keys.items():
            found = getattr(getattr(scenario, section), key)
            if found != wanted:
                yield (
                    f"{section}.{key} = {found}: a row of wisdm-v1.1-features is one window of "
                    f"10 s, which cannot be resampled, cut or rotated; allowed: {wanted}"
                )


def _check_training(scenario: Scenario) -> Iterator[str]:
    """Refuse looks at the validating donors that do not fit into the steps."""
    training = scenario.training
    if training.steps % training.look_every:
        yield (
            f"training.look_every = {training.look_every}: it must divide training.steps = "
            f"{training.steps}, so that training ends with a look"
        )


def _check_candidates(scenario: Scenario) -> Iterator[str]:
    """Refuse programs that donors cannot choose among."""
    model = scenario.model
    windows = [program for program in programs() if program not in SINGLE_SAMPLES]
    wrong = [program for program in model.candidates if program not in windows]
    if wrong:
        yield (
            f"model.candidates: {wrong[0]!r} is no built-in program on windows; allowed: "
            f"{', '.join(windows)}{meant(wrong[0], windows)}"
        )
    if model.candidates and model.base != "donors":
        yield (
            f'model.candidates: donors choose among them, and model.base = "{model.base}" has '
            'none train; set model.base = "donors"'
        )
    if model.candidates and model.program not in model.candidates:
        yield (
            f"model.candidates: {', '.join(model.candidates)} without model.program = "
            f'"{model.program}"; take model.program out, or name it among them'
        )
    wanted = scenario.split.folds * max(1, len(scenario.tuning))
    if model.chosen and (len(model.chosen) != wanted or set(model.chosen) - set(model.candidates)):
        yield (
            f"model.chosen = {model.chosen}: expected {wanted} of model.candidates, one for each "
            "fold (of each seed in `tuning`); leave it out, and the donors choose"
        )

"""What the tables of a scenario ask of each other: combinations that cannot be are refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from clients.containment import is_file_name
from clients.movements import MOVEMENTS
from clients.plugins import MODELS, plugin_names
from simulator.scenario.arm import Arm
from simulator.scenario.drift_table import OF_STREAM
from simulator.scenario.fault_checks import check_faults

if TYPE_CHECKING:
    from simulator.scenario.scenario import Scenario

__all__ = ["FEATURE_ROWS", "PROGRAMS", "SINGLE_SAMPLES", "check_together", "programs"]

PROGRAMS = (
    "bilstm", "cnn", "cnn_norm", "dense", "features", "gravity_cnn", "gravity_cnn_small", "gru",
    "tracker_dense", "tracker_lstm",
)  # fmt: skip

_SUFFIXES = (".parquet", ".unfinished")  # of files beside the folders that arms have

ROWS = ("dense", "features")
"""Programs that can look at a row of features."""

SINGLE_SAMPLES = ("tracker_dense", "tracker_lstm")
"""Programs that follow single samples: they have no windows, whatever the scenario says."""

FEATURE_ROWS = {
    "data": {"rate_hz": 0.1, "window_s": 10.0, "hop_s": 10.0},
    "training": {"warp": 1.0, "tilt_deg": 0.0, "gain": 1.0, "noise": 0.0, "mirror": 0.0},
}
"""What holds for a table of features, and cannot be otherwise: a row is one window of 10 s."""


def programs() -> tuple[str, ...]:
    """Return the names of the programs that are built in, and those that other packages add."""
    return (*PROGRAMS, *plugin_names(MODELS, PROGRAMS))


def check_together(scenario: Scenario) -> None:
    """Refuse tables that do not go together.

    Raises:
        ValueError: with the key, what was found, and what is allowed.
    """
    _check_arms(scenario)
    _check_data(scenario)
    _check_training(scenario)
    _check_candidates(scenario)
    _check_drift(scenario)
    _check_detectors(scenario)
    check_faults(scenario, SINGLE_SAMPLES)


def _check_arms(scenario: Scenario) -> None:
    """Refuse arms that cannot be told apart or compared."""
    names = [arm.name for arm in scenario.arms]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"arms: the name {twice[0]!r} is used twice; give each arm its own")
    _check_file_names(names)
    if scenario.baseline and scenario.baseline not in names:
        raise ValueError(f"baseline: {scenario.baseline!r} is no arm; arms: {', '.join(names)}")
    for arm in scenario.arms:
        if arm.optimizer is not None and scenario.model.program not in programs():
            raise ValueError(
                f"arms.{arm.name}.optimizer: the SavedModel {scenario.model.program} brings its "
                "own; take the key out of the arm"
            )
        _check_arm(scenario, arm)
        if arm.method == "heuristic" and scenario.labels.ask == "uncertain":
            raise ValueError(
                f'labels.ask = "uncertain": arm "{arm.name}" is a heuristic, which gives no logits '
                "to be uncertain by; take the arm out, or ask at random"
            )
        if arm.method == "heuristic" and not _has_donors(scenario):
            raise ValueError(
                f'arms: "{arm.name}" takes its thresholds from donors, and split.folds = 1 leaves '
                "none: set split.folds = 2 or split.donors, or take the arm out"
            )


def _check_file_names(names: Sequence[str]) -> None:
    """Refuse names of arms that are no names of files, or that one file system takes for one."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise ValueError(
                f"arms: the names {other!r} and {name!r} differ in capitals alone, and are one "
                "folder on some file systems; give them names that differ otherwise"
            )
        if not is_file_name(name) or name.endswith(_SUFFIXES):
            raise ValueError(
                f"arms: the name {name!r} is no name of a folder of the run; expected letters, "
                f"digits and _.- that do not end in {' or '.join(_SUFFIXES)}"
            )


def _check_arm(scenario: Scenario, arm: Arm) -> None:
    """Refuse keys of an arm that the rest of the scenario leaves no room for."""
    folds, seeds, place = scenario.split.folds, len(scenario.tuning), f"arms.{arm.name}"
    if arm.tuned is not None and len(arm.tuned) != folds * max(1, seeds):
        each = f" and the {seeds} seeds of `tuning`" if seeds else ""
        raise ValueError(
            f"{place}.tuned: {len(arm.tuned)} tables for split.folds = {folds}{each}; "
            "give one for each fold" + (" of each seed" if seeds else "")
        )
    if arm.tuned is None:
        _check_steps(scenario, arm, place)
    for index in range(len(arm.tuned or [])):
        _check_steps(scenario, arm.in_fold(index), f"{place}.tuned.{index}")


def _check_steps(scenario: Scenario, arm: Arm, place: str) -> None:
    """Refuse steps and a memory that leave nothing to the arm's method."""
    steps = scenario.learning.steps if arm.steps is None else arm.steps
    if arm.method == "fedrep" and arm.option("head_steps") >= steps:
        raise ValueError(
            f"{place}: head_steps = {arm.option('head_steps')}: the head takes so many of "
            f"the {steps} steps that an answer leads to, and the shared layers the others; give "
            f"fewer, or more steps"
        )
    if arm.method in ("qfedavg", "perfedavg", "ifca"):
        memory = scenario.learning.memory if arm.memory is None else arm.memory
        if not memory:
            raise ValueError(
                f'{place}: memory = 0: method "{arm.method}" looks into the memory when a '
                "round begins; give it room"
            )


def _check_features(scenario: Scenario) -> None:
    """Refuse to resample, cut or turn what is no series of samples."""
    for section, keys in FEATURE_ROWS.items():
        for key, wanted in keys.items():
            found = getattr(getattr(scenario, section), key)
            if found != wanted:
                raise ValueError(
                    f"{section}.{key} = {found}: a row of wisdm-v1.1-features is one window of "
                    f"10 s, which cannot be resampled, cut or rotated; allowed: {wanted}"
                )


def _check_training(scenario: Scenario) -> None:
    """Refuse looks at the validating donors that do not fit into the steps."""
    training = scenario.training
    if training.steps % training.look_every:
        raise ValueError(
            f"training.look_every = {training.look_every}: it must divide training.steps = "
            f"{training.steps}, so that training ends with a look"
        )


def _check_drift(scenario: Scenario) -> None:
    """Refuse drifts that the data, the program or each other leave no room for."""
    data, model = scenario.data, scenario.model
    of_stream = [table.kind for table in scenario.drift if table.kind in OF_STREAM]
    if len(of_stream) > 1:
        raise ValueError(
            f"drift: {' and '.join(of_stream)} both say which windows reach a device; keep one"
        )
    for number, table in enumerate(scenario.drift):
        place = f'drift.{number}.kind = "{table.kind}"'
        unknown = [name for name in table.named if name not in data.activities]
        if unknown:
            raise ValueError(
                f"drift.{number}.{table.needs} = {unknown[0]!r}: none of data.activities: "
                f"{', '.join(data.activities)}"
            )
        if table.kind not in OF_STREAM and data.source == "wisdm-v1.1-features":
            raise ValueError(
                f"{place}: changes samples, and a row of features has none; allowed: "
                f"{', '.join(OF_STREAM)}"
            )
        if table.of_time and model.program in SINGLE_SAMPLES:
            raise ValueError(
                f'{place}: changes how samples follow one another, and "{model.program}" is given '
                "them one by one; use a program on windows"
            )
        if table.kind == "new-activity" and model.base not in ("donors", "random"):
            raise ValueError(
                f'{place}: the activity is withheld from donors, and model.base = "{model.base}" '
                'was trained elsewhere; set model.base = "donors"'
            )
        if table.kind in ("new-activity", "label-shift"):
            left = len(set(data.activities) - set(table.named))
            least = 2 if table.kind == "new-activity" else 1
            if left < least:
                raise ValueError(
                    f"{place}: leaves {left} of data.activities for the time before; {least} are "
                    "needed"
                )


def _check_detectors(scenario: Scenario) -> None:
    """Refuse detectors whose strength nobody can set, and reactions to what nobody watches for."""
    kinds = [table.kind for table in scenario.detectors]
    twice = sorted({kind for kind in kinds if kinds.count(kind) > 1})
    if twice:
        raise ValueError(f"detectors: {twice[0]!r} is there twice; keep one")
    for number, table in enumerate(scenario.detectors):
        if table.kind == "inputs" and not _has_donors(scenario):
            raise ValueError(
                f'detectors.{number}.kind = "inputs": learns from donors what is usual, and '
                "split.folds = 1 leaves none: set split.folds = 2 or split.donors"
            )
        if (
            table.kind != "inputs"
            and table.strength == "donors"
            and (scenario.model.base != "donors" or scenario.model.program not in programs())
        ):
            raise ValueError(
                f'detectors.{number}.strength: "donors" are to set it by models of other donors, '
                f'and model.base = "{scenario.model.base}" trains none; give a number'
            )
        on_errors = table.kind != "inputs" and table.strength == "donors"
        if on_errors and scenario.labels.ask == "uncertain":
            raise ValueError(
                f'detectors.{number}.strength: "donors" set it on all their questions, and '
                'labels.ask = "uncertain" asks the hard ones; give a number, or ask at random'
            )
        if table.kind == "inputs" and scenario.data.source == "wisdm-v1.1-features":
            raise ValueError(
                f'detectors.{number}.kind = "inputs": tells how a device lies from how its wearer '
                "moves, and a row of features does not; use a detector on errors"
            )
    for arm in scenario.arms:
        place = f"arms.{arm.name}.reaction"
        if arm.reaction is None:
            continue
        if arm.detector not in kinds:
            there = ", ".join(kinds) or "none"
            raise ValueError(
                f"arms.{arm.name}.detector = {arm.detector!r}: the alarms of what the arm reacts "
                f"to; detectors: {there}; add a table [[detectors]]"
            )
        if arm.reaction == "last-good" and scenario.labels.delay_rounds:
            raise ValueError(
                f'{place} = "last-good": a version is good by the answers of its own round, and '
                f"labels.delay_rounds = {scenario.labels.delay_rounds}; set that to 0"
            )
        if arm.reaction == "ask-more" and scenario.labels.ask == "all":
            raise ValueError(
                f'{place} = "ask-more": labels.ask = "all" asks all there is; set labels.ask = '
                '"random" or "uncertain", and a budget'
            )
        foreign = scenario.model.program not in programs()
        if foreign and arm.reaction in ("reset-head", "learn-faster"):
            raise ValueError(
                f'{place} = "{arm.reaction}": {scenario.model.program} does not say what is its '
                "head or learning rate; use clear-memory, last-good or ask-more"
            )


def _check_candidates(scenario: Scenario) -> None:
    """Refuse programs that donors cannot choose among."""
    model = scenario.model
    windows = [program for program in programs() if program not in SINGLE_SAMPLES]
    wrong = [program for program in model.candidates if program not in windows]
    if wrong:
        raise ValueError(
            f"model.candidates: {wrong[0]!r} is no built-in program on windows; allowed: "
            f"{', '.join(windows)}"
        )
    if model.candidates and model.base != "donors":
        raise ValueError(
            f'model.candidates: donors choose among them, and model.base = "{model.base}" has '
            'none train; set model.base = "donors"'
        )
    if model.candidates and model.program not in model.candidates:
        raise ValueError(
            f"model.candidates: {', '.join(model.candidates)} without model.program = "
            f'"{model.program}"; take model.program out, or name it among them'
        )
    wanted = scenario.split.folds * max(1, len(scenario.tuning))
    if model.chosen and (len(model.chosen) != wanted or set(model.chosen) - set(model.candidates)):
        raise ValueError(
            f"model.chosen = {model.chosen}: expected {wanted} of model.candidates, one for each "
            "fold (of each seed in `tuning`); leave it out, and the donors choose"
        )


def _has_donors(scenario: Scenario) -> bool:
    """Whether some users train a base model for others."""
    return scenario.split.folds > 1 or scenario.split.donors > 0


def _check_data(scenario: Scenario) -> None:
    """Refuse data, split and model that do not go together."""
    data, split, model = scenario.data, scenario.split, scenario.model
    repeated = sorted({a for a in data.activities if data.activities.count(a) > 1})
    if repeated:
        raise ValueError(f"data.activities: {repeated[0]!r} is listed twice")
    if data.source == "synthetic" and data.path:
        raise ValueError(
            f'data.path: {data.path!r} with source = "synthetic", which is generated; '
            "set data.source to the kind of the file or take the path out"
        )
    unknown = [a for a in data.activities if a not in MOVEMENTS]
    if data.source == "synthetic" and unknown:
        raise ValueError(
            f"data.activities: {unknown[0]!r} is nothing that synthetic people do; allowed: "
            f"{', '.join(MOVEMENTS)}"
        )
    if data.source != "synthetic" and not data.path:
        raise ValueError(
            f'data.path: missing; source = "{data.source}" is read from a file or folder: '
            "give it by --set data.path=..."
        )
    if data.source == "wisdm-v1.1-features":
        _check_features(scenario)
        if model.program in PROGRAMS and model.program not in ROWS:
            raise ValueError(
                f'model.program: "{model.program}" looks at samples, and a row of '
                f"wisdm-v1.1-features has none; allowed: {', '.join(ROWS)} or a SavedModel"
            )
    if data.source == "synthetic" and data.users == "all":
        raise ValueError(
            'data.users: "all" of synthetic people is no number; give one, such as users = 36'
        )
    if split.holdout_by == "chance" and data.hop_s < data.window_s:
        raise ValueError(
            f'split.holdout_by: "chance" with data.hop_s = {data.hop_s} and data.window_s = '
            f"{data.window_s}: windows that overlap share samples, so that what is streamed would "
            'be scored; make data.hop_s as long as data.window_s, or set split.holdout_by = "time"'
        )
    if split.donors and split.folds > 1:
        raise ValueError(
            f"split.donors = {split.donors} with split.folds = {split.folds}: in each fold the "
            "other users are the donors; set split.folds = 1 to give a number of them"
        )
    if model.base == "donors" and not _has_donors(scenario):
        raise ValueError(
            'model.base: "donors" with split.folds = 1 leaves no donors; set split.folds = 2 or '
            'split.donors, or model.base = "random" or the path of a trained SavedModel'
        )
    if isinstance(data.users, int) and data.users < split.folds * (2 if split.folds > 1 else 1):
        raise ValueError(
            f"split.folds: {split.folds} folds of {data.users} users leave fewer than two in a "
            "fold; give more users or fewer folds"
        )

"""A scenario: frozen, validated, every default filled in."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from simulator.sections import (
    Checkpoints,
    Count,
    Data,
    Fleet,
    Guard,
    Labels,
    Learning,
    Measure,
    Model,
    Name,
    Positive,
    Records,
    Section,
    Split,
    Stream,
    Training,
    Variation,
)

__all__ = ["FEATURE_ROWS", "PROGRAMS", "SHARING", "SINGLE_SAMPLES", "Arm", "Scenario"]

PROGRAMS = ("bilstm", "cnn", "dense", "gru", "tracker_dense", "tracker_lstm")
SINGLE_SAMPLES = ("tracker_dense", "tracker_lstm")
"""Programs that follow single samples: they have no windows, whatever the scenario says."""
SHARING = ("fedavg", "finetune", "fedper")


class Arm(Section):
    """One way of learning; what it leaves out is as in the rest of the scenario."""

    name: Name
    method: Literal["frozen", "heuristic", "local", "fedavg", "finetune", "fedper"]
    participation: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    switch_round: Count | None = None
    private: Annotated[list[str], Field(min_length=1)] | None = None
    steps: Annotated[int, Field(ge=1, le=10_000)] | None = None
    memory: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    optimizer: Literal["adam", "sgd"] | None = None
    learning_rate: Positive | None = None

    @model_validator(mode="after")
    def _options_of_the_method(self) -> Arm:
        owners = {
            "participation": SHARING,
            "switch_round": ("finetune",),
            "private": ("fedper",),
            "steps": (*SHARING, "local"),
            "memory": (*SHARING, "local"),
            "optimizer": (*SHARING, "local"),
            "learning_rate": (*SHARING, "local"),
        }
        for key, methods in owners.items():
            if getattr(self, key) is not None and self.method not in methods:
                raise ValueError(
                    f'{key} means nothing for method "{self.method}"; '
                    f"it belongs to: {', '.join(methods)}"
                )
        if self.method == "finetune" and self.switch_round is None:
            raise ValueError(
                'switch_round: missing; method "finetune" needs the last round of its shared phase'
            )
        return self


class Scenario(Section):
    """A scenario file, with every default filled in."""

    name: Name
    question: str = ""
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    baseline: str = ""
    data: Data = Data()
    split: Split = Split()
    model: Model = Model()
    training: Training = Training()
    stream: Stream = Stream()
    labels: Labels = Labels()
    learning: Learning = Learning()
    fleet: Fleet = Fleet()
    variation: Variation = Variation()
    records: Records = Records()
    measure: Measure = Measure()
    checkpoints: Checkpoints = Checkpoints()
    guard: Guard = Guard()
    arms: Annotated[list[Arm], Field(min_length=1)]

    @model_validator(mode="after")
    def _possible_together(self) -> Scenario:
        _check_arms(self)
        _check_data(self)
        _check_training(self)
        return self


def _check_arms(scenario: Scenario) -> None:
    """Refuse arms that cannot be told apart or compared."""
    names = [arm.name for arm in scenario.arms]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"arms: the name {twice[0]!r} is used twice; give each arm its own")
    if scenario.baseline and scenario.baseline not in names:
        raise ValueError(f"baseline: {scenario.baseline!r} is no arm; arms: {', '.join(names)}")
    for arm in scenario.arms:
        if arm.optimizer is not None and scenario.model.program not in PROGRAMS:
            raise ValueError(
                f"arms.{arm.name}.optimizer: the SavedModel {scenario.model.program} brings its "
                "own; take the key out of the arm"
            )
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


FEATURE_ROWS = {
    "data": {"rate_hz": 0.1, "window_s": 10.0, "hop_s": 10.0},
    "training": {"warp": 1.0, "tilt_deg": 0.0, "gain": 1.0, "noise": 0.0},
}
"""What holds for a table of features, and cannot be otherwise: a row is one window of 10 s."""


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
    if data.source != "synthetic" and not data.path:
        raise ValueError(
            f'data.path: missing; source = "{data.source}" is read from a file or folder: '
            "give it by --set data.path=..."
        )
    if data.source == "wisdm-v1.1-features":
        _check_features(scenario)
        if model.program in SINGLE_SAMPLES:
            raise ValueError(
                f'model.program: "{model.program}" follows single samples, and a row of '
                'wisdm-v1.1-features is none; use "dense"'
            )
    if data.source == "synthetic" and data.users == "all":
        raise ValueError(
            'data.users: "all" of synthetic people is no number; give one, such as users = 36'
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

"""The tables of a scenario file, each with its defaults."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "Activity",
    "Checkpoints",
    "Count",
    "CountOrNone",
    "Data",
    "Fleet",
    "Guard",
    "Labels",
    "Learning",
    "Measure",
    "Model",
    "Name",
    "NotNegative",
    "Positive",
    "Records",
    "Section",
    "Share",
    "Split",
    "Stream",
    "Training",
    "Tuning",
    "User",
    "Variation",
]

_MOST_USERS = 1_000_000

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
CountOrNone = Annotated[int, Field(ge=0, le=1_000_000)]
NotNegative = Annotated[float, Field(ge=0.0, le=1e6)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=80)]
Activity = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=80)]
User = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=200)]


class Section(BaseModel):
    """A table of a scenario file: unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Data(Section):
    """Whose recordings, and how they are cut into windows."""

    source: Literal[
        "synthetic", "wisdm-2019", "wisdm-v1.1", "wisdm-v1.1-features", "actitracker-v2.0",
    ] = "synthetic"  # fmt: skip
    path: str = ""
    users: (
        Annotated[int, Field(ge=2, le=_MOST_USERS)]
        | Annotated[list[User], Field(max_length=_MOST_USERS)]
        | Literal["all"]
    ) = "all"
    activities: Annotated[list[Activity], Field(min_length=2, max_length=1000)] = [
        "walking", "jogging", "stairs", "sitting", "standing",
    ]  # fmt: skip
    rate_hz: Annotated[float, Field(ge=0.1, le=1000.0)] = 20.0
    window_s: Annotated[float, Field(gt=0.0, le=600.0)] = 4.0
    hop_s: Annotated[float, Field(gt=0.0, le=600.0)] = 4.0
    unusual: Share = 0.0
    minutes: Annotated[float, Field(gt=0.0, le=600.0)] = 3.0


class Split(Section):
    """Who wears a device, and what is kept back for scoring."""

    folds: Annotated[int, Field(ge=1, le=1000)] = 2
    donors: CountOrNone = 0
    holdout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.3
    holdout_by: Literal["time", "chance"] = "time"


class Model(Section):
    """Which program the devices carry.

    Where there are candidates, each fold's donors choose among them, and `chosen` tells which.
    """

    program: str = "cnn"
    candidates: Annotated[list[str], Field(default_factory=list, max_length=100)]
    groups: Annotated[int, Field(ge=2, le=1000)] = 3
    chosen: Annotated[list[str], Field(default_factory=list, max_length=100_000)]
    base: str = "donors"
    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: Positive = 0.0005


class Training(Section):
    """How the base model is trained on donors."""

    steps: Count = 2000
    look_every: Count = 100
    patience: Count = 8
    batch: Count = 64
    learning_rate: Positive = 0.005
    weight_decay: NotNegative = 0.01
    average: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.995
    validation: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.2
    refit: bool = True
    hop_s: Annotated[float, Field(gt=0.0, le=600.0)] = 1.0
    warp: Annotated[float, Field(ge=1.0, le=1.5)] = 1.15
    tilt_deg: Annotated[float, Field(ge=0.0, le=180.0)] = 45.0
    gain: Annotated[float, Field(ge=1.0, le=1000.0)] = 1.3
    noise: NotNegative = 0.3
    mirror: Share = 0.0
    smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0


class Stream(Section):
    """What reaches a device, and in which order."""

    rounds: Count | Literal["all"] = "all"
    questions_per_round: Annotated[int, Field(ge=1, le=10_000)] = 2
    batch: Annotated[int, Field(ge=1, le=4096)] = 8
    order: Literal["recorded", "bouts", "shuffled"] = "bouts"
    bout_windows: Count = 8


class Labels(Section):
    """What the users reply."""

    answer_rate: Share = 0.8
    mistake_rate: Share = 0.02
    delay_rounds: CountOrNone = 0
    ask: Literal["all", "random", "uncertain"] = "all"
    budget: Count | None = None

    @model_validator(mode="after")
    def _budget_where_needed(self) -> Labels:
        if (self.ask == "all") != (self.budget is None):
            raise ValueError(
                f'ask = "{self.ask}" with budget = {self.budget}: a budget of questions per round '
                'goes with ask = "random" or "uncertain", and only with those'
            )
        return self


class Learning(Section):
    """How a device learns from an answer."""

    steps: Annotated[int, Field(ge=1, le=10_000)] = 4
    memory: Annotated[int, Field(ge=0, le=1_000_000)] = 128
    rehearse: Annotated[int, Field(ge=1, le=4096)] | Literal["auto"] = "auto"
    loss: Literal["balanced", "plain"] = "balanced"


class Fleet(Section):
    """How many devices, and how they are computed."""

    devices: Count | Literal["users"] = "users"
    workers: Count | Literal["auto"] = "auto"
    engine: Literal["fleet", "reference"] = "fleet"
    tile: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] = "auto"


class Variation(Section):
    """How far devices beyond the first one of a user differ from the user as recorded."""

    tilt_deg: Annotated[float, Field(ge=0.0, le=180.0)] = 20.0
    gain: Annotated[float, Field(ge=1.0, le=10.0)] = 1.1
    cadence: Annotated[float, Field(ge=1.0, le=1.5)] = 1.1
    noise: NotNegative = 0.2


class Records(Section):
    """What a run writes down of each window."""

    windows: Share | Literal["all", "none"] = "all"


class Measure(Section):
    """What is scored beside the model that answers the user."""

    holdout_every: Count = 1
    downloaded: bool = True


class Checkpoints(Section):
    """Which versions of a device's SavedModel are written, and how many are kept."""

    every_rounds: Count = 5
    keep: Count = 2
    materialize: CountOrNone = 1000


class Guard(Section):
    """What the server refuses, and how many good updates it needs to go on from."""

    max_norm: Positive | Literal["off"] = 3.0
    least_updates: Count = 1


class Tuning(Section):
    """How the arms' `tuned` tables of one seed were found, and for whom they hold."""

    seed: Annotated[int, Field(ge=0, lt=2**63)]
    trials: Count
    inner_folds: Annotated[int, Field(ge=2, le=1000)]
    donors: Annotated[
        list[Annotated[list[User], Field(max_length=_MOST_USERS)]], Field(max_length=1000)
    ]

"""The tables of a scenario file, each with its defaults."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "NAME",
    "PRINTABLE",
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
NAME, PRINTABLE = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", r"^[^\x00-\x1f\x7f]*$"
Name = Annotated[str, Field(pattern=NAME, max_length=80)]
Activity = Annotated[str, Field(pattern=PRINTABLE, max_length=80)]
User = Annotated[str, Field(pattern=PRINTABLE, max_length=200)]


class Section(BaseModel):
    """A table of a scenario file: unknown keys and wrong types are errors."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


class Data(Section):
    """Whose recordings, and how they are cut into windows."""

    source: Literal[
        "synthetic", "wisdm-2019", "wisdm-v1.1", "wisdm-v1.1-features", "actitracker-v2.0",
    ] = "synthetic"  # fmt: skip
    """Where recordings come from: generated people ("synthetic"), or files of one of the WISDM data
    sets."""
    path: str = ""
    """File or folder of the recordings; needed for every source but "synthetic"."""
    users: (
        Annotated[int, Field(ge=2, le=_MOST_USERS)]
        | Annotated[list[User], Field(max_length=_MOST_USERS)]
        | Literal["all"]
    ) = "all"
    """Whose recordings are used: a number of people, a list of their ids, or "all"; of synthetic
    people a number or names."""
    activities: Annotated[list[Activity], Field(min_length=2, max_length=1000)] = [
        "walking", "jogging", "stairs", "sitting", "standing",
    ]  # fmt: skip
    """Activities that are told apart, in order of class; recordings of others are left out."""
    rate_hz: Annotated[float, Field(ge=0.1, le=1000.0)] = 20.0
    """Samples a second to which all recordings are resampled; 0.1 for feature rows."""
    window_s: Annotated[float, Field(gt=0.0, le=600.0)] = 4.0
    """Length of a window in seconds; 10 for feature rows, and of no account for a program that
    takes single samples."""
    hop_s: Annotated[float, Field(gt=0.0, le=600.0)] = 4.0
    """Seconds from the start of a window to the start of the next one; 10 for feature rows."""
    unusual: Share = 0.0
    """Share of synthetic people who have a limp, a cane or an athlete's stride."""
    minutes: Annotated[float, Field(gt=0.0, le=600.0)] = 3.0
    """Minutes for which a synthetic person is recorded in each activity."""


class Split(Section):
    """Who wears a device, and what is kept back for scoring."""

    folds: Annotated[int, Field(ge=1, le=1000)] = 2
    """Groups to which users are dealt: each group wears devices once, with a base model trained on
    the users of all others; with 1, everybody wears a device."""
    donors: CountOrNone = 0
    """Users who train the base model and wear no device, where `folds` is 1."""
    holdout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.3
    """Share of each recording that is scored, and never streamed or learnt."""
    holdout_by: Literal["time", "chance"] = "time"
    """Which part of the recordings the holdout is: the last part of each ("time"), or windows drawn
    at random from each user's windows of each activity ("chance"), which flatters."""

    @property
    def has_donors(self) -> bool:
        """Whether some users train a base model for others."""
        return self.folds > 1 or self.donors > 0


class Model(Section):
    """Which program the devices carry.

    Where there are candidates, each fold's donors choose among them, and `chosen` tells which.
    """

    program: str = "cnn"
    """The program that devices carry: the name of a built-in one, or the path of a SavedModel with
    the signatures `learn` and `predict`; for feature rows "features" unless said."""
    candidates: Annotated[list[str], Field(default_factory=list, max_length=100)]
    """Built-in programs among which the donors of each fold choose one, by leaving groups of donors
    out in turn."""
    groups: Annotated[int, Field(ge=2, le=1000)] = 3
    """Groups to which a fold's donors are dealt when they choose among `candidates`."""
    chosen: Annotated[list[str], Field(default_factory=list, max_length=100_000)]
    """The program that the donors of each fold chose among `candidates`; a run writes it into its
    `scenario.toml`."""
    base: str = "donors"
    """The parameters that devices begin with: trained on each fold's donors ("donors"), drawn at
    random ("random"; of a SavedModel its own), or those of the SavedModel at a path, trained on
    other people."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """The optimizer by which devices learn."""
    learning_rate: Positive = 0.0005
    """The learning rate by which devices learn."""


class Training(Section):
    """How the base model is trained on donors."""

    steps: Count = 2000
    """Most gradient steps by which a base model is trained."""
    look_every: Count = 100
    """Steps of the base model's training from one scoring on validating donors to the next; must
    divide `steps`."""
    patience: Count = 8
    """Scorings without a better result after which the base model's training stops."""
    batch: Count = 64
    """Windows in each step of the base model's training."""
    learning_rate: Positive = 0.005
    """Highest learning rate of the base model's training (AdamW), after a warm-up and before half a
    cosine."""
    weight_decay: NotNegative = 0.01
    """Weight decay of the base model's training (AdamW)."""
    average: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.995
    """Share of the old value that the running average of the base model's weights keeps in each
    step; devices are given the average."""
    validation: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.2
    """Share of donors on whom the base model is scored, not trained; with 0 all steps are taken."""
    refit: bool = True
    """Whether the base model is then trained anew on all donors, by the best number of steps."""
    hop_s: Annotated[float, Field(gt=0.0, le=600.0)] = 1.0
    """Seconds from the start of a donor's window to the start of the next one, in the base model's
    training."""
    warp: Annotated[float, Field(ge=1.0, le=1.5)] = 1.15
    """Factor by which donors' windows are made slower or faster at most, in the base model's
    training; 1 for feature rows."""
    tilt_deg: Annotated[float, Field(ge=0.0, le=180.0)] = 45.0
    """Degrees by which donors' windows are turned at most, about any axis, in the base model's
    training; 0 for feature rows."""
    gain: Annotated[float, Field(ge=1.0, le=1000.0)] = 1.3
    """Factor by which movements in donors' windows are made larger or smaller at most, in the base
    model's training; 1 for feature rows."""
    noise: NotNegative = 0.3
    """Highest standard deviation of the noise that is added to donors' windows in the base model's
    training, m/s²; 0 for feature rows."""
    mirror: Share = 0.0
    """Share of donors' windows that are mirrored in the base model's training, as if the watch were
    worn on the other wrist."""
    smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Share of probability that labels in the base model's training give to all activities alike.
    """


class Stream(Section):
    """What reaches a device, and in which order."""

    rounds: Count | Literal["all"] = "all"
    """Rounds of each arm in each fold: a number, at most those of the median stream, or "all",
    until the longest stream ends."""
    questions_per_round: Annotated[int, Field(ge=1, le=10_000)] = 2
    """Questions that reach a device in each round."""
    batch: Annotated[int, Field(ge=1, le=4096)] = 8
    """Most windows in a question; of a program that takes single samples, most samples."""
    order: Literal["recorded", "bouts", "shuffled"] = "bouts"
    """How windows of a stream follow one another: by time ("recorded"), in runs of `bout_windows`
    in random order ("bouts"), or one by one at random ("shuffled")."""
    bout_windows: Count = 8
    """Windows, or single samples, in a bout, where `order` is "bouts"."""


class Labels(Section):
    """What the users reply."""

    answer_rate: Share = 0.8
    """Share of asked questions that the user answers."""
    mistake_rate: Share = 0.02
    """Share of answers that name a wrong activity."""
    delay_rounds: CountOrNone = 0
    """Rounds from a question to its answer."""
    ask: Literal["all", "random", "uncertain"] = "all"
    """Which questions the user is asked: all of them, or `budget` in a round, drawn at random
    ("random") or those of which the model at the round's beginning is least certain ("uncertain").
    """
    budget: Count | None = None
    """Most questions that a user is asked in a round; needed where `ask` is "random" or
    "uncertain", and only there."""

    @model_validator(mode="after")
    def _budget_where_needed(self) -> Labels:
        if (self.ask == "all") != (self.budget is None):
            raise ValueError(
                f'ask = "{self.ask}" with '
                f"{'no budget' if self.budget is None else f'budget = {self.budget}'}: a budget of "
                'questions per round goes with ask = "random" or "uncertain", and only with those'
            )
        return self


class Learning(Section):
    """How a device learns from an answer."""

    steps: Annotated[int, Field(ge=1, le=10_000)] = 4
    """Gradient steps that a device takes for each answered question; fewer where a step would see
    one activity alone and the device has a memory."""
    memory: Annotated[int, Field(ge=0, le=1_000_000)] = 128
    """Windows, or single samples, that a device keeps to rehearse from; 0 for none. Recurrent
    programs on samples and SavedModels of others keep whole questions, as many as fit."""
    rehearse: Annotated[int, Field(ge=1, le=4096)] | Literal["auto"] = "auto"
    """Windows from the memory that join each gradient step; "auto" takes as many as the question
    has."""
    loss: Literal["balanced", "plain"] = "balanced"
    """What a device's gradient step minimizes: cross-entropy in which the activities of its windows
    weigh the same ("balanced"), or plain cross-entropy ("plain")."""


class Fleet(Section):
    """How many devices, and how they are computed."""

    devices: Count | Literal["users"] = "users"
    """Devices in all: one for each user ("users"), or a number, where those beyond the users are
    variations of them."""
    workers: Count | Literal["auto"] = "auto"
    """Processes that compute devices, by Ray: a number, or one for each core ("auto"); 1 computes
    in the process itself, without Ray."""
    engine: Literal["fleet", "reference"] = "fleet"
    """How devices are computed: many in one compiled call ("fleet"), or a SavedModel for each, one
    after the other ("reference")."""
    tile: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] = "auto"
    """Devices that are computed at once; "auto" goes by the sizes of program and cohort. Results
    differ by rounding only."""


class Variation(Section):
    """How far devices beyond the first one of a user differ from the user as recorded."""

    tilt_deg: Annotated[float, Field(ge=0.0, le=180.0)] = 20.0
    """Degrees by which a variation of a user wears the device turned at most, about any axis."""
    gain: Annotated[float, Field(ge=1.0, le=10.0)] = 1.1
    """Factor by which a variation's readings are larger or smaller at most than those of its user.
    """
    cadence: Annotated[float, Field(ge=1.0, le=1.5)] = 1.1
    """Factor by which a variation's movements are faster or slower at most than those of its user.
    """
    noise: NotNegative = 0.2
    """Highest standard deviation of the noise that a variation's sensor adds, m/s²."""


class Records(Section):
    """What a run writes down of each window."""

    windows: Share | Literal["all", "none"] = "all"
    """Devices whose predicted windows are written to `windows/`: all, none, or a share of them, the
    same in every arm; figures are exact in any case."""


class Measure(Section):
    """What is scored beside the model that answers the user."""

    holdout_every: Count = 1
    """Rounds from one scoring of the holdout to the next."""
    downloaded: bool = True
    """Whether the model at a round's beginning is also scored on the round's questions
    (`downloaded_correct`); false spares a prediction of each window."""


class Checkpoints(Section):
    """Which versions of a device's SavedModel are written, and how many are kept."""

    every_rounds: Count = 5
    """Rounds from one checkpoint to the next; there is one after the last round too."""
    keep: Count = 2
    """Latest checkpoints that are kept of each arm and fold."""
    materialize: CountOrNone = 1000
    """Devices of a run whose SavedModels are written when their fold is done, a version for each
    checkpoint that is kept."""


class Guard(Section):
    """What the server refuses, and how many good updates it needs to go on from."""

    max_norm: Positive | Literal["off"] = 3.0
    """How many times as long as the median of the updates accepted in the round before an update
    may be; "off" accepts any length."""
    least_updates: Count = 1
    """Good updates that a round needs; with fewer the shared parameters stay as they are (not for
    `fedbuff` and `dpfedavg`)."""


class Tuning(Section):
    """How the arms' `tuned` tables of one seed were found, and for whom they hold."""

    seed: Annotated[int, Field(ge=0, lt=2**63)]
    """The scenario's seed for which the arms' `tuned` tables hold."""
    trials: Count
    """Trials by which each arm was tuned in each fold."""
    inner_folds: Annotated[int, Field(ge=2, le=1000)]
    """Inner folds to which each fold's donors were dealt for tuning."""
    donors: Annotated[
        list[Annotated[list[User], Field(max_length=_MOST_USERS)]], Field(max_length=1000)
    ]
    """Ids of the donors on whom arms were tuned, a list for each fold."""

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
    """Where recordings come from: generated people, or files of WISDM."""
    path: str = ""
    """File or folder of the recordings, for the WISDM sources."""
    users: (
        Annotated[int, Field(ge=2, le=_MOST_USERS)]
        | Annotated[list[User], Field(max_length=_MOST_USERS)]
        | Literal["all"]
    ) = "all"
    """How many people, a list of their ids, or all; of synthetic people a number or names."""
    activities: Annotated[list[Activity], Field(min_length=2, max_length=1000)] = [
        "walking", "jogging", "stairs", "sitting", "standing",
    ]  # fmt: skip
    """The activities, in order of class; others are left out."""
    rate_hz: Annotated[float, Field(ge=0.1, le=1000.0)] = 20.0
    """All recordings are resampled to so many samples a second; 0.1 for feature rows."""
    window_s: Annotated[float, Field(gt=0.0, le=600.0)] = 4.0
    """Length of a window in seconds; a feature row is a window of 10 s, and a program that takes
    single samples is given every sample, whatever this says."""
    hop_s: Annotated[float, Field(gt=0.0, le=600.0)] = 4.0
    """Seconds from the begin of a window to that of the next."""
    unusual: Share = 0.0
    """Share of synthetic people with a limp, a cane or an athlete's stride."""
    minutes: Annotated[float, Field(gt=0.0, le=600.0)] = 3.0
    """Minutes of each activity that a synthetic person is recorded."""


class Split(Section):
    """Who wears a device, and what is kept back for scoring."""

    folds: Annotated[int, Field(ge=1, le=1000)] = 2
    """Each fold's users wear devices once, with a base model trained on all others; 1 lets
    everybody wear a device."""
    donors: CountOrNone = 0
    """With one fold: so many users train the base model and wear no device, and the others wear
    them all."""
    holdout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.3
    """Share of each recording that is scored, never streamed and never learnt."""
    holdout_by: Literal["time", "chance"] = "time"
    """Whether the holdout is the last part of each recording, or windows drawn at random from each
    user's windows of each activity, which flatters."""

    @property
    def has_donors(self) -> bool:
        """Whether some users train a base model for others."""
        return self.folds > 1 or self.donors > 0


class Model(Section):
    """Which program the devices carry.

    Where there are candidates, each fold's donors choose among them, and `chosen` tells which.
    """

    program: str = "cnn"
    """The name of a built-in program, or the path of a SavedModel with the signatures `learn` and
    `predict`; of feature rows "features" unless said."""
    candidates: Annotated[list[str], Field(default_factory=list, max_length=100)]
    """Programs among whom each fold's donors choose, by leaving groups of them out in turn."""
    groups: Annotated[int, Field(ge=2, le=1000)] = 3
    """To so many groups donors are dealt to choose among candidates."""
    chosen: Annotated[list[str], Field(default_factory=list, max_length=100_000)]
    """What each fold's donors chose; the resolved scenario tells it."""
    base: str = "donors"
    """What devices begin with: "donors" (trained on each fold's donors), "random" (for a SavedModel
    its own values), or the path of a SavedModel trained on other people."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """The optimizer of a device that learns."""
    learning_rate: Positive = 0.0005
    """Its learning rate."""


class Training(Section):
    """How the base model is trained on donors."""

    steps: Count = 2000
    """Most steps of the base model's training."""
    look_every: Count = 100
    """Steps from one look at the validating donors to the next."""
    patience: Count = 8
    """Looks without a better score until training stops."""
    batch: Count = 64
    """Windows in a step of the base model's training."""
    learning_rate: Positive = 0.005
    """Highest learning rate of AdamW, after a warm-up and before half a cosine."""
    weight_decay: NotNegative = 0.01
    """Weight decay of AdamW."""
    average: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.995
    """Share of the old in the running average of weights, which is what devices are given."""
    validation: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.2
    """Share of donors that validate; with 0 nobody does, and all steps are taken."""
    refit: bool = True
    """Whether the best number of steps is then taken anew with all donors."""
    hop_s: Annotated[float, Field(gt=0.0, le=600.0)] = 1.0
    """Seconds from the begin of a donor's window to that of the next."""
    warp: Annotated[float, Field(ge=1.0, le=1.5)] = 1.15
    """Donors' windows are slower or faster by up to this factor; 1 for feature rows."""
    tilt_deg: Annotated[float, Field(ge=0.0, le=180.0)] = 45.0
    """They are turned by up to so many degrees; 0 for feature rows."""
    gain: Annotated[float, Field(ge=1.0, le=1000.0)] = 1.3
    """Their movements are larger or smaller by up to this factor; 1 for feature rows."""
    noise: NotNegative = 0.3
    """They are given noise of up to this standard deviation, m/s²; 0 for feature rows."""
    mirror: Share = 0.0
    """Share of windows that are mirrored, as if the watch were worn on the other wrist."""
    smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Probability that labels give to all activities alike."""


class Stream(Section):
    """What reaches a device, and in which order."""

    rounds: Count | Literal["all"] = "all"
    """How many rounds there are: a number up to the median stream's length, or until the longest
    stream ends."""
    questions_per_round: Annotated[int, Field(ge=1, le=10_000)] = 2
    """Questions that reach a device in a round."""
    batch: Annotated[int, Field(ge=1, le=4096)] = 8
    """Most windows in a question; of a program that takes single samples, most samples."""
    order: Literal["recorded", "bouts", "shuffled"] = "bouts"
    """How windows follow one another: by time ("recorded"), in runs of `bout_windows` in random
    order ("bouts"), or one by one at random ("shuffled")."""
    bout_windows: Count = 8
    """Windows, or single samples, in a bout."""


class Labels(Section):
    """What the users reply."""

    answer_rate: Share = 0.8
    """Share of asked questions that are answered."""
    mistake_rate: Share = 0.02
    """Share of answers that are wrong."""
    delay_rounds: CountOrNone = 0
    """Rounds until an answer arrives."""
    ask: Literal["all", "random", "uncertain"] = "all"
    """Which questions are asked: all, or at most `budget` of a round, at random or those of which
    the model with which the round begins is least certain."""
    budget: Count | None = None
    """Most questions that are asked in a round; goes with `ask = "random"` or `"uncertain"`, and is
    needed there."""

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
    """Gradient steps for each answered question."""
    memory: Annotated[int, Field(ge=0, le=1_000_000)] = 128
    """Windows, or samples, that a device keeps to rehearse from; 0 for none. Recurrent programs on
    samples and SavedModels of others keep whole questions, as many as it has room for."""
    rehearse: Annotated[int, Field(ge=1, le=4096)] | Literal["auto"] = "auto"
    """Windows from the memory in each step; "auto" takes as many as the question has."""
    loss: Literal["balanced", "plain"] = "balanced"
    """What a step minimizes: cross-entropy among the activities of its windows, each weighing the
    same ("balanced"), or plain cross-entropy."""


class Fleet(Section):
    """How many devices, and how they are computed."""

    devices: Count | Literal["users"] = "users"
    """One device for each user, or so many: more than there are users means variations of them."""
    workers: Count | Literal["auto"] = "auto"
    """Ray workers; "auto" takes one for each core, and 1 computes in the process itself, without
    Ray."""
    engine: Literal["fleet", "reference"] = "fleet"
    """"fleet" computes many devices in one compiled call; "reference" loads a SavedModel for each
    and calls them one after the other."""
    tile: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] = "auto"
    """Devices that are computed at once, by the sizes of the program and of a cohort unless said;
    results differ by rounding only."""


class Variation(Section):
    """How far devices beyond the first one of a user differ from the user as recorded."""

    tilt_deg: Annotated[float, Field(ge=0.0, le=180.0)] = 20.0
    """A variation wears its device turned by up to so many degrees, about any axis."""
    gain: Annotated[float, Field(ge=1.0, le=10.0)] = 1.1
    """Its readings are larger or smaller by up to this factor."""
    cadence: Annotated[float, Field(ge=1.0, le=1.5)] = 1.1
    """Its movements are faster or slower by up to this factor."""
    noise: NotNegative = 0.2
    """Its sensor adds noise of up to this standard deviation, m/s²."""


class Records(Section):
    """What a run writes down of each window."""

    windows: Share | Literal["all", "none"] = "all"
    """Whose predicted windows are written to `windows/`: of all devices, of none, or of a share of
    them, the same in every arm; figures are exact in any case."""


class Measure(Section):
    """What is scored beside the model that answers the user."""

    holdout_every: Count = 1
    """Rounds from one scoring of the holdout to the next."""
    downloaded: bool = True
    """Whether the model with which a round begins is scored on the round's questions too
    (`downloaded_correct`); false spares a prediction of each window."""


class Checkpoints(Section):
    """Which versions of a device's SavedModel are written, and how many are kept."""

    every_rounds: Count = 5
    """Rounds from one checkpoint to the next; there is one after the last round too."""
    keep: Count = 2
    """So many checkpoints are kept."""
    materialize: CountOrNone = 1000
    """So many devices get SavedModels on disk when their fold is done, a version for each
    checkpoint that is kept."""


class Guard(Section):
    """What the server refuses, and how many good updates it needs to go on from."""

    max_norm: Positive | Literal["off"] = 3.0
    """An update may be this many times as long as the median of those accepted in the round before.
    """
    least_updates: Count = 1
    """Good updates that a round needs; with fewer the shared parameters stay (not for `fedbuff`,
    which has a buffer, and `dpfedavg`)."""


class Tuning(Section):
    """How the arms' `tuned` tables of one seed were found, and for whom they hold."""

    seed: Annotated[int, Field(ge=0, lt=2**63)]
    """The seed for which the tables hold."""
    trials: Count
    """Trials of each arm and fold."""
    inner_folds: Annotated[int, Field(ge=2, le=1000)]
    """To so many inner folds each fold's donors were dealt."""
    donors: Annotated[
        list[Annotated[list[User], Field(max_length=_MOST_USERS)]], Field(max_length=1000)
    ]
    """The donors of each fold, who chose."""

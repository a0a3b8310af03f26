"""A scenario: frozen, validated, every default filled in."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from clients.drift import MOST_DRIFTS
from clients.errors import BadScenario
from simulator.arm import Arm
from simulator.detector_table import DetectorTable
from simulator.drift_table import DriftTable
from simulator.fault_table import Faults
from simulator.scenario_checks import FEATURE_ROWS, PROGRAMS, SINGLE_SAMPLES, check_together
from simulator.sections import (
    Checkpoints,
    Data,
    Fleet,
    Guard,
    Labels,
    Learning,
    Measure,
    Model,
    Name,
    Records,
    Section,
    Split,
    Stream,
    Training,
    Tuning,
    Variation,
)

__all__ = ["FEATURE_ROWS", "PROGRAMS", "SINGLE_SAMPLES", "Arm", "Scenario"]


class Scenario(Section):
    """A scenario file, with every default filled in."""

    name: Name
    """Names the run folder: letters, digits and `_.-`."""
    question: Annotated[str, Field(max_length=10_000)] = ""
    """What the run answers; the report opens with it."""
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    """All draws of chance follow from it."""
    baseline: str = ""
    """The arm that the others are compared with; the first one unless said."""
    data: Data = Data()
    """Whose recordings, and how they are cut into windows."""
    split: Split = Split()
    """Who wears a device, and what is kept back for scoring."""
    model: Annotated[Model, Field(default_factory=Model)]
    """Which program the devices carry."""
    training: Training = Training()
    """How the base model is trained on donors."""
    stream: Stream = Stream()
    """What reaches a device, and in which order."""
    labels: Labels = Labels()
    """What the users reply."""
    learning: Learning = Learning()
    """How a device learns from an answer."""
    fleet: Fleet = Fleet()
    """How many devices, and how they are computed."""
    variation: Variation = Variation()
    """How far devices beyond the first one of a user differ from the user as recorded."""
    records: Records = Records()
    """What a run writes down of each window."""
    measure: Measure = Measure()
    """What is scored beside the model that answers the user."""
    checkpoints: Checkpoints = Checkpoints()
    """Which states and SavedModels of devices are written, and how many are kept."""
    guard: Guard = Guard()
    """What the server refuses, and how many good updates it needs to go on from."""
    faults: Annotated[Faults, Field(default_factory=Faults)]
    """What goes wrong, who lies, and what becomes of updates."""
    detectors: Annotated[list[DetectorTable], Field(default_factory=list, max_length=100)]
    """What devices watch for drift with; a table for each detector."""
    drift: Annotated[list[DriftTable], Field(default_factory=list, max_length=MOST_DRIFTS)]
    """What changes while devices are worn; a table for each drift."""
    tuning: Annotated[list[Tuning], Field(default_factory=list, max_length=10_000)]
    """How the arms' `tuned` tables were found; `wearfleet tune` writes it, a table for each seed.
    """
    arms: Annotated[list[Arm], Field(min_length=1, max_length=1000)]
    """The ways of learning that are compared; a table for each."""

    def of_seed(self, seed: int) -> Scenario:
        """Return the scenario with another seed, and of what was tuned what is for that seed.

        Raises:
            BadScenario: it was tuned, but not for that seed, whose folds have other donors.
        """
        tuned = [tuning.seed for tuning in self.tuning]
        if not tuned:
            return self.model_copy(update={"seed": seed})
        if seed not in tuned:
            raise BadScenario(
                f"seed = {seed}: arms were tuned for seed {', '.join(map(str, tuned))}, and other "
                "seeds have other donors; tune it for this one too, or take out `tuned` and "
                "`tuning`"
            )
        place, folds = tuned.index(seed), max(1, self.split.folds)
        own = slice(place * folds, (place + 1) * folds)
        arms = [
            arm if arm.tuned is None else arm.model_copy(update={"tuned": arm.tuned[own]})
            for arm in self.arms
        ]
        model = self.model.model_copy(update={"chosen": self.model.chosen[own]})
        update = {"seed": seed, "tuning": [self.tuning[place]], "arms": arms, "model": model}
        return self.model_copy(update=update)

    @model_validator(mode="after")
    def _possible_together(self) -> Scenario:
        check_together(self)
        return self

    @property
    def withheld(self) -> tuple[str, ...]:
        """Activities that no donor shows, since a drift brings them as something new."""
        return tuple(
            name for table in self.drift if table.kind == "new-activity" for name in table.named
        )

    def of_fold(self, fold: int) -> Scenario:
        """Return the scenario with the program that the donors of one fold chose, if they did."""
        if not self.model.chosen:
            return self
        model = self.model.model_copy(update={"program": self.model.chosen[fold]})
        return self.model_copy(update={"model": model})

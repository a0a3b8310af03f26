"""A scenario: frozen, validated, every default filled in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from clients.drift import MOST_DRIFTS
from clients.errors import BadScenario
from simulator.arm import Arm
from simulator.detector_table import DetectorTable
from simulator.drift_table import DriftTable
from simulator.fault_table import Faults
from simulator.overrides import Overrides
from simulator.scenario_checks import (
    FEATURE_ROWS,
    PROGRAMS,
    SINGLE_SAMPLES,
    check_together,
    programs,
)
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

__all__ = ["FEATURE_ROWS", "PROGRAMS", "SINGLE_SAMPLES", "Arm", "Scenario", "programs"]


class Scenario(Section):
    """A scenario file, with every default filled in."""

    name: Name
    question: Annotated[str, Field(max_length=10_000)] = ""
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    baseline: str = ""
    data: Data = Data()
    split: Split = Split()
    model: Annotated[Model, Field(default_factory=Model)]
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
    faults: Annotated[Faults, Field(default_factory=Faults)]
    detectors: Annotated[list[DetectorTable], Field(default_factory=list, max_length=100)]
    drift: Annotated[list[DriftTable], Field(default_factory=list, max_length=MOST_DRIFTS)]
    tuning: Annotated[list[Tuning], Field(default_factory=list, max_length=10_000)]
    arms: Annotated[list[Arm], Field(min_length=1, max_length=1000)]

    @classmethod
    def load(cls, path: str | Path, overrides: Overrides = ()) -> Scenario:
        """Read a scenario file, as `wearfleet run` does.

        Args:
            path: the TOML file.
            overrides: dotted keys and their values, such as {"stream.rounds": 5}, or texts as of
                `--set`.

        Raises:
            BadScenario: it cannot be read, a key cannot be used, or what it names is not there.
        """
        from simulator.scenario_file import load_scenario

        return load_scenario(Path(path), overrides)

    @classmethod
    def from_dict(cls, table: Mapping[str, Any], overrides: Overrides = ()) -> Scenario:
        """Make a scenario of tables as a file has them, every default filled in.

        Raises:
            BadScenario: as `load`.
        """
        from simulator.scenario_file import made_scenario

        return made_scenario(table, overrides)

    def with_(self, overrides: Overrides = (), /, **keys: Any) -> Scenario:
        """Return the scenario with some keys changed, and what follows from them.

        Args:
            overrides: as in `load`.
            keys: of the top level, such as `seed=5`.

        Raises:
            BadScenario: as `load`.
        """
        from simulator.scenario_defaults import without_defaults
        from simulator.scenario_file import made_scenario

        table = without_defaults(self.model_dump(exclude_none=True, by_alias=True))
        return made_scenario({**table, **keys}, overrides)

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

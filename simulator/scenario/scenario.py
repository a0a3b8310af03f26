"""A scenario: frozen, validated, every default filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PrivateAttr, model_validator

from clients.drift import MOST_DRIFTS
from clients.errors import BadScenario
from simulator.paths import path_of
from simulator.scenario.arm import Arm
from simulator.scenario.built_in import FEATURE_ROWS, PROGRAMS, SINGLE_SAMPLES, programs
from simulator.scenario.checks import check_together
from simulator.scenario.detector_table import DetectorTable
from simulator.scenario.drift_table import DriftTable
from simulator.scenario.fault_table import Faults
from simulator.scenario.overrides import Overrides
from simulator.scenario.sections import (
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

__all__ = [
    "BASES", "FEATURE_ROWS", "PROGRAMS", "SINGLE_SAMPLES", "Arm", "Scenario", "programs",
]  # fmt: skip

BASES = ("donors", "random")
"""What `model.base` may be beside the path of a SavedModel."""


class Scenario(Section):
    """A scenario file, with every default filled in."""

    name: Name
    """The scenario's name, and that of its run folder: letters, digits and `_.-`."""
    question: Annotated[str, Field(max_length=10_000)] = ""
    """What the run answers, in a person's words; the report opens with it."""
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    """The number that all draws of chance follow from; the same seed gives the same run."""
    baseline: str = ""
    """The name of the arm that the others are compared with."""
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

    _began_in: Path | None = PrivateAttr(default=None)
    _written: list[tuple[str, str, str]] = PrivateAttr(default_factory=list)

    @property
    def began_in(self) -> Path:
        """The folder in which its relative paths begin."""
        return self._began_in or Path.cwd()

    @property
    def written(self) -> Sequence[tuple[str, str, str]]:
        """Section, key and value of relative paths that were made absolute since they were read."""
        return tuple(self._written)

    def begun_in(self, folder: Path) -> Scenario:
        """Return the scenario with absolute paths, where its relative ones begin in some folder."""
        absolute = self.model_copy()
        for section, key, path in self.paths():
            if not Path(path).is_absolute():
                own = getattr(absolute, section).model_copy(update={key: str(folder / path)})
                absolute = absolute.model_copy(update={section: own})
        absolute._began_in, absolute._written = folder, self.paths()
        return absolute

    def paths(self) -> list[tuple[str, str, str]]:
        """Return section, key and value of all that leads to files."""
        model = self.model
        found = [
            ("data", "path", self.data.path),
            ("faults", "trace", self.faults.trace),
            ("model", "program", "" if model.program in programs() else model.program),
            ("model", "base", "" if model.base in BASES else model.base),
        ]
        return [one for one in found if one[2]]

    @classmethod
    def load(cls, path: str | Path, overrides: Overrides = ()) -> Scenario:
        """Read a scenario file, as `wearfleet run` does.

        Args:
            path: the TOML file, or the name of a scenario that comes along, such as "smoke".
            overrides: dotted keys and their values, such as {"stream.rounds": 5}, or texts as of
                `--set`.

        Raises:
            BadScenario: it cannot be read, a key cannot be used, or what it names is not there.
        """
        from simulator.scenario.file import load_scenario
        from simulator.scenario.shipped import named_scenario

        return load_scenario(named_scenario(path_of("scenario", path)), overrides)

    @classmethod
    def of(cls, given: Any, overrides: Overrides = ()) -> Scenario:
        """Return a scenario, whatever stands for it: one, its tables, the path of a file, a name.

        Raises:
            BadScenario: as `load`, or it is none of these.
        """
        if isinstance(given, Scenario):
            return given.with_(overrides) if overrides else given
        if isinstance(given, Mapping):
            return cls.from_dict(given, overrides)
        if not isinstance(given, str | PathLike):
            raise BadScenario(
                f"scenario = {given!r:.80}: expected a Scenario, the path of a scenario file, or "
                "its tables as dictionaries"
            )
        return cls.load(path_of("scenario", given), overrides)

    @classmethod
    def from_dict(cls, table: Mapping[str, Any], overrides: Overrides = ()) -> Scenario:
        """Make a scenario of tables as a file has them, every default filled in.

        Raises:
            BadScenario: as `load`.
        """
        from simulator.scenario.file import made_scenario

        return made_scenario(table, overrides)

    def with_(self, overrides: Overrides = (), /, **keys: Any) -> Scenario:
        """Return the scenario with some keys changed, and what follows from them.

        Args:
            overrides: as in `load`.
            keys: of the top level, such as `seed=5`.

        Raises:
            BadScenario: as `load`.
        """
        from simulator.scenario.defaults import without_defaults
        from simulator.scenario.file import made_scenario

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

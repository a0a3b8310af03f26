"""The SavedModels of a cohort's devices in the run folder: the first so many devices have some."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from clients.methods import Arrays
from simulator.base.prepared import Prepared
from simulator.cohort.versions import keep_versions, write_version
from simulator.folder.store import RunFolder
from simulator.plan.plan import Cohort, Plan
from simulator.scenario.scenario import Arm

__all__ = ["SavedModels"]


class SavedModels:
    """The SavedModels of one cohort in one arm.

    Attributes:
        rows: the devices of the cohort, by their place in it, that have some; none in an arm of
            rules.
    """

    def __init__(
        self, plan: Plan, folder: Path, prepared: Prepared, arm: Arm, cohort: Cohort
    ) -> None:
        """Find out which devices have some; nothing is written.

        Args:
            plan: of the run.
            folder: of the run.
            prepared: the base model of the cohort's fold, whose graph they share.
            arm: how its devices learn.
            cohort: which devices.
        """
        scenario = plan.scenario
        has_models = (cohort.devices < scenario.checkpoints.materialize) & (
            arm.method != "heuristic"
        )
        self.rows: list[int] = np.flatnonzero(has_models).tolist()
        self._sources, self._optimizer = prepared.paths, arm.optimizer or scenario.model.optimizer
        names = {row: plan.name_of(cohort.devices[row]) for row in self.rows}
        self._folders = {
            row: RunFolder(folder).versions(arm.name, name) for row, name in names.items()
        }

    def write(self, row: int, round_: int, state: Arrays) -> None:
        """Write a device's SavedModel as of a round: the base model's, with its own variables."""
        write_version(self._sources[self._optimizer], self._folders[row], round_, state)

    def keep(self, rounds: Sequence[int]) -> list[Path]:
        """Remove those that are not of some rounds; returns the variables of the others."""
        return [file for row in self.rows for file in keep_versions(self._folders[row], rounds)]

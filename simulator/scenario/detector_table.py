"""The table of a detector: what devices watch for drift with."""

from __future__ import annotations

from math import inf
from typing import Annotated, Literal

from pydantic import Field, model_validator

from simulator.scenario.sections import Section

__all__ = ["DetectorTable"]


class DetectorTable(Section):
    """One detector on every device."""

    kind: Literal[
        "adwin", "page-hinkley", "ddm", "eddm", "hddm-a", "hddm-w", "kswin", "inputs",
    ]  # fmt: skip
    """Which detector devices carry: one of seven of River's on errors, or Wearfleet's own on the
    windows themselves ("inputs")."""
    strength: float | Literal["donors"] = "donors"
    """How eager the detector is: River's parameter (`delta`, `threshold`, `drift_threshold`,
    `beta`, `drift_confidence` or `alpha`), of "inputs" the sum that raises an alarm; "donors" sets
    it for each fold, by `false_alarms`."""
    false_alarms: Annotated[float, Field(ge=0.0002, le=1.0)] = 0.001
    """Most false alarms per window that donors' streams may raise, where `strength` is "donors"."""

    @model_validator(mode="after")
    def _possible_strength(self) -> DetectorTable:
        most = _MOST.get(self.kind)
        if isinstance(self.strength, float) and not 0.0 < self.strength < (most or inf):
            bound = "more than 0" + (f" and less than {most:g}" if most else "")
            raise ValueError(f'strength = {self.strength}: of "{self.kind}", expected {bound}')
        return self


_MOST = {"adwin": 1.0, "eddm": 1.0, "hddm-a": 1.0, "hddm-w": 1.0, "kswin": 1.0}
"""What strengths that are probabilities, or shares, stay below."""

"""The table of a detector: what devices watch for drift with."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from simulator.sections import Section

__all__ = ["DetectorTable"]


class DetectorTable(Section):
    """One detector on every device."""

    kind: Literal[
        "adwin", "page-hinkley", "ddm", "eddm", "hddm-a", "hddm-w", "kswin", "inputs",
    ]  # fmt: skip
    strength: float | Literal["donors"] = "donors"
    false_alarms: Annotated[float, Field(ge=0.0002, le=1.0)] = 0.001

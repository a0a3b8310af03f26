"""What befalls a device in a round: a row of `events/`."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

__all__ = ["KINDS", "OF_DRIFT", "Event"]

OF_DRIFT = ("drift-begins", "drift-ends", "alarm", "reaction")
"""Kinds of events that are about drift."""

KINDS = (*OF_DRIFT, "dropped-out", "refused", "lost")
"""Of events."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that befell a device in a round.

    Attributes:
        row: which device of the cohort.
        kind: one of `KINDS`.
        reason: the kind of the drift, the detector, the reaction, when it dropped out, or why its
            update was refused or lost.
        windows: that the device had seen before the drift began, or ended; with the one that
            raised the alarm, or as the late answers came that did; else -1.
        answered: how many of them had been answered.
        norm: how far a refused update went, NaN where that is not known.
    """

    row: int
    kind: str
    reason: str
    windows: int = -1
    answered: int = -1
    norm: float = nan

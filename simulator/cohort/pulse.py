"""How a round went for the devices, in a few numbers that those who watch a run are told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

import numpy as np

from clients.outcome import Outcome
from simulator.cohort.adversity import Befallen
from simulator.folder.event import Event

__all__ = ["Pulse", "pulse_of"]


@dataclass(frozen=True, slots=True)
class Pulse:
    """Sums over devices in one round.

    Attributes:
        windows: that were predicted, those of hostile devices left out, which no measure counts.
        correct: of them predicted rightly, before anything was learnt from them.
        refused, lost: updates that were.
        dropped_out: devices that took part, and did not to the end.
        unreachable: devices that could not be reached.
    """

    windows: int = 0
    correct: int = 0
    refused: int = 0
    lost: int = 0
    dropped_out: int = 0
    unreachable: int = 0

    @classmethod
    def joined(cls, parts: Iterable[Pulse]) -> Pulse:
        """Add up what several cohorts tell."""
        sums = [astuple(part) for part in parts]
        return cls(*map(sum, zip(*sums, strict=True))) if sums else cls()


def pulse_of(outcome: Outcome, befallen: Befallen, events: Sequence[Event]) -> Pulse:
    """Sum up a round of a cohort.

    Args:
        outcome: of the round.
        befallen: what befell the devices in it.
        events: likewise, one by one.
    """
    honest = ~befallen.hostile[:, None, None]
    there = (outcome.windows >= 0) & honest
    correct = there & (outcome.predicted == outcome.label[..., None])
    kinds = [event.kind for event in events]
    return Pulse(
        windows=int(np.count_nonzero(there)),
        correct=int(np.count_nonzero(correct)),
        refused=kinds.count("refused"),
        lost=kinds.count("lost"),
        dropped_out=kinds.count("dropped-out"),
        unreachable=int(np.count_nonzero(~befallen.reachable)),
    )

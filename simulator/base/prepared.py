"""What the devices of a fold start with, once its base model is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clients.heuristic import Heuristic
from clients.methods import Arrays
from clients.novelty import Expected

__all__ = ["Parts", "Prepared", "Threshold"]

_TILE_BYTES, _LEAST_IN_TILE, _MOST_IN_TILE = 640 * 2**10, 8, 128


@dataclass(frozen=True, slots=True)
class Threshold:
    """How eager a detector is on the devices of one fold, and why.

    Attributes:
        strength: of the detector.
        alarms: false ones on the donors' streams; -1 where the scenario gave the strength.
        windows: that a detector saw on those streams: the answered ones, or all.
        expected: what inputs are usual, for the detector on inputs.
        mute: whether no strength that could raise an alarm was allowed.
    """

    strength: float
    alarms: int = -1
    windows: int = 0
    expected: Expected | None = None
    mute: bool = False


@dataclass(frozen=True, slots=True)
class Parts:
    """Patterns of the parameters that some methods keep on the device.

    Attributes:
        head: what turns features into classes.
        norms: what normalises features.
    """

    head: tuple[str, ...] = ()
    norms: tuple[str, ...] = ()

    def of(self, method: str) -> tuple[str, ...]:
        """Return what a method keeps, where its arm does not say."""
        return self.norms if method == "fedbn" else self.head


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """What the devices of one fold start with.

    Attributes:
        fold: its index.
        program: its name, or the path of the SavedModel that was given.
        paths: optimizer -> the SavedModel that each device has a copy of.
        params: its parameters by name.
        parts: which of them some methods keep on the device.
        whole_questions: whether its program learns one whole question at a time.
        heuristic: thresholds from the fold's donors, where there are donors.
        unseen: by user id, int64 [K, K], the untouched base model's windows by true and
            predicted class; empty where the base model may have seen the users.
        steps: taken in its training, 0 where it was not trained here.
        validation_accuracy: on the donors that validated, None where it was not trained here.
        candidates: program -> accuracy on donors left out, where the donors chose among some.
        thresholds: of the scenario's detectors, by kind.
    """

    fold: int
    program: str
    paths: Mapping[str, Path]
    params: Arrays
    parts: Parts
    whole_questions: bool
    heuristic: Heuristic | None
    unseen: dict[str, Any]
    steps: int
    validation_accuracy: float | None
    candidates: Mapping[str, float] = field(default_factory=dict)
    thresholds: Mapping[str, Threshold] = field(default_factory=dict)

    def tile(self, wanted: int | str, devices: int) -> int:
        """Return how many devices are computed at once, where that is left to the program.

        What they compute with should stay in a core's cache: the power of two of devices whose
        parameters fill about 640 KiB, or a number near to it with which the tiles of a cohort have
        the fewest empty places.

        Args:
            wanted: as the scenario says.
            devices: in the largest cohort.
        """
        if isinstance(wanted, int):
            return wanted
        size = sum(int(value.nbytes) for value in self.params.values())
        room: int = 1 << max(0, (_TILE_BYTES // max(size, 1)).bit_length() - 1)
        usual = min(_MOST_IN_TILE, max(_LEAST_IN_TILE, room))
        if devices <= usual:
            return usual
        near = range(-(-2 * usual // 3), 3 * usual // 2 + 1)
        return min(near, key=lambda tile: (-(-devices // tile) * tile, abs(tile - usual)))

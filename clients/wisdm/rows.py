"""How WISDM writes its rows, and the rows that come of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LINE_FORMS", "LineForm", "Rows", "concatenate", "no_rows"]


@dataclass(frozen=True, slots=True)
class LineForm:
    """How a source writes `user,activity,time,x,y,z;`.

    Attributes:
        activities: as written, without surrounding blanks -> canonical name.
        ticks_per_s: units of the timestamp in a second.
        mixed_units: whether samples may be in another unit than m/s², depending on the user.
    """

    activities: Mapping[bytes, str]
    ticks_per_s: float
    mixed_units: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Return the canonical activities, sorted; `Rows.activity` points into it."""
        return tuple(sorted(set(self.activities.values())))

    def code(self, written: bytes) -> int:
        """Return the index into `names` of an activity as written, or -1."""
        name = self.activities.get(written.strip())
        return -1 if name is None else self.names.index(name)


_V1_NAMES = ("Walking", "Jogging", "Upstairs", "Downstairs", "Sitting", "Standing")
_ACTITRACKER_NAMES = {
    "Walking": "walking",
    "Jogging": "jogging",
    "Stairs": "stairs",
    "Sitting": "sitting",
    "Standing": "standing",
    "LyingDown": "lying-down",
}
_NAMES_2019 = {
    "A": "walking",
    "B": "jogging",
    "C": "stairs",
    "D": "sitting",
    "E": "standing",
    "F": "typing",
    "G": "brushing-teeth",
    "H": "eating-soup",
    "I": "eating-chips",
    "J": "eating-pasta",
    "K": "drinking",
    "L": "eating-sandwich",
    "M": "kicking",
    "O": "catch",
    "P": "dribbling",
    "Q": "writing",
    "R": "clapping",
    "S": "folding-clothes",
}

LINE_FORMS: Mapping[str, LineForm] = {
    "wisdm-v1.1": LineForm({name.encode(): name.lower() for name in _V1_NAMES}, 1e9),
    "wisdm-2019": LineForm({code.encode(): name for code, name in _NAMES_2019.items()}, 1e9),
    "actitracker-v2.0": LineForm(
        {written.encode(): name for written, name in _ACTITRACKER_NAMES.items()},
        1e3,
        mixed_units=True,
    ),
}


@dataclass(frozen=True, slots=True)
class Rows:
    """Valid rows in file order.

    Attributes:
        file: uint32 [N], index of the file.
        line: uint32 [N], line number from 1.
        user: int32 [N].
        activity: int8 [N], index into the line form's `names`.
        time: int64 [N], timestamp in the line form's ticks, above 0.
        samples: float32 [N, 3], finite, within ±200; m/s², once `unify_units` has seen to it
            where the line form has mixed units.
    """

    file: NDArray[np.uint32]
    line: NDArray[np.uint32]
    user: NDArray[np.int32]
    activity: NDArray[np.int8]
    time: NDArray[np.int64]
    samples: NDArray[np.float32]

    def take(self, index: NDArray[Any] | slice) -> Rows:
        """Return the rows at an index, under a mask, or of a slice (then views)."""
        return Rows(
            self.file[index],
            self.line[index],
            self.user[index],
            self.activity[index],
            self.time[index],
            self.samples[index],
        )

    def by_series(self, form: LineForm) -> Iterator[tuple[str, str, Rows]]:
        """Yield user, activity and their rows, in file order, for each pair that occurs."""
        key = self.user.astype(np.int64) * len(form.names) + self.activity
        order = np.argsort(key, kind="stable")
        edges = np.flatnonzero(np.diff(key[order], prepend=-1))
        for places in np.split(order, edges)[1:]:
            first = places[0]
            name = form.names[int(self.activity[first])]
            last = places[-1] + 1
            rows = self.take(slice(first, last) if last - first == places.size else places)
            yield str(self.user[first]), name, rows


def concatenate(parts: list[Rows]) -> Rows:
    """Return rows of several parts as one."""
    return Rows(
        np.concatenate([part.file for part in parts]),
        np.concatenate([part.line for part in parts]),
        np.concatenate([part.user for part in parts]),
        np.concatenate([part.activity for part in parts]),
        np.concatenate([part.time for part in parts]),
        np.concatenate([part.samples for part in parts]),
    )


def no_rows() -> Rows:
    """Return rows of length 0."""
    nothing = np.zeros(0, dtype=np.uint32)
    return Rows(
        nothing,
        nothing.copy(),
        nothing.astype(np.int32),
        nothing.astype(np.int8),
        nothing.astype(np.int64),
        np.zeros((0, 3), dtype=np.float32),
    )

"""Who wears the watches of the generator: names, kinds of people, and personal traits.

A person is a pure function of the seed and a number. The name carries both the number and what
is unusual about the person, so that a table of users can be read: "p003", "p004-limp".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clients import chance
from clients.errors import BadInput
from clients.movements import HARMONICS

__all__ = ["KINDS", "Kind", "Person", "describe", "kind_of", "user_names"]

_NAME = re.compile(r"p(\d{3}|[1-9]\d{3,6})(?:-([a-z]+))?")
_FLIPPED_SHARE = 0.14  # 5 of 36 people of WISDM 2019 wear the watch the other way round
_MOST_PEOPLE = 1_000_000


@dataclass(frozen=True, slots=True)
class Kind:
    """How a kind of person differs from the population; factors are 1 for ordinary people.

    Attributes:
        cadence: factor on the cadence of gaits.
        swing: factor on all amplitudes of gaits.
        odd: further factor on their odd harmonics, in which left and right step differ.
        warp: radians by which one step of a stride comes late.
        impact: height of a blow along the arm once a stride, m/s².
        gait_posture: change of the mean acceleration in gaits, x, y, z, m/s².
        rest_posture: the same in everything else, m/s².
    """

    cadence: float = 1.0
    swing: float = 1.0
    odd: float = 1.0
    warp: float = 0.0
    impact: float = 0.0
    gait_posture: tuple[float, float, float] = (0.0, 0.0, 0.0)
    rest_posture: tuple[float, float, float] = (0.0, 0.0, 0.0)


KINDS: Mapping[str, Kind] = {
    "ordinary": Kind(),
    # one leg is spared: slow, uneven steps, so the subharmonic of the step frequency grows
    "limp": Kind(
        cadence=0.7,
        swing=0.9,
        odd=3.0,
        warp=0.9,
        gait_posture=(-3.5, 3.5, 3.0),
        rest_posture=(-1.0, -2.0, 2.0),
    ),
    # the watch is on the arm that leans on a cane: little swing, a blow at every second step
    "cane": Kind(
        cadence=0.72,
        swing=0.45,
        impact=7.0,
        gait_posture=(-5.0, -4.0, 5.0),
        rest_posture=(2.0, -3.0, -2.0),
    ),
    # trained: quick, wide and regular
    "athlete": Kind(
        cadence=1.16, swing=1.9, gait_posture=(-4.0, -3.0, 0.0), rest_posture=(-2.0, -3.0, 1.0)
    ),
}


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """What is the same for one person in all activities; standard scores unless said otherwise.

    Attributes:
        name: the user's id, such as "p004-limp".
        number: 4 in "p004-limp".
        kind: a key of `KINDS`.
        flipped: whether the watch is worn so that x points the other way.
        cadence: tendency to quick movements.
        vigour: tendency to wide movements.
        restless: tendency to noise and fidgets.
        posture: float64 [3], how the wrist is held.
        tones: float64 [3, HARMONICS], log amplitudes of the harmonics.
        phases: float64 [3, HARMONICS], phases of the harmonics.
        gain: float64 [3], the sensor's scale, a factor near 1.
        bias: float64 [3], the sensor's offset, m/s².
    """

    name: str
    number: int
    kind: str
    flipped: bool
    cadence: float
    vigour: float
    restless: float
    posture: NDArray[np.float64]
    tones: NDArray[np.float64]
    phases: NDArray[np.float64]
    gain: NDArray[np.float64]
    bias: NDArray[np.float64]


def user_names(
    people: int | Sequence[str], *, seed: int, unusual: float | Mapping[str, float] = 0.0
) -> list[str]:
    """Return the names of the first people, or check the names that were given.

    Args:
        people: how many; or names such as "p004" and "p004-limp", which are returned as they are.
        seed: the scenario's seed.
        unusual: share of unusual people, spread evenly over the kinds, or a share for each kind.
            Who is unusual depends on the seed and the person alone. Names that are given say
            themselves who is.

    Raises:
        BadInput: for a number out of range, a share that cannot be, or a name of another form.
    """
    shares = _shares(unusual)
    if isinstance(people, int):
        if not 1 <= people <= _MOST_PEOPLE:
            raise BadInput(f"people: got {people}; expected 1 to {_MOST_PEOPLE:,}")
        return [_name(number, seed, shares) for number in range(1, people + 1)]
    names = list(people)
    if not names or len(set(names)) != len(names):
        raise BadInput(f"people: got {names}; expected at least one name and none twice")
    for name in names:
        _parse(name)
    return names


def kind_of(name: str) -> str:
    """Return what kind of person a user is, a key of `KINDS`; raises BadInput for other names."""
    return _parse(name)[1]


def describe(name: str, *, seed: int) -> Person:
    """Return the traits of one person; raises BadInput for a name of another form."""
    number, kind = _parse(name)
    draw = chance.generator(seed, "synthetic", number)
    flipped = bool(draw.random() < _FLIPPED_SHARE)
    cadence, vigour, restless = draw.standard_normal(3)
    return Person(
        name=name,
        number=number,
        kind=kind,
        flipped=flipped,
        cadence=float(cadence),
        vigour=float(vigour),
        restless=float(restless),
        posture=draw.standard_normal(3),
        tones=draw.standard_normal((3, HARMONICS)),
        phases=draw.standard_normal((3, HARMONICS)),
        gain=1.0 + 0.008 * draw.standard_normal(3),
        bias=0.05 * draw.standard_normal(3),
    )


def _name(number: int, seed: int, shares: Mapping[str, float]) -> str:
    chosen = chance.generator(seed, "synthetic-kind", number).random()
    for kind, share in shares.items():
        if chosen < share:
            return f"p{number:03d}-{kind}"
        chosen -= share
    return f"p{number:03d}"


def _parse(name: str) -> tuple[int, str]:
    found = _NAME.fullmatch(name) if isinstance(name, str) else None
    kinds = [kind for kind in KINDS if kind != "ordinary"]
    if found is None or found[2] not in (None, *kinds) or not 1 <= int(found[1]) <= _MOST_PEOPLE:
        raise BadInput(
            f"people: got the name {name!r}; expected 'p001' to 'p{_MOST_PEOPLE}', "
            f"optionally followed by one of {', '.join('-' + kind for kind in kinds)}"
        )
    return int(found[1]), found[2] or "ordinary"


def _shares(unusual: float | Mapping[str, float]) -> dict[str, float]:
    """Return a share for each unusual kind, in the order of `KINDS`."""
    kinds = [kind for kind in KINDS if kind != "ordinary"]
    if isinstance(unusual, Mapping):
        shares = {kind: float(unusual.get(kind, 0.0)) for kind in kinds}
        unknown = sorted(set(unusual) - set(kinds))
    else:
        shares = {kind: float(unusual) / len(kinds) for kind in kinds}
        unknown = []
    total = sum(shares.values())
    if unknown or not all(share >= 0 for share in shares.values()) or not total <= 1 + 1e-9:
        raise BadInput(
            f"unusual: got {unusual!r}; expected a share from 0 to 1, "
            f"or shares that sum to at most 1 for some of {', '.join(kinds)}"
        )
    return shares

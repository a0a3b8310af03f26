"""What each activity does to a wrist: one row of population-level numbers per activity.

The numbers describe a population, not a person: means, spreads between people and spreads within
a person, rounded, first read off the 36 people of the WISDM 2019 watch recordings and then tuned
until generated people give the same table (docs/synthetic.md, benchmarks/compare_synthetic.py).
The x axis lies along the forearm and feels +g when the arm hangs; y and z lie across it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

__all__ = ["HARMONICS", "MOVEMENTS", "STAIRS", "Movement"]

HARMONICS = 6
Axes: TypeAlias = tuple[float, float, float]
Swing: TypeAlias = tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]
_NO_SWING: Swing = ((), (), ())


@dataclass(frozen=True, slots=True)
class Movement:
    """How people move a wrist in one activity.

    Attributes:
        posture: mean acceleration at rest, x, y, z, in m/s²: where gravity points.
        spread: standard deviation of `posture` between people, m/s².
        length: norm of the mean acceleration, m/s²; below 9.81 where the forearm turns a lot.
        length_spread: standard deviation of `length` between people, m/s².
        wander: how far the posture strays within a few seconds, standard deviation, m/s².
        shifts_per_min: how often a new posture is taken up.
        shift: how far from the person's own posture, standard deviation, m/s².
        reach: change of posture, m/s², at the far end of a repeated reach (hand to mouth).
        reach_s: seconds from one reach to the next.
        cadence_hz: fundamental frequency; a gait's is the stride, two steps.
        cadence_spread: its standard deviation between people, as a share.
        cadence_drift: its standard deviation within a person, as a share.
        swing: amplitudes in m/s² of the harmonics of the cadence, for x, y and z.
        phases: their population phases in radians; missing ones are 0.
        phase_spread: standard deviation of the phases between people, radians.
        swing_spread: standard deviation of log amplitude between people.
        noise: what is not periodic, standard deviation in m/s² for x, y and z.
        noise_s: correlation time of the noise, seconds; small = tremor, large = slow pushes.
        noise_spread: standard deviation of log noise, and of log wander, between people.
        bursts: the same within a person; large = still with fidgets.
        pauses_per_min: how often the periodic movement stops for some seconds.
        gait: whether the legs drive it; a limp, a cane or training change gaits most.
    """

    posture: Axes
    spread: Axes
    length: float = 9.81
    length_spread: float = 0.0
    wander: float = 0.3
    shifts_per_min: float = 1.0
    shift: float = 1.0
    reach: Axes = (0.0, 0.0, 0.0)
    reach_s: float = 0.0
    cadence_hz: float = 1.0
    cadence_spread: float = 0.1
    cadence_drift: float = 0.03
    swing: Swing = _NO_SWING
    phases: Swing = _NO_SWING
    phase_spread: float = 3.0
    swing_spread: float = 0.3
    noise: Axes = (0.1, 0.1, 0.1)
    noise_s: float = 0.06
    noise_spread: float = 0.3
    bursts: float = 0.3
    pauses_per_min: float = 0.0
    gait: bool = False


# A row reads: posture, its changes, cadence, swing (x, y, z), noise, pauses.
# fmt: off
# 0.94 strides/s: heel strikes are the 2nd harmonic along the arm, the swing the 1st across it
_WALKING = Movement(
    posture=(9.2, -3.1, 0.4), spread=(1.2, 1.0, 1.1), length=10.6, length_spread=0.6,
    wander=1.2, shifts_per_min=1.0, shift=0.9,
    cadence_hz=0.94, cadence_spread=0.055, cadence_drift=0.015,
    swing=(
        (1.2, 2.8, 0.7, 0.7, 0.3, 0.4),
        (2.2, 0.9, 0.7, 0.6, 0.4, 0.3),
        (1.3, 0.7, 0.5, 0.3, 0.2, 0.2),
    ),
    phases=(
        (-2.9, 0.0, -1.5, -3.0),
        (0.6, -2.4, 2.7, -2.7),
        (-1.2, -1.1, -0.9, -0.6),
    ),
    phase_spread=0.7, swing_spread=0.35,
    noise=(1.1, 0.9, 0.8), noise_spread=0.2, bursts=0.3,
    pauses_per_min=0.3, gait=True,
)
# slower, the hand works harder and the posture (a rail, a raised arm) varies more
_UPSTAIRS = replace(_WALKING,
    posture=(8.3, -3.3, 0.5), spread=(1.8, 1.2, 1.4), length=9.81, length_spread=0.3,
    wander=1.6, shifts_per_min=3.0, shift=1.1,
    cadence_hz=0.77, cadence_spread=0.06, cadence_drift=0.05,
    swing=(
        (1.1, 2.7, 1.4, 1.0, 0.5, 0.4),
        (1.2, 1.1, 0.8, 0.6, 0.4, 0.3),
        (1.1, 0.9, 0.6, 0.4, 0.3, 0.2),
    ),
    swing_spread=0.3,
    noise=(2.1, 1.4, 1.4), bursts=0.4,
    pauses_per_min=0.8,
)
# harder steps, a little quicker
_DOWNSTAIRS = replace(_UPSTAIRS,
    cadence_hz=0.84,
    swing=(
        (1.1, 4.1, 1.9, 1.6, 0.7, 0.5),
        (1.3, 1.1, 0.9, 0.8, 0.5, 0.4),
        (1.1, 0.9, 0.7, 0.5, 0.4, 0.3),
    ),
    noise=(2.7, 1.7, 1.6),
)
# 1.34 strides/s, forearm held up: y feels the steps, x the swing
_JOGGING = Movement(
    posture=(3.2, -7.0, -0.6), spread=(1.8, 2.0, 2.1), length=8.3, length_spread=0.8,
    wander=0.8, shifts_per_min=0.7, shift=1.2,
    cadence_hz=1.34, cadence_spread=0.05, cadence_drift=0.012,
    swing=(
        (8.2, 4.5, 1.4, 1.4, 0.7, 0.6),
        (4.1, 11.9, 1.1, 1.6, 0.6, 0.6),
        (2.4, 4.0, 1.0, 1.0, 0.4, 0.4),
    ),
    phases=(
        (-0.2, 3.1, -2.7, 0.4),
        (0.0, 0.0, -0.9, -2.3),
        (-2.1, 0.8, 1.0, -2.1),
    ),
    phase_spread=0.5, swing_spread=0.22,
    noise=(2.4, 2.7, 2.7), noise_spread=0.2, bursts=0.2,
    pauses_per_min=0.3, gait=True,
)
# hands in the lap or on a table; still, with fidgets
_SITTING = Movement(
    posture=(1.0, -3.2, 6.8), spread=(1.4, 3.5, 2.7),
    wander=0.2, shifts_per_min=1.2, shift=1.1,
    noise=(0.06, 0.07, 0.07), noise_s=0.01, noise_spread=0.9, bursts=1.3,
)
# the arm hangs in most people; others fold their arms or hold something
_STANDING = replace(_SITTING,
    posture=(7.4, -2.8, 0.4), spread=(3.5, 2.0, 1.6),
    wander=0.22, shift=1.0,
    noise=(0.08, 0.08, 0.08),
)
_TYPING = Movement(
    posture=(-0.5, -4.1, 7.7), spread=(1.1, 3.2, 2.3),
    wander=0.35, shifts_per_min=0.5, shift=0.5,
    noise=(0.25, 0.5, 0.38), noise_s=0.01, noise_spread=0.3, bursts=0.4,
)
_WRITING = Movement(
    posture=(-0.3, -8.5, 3.2), spread=(0.7, 5.5, 2.8),
    wander=0.4, shifts_per_min=0.5, shift=0.5,
    noise=(0.25, 0.4, 0.5), noise_s=0.01, bursts=0.5,
)
_BRUSHING = Movement(
    posture=(-7.2, -2.2, 3.0), spread=(3.0, 2.0, 1.9),
    wander=0.7, shifts_per_min=4.0, shift=1.5,
    cadence_hz=3.4, cadence_spread=0.2, cadence_drift=0.05,
    swing=(
        (0.8, 0.2),
        (2.0, 0.5),
        (1.8, 0.4),
    ),
    swing_spread=0.7,
    noise=(0.8, 1.0, 1.0), bursts=0.5,
    pauses_per_min=0.7,
)
# a spoon every few seconds
_SOUP = Movement(
    posture=(-2.9, -7.3, -1.4), spread=(2.4, 4.5, 2.7),
    wander=1.3, shifts_per_min=0.7, shift=0.8,
    reach=(-4.5, 2.0, 5.0), reach_s=5.0,
    noise=(0.35, 0.35, 0.4), noise_spread=0.35, bursts=0.5,
)
_CHIPS = replace(_SOUP,
    posture=(-3.6, -3.8, 5.0), spread=(2.8, 2.5, 2.2),
    wander=1.6,
    reach=(-5.0, 4.5, -4.5), reach_s=7.0,
    bursts=0.65,
)
_PASTA = replace(_SOUP,
    posture=(-3.0, -6.5, 0.4), spread=(2.3, 4.0, 2.9),
    wander=1.3,
    reach=(-2.5, 2.5, 9.0), reach_s=7.0,
    noise=(0.4, 0.4, 0.5),
)
_DRINKING = replace(_SOUP,
    posture=(-3.4, -5.8, 3.2), spread=(3.0, 2.9, 1.9),
    wander=1.3, shift=1.5,
    reach=(-7.0, 8.0, 2.0), reach_s=10.0,
    noise=(0.25, 0.25, 0.25), bursts=0.8,
)
_SANDWICH = replace(_SOUP,
    posture=(-3.7, -5.2, 2.2), spread=(3.3, 2.6, 2.8),
    wander=1.4,
    reach=(-5.0, 5.0, 4.0), reach_s=9.0,
    noise=(0.3, 0.3, 0.3), noise_spread=0.6, bursts=0.8,
)
# a few steps, a kick, a wait
_KICKING = replace(_WALKING,
    posture=(9.0, -2.9, 0.3), spread=(0.9, 1.3, 1.0), length=10.2,
    wander=1.0,
    cadence_hz=0.55, cadence_drift=0.1,
    swing=(
        (1.0, 1.2, 1.7, 1.0, 0.6, 0.5),
        (1.2, 1.6, 1.0, 0.8, 0.6, 0.5),
        (1.0, 1.1, 0.8, 0.6, 0.4, 0.3),
    ),
    phases=_NO_SWING,
    phase_spread=3.0,
    noise=(1.7, 1.7, 1.5), noise_spread=0.35, bursts=0.6,
    pauses_per_min=4.0,
)
_CATCH = Movement(
    posture=(3.0, -4.2, -0.8), spread=(3.6, 1.9, 2.5), length=7.0,
    wander=2.5, shifts_per_min=6.0, shift=1.0,
    cadence_hz=0.57, cadence_spread=0.15, cadence_drift=0.12,
    swing=(
        (4.0, 3.5, 2.5, 2.0, 1.5, 1.0),
        (4.0, 3.5, 2.5, 2.0, 1.5, 1.0),
        (3.5, 3.0, 2.5, 2.0, 1.5, 1.0),
    ),
    swing_spread=0.4,
    noise=(3.8, 3.8, 3.8), noise_spread=0.2, bursts=0.3,
)
_DRIBBLING = Movement(
    posture=(5.3, -3.4, 1.3), spread=(1.6, 1.9, 2.9), length=7.5,
    wander=1.5, shifts_per_min=3.0, shift=1.0,
    cadence_hz=1.5, cadence_spread=0.22, cadence_drift=0.03,
    swing=(
        (6.5, 3.5, 1.5, 1.0),
        (4.5, 2.8, 1.5, 1.0),
        (5.5, 3.0, 1.5, 1.0),
    ),
    swing_spread=0.35,
    noise=(4.2, 3.8, 4.2), noise_spread=0.2,
    pauses_per_min=0.3,
)
_CLAPPING = Movement(
    posture=(-4.9, -3.3, 2.7), spread=(3.0, 3.6, 3.4),
    wander=1.0, shifts_per_min=3.0, shift=1.0,
    cadence_hz=2.5, cadence_spread=0.25, cadence_drift=0.03,
    swing=(
        (1.9, 1.3, 0.9, 0.7),
        (1.9, 1.3, 0.9, 0.7),
        (4.8, 2.5, 1.5, 1.0),
    ),
    swing_spread=0.4,
    noise=(1.2, 1.2, 1.6),
    pauses_per_min=0.3,
)
_FOLDING = Movement(
    posture=(1.1, -5.3, 1.4), spread=(3.0, 2.8, 2.4), length=9.3,
    wander=3.5, shifts_per_min=10.0, shift=1.5,
    cadence_hz=0.68, cadence_drift=0.2,
    swing=(
        (1.5, 2.0, 1.0, 0.5),
        (1.2, 1.5, 1.0, 0.5),
        (1.5, 2.0, 1.0, 0.5),
    ),
    noise=(1.9, 1.9, 1.9), noise_spread=0.2, bursts=0.35,
)
# fmt: on

# "stairs" alternates between these, as the recordings of 2019 do; the last are the landings
STAIRS = ("upstairs", "downstairs", "walking")
# New activities go at the end: the position is a counter of chance.
MOVEMENTS: dict[str, Movement] = {
    "walking": _WALKING,
    "jogging": _JOGGING,
    "stairs": _UPSTAIRS,
    "upstairs": _UPSTAIRS,
    "downstairs": _DOWNSTAIRS,
    "sitting": _SITTING,
    "standing": _STANDING,
    "typing": _TYPING,
    "brushing-teeth": _BRUSHING,
    "eating-soup": _SOUP,
    "eating-chips": _CHIPS,
    "eating-pasta": _PASTA,
    "drinking": _DRINKING,
    "eating-sandwich": _SANDWICH,
    "kicking": _KICKING,
    "catch": _CATCH,
    "dribbling": _DRIBBLING,
    "writing": _WRITING,
    "clapping": _CLAPPING,
    "folding-clothes": _FOLDING,
}

"""A generator of WISDM-like people, the default source of recordings: it needs no download.

An acceleration is gravity, seen from a wrist whose posture wanders, shifts and reaches; plus the
harmonics of a cadence that drifts; plus noise that comes in bursts; all seen by an imperfect
sensor. `clients/movements.py` says how people do it, `clients/people.py` how persons differ.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from clients import chance
from clients.errors import BadInput
from clients.movements import HARMONICS, MOVEMENTS, STAIRS, Movement
from clients.people import KINDS, Person, describe, kind_of, user_names
from clients.recordings import Recording

__all__ = ["ACTIVITIES", "describe", "kind_of", "outline", "synthesize", "user_names"]

ACTIVITIES = tuple(MOVEMENTS)

Floats = NDArray[np.float64]
_RANGE = 19.6  # m/s²: the watches of WISDM 2019 measure up to two g on each axis
_SHARED = math.sqrt(0.75)  # of a trait's deviation, the part that is the same in all activities
_OWN = math.sqrt(0.25)  # and the part that belongs to one activity
_MOST_HZ = 1000.0


def synthesize(
    people: int | Sequence[str],
    activities: Sequence[str],
    *,
    rate_hz: float,
    seed: int,
    minutes: float = 3.0,
    unusual: float | Mapping[str, float] = 0.0,
) -> list[Recording]:
    """Generate one recording of each activity for each person.

    A recording depends on the seed, the person's name, the activity, the rate and the duration
    alone, not on who else and what else is generated.

    Args:
        people: how many; or their names, as `user_names` returns them.
        activities: names in `ACTIVITIES`, in the order in which a person does them.
        rate_hz: samples per second, 1 to 1,000.
        seed: the scenario's seed.
        minutes: duration of each recording.
        unusual: share of people with a limp, a cane or an athlete's training together, or a
            share for each of these kinds.

    Returns:
        Recordings by person, then by activity; each has one segment, which starts when the
        previous activity ends, and float32 samples [N, 3] in m/s².

    Raises:
        BadInput: for an unknown or repeated activity, fewer than one person, a name of another
            form, a rate, a duration or a share out of range.
    """
    recordings = []
    for name, own in _outlines(people, activities, rate_hz, seed, minutes, unusual):
        person = describe(name, seed=seed)
        for empty in own:
            draw = chance.generator(
                seed, "synthetic", person.number, 1 + ACTIVITIES.index(empty.activity)
            )
            samples = _record(draw, person, empty.activity, len(empty.samples), rate_hz)
            recordings.append(replace(empty, samples=samples))
    return recordings


def outline(
    people: int | Sequence[str],
    activities: Sequence[str],
    *,
    rate_hz: float,
    seed: int,
    minutes: float = 3.0,
    unusual: float | Mapping[str, float] = 0.0,
) -> list[Recording]:
    """Tell what `synthesize` would generate, at once: the same without values, float32 [N, 0].

    Raises:
        BadInput: as `synthesize` does.
    """
    told = _outlines(people, activities, rate_hz, seed, minutes, unusual)
    return [recording for _, own in told for recording in own]


def _outlines(
    people: int | Sequence[str],
    activities: Sequence[str],
    rate_hz: float,
    seed: int,
    minutes: float,
    unusual: float | Mapping[str, float],
) -> Iterator[tuple[str, list[Recording]]]:
    """Go through the people: names, and their recordings without values."""
    names = user_names(people, seed=seed, unusual=unusual)
    _check(activities, rate_hz, minutes)
    count = round(minutes * 60.0 * rate_hz)
    for name in names:
        yield (
            name,
            [
                Recording(
                    user=name,
                    activity=activity,
                    rate_hz=rate_hz,
                    samples=np.empty((count, 0), np.float32),
                    segment_starts=np.zeros(1, dtype=np.int64),
                    segment_times_s=np.array([place * count / rate_hz]),
                )
                for place, activity in enumerate(activities)
            ],
        )


def _check(activities: Sequence[str], rate_hz: float, minutes: float) -> None:
    unknown = [activity for activity in activities if activity not in MOVEMENTS]
    if unknown or not activities or len(set(activities)) != len(activities):
        raise BadInput(
            f"activities: got {list(activities)}; expected some of {', '.join(ACTIVITIES)}, "
            "each at most once"
        )
    if not 1.0 <= rate_hz <= _MOST_HZ:
        raise BadInput(f"rate_hz: got {rate_hz}; expected 1 to {_MOST_HZ:g} samples per second")
    if not 1.0 <= minutes * 60.0 * rate_hz <= 1e8:
        raise BadInput(f"minutes: got {minutes}; expected a positive duration in minutes")


def _record(
    draw: np.random.Generator, person: Person, activity: str, count: int, rate_hz: float
) -> NDArray[np.float32]:
    """Return one recording's samples, float32 [count, 3], m/s²."""
    times = np.arange(count) / rate_hz
    if activity == "stairs":
        felt = _climb(draw, person, times, rate_hz)
    else:
        felt = _move(draw, person, MOVEMENTS[activity], times, rate_hz)
    if person.flipped:
        felt[:, 0] = -felt[:, 0]
    felt = felt * person.gain + person.bias
    return np.clip(felt, -_RANGE, _RANGE).astype(np.float32)


def _climb(draw: np.random.Generator, person: Person, times: Floats, rate_hz: float) -> Floats:
    """Alternate between going up, going down and landings; float64 [N, 3]."""
    parts = [_move(draw, person, MOVEMENTS[name], times, rate_hz) for name in STAIRS]
    flights = draw.uniform(8.0, 22.0, size=2 + int(times[-1] / 8.0))
    landings = draw.uniform(0.4, 1.5, size=flights.size)
    ends = np.cumsum(np.stack([flights, landings], axis=1).ravel())
    leg = np.searchsorted(ends, times, side="right")
    part = np.where(leg % 2 == 1, 2, (leg // 2 + draw.integers(2)) % 2)
    shares = np.eye(len(STAIRS))[part]
    shares = ndimage.uniform_filter1d(shares, max(1, round(0.6 * rate_hz)), axis=0, mode="nearest")
    climb: Floats = np.einsum("np,pnc->nc", shares, np.stack(parts))
    return climb


def _move(
    draw: np.random.Generator, person: Person, movement: Movement, times: Floats, rate_hz: float
) -> Floats:
    """Return what a perfect sensor feels, float64 [N, 3], m/s²."""
    effort = np.exp(0.12 * _slow(draw, times, 40.0) + 0.1 * _slow(draw, times, 3.0))
    effort *= _active(draw, movement, times)
    restless = _SHARED * person.restless + _OWN * draw.standard_normal()
    unrest = np.exp(movement.noise_spread * restless + movement.bursts * _slow(draw, times, 4.0))
    felt = _gravity(draw, person, movement, times, unrest)
    felt += (unrest * effort)[:, None] * _noise(draw, movement, times, rate_hz)
    if any(movement.swing):
        felt += effort[:, None] * _swing(draw, person, movement, times, rate_hz)
    return felt


def _gravity(
    draw: np.random.Generator, person: Person, movement: Movement, times: Floats, unrest: Floats
) -> Floats:
    """Return gravity in the frame of a wrist that moves slowly, float64 [N, 3], m/s²."""
    kind = KINDS[person.kind]
    changed = kind.gait_posture if movement.gait else kind.rest_posture
    own = _SHARED * person.posture + _OWN * draw.standard_normal(3)
    posture = np.array(movement.posture) + changed + np.array(movement.spread) * own
    length = movement.length + movement.length_spread * draw.standard_normal()
    posture = posture * (length / max(float(np.linalg.norm(posture)), 1.0))
    path = posture + _shifts(draw, movement, times)
    path += (movement.wander * unrest)[:, None] * _slow(draw, times, 2.0, 3)
    if movement.reach_s:
        path += _reaches(draw, movement, times)[:, None] * np.array(movement.reach)
    norm = np.sqrt(np.einsum("nc,nc->n", path, path))
    path *= (length / np.maximum(norm, 1.0))[:, None]
    return path


def _shifts(draw: np.random.Generator, movement: Movement, times: Floats) -> Floats:
    """Return posture changes that last until the next one, float64 [N, 3]."""
    ends = _moments(draw, movement.shifts_per_min, times)
    far = movement.shift * math.exp(0.9 * draw.standard_normal())
    levels = far * draw.standard_normal((ends.size + 1, 3))
    if ends.size == 0:
        return np.broadcast_to(levels[0], (times.size, 3))
    knots = np.stack([ends, ends + 0.6], axis=1).ravel()
    held = np.stack([levels[:-1], levels[1:]], axis=1).reshape(-1, 3)
    return np.stack([np.interp(times, knots, held[:, axis]) for axis in range(3)], axis=1)


def _reaches(draw: np.random.Generator, movement: Movement, times: Floats) -> Floats:
    """Return how far the hand has reached, from 0 to about 1, float64 [N]."""
    rate = np.exp(0.25 * draw.standard_normal() + 0.4 * _slow(draw, times, movement.reach_s))
    cycle = np.cumsum(rate) * (times[1] - times[0] if times.size > 1 else 0.0) / movement.reach_s
    # a rounded pulse: the hand stays low for most of the cycle
    reached: Floats = np.exp(3.0 * (np.cos(2.0 * np.pi * (cycle + draw.random())) - 1.0))
    reached *= math.exp(0.5 * draw.standard_normal())
    return reached


def _swing(
    draw: np.random.Generator, person: Person, movement: Movement, times: Floats, rate_hz: float
) -> Floats:
    """Return the periodic part, float64 [N, 3], m/s²."""
    kind = KINDS[person.kind] if movement.gait else KINDS["ordinary"]
    own = _SHARED * person.cadence + _OWN * draw.standard_normal()
    cadence_hz = movement.cadence_hz * kind.cadence * math.exp(movement.cadence_spread * own)
    strayed = 0.7 * _slow(draw, times, 25.0) + 0.7 * _slow(draw, times, 1.5)
    steps = cadence_hz * np.exp(movement.cadence_drift * strayed) / rate_hz
    phase = 2.0 * np.pi * (np.cumsum(steps) + draw.random())
    if kind.warp:
        phase = phase + kind.warp * np.sin(phase)
    weights = _weights(draw, person, movement)
    weights[1::2] *= kind.swing
    weights[0::2] *= kind.swing * kind.odd
    audible = cadence_hz * np.arange(1, HARMONICS + 1) < rate_hz / 2.0
    first = np.exp(1j * phase)
    tones = np.cumprod(np.broadcast_to(first, (HARMONICS, times.size)), axis=0)
    swing: Floats = (tones.T @ (weights * audible[:, None])).real
    swing *= np.exp(0.15 * _slow(draw, times, 4.0, 3))
    if kind.impact:
        swing[:, 0] += kind.impact * np.exp(14.0 * (first.real - 1.0))
    return swing


def _weights(
    draw: np.random.Generator, person: Person, movement: Movement
) -> NDArray[np.complex128]:
    """Return one person's complex amplitudes of the harmonics, [HARMONICS, 3], m/s²."""
    tones = _SHARED * person.tones + _OWN * draw.standard_normal((3, HARMONICS))
    vigour = _SHARED * person.vigour + _OWN * draw.standard_normal()
    louder = movement.swing_spread * (0.6 * vigour + 0.8 * tones)
    amplitudes = _table(movement.swing) * np.exp(louder - movement.swing_spread**2 / 2.0)
    turned = _SHARED * person.phases + _OWN * draw.standard_normal((3, HARMONICS))
    phases = _table(movement.phases) + movement.phase_spread * turned
    weights: NDArray[np.complex128] = (amplitudes * np.exp(1j * phases)).T
    return weights


def _noise(draw: np.random.Generator, movement: Movement, times: Floats, rate_hz: float) -> Floats:
    """Return what is neither gravity nor periodic, before bursts, float64 [N, 3], m/s²."""
    kept = math.exp(-1.0 / (rate_hz * movement.noise_s))
    white = draw.standard_normal((times.size, 3)) * math.sqrt(1.0 - kept**2)
    noise: Floats = signal.lfilter([1.0], [1.0, -kept], white, axis=0)
    noise *= movement.noise
    return noise


def _active(draw: np.random.Generator, movement: Movement, times: Floats) -> Floats:
    """Return 1 where the person moves and less in pauses, float64 [N]."""
    starts = _moments(draw, movement.pauses_per_min, times)
    lengths = draw.uniform(1.0, 4.0, size=starts.size)
    active = np.ones(times.size)
    for start, length in zip(starts, lengths, strict=True):
        knots = [start, start + 0.4, start + 0.4 + length, start + 0.8 + length]
        active = np.minimum(active, np.interp(times, knots, [1.0, 0.15, 0.15, 1.0]))
    return active


def _moments(draw: np.random.Generator, per_min: float, times: Floats) -> Floats:
    """Return sorted random moments, at least a second apart, within the recording, in seconds."""
    total = int(draw.poisson(per_min * times[-1] / 60.0))
    moments = np.sort(draw.uniform(0.0, max(times[-1], 1.0), size=total))
    return moments[np.diff(moments, prepend=-1.0) >= 1.0]


def _slow(draw: np.random.Generator, times: Floats, tau_s: float, columns: int = 0) -> Floats:
    """Draw a slow process of unit variance, [N], or [N, columns].

    It is an Ornstein-Uhlenbeck process of correlation time `tau_s`, drawn four times per
    correlation time and joined by straight lines.
    """
    knots = np.arange(0.0, times[-1] + tau_s, tau_s / 4.0)
    kept = math.exp(-0.25)
    white = draw.standard_normal((max(columns, 1), knots.size))
    white[:, 1:] *= math.sqrt(1.0 - kept**2)
    levels = signal.lfilter([1.0], [1.0, -kept], white, axis=1)
    joined = np.stack([np.interp(times, knots, level) for level in levels], axis=1)
    return joined if columns else joined[:, 0]


def _table(rows: tuple[tuple[float, ...], ...]) -> Floats:
    """Pad rows of harmonics with zeros, float64 [3, HARMONICS]."""
    table = np.zeros((3, HARMONICS))
    for axis, row in enumerate(rows):
        table[axis, : len(row)] = row
    return table

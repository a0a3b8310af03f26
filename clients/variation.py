"""Variations of a user: the same person, with the wearable worn and moved a little differently.

A variation is applied to a window's span when it is read; no varied window is kept. What a device
measures while something has drifted is a variation, too (`clients.drift`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from clients import chance
from clients.pool import Pool, spans

__all__ = ["Strength", "Variations", "as_recorded", "draw_variations", "rotations"]

_NOISE_ROWS = 2**16
_MISSING_ROWS = 2**15 + 1  # from where the noise of a sample stands to what decides its loss
_BLOCK_SAMPLES = 2**16  # that are varied together


@dataclass(frozen=True, slots=True)
class Strength:
    """How far variations go from the user who was recorded.

    Attributes:
        tilt_deg: largest angle by which the device is turned on the wrist, about any axis.
        gain: largest factor by which readings are larger, or smaller.
        cadence: largest factor by which movements are faster, or slower.
        noise: largest standard deviation of the noise that is added, m/s².
    """

    tilt_deg: float
    gain: float
    cadence: float
    noise: float


_NONE = Strength(tilt_deg=0.0, gain=1.0, cadence=1.0, noise=0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Variations:
    """What sets D devices apart from the recordings of their users.

    Attributes:
        cadence: float64 [D], samples of the recording that pass in the time of one.
        amplitude: float32 [D], how much further samples go from the mean of their window.
        turn: float32 [D, 3, 3], by which samples [T, 3] are then multiplied from the right: the
            rotation and the gain.
        bias: float32 [D, 3], what is then added, m/s².
        noise: float32 [D], standard deviation of what else is added, m/s².
        missing: float64 [D], share of the samples that are lost at last; the sample before stands
            in for each, or the first one that there is.
        offset: int64 [D], where in the table of noise the device begins.
        table: float32 [M, 3], normal noise that all devices share.
    """

    cadence: NDArray[np.float64]
    amplitude: NDArray[np.float32]
    turn: NDArray[np.float32]
    bias: NDArray[np.float32]
    noise: NDArray[np.float32]
    missing: NDArray[np.float64]
    offset: NDArray[np.int64]
    table: NDArray[np.float32]

    def take(self, rows: ArrayLike) -> Variations:
        """Return the variations of some of the devices."""
        chosen = np.asarray(rows, np.int64)
        own = {f.name: getattr(self, f.name)[chosen] for f in fields(self) if f.name != "table"}
        return Variations(**own, table=self.table)

    def read(self, pool: Pool, windows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Read windows as each device would have measured them.

        Args:
            pool: whose windows.
            windows: integers [D, ...], numbers in the pool.

        Returns:
            float32 [D, ..., T, 3]. A span at another cadence is interpolated, about the middle of
            the window and without leaving its part; where there is no room for that, its cadence
            stays as it is.
        """
        flat = windows.reshape(len(windows), -1)
        values = np.empty((*flat.shape, pool.length, pool.channels), np.float32)
        block = max(1, _BLOCK_SAMPLES // max(1, flat.shape[1] * pool.length))
        for first in range(0, len(flat), block):
            some = slice(first, first + block)
            self.take(np.arange(len(flat))[some])._read(pool, flat[some], values[some])
        return values.reshape(*windows.shape, pool.length, pool.channels)

    def _read(self, pool: Pool, windows: NDArray[np.int32], values: NDArray[np.float32]) -> None:
        """Read windows [D, N] of so few devices that all stays in the processor's cache."""
        base, paced = self._paced(pool, windows)
        swung = np.flatnonzero(self.amplitude != 1.0)
        if swung.size:
            middle = paced[swung].mean(axis=2, keepdims=True)
            swing = self.amplitude[swung, None, None, None] * (paced[swung] - middle)
            paced[swung] = middle + swing
        joined = (len(windows), -1, pool.channels)
        rows = paced.reshape(joined)
        if rows.shape[1] == 1:  # a product of a single row is rounded in another way
            values[...] = np.matmul(rows.repeat(2, axis=1), self.turn)[:, :1].reshape(values.shape)
        else:
            np.matmul(rows, self.turn, out=values.reshape(joined))
        if self.bias.any():
            values += self.bias[:, None, None]
        first = base + self.offset[:, None]
        if self.noise.any():
            noise = spans(self.table, pool.length)[first % _NOISE_ROWS]
            noise *= self.noise[:, None, None, None]
            values += noise
        if self.missing.any():
            draws = spans(self.table, pool.length)[(first + _MISSING_ROWS) % _NOISE_ROWS][..., 0]
            _hold(values, draws < ndtri(self.missing)[:, None, None])

    def _paced(
        self, pool: Pool, windows: NDArray[np.int32]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Read spans at each device's cadence: their first rows [D, N], and [D, N, T, 3]."""
        cut, last = pool.windows, pool.length - 1
        start = cut.start[windows]
        if last == 0 or np.all(self.cadence == 1.0):
            return start, spans(pool.samples, pool.length)[start]
        reach = np.ceil(last * self.cadence).astype(np.int64)[:, None]
        low, latest = cut.low[windows], cut.high[windows] - 1 - reach
        about = np.rint(0.5 * last * (1.0 - self.cadence)).astype(np.int64)[:, None]
        roomy = latest >= low
        base = np.where(roomy, np.clip(start + about, low, latest), start)
        place = np.arange(pool.length) * self.cadence[:, None]
        whole = place.astype(np.int64)
        part = (place - whole).astype(np.float32)
        rows = base[..., None] + whole[:, None, :]
        # Clipped, since a window without room, whose values are replaced below, may end the pool.
        values = pool.samples.take(rows, axis=0, mode="clip")
        ahead = pool.samples[1:].take(rows, axis=0, mode="clip")
        ahead -= values
        ahead *= part[:, None, :, None]
        values += ahead
        if not roomy.all():
            values[~roomy] = spans(pool.samples, pool.length)[start[~roomy]]
        return base, values


def draw_variations(
    seed: int, devices: NDArray[np.int64], users: int, strength: Strength, length: int
) -> Variations | None:
    """Draw what sets devices apart from their users.

    Args:
        seed: the scenario's.
        devices: int64 [D], their indices; the first device of each user is the user as recorded.
        users: number of users, U: devices 0 to U - 1 are the first ones.
        strength: how far variations go.
        length: samples per window.

    Returns:
        the variations; None where every device measures what was recorded.
    """
    if (devices < users).all() or strength == _NONE:
        return None
    none = as_recorded(seed, devices.size, length)
    draws = chance.uniforms(seed, "variation", 0, devices, 8)
    draws[devices < users] = 0.5  # the middle: no turn, no gain, no change of cadence
    either = 2.0 * draws - 1.0
    gain = strength.gain ** either[:, 3]
    turn = rotations(draws[:, :2], np.radians(strength.tilt_deg) * either[:, 2])
    noise = strength.noise * draws[:, 5] * (devices >= users)
    return replace(
        none,
        turn=(gain[:, None, None] * turn).astype(np.float32),
        cadence=strength.cadence ** either[:, 4],
        noise=noise.astype(np.float32),
        offset=(draws[:, 6] * _NOISE_ROWS).astype(np.int64),
    )


def as_recorded(seed: int, devices: int, length: int) -> Variations:
    """Return the variations of devices that measure what was recorded.

    Args:
        seed: the scenario's, which decides the table of noise.
        devices: D.
        length: samples per window.
    """
    table = chance.generator(seed, "noise").standard_normal((_NOISE_ROWS, 3), np.float32)
    return Variations(
        np.ones(devices),
        np.ones(devices, np.float32),
        np.tile(np.eye(3, dtype=np.float32), (devices, 1, 1)),
        np.zeros((devices, 3), np.float32),
        np.zeros(devices, np.float32),
        np.zeros(devices),
        np.zeros(devices, np.int64),
        np.concatenate([table, table[:length]]),
    )


def _hold(values: NDArray[np.float32], lost: NDArray[np.bool_]) -> None:
    """Let the last sample stand in for those that are lost, bool [D, N, T], in [D, N, T, 3]."""
    place = np.arange(lost.shape[2])
    last = np.maximum.accumulate(np.where(lost, -1, place), axis=2)
    first = np.argmin(lost, axis=2)[..., None]  # 0 where all are lost
    values[...] = np.take_along_axis(values, np.where(last < 0, first, last)[..., None], axis=2)


def rotations(draws: NDArray[np.float64], angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn about random axes: float64 [D, 3, 3], by Rodrigues' formula.

    Args:
        draws: float64 [D, 2] in [0, 1), which decide the axis, uniform on the sphere.
        angle: float64 [D], radians.
    """
    z, around = 2.0 * draws[:, 0] - 1.0, 2.0 * np.pi * draws[:, 1]
    flat = np.sqrt(1.0 - z**2)
    x, y, zero = flat * np.cos(around), flat * np.sin(around), np.zeros_like(z)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
    sine, cosine = np.sin(angle)[:, None, None], np.cos(angle)[:, None, None]
    return np.asarray(np.eye(3) + sine * cross + (1.0 - cosine) * (cross @ cross))

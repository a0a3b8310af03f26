"""Windows as other people, watches and days might have given them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Augmentation", "augment", "rotations"]

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far training windows are changed.

    Attributes:
        warp: time runs faster or slower by a factor of up to this.
        tilt_deg: each window is rotated about a random axis by an angle of up to this.
        gain: what moves (not gravity) is scaled by a factor of up to this, or its inverse.
        noise: most standard deviation of the noise that is added, m/s².
        mirror: share of windows that are mirrored, as if the watch were worn on the other wrist.
            The x axis of a watch runs along the forearm, to the hand on the left wrist and to the
            elbow on the right; the other axes point alike, so x changes its sign.
    """

    warp: float
    tilt_deg: float
    gain: float
    noise: float
    mirror: float = 0.0


def augment(spans: Floats, length: int, how: Augmentation, random: np.random.Generator) -> Floats:
    """Change spans of accelerometer samples a little, each in its own way.

    Args:
        spans: float32 [N, S, 3], m/s², with S > length.
        length: samples of the windows that come of it, T.
        how: how far.
        random: decides each change.

    Returns:
        float32 [N, T, 3], m/s².
    """
    count = len(spans)
    x = _warped(spans, length, how.warp, random)
    if how.mirror > 0.0:  # or nothing is drawn, so that the draws of others stay
        x[random.random(count) < how.mirror, :, 0] *= -1.0
    x = x @ rotations(count, how.tilt_deg, random)
    mean = x.mean(axis=1, keepdims=True)
    gain = np.exp(_signed(random, count) * np.log(how.gain)).astype(np.float32)
    noise = (how.noise * random.random((count, 1, 1))).astype(np.float32)
    hiss = noise * random.standard_normal(x.shape, dtype=np.float32)
    return np.asarray(mean + (x - mean) * gain + hiss, np.float32)


def rotations(count: int, most_deg: float, random: np.random.Generator) -> Floats:
    """Draw rotations about random axes by angles up to `most_deg`: float32 [count, 3, 3]."""
    axes = random.standard_normal((count, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    angles = np.deg2rad(most_deg) * _signed(random, count)
    cross = np.zeros((count, 3, 3))
    cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = -axes[:, 2], axes[:, 1], -axes[:, 0]
    cross -= cross.transpose(0, 2, 1)
    # Rodrigues' formula: I + sin(a) K + (1 - cos(a)) K².
    turned = np.eye(3) + np.sin(angles) * cross + (1.0 - np.cos(angles)) * cross @ cross
    return np.asarray(turned, np.float32)


def _warped(spans: Floats, length: int, warp: float, random: np.random.Generator) -> Floats:
    """Take `length` samples from each span at another pace and offset, between samples linearly."""
    count, last = len(spans), spans.shape[1] - 1
    pace = np.minimum(np.exp(_signed(random, count)[:, :, 0] * np.log(warp)), last / (length - 1))
    offset = random.random((count, 1)) * (last - pace * (length - 1))
    at = np.minimum(offset + pace * np.arange(length), last)
    before = np.minimum(at.astype(np.int64), last - 1)
    share = (at - before).astype(np.float32)[..., None]
    rows = np.arange(count)[:, None]
    between = spans[rows, before] * (1.0 - share) + spans[rows, before + 1] * share
    return np.asarray(between, np.float32)


def _signed(random: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Draw from -1 to 1: float64 [count, 1, 1]."""
    return random.uniform(-1.0, 1.0, (count, 1, 1))

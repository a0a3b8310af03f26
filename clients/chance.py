"""Every random draw: counter-based, keyed by seed and purpose.

A draw is a pure function of (seed, purpose, counters), so a cohort can draw for all of its
devices at once, one device can draw the same numbers alone, and a resumed run needs no
generator state. The function is Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random
numbers: as easy as 1, 2, 3", section 4.2).
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["generator", "key", "philox", "uniforms"]

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_MASK = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_ROUNDS = 10


def key(seed: int, purpose: str) -> int:
    """Return the 64-bit key of one purpose under one scenario seed."""
    digest = hashlib.blake2b(f"{seed}/{purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def philox(key: int, counters: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Encrypt counters, uint32 [..., 4], under a 64-bit key; returns uint32 [..., 4]."""
    c0, c1, c2, c3 = (counters[..., i].astype(np.uint64) for i in range(4))
    k0, k1 = key & 0xFFFFFFFF, key >> 32
    for _ in range(_ROUNDS):
        p0, p1 = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (
            (p1 >> _SHIFT) ^ c1 ^ np.uint64(k0),
            p1 & _MASK,
            (p0 >> _SHIFT) ^ c3 ^ np.uint64(k1),
            p0 & _MASK,
        )
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=-1).astype(np.uint32)


def uniforms(
    seed: int, purpose: str, round_: int, devices: ArrayLike, count: int, *, place: ArrayLike = 0
) -> NDArray[np.float64]:
    """Draw `count` numbers in [0, 1) for each device in one round.

    Args:
        seed: the scenario's seed.
        purpose: what the numbers decide, such as "answer"; each purpose has its own numbers.
        round_: the round, from 1; 0 for what is drawn before the first.
        devices: device indices, integers [D].
        count: numbers per device; asking for more keeps the first ones.
        place: tells draws of one round apart, such as those for its first and second answer; a
            number, or integers [D], one for each device.

    Returns:
        float64 [D, count]; each row depends on its own device index alone.
    """
    device = np.atleast_1d(np.asarray(devices, dtype=np.uint32))
    blocks = -(-count // 4)
    counters = np.zeros((device.size, blocks, 4), dtype=np.uint32)
    counters[..., 0] = np.arange(blocks, dtype=np.uint32)
    counters[..., 1] = np.uint32(round_)
    counters[..., 2] = device[:, None]
    counters[..., 3] = np.asarray(place, dtype=np.uint32).reshape(-1, 1)
    bits = philox(key(seed, purpose), counters).reshape(device.size, blocks * 4)
    return bits[:, :count].astype(np.float64) / 2.0**32


def generator(seed: int, purpose: str, *counters: int) -> np.random.Generator:
    """Return a NumPy generator for work done once, such as a stream's order or a base model.

    Args:
        seed: the scenario's seed.
        purpose: what the numbers decide.
        counters: up to three integers that tell equal purposes apart (a device, a fold).
    """
    padded = [0, *counters, *([0] * (3 - len(counters)))]
    return np.random.Generator(np.random.Philox(key=key(seed, purpose), counter=padded))

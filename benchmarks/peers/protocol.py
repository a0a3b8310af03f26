"""What a peer is asked for on its command line, and the one line of JSON that it answers."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.peers.workload import Workload

__all__ = ["Asked", "Clock", "answer", "asked", "checksum"]

Params = Mapping[str, ArrayLike]


@dataclass(frozen=True, slots=True)
class Asked:
    """What one run of a peer is to do.

    Attributes:
        folder: the workload's.
        warmup: rounds before those that are measured, 1 at least; the first of them compiles.
        rounds: rounds that are measured.
        tuned: whether to run the way that we found fastest.
    """

    folder: Path
    warmup: int
    rounds: int
    tuned: bool

    @property
    def total(self) -> int:
        """Return how many rounds there are."""
        return self.warmup + self.rounds


def asked(description: str | None) -> Asked:
    """Read a peer's command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("folder", type=Path, help="of the workload")
    parser.add_argument("--warmup", type=int, default=2, help="rounds before those measured")
    parser.add_argument("--tuned", action="store_true", help="the way that we found fastest")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that are measured")
    given = parser.parse_args()
    return Asked(given.folder.resolve(), max(given.warmup, 1), given.rounds, given.tuned)


class Clock:
    """Takes the time of rounds that follow one another.

    Attributes:
        rounds_s: how long each round took.
        first: the parameters after the first round.
    """

    def __init__(self) -> None:
        self.rounds_s: list[float] = []
        self.first: dict[str, NDArray[np.float32]] = {}
        self._began = 0.0

    def start(self) -> None:
        """Begin the first round."""
        self._began = time.perf_counter()

    def round_done(self, params: Params) -> None:
        """End a round, whose aggregated parameters these are, and begin the next one."""
        self.rounds_s.append(time.perf_counter() - self._began)
        if not self.first:
            self.first = {name: np.array(value, np.float32) for name, value in params.items()}
        self._began = time.perf_counter()


def checksum(params: Params) -> dict[str, tuple[float, float]]:
    """Return the sum and the sum of squares of each parameter, added up in float64."""
    sums = {}
    for name in sorted(params):
        value = np.asarray(params[name], np.float64)
        sums[name] = (float(value.sum()), float((value * value).sum()))
    return sums


def answer(
    peer: str,
    ask: Asked,
    workload: Workload,
    clock: Clock,
    *,
    peak_rss_mib: float,
    packages: Iterable[str],
    settings: Mapping[str, object] | None = None,
) -> None:
    """Print what was measured, as one line of JSON.

    Args:
        peer: its name.
        ask: what it was asked for.
        workload: what it computed.
        clock: after all rounds.
        peak_rss_mib: most memory that its processes held, summed over them.
        packages: distributions whose versions matter.
        settings: what it chose by itself.
    """
    line = {
        "peer": peer,
        "workload": workload.name,
        "devices": workload.devices,
        "rounds_s": clock.rounds_s[ask.warmup :],
        "first_round_s": clock.rounds_s[0],
        "peak_rss_mib": peak_rss_mib,
        "versions": {
            "python": platform.python_version(),
            **{package: version(package) for package in packages},
        },
        "settings": dict(settings or {}),
        "checksum": checksum(clock.first),
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()

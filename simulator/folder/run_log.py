"""The lines of `log.jsonl`, as they come, and what they tell of a run."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

__all__ = ["FAULTS", "FoldStory", "LogReader", "Passed", "Story"]

FAULTS = {
    "refused": "refused",
    "lost": "lost",
    "dropped_out": "dropped out",
    "unreachable": "out of reach",
}
"""What may befall devices in a round, and how it is called."""

_FEWEST = 2  # rounds beside first ones, before the time left is estimated
_LATEST = 10  # rounds from which the present speed is taken
_LONGEST = 2**20  # bytes of a line, and times 16 of what is read at once


class LogReader:
    """Reads the log of a run as it grows; half a line is read when its other half is there."""

    def __init__(self, path: Path) -> None:
        self._path, self._place, self._half = path, 0, b""

    def lines(self) -> Iterator[Mapping[str, Any]]:
        """Go through the lines that are new; what is no line of a log is left out."""
        while True:
            try:
                with self._path.open("rb") as file:
                    file.seek(self._place)
                    read = file.read(16 * _LONGEST)
            except OSError:
                return
            if not read:
                return
            self._place += len(read)
            *whole, self._half = (self._half + read).split(b"\n")
            self._half = self._half[-_LONGEST:]
            for line in whole:
                try:
                    told = json.loads(line)
                except (ValueError, RecursionError):
                    continue
                if isinstance(told, dict):
                    yield told


@dataclass(frozen=True, slots=True)
class Passed:
    """A round that is over.

    Attributes:
        at: when it was over, in seconds since 1970.
        wall_s: seconds that it took, with all that belongs to it.
        devices: of the fold.
        windows, correct: that were predicted, and rightly; 0 where the log does not say.
        faults: how often each of `FAULTS` befell a device.
        work_s, save_s: of `wall_s`, of devices and server, and of checkpoints; NaN where the log
            does not say, as all that follow.
        compiled_s: in compiled calls, summed over workers.
        peak_mib, rss_mib: memory of the worker with the most, so far and when the round was over.
    """

    at: float
    wall_s: float
    devices: int
    windows: int
    correct: int
    faults: Mapping[str, int]
    work_s: float = math.nan
    save_s: float = math.nan
    compiled_s: float = math.nan
    peak_mib: float = math.nan
    rss_mib: float = math.nan

    @classmethod
    def of(cls, line: Mapping[str, Any]) -> Passed:
        """Read a line of the log; a number that it lacks is 0, a time or size is NaN."""
        return cls(
            float(line["at"]),
            float(line["wall_s"]),
            int(line["devices"]),
            int(line.get("windows", 0)),
            int(line.get("correct", 0)),
            {name: int(line.get(name, 0)) for name in FAULTS},
            float(line.get("work_s", math.nan)),
            float(line.get("save_s", math.nan)),
            float(sum(line["compiled_s"])) if "compiled_s" in line else math.nan,
            max(map(float, line.get("peak_rss_mib", ())), default=math.nan),
            max(map(float, line.get("rss_mib", ())), default=math.nan),
        )


@dataclass(slots=True)
class FoldStory:
    """The rounds of one arm in one fold, with their sums at hand.

    Attributes:
        rounds: those that count, by number, in order.
        lost: those that do not, since the run went back and made them again.
        wall_s, windows, correct: of all that count.
        ended: whether the fold is done.
    """

    rounds: dict[int, Passed] = field(default_factory=dict)
    lost: list[Passed] = field(default_factory=list)
    wall_s: float = 0.0
    windows: int = 0
    correct: int = 0
    ended: bool = False

    def add(self, number: int, passed: Passed) -> None:
        """Take in a round, which may come in the place of one that was lost."""
        if number in self.rounds:
            self.keep(number - 1)
        self.rounds[number] = passed
        self._count(passed)

    def keep(self, last: int) -> None:
        """Forget all rounds after one."""
        self.lost += [one for n, one in self.rounds.items() if n > last]
        self.rounds = {n: one for n, one in self.rounds.items() if n <= last}
        self.wall_s, self.windows, self.correct = 0.0, 0, 0
        for one in self.rounds.values():
            self._count(one)

    def _count(self, passed: Passed) -> None:
        self.wall_s += passed.wall_s
        self.windows += passed.windows
        self.correct += passed.correct

    def latest(self) -> list[Passed]:
        """Return the latest rounds, the last one first."""
        return list(islice(reversed(self.rounds.values()), _LATEST))


@dataclass(slots=True)
class Story:
    """What the log of one run has told so far; every fact may be missing.

    Attributes:
        name, seed: of the scenario.
        arms: their names, in the scenario's order.
        folds, rounds: how many, rounds in each fold; 0 until they are known.
        notes: what a person should know, in order.
        workers_lost: since the run began.
        began: when, in seconds since 1970, it was started, or gone on with.
        heard: when the last line was written.
        told: what is known of each arm and fold that has begun.
        present: arm and fold of the last round.
    """

    name: str = ""
    seed: int | None = None
    arms: list[str] = field(default_factory=list)
    folds: int = 0
    rounds: int = 0
    notes: list[str] = field(default_factory=list)
    workers_lost: int = 0
    began: float | None = None
    heard: float | None = None
    told: dict[tuple[str, int], FoldStory] = field(default_factory=dict)
    present: tuple[str, int] | None = None
    _closing_s: list[float] = field(default_factory=list)

    def hear(self, line: Mapping[str, Any]) -> None:
        """Take in a line; one that is not as a run writes it changes nothing."""
        try:
            self._hear(line)
        except (KeyError, TypeError, ValueError, OverflowError):
            return

    def _hear(self, line: Mapping[str, Any]) -> None:
        what, at = line["what"], float(line["at"])
        if what == "workers":
            self.began = at - float(line["ready_s"])
        elif what == "plan":
            self.name, self.seed = str(line["name"]), int(line["seed"])
            self.arms = [str(arm) for arm in line["arms"]]
            self.folds, self.rounds = int(line["folds"]), int(line["rounds"])
            self._note(*map(str, line["notes"]))
        elif what in ("fold begins", "restored", "round", "fold done", "fold damaged"):
            self._of_fold(what, (str(line["arm"]), int(line["fold"])), line)
        elif what == "worker lost":
            self.workers_lost += 1
            self._note(f"a worker was lost {line['when']}")
        elif what == "checkpoint damaged":
            self._note(f"the checkpoint after round {int(line['round'])} is damaged")
        elif what == "resumed":
            self._note(*map(str, line["differences"]))
        self.heard = at

    def _of_fold(self, what: str, place: tuple[str, int], line: Mapping[str, Any]) -> None:
        """Take in a line about one arm in one fold."""
        own = self.told.setdefault(place, FoldStory())
        if what == "round":
            own.add(int(line["round"]), Passed.of(line))
        elif what == "fold done":
            own.ended = True
            self._closing_s.append(float(line["wall_s"]))
        else:
            own.ended = False
            if what != "fold damaged":  # then it says itself from where it goes on
                own.keep(int(line["round"]) if what == "restored" else 0)
        self.present = place

    def _note(self, *texts: str) -> None:
        """Keep notes, each once."""
        self.notes += [text for text in texts if text not in self.notes]

    def folds_of(self, arm: str) -> list[FoldStory]:
        """Return what is known of the folds of an arm that have begun."""
        return [own for (name, _), own in self.told.items() if name == arm]

    def done(self, arm: str) -> int:
        """Count the rounds of an arm that are done, over all folds."""
        return sum(len(own.rounds) for own in self.folds_of(arm))

    @property
    def all_rounds(self) -> int:
        """How many rounds there are, over all arms and folds."""
        return len(self.arms) * self.folds * self.rounds

    @property
    def all_done(self) -> int:
        """How many of them are done."""
        return sum(len(own.rounds) for own in self.told.values())

    def standing(self, arm: str) -> float | None:
        """Return the share of all windows of an arm so far that were predicted rightly."""
        folds = self.folds_of(arm)
        windows = sum(own.windows for own in folds)
        return sum(own.correct for own in folds) / windows if windows else None

    def latest(self) -> list[Passed]:
        """Return the latest rounds of the present arm and fold, the last one first."""
        return [] if self.present is None else self.told[self.present].latest()

    def faults(self) -> Mapping[str, int]:
        """Count what befell devices in the last round; what did not is left out."""
        latest = self.latest()
        return {k: v for k, v in latest[0].faults.items() if v} if latest else {}

    def speed(self) -> float | None:
        """Return devices per second in the latest rounds."""
        latest = self.latest()
        wall_s = sum(one.wall_s for one in latest)
        return sum(one.devices for one in latest) / wall_s if wall_s > 0.0 else None

    def left_s(self, now: float | None = None) -> float | None:
        """Estimate the seconds that all arms and folds will still take; None where nothing tells.

        What is left of the present arm goes on as its latest rounds do; the arms after it are
        taken to be as fast as all rounds so far. An arm's first round, which compiles, tells of
        first rounds alone; before there are a few others, nothing is said.

        Args:
            now: in seconds since 1970, while the run is at work.
        """
        first = self._first_rounds()
        usual = self.all_done - len(first)
        if usual < _FEWEST or not self.all_rounds or self.present is None:
            return None
        arm = self.present[0]
        compiling = sum(one.wall_s for one in first.values())
        mean = (sum(own.wall_s for own in self.told.values()) - compiling) / usual
        latest = [one for one in self.latest() if one is not first.get(arm)]
        each = sum(one.wall_s for one in latest) / len(latest) if latest else mean
        present = max(self.folds * self.rounds - self.done(arm), 0)
        others = max(self.all_rounds - self.all_done - present, 0)
        estimate = present * each + others * mean
        estimate += (len(self.arms) - len(first)) * max(compiling / len(first) - mean, 0.0)
        if self._closing_s:
            ended = sum(own.ended for own in self.told.values())
            folds_left = max(len(self.arms) * self.folds - ended, 0)
            estimate += folds_left * sum(self._closing_s) / len(self._closing_s)
        if now is not None and self.heard is not None:
            estimate -= min(max(now - self.heard, 0.0), each)  # of the round that is under way
        return max(estimate, 0.0)

    def _first_rounds(self) -> dict[str, Passed]:
        """Return the first round of each arm that has one."""
        found: dict[str, Passed] = {}
        for (arm, _), own in self.told.items():
            if own.rounds:
                found.setdefault(arm, next(iter(own.rounds.values())))
        return found

    def took_s(self, now: float | None = None) -> float | None:
        """Return the seconds since the run was started, or gone on with.

        Args:
            now: in seconds since 1970, while the run is at work.
        """
        end = self.heard if now is None else now
        return None if self.began is None or end is None else max(end - self.began, 0.0)

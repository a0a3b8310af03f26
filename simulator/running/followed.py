"""A run that somebody follows, from its own process or another: only its files are read."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from clients.errors import WearfleetError
from simulator.folder.lock import holder
from simulator.folder.manifest_file import SCENARIO, read_manifest, read_seeds
from simulator.folder.run_log import LogReader, Story
from simulator.running.ends import ENDS

__all__ = ["Followed"]


class Followed:
    """A run folder, or that of several seeds.

    Attributes:
        folder: of the run.
        seeds: how many are run into it; None for a single run.
        stories: what the logs tell, by seed; that of a single run under 0.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seeds: int | None = None
        self.stories: dict[int, Story] = {}
        self._readers: dict[int, LogReader] = {}

    def look(self) -> None:
        """Read what is new."""
        with contextlib.suppress(WearfleetError, OSError):  # while it begins, it may not be there
            if self.seeds is None and (told := read_seeds(self.folder)) is not None:
                self.seeds = int(told["seeds"])
                self.stories.clear()  # of a single run, for which it was taken until now
                self._readers.clear()
        for seed, folder in self._folders().items():
            reader = self._readers.setdefault(seed, LogReader(folder / "log.jsonl"))
            story = self.stories.setdefault(seed, Story())
            for line in reader.lines():
                story.hear(line)

    def _folders(self) -> dict[int, Path]:
        """Return the run folders by seed."""
        if self.seeds is None:
            return {0: self.folder}
        found = [path for path in self.folder.glob("seed-*") if path.name[5:].isdigit()]
        return {int(path.name[5:]): path for path in sorted(found, key=lambda p: int(p.name[5:]))}

    @property
    def seed(self) -> int:
        """The seed that was heard of last."""
        return max(self.stories, key=lambda seed: self.stories[seed].heard or 0.0, default=0)

    @property
    def story(self) -> Story:
        """What the log of the present seed tells."""
        return self.stories.get(self.seed, Story())

    def status(self) -> str:
        """Tell how it is with the run: "running", or one of `ENDS`.

        Raises:
            BadInput: the manifest is damaged.
        """
        if holder(self.folder) is not None:
            return "running"
        status = str(read_manifest(self.folder).get("status", ""))
        return status if status in ENDS else "killed"

    def stage(self) -> str:
        """Say what a run is at that is in no round."""
        own = self.folder if self.seeds is None else self.folder / f"seed-{self.seed}"
        story = self.story
        if story.all_rounds and story.all_done >= story.all_rounds:
            return "writing figures"
        if story.began is not None:
            return "first round"  # which compiles
        return "training base models" if (own / SCENARIO).is_file() else "reading recordings"

    def left_s(self) -> float | None:
        """Estimate the seconds that are left, over all arms, folds and seeds."""
        now, story = time.time(), self.story
        left = story.left_s(now)
        if left is None or self.seeds is None:
            return left
        over = [took for seed, one in self.stories.items()
                if seed != self.seed and (took := one.took_s()) is not None]  # fmt: skip
        each = sum(over) / len(over) if over else (story.took_s(now) or 0.0) + left
        begun = sum(one.heard is not None for one in self.stories.values())
        return left + each * max(self.seeds - begun, 0)

"""What a person is shown while a scenario runs: a picture, lines, or nothing; on standard error."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.live import Live
from rich.markup import escape

from simulator.counted import counted
from simulator.running.followed import Followed
from simulator.running.live import line, picture, round_told

if TYPE_CHECKING:
    from simulator.running.fold_run import Watcher

__all__ = ["Lines", "Picture", "Silence", "display_of"]

_PICTURES_PER_S = 2
_LEAST_S = 1.0  # between two lines about one stage


class Picture:
    """Arms, rounds, speed, time left, faults and the standing so far, drawn anew as they change."""

    def __init__(self, folder: Path, console: Console | None = None) -> None:
        """Be ready.

        Args:
            folder: of the run, from whose log the numbers come.
            console: where to draw; standard error.
        """
        self._run, self._stage, self._status = Followed(folder), "starting", "running"
        self._console = console or _own_console()
        self._live = Live(
            get_renderable=self._draw,
            console=self._console,
            refresh_per_second=_PICTURES_PER_S,
        )

    def __enter__(self) -> Picture:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._status = "done" if kind is None else "stopped"
        self._live.transient = not self._run.story.arms  # nothing is left where nothing began
        self._live.stop()

    def stage(self, name: str, rounds: int, folds: int = 1) -> None:
        """Show that a stage begins; of one with rounds, the log tells."""
        self._stage = "" if rounds * folds else name

    def advance(self) -> None:
        """Wait for the next picture."""

    def note(self, text: str) -> None:
        """Print what a person should know."""
        self._console.print(f"note: {escape(text)}", soft_wrap=True, highlight=False)

    def _draw(self) -> RenderableType:
        """Draw the state of the run as it is now."""
        self._run.look()
        lines, stage = self._console.height, self._stage or self._run.stage()
        return picture(self._run, self._status, stage, lines=lines, notes=False)


class Lines:
    """A line for each stage, and one for about each tenth of its rounds."""

    def __init__(
        self,
        folder: Path,
        say: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Be ready.

        Args:
            folder: of the run, from whose log the numbers come.
            say: prints a line; to standard error.
            clock: tells seconds.
        """
        self._run, self._say, self._clock = Followed(folder), say or _say, clock
        self._name, self._rounds, self._folds, self._done, self._said = "", 0, 1, 0, clock()

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *what: object) -> None:
        """Have nothing to end."""

    def stage(self, name: str, rounds: int, folds: int = 1) -> None:
        """Say what begins."""
        self._name, self._rounds, self._folds, self._done = name, rounds, folds, 0
        self._said = self._clock()
        each = f" in each of {folds} folds" if folds > 1 else ""
        self._say(f"{name}: {counted(rounds, 'round')}{each}" if rounds else name)

    def advance(self) -> None:
        """Say how far the stage is, if another tenth is done and nothing was said just now."""
        self._done += 1
        total = max(self._rounds * self._folds, 1)
        if 10 * self._done // total == 10 * (self._done - 1) // total:
            return
        if self._done < total and self._clock() - self._said < _LEAST_S:
            return
        self._said = self._clock()
        self._run.look()
        told = line(self._run)
        at = round_told(self._done, self._rounds, self._folds)
        self._say(f"{self._name}: {at}{told and ', ' + told}")

    def note(self, text: str) -> None:
        """Say what a person should know."""
        self._say(f"note: {text}")


class Silence:
    """A watcher that shows nothing; notes are in the report and the log."""

    def __enter__(self) -> Silence:
        return self

    def __exit__(self, *what: object) -> None:
        """Have nothing to end."""

    def stage(self, name: str, rounds: int, folds: int = 1) -> None:
        """Let it pass."""

    def advance(self) -> None:
        """Let it pass."""

    def note(self, text: str) -> None:
        """Let it pass."""


def display_of(folder: Path, *, quiet: bool = False) -> AbstractContextManager[Watcher]:
    """Choose what shows how a run goes.

    Args:
        folder: of the run.
        quiet: whether nothing is to.
    """
    if quiet:
        return Silence()
    if sys.stderr is not None and sys.stderr.isatty():
        return Picture(folder)
    return Lines(folder)


def _own_console() -> Console:
    """Return a console on standard error as it is now, whatever is hushed there later."""
    return Console(file=os.fdopen(os.dup(2), "w", encoding="utf-8"))


def _say(text: str) -> None:
    plain = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    with contextlib.suppress(OSError, AttributeError):  # standard error may be closed
        print(plain, file=sys.stderr, flush=True)

"""Who shows how a run goes: a notebook, a terminal, or nobody."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from simulator.running.displays import Silence, display_of
from simulator.running.fold_run import Watcher
from simulator.running.live import round_told

__all__ = ["InNotebook", "Shows", "shown"]

_LOOK_S = 0.2  # between two pictures of one stage


class Shows(Protocol):
    """What shows an object of IPython's under a cell, and others in its place."""

    def update(self, shown: Any) -> None:
        """Show another one in its place."""
        ...


@dataclass(slots=True)
class _Stage:
    """A stage of a run."""

    name: str
    rounds: int
    folds: int
    began: float
    done: int = 0
    took_s: float | None = None
    whole: bool = False


class InNotebook:
    """A bar for each stage of a run, below the cell of a notebook."""

    def __init__(self, show: Any) -> None:
        """Be ready.

        Args:
            show: shows a piece of HTML; returns a `Shows`.
        """
        self._show = show
        self._place: Shows | None = None
        self._stages: list[_Stage] = []
        self._notes: list[str] = []
        self._drawn = 0.0

    def __enter__(self) -> Watcher:
        self._draw()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end(whole=kind is None)
        self._draw()

    def stage(self, name: str, rounds: int, folds: int = 1) -> None:
        """Begin a stage; one without rounds only shows that it goes on."""
        self._end(whole=True)
        self._stages.append(_Stage(name, rounds, folds, time.monotonic()))
        self._draw()

    def advance(self) -> None:
        """Show that one round is done, unless that was shown just now."""
        self._stages[-1].done += 1
        if time.monotonic() - self._drawn >= _LOOK_S:
            self._draw()

    def note(self, text: str) -> None:
        """Show what a person should know."""
        self._notes.append(text)
        self._draw()

    def _end(self, *, whole: bool) -> None:
        """Stop the clock of the present stage."""
        if self._stages and self._stages[-1].took_s is None:
            last = self._stages[-1]
            last.took_s = time.monotonic() - last.began
            last.whole = whole

    def _draw(self) -> None:
        """Show all stages and notes as they are now."""
        self._drawn = time.monotonic()
        rows = "".join(map(_row, self._stages))
        notes = "".join(f"<p>note: {escape(text)}</p>" for text in self._notes)
        page = f"<table>{rows}</table>{notes}"
        if self._place is None:
            self._place = self._show(page)
        else:
            self._place.update(page)


def _row(stage: _Stage) -> str:
    """Draw one stage; a bar without a value says that it goes on."""
    total, done = stage.rounds * stage.folds, stage.done
    if stage.whole and not total:  # it had no rounds, and is done
        total = done = 1
    value = f' max="{total}" value="{done}"' if total else ""
    took = time.monotonic() - stage.began if stage.took_s is None else stage.took_s
    count = round_told(stage.done, stage.rounds, stage.folds) if stage.rounds else ""
    return (
        f'<tr><td style="text-align:left">{escape(stage.name)}</td>'
        f"<td><progress{value}></progress></td><td>{count}</td><td>{took:.0f} s</td></tr>"
    )


class _Handle:
    """A display of IPython's that takes HTML as text."""

    def __init__(self, page: str) -> None:
        from IPython.display import HTML, display

        self._wrap = HTML
        self._handle = display(HTML(page), display_id=True)

    def update(self, page: str) -> None:
        """Show another page in its place."""
        self._handle.update(self._wrap(page))


def shown(folder: Path, *, progress: bool) -> AbstractContextManager[Watcher]:
    """Choose who shows how a run goes: the notebook or terminal that there is.

    Args:
        folder: of the run.
        progress: whether anybody is to.
    """
    if progress and _in_notebook():
        return InNotebook(_Handle)
    if progress and sys.stderr is not None and sys.stderr.isatty():
        return display_of(folder)
    return Silence()


def _in_notebook() -> bool:
    """Tell whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None

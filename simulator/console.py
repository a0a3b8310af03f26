"""What a person sees in the terminal: progress on standard error, tables on standard output."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from simulator.measures.reference import local_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Display", "print_rows", "print_summary", "print_table", "summary_rows"]

_SHOWN = {
    "arm": "arm",
    "prequential_accuracy": "prequential",
    "prequential_kappa_temporal": "κ\ntemporal",
    "holdout_accuracy": "holdout",
    "holdout_macro_f1": "macro-\nF1",
    "holdout_worst_tenth": "worst\ntenth",
    "worse_than_local": "worse than\nlocal",
}
_HOLDOUT = {"time": "the last part of each recording", "chance": "windows drawn at random"}
_RANGED = "holdout_accuracy"  # shown with its range over seeds


class Display:
    """A progress bar for each stage of a run."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<24}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        )
        self._task: Any = None

    def __enter__(self) -> Display:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._finish()
        self._progress.stop()

    def stage(self, name: str, rounds: int, folds: int = 1) -> None:
        """Begin a stage; one without rounds only shows that it goes on."""
        self._finish()
        self._task = self._progress.add_task(name, total=rounds * folds or None)

    def advance(self) -> None:
        """Show that one round is done."""
        self._progress.advance(self._task)

    def note(self, text: str) -> None:
        """Print what a person should know."""
        self._progress.console.print(f"note: {escape(text)}")

    def reach(self, done: int, total: int) -> None:
        """Show how many steps of how many are done."""
        self._progress.update(self._task, completed=done, total=total)

    def tell(self, text: str) -> None:
        """Change what the present stage says of itself."""
        self._progress.update(self._task, description=text)

    def _finish(self) -> None:
        """Stop the clock of the present stage."""
        if self._task is not None:
            task = self._progress.tasks[self._progress.task_ids.index(self._task)]
            if task.total is None:
                self._progress.update(self._task, total=1, completed=1)
            self._progress.stop_task(self._task)


def print_summary(
    summary: pd.DataFrame, question: str, answer: str = "", holdout_by: str = "time"
) -> None:
    """Print the arms of a run, a row each, and below them the answer in a sentence."""
    header, rows = summary_rows(summary)
    print_rows(header, rows, title=question)
    if answer:
        Console().print(escape(answer), highlight=False)
    if "base_accuracy" in summary and summary["base_accuracy"].notna().any():
        base = 100.0 * float(summary["base_accuracy"].iloc[0])
        print(f"unseen-users: the untouched base model is right on {base:.1f}% of the windows of")
        print("              people whom it never saw")
    print(f"prequential:  scored before learning; holdout: {_HOLDOUT[holdout_by]}, never")
    print("              streamed; both per window, every user counting the same")
    print("κ temporal:   1 is perfect, 0 is as good as saying the last true label again; macro-F1:")
    print("              mean over activities; worst tenth: mean of the users served worst; worse")
    print("              than local: share of users worse off by more than two holdout windows")


def summary_rows(summary: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Return what a person is shown of a run's arms: a header, and a row of texts each.

    `local` is not held against itself. Of several seeds the range over them is beneath the mean.
    """
    seeds = f"{_RANGED}_min" in summary
    columns = [c for c in _SHOWN if c in summary and not (seeds and c == "holdout_macro_f1")]
    local = None
    if "method" in summary:
        local = local_of(dict(zip(summary["arm"], summary["method"], strict=True)))
    rows = [
        [
            "-" if column == "worse_than_local" and row["arm"] == local
            else _cell(column, row[column], row)
            for column in columns
        ]
        for _, row in summary.iterrows()
    ]  # fmt: skip
    header = [_SHOWN[column] for column in columns]
    ranged = {_SHOWN[_RANGED]: f"{_SHOWN[_RANGED]}\n(range over\nseeds)"} if seeds else {}
    return [ranged.get(title, title) for title in header], rows


def print_table(title: str, frame: pd.DataFrame) -> None:
    """Print a frame."""
    rows = [[_plain(value) for value in row] for row in frame.itertuples(index=False)]
    print_rows([str(column) for column in frame], rows, title=title)


def print_rows(
    header: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None
) -> None:
    """Print rows of text under a header, figures to the right."""
    body = [list(row) for row in rows]
    table = Table(show_header=any(header), box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for place, name in enumerate(header):
        figures = all(_is_figure(row[place]) for row in body)
        cells = [line for row in body for line in row[place].splitlines()]
        whole = cells if figures or place == 0 else []  # what must not be broken into lines
        widest = max(len(text) for text in [*whole, *name.split(), ""])
        justify: Literal["left", "right"] = "right" if figures else "left"
        table.add_column(name, justify=justify, overflow="fold", min_width=widest)
    for row in body:
        table.add_row(*map(escape, row))
    console = Console()
    if title:
        console.print(escape(title), style="bold")
    console.print(table)


def _is_figure(text: str) -> bool:
    if re.search("[a-z]{3}", text):  # a sentence that opens with a number
        return False
    return text == "-" or text[:1].isdigit() or text[:2].lstrip("-")[:1].isdigit()


def _cell(column: str, value: Any, row: Any) -> str:
    if value is None or value != value:
        return "-"
    if column == "arm":
        return str(value)
    if column == "prequential_kappa_temporal":
        return f"{value:.2f}"
    text = f"{100.0 * value:.1f}%"
    if column == _RANGED and f"{column}_min" in row:
        low, high = 100.0 * row[f"{column}_min"], 100.0 * row[f"{column}_max"]
        text += f"\n({low:.1f} to {high:.1f})"
    return text


def _plain(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)

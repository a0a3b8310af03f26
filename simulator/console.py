"""What a person sees in the terminal: progress on standard error, tables on standard output."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Display", "print_rows", "print_summary", "print_table"]

_SHOWN = {
    "arm": "arm",
    "method": "method",
    "prequential_accuracy": "prequential",
    "prequential_kappa_temporal": "κ temporal",
    "holdout_accuracy": "holdout",
    "holdout_macro_f1": "macro-F1",
    "holdout_worst_tenth": "worst tenth",
    "worse_than_local": "worse than local",
    "gradients_per_answer": "gradients/answer",
    "bytes_up": "KiB up",
}
_SHARES = {
    "prequential_accuracy", "holdout_accuracy", "holdout_macro_f1", "holdout_worst_tenth",
    "worse_than_local",
}  # fmt: skip


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

    def stage(self, name: str, rounds: int) -> None:
        """Begin a stage; one without rounds only shows that it goes on."""
        self._finish()
        self._task = self._progress.add_task(name, total=rounds or None)

    def advance(self) -> None:
        """Show that one round is done."""
        self._progress.advance(self._task)

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


def print_summary(summary: pd.DataFrame, question: str) -> None:
    """Print the arms of a run, a row each."""
    columns = [column for column in _SHOWN if column in summary]
    rows = [
        [_cell(column, row[column], row) for column in columns] for _, row in summary.iterrows()
    ]
    print_rows([_SHOWN[column] for column in columns], rows, title=question)
    if "base_accuracy" in summary and summary["base_accuracy"].notna().any():
        base = 100.0 * float(summary["base_accuracy"].iloc[0])
        print(f"untouched base model on people it never saw (unseen-users): {base:.1f}%")
    print("holdout: the last part of each recording, never streamed; users count equally")


def print_table(title: str, frame: pd.DataFrame) -> None:
    """Print a frame."""
    rows = [[_plain(value) for value in row] for row in frame.itertuples(index=False)]
    print_rows([str(column) for column in frame], rows, title=title)


def print_rows(
    header: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None
) -> None:
    """Print rows of text under a header."""
    table = Table(title=title or None, title_justify="left", show_header=any(header))
    for name in header:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console().print(table, markup=False)


def _cell(column: str, value: Any, row: Any) -> str:
    if value is None or value != value:
        return "-"
    if column == "bytes_up":
        return f"{value / 1024:.0f}"
    if column not in _SHARES:
        return _plain(value)
    text = f"{100.0 * value:.1f}%"
    if f"{column}_min" in row:
        low, high = 100.0 * row[f"{column}_min"], 100.0 * row[f"{column}_max"]
        text += f" ({low:.1f} to {high:.1f})"
    return text


def _plain(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)

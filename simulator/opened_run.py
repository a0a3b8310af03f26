"""A run folder in Python: its figures and records as pandas frames, read when asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from clients.containment import file_name
from clients.errors import BadInput
from simulator.console import summary_rows
from simulator.folder.lock import holder
from simulator.folder.parquet_file import read_columns
from simulator.folder.record_files import EVENTS, ROUNDS, WINDOWS
from simulator.folder.store import SCENARIO, RunFolder
from simulator.process.hush import hushed
from simulator.report.records import read_csv, seed_folders
from simulator.scenario.file import read_scenario
from simulator.scenario.plugins import need_plugins
from simulator.scenario.scenario import Scenario

if TYPE_CHECKING:
    from clients.program import Program

__all__ = ["Run"]

_SCHEMAS = {"windows": WINDOWS, "rounds": ROUNDS, "events": EVENTS}


class Run:
    """One run folder, or the parent of several seeds.

    Tables and records are read anew each time, so that a run that goes on can be watched. Columns
    of names (arm, user, device, label, ...) are categories.

    Attributes:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        """Open a folder that holds a run, as `simulator.load_run` makes sure."""
        self.path = path
        self._folder = RunFolder(path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}): {self.status}"

    @cached_property
    def scenario(self) -> Scenario:
        """The scenario, as far as the run has resolved it.

        Raises:
            BadInput: it names a plug-in that is not installed.
        """
        need_plugins(self.manifest, self.path)
        return read_scenario(self.path / SCENARIO)

    @property
    def manifest(self) -> dict[str, Any]:
        """How the run came about; empty where it was killed before that was written."""
        return self._folder.manifest()

    @property
    def status(self) -> str:
        """How it stands: "running", "done", or how it ended.

        That is "interrupted", "failed", "refused", "full disk" or "killed"; it is "unknown" where
        no manifest tells, and nobody writes into the folder.
        """
        told = str(self.manifest.get("status", "unknown"))
        if told not in ("running", "unknown"):
            return told
        if holder(self.path) is not None:
            return "running"
        return "killed" if told == "running" else told

    @property
    def seeds(self) -> dict[int, Run]:
        """The runs of several seeds, by seed; empty for an ordinary run."""
        folders = seed_folders(self.path)
        return {int(folder.name.removeprefix("seed-")): Run(folder) for folder in folders}

    @property
    def tables(self) -> list[str]:
        """Names of the tables that the run has written, as `table` takes them."""
        return sorted(path.stem for path in self.path.glob("*.csv"))

    def table(self, name: str) -> pd.DataFrame:
        """Read a table by name, such as "drift" or "fairness".

        Raises:
            BadInput: the run has not written it.
        """
        if name not in self.tables:
            there = ", ".join(self.tables) or "none yet"
            raise BadInput(f"{self.path}: no table {name!r}; there are: {there}")
        return read_csv(self.path / f"{name}.csv")

    @property
    def summary(self) -> pd.DataFrame:
        """The arms, a row each; of several seeds the means, with `_min` and `_max` beside them."""
        return self.table("summary")

    @property
    def users(self) -> pd.DataFrame:
        """Users in each arm, a row each."""
        return self.table("users")

    @property
    def tests(self) -> pd.DataFrame:
        """Comparisons of the arms with the baseline, a row each."""
        return self.table("tests")

    def windows(self, arm: str | None = None, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Read what was predicted, a row for each window.

        Args:
            arm: of one arm; None for all.
            columns: only these, which saves time and memory; None for all.

        Returns:
            the columns of docs/measures.md; of several seeds also `seed`.

        Raises:
            BadInput: there is no such arm or column, or a file is damaged.
        """
        return self._records("windows", arm, columns)

    def rounds(self, arm: str | None = None, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Read what devices did, a row for each device and round; arguments as of `windows`."""
        return self._records("rounds", arm, columns)

    def events(self, arm: str | None = None, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Read what befell devices, such as alarms and refused updates; as `windows`."""
        return self._records("events", arm, columns)

    def _records(self, kind: str, arm: str | None, columns: Sequence[str] | None) -> pd.DataFrame:
        """Read some columns of the records of some arms."""
        schema = _SCHEMAS[kind]
        if isinstance(columns, str) or not (columns is None or isinstance(columns, Iterable)):
            raise BadInput(f"columns = {columns!r}: expected a list of names, or None for all")
        wanted = list(schema.names if columns is None else columns)
        unknown = [name for name in wanted if name not in schema.names]
        if unknown:
            raise BadInput(
                f"{kind}: no column {unknown[0]!r}; there are: {', '.join(schema.names)}"
            )
        if len({*wanted}) < len(wanted):
            twice = next(name for name in wanted if wanted.count(name) > 1)
            raise BadInput(f"{kind}: column {twice!r} is asked for twice; give it once")
        names = [one.name for one in self.scenario.arms]
        if arm is not None and arm not in names:
            raise BadInput(f"arm {arm!r}: {self.path} has the arms {', '.join(names)}")
        chosen = names if arm is None else [arm]
        if self.seeds:
            tables = [
                _with_seed(run._table(kind, chosen, wanted), seed)
                for seed, run in self.seeds.items()
            ]
            joined = pa.concat_tables(tables)
        else:
            joined = self._table(kind, chosen, wanted)
        frame: pd.DataFrame = joined.unify_dictionaries().to_pandas()
        return frame

    def _table(self, kind: str, arms: Sequence[str], columns: Sequence[str]) -> pa.Table:
        """Read some columns of the records of some arms, of one seed."""
        schema = _SCHEMAS[kind]
        folders = [self.path / kind / file_name(name) for name in arms]
        files = [path for folder in folders for path in sorted(folder.glob("cohort-*.parquet"))]
        some = pa.schema([schema.field(name) for name in columns])
        tables = [read_columns(file, columns, schema).select(columns) for file in files]
        return pa.concat_tables([some.empty_table(), *tables])

    def report(self) -> Path:
        """Return where the report is; it is written if it is not there."""
        path = self.path / "report.html"
        if not path.is_file():
            from simulator.report import write_report

            write_report(self.path)
        return path

    def model(self, arm: str, device: str, *, trusted: bool = False) -> Program:
        """Load the program of a device with what it has learnt, as it would answer its user now.

        Where the run has written no SavedModel of it, it is made from the arm's last checkpoint.

        Args:
            arm: one that learns.
            device: its id, as in `rounds`.
            trusted: whether it may hold ops that can do more than compute.

        Raises:
            BadInput: there is no such arm or device, or several seeds are asked at once.
        """
        if self.seeds:
            raise BadInput(
                f"{self.path}: holds several seeds; ask one, as run.seeds[{min(self.seeds)}]"
            )
        for what, given in (("arm", arm), ("device", device)):
            if not isinstance(given, str):
                raise BadInput(f"{what} = {given!r}: expected a text, as in the table of rounds")
        versions = sorted(self._folder.versions(arm, device).glob("round-*"))
        _start_tensorflow()
        from clients.program import Program
        from simulator.wearing.materialize import materialize

        if versions:
            return Program(versions[-1], trusted=trusted)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "model"
            materialize(self.path, arm, device, path, trusted=trusted)
            return Program(path, trusted=trusted)

    def _repr_html_(self) -> str:
        """Show the arms, and the answer in a sentence, in a notebook."""
        told = f"<code>{escape(str(self.path))}</code>: {escape(self.status)}"
        if "summary" not in self.tables:
            return f"<p>{told}</p>"
        from simulator.report import answer_of, shown_summary

        header, rows = summary_rows(shown_summary(self.path, self.summary))
        names = [name.replace("-\n", "-").replace("\n", " ") for name in header]
        cells = [[cell.replace("\n", " ") for cell in row] for row in rows]
        table = pd.DataFrame(cells, columns=names).to_html(index=False, border=0)
        texts = f"<b>{escape(self.scenario.question)}</b>", escape(answer_of(self.path)), told
        question, answer, place = (f"<p>{text}</p>" for text in texts)
        return f"{question}{table}{answer}{place}"


def _start_tensorflow() -> None:
    """Load TensorFlow as workers do, unless it computes in another way already."""
    with hushed():
        from simulator.cohort.worker import use_one_thread

        try:
            use_one_thread()
        except RuntimeError:  # whoever has a notebook may have begun to compute
            return


def _with_seed(table: pa.Table, seed: int) -> pa.Table:
    """Add the seed to each row."""
    return table.append_column("seed", pa.array(np.full(table.num_rows, seed, np.int64)))

"""The run folder: what a run leaves on disk, written whole or not at all."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from clients.containment import file_name
from clients.errors import BadInput
from simulator.folder.arrays_file import Damaged, Written, check, file_written, sync_file
from simulator.folder.lock import LOCK, holder
from simulator.folder.manifest_file import (
    SCENARIO,
    admit_scenario,
    need_own_scenario,
    read_manifest,
    read_seeds,
    write_manifest,
    write_seeds,
    write_text,
)
from simulator.scenario.file import own_scenario, scenario_toml
from simulator.scenario.scenario import Scenario

__all__ = ["SCENARIO", "RunFolder", "average_over_seeds", "discard", "new_folder", "write_text"]

USERS_COLUMNS = [
    "arm", "user", "devices", "windows", "answered",
    "prequential_accuracy", "holdout_accuracy", "holdout_macro_f1",
]  # fmt: skip
_LOG = "log.jsonl"
_DIGITS = 6  # of a number in a CSV file


def new_folder(name: str, out: Path | None) -> Path:
    """Make the folder of a new run: `out`, or runs/<name>-<time>.

    Raises:
        BadInput: `out` exists and is not empty, or another process writes into it.
    """
    if out is None:
        stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
        out = Path("runs") / f"{name}-{stamp}"
        number = 1
        while out.exists():
            number += 1
            out = Path("runs") / f"{name}-{stamp}-{number}"
    if out.exists() and (not out.is_dir() or not _is_vacant(out)):
        pid = holder(out)
        if pid is not None:
            raise BadInput(
                f"--out {out}: another process (pid {pid}) writes into it; give another folder"
            )
        resume = f", or `wearfleet resume {out}`" if (out / SCENARIO).is_file() else ""
        raise BadInput(
            f"--out {out}: is there and not empty; give a folder that is not there yet{resume}"
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f"--out {out}: cannot be made ({error.strerror}); give a folder that can"
        ) from None
    return out


def _is_vacant(folder: Path) -> bool:
    """Tell whether a folder holds nothing, or only what a run left that was killed at its start."""
    names = [path.name for path in folder.iterdir()]
    left = all(name == LOCK or name.endswith(".unfinished") for name in names)
    return left and holder(folder) is None


def discard(folder: Path, *, keep_folder: bool) -> None:
    """Remove what a run that could not start has left: nothing half-written stays.

    Args:
        folder: as `new_folder` returned it, so it was empty.
        keep_folder: whether the folder itself was there before.
    """
    shutil.rmtree(folder, ignore_errors=True)
    if keep_folder:
        folder.mkdir(exist_ok=True)


class RunFolder:
    """One run on disk.

    Attributes:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def start(self, scenario: Scenario, seeds: int | None = None) -> None:
        """Write the scenario, as far as it is resolved.

        Args:
            scenario: of the run.
            seeds: of the parent folder of several, how many.
        """
        text = scenario_toml(scenario)
        if seeds is None:
            admit_scenario(self.path, text)
        else:
            write_seeds(self.path, seeds, text, scenario.began_in)
        write_text(self.path / SCENARIO, text)

    @property
    def seeds(self) -> int | None:
        """How many seeds are run into the folder; None of the folder of one run.

        Raises:
            BadInput: what is noted of them is damaged.
        """
        told = read_seeds(self.path)
        return None if told is None else int(told["seeds"])

    def scenario(self) -> Scenario:
        """Read the scenario of a run that goes on; its relative paths begin where the run began.

        Raises:
            BadInput: it is not the one with which the run began, or what it names is not there.
        """
        need_own_scenario(self.path)
        told = read_seeds(self.path) or self.manifest()
        return own_scenario(self.path / SCENARIO, Path(told.get("working_directory", "")))

    def has_begun(self) -> bool:
        """Tell whether the folder holds a run that can be gone on with."""
        return (self.path / SCENARIO).is_file()

    def manifest(self) -> dict[str, Any]:
        """Read the manifest; empty where there is none.

        Raises:
            BadInput: it is damaged.
        """
        return read_manifest(self.path)

    def is_done(self) -> bool:
        """Tell whether the run is done and its figures are whole."""
        manifest = self.manifest()
        try:
            for figures in manifest.get("figures", []):
                check(self.path, Written(**figures))
        except (Damaged, TypeError, ValueError):
            return False
        return manifest.get("status") == "done"

    def lacks_report(self) -> bool:
        """Tell whether a kill came between the figures of a run that is done and its report."""
        report = self.path / "report.html"
        written = (self.path / "manifest.json").stat().st_mtime
        return not report.is_file() or report.stat().st_mtime < written

    def clear(self) -> None:
        """Remove what a process that was killed had not finished.

        Raises:
            BadInput: the log is no file.
        """
        for path in [*self.path.rglob("*.unfinished"), *self.path.glob(".seen-*")]:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        log = self.path / _LOG
        if log.exists() and not log.is_file():
            raise BadInput(f"{log}: no file; remove it, then the run goes on")
        if log.is_file() and not log.read_bytes().endswith(b"\n"):
            with log.open("a") as file:
                file.write("\n")  # after half a line

    def checkpoints(self, arm: str) -> Path:
        """Return the folder that keeps the state of an arm."""
        return self.path / "checkpoints" / file_name(arm)

    def versions(self, arm: str, device: str) -> Path:
        """Return the folder that keeps the SavedModels of a device."""
        return self.path / "devices" / file_name(arm) / file_name(device)

    def reproducible(self) -> list[Path]:
        """Return the files whose bytes are the same in every run of this scenario and seed."""
        kept = [*self.path.glob("*.csv"), self.path / "scenario.toml"]
        for name in ("windows", "rounds", "events"):
            kept += (self.path / name).rglob("*.parquet")
        kept += (self.path / "devices").rglob("variables/*")
        return sorted(kept)

    def log(self, what: str, **facts: Any) -> None:
        """Append to `log.jsonl` what happened to the machine, such as how long a round took."""
        rounded = {key: _brief(value) for key, value in facts.items()}
        with (self.path / _LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"what": what, "at": round(time.time(), 3), **rounded}) + "\n")

    def write_events(self, arm: str, events: Sequence[Mapping[str, Any]]) -> None:
        """Write what happened in an arm's simulation, such as refused updates."""
        if not events:
            return
        path = self.path / "events" / f"{file_name(arm)}.parquet"
        path.parent.mkdir(exist_ok=True)
        unfinished = path.with_name(f".{path.name}.unfinished")
        pq.write_table(pa.Table.from_pylist(list(events)), unfinished, compression="zstd")
        sync_file(unfinished)
        unfinished.replace(path)
        for folder in (path.parent, self.path):
            sync_file(folder)

    def rounds_files(self, arm: str) -> Iterator[Path]:
        """Go through the files of `rounds/` of one arm, cohort by cohort; none for one not run."""
        yield from sorted((self.path / "rounds" / file_name(arm)).glob("cohort-*.parquet"))

    def write_frame(self, name: str, frame: pd.DataFrame) -> None:
        """Write a CSV file; what does not apply is an empty cell."""
        write_text(self.path / name, frame.round(_DIGITS).to_csv(index=False))

    def write_manifest(
        self, facts: Mapping[str, Any], plugins: Mapping[str, str] | None = None
    ) -> None:
        """Write what the run was made with, the given facts, and the checksums of its figures."""
        figures = [asdict(file_written(path)) for path in sorted(self.path.glob("*.csv"))]
        write_manifest(self.path, {**facts, "figures": figures}, plugins)


def average_over_seeds(frames: Sequence[pd.DataFrame], keys: Sequence[str]) -> pd.DataFrame:
    """Average equal rows of several frames, with the range beside each figure.

    Args:
        frames: one of each seed.
        keys: columns that name a row; other text columns keep their first value.

    Returns:
        the columns of the frames, and `<column>_min` and `<column>_max` for each figure.
    """
    joined = pd.concat(frames, ignore_index=True)
    columns_of = [str(column) for column in joined if column not in keys]
    grouped = joined.groupby(list(keys), sort=False)
    columns: dict[str, Any] = {}
    for column in columns_of:
        if pd.api.types.is_numeric_dtype(joined[column]):
            columns[column] = grouped[column].mean()
            columns[f"{column}_min"] = grouped[column].min()
            columns[f"{column}_max"] = grouped[column].max()
        else:
            columns[column] = grouped[column].first()
    return pd.DataFrame(columns).reset_index()


def _brief(value: Any) -> Any:
    """Round seconds and sizes to what a clock can tell."""
    if isinstance(value, list):
        return [_brief(one) for one in value]
    return round(value, 4) if isinstance(value, float) else value

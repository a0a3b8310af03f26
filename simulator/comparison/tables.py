"""A comparison of runs as tables of text, as JSON, and as rows of CSV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from clients.errors import BadInput
from simulator.comparison.likeness import (
    Bytes,
    Difference,
    compare_bytes,
    differences,
    same_people,
    warnings,
)
from simulator.comparison.opened import Opened, choose_protocol, open_runs
from simulator.comparison.pairs import Pair, pairs_of
from simulator.measures.metrics import worst_tenth
from simulator.measures.statistics import FEWEST_PAIRS, SMALLEST_P
from simulator.report.contrasts import Protocol
from simulator.report.wording import chance, signed

__all__ = ["Compared", "Table", "as_json", "compare_runs", "frame_of", "sentences", "tables"]

_LONGEST = 40  # characters of a value in a table


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Runs that were compared.

    Attributes:
        runs: two or more, the first being the one that the others are held against.
        protocol: by which accuracy.
        differences, warnings, pairs, bytes: see the modules that find them.
    """

    runs: Sequence[Opened]
    protocol: Protocol
    differences: Sequence[Difference]
    warnings: Sequence[str]
    pairs: Sequence[Pair]
    bytes: Sequence[Bytes]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text.

    Attributes:
        title: what stands above it.
        head: names of the columns.
        rows: of cells.
        note: what has to be said below it.
    """

    title: str
    head: list[str]
    rows: list[list[str]]
    note: str = ""


def compare_runs(folders: Sequence[Path], by: str | None = None) -> Compared:
    """Compare runs by their folders.

    Args:
        folders: of runs, or of their seeds.
        by: "holdout" or "prequential"; None for the first of them that all have.

    Raises:
        BadInput: they cannot be compared.
    """
    runs = open_runs(folders)
    protocol = choose_protocol(runs, by)
    found = differences(runs)
    pairs = pairs_of(runs, protocol)
    if not pairs and any(same_people(runs[0], run) for run in runs[1:]):
        raise BadInput(
            f"{runs[0].folder}: has no user in common with the other runs; compare runs of the "
            "same people"
        )
    return Compared(
        runs, protocol, found, warnings(runs, found, protocol), pairs, compare_bytes(runs)
    )


def tables(compared: Compared) -> list[Table]:
    """Return all that a person is shown in tables."""
    made = [_of_runs(compared), _of_arms(compared)]
    made += [_of_pairs(compared)] if compared.pairs else []
    return [*made, _of_differences(compared)] if compared.differences else made


def sentences(compared: Compared) -> list[str]:
    """Return all that a person is told: warnings, and what bytes say."""
    told = [f"Not like with like: {text}." for text in compared.warnings]
    if not compared.differences:
        told.append("The scenarios are the same.")
    for one in compared.bytes:
        pair = f"{one.letter} repeats {one.against}"
        if one.first is None:
            told.append(f"{pair}: all {one.files:,} files that runs promise have the same bytes.")
        else:
            told.append(
                f"{pair}, but not byte for byte: {one.first} is the first of {one.files:,} files "
                f"that is not the same ({one.how})."
            )
    return told


def _of_runs(compared: Compared) -> Table:
    rows = []
    for run in compared.runs:
        manifest = next(iter(run.manifests.values()), {})
        version = str(manifest.get("versions", {}).get("wearfleet", "–"))
        users = str(run.users["user"].nunique())
        seeds = ", ".join(map(str, run.seeds))
        rows.append([run.letter, _cut(str(run.folder)), run.status, seeds, users, version])
    return Table("Runs", ["", "folder", "status", "seed", "users", "Wearfleet"], rows)


def _of_arms(compared: Compared) -> Table:
    """Return arms by runs: mean accuracy, and that of the worst tenth of users."""
    arms = list(dict.fromkeys(arm for run in compared.runs for arm in run.arms))
    rows = []
    for arm in arms:
        row = [arm]
        for run in compared.runs:
            scores = np.asarray(run.scores(arm, compared.protocol), np.float64)
            row += (
                [f"{100 * scores.mean():.1f}", f"{100 * worst_tenth(scores):.1f}"]
                if scores.size
                else ["-", "-"]
            )
        rows.append(row)
    head = [title for run in compared.runs for title in (run.letter, f"{run.letter} worst tenth")]
    return Table(
        f"{compared.protocol.name.capitalize()} accuracy, % of windows, mean over users",
        ["arm", *head],
        rows,
    )


def _of_pairs(compared: Compared) -> Table:
    rows = []
    for pair in compared.pairs:
        test = pair.test
        interval = f"{signed(test.interval_low)} to {signed(test.interval_high)}"
        rows.append(
            [
                f"{pair.letter} {test.arm}",
                f"{pair.against} {test.against}",
                signed(test.mean_difference),
                interval if test.tested else "-",
                f"{test.better}/{test.worse}/{test.equal}",
                chance(test.p_all).removeprefix("p = ").removeprefix("p ") if test.tested else "-",
            ]
        )
    tested = sum(pair.test.tested for pair in compared.pairs)
    note = (
        "In points, user by user, over the users whom both runs scored; +/−/=: those for whom the "
        "arm is better, worse, equal. p: Wilcoxon's signed-rank test, two-sided, after Holm's "
        f"correction over {tested} pairs of arms. The interval is of the mean, resampled over "
        "users, of each pair by itself."
        if tested
        else f"Nothing is claimed of these differences: the test needs {FEWEST_PAIRS} users."
    )
    head = ["arm", "against", "mean", "95% interval", "+/−/=", "p"]
    title = f"Differences in {compared.protocol.name} accuracy"
    return Table(title, head, rows, note)


def _of_differences(compared: Compared) -> Table:
    rows = [
        [one.key, *(_cut(value) or "-" for value in one.values)] for one in compared.differences
    ]
    return Table(
        "What differs between the scenarios", ["key", *(run.letter for run in compared.runs)], rows
    )


def _cut(text: str) -> str:
    plain = "".join(c if c.isprintable() else " " for c in text)
    return plain if len(plain) <= _LONGEST else "…" + plain[1 - _LONGEST :]


def as_json(compared: Compared) -> dict[str, Any]:
    """Return a comparison as JSON; what is not known is null."""
    frame, letters = frame_of(compared), [run.letter for run in compared.runs]
    return {
        "by": compared.protocol.name,
        "runs": [
            {
                "run": run.letter,
                "folder": str(run.folder),
                "status": run.status,
                "seeds": run.seeds,
                "users": int(run.users["user"].nunique()),
                "data_fingerprints": {
                    str(seed): one.get("data_fingerprint") for seed, one in run.manifests.items()
                },
            }
            for run in compared.runs
        ],
        "arms": frame.astype(object).where(frame.notna(), None).to_dict(orient="records"),
        "differences": [
            {
                "key": one.key,
                **dict(zip(letters, one.values, strict=True)),
            }
            for one in compared.differences
        ],
        "warnings": list(compared.warnings),
        "bytes": [asdict(one) for one in compared.bytes],
    }


def frame_of(compared: Compared) -> pd.DataFrame:
    """Return a row for each arm of each run, with what it is held against, if it is.

    As in `tests.csv`, numbers have six digits and no p is below 0.000001.
    """
    tests = {(pair.letter, pair.test.arm): pair for pair in compared.pairs}
    rows = []
    for run in compared.runs:
        for arm in run.arms:
            scores = np.asarray(run.scores(arm, compared.protocol), np.float64)
            if not scores.size:
                continue
            row: dict[str, Any] = {
                "run": run.letter, "folder": str(run.folder), "arm": arm,
                "protocol": compared.protocol.name, "users": scores.size,
                "mean": float(scores.mean()), "worst_tenth": worst_tenth(scores),
            }  # fmt: skip
            pair = tests.get((run.letter, arm))
            if pair is not None:
                test = asdict(pair.test)
                for name in ("arm", "protocol", "p_baseline", "against"):
                    del test[name]
                row |= {"against_run": pair.against, "against_arm": pair.test.against, **test}
            rows.append(row)
    frame = pd.DataFrame(rows).rename(columns={"p_all": "p_holm"}).round(6)
    ps = [name for name in ("p", "p_holm") if name in frame]  # not where nobody is paired
    frame[ps] = frame[ps].astype(float).clip(lower=SMALLEST_P)
    return frame

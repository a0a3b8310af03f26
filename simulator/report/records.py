"""What a report needs of a run folder, read from its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd

from clients.bounded import read_bounded, read_json
from clients.containment import is_file_name
from clients.errors import BadInput
from simulator.measures.user_series import SERIES, joined
from simulator.report.reductions import (
    EVENTS,
    IntArray,
    events_of,
    rounds_of,
)
from simulator.scenario.toml_file import read_toml

__all__ = [
    "RunRecords",
    "SeedRecords",
    "read_csv",
    "read_run",
    "read_seeds",
    "read_tables",
    "seed_folders",
]


@dataclass(frozen=True, slots=True, eq=False)
class RunRecords:
    """What the report tells of one run.

    Attributes:
        scenario: the resolved scenario, and `scenario_text` the file that it was read from.
        manifest: how the run came about; every key may be missing.
        summary: `summary.csv`, one row per arm; empty if it was not written yet.
        users: `users.csv`, one row per arm and user; empty if it was not written yet.
        arms: names in the scenario's order.
        holdout: arm, user, round, accuracy: share of the user's holdout windows.
        prequential: arm, user, round, accuracy: fading-factor accuracy when the round ended,
            averaged over the user's devices.
        confusions: by arm, int64 [K, K], rows are the truth: windows of all users together, when
            each device was last scored on holdout.
        scored_rounds: by arm, the round of that scoring.
        costs: one row per arm, sums over devices and rounds, and `devices`.
        events: arm, kind, reason, count.
        drift, detections, alarms, fairness: the files of these names, empty where the run has none.
    """

    scenario: Mapping[str, Any]
    scenario_text: str
    manifest: Mapping[str, Any]
    summary: pd.DataFrame
    users: pd.DataFrame
    arms: list[str]
    holdout: pd.DataFrame
    prequential: pd.DataFrame
    confusions: dict[str, IntArray]
    scored_rounds: dict[str, int]
    costs: pd.DataFrame
    events: pd.DataFrame
    drift: pd.DataFrame
    detections: pd.DataFrame
    alarms: pd.DataFrame
    fairness: pd.DataFrame


@dataclass(frozen=True, slots=True, eq=False)
class SeedRecords:
    """What the report tells of several seeds of one scenario.

    Attributes:
        scenario, scenario_text, manifest, summary, users, arms: as in `RunRecords`; the numbers of
            `summary` and `users` are means over seeds, with columns `_min` and `_max` beside.
        seeds: by the folder's name, such as "seed-7", that seed's own `summary.csv`.
        drift, alarms: as in `RunRecords`, of all seeds together.
    """

    scenario: Mapping[str, Any]
    scenario_text: str
    manifest: Mapping[str, Any]
    summary: pd.DataFrame
    users: pd.DataFrame
    arms: list[str]
    seeds: dict[str, pd.DataFrame]
    drift: pd.DataFrame
    alarms: pd.DataFrame


_MOST_CSV = 512 * 2**20
_FILES = ("drift", "detections", "alarms", "fairness")


def seed_folders(run: Path) -> list[Path]:
    """List the complete run folders `seed-<n>/` of a run, by seed; empty for an ordinary run."""
    folders = [path.parent for path in run.glob("seed-*/scenario.toml")]
    folders = [path for path in folders if path.name.removeprefix("seed-").isdigit()]
    return sorted(folders, key=lambda path: int(path.name.removeprefix("seed-")))


def read_run(run: Path) -> RunRecords:
    """Read one run folder.

    Raises:
        BadInput: there is no readable `scenario.toml` or `manifest.json` in it.
    """
    text, scenario, manifest = _read_heads(run)
    summary, users = _read_summary(run), _read_users(run)
    arms = _arm_names(scenario, summary)
    told = {arm: rounds_of(run, arm) for arm in arms}
    confusions = {arm: own.confusion for arm, own in told.items() if own.confusion is not None}
    return RunRecords(
        scenario=scenario,
        scenario_text=text,
        manifest=manifest,
        summary=summary,
        users=users,
        arms=arms,
        holdout=joined([own.holdout for own in told.values()], SERIES),
        prequential=joined([own.prequential for own in told.values()], SERIES),
        confusions={arm: found[0] for arm, found in confusions.items()},
        scored_rounds={arm: found[1] for arm, found in confusions.items()},
        costs=joined([own.costs for own in told.values()], ["arm", "devices"]),
        events=joined([events_of(run, arm) for arm in arms], EVENTS),
        **{name: read_csv(run / f"{name}.csv") for name in _FILES},
    )


def read_seeds(run: Path) -> SeedRecords:
    """Read the parent folder of several seeds.

    Raises:
        BadInput: there is no readable `scenario.toml` or `manifest.json` in it.
    """
    text, scenario, manifest = _read_heads(run)
    summary = _read_summary(run)
    return SeedRecords(
        scenario=scenario,
        scenario_text=text,
        manifest=manifest,
        summary=summary,
        users=_read_users(run),
        arms=_arm_names(scenario, summary),
        seeds={folder.name: _read_summary(folder) for folder in seed_folders(run)},
        drift=read_csv(run / "drift.csv"),
        alarms=read_csv(run / "alarms.csv"),
    )


def read_tables(run: Path) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    """Read what the answer rests on: the scenario, `summary.csv` and `users.csv`.

    Raises:
        BadInput: there is no readable `scenario.toml` or `manifest.json` in it.
    """
    return _read_heads(run)[1], _read_summary(run), _read_users(run)


def read_csv(path: Path) -> pd.DataFrame:
    """Read a table of a run folder; an empty cell is missing, users and arms are text.

    Raises:
        BadInput: it is too large, or no CSV.
    """
    if not path.exists():
        return pd.DataFrame()
    names = {"arm": str, "user": str, "device": str, "method": str}
    content = BytesIO(read_bounded(path, _MOST_CSV, "a table of a run, in CSV"))
    try:
        return pd.read_csv(content, dtype=names, keep_default_na=False, na_values=[""])
    except (ValueError, OverflowError) as error:
        raise BadInput(
            f"{path}: no table in CSV ({error!s:.200}); put back what the run wrote"
        ) from None


def _read_heads(run: Path) -> tuple[str, dict[str, Any], dict[str, Any]]:
    if not (run / "scenario.toml").exists():
        raise BadInput(f"{run} holds no scenario.toml: give the folder of a run")
    text, scenario = read_toml(run / "scenario.toml")
    path = run / "manifest.json"
    manifest = read_json(path, "the manifest of a run") if path.exists() else {}
    return text, scenario, manifest if isinstance(manifest, dict) else {}


def _read_summary(run: Path) -> pd.DataFrame:
    summary = read_csv(run / "summary.csv")
    return summary if "arm" in summary else pd.DataFrame({"arm": pd.Series(dtype=str)})


def _read_users(run: Path) -> pd.DataFrame:
    users = read_csv(run / "users.csv")
    empty = pd.DataFrame({"arm": pd.Series(dtype=str), "user": pd.Series(dtype=str)})
    return users if "user" in users else empty


def _arm_names(scenario: Mapping[str, Any], summary: pd.DataFrame) -> list[str]:
    declared = [str(arm["name"]) for arm in scenario.get("arms", []) if "name" in arm]
    names = list(dict.fromkeys([*declared, *(str(arm) for arm in summary["arm"])]))
    for name in names:
        if not is_file_name(name):
            raise BadInput(
                f"arm {name!r:.100}: no name of a folder of a run; put back the scenario.toml and "
                "the summary.csv that the run wrote"
            )
    return names

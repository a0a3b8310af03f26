"""TOML -> a scenario, or an error that says file, key, value and what is allowed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import ValidationError

from clients.errors import BadInput, BadScenario
from simulator.scenario.defaults import with_defaults
from simulator.scenario.errors import explained
from simulator.scenario.nearest import meant
from simulator.scenario.overrides import Overrides, override_all, plain
from simulator.scenario.scenario import BASES, Scenario, programs
from simulator.scenario.toml_file import read_toml

__all__ = [
    "load_scenario",
    "made_scenario",
    "need_new_file",
    "own_scenario",
    "read_scenario",
    "scenario_table",
    "scenario_toml",
]


def load_scenario(path: Path, overrides: Overrides = ()) -> Scenario:
    """Read and validate a scenario file, whose data and programs are there.

    Args:
        path: the TOML file.
        overrides: as in `read_scenario`.

    Raises:
        BadScenario: it cannot be read, a key of it cannot be used, or what it names is not there.
    """
    scenario = read_scenario(path, overrides)
    _check_files(path, scenario)
    return scenario


def read_scenario(path: Path, overrides: Overrides = ()) -> Scenario:
    """Read and validate a scenario file, wherever its data are.

    Args:
        path: the TOML file.
        overrides: `key=value` with dotted keys, such as "stream.rounds=5"; a value is read as
            TOML, and as plain text where it is not TOML. Or the same by key.

    Raises:
        BadScenario: it cannot be read, or a key of it cannot be used.
    """
    _, table = read_toml(path)
    override_all(table, overrides)
    return _validated(table, path)


def made_scenario(table: Mapping[str, Any], overrides: Overrides = ()) -> Scenario:
    """Validate a scenario that is not in a file, whose data and programs are there.

    Args:
        table: as TOML would have it; it is left as it is.
        overrides: as in `read_scenario`.

    Raises:
        BadScenario: a key of it cannot be used, or what it names is not there.
    """
    if not isinstance(table, Mapping):
        raise BadScenario(
            f"scenario: {table!r:.80}: expected its tables as dictionaries, such as "
            '{"name": "mine", "seed": 1, ...}'
        )
    own = plain(deepcopy(dict(table)))
    override_all(own, overrides)
    where = f"scenario {own['name']!r}" if isinstance(own.get("name"), str) else "scenario"
    scenario = _validated(own, where)
    _check_files(where, scenario)
    return scenario


def _validated(table: dict[str, Any], where: str | Path) -> Scenario:
    """Validate a parsed table, or say what is wrong, and where it is from."""
    try:
        return Scenario.model_validate(with_defaults(table))
    except ValidationError as error:
        raise BadScenario(explained(where, table, error)) from None


def own_scenario(path: Path, began_in: Path) -> Scenario:
    """Read the scenario of a run that goes on, whose data and programs are there.

    Args:
        path: the TOML file in the run folder.
        began_in: the folder from which the run was started, in which relative paths begin. Where it
            is not there, as on another machine, they begin in the present one.

    Raises:
        BadScenario: as in `load_scenario`.
    """
    place = began_in.absolute() if _is_there(began_in) else Path.cwd()
    scenario = read_scenario(path).begun_in(place)
    _check_files(path, scenario)
    return scenario


def need_new_file(path: Path) -> None:
    """Refuse to write over a scenario.

    Raises:
        BadInput: the file is there, or its folder is not.
    """
    if path.exists() or not path.parent.is_dir():
        what = "is there already" if path.exists() else "its folder is not there"
        raise BadInput(f"--out {path}: {what}; give a new file in a folder that is there")


def _check_files(path: str | Path, scenario: Scenario) -> None:
    """Refuse data, programs and bases that are not on disk."""
    absent = "\n".join(f"{path}: {told}" for told in _absent(scenario))
    if absent:
        raise BadScenario(absent)


def _absent(scenario: Scenario) -> Iterator[str]:
    """Say what a scenario names that is not on disk."""
    data, model = scenario.data, scenario.model
    trace = scenario.faults.trace
    if trace and not _is_there(Path(trace)):
        yield (
            f"faults.trace = {trace!r}: there is no such file; give the CSV file that says when "
            "devices cannot be reached"
        )
    if data.path and not _is_there(Path(data.path)):
        yield (
            f"data.path = {data.path!r}: there is no such file or folder; give the one that holds "
            f'the recordings of source = "{data.source}"'
        )
    for key, found, names in (
        ("program", model.program, programs()),
        ("base", model.base, BASES),
    ):
        if found not in names and not _is_there(Path(found) / "saved_model.pb"):
            yield (
                f"model.{key} = {found!r}: neither one of {', '.join(names)} nor the folder of a "
                f"SavedModel (it would hold a file saved_model.pb){meant(found, names)}"
            )


def _is_there(path: Path) -> bool:
    """Tell whether there is a file or folder; a path that none can have is none."""
    try:
        return path.exists()
    except (OSError, ValueError):  # too long, or with a zero byte
        return False


def scenario_toml(scenario: Scenario) -> str:
    """Write a scenario as TOML that loads again as the same scenario."""
    return tomli_w.dumps(scenario_table(scenario))


def scenario_table(scenario: Scenario) -> dict[str, Any]:
    """Return a scenario as TOML has it, paths as they were written."""
    table = scenario.model_dump(exclude_none=True, by_alias=True)
    for section, key, path in scenario.written:
        table[section][key] = path
    return table

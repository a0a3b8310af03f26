"""TOML -> a scenario, or an error that says file, key, value and what is allowed."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

import tomli_w
from pydantic import ValidationError

from clients.bounded import read_bounded
from clients.errors import BadInput, BadScenario
from simulator.arm import METHODS, keys_of
from simulator.drift_table import KINDS, drift_keys_of
from simulator.options import OWN_KEYS, REACTIONS, SHARING
from simulator.scenario import FEATURE_ROWS, PROGRAMS, Scenario

__all__ = ["load_scenario", "need_new_file", "read_scenario", "read_toml", "scenario_toml"]

_MOST_BYTES = 4 * 2**20
_MOST_DOTS = 100  # between two of `,=[]{}`: each deepens a key, and takes tomllib longer
_MOST_SEEN = 200  # characters of a value in an error


def load_scenario(path: Path, overrides: Sequence[str] = ()) -> Scenario:
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


def read_scenario(path: Path, overrides: Sequence[str] = ()) -> Scenario:
    """Read and validate a scenario file, wherever its data are.

    Args:
        path: the TOML file.
        overrides: `key=value` with dotted keys, such as "stream.rounds=5"; a value is read as
            TOML, and as plain text where it is not TOML.

    Raises:
        BadScenario: it cannot be read, or a key of it cannot be used.
    """
    _, table = read_toml(path)
    for override in overrides:
        _override(table, override)
    try:
        return Scenario.model_validate(_resolved_defaults(table))
    except ValidationError as error:
        raise BadScenario(_explain(path, table, error)) from None


def need_new_file(path: Path) -> None:
    """Refuse to write over a scenario.

    Raises:
        BadInput: the file is there, or its folder is not.
    """
    if path.exists() or not path.parent.is_dir():
        what = "is there already" if path.exists() else "its folder is not there"
        raise BadInput(f"--out {path}: {what}; give a new file in a folder that is there")


def _check_files(path: Path, scenario: Scenario) -> None:
    """Refuse data, programs and bases that are not on disk."""
    data, model = scenario.data, scenario.model
    trace = scenario.faults.trace
    if trace and not _is_there(Path(trace)):
        raise BadScenario(
            f"{path}: faults.trace = {trace!r}: there is no such file; give the CSV file that says "
            "when devices cannot be reached"
        )
    if data.path and not _is_there(Path(data.path)):
        raise BadScenario(
            f"{path}: data.path = {data.path!r}: there is no such file or folder; give the one "
            f'that holds the recordings of source = "{data.source}"'
        )
    for key, found, names in (
        ("program", model.program, PROGRAMS),
        ("base", model.base, ("donors", "random")),
    ):
        if found not in names and not _is_there(Path(found) / "saved_model.pb"):
            raise BadScenario(
                f"{path}: model.{key} = {found!r}: neither one of {', '.join(names)} nor the "
                "folder of a SavedModel (it would hold a file saved_model.pb)"
            )


def _is_there(path: Path) -> bool:
    """Tell whether there is a file or folder; a path that none can have is none."""
    try:
        return path.exists()
    except (OSError, ValueError):  # too long, or with a zero byte
        return False


def read_toml(path: Path) -> tuple[str, dict[str, Any]]:
    """Read a TOML file of a scenario: its text, and what it says.

    Raises:
        BadScenario: there is none, it is too large, or no TOML.
    """
    try:
        text = read_bounded(path, _MOST_BYTES, "a scenario file, in TOML").decode("utf-8")
        return text, _loads(text)
    except FileNotFoundError:
        raise BadScenario(
            f"{path}: there is no such file; `wearfleet scenarios FOLDER` lists those of a folder"
        ) from None
    except NotADirectoryError:
        raise BadScenario(f"{path}: its folder is a file; give a scenario file, in TOML") from None
    except BadInput as error:
        raise BadScenario(str(error)) from None
    except UnicodeDecodeError as error:
        raise BadScenario(
            f"{path}: not text (byte {error.start} is no UTF-8); a scenario is a TOML file"
        ) from None
    except _NOT_TOML as error:
        raise BadScenario(f"{path}: not TOML ({error}); a scenario is a TOML file") from None


def _loads(text: str) -> dict[str, Any]:
    """Parse TOML whose keys are of a depth that a scenario has."""
    for piece in re.split(r"[,=\[\]{}\n]", text):
        if piece.count(".") > _MOST_DOTS:
            raise ValueError(f"more than {_MOST_DOTS} dots in a row: {piece.strip()[:40]!r}...")
    return tomllib.loads(text)


_NOT_TOML = (tomllib.TOMLDecodeError, ValueError, RecursionError)  # the last two for its limits


def scenario_toml(scenario: Scenario) -> str:
    """Write a scenario as TOML that loads again as the same scenario."""
    return tomli_w.dumps(scenario.model_dump(exclude_none=True, by_alias=True))


def _resolved_defaults(table: dict[str, Any]) -> dict[str, Any]:
    """Fill in defaults that depend on other keys: of baseline, arms, drifts, and feature rows."""
    drifts = table.get("drift")
    if isinstance(drifts, list):
        table = {**table, "drift": [_resolved_drift(one) for one in drifts]}
    arms = table.get("arms")
    if isinstance(arms, list):
        table = {**table, "arms": [_resolved_arm(arm, table) for arm in arms]}
        first = arms[0].get("name") if arms and isinstance(arms[0], dict) else None
        if "baseline" not in table and isinstance(first, str):
            table["baseline"] = first
    model = table.get("model")
    candidates = model.get("candidates") if isinstance(model, dict) else None
    if isinstance(model, dict) and isinstance(candidates, list) and candidates:
        table = {**table, "model": {"program": candidates[0], **model}}
    data = table.get("data")
    if isinstance(data, dict) and isinstance(data.get("users"), list):
        users = [str(user) if type(user) is int else user for user in data["users"]]
        data = {**data, "users": users}
        table = {**table, "data": data}
    if isinstance(data, dict) and data.get("source") == "wisdm-v1.1-features":
        for section, keys in FEATURE_ROWS.items():
            own = table.get(section, {})
            table = {**table, section: {**keys, **own} if isinstance(own, dict) else own}
        model = table.get("model", {})
        if isinstance(model, dict):
            table = {**table, "model": {"program": "features", **model}}
    return table


def _resolved_drift(drift: Any) -> Any:
    """Fill in the defaults that a drift's kind has."""
    return {**KINDS.get(str(drift.get("kind")), {}), **drift} if isinstance(drift, dict) else drift


def _resolved_arm(arm: Any, table: dict[str, Any]) -> Any:
    """Fill in the defaults that an arm's method has."""
    if not isinstance(arm, dict) or not isinstance(arm.get("method"), str):
        return arm
    method = arm["method"]
    defaults = dict(OWN_KEYS.get(method, {}))
    reaction = arm.get("reaction")
    if isinstance(reaction, str) and reaction in REACTIONS:
        detectors = table.get("detectors")
        first = detectors[0] if isinstance(detectors, list) and detectors else None
        if isinstance(first, dict):
            defaults["detector"] = first.get("kind")
        defaults |= REACTIONS[reaction]
    if method in SHARING:
        defaults["participation"] = 1.0
        defaults |= {} if method == "dpfedavg" else {"choice": "random"}
    if method == "fedrep":
        learning = table.get("learning")
        usual = learning.get("steps", 4) if isinstance(learning, dict) else 4
        steps = arm.get("steps", usual)
        defaults["head_steps"] = steps - 1 if isinstance(steps, int) and steps > 1 else 1
    if arm.get("choice") == "loss":
        defaults["candidates"] = 1.0
    return {**arm, **{key: value for key, value in defaults.items() if key not in arm}}


def _override(table: dict[str, Any], override: str) -> None:
    """Set one key of a parsed TOML table."""
    key, equals, text = override.partition("=")
    parts = [part.strip() for part in key.split(".")]
    try:
        override.encode()
    except UnicodeEncodeError:
        raise BadScenario(f"--set {override!r}: not text (no UTF-8)") from None
    if not equals or not all(parts):
        raise BadScenario(
            f"--set {override!r}: expected key=value with a dotted key, such as stream.rounds=5"
        )
    try:
        value = _loads(f"value = {text}")["value"]
    except _NOT_TOML:
        value = text
    inner: Any = table
    for part in parts[:-1]:
        inner = _enter(inner, part, override)
    if isinstance(inner, list):
        inner[_place(inner, parts[-1], override)] = value
    else:
        inner[parts[-1]] = value


def _enter(inner: Any, part: str, override: str) -> Any:
    """Step into a table by key, or into a list of tables by index or by name."""
    if isinstance(inner, list):
        child = inner[_place(inner, part, override)]
    else:
        child = inner.setdefault(part, {})
    if not isinstance(child, dict | list):
        raise BadScenario(f"--set {override!r}: {part!r} is a value ({child!r}), not a table")
    return child


def _place(items: list[Any], part: str, override: str) -> int:
    """Find an item of a list by index or by name."""
    names = [
        str(item["name"]) if isinstance(item, dict) and "name" in item else str(index)
        for index, item in enumerate(items)
    ]
    for index, name in enumerate(names):
        if part in (name, str(index)):
            return index
    raise BadScenario(f"--set {override!r}: {part!r} is none of: {', '.join(names)}")


def _explain(path: Path, table: dict[str, Any], error: ValidationError) -> str:
    """Say for each wrong key: file, key, value seen, what is allowed."""
    lines = []
    seen = set()
    for problem in error.errors():
        key = _key(problem["loc"], table)
        if problem["type"] == "extra_forbidden":
            allowed = ", ".join(_allowed_keys(problem["loc"], table))
            lines.append(f"{path}: {key}: unknown key; allowed here: {allowed}")
        elif problem["type"] == "missing":
            lines.append(f"{path}: {key}: missing; this key is needed")
        elif problem["type"] == "value_error":
            where = f"{key}: " if key else ""
            lines.append(f"{path}: {where}{problem['ctx']['error']}")
        elif key not in seen:
            allowed = _expected(error, key, table)
            lines.append(f"{path}: {key} = {_seen(problem['input'])}: {allowed}")
        seen.add(key)
    return "\n".join(lines)


def _seen(value: Any) -> str:
    """Write a value for an error, cut where it is long."""
    text = repr(value)
    return text if len(text) <= _MOST_SEEN else f"{text[:_MOST_SEEN]}..."


def _expected(error: ValidationError, key: str, table: dict[str, Any]) -> str:
    """Join what each alternative of one key allows."""
    wanted = [p["msg"] for p in error.errors() if _key(p["loc"], table) == key]
    return "expected " + ", or ".join(dict.fromkeys(_plainly(message) for message in wanted))


def _plainly(message: str) -> str:
    """Say in words of TOML what pydantic asks for."""
    short = re.match(r"(?:List|String) should have at least (\d+) (\w+)", message)
    if short:
        return f"at least {short[1]} {short[2]}"
    plain = message.removeprefix("Input should be ").replace("a valid ", "a ")
    plain = plain.replace("a integer", "an integer").replace("a dictionary", "a table")
    plain = re.sub(r" or instance of \w+", "", plain)
    return f"a value {plain}" if plain.startswith(("greater", "less")) else plain


_UNION_TAGS = ("int", "float", "str", "constrained-int", "constrained-float")


def _key(location: tuple[str | int, ...], table: Any) -> str:
    """Write the place of a problem as a dotted key, without pydantic's names of alternatives."""
    parts: list[str] = []
    inner: Any = table
    for part in location:
        if isinstance(inner, dict) and (part in inner or not parts):
            inner = inner.get(part)
        elif isinstance(inner, list) and isinstance(part, int) and part < len(inner):
            inner = inner[part]
            if isinstance(inner, dict) and "name" in inner:
                part = str(inner["name"])
        elif isinstance(inner, dict) and "[" not in str(part) and part not in _UNION_TAGS:
            inner = None
        else:
            continue
        parts.append(str(part))
    return ".".join(parts)


def _allowed_keys(location: tuple[str | int, ...], table: dict[str, Any]) -> list[str]:
    """Return the keys that are allowed beside an unknown one; of an arm, those of its method."""
    if location[0] == "arms" and len(location) == 3 and isinstance(location[1], int):
        method = table["arms"][location[1]].get("method")
        if method in METHODS:
            return keys_of(method)
    if location[0] == "drift" and len(location) == 3 and isinstance(location[1], int):
        kind = table["drift"][location[1]].get("kind")
        if isinstance(kind, str) and kind in KINDS:
            return drift_keys_of(kind)
    model: Any = Scenario
    for part in location[:-1]:
        if isinstance(part, str):
            field = model.model_fields[part].annotation
            model = get_args(field)[0] if get_origin(field) is list else field
    return [field.alias or name for name, field in model.model_fields.items()]

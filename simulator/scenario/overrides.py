"""`--set key=value`, or a key and a value in Python: keys of a scenario, set from outside."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np

from clients.errors import BadScenario
from simulator.scenario.nearest import meant
from simulator.scenario.toml_file import NOT_TOML, parsed

__all__ = ["Overrides", "override", "override_all", "plain"]

Overrides = Mapping[str, Any] | Sequence[str]
"""Dotted keys and their values, or "key=value" as on the command line."""


def override_all(table: dict[str, Any], overrides: Overrides) -> None:
    """Set keys of a parsed TOML table.

    Args:
        table: of a scenario.
        overrides: such as {"stream.rounds": 5} or ["stream.rounds=5"].

    Raises:
        BadScenario: there is no such place in the table, or a text has another form.
    """
    if isinstance(overrides, str) or not isinstance(overrides, Mapping | Iterable):
        raise BadScenario(
            f"overrides = {overrides!r}: expected keys and values, such as "
            '{"stream.rounds": 5}, or a list of texts, such as ["stream.rounds=5"]'
        )
    if not isinstance(overrides, Mapping):
        for given in overrides:
            override(table, given)
        return
    for key, value in overrides.items():
        told = f"{key} = {value!r}"
        parts = _parts(str(key))
        if not all(parts):
            raise BadScenario(f"{told}: expected a dotted key, such as stream.rounds")
        _put(table, parts, plain(value), told)


def plain(value: Any) -> Any:
    """Return what TOML would give for a value of Python or NumPy, such as texts for paths."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    return str(value) if isinstance(value, PurePath) else value


def override(table: dict[str, Any], given: str) -> None:
    """Set one key of a parsed TOML table.

    Args:
        table: of a scenario.
        given: `key=value` with a dotted key, such as "stream.rounds=5"; the value is read as TOML,
            and as plain text where it is not TOML.

    Raises:
        BadScenario: it has another form, or there is no such place in the table.
    """
    if not isinstance(given, str):
        raise BadScenario(f"overrides: {given!r}: expected a text, such as stream.rounds=5")
    key, equals, text = given.partition("=")
    parts = _parts(key)
    try:
        given.encode()
    except UnicodeEncodeError:
        raise BadScenario(f"--set {given!r}: not text (no UTF-8)") from None
    if not equals or not all(parts):
        raise BadScenario(
            f"--set {given!r}: expected key=value with a dotted key, such as stream.rounds=5"
        )
    try:
        value = parsed(f"value = {text}")["value"]
    except NOT_TOML:
        value = text
    _put(table, parts, value, f"--set {given!r}")


def _parts(key: str) -> list[str]:
    """Cut a dotted key into its parts; `drift[1]`, as errors write it, is `drift.0`."""
    counted = re.sub(r"\[([1-9][0-9]{0,6})\]", lambda place: f".{int(place[1]) - 1}", key)
    return [part.strip() for part in counted.split(".")]


def _put(table: dict[str, Any], parts: Sequence[str], value: Any, told: str) -> None:
    """Set the value at a place; `told` begins an error."""
    inner: Any = table
    for part in parts[:-1]:
        inner = _enter(inner, part, told)
    if isinstance(inner, list):
        inner[_place(inner, parts[-1], told)] = value
    else:
        inner[parts[-1]] = value


def _enter(inner: Any, part: str, told: str) -> Any:
    """Step into a table by key, or into a list of tables by index or by name."""
    if isinstance(inner, list):
        child = inner[_place(inner, part, told)]
    else:
        child = inner.setdefault(part, {})
    if not isinstance(child, dict | list):
        raise BadScenario(f"{told}: {part!r} is a value ({child!r}), not a table")
    return child


def _place(items: list[Any], part: str, told: str) -> int:
    """Find an item of a list by index or by name."""
    names = [
        str(item["name"]) if isinstance(item, dict) and "name" in item else str(index)
        for index, item in enumerate(items)
    ]
    for index, name in enumerate(names):
        if part in (name, str(index)):
            return index
    raise BadScenario(f"{told}: {part!r} is none of: {', '.join(names)}{meant(part, names)}")

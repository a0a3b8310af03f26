"""`--set key=value`: one key of a scenario's table, set from outside."""

from __future__ import annotations

from typing import Any

from clients.errors import BadScenario
from simulator.toml_file import NOT_TOML, parsed

__all__ = ["override"]


def override(table: dict[str, Any], given: str) -> None:
    """Set one key of a parsed TOML table.

    Args:
        table: of a scenario.
        given: `key=value` with a dotted key, such as "stream.rounds=5"; the value is read as TOML,
            and as plain text where it is not TOML.

    Raises:
        BadScenario: it has another form, or there is no such place in the table.
    """
    key, equals, text = given.partition("=")
    parts = [part.strip() for part in key.split(".")]
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
    inner: Any = table
    for part in parts[:-1]:
        inner = _enter(inner, part, given)
    if isinstance(inner, list):
        inner[_place(inner, parts[-1], given)] = value
    else:
        inner[parts[-1]] = value


def _enter(inner: Any, part: str, given: str) -> Any:
    """Step into a table by key, or into a list of tables by index or by name."""
    if isinstance(inner, list):
        child = inner[_place(inner, part, given)]
    else:
        child = inner.setdefault(part, {})
    if not isinstance(child, dict | list):
        raise BadScenario(f"--set {given!r}: {part!r} is a value ({child!r}), not a table")
    return child


def _place(items: list[Any], part: str, given: str) -> int:
    """Find an item of a list by index or by name."""
    names = [
        str(item["name"]) if isinstance(item, dict) and "name" in item else str(index)
        for index, item in enumerate(items)
    ]
    for index, name in enumerate(names):
        if part in (name, str(index)):
            return index
    raise BadScenario(f"--set {given!r}: {part!r} is none of: {', '.join(names)}")

"""What pydantic has against a scenario, in the words of TOML."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import ValidationError

from simulator.scenario.arm import keys_of
from simulator.scenario.drift_table import KINDS, drift_keys_of
from simulator.scenario.impossible import Impossible
from simulator.scenario.nearest import meant, nearest
from simulator.scenario.options import METHODS
from simulator.scenario.plugins import drift_plugin, method_plugin
from simulator.scenario.scenario import Scenario
from simulator.scenario.sections import NAME, PRINTABLE

__all__ = ["explained"]

_MOST_SEEN = 200  # characters of a value in an error


def explained(path: str | Path, table: dict[str, Any], error: ValidationError) -> str:
    """Say for each wrong key: file, key, value seen, what is allowed."""
    lines = []
    seen = set()
    for problem in error.errors():
        key = _key(problem["loc"], table)
        if problem["type"] == "extra_forbidden":
            keys = _allowed_keys(problem["loc"], table)
            close = nearest(str(problem["loc"][-1]), keys)
            guess = f'did you mean "{close}"? ' if close else ""
            lines.append(f"{path}: {key}: unknown key; {guess}allowed here: {', '.join(keys)}")
        elif problem["type"] == "missing":
            lines.append(f"{path}: {key}: missing; this key is needed")
        elif problem["type"] == "value_error":
            where, found = f"{key}: " if key else "", problem["ctx"]["error"]
            told = found.told if isinstance(found, Impossible) else (str(found),)
            lines += [f"{path}: {where}{one}" for one in told]
        elif key not in seen:
            allowed = _expected(error, key, table)
            lines.append(f"{path}: {key} = {_seen(problem['input'])}: {allowed}")
        seen.add(key)
    return "\n".join(lines)


def _seen(value: Any) -> str:
    """Write a value for an error, cut where it is long."""
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= _MOST_SEEN else f"{text[:_MOST_SEEN]}..."


def _expected(error: ValidationError, key: str, table: dict[str, Any]) -> str:
    """Join what each alternative of one key allows, and guess what was meant."""
    wanted = [p for p in error.errors() if _key(p["loc"], table) == key]
    told = "expected " + ", or ".join(dict.fromkeys(_plainly(one) for one in wanted))
    literals = " ".join(p["msg"] for p in wanted if p["type"] == "literal_error")
    given = wanted[0]["input"]
    allowed = re.findall(r"'([^']*)'", literals)
    return told + (meant(given, allowed) if isinstance(given, str) else "")


def _plainly(problem: Any) -> str:
    """Say in words of TOML what pydantic asks for."""
    message = str(problem["msg"])
    if problem["type"] == "string_pattern_mismatch":
        pattern = problem["ctx"]["pattern"]
        return _PATTERNS.get(pattern, f"text of the form {pattern}")
    length = re.match(r"(?:List|String) should have (at (?:least|most) \d+ \w+)", message)
    if length:
        return length[1]
    plain = message.removeprefix("Input should be ")
    for technical, word in _WORDS.items():
        plain = plain.replace(technical, word)
    plain = re.sub(r" or instance of \w+", "", plain)
    return f"a value {plain}" if plain.startswith(("greater", "less")) else plain


_WORDS = {
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid string": "text",
    "a valid boolean": "true or false",
    "a valid list": "a list",
    "a valid dictionary": "a table",
}
"""What pydantic calls a type -> what the documentation does."""

_PATTERNS = {
    NAME: "letters, digits and _.-, the first of them a letter or digit",
    PRINTABLE: "text without line breaks and other control characters",
}
"""What a text has to look like, in words."""


_UNION_TAGS = ("int", "float", "str", "constrained-int", "constrained-float")


def _key(location: tuple[str | int, ...], table: Any) -> str:
    """Write the place of a problem as a dotted key, without pydantic's names of alternatives.

    Items of a list are told by their names, and those without by their places, from 1:
    `arms.local.steps`, `drift[1].kind`.
    """
    parts: list[str] = []
    inner: Any = table
    for part in location:
        if isinstance(inner, dict) and (part in inner or not parts):
            inner = inner.get(part)
        elif isinstance(inner, list) and isinstance(part, int) and part < len(inner):
            inner = inner[part]
            if not isinstance(inner, dict) or "name" not in inner:
                parts[-1] += f"[{part + 1}]"
                continue
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
        if isinstance(method, str) and (method in METHODS or method_plugin(method)):
            return keys_of(method)
    if location[0] == "drift" and len(location) == 3 and isinstance(location[1], int):
        kind = table["drift"][location[1]].get("kind")
        if isinstance(kind, str) and (kind in KINDS or drift_plugin(kind)):
            return drift_keys_of(kind)
    model: Any = Scenario
    for part in location[:-1]:
        if isinstance(part, str):
            field = model.model_fields[part].annotation
            model = get_args(field)[0] if get_origin(field) is list else field
    return [field.alias or name for name, field in model.model_fields.items()]

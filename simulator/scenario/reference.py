"""The reference of every key of a scenario file, as Markdown, written from the schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.scenario.owners import (
    IN_WORDS,
    arm_defaults,
    arm_owners,
    drift_defaults,
    drift_owners,
)
from simulator.scenario.schema import default_text, definition_of, plain_schema, schema_text

__all__ = ["PAGE", "SCHEMA", "Key", "filled", "keys", "main"]

PAGE = Path("docs/scenarios.md")
SCHEMA = Path("scenarios/schema.json")

_PLACE = re.compile(r"(<!-- keys of (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
_TOP = "scenario"
"""What the page calls the keys outside of all tables."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a scenario file.

    Attributes:
        table: in which it stands, "scenario" for none.
        name: its own name.
        takes: what it may be, in words.
        default: what it is unless said: in TOML, or in words where `in_words`, such as "needed".
        in_words: whether the default is no value of TOML.
        owners: for which methods, or kinds of drift, it is.
        sentence: what it means.
    """

    table: str
    name: str
    takes: str
    default: str
    in_words: bool
    owners: str
    sentence: str


def keys() -> list[Key]:
    """Return every key, in the order of the schema."""
    schema = plain_schema()
    found = list(_keys_of(_TOP, schema))
    for table, one in schema["properties"].items():
        if name := definition_of(one):
            found += _keys_of(table, schema["$defs"][name])
    return found


def filled(page: str) -> str:
    """Return a page with the tables of keys put anew in the places that are marked for them.

    A place is `<!-- keys of TABLE -->`, on a line of its own, up to `<!-- end -->`.
    """
    tables: dict[str, list[Key]] = {}
    for key in keys():
        tables.setdefault(key.table, []).append(key)
    return _PLACE.sub(lambda at: f"{at[1]}\n{_markdown(tables[at[2]])}\n{at[3]}", page)


def main() -> None:
    """Write the reference into the page, and the JSON Schema, from the project's root."""
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    SCHEMA.write_text(schema_text(), encoding="utf-8")


def _keys_of(table: str, schema: dict[str, Any]) -> Iterator[Key]:
    """Yield the keys of one table, which is described by an object of the schema."""
    needed = schema.get("required", [])
    for name, one in schema["properties"].items():
        if definition_of(one):
            continue
        owners, default = "all", _default(one)
        if table == "arms":
            owners, default = arm_owners(name), default_text(arm_defaults(name))
        elif table == "drift":
            owners = drift_owners(name)
            default = default_text(drift_defaults(name)) or default
        said = "needed" if name in needed else IN_WORDS.get(table, {}).get(name, "")
        default, sentence = said or default, one.get("description", "")
        yield Key(table, name, _takes(one), default, bool(said), owners, sentence)


def _default(schema: dict[str, Any]) -> str:
    """Write the default of a key as TOML, nothing where there is none."""
    if schema.get("type") == "array":
        return default_text({"": schema.get("default", [])})
    return default_text({"": schema["default"]}) if "default" in schema else ""


def _takes(schema: dict[str, Any]) -> str:
    """Say in words what a key may be."""
    if "anyOf" in schema:
        return " or ".join(_takes(one) for one in schema["anyOf"])
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return ", ".join(json.dumps(one) for one in schema["enum"])
    kind = schema["type"]
    if kind == "array":
        least = f", {schema['minItems']} or more" if schema.get("minItems", 0) else ""
        return f"list ({_takes(schema['items'])}){least}"
    names = {"integer": "whole number", "number": "number", "string": "text", "object": "table"}
    return " ".join(filter(None, (names.get(kind, "true or false"), _bounds(schema))))


def _bounds(schema: dict[str, Any]) -> str:
    """Say between which bounds a number has to be."""
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f"{low:,.6g} to {high:,.10g}"
    parts = []
    if low is not None:
        parts.append(f"from {low:,.6g}")
    if above is not None:
        parts.append(f"above {above:,.6g}")
    if high is not None:
        parts.append(f"up to {high:,.10g}")
    if below is not None:
        parts.append("below 2⁶³" if below == 2**63 else f"below {below:,.6g}")
    return ", ".join(parts)


def _markdown(rows: list[Key]) -> str:
    """Write keys of one table as a table of Markdown."""
    shared = all(row.owners == "all" for row in rows)
    head = ["key", *([] if shared else ["belongs to"]), "takes", "default", "meaning"]
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for row in rows:
        owners = [] if shared else [row.owners]
        default = row.default if row.in_words else f"`{row.default}`"
        cells = [f"`{row.name}`", *owners, row.takes, default, row.sentence]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()

"""The JSON Schema of scenario files, by which editors complete, explain and check them."""

from __future__ import annotations

import json
from typing import Any

from clients.methods import METHODS
from simulator.scenario.drift_table import KINDS
from simulator.scenario.owners import (
    IN_WORDS,
    arm_defaults,
    arm_owners,
    drift_defaults,
    drift_owners,
)
from simulator.scenario.scenario import Scenario

__all__ = ["default_text", "definition_of", "plain_schema", "scenario_schema", "schema_text"]


def schema_text() -> str:
    """Write the JSON Schema of scenario files."""
    return json.dumps(scenario_schema(), indent=1, ensure_ascii=False) + "\n"


def scenario_schema() -> dict[str, Any]:
    """Return the JSON Schema of scenario files.

    It allows all that one key may be by itself; what is impossible together, and what belongs to
    other methods or kinds, `wearfleet validate` tells. Draft 7 counts 1.0 as an integer (`seed =
    1.0`), and in some validators, such as Python's, `$` matches before a last line break (names);
    `wearfleet validate` refuses both.
    """
    schema = plain_schema()
    for table, name, owners, defaults in (
        ("arms", "Arm", arm_owners, arm_defaults),
        ("drift", "DriftTable", drift_owners, drift_defaults),
    ):
        for key, one in schema["$defs"][name]["properties"].items():
            if owners(key) != "all":
                one["description"] += f" For {owners(key)}."
            if defaults(key) and key not in IN_WORDS[table]:
                one["description"] += f" Default: {default_text(defaults(key))}."
    for table, told in IN_WORDS.items():
        name = definition_of(schema["properties"].get(table, {}))
        own = schema["$defs"][name] if name else schema
        for key, words in told.items():
            own["properties"][key]["description"] += f" Default: {words}."
    return {"$schema": "http://json-schema.org/draft-07/schema#", **schema}


def plain_schema() -> dict[str, Any]:
    """Return what pydantic knows of the schema, in terms of TOML: there is no null in it.

    Of methods and kinds of drift it knows those that are built in.
    """
    schema: dict[str, Any] = _tidied(Scenario.model_json_schema())
    schema["title"] = "A scenario of Wearfleet"
    tables = schema["$defs"]
    for table, key, names in (("Arm", "method", METHODS), ("DriftTable", "kind", KINDS)):
        tables[table]["properties"][key] |= {"enum": list(names), "type": "string"}
        tables[table]["additionalProperties"] = False
    users = tables["Data"]["properties"]["users"]["anyOf"]
    for one in users:
        if one["type"] == "array":  # ids that are numbers are read as text
            one["items"] = {"anyOf": [one["items"], {"type": "integer"}]}
    return schema


def definition_of(schema: dict[str, Any]) -> str:
    """Return the name of the definition of a key that is a table, or a list of tables."""
    reference = schema.get("$ref") or schema.get("items", {}).get("$ref", "")
    return str(reference).rpartition("/")[2]


def _tidied(node: Any, *, of_keys: bool = False) -> Any:
    """Take out titles and nulls, and put descriptions on one line.

    Args:
        node: a part of the schema.
        of_keys: whether it maps keys of a scenario to their schemas.
    """
    if isinstance(node, list):
        return [_tidied(one) for one in node if one != {"type": "null"}]
    if not isinstance(node, dict):
        return node
    tidy: dict[str, Any] = {}
    for key, value in node.items():
        if of_keys:
            tidy[key] = _tidied(value)
        elif key == "description":
            tidy[key] = " ".join(value.split())
        elif key == "default" and (value is None or isinstance(value, dict)):
            continue
        elif key != "title":
            tidy[key] = _tidied(value, of_keys=key in ("properties", "$defs"))
    if not of_keys and len(tidy.get("anyOf", [])) == 1:
        tidy |= tidy.pop("anyOf")[0]
    return tidy


def default_text(defaults: dict[str, Any]) -> str:
    """Write what a key is unless said: one value, or each with the methods or kinds that set it."""
    owners: dict[str, list[str]] = {}
    for owner, value in defaults.items():
        owners.setdefault(json.dumps(_plain(value)), []).append(owner)
    if len(owners) == 1:
        return next(iter(owners))
    return ", ".join(f"{text} ({', '.join(names)})" for text, names in owners.items())


def _plain(value: Any) -> Any:
    """Write whole numbers without a point."""
    return int(value) if isinstance(value, float) and value.is_integer() else value

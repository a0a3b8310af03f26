"""Defaults of a scenario that depend on other keys of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simulator.scenario.drift_table import defaults_of_kind
from simulator.scenario.options import REACTIONS
from simulator.scenario.scenario import FEATURE_ROWS
from simulator.scenario.ways import own_keys, strategy_of

__all__ = ["with_defaults", "without_defaults"]


def with_defaults(table: dict[str, Any]) -> dict[str, Any]:
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


def without_defaults(table: dict[str, Any]) -> dict[str, Any]:
    """Take out what `with_defaults` fills in again, so that it follows keys that change."""
    first = table["arms"][0]["name"]
    bare = {key: value for key, value in table.items() if key != "baseline" or value != first}
    bare["drift"] = [_bare(drift, _resolved_drift) for drift in table.get("drift", [])]
    bare["arms"] = [_bare(arm, lambda arm: _resolved_arm(arm, table)) for arm in table["arms"]]
    fixed: dict[str, dict[str, Any]] = {"model": {"program": "features"}, **FEATURE_ROWS}
    candidates = table["model"].get("candidates")
    if candidates:
        fixed = {"model": {"program": candidates[0]}}
    elif table["data"]["source"] != "wisdm-v1.1-features":
        fixed = {}
    for section, keys in fixed.items():
        own = bare[section].items()
        bare[section] = {key: value for key, value in own if keys.get(key) != value}
    return bare


def _bare(table: dict[str, Any], resolved: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """Take out the keys of a table that come back by themselves."""
    own = dict(table)
    for key, value in table.items():
        rest = {name: kept for name, kept in table.items() if name != key}
        if key in ("name", "method", "kind") or resolved(rest).get(key) != value:
            continue
        del own[key]
    return own


def _resolved_drift(drift: Any) -> Any:
    """Fill in the defaults that a drift's kind has."""
    if not isinstance(drift, dict):
        return drift
    return {**defaults_of_kind(str(drift.get("kind"))), **drift}


def _resolved_arm(arm: Any, table: dict[str, Any]) -> Any:
    """Fill in the defaults that an arm's method has."""
    if not isinstance(arm, dict) or not isinstance(arm.get("method"), str):
        return arm
    method = arm["method"]
    defaults = dict(own_keys(method))
    reaction = arm.get("reaction")
    if isinstance(reaction, str) and reaction in REACTIONS:
        detectors = table.get("detectors")
        first = detectors[0] if isinstance(detectors, list) and detectors else None
        if isinstance(first, dict):
            defaults["detector"] = first.get("kind")
        defaults |= REACTIONS[reaction]
    if strategy_of(method):
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

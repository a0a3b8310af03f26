"""Defaults of a scenario that depend on other keys of it."""

from __future__ import annotations

from typing import Any

from simulator.drift_table import defaults_of_kind
from simulator.options import REACTIONS
from simulator.scenario import FEATURE_ROWS
from simulator.ways import own_keys, strategy_of

__all__ = ["with_defaults"]


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

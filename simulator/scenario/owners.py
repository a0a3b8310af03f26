"""To whom a key of an arm or of a drift belongs, and what it is there unless said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clients.methods import METHODS
from simulator.scenario.arm import keys_of
from simulator.scenario.defaults import with_defaults
from simulator.scenario.drift_table import KINDS, drift_keys_of
from simulator.scenario.options import LEARNING, REACTIONS, SHARING

__all__ = ["IN_WORDS", "arm_defaults", "arm_owners", "drift_defaults", "drift_owners"]

_GROUPS: Mapping[str, tuple[str, ...]] = {
    "all": tuple(METHODS),
    "those that learn": LEARNING,
    "those that learn, but `pooled`": ("local", *SHARING),
    "those with a server": SHARING,
    "those with a server, but `dpfedavg`": tuple(m for m in SHARING if m != "dpfedavg"),
}
"""What many methods are called together."""


IN_WORDS: Mapping[str, Mapping[str, str]] = {
    "scenario": {"baseline": "the first arm"},
    "labels": {"budget": "none"},
    "model": {"chosen": "what donors choose"},
    "arms": {
        "switch_round": "needed",
        "private": "the program's head; of `fedbn` its normalising layers",
        "steps": "`learning.steps`",
        "memory": "`learning.memory`",
        "optimizer": "`model.optimizer`",
        "learning_rate": "`model.learning_rate`",
        "head_steps": "all steps but one",
        "reaction": "none",
        "detector": "the first of `[[detectors]]`",
        "tuned": "none",
    },
    "drift": {"activity": "needed", "activities": "needed"},
}
"""Table -> key -> what it is unless said, where that is no value of its own."""


def arm_owners(key: str) -> str:
    """Say for which methods a key is."""
    owners = {method for method in METHODS if key in keys_of(method)}
    for words, methods in _GROUPS.items():
        if owners == set(methods):
            return words
    return ", ".join(f"`{method}`" for method in METHODS if method in owners)


def arm_defaults(key: str) -> dict[str, Any]:
    """Return what a key is unless said, by method or by reaction where these set it."""
    found = {name: own[key] for name, own in REACTIONS.items() if key in own}
    for method in METHODS:
        for choice in ({}, {"choice": "loss"}):
            arm = with_defaults({"arms": [{"name": "a", "method": method, **choice}]})["arms"][0]
            if key in arm and key not in ("name", "method", *choice) and key in keys_of(method):
                found.setdefault(method, arm[key])
    return found


def drift_owners(key: str) -> str:
    """Say for which kinds of drift a key is."""
    owners = [kind for kind in KINDS if key in drift_keys_of(kind)]
    return "all" if len(owners) == len(KINDS) else ", ".join(f"`{kind}`" for kind in owners)


def drift_defaults(key: str) -> dict[str, Any]:
    """Return what a key is unless said, by kind of drift where these set it."""
    return {kind: own[key] for kind, own in KINDS.items() if key in own}

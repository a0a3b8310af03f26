"""To whom a key of an arm or of a drift belongs, and what it is there unless said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clients.methods import METHODS
from simulator.scenario.arm import keys_of
from simulator.scenario.defaults import with_defaults
from simulator.scenario.drift_table import KINDS, drift_keys_of
from simulator.scenario.options import LEARNING, REACTIONS, SHARING

__all__ = ["arm_defaults", "arm_owners", "drift_defaults", "drift_owners"]

_GROUPS: Mapping[str, tuple[str, ...]] = {
    "all": tuple(METHODS),
    "those that learn": LEARNING,
    "those that learn, but `pooled`": ("local", *SHARING),
    "those with a server": SHARING,
    "those with a server, but `dpfedavg`": tuple(m for m in SHARING if m != "dpfedavg"),
}
"""What many methods are called together."""


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

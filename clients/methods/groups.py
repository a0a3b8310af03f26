"""Groups of named arrays: what a device is, and what crosses the network.

On the network a group's arrays are named `<group>/<array>`, but for those of the group
"parameters", which keep their own names.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from clients.methods.late import tf
from clients.naming import is_statistic, slot_of

__all__ = [
    "CARRIED",
    "PARAMETERS",
    "SLOTS",
    "Groups",
    "flat",
    "fresh",
    "mixed",
    "nested",
    "plus",
    "prefix_of",
]

Group = Mapping[str, Any]
Groups = Mapping[str, Group]

PARAMETERS, SLOTS, CARRIED = "parameters", "slots", "state"
_PROGRAM = {PARAMETERS: "program/params/", SLOTS: "program/slots/", CARRIED: "program/state/"}


def prefix_of(group: str) -> str:
    """Return how the names of a group's arrays begin in the checkpoint of a cohort.

    Those of the program are followed by their names in its SavedModel.
    """
    return _PROGRAM.get(group, f"method/{group}/")


def flat(groups: Groups) -> dict[str, Any]:
    """Name the arrays of all groups as the network does."""
    return {
        name if group == PARAMETERS else f"{group}/{name}": value
        for group, arrays in groups.items()
        for name, value in arrays.items()
    }


def nested(arrays: Group, groups: Collection[str]) -> dict[str, dict[str, Any]]:
    """Put arrays with the network's names back into their groups.

    Args:
        arrays: as `flat` returns them.
        groups: names of the groups that there are.
    """
    found: dict[str, dict[str, Any]] = {group: {} for group in groups}
    prefixes = {f"{group}/": group for group in groups if group != PARAMETERS}
    for name, value in arrays.items():
        prefix = next((prefix for prefix in prefixes if name.startswith(prefix)), "")
        found[prefixes.get(prefix, PARAMETERS)][name.removeprefix(prefix)] = value
    return found


def fresh(slots: Group, names: Collection[str] | None = None) -> dict[str, Any]:
    """Let an optimizer start afresh for some parameters, or for all; its learning rate stays."""
    return {
        slot: tf.zeros_like(value) if _keeps_of(slot, names) else value
        for slot, value in slots.items()
    }


def _keeps_of(slot: str, names: Collection[str] | None) -> bool:
    of = slot_of(slot)
    return of is not None and (names is None or of in names)


def plus(gradients: Group, weight: Any, ours: Group, theirs: Group) -> dict[str, Any]:
    """Add the gradient of weight / 2 times the squared distance of ours from theirs."""
    return {
        name: gradient if is_statistic(name) else gradient + weight * (ours[name] - theirs[name])
        for name, gradient in gradients.items()
    }


def mixed(share: Any, ours: Group, theirs: Group) -> dict[str, Any]:
    """Mix two models, share [D] of ours and the rest of theirs; whole shares are exact."""
    return {name: _mix(share, value, theirs[name]) for name, value in ours.items()}


def _mix(share: Any, ours: Any, theirs: Any) -> Any:
    each = tf.reshape(share, [-1, *[1] * (len(ours.shape) - 1)])
    return each * ours + (1.0 - each) * theirs

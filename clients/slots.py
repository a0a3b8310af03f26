"""What an optimizer keeps of a parameter is named `<slot>/<parameter>`."""

from __future__ import annotations

__all__ = ["slot_of"]


def slot_of(slot: str) -> str | None:
    """Return the parameter of which a slot keeps something, None for the learning rate."""
    return slot.partition("/")[2] or None

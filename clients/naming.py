"""What the names of arrays tell."""

from __future__ import annotations

__all__ = ["is_statistic", "slot_of"]


def slot_of(slot: str) -> str | None:
    """Return the parameter of which a slot keeps something, None for the learning rate.

    What an optimizer keeps of a parameter is named `<slot>/<parameter>`.
    """
    return slot.partition("/")[2] or None


def is_statistic(name: str) -> bool:
    """Tell a running statistic of a normalising layer from what is learnt by its gradient.

    It is a parameter like others to whatever sends, mixes or keeps parameters. Its "gradient" is
    the move that a step makes, which no optimizer, proximal term or correction changes.
    """
    return name.rpartition("/")[2].startswith("running_")

"""All that is wrong with a table at once, where one mistake does not hide another."""

from __future__ import annotations

__all__ = ["Impossible", "refuse"]


class Impossible(ValueError):
    """Keys that do not go together.

    Attributes:
        told: a message for each mistake.
    """

    def __init__(self, *told: str) -> None:
        super().__init__("\n".join(told))
        self.told = told


def refuse(*told: str) -> None:
    """Refuse a table of which something was told.

    Raises:
        Impossible: with each message once.
    """
    if told:
        raise Impossible(*dict.fromkeys(told))

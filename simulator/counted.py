"""How many of something, in words."""

from __future__ import annotations

__all__ = ["counted"]


def counted(number: float, one: str, several: str = "") -> str:
    """Write how many of something: "1 round", "1,200 rounds", "2 people"; in the plural, an "s"."""
    return f"{number:,.0f} {one if number == 1 else several or f'{one}s'}"

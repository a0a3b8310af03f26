"""Which arm `worse_than_local` holds the others against."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["local_of"]


def local_of(methods: Mapping[str, str]) -> str | None:
    """Name the arm `local`, or else the first of that method; None without any.

    Args:
        methods: of arms, by their names, in the scenario's order.
    """
    locals_ = [arm for arm, method in methods.items() if method == "local"]
    return "local" if "local" in locals_ else next(iter(locals_), None)

"""A SavedModel in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from clients.program import Program
from clients.trial import takes

__all__ = ["inspect_program"]


def inspect_program(path: Path, *, trusted: bool = False) -> Sequence[tuple[str, str]]:
    """Describe a SavedModel: rows of (what, value), in reading order.

    Args:
        path: its folder.
        trusted: whether it may hold ops that can do more than compute.

    Raises:
        BadProgram: it breaks the contract.
    """
    program = Program(path, trusted=trusted)
    state, parameters = program.read_state(), program.read_parameters()
    sizes = {name: value.size for name, value in parameters.items()}
    learns, classes = takes(program)
    rows = [
        ("path", str(path)),
        ("window", f"{_samples(program.length)} x {program.channels} channels"),
        ("learns", learns),
        ("classes", classes),
        ("activities", ", ".join(program.activities or ("no table inside",))),
        ("parameters", f"{sum(sizes.values()):,} in {len(sizes)} arrays"),
    ]
    rows += [(f"  {name}", str(value.shape)) for name, value in parameters.items()]
    rows.append(("other variables", f"{len(state) - len(sizes)}"))
    return [*rows, ("signatures", ", ".join(program.signatures))]


def _samples(count: int) -> str:
    return f"{count} samples" if count > 1 else "single samples"

"""What several commands take and need."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clients.errors import BadInput
from simulator.hush import hushed

__all__ = ["FileArgument", "SetOption", "TrustOption", "need_run", "start_tensorflow"]


FileArgument = Annotated[Path, typer.Argument(help="A scenario file, in TOML.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="key=value; overrides any key, such as stream.rounds=5."),
]
TrustOption = Annotated[
    bool,
    typer.Option(
        "--trust-program",
        help="Load a SavedModel of others whatever its ops do; see docs/security.md.",
    ),
]


def start_tensorflow() -> None:
    """Load TensorFlow without its noise."""
    with hushed():
        from simulator.worker import use_one_thread

        use_one_thread()


def need_run(folder: Path) -> None:
    """Refuse a folder that is no run's."""
    if not (folder / "scenario.toml").is_file():
        raise BadInput(
            f"{folder}: no run folder (no scenario.toml in it); give one, as runs/<name>"
        )

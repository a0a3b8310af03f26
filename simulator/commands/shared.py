"""What several commands take and need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from safetensors import SafetensorError

from clients.containment import need_contained
from clients.errors import BadInput
from simulator.process.hush import hushed
from simulator.scenario.shipped import named_scenario, shipped_scenarios

__all__ = ["FileArgument", "SetOption", "TrustOption", "need_run", "records_of", "start_tensorflow"]


def _scenarios_of(begun: str) -> list[str]:
    """Return what a word may become: scenarios that come along, files and folders that are here."""
    place = Path(begun) if begun.endswith("/") else Path(begun).parent
    own = [path for path in place.glob("[!.]*") if path.suffix == ".toml" or path.is_dir()]
    texts = [path.stem for path in shipped_scenarios().glob("*.toml")]
    texts += [f"{path}/" if path.is_dir() else str(path) for path in own]
    return sorted(text for text in texts if text.startswith(begun))


FileArgument = Annotated[
    Path,
    typer.Argument(
        help="A scenario file, in TOML, or the name of one that comes along.",
        callback=named_scenario,
        autocompletion=_scenarios_of,
    ),
]
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
        from simulator.cohort.worker import use_one_thread

        use_one_thread()


def need_run(folder: Path) -> None:
    """Refuse a folder that is no run's, or that leads out of itself.

    Raises:
        BadInput: it is.
    """
    if not (folder / "scenario.toml").is_file():
        raise BadInput(
            f"{folder}: no run folder (no scenario.toml in it); give one, as runs/<name>"
        )
    need_contained(folder)


@contextmanager
def records_of(folder: Path) -> Iterator[None]:
    """Take whatever goes wrong for damage to the records of a run, which a stranger may have sent.

    What can be checked is checked where it is read; records that fit no run in other ways show
    when they are put together.

    Raises:
        BadInput: something went wrong.
    """
    try:
        yield
    except (
        ArithmeticError, AttributeError, LookupError, SafetensorError, TypeError, ValueError,
    ) as error:  # fmt: skip
        raise BadInput(
            f"{folder}: its records do not fit together ({error!r:.200}); put back what the run "
            "wrote"
        ) from error

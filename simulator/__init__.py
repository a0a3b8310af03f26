"""What exists only because this is a simulation: scenarios, fleets, runs and reports.

    from simulator import Scenario, load_run, recordings_of, run

What these need is loaded when they are first used. Plug-ins say their keys as a `Section`.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulator.api import load_run, run
    from simulator.given_windows import recordings_of
    from simulator.scenario.scenario import Scenario
    from simulator.scenario.sections import Section

__all__ = ["Scenario", "Section", "load_run", "recordings_of", "run"]

_HOMES = {
    "Scenario": "simulator.scenario.scenario",
    "Section": "simulator.scenario.sections",
    "load_run": "simulator.api",
    "recordings_of": "simulator.given_windows",
    "run": "simulator.api",
}


def _need_own(*packages: str) -> None:
    """Refuse to work where packages of somebody else stand before those that belong to this one.

    Raises:
        ImportError: they do.
    """
    home = Path(__file__).resolve().parents[1]
    for name in packages:
        spec = find_spec(name)
        found = None if spec is None or spec.origin is None else Path(spec.origin).resolve()
        if found != home / name / "__init__.py":
            raise ImportError(
                f"the package `{name}` of Wearfleet is at {home / name}, but Python finds "
                f"{found or 'none with an __init__.py'} first; start Python in another folder, or "
                "with `-P`, which leaves out the folder that it runs in"
            )


_need_own("clients", "server")


def __getattr__(name: str) -> Any:
    """Load what is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'simulator' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

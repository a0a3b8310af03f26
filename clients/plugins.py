"""What other packages add: models, methods, strategies and kinds of drift, found by entry points.

A package names them in its `pyproject.toml`, such as a model in

    [project.entry-points."wearfleet.models"]
    narrow = "their_package.narrow:Narrow"

They are listed when a name is not a built-in one, and imported when a scenario names them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from clients.errors import BadInput, BadPlugin

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clients.drift import Change
    from clients.methods.method import Method, MethodOptions
    from clients.variation import Variations

__all__ = [
    "DRIFT",
    "METHODS",
    "MODELS",
    "STRATEGIES",
    "DriftPlugin",
    "MethodPlugin",
    "asked",
    "faulty",
    "kind_of",
    "load_plugin",
    "plainest",
    "plugin_names",
    "plugin_of",
]

MODELS, METHODS = "wearfleet.models", "wearfleet.methods"
STRATEGIES, DRIFT = "wearfleet.strategies", "wearfleet.drift"

_LONGEST = 200  # of what a plug-in's own error says

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}")


@dataclass(frozen=True, slots=True)
class MethodPlugin:
    """A way of learning that another package adds.

    Attributes:
        device: its half on the device.
        strategy: the name of its half on the server: of a built-in method with a server, or of the
            group `wearfleet.strategies`; empty for one without a server.
        keys: a subclass of `simulator.Section` whose fields are the keys that an arm may
            have for it, each with a default; None for none.
        private: whether it keeps some of a model's parameters on the device, as `private` says.
        personal: whether devices answer with parameters that no download replaces.
    """

    device: Callable[[MethodOptions], Method]
    strategy: str = ""
    keys: type[Any] | None = None
    private: bool = False
    personal: bool = False


@dataclass(frozen=True, slots=True)
class DriftPlugin:
    """A drift of the signal that another package adds.

    Attributes:
        signal: (what devices measure, the drift, draws [D, 3] in [0, 1)) -> what they measure
            under it.
        keys: a subclass of `simulator.Section` whose fields are the numbers that say how
            strong it is, each with a default; None for none.
        of_time: whether it changes how samples follow one another.
    """

    signal: Callable[[Variations, Change, NDArray[Any]], Variations]
    keys: type[Any] | None = None
    of_time: bool = False


def plugin_names(group: str, built_in: Collection[str]) -> tuple[str, ...]:
    """Return the names that packages add to a group, in order.

    Args:
        group: of entry points.
        built_in: names that are taken.

    Raises:
        BadInput: a package takes a name that is not free, or none that a scenario can say.
    """
    listed = _listed(group)
    for name, point in listed.items():
        if name in built_in:
            raise BadInput(
                f"{_told(point)}: the name is a built-in one; its author must give another, and "
                f"until then uninstall {_distribution(point)[0]}"
            )
    return tuple(listed)


def plugin_of(group: str, name: str) -> tuple[str, str]:
    """Return the distribution that adds a name to a group, and its version."""
    return _distribution(_listed(group)[name])


def load_plugin(group: str, name: str, kind: type[Any] | None = None) -> Any:
    """Import what a package adds under a name.

    Args:
        group: of entry points.
        name: among `plugin_names`.
        kind: what it must be; None for something to call.

    Raises:
        BadInput: it cannot be imported, or is something else.
    """
    point = _listed(group)[name]
    found = _imported(group, name)
    if not (callable(found) if kind is None else isinstance(found, kind)):
        wanted = "something to call" if kind is None else f"a {kind.__name__}"
        raise BadInput(
            f"{_told(point)}: {point.value} is {kind_of(found)}; expected {wanted}; "
            f"repair or uninstall {_distribution(point)[0]}"
        )
    return found


def kind_of(value: object) -> str:
    """Name the type of a value, with its article."""
    name = type(value).__name__
    return "nothing" if value is None else f"{'an' if name[0] in 'aeiouAEIO' else 'a'} {name}"


def plainest(error: BadInput) -> BadInput:
    """Return an error as it was raised, before TensorFlow, which traced it, added how it came.

    Args:
        error: any.
    """
    if not isinstance(error, BadPlugin):
        return error
    told, one = str(error), error.__context__
    while one is not None:
        told, one = (str(one) if isinstance(one, BadPlugin) else told), one.__context__
    return BadPlugin(told)


def faulty(group: str, name: str, found: str) -> BadPlugin:
    """Return the error that a plug-in does not do what it must.

    Args:
        group: of entry points.
        name: among `plugin_names`.
        found: what it does instead, and what is expected.
    """
    point = _listed(group)[name]
    told = " ".join(found.split())
    return BadPlugin(f"{_told(point)}: {told}; repair or uninstall {_distribution(point)[0]}")


def asked(group: str, name: str, what: str, call: Callable[..., Any], *given: Any) -> Any:
    """Call something of a plug-in.

    Args:
        group: of entry points.
        name: among `plugin_names`.
        what: is called, for the error.
        call: it.
        given: its arguments.

    Raises:
        BadInput: it raised something, or would end the process.
    """
    try:
        return call(*given)
    except BadPlugin:  # which names whom it is of
        raise
    except (Exception, SystemExit) as error:  # whatever a module of others raises
        told = f"{type(error).__name__}: {' '.join(str(error).split()):.{_LONGEST}}"
        raise faulty(group, name, f"{what} fails ({told})") from error


@cache
def _imported(group: str, name: str) -> Any:
    """Import what an entry point names."""
    point = _listed(group)[name]
    try:
        return point.load()
    except (Exception, SystemExit) as error:  # whatever a module of others raises
        raise BadInput(
            f"{_told(point)}: {point.value} cannot be imported ({type(error).__name__}: "
            f"{' '.join(str(error).split()):.{_LONGEST}}); repair or uninstall "
            f"{_distribution(point)[0]}"
        ) from error


@cache
def _listed(group: str) -> Mapping[str, EntryPoint]:
    """List what packages add to a group, in order of name."""
    listed: dict[str, EntryPoint] = {}
    for point in sorted(entry_points(group=group), key=lambda point: point.name):
        other = listed.setdefault(point.name, point)
        if _distribution(other) != _distribution(point):
            raise BadInput(
                f"{_told(point)}: {_distribution(other)[0]} adds the same name; uninstall one"
            )
        if not _NAME.fullmatch(point.name):
            raise BadInput(
                f"{_told(point)}: expected a name of small letters, digits, _ and -; uninstall "
                f"{_distribution(point)[0]}"
            )
    return listed


def _distribution(point: EntryPoint) -> tuple[str, str]:
    """Return the name and version of the distribution that an entry point is of."""
    of = point.dist
    return ("an unknown package", "") if of is None else (of.name, of.version)


def _told(point: EntryPoint) -> str:
    """Name a plug-in, and who brings it."""
    name, version = _distribution(point)
    return f"plug-in {point.name!r} ({point.group}) of {name} {version}".rstrip()

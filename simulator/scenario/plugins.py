"""What a scenario may name beside what is built in: methods, drifts and models of other packages.

A method and a drift are imported where a scenario that names them is read, since their keys are
checked then; a model by the workers that compute it, a strategy by the server's side.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticKnownError

from clients.drift import SIGNALS
from clients.errors import BadInput
from clients.plugins import (
    DRIFT,
    METHODS,
    MODELS,
    STRATEGIES,
    DriftPlugin,
    MethodPlugin,
    load_plugin,
    plugin_names,
    plugin_of,
)
from clients.stream_drift import STREAM_DRIFTS
from simulator.scenario import options
from simulator.scenario.sections import Section

if TYPE_CHECKING:
    from simulator.scenario.scenario import Scenario

__all__ = [
    "defaults_of",
    "drift_plugin",
    "in_place",
    "known_name",
    "method_plugin",
    "need_plugins",
    "plugins_of",
    "taken_in",
]

S = TypeVar("S", bound=Section)

BUILT_IN = {METHODS: options.METHODS, DRIFT: (*SIGNALS, *STREAM_DRIFTS)}
"""Group of entry points -> the names that are taken in it."""


@cache
def method_plugin(name: str) -> MethodPlugin | None:
    """Return a method that another package adds; None where none adds it.

    Raises:
        BadInput: it cannot be used.
    """
    if name not in plugin_names(METHODS, options.METHODS):
        return None
    found: MethodPlugin = load_plugin(METHODS, name, MethodPlugin)
    there = (*options.SHARING, *plugin_names(STRATEGIES, options.SHARING))
    if found.strategy and (found.strategy not in there or found.strategy == "dpfedavg"):
        raise BadInput(
            f"{_told(METHODS, name)}: strategy = {found.strategy!r}; expected one of: "
            f"{', '.join(one for one in there if one != 'dpfedavg')}"
        )
    needed = options.OWN_KEYS.get(found.strategy, {}).keys()
    lacking = sorted(needed - defaults_of(METHODS, name, found.keys).keys())
    if lacking:
        raise BadInput(
            f"{_told(METHODS, name)}: its strategy {found.strategy!r} needs {lacking[0]!r} among "
            "its keys"
        )
    return found


@cache
def drift_plugin(name: str) -> DriftPlugin | None:
    """Return a kind of drift that another package adds; None where none adds it.

    Raises:
        BadInput: it cannot be used.
    """
    if name not in plugin_names(DRIFT, BUILT_IN[DRIFT]):
        return None
    found: DriftPlugin = load_plugin(DRIFT, name, DriftPlugin)
    return found


def known_name(value: Any, group: str) -> str:
    """Take a name that is built in or added.

    Raises:
        PydanticKnownError: it is none; the message says which there are.
    """
    names = (*BUILT_IN[group], *plugin_names(group, BUILT_IN[group]))
    if isinstance(value, str) and value in names:
        return value
    told = [repr(name) for name in names]
    raise PydanticKnownError("literal_error", {"expected": f"{', '.join(told[:-1])} or {told[-1]}"})


def defaults_of(group: str, name: str, keys: type[Any] | None) -> Mapping[str, Any]:
    """Return the keys that a plug-in adds, and their defaults.

    Raises:
        BadInput: they are not declared as they must be.
    """
    if keys is None:
        return {}
    kinds = (bool, int, float, str) if group == METHODS else (int, float)
    try:
        found: dict[str, Any] = keys().model_dump(by_alias=True)
        fits = issubclass(keys, Section) and all(isinstance(v, kinds) for v in found.values())
    except Exception:  # whatever a class of others raises
        fits = False
    if not fits:
        allowed = "numbers, texts or flags" if group == METHODS else "numbers"
        raise BadInput(
            f"{_told(group, name)}: its keys must be a subclass of simulator.Section "
            f"whose fields have defaults that are {allowed}"
        )
    return found


def taken_in(
    table: Any,
    handler: Callable[[Any], S],
    known: Collection[str],
    own: type[Any] | None,
    about: tuple[str, str],
) -> S:
    """Validate a table some of whose keys a plug-in adds.

    Args:
        table: as TOML has it.
        handler: validates the keys that are built in, and lets others pass.
        known: those keys.
        own: of the plug-in that the table names, if it names one.
        about: the group and the name of that plug-in.

    Raises:
        ValidationError: a key is unknown, or its value is not allowed.
    """
    if not isinstance(table, dict):
        return handler(table)
    added = set() if own is None else set(defaults_of(*about, own))
    problems: list[Any] = []
    given = {key: table[key] for key in added & table.keys()}
    try:
        checked = {} if own is None else own.model_validate(given)
        table = {**table, **{key: getattr(checked, key) for key in given}}
    except ValidationError as error:
        problems += error.errors()
    problems += [
        {"type": "extra_forbidden", "loc": (key,), "input": value, "msg": ""}
        for key, value in table.items()
        if key not in known and key not in added
    ]
    try:
        made = handler(table)
    except ValidationError as error:
        raise in_place([*error.errors(), *problems], error.title) from None
    if problems:
        raise in_place(problems, "keys")
    return made


def in_place(problems: Collection[Any], title: str, *place: str | int) -> ValidationError:
    """Put problems together, said to lie in a table inside of the one that is validated."""
    return ValidationError.from_exception_data(
        title,
        [
            InitErrorDetails(
                type=problem["type"],
                loc=(*place, *problem["loc"]),
                input=problem["input"],
                ctx=problem.get("ctx", {}),
            )
            for problem in problems
        ],
    )


def plugins_of(scenario: Scenario) -> dict[str, str]:
    """Return the distributions that add something that a scenario names, and their versions."""
    found = []
    for arm in scenario.arms:
        plugin = method_plugin(arm.method)
        if plugin is not None:
            found.append((METHODS, arm.method))
            if plugin.strategy not in ("", *options.SHARING):
                found.append((STRATEGIES, plugin.strategy))
    found += [(DRIFT, table.kind) for table in scenario.drift if drift_plugin(table.kind)]
    added = plugin_names(MODELS, ())
    named = (scenario.model.program, *scenario.model.candidates)
    found += [(MODELS, name) for name in named if name in added]
    return dict(sorted(plugin_of(group, name) for group, name in found))


def need_plugins(manifest: Mapping[str, Any], folder: Path) -> None:
    """Refuse a run whose plug-ins are not installed.

    Args:
        manifest: of the run.
        folder: of the run, for the error.

    Raises:
        BadInput: a distribution is missing.
    """
    named = manifest.get("plugins", [])
    for name in named if isinstance(named, list) else []:
        try:
            version(str(name))
        except (PackageNotFoundError, ValueError):
            was = manifest.get("versions", {})
            told = was.get(name, "") if isinstance(was, dict) else ""
            raise BadInput(
                f"{folder}: the run began with the plug-in {name} {told}, which is not installed "
                "here; install it"
            ) from None


def _told(group: str, name: str) -> str:
    """Name a plug-in, and who brings it."""
    return f"plug-in {name!r} ({group}) of {' '.join(plugin_of(group, name))}"

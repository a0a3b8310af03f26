"""What is known of a way of learning by its name, whether it is built in or added."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from clients.plugins import METHODS
from simulator.scenario import options
from simulator.scenario.plugins import defaults_of, method_plugin

if TYPE_CHECKING:
    from clients.methods import Method, MethodOptions

__all__ = ["half_on_device", "is_personal", "keeps_private", "learns", "own_keys", "strategy_of"]


def own_keys(method: str) -> Mapping[str, Any]:
    """Return a method's own keys and their defaults."""
    plugin = method_plugin(method)
    if plugin is None:
        return options.OWN_KEYS.get(method, {})
    return defaults_of(METHODS, method, plugin.keys)


def strategy_of(method: str) -> str:
    """Return the name of a method's half on the server, empty where it has none."""
    if method in options.SHARING:
        return method
    plugin = method_plugin(method)
    return "" if plugin is None else plugin.strategy


def learns(method: str) -> bool:
    """Tell whether a method learns at all."""
    return method in options.LEARNING or method_plugin(method) is not None


def keeps_private(method: str) -> bool:
    """Tell whether a method keeps some parameters on the device, named by patterns."""
    plugin = method_plugin(method)
    return method in options.PRIVATE_PARTS if plugin is None else plugin.private


def is_personal(method: str) -> bool:
    """Tell whether its devices answer with parameters that no download replaces, in part."""
    plugin = method_plugin(method)
    return method in options.PERSONAL if plugin is None else plugin.personal


def half_on_device(method: str) -> Callable[[MethodOptions], Method]:
    """Return a method's half on the device."""
    from clients.methods import METHODS as BUILT_IN
    from clients.methods.added import checked_method

    plugin = method_plugin(method)
    return BUILT_IN[method] if plugin is None else checked_method(method, plugin.device)

"""A method of another package, of which whatever goes wrong names the package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from clients.methods.groups import Groups
from clients.methods.method import Method, MethodOptions
from clients.plugin_checks import unlike, unlike_shape
from clients.plugins import METHODS, asked, faulty, kind_of

__all__ = ["checked_method"]

_FIELDS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "learns": ("all, participants or nobody", lambda v: v in ("all", "participants", "nobody")),
    "downloads": (
        "all, participants, nobody or once",
        lambda v: v in ("all", "participants", "nobody", "once"),
    ),
    "uploads": ("True or False", lambda v: isinstance(v, bool)),
    "looks": ("True or False", lambda v: isinstance(v, bool)),
    "gradients": ("a whole number from 1", lambda v: type(v) is int and v >= 1),
    "clusters": ("a whole number from 0", lambda v: type(v) is int and v >= 0),
    "key": ("a tuple", lambda v: isinstance(v, tuple)),
    "numbers": ("numbers by name", lambda v: isinstance(v, Mapping)),
    **dict.fromkeys(("offer", "begin", "end", "start", "step"), ("a function", callable)),
}  # fmt: skip


def checked_method(
    name: str, device: Callable[[MethodOptions], Method]
) -> Callable[[MethodOptions], Method]:
    """Return a plug-in's half on the device, whose answers are looked at.

    Args:
        name: of the method.
        device: as the plug-in has it.
    """

    def checked(options: MethodOptions) -> Method:
        found = asked(METHODS, name, "its device", device, options)
        if not isinstance(found, Method):
            raise faulty(
                METHODS,
                name,
                f"its device returns {kind_of(found)}; expected a clients.methods.Method",
            )
        for field, (wanted, fits) in _FIELDS.items():
            if not fits(getattr(found, field)):
                told = f"{field} = {getattr(found, field)!r:.80}"
                raise faulty(METHODS, name, f"its device returns {told}; expected {wanted}")
        step = found.step if found.plain else _Checks(name, found).step
        every = _Checks(name, found)
        return replace(
            found, key=_key(name, found, options),
            offer=every.offer, begin=every.begin, end=every.end, start=every.start, step=step,
        )  # fmt: skip

    return checked


def _key(name: str, found: Method, options: MethodOptions) -> tuple[Any, ...]:
    """Tell steps apart that may differ: what is no number of the method's may be closed over."""
    closed = sorted((k, repr(v)) for k, v in options.values.items() if k not in found.numbers)
    return (METHODS, name, *closed, options.private, *found.key)


class _Checks:
    """The functions of a method, each of which looks at what the plug-in returns."""

    def __init__(self, name: str, method: Method) -> None:
        self._name, self._method = name, method

    def offer(self, params: Mapping[str, Any]) -> Groups:
        return self._groups("offer", self._ask("offer", params), {})

    def begin(self, shared: Groups, own: Groups, take: Any) -> Groups:
        return self._groups("begin", self._ask("begin", shared, own, take), own)

    def start(self, own: Groups, chance: Any) -> Groups:
        return self._groups("start", self._ask("start", own, chance), own)

    def end(self, own: Groups, shared: Groups) -> tuple[Groups, Groups, Mapping[str, Any]]:
        sent, kept, told = self._tuple("end", self._ask("end", own, shared), "sent, own, told")
        if not isinstance(told, Mapping):
            raise self._faulty("end", f"tells {kind_of(told)}; expected numbers by name")
        return self._groups("end", sent, {}), self._groups("end", kept, own), told

    def step(self, take: Any, own: Groups, shared: Groups) -> tuple[Groups, Any]:
        new, loss = self._tuple("step", self._ask("step", take, own, shared), "own, loss")
        told = unlike_shape(loss, [None])
        if told:
            raise self._faulty("step", f"returns a loss that {told} (devices)")
        return self._groups("step", new, own), loss

    def _ask(self, what: str, *given: Any) -> Any:
        return asked(METHODS, self._name, f"its {what}", getattr(self._method, what), *given)

    def _tuple(self, what: str, found: Any, wanted: str) -> Any:
        count = wanted.count(",") + 1
        if not isinstance(found, tuple) or len(found) != count:
            one = f"{len(found)} values" if isinstance(found, tuple) else kind_of(found)
            raise self._faulty(what, f"returns {one}; expected a tuple ({wanted})")
        return found

    def _groups(self, what: str, found: Any, before: Groups) -> Groups:
        told = unlike(found, before)
        if not told and not all(isinstance(arrays, Mapping) for arrays in found.values()):
            told = "has a group that is no arrays by name"
        if told:
            raise self._faulty(what, f"returns what {told}")
        groups: Groups = found
        return groups

    def _faulty(self, what: str, told: str) -> Exception:
        return faulty(METHODS, self._name, f"its {what} {told}")

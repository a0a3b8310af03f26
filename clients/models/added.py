"""An architecture of another package, of which whatever goes wrong names the package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients.plugin_checks import unlike_shape
from clients.plugins import MODELS, asked, faulty, kind_of, load_plugin

__all__ = ["Added"]

_ATTRIBUTES = (
    "length", "channels", "classes", "head", "isotropic", "tracks", "carried", "init", "forward",
)  # fmt: skip

_KINDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "head": ((tuple, list), "patterns of names, such as ('classes/*',)"),
    "isotropic": ((bool,), "True or False"),
    "tracks": ((bool,), "False"),
    "carried": ((Mapping,), "{}"),
}


class Added:
    """A model as the plug-in made it; its functions are called in a way that tells on them."""

    def __init__(self, program: str, length: int, channels: int, classes: int) -> None:
        """Build it.

        Args:
            program: its name, as packages add it.
            length: samples per window.
            channels: values per sample.
            classes: activities.

        Raises:
            BadInput: it cannot be built, or lacks something.
        """
        self._program = program
        make = load_plugin(MODELS, program)
        self._model: Any = asked(MODELS, program, "its class", make, length, channels, classes)
        kind = type(self._model).__name__
        for name in _ATTRIBUTES:
            if not hasattr(self._model, name):
                every = f"{', '.join(_ATTRIBUTES[:-1])} and {_ATTRIBUTES[-1]}"
                raise self._faulty(f"a {kind} has no {name!r}; expected {every}")
        sizes = {"length": length, "channels": channels, "classes": classes}
        for name, wanted in sizes.items():
            if getattr(self._model, name) != wanted:
                told = f"{name} of a {kind} is {getattr(self._model, name)!r:.80}"
                raise self._faulty(f"{told}; expected {wanted}, as it was called with")
        for name, (allowed, expected) in _KINDS.items():
            if not isinstance(getattr(self._model, name), allowed):
                told = f"{name} of a {kind} is {getattr(self._model, name)!r:.80}"
                raise self._faulty(f"{told}; expected {expected}")
        if self._model.tracks or self._model.carried:
            raise self._faulty(
                "follows single samples, which built-in programs and SavedModels can; a plug-in "
                "looks at windows (tracks = False)"
            )

    def __getattr__(self, name: str) -> Any:
        """Return what the plug-in has under a name."""
        value = getattr(self.__dict__["_model"], name)
        if not callable(value):
            return value
        return lambda *given: asked(MODELS, self._program, f"its {name}", value, *given)

    def init(self, random: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """Draw one device's parameters.

        Raises:
            BadInput: the plug-in draws something else.
        """
        found = asked(MODELS, self._program, "its init", self._model.init, random)
        if not isinstance(found, Mapping) or not found:
            told = "nothing" if isinstance(found, Mapping) else kind_of(found)
            raise self._faulty(f"its init returns {told}; expected arrays by name")
        for name, value in found.items():
            fits = isinstance(name, str) and isinstance(value, np.ndarray)
            if not fits or value.dtype.kind != "f" or not np.isfinite(value).all():
                raise self._faulty(
                    f"{name!r} of what its init returns is {_briefly(value)}; expected an array "
                    "of finite fractions"
                )
        return dict(found)

    def forward(self, params: Any, x: Any) -> Any:
        """Compute logits [D, B, K] from parameters [D, ...] and scaled inputs [D, B, T, C].

        Raises:
            BadInput: the plug-in cannot, or computes something else.
        """
        found = asked(MODELS, self._program, "its forward", self._model.forward, params, x)
        told = unlike_shape(found, [x.shape[0], x.shape[1], self._model.classes])
        if told:
            raise self._faulty(f"what its forward returns {told} (devices, windows, classes)")
        return found

    def _faulty(self, told: str) -> Exception:
        return faulty(MODELS, self._program, told)


def _briefly(value: Any) -> str:
    """Tell what a value is."""
    if isinstance(value, np.ndarray):
        return f"of {value.dtype}" if value.dtype.kind != "f" else "not finite"
    return kind_of(value)

"""Drifts of the signal of other packages, whose answers are looked at before they are believed."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clients.plugins import DRIFT, DriftPlugin, asked, faulty, kind_of, load_plugin
from clients.variation import Variations

if TYPE_CHECKING:
    from clients.drift import Change, Signal

__all__ = ["signal_of"]

_LEAST = {"cadence": np.nextafter(0.0, 1.0), "noise": 0.0, "missing": 0.0}
_MOST = {"missing": 1.0}


def signal_of(kind: str) -> Signal:
    """Return what a kind of drift of another package does to what is measured.

    It is given arrays that it cannot write into, since they are those of other states too.

    Raises:
        BadInput: there is none, or (when it is called) it fails or returns something else than what
            devices can measure.
    """
    plugin: DriftPlugin = load_plugin(DRIFT, kind, DriftPlugin)

    def signal(now: Variations, change: Change, draws: NDArray[np.float64]) -> Variations:
        given = replace(now, **{name: _locked(value) for name, value in _arrays(now).items()})
        found = asked(DRIFT, kind, "its signal", plugin.signal, given, change, draws)
        if not isinstance(found, Variations):
            raise faulty(
                DRIFT,
                kind,
                f"its signal returns {kind_of(found)}; expected clients.variation."
                "Variations, such as dataclasses.replace makes of those that it is given",
            )
        values = {n: _checked(kind, n, getattr(found, n), v) for n, v in _arrays(now).items()}
        return Variations(**values)

    return signal


def _arrays(variations: Variations) -> dict[str, NDArray[Any]]:
    return {one.name: getattr(variations, one.name) for one in fields(variations)}


def _locked(values: NDArray[Any]) -> NDArray[Any]:
    """Return a view that cannot be written into."""
    view = values.view()
    view.flags.writeable = False
    return view


def _checked(kind: str, name: str, found: Any, before: NDArray[Any]) -> NDArray[Any]:
    """Return one of the arrays that a drift returned, in its dtype.

    Raises:
        BadInput: it is of another shape, or holds what cannot be measured.
    """
    shape = np.shape(found) if isinstance(found, np.ndarray) else None
    if shape != before.shape:
        told = kind_of(found) if shape is None else f"of shape {list(shape)}"
        raise faulty(
            DRIFT,
            kind,
            f"{name} of what its signal returns is {told}; expected an array of shape "
            f"{list(before.shape)}",
        )
    if not np.can_cast(found.dtype, before.dtype, "same_kind"):
        raise faulty(
            DRIFT,
            kind,
            f"{name} of what its signal returns is of {found.dtype}; expected {before.dtype}",
        )
    values: NDArray[Any] = found.astype(before.dtype, copy=False)
    least, most = _LEAST.get(name, -np.inf), _MOST.get(name, np.inf)
    wrong = ~(np.isfinite(values) & (values >= least) & (values <= most))
    if wrong.any():
        above = "" if least == -np.inf else " above 0" if least > 0.0 else " from 0"
        limit = "" if most == np.inf else f" to {most:g}"
        raise faulty(
            DRIFT,
            kind,
            f"{name} of what its signal returns holds {values[wrong][0]:g}; expected finite numbers"
            f"{above}{limit}",
        )
    return values

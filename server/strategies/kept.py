"""What a strategy remembers from round to round, as named arrays, to save and to restore."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from flwr.app import ArrayRecord
from flwr.serverapp.strategy import Strategy
from numpy.typing import NDArray

from server.strategies.replies import record_of

__all__ = ["restore", "state"]

_ABSENT = "absent"


def state(strategy: Strategy, keeps: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return a strategy's attributes as arrays named `<attribute>/<kind>/<name>`.

    Those of records and lists are numbered.

    Args:
        strategy: any.
        keeps: its attributes that change: numbers, records, or arrays in a list or by name.
    """
    found: dict[str, NDArray[Any]] = {}
    for attribute in keeps:
        value = getattr(strategy, attribute)
        if value is None:
            found[f"{attribute}/{_ABSENT}/"] = np.zeros(1)
        elif isinstance(value, ArrayRecord):
            # In its own order, by which some of Flower's strategies go; a file has another one.
            for i, (name, array) in enumerate(value.items()):
                found[f"{attribute}/record/{i:05d}/{name}"] = array.numpy()
        elif isinstance(value, Mapping):
            found |= {f"{attribute}/dict/{name}": np.asarray(a) for name, a in value.items()}
        elif isinstance(value, int | float):
            found[f"{attribute}/{type(value).__name__}/"] = np.asarray([value])
        else:
            found |= {f"{attribute}/list/{i:05d}": np.asarray(a) for i, a in enumerate(value)}
    return found


def restore(strategy: Strategy, keeps: Sequence[str], kept: Mapping[str, NDArray[Any]]) -> None:
    """Give a new strategy of the same kind the attributes that `state` returned of another."""
    for attribute in keeps:
        kinds = (key.split("/", 2)[1] for key in kept if key.startswith(f"{attribute}/"))
        kind = next(kinds, "dict")  # an empty dictionary has no arrays
        prefix = f"{attribute}/{kind}/"
        arrays = {k.removeprefix(prefix): v for k, v in kept.items() if k.startswith(prefix)}
        setattr(strategy, attribute, _put_back(kind, arrays))


def _put_back(kind: str, arrays: Mapping[str, NDArray[Any]]) -> Any:
    if kind == _ABSENT:
        return None
    if kind == "record":
        return record_of({key.split("/", 1)[1]: arrays[key] for key in sorted(arrays)})
    if kind == "list":
        return [arrays[name] for name in sorted(arrays)]
    if kind in ("int", "float"):
        return arrays[""][0].item()
    return dict(arrays)

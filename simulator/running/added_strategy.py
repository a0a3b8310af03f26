"""A strategy of another package, of which whatever goes wrong names the package."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

import numpy as np
from flwr.app import ArrayRecord, Message
from flwr.serverapp.strategy import Strategy
from numpy.typing import NDArray

from clients.messages import unpack
from clients.plugin_checks import unlike_shape
from clients.plugins import STRATEGIES, asked, faulty, kind_of, load_plugin
from server.strategies import Folds, Options, ServerHalf

__all__ = ["aggregated", "configured", "half_of"]

_WEIGHS = ("examples", "devices")


def half_of(name: str) -> ServerHalf:
    """Return what makes a strategy that another package adds.

    Raises:
        BadInput: it cannot be used; also when it makes something else than a strategy.
    """
    half: ServerHalf = load_plugin(STRATEGIES, name, ServerHalf)
    for field, allowed in (("folds", get_args(Folds)), ("weighs", _WEIGHS)):
        if getattr(half, field) not in allowed:
            told = f"{field} = {getattr(half, field)!r:.80}; expected one of: {', '.join(allowed)}"
            raise faulty(STRATEGIES, name, told)

    def strategy(options: Options) -> Strategy:
        logging.getLogger("flwr").setLevel(logging.ERROR)  # strategies are talkative
        made = asked(STRATEGIES, name, "its strategy", half.strategy, options)
        if not isinstance(made, Strategy):
            told = f"its strategy makes {kind_of(made)}; expected a Strategy of flwr"
            raise faulty(STRATEGIES, name, told)
        for kept in half.keeps:
            if not hasattr(made, kept):
                told = f"keeps = {tuple(half.keeps)!r}: {kind_of(made)} has no {kept!r}"
                raise faulty(STRATEGIES, name, told)
        return made

    def least(options: Options) -> int:
        found = asked(STRATEGIES, name, "its least", half.least, options)
        if type(found) is not int or found < 1:
            told = f"its least returns {found!r:.80}; expected a whole number from 1"
            raise faulty(STRATEGIES, name, told)
        return found

    return replace(half, strategy=strategy, least=least)


def configured(name: str, strategy: Strategy, *given: Any) -> list[Message]:
    """Return the messages of a strategy that another package adds.

    Raises:
        BadInput: it fails, or returns something else.
    """
    call = strategy.configure_train
    messages = asked(STRATEGIES, name, "its configure_train", lambda: list(call(*given)))
    for one in messages:
        if not isinstance(one, Message):
            told = f"its configure_train returns {kind_of(one)}; expected messages of flwr"
            raise faulty(STRATEGIES, name, told)
    return list(messages)


def aggregated(
    name: str, strategy: Strategy, round_: int, replies: Any, shared: Mapping[str, NDArray[Any]]
) -> tuple[ArrayRecord | None, Any]:
    """Return what a strategy that another package adds makes of updates.

    Raises:
        BadInput: it fails, or returns what is not like the shared arrays.
    """
    call = strategy.aggregate_train
    made = asked(STRATEGIES, name, "its aggregate_train", call, round_, replies)
    fits = isinstance(made, tuple) and len(made) == 2
    if not fits or not isinstance(made[0], ArrayRecord | None):
        told = "expected a tuple of an ArrayRecord, or None, and metrics"
        raise faulty(STRATEGIES, name, f"its aggregate_train returns {_kinds(made)}; {told}")
    if made[0] is not None:
        _check_arrays(name, unpack(made[0]), shared)
    return made[0], made[1]


def _kinds(made: Any) -> str:
    """Tell of which types a result is."""
    if isinstance(made, tuple):
        return f"({', '.join(type(one).__name__ for one in made)})"
    return kind_of(made)


def _check_arrays(
    name: str, arrays: Mapping[str, NDArray[Any]], shared: Mapping[str, NDArray[Any]]
) -> None:
    """Refuse arrays that are not like those that were shared before."""
    if arrays.keys() != shared.keys():
        odd = sorted(arrays.keys() ^ shared.keys())[0]
        told = "lacks" if odd in shared else "has"
        raise faulty(
            STRATEGIES,
            name,
            f"what its aggregate_train returns {told} {odd!r}; expected {', '.join(shared)}",
        )
    for key, old in shared.items():
        told = unlike_shape(arrays[key], old.shape)
        if told:
            raise faulty(STRATEGIES, name, f"{key!r} of what its aggregate_train returns {told}")
        if not np.issubdtype(arrays[key].dtype, np.number):
            raise faulty(
                STRATEGIES, name, f"{key!r} of what its aggregate_train returns holds no numbers"
            )

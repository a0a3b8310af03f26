"""The half of a way of learning that runs on the device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from numpy.typing import NDArray

__all__ = ["Arrays", "Method", "MethodOptions", "Who", "partition"]

Arrays = Mapping[str, NDArray[Any]]
Who = Literal["all", "participants", "nobody"]


@dataclass(frozen=True, slots=True)
class MethodOptions:
    """What a method may depend on.

    Attributes:
        round_: the round, from 1.
        switch_round: the last round of the shared phase, for methods that have one.
        private: patterns of the parameters that never leave the device, for methods that keep some.
    """

    round_: int
    switch_round: int = 0
    private: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Method:
    """One way of learning, in one round: pure functions over named arrays.

    The functions treat all arrays alike, so they hold for one device as for arrays with a leading
    device axis.

    Attributes:
        learns: whose answers lead to steps.
        downloads: who receives the shared arrays at the start of the round.
        uploads: whether participants send an update at its end.
        begin: (shared, private) -> working, where `private` is what the device had.
        end: working -> (update, private).
        serve: (shared, private) -> the parameters that answer the user.
    """

    learns: Who
    downloads: Who
    uploads: bool
    begin: Callable[[Arrays, Arrays], Arrays]
    end: Callable[[Arrays], tuple[Arrays, Arrays]]
    serve: Callable[[Arrays, Arrays], Arrays]


def partition(private: tuple[str, ...], *, learns: Who, downloads: Who, uploads: bool) -> Method:
    """Build a method that shares some parameters and keeps the others.

    Args:
        private: patterns of the names that never leave the device; ("*",) for all.
        learns: see `Method`.
        downloads: see `Method`.
        uploads: see `Method`.
    """

    def is_private(name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in private)

    def begin(shared: Arrays, own: Arrays) -> Arrays:
        return {**own, **{name: value for name, value in shared.items() if not is_private(name)}}

    def end(working: Arrays) -> tuple[Arrays, Arrays]:
        update = {name: value for name, value in working.items() if not is_private(name)}
        kept = {name: value for name, value in working.items() if is_private(name)}
        return update, kept

    return Method(learns, downloads, uploads, begin, end, serve=begin)

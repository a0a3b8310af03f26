"""The half of a way of learning that runs on the device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

from numpy.typing import NDArray

from clients.methods.groups import PARAMETERS, SLOTS, Groups, fresh
from clients.methods.take import Take

__all__ = ["Arrays", "Method", "MethodOptions", "Step", "When", "Who", "descend", "partition"]

Arrays = Mapping[str, NDArray[Any]]
Who = Literal["all", "participants", "nobody"]
When = Literal[Who, "once"]
Step = Callable[[Take, Groups, Groups], tuple[Groups, Any]]
Told = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MethodOptions:
    """What a method may depend on.

    Attributes:
        round_: the round, from 1.
        switch_round: the last round of the shared phase, for methods that have one.
        private: patterns of the parameters that never leave the device, for methods that keep some.
        values: the method's hyper-parameters by name.
    """

    round_: int
    switch_round: int = 0
    private: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)


def descend(take: Take, own: Groups, shared: Groups) -> tuple[Groups, Any]:
    """Take the program's own step: what its `learn` does."""
    del shared
    gradients, loss = take.gradients(own[PARAMETERS])
    params, slots = take.apply(own[PARAMETERS], own[SLOTS], gradients)
    return {**own, PARAMETERS: params, SLOTS: slots}, loss


def _as_it_is(own: Groups, chance: Any) -> Groups:
    del chance
    return own


@dataclass(frozen=True, slots=True)
class Method:
    """One way of learning, in one round: pure functions over groups of arrays.

    Arrays have a leading device axis D. What a device is has the groups "parameters", the model
    that answers the user, "slots", what its optimizer keeps, and others that a method adds. What
    the server sends has the groups that `offer` names, with a device axis of D, or of 1 in `step`.

    Attributes:
        learns: whose answers lead to steps.
        downloads: who receives the shared arrays at the start of the round; "once" means all, each
            in the first such round in which it can be reached.
        uploads: whether participants send an update at its end.
        offer: base parameters without a device axis -> what the server starts with, likewise.
        begin: (shared, own, take) -> own, with what was received; the optimizer of what is shared
            starts afresh. Where the method `looks`, take holds windows from the memory, else it is
            None.
        end: (own, shared) -> what is sent, own, and what is told beside it, numbers [D]; each
            group that is sent starts from the one that was received.
        start: (own, chance [D] in [0, 1)) -> own, with the groups that the method adds.
        step: (take, own, shared) -> own, and the loss [D].
        looks: whether `begin` looks at windows from the memory.
        gradients: evaluations of a gradient in a step.
        clusters: models that the server keeps, of which each device has one; 0 where there is one
            for all.
        numbers: what a step, or `begin`, reads as `take.numbers`; steps that differ by nothing else
            are compiled once.
        key: tells the step apart from that of other methods.
    """

    learns: Who
    downloads: When
    uploads: bool
    offer: Callable[[Mapping[str, Any]], Groups]
    begin: Callable[[Groups, Groups, Take | None], Groups]
    end: Callable[[Groups, Groups], tuple[Groups, Groups, Told]]
    start: Callable[[Groups, Any], Groups] = _as_it_is
    step: Step = descend
    looks: bool = False
    gradients: int = 1
    clusters: int = 0
    numbers: Mapping[str, float] = field(default_factory=dict)
    key: tuple[Any, ...] = ()

    @property
    def plain(self) -> bool:
        """Whether a step is the program's own."""
        return self.step is descend


def partition(private: tuple[str, ...], *, learns: Who, downloads: When, uploads: bool) -> Method:
    """Build a method that shares some parameters and keeps the others.

    Args:
        private: patterns of the names that never leave the device; ("*",) for all.
        learns: see `Method`.
        downloads: see `Method`.
        uploads: see `Method`.
    """

    def shared_of(params: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: value
            for name, value in params.items()
            if not any(fnmatchcase(name, pattern) for pattern in private)
        }

    def offer(params: Mapping[str, Any]) -> Groups:
        return {PARAMETERS: shared_of(params)}

    def begin(shared: Groups, own: Groups, take: Take | None) -> Groups:
        del take
        received = shared_of(shared[PARAMETERS])
        return {
            **own,
            PARAMETERS: {**own[PARAMETERS], **received},
            SLOTS: fresh(own[SLOTS], received),
        }

    def end(own: Groups, shared: Groups) -> tuple[Groups, Groups, Told]:
        del shared
        return {PARAMETERS: shared_of(own[PARAMETERS])}, own, {}

    return Method(learns, downloads, uploads, offer, begin, end)

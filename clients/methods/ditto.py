"""Ditto (Li et al. 2021, "Fair and robust federated learning through personalization")."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from clients.methods.fedavg import fedavg
from clients.methods.groups import PARAMETERS, SLOTS, Groups, fresh, plus
from clients.methods.method import Method, MethodOptions
from clients.methods.take import Take

__all__ = ["ditto"]

_SHARED, _SHARED_SLOTS = "shared", "shared_slots"


def ditto(options: MethodOptions) -> Method:
    """Learn a model to share, and beside it one of one's own that answers the user.

    The shared one is learnt as in `fedavg`; the own one minimizes f(v) + lambda / 2 ||v - w||²,
    where w is what the server sent (their algorithm 1). It and its optimizer never leave.
    """

    def start(own: Groups, chance: Any) -> Groups:
        del chance
        return {**own, _SHARED: own[PARAMETERS], _SHARED_SLOTS: fresh(own[SLOTS])}

    def begin(shared: Groups, own: Groups, take: Take | None) -> Groups:
        del take
        return {**own, _SHARED: shared[PARAMETERS], _SHARED_SLOTS: fresh(own[_SHARED_SLOTS])}

    def step(take: Take, own: Groups, shared: Groups) -> tuple[Groups, Any]:
        gradients, loss = take.gradients(own[PARAMETERS])
        gradients = plus(gradients, take.numbers["lambda"], own[PARAMETERS], shared[PARAMETERS])
        params, slots = take.apply(own[PARAMETERS], own[SLOTS], gradients)
        gradients, _ = take.gradients(own[_SHARED])
        theirs, their_slots = take.apply(own[_SHARED], own[_SHARED_SLOTS], gradients)
        return {
            **own, PARAMETERS: params, SLOTS: slots, _SHARED: theirs, _SHARED_SLOTS: their_slots
        }, loss  # fmt: skip

    def end(own: Groups, shared: Groups) -> tuple[Groups, Groups, dict[str, Any]]:
        del shared
        return {PARAMETERS: own[_SHARED]}, own, {}

    return replace(
        fedavg(options), start=start, begin=begin, step=step, end=end, gradients=2,
        numbers={"lambda": float(options.values["lambda"])}, key=("ditto",),
    )  # fmt: skip

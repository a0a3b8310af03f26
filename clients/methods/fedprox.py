"""FedProx (Li et al. 2020, "Federated optimization in heterogeneous networks", algorithm 2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from clients.methods.fedavg import fedavg
from clients.methods.groups import PARAMETERS, SLOTS, Groups, plus
from clients.methods.method import Method, MethodOptions
from clients.methods.take import Take

__all__ = ["fedprox"]


def fedprox(options: MethodOptions) -> Method:
    """Be `fedavg`, but stay near to what the server sent.

    A step minimizes f(w) + mu / 2 ||w - w_sent||² (their equation 2).
    """

    def step(take: Take, own: Groups, shared: Groups) -> tuple[Groups, Any]:
        params = own[PARAMETERS]
        gradients, loss = take.gradients(params)
        gradients = plus(gradients, take.numbers["mu"], params, shared[PARAMETERS])
        params, slots = take.apply(params, own[SLOTS], gradients)
        return {**own, PARAMETERS: params, SLOTS: slots}, loss

    numbers = {"mu": float(options.values["mu"])}
    return replace(fedavg(options), step=step, numbers=numbers, key=("fedprox",))

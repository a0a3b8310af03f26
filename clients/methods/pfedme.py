"""pFedMe (Dinh et al. 2020, "Personalized federated learning with Moreau envelopes")."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from clients.methods.fedavg import fedavg
from clients.methods.groups import PARAMETERS, SLOTS, Groups, plus
from clients.methods.method import Method, MethodOptions
from clients.methods.take import Take

__all__ = ["pfedme"]

_SHARED = "shared"


def pfedme(options: MethodOptions) -> Method:
    """Answer with the minimum near a shared model, and let that model follow it.

    A step seeks theta, the minimum of f(theta) + lambda / 2 ||theta - w||², by `inner_steps` of the
    optimizer from where theta was (any start will do, as it is their equation 7 that counts), then
    moves w by -eta lambda (w - theta) (their algorithm 1, line 8). theta never leaves the device.
    """
    values = options.values
    weight, eta = float(values["lambda"]), float(values["eta"])
    inner = int(values["inner_steps"])

    def start(own: Groups, chance: Any) -> Groups:
        del chance
        return {**own, _SHARED: own[PARAMETERS]}

    def begin(shared: Groups, own: Groups, take: Take | None) -> Groups:
        del take
        return {**own, _SHARED: shared[PARAMETERS]}

    def step(take: Take, own: Groups, shared: Groups) -> tuple[Groups, Any]:
        del shared
        params, slots, theirs = own[PARAMETERS], own[SLOTS], own[_SHARED]
        weight, pull = take.numbers["lambda"], take.numbers["eta_lambda"]
        losses = []
        for _ in range(inner):
            gradients, loss = take.gradients(params)
            losses.append(loss)
            gradients = plus(gradients, weight, params, theirs)
            params, slots = take.apply(params, slots, gradients)
        theirs = {n: w - pull * (w - params[n]) for n, w in theirs.items()}
        return {**own, PARAMETERS: params, SLOTS: slots, _SHARED: theirs}, losses[0]

    def end(own: Groups, shared: Groups) -> tuple[Groups, Groups, dict[str, Any]]:
        del shared
        return {PARAMETERS: own[_SHARED]}, own, {}

    return replace(
        fedavg(options), start=start, begin=begin, step=step, end=end, gradients=inner,
        numbers={"lambda": weight, "eta_lambda": eta * weight}, key=("pfedme", inner),
    )  # fmt: skip

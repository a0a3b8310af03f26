"""Per-FedAvg (Fallah et al. 2020, "Personalized federated learning: a meta-learning approach")."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from clients.methods.fedavg import fedavg
from clients.methods.groups import PARAMETERS, SLOTS, Groups, fresh
from clients.methods.method import Method, MethodOptions
from clients.methods.take import Take
from clients.naming import is_statistic

__all__ = ["perfedavg"]

_META = "meta"


def perfedavg(options: MethodOptions) -> Method:
    """Share a model that is one step away from a good one for everybody.

    Their algorithm 1 in its first-order form, Per-FedAvg (FO): a step looks from the shared model w
    at w - alpha grad f(w), on every other window, and moves w by the gradient there, on the other
    windows. The user is answered by w - alpha grad f(w) on all windows of the step, and after a
    download on windows from the memory.
    """

    def adapted(take: Take, params: Any, half: int | None = None) -> dict[str, Any]:
        gradients, _ = take.gradients(params, half)
        rates = {n: 1.0 if is_statistic(n) else take.numbers["alpha"] for n in params}
        return {name: value - rates[name] * gradients[name] for name, value in params.items()}

    def start(own: Groups, chance: Any) -> Groups:
        del chance
        return {**own, _META: own[PARAMETERS]}

    def begin(shared: Groups, own: Groups, take: Take | None) -> Groups:
        meta = answering = shared[PARAMETERS]
        if take is not None:
            answering = adapted(take, meta)
        return {**own, PARAMETERS: answering, SLOTS: fresh(own[SLOTS]), _META: meta}

    def step(take: Take, own: Groups, shared: Groups) -> tuple[Groups, Any]:
        del shared
        gradients, loss = take.gradients(adapted(take, own[_META], half=0), half=1)
        meta, slots = take.apply(own[_META], own[SLOTS], gradients)
        answering = adapted(take, meta)
        return {**own, PARAMETERS: answering, SLOTS: slots, _META: meta}, loss

    def end(own: Groups, shared: Groups) -> tuple[Groups, Groups, dict[str, Any]]:
        del shared
        return {PARAMETERS: own[_META]}, own, {}

    return replace(
        fedavg(options), start=start, begin=begin, step=step, end=end, looks=True, gradients=3,
        numbers={"alpha": float(options.values["alpha"])}, key=("perfedavg",),
    )  # fmt: skip

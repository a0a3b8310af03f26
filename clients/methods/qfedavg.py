"""q-FedAvg (Li et al. 2020, "Fair resource allocation in federated learning", algorithm 2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from clients.methods.fedavg import fedavg
from clients.methods.groups import Groups
from clients.methods.late import tf
from clients.methods.method import Method, MethodOptions
from clients.methods.take import Take

__all__ = ["qfedavg"]

_FOUND = "found"


def qfedavg(options: MethodOptions) -> Method:
    """Be `fedavg`, and tell the server how wrong its model was here before it was learnt from.

    That is F_k(w), the loss on windows from the memory. As long as there are none, it is not known,
    and the mean loss of the steps stands in for it.
    """
    plain = fedavg(options)

    def start(own: Groups, chance: Any) -> Groups:
        one = next(iter(own["parameters"].values()))
        return {**own, _FOUND: {"loss": tf.fill([len(chance)], tf.cast(float("nan"), one.dtype))}}

    def begin(shared: Groups, own: Groups, take: Take | None) -> Groups:
        loss = own[_FOUND]["loss"]
        if take is not None:
            found = tf.cast(take.gradients(shared["parameters"])[1], loss.dtype)
            loss = tf.where(take.some, found, tf.cast(float("nan"), loss.dtype))
        return {**plain.begin(shared, own, None), _FOUND: {"loss": loss}}

    def end(own: Groups, shared: Groups) -> tuple[Groups, Groups, dict[str, Any]]:
        sent, own, _ = plain.end(own, shared)
        return sent, own, {"loss": own[_FOUND]["loss"]}

    return replace(plain, start=start, begin=begin, end=end, looks=True, key=("qfedavg",))

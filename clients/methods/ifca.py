"""IFCA (Ghosh et al. 2020, "An efficient framework for clustered federated learning")."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from clients.methods.fedavg import fedavg
from clients.methods.groups import PARAMETERS, SLOTS, Groups, fresh
from clients.methods.late import tf
from clients.methods.method import Method, MethodOptions
from clients.methods.take import Take

__all__ = ["ifca"]

_CHOICE = "choice"


def ifca(options: MethodOptions) -> Method:
    """Choose among some shared models the one that is least wrong here, and be `fedavg` in it.

    Their algorithm 1, option II (model averaging). The choice is by the loss on windows from the
    memory. All models begin as the base model, so as long as a device has no memory its choice is
    that of chance, which is what tells the models apart in the first round.
    """
    clusters = int(options.values["clusters"])
    names = [f"cluster/{index}" for index in range(clusters)]

    def offer(params: Any) -> Groups:
        return dict.fromkeys(names, params)

    def start(own: Groups, chance: Any) -> Groups:
        return {**own, _CHOICE: {"cluster": tf.cast(chance * clusters, tf.int32)}}

    def begin(shared: Groups, own: Groups, take: Take | None) -> Groups:
        choice = own[_CHOICE]["cluster"]
        if take is not None and clusters > 1:
            losses = tf.stack([take.gradients(shared[name])[1] for name in names])
            best = tf.argmin(losses, axis=0, output_type=tf.int32)
            choice = tf.where(take.some, best, choice)
        chosen = dict(shared[names[0]])
        for index, name in enumerate(names[1:], start=1):
            for key, value in shared[name].items():
                is_it = tf.reshape(tf.equal(choice, index), [-1, *[1] * (len(value.shape) - 1)])
                chosen[key] = tf.where(is_it, value, chosen[key])
        return {
            **own, PARAMETERS: chosen, SLOTS: fresh(own[SLOTS]), _CHOICE: {"cluster": choice}
        }  # fmt: skip

    def end(own: Groups, shared: Groups) -> tuple[Groups, Groups, dict[str, Any]]:
        del shared
        return {PARAMETERS: own[PARAMETERS]}, own, {"cluster": own[_CHOICE]["cluster"]}

    return replace(
        fedavg(options), offer=offer, start=start, begin=begin, end=end, looks=clusters > 1,
        clusters=clusters, key=("ifca", clusters),
    )  # fmt: skip

"""APFL (Deng et al. 2020, "Adaptive personalized federated learning", algorithm 1)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from clients.methods.fedavg import fedavg
from clients.methods.groups import PARAMETERS, SLOTS, Groups, fresh, mixed
from clients.methods.late import tf
from clients.methods.method import Method, MethodOptions
from clients.methods.take import Take
from clients.naming import is_statistic

__all__ = ["apfl"]

_PERSONAL, _SHARED, _SHARED_SLOTS, _MIX = "personal", "shared", "shared_slots", "mix"


def apfl(options: MethodOptions) -> Method:
    """Answer with a mix of a model of one's own and the shared one.

    The mix is alpha v + (1 - alpha) w. A step moves w by its own gradient, and v by alpha times the
    gradient at the mix. Where alpha is `adaptive`, it follows its own gradient, <v - w, gradient at
    the mix> (their section 3.2), at the learning rate, and stays between 0 and 1.
    """
    alpha, adaptive = float(options.values["alpha"]), bool(options.values["adaptive"])

    def start(own: Groups, chance: Any) -> Groups:
        one = next(iter(own[PARAMETERS].values()))
        share = tf.fill([len(chance)], tf.constant(alpha, one.dtype))
        return {
            **own,
            _PERSONAL: own[PARAMETERS],
            _SHARED: own[PARAMETERS],
            _SHARED_SLOTS: fresh(own[SLOTS]),
            _MIX: {"alpha": share},
        }

    def answering(own: Groups) -> Groups:
        return {**own, PARAMETERS: mixed(own[_MIX]["alpha"], own[_PERSONAL], own[_SHARED])}

    def begin(shared: Groups, own: Groups, take: Take | None) -> Groups:
        del take
        fresh_slots = fresh(own[_SHARED_SLOTS])
        return answering({**own, _SHARED: shared[PARAMETERS], _SHARED_SLOTS: fresh_slots})

    def step(take: Take, own: Groups, shared: Groups) -> tuple[Groups, Any]:
        del shared
        at_mix, loss = take.gradients(own[PARAMETERS])
        of_shared, _ = take.gradients(own[_SHARED])
        share = own[_MIX]["alpha"]
        scaled = {
            name: value
            if is_statistic(name)
            else value * tf.reshape(share, [-1, *[1] * (len(value.shape) - 1)])
            for name, value in at_mix.items()
        }
        personal, slots = take.apply(own[_PERSONAL], own[SLOTS], scaled)
        theirs, their_slots = take.apply(own[_SHARED], own[_SHARED_SLOTS], of_shared)
        if adaptive:
            slope = tf.add_n(
                [
                    _dot(g, own[_PERSONAL][n] - own[_SHARED][n])
                    for n, g in at_mix.items()
                    if not is_statistic(n)
                ]
            )
            share = tf.clip_by_value(share - own[SLOTS]["learning_rate"] * slope, 0.0, 1.0)
        return answering(
            {
                **own,
                SLOTS: slots,
                _PERSONAL: personal,
                _SHARED: theirs,
                _SHARED_SLOTS: their_slots,
                _MIX: {"alpha": share},
            }
        ), loss

    def end(own: Groups, shared: Groups) -> tuple[Groups, Groups, dict[str, Any]]:
        del shared
        return {PARAMETERS: own[_SHARED]}, own, {}

    return replace(
        fedavg(options), start=start, begin=begin, step=step, end=end, gradients=2,
        key=("apfl", adaptive),
    )  # fmt: skip


def _dot(ours: Any, theirs: Any) -> Any:
    """Multiply each device's arrays [D, ...] and add up: [D]."""
    return tf.reduce_sum(tf.reshape(ours * theirs, [ours.shape[0], -1]), axis=1)

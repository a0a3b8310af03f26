"""SCAFFOLD (Karimireddy et al. 2020, "Stochastic controlled averaging", algorithm 1)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from clients.methods.fedavg import fedavg
from clients.methods.groups import PARAMETERS, SLOTS, Groups
from clients.methods.late import tf
from clients.methods.method import Method, MethodOptions
from clients.methods.take import Take
from clients.naming import is_statistic

__all__ = ["scaffold"]

_CONTROL, _SUM, _COUNT = "control", "gradient_sum", "gradient_count"


def scaffold(options: MethodOptions) -> Method:
    """Correct each step by how the device's gradients differ from everybody's.

    A step follows g - c_i + c. Afterwards c_i becomes the mean of the gradients that were taken,
    which under gradient descent is their option II, c_i - c + (x - y_i) / (K eta), since the steps
    from x to y_i sum up to eta K (mean g - c_i + c). Written so, it holds for every optimizer.
    What is sent as control is c + (c_i_new - c_i).
    """
    plain = fedavg(options)

    def offer(params: Any) -> Groups:
        return {PARAMETERS: params, _CONTROL: {n: v * 0 for n, v in params.items()}}

    def start(own: Groups, chance: Any) -> Groups:
        none = {name: tf.zeros_like(value) for name, value in own[PARAMETERS].items()}
        count = next(iter(none.values()))
        count = tf.zeros(count.shape[:1], count.dtype)
        del chance
        return {**own, _CONTROL: none, _SUM: none, _COUNT: {"count": count}}

    def begin(shared: Groups, own: Groups, take: Take | None) -> Groups:
        own = plain.begin(shared, own, take)
        return {
            **own,
            _SUM: {name: tf.zeros_like(value) for name, value in own[_SUM].items()},
            _COUNT: {"count": tf.zeros_like(own[_COUNT]["count"])},
        }

    def step(take: Take, own: Groups, shared: Groups) -> tuple[Groups, Any]:
        gradients, loss = take.gradients(own[PARAMETERS])
        ours, theirs = own[_CONTROL], shared[_CONTROL]
        corrected = {
            n: g if is_statistic(n) else g - ours[n] + theirs[n] for n, g in gradients.items()
        }
        params, slots = take.apply(own[PARAMETERS], own[SLOTS], corrected)
        return {
            **own,
            PARAMETERS: params,
            SLOTS: slots,
            _SUM: {name: value + gradients[name] for name, value in own[_SUM].items()},
            _COUNT: {"count": own[_COUNT]["count"] + 1.0},
        }, loss

    def end(own: Groups, shared: Groups) -> tuple[Groups, Groups, dict[str, Any]]:
        count = own[_COUNT]["count"]
        control = {}
        for name, value in own[_CONTROL].items():
            each = tf.reshape(count, [-1, *[1] * (len(value.shape) - 1)])
            mean = own[_SUM][name] / tf.maximum(each, 1.0)
            control[name] = tf.where(each > 0.0, mean, value)
        moved = {n: shared[_CONTROL][n] + (v - own[_CONTROL][n]) for n, v in control.items()}
        return {PARAMETERS: own[PARAMETERS], _CONTROL: moved}, {**own, _CONTROL: control}, {}

    return replace(
        plain, offer=offer, start=start, begin=begin, step=step, end=end, key=("scaffold",)
    )

"""A method: averaging, by devices that take no large step and a server that is patient."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from clients.methods import Method, MethodOptions
from clients.methods.fedavg import fedavg
from clients.methods.groups import PARAMETERS, SLOTS, Groups
from clients.methods.late import tf  # not loaded where a scenario is only read
from clients.methods.take import Take
from clients.naming import is_statistic
from clients.plugins import MethodPlugin
from simulator.scenario.sections import Positive, Section, Share


class Keys(Section):
    """What an arm may say: the largest norm of a gradient, and how far the server goes."""

    most: Positive = 1.0
    pace: Share = 0.5


def _device(options: MethodOptions) -> Method:
    """Be `fedavg`, but scale each array's gradient down to the norm `most`."""

    def step(take: Take, own: Groups, _shared: Groups) -> tuple[Groups, Any]:
        gradients, loss = take.gradients(own[PARAMETERS])
        for name, gradient in gradients.items():
            if is_statistic(name):
                continue
            axes = list(range(1, len(gradient.shape)))
            norm = tf.sqrt(tf.reduce_sum(gradient**2, axis=axes, keepdims=True) + 1e-12)
            gradients[name] = gradient * tf.minimum(1.0, take.numbers["most"] / norm)
        params, slots = take.apply(own[PARAMETERS], own[SLOTS], gradients)
        return {**own, PARAMETERS: params, SLOTS: slots}, loss

    numbers = {"most": float(options.values["most"])}
    return replace(fedavg(options), step=step, numbers=numbers, key=("careful",))


careful = MethodPlugin(device=_device, strategy="patient", keys=Keys)

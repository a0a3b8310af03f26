"""Flower's ClientApp: one wearable behind Flower's messages.

On Flower's own engine, node `partition-id` i wears the simulated device of person i; what that
learnt is kept in the node's state between messages, never in this module. On a SuperNode whose
configuration names a folder (`device`), all that the device is lies there, and outlives the
SuperNode, the SuperLink and the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from numpy.typing import NDArray

from clients import following
from clients.device import Device
from clients.messages import ARRAYS, CONFIG, METRICS, pack, reply_to, unpack
from clients.methods import Method
from clients.methods.groups import PARAMETERS, Groups, nested
from clients.node import Place, method_of, new_device
from clients.outcome import Update

__all__ = ["app"]

app = ClientApp()

_STATE = "device"


@app.train()
def train(message: Message, context: Context) -> Message:
    """Begin from the server's arrays, work through one round, send what was learnt."""
    round_ = _round(message)
    method = method_of(context.run_config, round_)
    received = _received(message, method)
    place = Place.of(context.node_config, context.run_config)
    if place is None:
        return reply_to(message, _simulate(context, method, received, round_))
    with closing(place.open(context.run_config)) as wearable:
        return reply_to(message, following.work_round(wearable, received[PARAMETERS]))


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Score the holdout with the server's arrays; nothing is learnt from it."""
    round_ = _round(message)
    method = method_of(context.run_config, round_)
    received = _received(message, method)
    place = Place.of(context.node_config, context.run_config)
    if place is None:
        confusion = _device(context).score_holdout(method, received, round_)
    else:
        with closing(place.open(context.run_config)) as wearable:
            confusion = following.score_holdout(wearable, received[PARAMETERS])
    return _scored(message, confusion)


def _round(message: Message) -> int:
    """Return the server's round, from 1."""
    config = message.content[CONFIG]
    return int(str(config["server-round"]))


def _received(message: Message, method: Method) -> dict[str, Mapping[str, NDArray[Any]]]:
    """Return what the server sent, in groups, less what is the device's own affair."""
    groups = nested(unpack(message.content[ARRAYS]), method.offer({}))
    return {**groups, PARAMETERS: method.offer(groups[PARAMETERS])[PARAMETERS]}


def _scored(message: Message, confusion: NDArray[np.int64]) -> Message:
    windows = int(confusion.sum())
    metrics = MetricRecord(
        {"num-examples": windows, "holdout-accuracy": float(confusion.trace() / max(windows, 1))}
    )
    return Message(content=RecordDict({METRICS: metrics}), reply_to=message)


def _simulate(context: Context, method: Method, received: Groups, round_: int) -> Update:
    """Let the simulated device work through a round, and keep it in the node's state."""
    device = _device(context)
    device.begin(method, received, round_)
    outcome = device.work(round_, learns=True, method=method, shared=received)
    sent = device.update(method, received)
    context.state[_STATE] = pack(device.snapshot())
    arrays, told = (
        {name: value[0] for name, value in some.items()} for some in (sent.arrays, sent.told)
    )
    loss = float(told.pop("loss", np.nan))
    loss = loss if np.isfinite(loss) else float(outcome.learning_loss[0])
    numbers = {name: float(value) for name, value in told.items()}
    return Update(arrays, int(outcome.examples[0]), loss, numbers)


def _device(context: Context) -> Device:
    """Return the node's simulated device as its last message left it."""
    config = tuple(sorted(context.run_config.items()))
    device, fresh = new_device(config, int(context.node_config["partition-id"]))
    kept = context.state.get(_STATE)
    device.restore(unpack(kept) if isinstance(kept, ArrayRecord) else fresh)
    return device

"""Flower's ClientApp: one wearable behind Flower's messages.

A node is the device of one person: node `partition-id` i wears the device of person i. What the
device learnt is kept in the node's state between messages, never in this module.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from numpy.typing import NDArray

from clients.device import Device
from clients.errors import BadInput
from clients.messages import ARRAYS, CONFIG, METRICS, pack, reply_to, unpack
from clients.methods import AVERAGED, METHODS, Method, MethodOptions
from clients.methods.groups import nested
from clients.outcome import Update
from clients.pool import build_pool
from clients.program import Program
from clients.recordings import Recording, read_recordings
from clients.stream import cut_questions, deal_streams
from clients.synthetic import synthesize
from clients.wear import Habits, Wear

__all__ = ["app"]

app = ClientApp()

_STATE = "device"
_RATE_HZ = 20.0
Config = Mapping[str, Any]


@app.train()
def train(message: Message, context: Context) -> Message:
    """Begin from the server's arrays, work through one round, send what was learnt."""
    device, round_ = _device(context), _round(message)
    method = _method(context.run_config, round_)
    received = nested(unpack(message.content[ARRAYS]), method.offer({}))
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
    return reply_to(message, Update(arrays, int(outcome.examples[0]), loss, numbers))


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Score the holdout with the server's arrays; nothing is learnt from it."""
    round_ = _round(message)
    method = _method(context.run_config, round_)
    received = nested(unpack(message.content[ARRAYS]), method.offer({}))
    confusion = _device(context).score_holdout(method, received, round_)
    windows = int(confusion.sum())
    metrics = MetricRecord(
        {"num-examples": windows, "holdout-accuracy": float(confusion.trace() / max(windows, 1))}
    )
    return Message(content=RecordDict({METRICS: metrics}), reply_to=message)


def _round(message: Message) -> int:
    """Return the server's round, from 1."""
    config = message.content[CONFIG]
    return int(str(config["server-round"]))


def _method(config: Config, round_: int) -> Method:
    """Return the way of learning that the run's configuration names."""
    name = str(config["method"])
    if name not in AVERAGED:
        raise BadInput(f"method = {name!r}: expected one of {', '.join(AVERAGED)}")
    private = tuple(str(config["private"]).split())
    return METHODS[name](MethodOptions(round_, int(config["rounds"]), private, {}))


def _device(context: Context) -> Device:
    """Return the node's device as its last message left it."""
    config = tuple(sorted(context.run_config.items()))
    device, fresh = _new_device(config, int(context.node_config["partition-id"]))
    kept = context.state.get(_STATE)
    device.restore(unpack(kept) if isinstance(kept, ArrayRecord) else fresh)
    return device


@cache
def _new_device(
    items: tuple[tuple[str, Any], ...], index: int
) -> tuple[Device, dict[str, NDArray[Any]]]:
    """Build one person's device, which serves again for later messages, and keep what it was."""
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    config: Config = dict(items)
    program = Program(Path(str(config["model"])))
    activities = program.activities
    if activities is None:
        raise BadInput(f"model = {config['model']}: has no table of activities; use an export")
    own = _recordings(config, activities, index)
    user = own[0].user
    pool = build_pool(
        {user: own},
        activities,
        length=program.length,
        hop=program.length,
        holdout=float(config["holdout"]),
    )
    seed, batch = int(config["seed"]), int(config["batch"])
    questions = cut_questions(
        pool,
        order="bouts",
        bout_windows=batch,
        batch=batch,
    )
    devices = np.array([index], np.int64)
    streams = deal_streams(questions, seed, devices, np.zeros(1, np.int64))
    habits = Habits(
        seed=seed,
        classes=len(activities),
        batch=batch,
        questions_per_round=int(config["questions-per-round"]),
        answer_rate=float(config["answer-rate"]),
        mistake_rate=float(config["mistake-rate"]),
        delay_rounds=0,
        ask="all",
        budget=int(config["questions-per-round"]),
        steps=int(config["steps"]),
        memory=int(config["memory"]),
        whole_questions=program.whole_questions,
        series=program.length == 1,
    )
    wear = Wear(devices, [user], [user], pool, streams, pool.holdout)
    device = Device(wear, habits, program, _method(config, 1))
    return device, device.snapshot()


def _recordings(config: Config, activities: tuple[str, ...], index: int) -> list[Recording]:
    """Return one person's recordings."""
    if config["data-path"]:
        everyone, _ = read_recordings(
            str(config["data-path"]), source="auto", rate_hz=_RATE_HZ, activities=activities
        )
    else:
        everyone = synthesize(
            index + 1, activities, rate_hz=_RATE_HZ, seed=int(config["seed"]), minutes=3.0
        )
    users = sorted({recording.user for recording in everyone})
    if index >= len(users):
        raise BadInput(f"partition-id = {index}: the data has {len(users)} people")
    return [recording for recording in everyone if recording.user == users[index]]

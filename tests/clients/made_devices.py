"""Devices whose program notes what it is asked."""

from dataclasses import replace

import numpy as np

from clients.device import Device
from clients.learner import Pure
from clients.methods import METHODS, MethodOptions
from clients.pool import Pool
from clients.prediction import Prediction
from clients.stream import Questions, Streams
from clients.wear import Habits, Wear
from clients.windows import Windows

CLASSES, BATCH, LENGTH = 50, 2, 3
HABITS = Habits(
    seed=7,
    classes=CLASSES,
    batch=BATCH,
    questions_per_round=3,
    answer_rate=1.0,
    mistake_rate=0.0,
    delay_rounds=0,
    ask="all",
    budget=3,
    steps=2,
    memory=0,
)
MIXED = [0, 1, 2, 0, 1, 2, 2, 1, 0]


class Notebook:
    """A program that says how often it has learnt, and notes every call.

    Each window's samples hold its number in the pool, so calls are noted by windows.
    """

    def __init__(self, margins=()):
        self.calls = []
        self.parameters = {"base/w": np.zeros(1), "head/w": np.zeros(1)}
        self.learnt = 0
        self._margins = margins

    def predict(self, x):
        windows = x[:, 0, 0].astype(int).tolist()
        self.calls.append(("predict", windows))
        said = self.learnt + int(sum(value.sum() for value in self.parameters.values()))
        said %= CLASSES
        logits = None
        if self._margins:
            logits = np.zeros((len(x), CLASSES), np.float32)
            logits[:, said] = [self._margins[window // BATCH] for window in windows]
        return Prediction(np.full(len(x), said, np.int32), logits)

    def predict_aside(self, x):
        self.calls.append(("aside", x[:, 0, 0].astype(int).tolist()))
        noted, said = list(self.calls), self.predict(x)
        self.calls = noted
        return said

    def learn(self, x, labels):
        assert labels.dtype == np.int32
        self.calls.append(("learn", x[:, 0, 0].astype(int).tolist(), labels.tolist()))
        self.learnt += 1
        return float(self.learnt)

    def read_context(self):
        return {}

    def assign_context(self, values):
        assert not values

    @property
    def functions(self):
        return None

    def read_pure(self):
        return Pure(self.read_parameters(), {}, {})

    def assign_pure(self, values, steps=0):
        raise AssertionError(f"it has no pure functions: {values=}, {steps=}")

    def read_parameters(self):
        return dict(self.parameters)

    def assign_parameters(self, values, *, fresh_slots=False):
        self.calls.append(("assign", sorted(values), fresh_slots))
        self.parameters |= values

    def read_state(self):
        return {**self.parameters, "learnt": np.array(self.learnt)}

    def assign_state(self, values):
        self.learnt = int(values["learnt"])
        self.parameters = {key: values[key] for key in self.parameters}

    @property
    def steps(self):
        """Give (windows, labels) of each step."""
        return [call[1:] for call in self.calls if call[0] == "learn"]


def wear_of(labels, index=0, held=(), last=BATCH):
    """Give a device questions of two windows each, with these labels, and holdout windows.

    Windows are numbered in the order of the questions, held-out ones after them; `last` is how
    many windows the last question has.
    """
    sizes = np.full(len(labels), BATCH)
    sizes[-1:] = last
    every = np.array([*np.repeat(labels, sizes), *held], np.int32)
    starts = np.arange(every.size, dtype=np.int64) * LENGTH
    windows = Windows(
        every, starts, every, starts / 10.0, starts, starts + LENGTH, LENGTH, LENGTH, 10.0
    )
    numbers = np.arange(every.size, dtype=np.float32)
    samples = np.append(np.repeat(numbers, LENGTH), np.float32(0.0))[:, None]
    streamed = int(sizes.sum())
    bounds = np.array([[0, streamed]]), np.array([[streamed, every.size]])
    pool = Pool(("1",), samples, windows, *bounds)
    questions = Questions(
        first=(np.cumsum(sizes) - sizes).astype(np.int32),
        count=sizes.astype(np.int32),
        label=np.array(labels, np.int32),
        bouts=np.array([[q, 1] for q in range(len(labels))], np.int32),
        users=np.array([[0, len(labels)]]),
        batch=BATCH,
        shuffled=False,
        left_out=np.zeros(1, np.int64),
    )
    streams = Streams(questions, np.arange(len(labels), dtype=np.int32)[None])
    return Wear(np.array([index]), [f"1-{index}"], ["1"], pool, streams, pool.holdout)


def device_of(labels, *, program=None, index=0, held=(), last=BATCH, **habits):
    """Give a device and its program; habits are as in `HABITS` where nothing else is said."""
    program = program or Notebook()
    wear = wear_of(labels, index, held, last)
    return Device(wear, replace(HABITS, **habits), program, ALONE["method"]), program


def method_of(name, private=()):
    return METHODS[name](MethodOptions(1, private=private))


ALONE = {"method": method_of("local"), "shared": {}}
"""How a device works that receives nothing and learns by its program's own steps."""


def raw(arrays):
    return {key: (value.shape, value.tobytes()) for key, value in arrays.items()}

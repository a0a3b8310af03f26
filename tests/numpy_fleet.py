"""A fleet in plain NumPy, float64, device by device, to hold the product against.

Nothing of the ways of learning, the optimizers, the loss or the servers is taken from the product:
they are in `numpy_program.py`, `numpy_devices.py` and `numpy_servers.py`, as the papers write them.
What reaches a device is: the windows, answers and rehearsals of its lessons are replayed, as no
prediction decides about them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from clients.lessons import Lessons
from clients.user import NO_ANSWER
from simulator.base.arms import habits_of_arm
from tests.numpy_servers import Came


@dataclass
class Batch:
    """Windows x [n, T, C] with classes y [n]; `place` [n] tells where each lies in its step."""

    x: np.ndarray
    y: np.ndarray
    place: np.ndarray

    def half(self, which):
        """Keep every other place, from place 0 or 1 on."""
        chosen = self.place % 2 == which
        return Batch(self.x[chosen], self.y[chosen], self.place[chosen])


@dataclass
class Day:
    """What one round brings to one device.

    Attributes:
        look: what it sees of its memory as the round begins.
        questions: for each lesson a batch for each of its steps, none where it leads to none.
        examples: answered windows behind them.
        answers: answered questions, learnt from or not: windows of the pool, class.
    """

    look: Batch
    questions: Sequence[Sequence[Batch]] = ()
    examples: int = 0
    answers: list = field(default_factory=list)


def batch_of(windows, labels, read):
    there = np.flatnonzero(windows >= 0)
    return Batch(read(windows[there]), labels[there], there)


def steps_of(lesson, read):
    """Give the batches of one device's lesson: the question's windows, then the rehearsed ones."""
    own, answer = lesson.windows[0], int(lesson.answer[0])
    return [
        batch_of(
            np.concatenate([own, lesson.rehearsed[0, step]]),
            np.concatenate([np.full(own.size, answer), lesson.taught[0, step]]),
            read,
        )
        for step in np.flatnonzero(lesson.steps[0])
    ]


def days_of(opened, rounds):
    """Replay what reaches each device: a list of rounds for each, and one more look at the end."""
    plan, arm = opened.plan, opened.plan.scenario.arms[0]
    habits = habits_of_arm(plan, opened.prepared, arm)
    everybody = []
    for device in range(plan.devices):
        wear = plan.wear(np.array([device]))
        lessons, days = Lessons(wear.devices, habits), []

        def read(windows, wear=wear):
            return wear.read(windows[None].astype(np.int32))[0]

        for round_ in range(1, rounds + 1):
            windows, classes = lessons.look(round_)
            day = Day(batch_of(windows[0], classes[0], read))
            windows, labels = wear.streams.in_round(round_, habits.questions_per_round)
            _, answers = lessons.ask(round_, labels, None)
            answers = wear.heard(labels, answers)
            taught = [*lessons.due(round_), *lessons.now(round_, windows, answers)]
            asked = [lesson for lesson in taught if lesson.answer[0] != NO_ANSWER]
            day.answers = [(lesson.windows[0], int(lesson.answer[0])) for lesson in asked]
            day.questions = [steps_of(lesson, read) for lesson in taught]
            day.examples = sum(int(lesson.examples()[0]) for lesson in asked)
            days.append(day)
        windows, classes = lessons.look(rounds + 1)
        everybody.append([*days, Day(batch_of(windows[0], classes[0], read))])
    return everybody


def play(
    devices,
    server,
    days,
    participants,
    *,
    all_learn=False,
    durations=None,
    until=None,
    sends=None,
    factors=None,
):
    """Run devices and their server; returns what the server sent in the end, None without one.

    Args:
        devices: in their order.
        server: None where everybody learns alone.
        days: what reaches each device in each round.
        participants: for each round, who takes part.
        all_learn: whether the others learn too.
        durations: how many rounds each device's update takes, 0 where that is not given.
        until: for each round and device, after which share of the lessons it drops out; 1 for none.
        sends: for each round and device, whether its update arrives.
        factors: times which each device sends what it changed; 1 for an honest one.
    """
    for number, chosen in enumerate(participants):
        came, sent = [], None if server is None else server.sent
        for place, device in enumerate(devices):
            day = days[place][number]
            device.look = day.look
            share = 1.0 if until is None or place not in chosen else until[number][place]
            begins = place in chosen and share > 0.0
            if begins and server is not None:
                device.receive(sent)
            if not begins and not all_learn:
                continue
            left = int(np.floor(share * len(day.questions)))
            for question in day.questions[:left]:
                for device.index, batch in enumerate(question):
                    device.step(batch)
            if begins and share == 1.0 and server is not None and day.examples:
                arrays = device.send()
                if factors is not None:
                    arrays = device.times(arrays, factors[place])
                one = Came(arrays, day.examples, device.loss())
                if sends is not None and not sends[number][place]:
                    continue
                takes = 0.0 if durations is None else durations[place]
                cluster = getattr(device, "cluster", 0)
                came.append(replace(one, cluster=cluster, arrives=number + takes))
        if server is not None:
            server.round(came)
    for device, own in zip(devices, days, strict=True):
        device.look = own[len(participants)].look
    return None if server is None else server.sent

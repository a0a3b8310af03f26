"""Devices in hand, and wearers who know what they do."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from clients.checkpoints import read_checkpoint
from clients.device_folder import Newcomer, Settings, create
from clients.program import Program
from clients.user import NO_ANSWER
from clients.wear import Habits
from clients.wearable import Wearable
from tests.clients.conftest import ACTIVITIES

BATCH, PER_ROUND = 4, 3
SKIPS = (NO_ANSWER, 0, 1, 0, NO_ANSWER, 2, 2, 1, 0, 3, NO_ANSWER, 4, 1)
"""What a wearer answers, question after question; more than a memory of 4 questions holds."""


def newcomer_of(path, activities=ACTIVITIES, **habits):
    """Return a newcomer whose memory is full after 3 answers or 4."""
    program = Program(path)
    usual = {
        "seed": 3,
        "classes": len(activities),
        "batch": BATCH,
        "questions_per_round": PER_ROUND,
        "answer_rate": 1.0,
        "mistake_rate": 0.0,
        "delay_rounds": 0,
        "ask": "all",
        "budget": PER_ROUND,
        "steps": 2,
        "memory": 4 * BATCH if program.whole_questions else 3 * BATCH,
        "whole_questions": program.whole_questions,
        "series": program.length == 1,
    }
    settings = Settings(
        device=6,
        habits=Habits(**{**usual, **habits}),
        activities=tuple(activities),
        rate_hz=20.0,
        length=program.length,
        channels=program.channels,
        source={},
    )
    return Newcomer(path, read_checkpoint(path), settings)


def questions_of(newcomer, count, seed=0):
    """Make questions [count, B, T, C]; every third one is short of a window."""
    settings, rng = newcomer.settings, np.random.default_rng(seed)
    size = (count, BATCH, settings.length, settings.channels)
    x = rng.normal(0.0, 3.0, size).astype(np.float32)
    x += rng.normal(0.0, 6.0, (count, 1, 1, settings.channels)).astype(np.float32)
    return [question[: BATCH - (number % 3 == 2)] for number, question in enumerate(x)]


@dataclass
class Sitting:
    """A wearer who answers a device's questions in order, from where the device is.

    Attributes:
        folder: the device's.
        questions: all that will ever be asked.
        answers: to them.
        every: after how many questions a version is saved.
    """

    folder: Path
    questions: list
    answers: tuple = SKIPS
    every: int = 100
    wearable: Wearable = field(init=False)

    def __post_init__(self):
        self.wearable = Wearable(self.folder)

    def answer(self, until=None):
        """Answer up to a number of questions, or all."""
        for number in range(self.wearable.score.questions, until or len(self.answers)):
            x = self.questions[number]
            self.wearable.take(x, self.wearable.predict(x), self.answers[number])
            if (number + 1) % self.every == 0:
                self.wearable.save()
        return self

    def again(self):
        """Take the device from its folder anew, as after a kill."""
        self.wearable.close()
        self.wearable = Wearable(self.folder)
        return self

    def end(self):
        """Save and leave; return the bytes of the last version, by path in it."""
        path = self.wearable.save()
        self.wearable.close()
        return contents(path)


def begun(folder, newcomer, **sitting):
    """Begin with a device, and sit down with it."""
    create(folder, newcomer)
    return Sitting(folder, questions_of(newcomer, len(SKIPS)), **sitting)


def contents(folder):
    """Return the bytes of all files of a folder, by path in it."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}

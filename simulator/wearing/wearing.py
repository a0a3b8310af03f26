"""What `wearfleet device` does: sit down with a device, or take it back a version."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from clients.device_folder import DeviceFolder
from clients.journal import Score
from clients.wearable import Wearable
from simulator.wearing.dialogue import Dialogue, Lines
from simulator.wearing.sittings import questions_from

__all__ = ["go_back", "sit"]

Tell = Callable[[str], None]


def sit(
    folder: Path, tell: Tell, *, speed: float, every: int, as_json: bool, trusted: bool = False
) -> None:
    """Let a device ask its wearer until there is nothing more to ask, or the wearer stops.

    Args:
        folder: the device's.
        tell: shows a line beside the dialogue.
        speed: times as fast as recorded; 0 for as fast as it can.
        every: answers after which a version is saved.
        as_json: whether the score is printed as JSON in the end.
        trusted: whether its program may hold ops that can do more than compute.
    """
    with closing(Wearable(folder, trusted=trusted)) as wearable:
        settings = wearable.settings
        lines = Lines(None if settings.source else settings.channels, tell)
        done, samples = wearable.score.questions, lines.samples()
        questions = questions_from(settings, done, samples, trusted=trusted)
        _greet(wearable, tell)
        lines.start()
        dialogue = Dialogue(wearable, lines, every=every, speed=speed, tell=tell)
        end = "interrupted, go on by --resume"
        try:
            ended = dialogue.run(questions)
            end = "nothing more to ask" if ended else "stopped, go on by --resume"
        finally:
            version = wearable.save()
            tell(f"\n{end}\n{_words(wearable.score)}\nversion {version}")
        _show(wearable.score, as_json=as_json)


def go_back(folder: Path, tell: Tell, *, as_json: bool, trusted: bool = False) -> None:
    """Let a device forget what came after its last version that is older than it.

    Args:
        folder: the device's.
        tell: shows what was forgotten.
        as_json: whether the score is printed as JSON in the end.
        trusted: whether its program may hold ops that can do more than compute.

    Raises:
        BadInput: there is nothing to forget.
    """
    with closing(DeviceFolder(folder)) as device:
        forgotten = device.undo()
    with closing(Wearable(folder, trusted=trusted)) as wearable:
        score = wearable.score
    tell(f"forgot {_questions(forgotten)}, kept in {folder / 'undone'}; {_words(score)}")
    _show(score, as_json=as_json)


def _greet(wearable: Wearable, tell: Tell) -> None:
    """Say what a person should know before the first question."""
    if wearable.differing:
        tell(
            f"{_questions(wearable.differing)} of the journal predicted otherwise now than then: "
            "TensorFlow or the machine has changed"
        )
    if wearable.score.questions:
        tell(f"resumed; {_words(wearable.score)}")
    numbers = ", ".join(f"{i} {name}" for i, name in enumerate(wearable.settings.activities, 1))
    tell(f"activities: {numbers}")


def _words(score: Score) -> str:
    """Say how well a device did."""
    if not score.answered:
        return f"{_questions(score.questions)}, none answered yet"
    windows, votes = 100.0 * score.accuracy, 100.0 * score.vote_accuracy
    return (
        f"{_questions(score.questions)}, {score.answered} answered; prequential, by the answers: "
        f"{windows:.1f}% of windows and {votes:.1f}% of votes right"
    )


def _questions(count: int) -> str:
    return f"{count} question{'' if count == 1 else 's'}"


def _show(score: Score, *, as_json: bool) -> None:
    """Print the score for a script."""
    if as_json:
        figures = {"accuracy": score.accuracy, "vote_accuracy": score.vote_accuracy}
        known = {name: value if score.answered else None for name, value in figures.items()}
        sys.stdout.write(json.dumps(asdict(score) | known) + "\n")
        sys.stdout.flush()

"""What `wearfleet device` does: begin, sit down with a device, go back a version."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from clients.wear import Habits
from clients.wearable import Score, Wearable, create
from simulator.dialogue import Dialogue, Lines
from simulator.sittings import Newcomer, questions_from

__all__ = ["begin", "go_back", "sit"]

Tell = Callable[[str], None]


def begin(folder: Path, newcomer: Newcomer) -> None:
    """Make a new device's folder.

    Raises:
        BadInput: it is there already.
    """
    create(
        folder,
        newcomer.program,
        newcomer.state,
        newcomer.habits,
        newcomer.device,
        newcomer.settings,
    )


def sit(folder: Path, tell: Tell, *, speed: float, every: int, as_json: bool) -> None:
    """Let a device ask its wearer until there is nothing more to ask, or the wearer stops.

    Args:
        folder: the device's.
        tell: shows a line beside the dialogue.
        speed: times as fast as recorded; 0 for as fast as it can.
        every: answers after which a version is saved.
        as_json: whether the score is printed as JSON in the end.
    """
    wearable = Wearable(folder)
    if wearable.differing:
        tell(
            f"{wearable.differing} questions of the journal are predicted otherwise now than then: "
            "TensorFlow or the machine has changed"
        )
    settings, habits = wearable.settings, Habits(**wearable.settings["habits"])
    if wearable.score.questions:
        tell(f"resumed; {_words(wearable.score)}")
    numbers = ", ".join(f"{i} {name}" for i, name in enumerate(wearable.activities, 1))
    tell(f"activities: {numbers}")
    lines = Lines(wearable.channels, tell)
    lines.start()
    questions = questions_from(settings, habits, wearable.score.questions, lines.samples())
    dialogue = Dialogue(wearable, lines, every=every, speed=speed, tell=tell)
    try:
        ended = dialogue.run(questions)
        tell("nothing more to ask" if ended else "stopped; go on by --resume")
    finally:  # by an interrupt too
        version = wearable.save()
        tell(f"{_words(wearable.score)}; version {version}")
    _show(wearable.score, as_json=as_json)


def go_back(folder: Path, tell: Tell, *, as_json: bool) -> None:
    """Let a device forget what it learnt since its last version that is older than it.

    Raises:
        BadInput: there is nothing to forget.
    """
    wearable = Wearable(folder)
    forgotten = wearable.undo()
    tell(f"forgot {forgotten} questions (kept in {folder / 'undone'}); {_words(wearable.score)}")
    _show(wearable.score, as_json=as_json)


def _words(score: Score) -> str:
    """Say how well a device did."""
    if not score.answered:
        return f"{score.questions} questions, none answered yet"
    windows, votes = 100.0 * score.accuracy, 100.0 * score.vote_accuracy
    return (
        f"{score.questions} questions, {score.answered} answered; prequential, by the answers: "
        f"{windows:.1f}% of windows and {votes:.1f}% of votes right"
    )


def _show(score: Score, *, as_json: bool) -> None:
    """Print the score for a script."""
    if as_json:
        figures = {"accuracy": score.accuracy, "vote_accuracy": score.vote_accuracy}
        known = {name: value for name, value in figures.items() if score.answered}
        sys.stdout.write(json.dumps(asdict(score) | known) + "\n")
        sys.stdout.flush()

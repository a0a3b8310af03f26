"""Windows on which a file is compared with the program that it was made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clients import chance
from clients.errors import BadInput
from clients.program import Program
from clients.synthetic import ACTIVITIES, synthesize
from clients.windows import cut_windows, read_windows
from simulator.plan.population import AXES, donated_windows, gather_people
from simulator.scenario.file import read_scenario

__all__ = ["Questions", "is_series", "questions_from", "synthetic_questions"]

_RATE_HZ = 20.0
_SEED = 0
_PEOPLE = 4


@dataclass(frozen=True, slots=True, eq=False)
class Questions:
    """Windows by question, as a device would be asked.

    Attributes:
        x: float32 [Q, B, T, C].
        labels: int32 [Q, B].
    """

    x: NDArray[np.float32]
    labels: NDArray[np.int32]


def is_series(program: Program) -> bool:
    """Tell whether a question is a series of single samples, of one activity."""
    return bool(program.length == 1 and program.channels == AXES)


def questions_from(
    run: Path, program: Program, batch: int, most: int, *, trusted: bool = False
) -> Questions:
    """Take windows of the people of a run.

    Args:
        run: a run folder, whose data must still be where they were.
        program: what is to see them.
        batch: windows of a question.
        most: windows in all, about.
        trusted: whether the run's program may hold ops that can do more than compute.

    Raises:
        BadInput: the run's windows are of another shape than the program's, or too few.
    """
    scenario = read_scenario(run / "scenario.toml")
    people = gather_people(scenario, trusted=trusted)
    if (people.length, people.channels) != (program.length, program.channels):
        raise BadInput(
            f"{run}: its windows are {people.length} x {people.channels}, and those of "
            f"{program.path} are {program.length} x {program.channels}; give a run of this program"
        )
    length = batch if people.series else people.length
    donated = donated_windows(
        people,
        scenario.data.activities,
        list(people.recordings),
        length=length,
        hop=length if people.series else people.hop,
    )
    return _dealt(donated.x, donated.labels, program, batch, most)


def synthetic_questions(program: Program, batch: int, most: int) -> Questions:
    """Make windows of people, or numbers about the program's own mean where it has no axes.

    Raises:
        BadInput: fewer windows were asked for than a question has.
    """
    if program.channels != AXES:
        return _drawn(program, batch, most)
    names = program.activities or ACTIVITIES
    made = [name for name in names if name in ACTIVITIES] or list(ACTIVITIES)
    length = batch if is_series(program) else program.length
    windows = -(-most // (batch if is_series(program) else 1))
    seconds = length / _RATE_HZ * (1 + windows / (_PEOPLE * len(made)))
    recordings = synthesize(
        _PEOPLE, made, rate_hz=_RATE_HZ, seed=_SEED, minutes=max(1.0, seconds / 60.0)
    )
    cut = cut_windows(recordings, made, length=length, hop=length)
    places = np.array([names.index(name) if name in names else 0 for name in made], np.int32)
    return _dealt(read_windows(recordings, cut), places[cut.label], program, batch, most)


def _drawn(program: Program, batch: int, most: int) -> Questions:
    state, shape = program.read_state(), (most, program.length, program.channels)
    x = chance.generator(_SEED, "lite", 0).standard_normal(shape)
    x = x * state.get("scale", 1.0) + state.get("mean", 0.0)
    labels = np.arange(most) % len(program.activities or (0,))
    return _dealt(np.asarray(x, np.float32), labels, program, batch, most)


def _dealt(
    x: NDArray[np.float32], labels: NDArray[np.integer], program: Program, batch: int, most: int
) -> Questions:
    """Deal windows to questions: mixed ones, or of one activity where the program wants that."""
    series = is_series(program)
    order = chance.generator(_SEED, "lite", 1).permutation(len(x))
    if series:
        order = order[: max(1, most // batch)]
        shape = (len(order), batch, 1, program.channels)
        return _labelled(x[order].reshape(shape), np.repeat(labels[order, None], batch, 1), program)
    if program.whole_questions:
        parts = [order[labels[order] == label] for label in np.unique(labels)]
        rows = [p[: len(p) // batch * batch].reshape(-1, batch) for p in parts]
        dealt = np.concatenate(rows)[: max(1, most // batch)]
    else:
        dealt = order[: min(len(x), most) // batch * batch].reshape(-1, batch)
    if not len(dealt):
        raise BadInput(
            f"{min(len(x), most)} windows: too few to compare with, as a question has {batch}; "
            "give more by --windows, or a smaller --batch"
        )
    return _labelled(x[dealt], labels[dealt], program)


def _labelled(x: NDArray[np.float32], labels: NDArray[np.integer], program: Program) -> Questions:
    """Let a program without a table of classes be taught the classes that it names itself."""
    taught = np.asarray(labels, np.int32)
    if program.activities is None:
        said: Sequence[int] = [program.predict_aside(one).classes[0] for one in x]
        taught = np.repeat(np.asarray(said, np.int32)[:, None], x.shape[1], 1)
    return Questions(x, taught)

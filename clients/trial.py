"""What a program of others takes, found by trials that leave it as it was."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clients.errors import BadProgram
from clients.program import Program

__all__ = ["check_classes", "least_batch", "takes"]

_BATCHES = (8, 32, 1, 16, 64, 128)  # of whom one is likely to be taken
_MOST_CLASSES = 100


def least_batch(program: Program, batch: int) -> int:
    """Return the fewest windows of a question that it takes: 1, or `batch` where that is fixed.

    Args:
        program: whose variables are afterwards what they were.
        batch: most windows of a question.

    Raises:
        BadProgram: it does not take `batch` windows, or does not learn from them.
    """
    if program.functions is not None:
        return 1
    before = program.read_state()
    try:
        x = _windows(program, batch)
        try:
            program.predict(x)
        except BadProgram as error:
            if error.__cause__ is None:  # it ran, and said something else
                raise
            raise BadProgram(
                f"{error}; it was tried with stream.batch = {batch} windows, which should be "
                "the batch that it takes"
            ) from error
        program.learn(x, np.zeros(batch, np.int32))
        try:
            program.predict(x[:1])
        except BadProgram:
            return batch
        return 1
    finally:
        program.assign_state(before)


def check_classes(program: Program, batch: int, activities: Sequence[str]) -> None:
    """Refuse a program that does not tell a scenario's activities apart.

    Its logits say how many classes it has; the last class is taught once, whose loss must be a
    number and which must move it, as the first class does.

    Args:
        program: whose variables are afterwards what they were.
        batch: windows that it takes.
        activities: the scenario's, in order of class.

    Raises:
        BadProgram: it has too few classes, other logits or another table of activities.
    """
    count, told = len(activities), f"the scenario has {len(activities)} activities"
    mend = f"give it {count} classes, or change data.activities"
    if program.activities is not None and program.activities != tuple(activities):
        raise BadProgram(
            f"{program.path}: knows the activities {', '.join(program.activities)}; the scenario "
            f"has {', '.join(activities)}: make data.activities equal, in this order"
        )
    if program.functions is not None:
        return
    logits = program.predict_aside(_windows(program, batch)).logits
    if logits is not None and logits.shape != (batch, count):
        raise BadProgram(
            f"{program.path}: gives logits of shape {logits.shape}; {told}: expected "
            f"({batch}, {count}); {mend}"
        )
    try:
        first, last = (_taught(program, batch, label) for label in (0, count - 1))
    except BadProgram as error:
        raise BadProgram(f"{error}; {told}, classes 0 to {count - 1}: {mend}") from error
    if np.isfinite(first.loss) and not np.isfinite(last.loss):
        why = f"its loss of class {count - 1} is {last.loss}"
    elif first.moved and not last.moved and last.said != count - 1:
        why = f"nothing of it changes when it is taught class {count - 1}"
    else:
        return
    raise BadProgram(f"{program.path}: {why}, unlike class 0; {told}: {mend}")


def takes(program: Program) -> tuple[str, str]:
    """Tell what a program learns, and of how many classes, as far as trials show it."""
    if program.functions is not None:
        learns = "one activity at a time" if program.whole_questions else "mixed batches"
        return learns, str(len(program.activities or ()))
    batch = next((rows for rows in _BATCHES if _learns(program, [0] * rows)), None)
    if batch is None:
        tried = ", ".join(map(str, sorted(_BATCHES)))
        return f"not found out: `learn` failed on {tried} windows of class 0", "not found out"
    rows = max(batch, 2)
    learns = "one activity at a time"
    if _learns(program, [0] * (rows - 1) + [1]):
        learns += ", though it takes mixed batches: those are for programs that Wearfleet exports"
    logits = program.predict_aside(_windows(program, batch)).logits
    if logits is not None:
        return learns, str(logits.shape[-1])
    for label in range(1, _MOST_CLASSES):
        if not _learns(program, [label] * batch):
            return learns, f"{label} (`learn` fails on class {label})"
    return learns, "not found out: it gives no logits, and `learn` takes any label"


class _Taught:
    """What came of one step on one class: loss, whether parameters moved, what was said before."""

    def __init__(self, program: Program, batch: int, label: int) -> None:
        x, before = _windows(program, batch), program.read_parameters()
        self.said = int(program.predict(x).classes[0])
        self.loss = program.learn(x, np.full(batch, label, np.int32))
        after = program.read_parameters()
        self.moved = any(not np.array_equal(after[name], before[name]) for name in before)


def _taught(program: Program, batch: int, label: int) -> _Taught:
    """Teach one class, and put the program back."""
    before = program.read_state()
    try:
        return _Taught(program, batch, label)
    finally:
        program.assign_state(before)


def _learns(program: Program, labels: Sequence[int]) -> bool:
    """Tell whether `learn` takes some labels, and put the program back."""
    before = program.read_state()
    try:
        x = _windows(program, len(labels))
        return bool(np.isfinite(program.learn(x, np.array(labels, np.int32))))
    except BadProgram:
        return False
    finally:
        program.assign_state(before)


def _windows(program: Program, batch: int) -> NDArray[np.float32]:
    """Make windows that differ from sample to sample, as of somebody who moves, in m/s²."""
    time = np.arange(program.length, dtype=np.float32)[:, None]
    one = np.sin(0.6 * time + np.arange(program.channels)) + 9.8 / np.sqrt(program.channels)
    return np.repeat(one[None].astype(np.float32), batch, axis=0)

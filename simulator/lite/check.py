"""A file beside the program that it was made from: what both say and learn, and the times."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients.prediction import Prediction
from clients.program import Program
from simulator.lite.conversion import Converted
from simulator.lite.questions import Questions, is_series
from simulator.lite.runtime import LiteProgram

__all__ = ["Learnt", "Said", "check_learning", "check_predictions", "milliseconds", "rows_timed"]

_STEPS = 20
_MARGIN = 1e-3  # between the two largest logits, below which classes may differ
_APART = 0.01  # of what a variable learnt, by which it may differ after all steps
_STILL = 1e-3  # of itself or its group, by which a variable is taken to move at least
_TINY = 1e-12  # keeps what learnt nothing from dividing by nothing
_CALLS, _SECONDS = 300, 1.0


@dataclass(frozen=True, slots=True)
class Said:
    """How predictions compare.

    Attributes:
        windows: that were predicted.
        equal: of these, the ones with equal classes.
        clear: of the others, the ones with classes too far apart for rounding.
        logits: largest difference of logits, None where the program gives none.
    """

    windows: int
    equal: int
    clear: int
    logits: float | None

    def unlike(self) -> str:
        """Say what is wrong with a file that predicts otherwise; nothing where it does not."""
        if not self.clear:
            return ""
        return (
            f"predicts otherwise: {self.clear} of {self.windows} windows get another class by "
            "more than rounding"
        )


@dataclass(frozen=True, slots=True)
class Learnt:
    """How learning compares.

    Attributes:
        steps: that both took.
        loss: largest difference of a step's loss.
        parameters: largest difference of a parameter after all steps.
        share: the norm of all differences, as a share of the norm of what was learnt.
        furthest: the variable that differs most by what it learnt itself, empty where none does.
        furthest_share: the norm of its differences, as a share of the norm of what it learnt.
        said: predictions after it.
        restored: whether a file that is loaded anew saves what it was given, and predicts the same.
    """

    steps: int
    loss: float
    parameters: float
    share: float
    furthest: str
    furthest_share: float
    said: Said
    restored: bool

    def unlike(self) -> str:
        """Say what is wrong with a file that learns something else; nothing where it does not."""
        if not self.restored:
            return "what it saved is not what it is after it is restored"
        if self.furthest_share > _APART:
            return (
                f"learns otherwise: after {self.steps} steps {self.furthest} is "
                f"{self.furthest_share:.1%} of what it learnt away"
            )
        told = self.said.unlike()
        return told and f"learns otherwise: after {self.steps} steps it {told}"


def check_predictions(program: Program, lite: LiteProgram, questions: Questions) -> Said:
    """Let both predict questions, one after the other.

    Every third is given to the file in two parts, where it takes any number of windows and nothing
    is carried from call to call: it must cope with calls of equal and of changing size.
    """
    parted = lite.any_number and program.functions is not None and not is_series(program)
    pairs = [
        (program.predict(x), _said(lite, x, parted=parted and place % 3 == 2))
        for place, x in enumerate(questions.x)
    ]
    equal = [one.classes == other.classes for one, other in pairs]
    clear = [~e & _is_clear(one) for e, (one, _) in zip(equal, pairs, strict=True)]
    apart = [
        float(np.abs(one.logits - other.logits).max())
        for one, other in pairs
        if one.logits is not None and other.logits is not None
    ]
    return Said(
        int(questions.labels.size),
        int(np.sum(equal)),
        int(np.sum(clear)),
        max(apart) if apart else None,
    )


def _said(lite: LiteProgram, x: NDArray[np.float32], *, parted: bool) -> Prediction:
    """Predict a question at once, or its first window and then the others."""
    if not parted or len(x) < 2:
        return lite.predict(x)
    one, rest = lite.predict(x[:1]), lite.predict(x[1:])
    logits = None
    if one.logits is not None and rest.logits is not None:
        logits = np.concatenate([one.logits, rest.logits])
    return Prediction(np.concatenate([one.classes, rest.classes]), logits)


def _is_clear(said: Prediction) -> NDArray[np.bool_]:
    """Tell of which windows the class is clear beyond rounding, bool [B]."""
    if said.logits is None or said.logits.shape[1] < 2:
        return np.ones(said.classes.size, np.bool_)
    best = np.sort(said.logits, axis=1)[:, -2:]
    return np.asarray(best[:, 1] - best[:, 0] >= _MARGIN)


def check_learning(
    program: Program, lite: LiteProgram, questions: Questions, converted: Converted
) -> Learnt:
    """Let both take some steps, and compare what they are then.

    Every third step has half of the windows, where the file can do with fewer.
    """
    before, losses = program.read_state(), list[float]()
    for step in range(_STEPS):
        place = step % len(questions.x)
        short = step % 3 == 2 and program.functions is not None
        rows = slice(questions.labels.shape[1] // (2 if short else 1))
        x, labels = questions.x[place, rows], questions.labels[place, rows]
        losses.append(abs(program.learn(x, labels) - lite.learn(x, labels)))
    after, other = program.read_state(), lite.variables()
    apart, moved = (_differences(one, after, other) for one in (other, before))
    whole = _norms_of_groups(moved, after)
    away = [v for n, v in apart.items() if not _group(n) and _is_fraction(after[n])]
    shares = {n: _share(v, moved[n], after[n], whole[_group(n)]) for n, v in apart.items()}
    furthest = max(shares, key=lambda name: shares[name])
    saved, again = lite.save(), LiteProgram(converted)
    again.restore(saved)
    same = np.array_equal(again.save(), saved, equal_nan=True) and all(
        np.array_equal(again.predict(x).classes, lite.predict(x).classes)
        for x in questions.x[:_STEPS]
    )
    lite.restore(saved)  # to go on, as the program does, from where learning ended
    return Learnt(
        _STEPS,
        max(losses),
        max(float(np.abs(one).max()) for one in away),
        float(np.linalg.norm(np.concatenate(away))) / max(whole[""], _TINY),
        furthest if shares[furthest] else "",
        shares[furthest],
        check_predictions(program, lite, questions),
        same,
    )


def _differences(
    state: Mapping[str, NDArray[Any]], after: Mapping[str, NDArray[Any]], kept: Mapping[str, Any]
) -> dict[str, NDArray[np.float64]]:
    """Return how far variables are from those after learning, flat, of all that a file keeps."""
    return {
        name: np.asarray(state[name], np.float64).ravel() - after[name].ravel() for name in kept
    }


def _group(name: str) -> str:
    """Return what a variable is one of: a kind of slots, what is carried, or all that is learnt."""
    first, *rest = name.split("/")
    return f"slots/{rest[0]}" if first == "slots" else first if first == "state" else ""


def _is_fraction(values: NDArray[Any]) -> bool:
    """Tell whether a variable holds fractions, and is no counter or flag."""
    return bool(np.issubdtype(values.dtype, np.floating))


def _norms_of_groups(
    moved: Mapping[str, NDArray[np.float64]], after: Mapping[str, NDArray[Any]]
) -> dict[str, float]:
    """Return how far the fractions of each group went together."""
    squares = dict.fromkeys(map(_group, moved), 0.0)
    for name, values in moved.items():
        squares[_group(name)] += float(values @ values) if _is_fraction(after[name]) else 0.0
    return {group: float(np.sqrt(square)) for group, square in squares.items()}


def _share(
    apart: NDArray[np.float64], moved: NDArray[np.float64], after: NDArray[Any], whole: float
) -> float:
    """Return how far a variable is from what it should be, as a share of how far it went.

    What hardly moves is compared with its size and its group instead: it moves by rounding alone.

    Args:
        apart: how far it is, flat.
        moved: how far it went.
        after: what it should be; counters and flags must be that exactly.
        whole: how far its group went.
    """
    if not _is_fraction(after):
        return float(np.inf if apart.any() else 0.0)
    least = _STILL * max(float(np.linalg.norm(after)), whole)
    share = float(np.linalg.norm(apart)) / max(float(np.linalg.norm(moved)), least, _TINY)
    return float(np.inf) if np.isnan(share) else share


def milliseconds(call: Callable[[], object]) -> float:
    """Return the median time of a call, of as many as a second holds, 300 at most."""
    call()
    times, until = list[float](), time.perf_counter() + _SECONDS
    while len(times) < _CALLS and (not times or time.perf_counter() < until):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return float(np.median(times)) * 1e3


def rows_timed(converted: Converted, program: Program) -> int:
    """Return how many windows a timed call of `predict` has: one, where it takes one alone."""
    alone = converted.form.rows is None and not is_series(program)
    return 1 if alone else converted.form.batch

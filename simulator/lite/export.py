"""A program written as a file for LiteRT, once it was compared with what it was made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from clients.errors import BadProgram, RunFailed
from clients.program import Program
from simulator.base.programs import need_new
from simulator.lite.check import (
    Learnt,
    Said,
    check_learning,
    check_predictions,
    milliseconds,
    rows_timed,
)
from simulator.lite.conversion import Converted, Quantize, Unconverted, convert, in_sentences, tries
from simulator.lite.lowering import lower
from simulator.lite.questions import Questions, is_series, questions_from, synthetic_questions
from simulator.lite.runtime import LiteProgram, ops_of

__all__ = ["Asked", "Report", "write_lite"]

_SERIES, _MIXED = 32, 16  # samples of a question; windows of one, and as many from memory
_WINDOWS = 512


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for.

    Attributes:
        quantize: how parameters are stored; anything but "none" gives a file that does not learn.
        learns: whether learning is tried.
        batch: windows of a call to `learn`, None = 32 samples or 16 windows.
        windows: a run whose windows are compared, or how many synthetic ones.
        trusted: whether the program may hold ops that can do more than compute.
    """

    quantize: Quantize = "none"
    learns: bool = True
    batch: int | None = None
    windows: Path | int = _WINDOWS
    trusted: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What came of it.

    Attributes:
        converted: the file.
        own: LiteRT's ops in it.
        other: TensorFlow's ops in it.
        said: how its predictions compare.
        learnt: how its learning compares, None where it has none.
        rows: windows of a timed call of `predict`.
        predict_ms: time of that call.
        learn_ms: time of a step, None where it has none.
        refused: ways that were tried before, each with what is wrong with it.
    """

    converted: Converted
    own: Sequence[str]
    other: Sequence[str]
    said: Said
    learnt: Learnt | None
    rows: int
    predict_ms: float
    learn_ms: float | None
    refused: tuple[tuple[str, str], ...]

    def figures(self) -> dict[str, Any]:
        """Return all as plain numbers and texts."""
        form = self.converted.form
        return {
            "bytes": len(self.converted.content),
            "signatures": ["predict", *(["learn", "save", "restore"] if form.learns else [])],
            "predict_windows": form.rows,
            "learn_windows": form.batch if form.learns else None,
            "own_ops": list(self.own),
            "tensorflow_ops": list(self.other),
            "predictions": asdict(self.said),
            "learning": asdict(self.learnt) if self.learnt else None,
            "timed_windows": self.rows,
            "predict_ms": self.predict_ms,
            "learn_ms": self.learn_ms,
            "state": [[name, list(shape)] for name, shape in self.converted.kept.items()]
            if form.learns
            else [],
            "refused": [list(pair) for pair in self.refused],
        }


def write_lite(source: Path, out: Path, asked: Asked) -> Report:
    """Convert a program in the first way whose result predicts and learns alike, and write that.

    Args:
        source: a SavedModel.
        out: a file that is not there yet.
        asked: how.

    Raises:
        BadProgram: no SavedModel, or one that breaks the contract.
        BadInput: `out` is there already, or there is nothing to compare with.
        RunFailed: it does not convert, or no result predicts alike.
    """
    need_new(out)
    program = Program(source, trusted=asked.trusted)
    batch = asked.batch or (_SERIES if is_series(program) else _MIXED)
    questions = _questions(program, batch, asked)
    with TemporaryDirectory() as made:
        report = _first_alike(program, questions, asked, batch, Path(made))
    _write(report.converted.content, out)
    return report


def _first_alike(
    program: Program, questions: Questions, asked: Asked, batch: int, folder: Path
) -> Report:
    """Convert in one way after the other, until a file is what the program is."""
    lowered, begin, refused = folder / "lowered", program.read_state(), list[tuple[str, str]]()
    lower(program.path, lowered, _sequences(program, batch))
    runs_all = True  # whether the interpreter has TensorFlow's ops
    for number, way in enumerate(tries(batch, learns=asked.learns and asked.quantize == "none")):
        if way.select and not runs_all:
            continue
        program.assign_state(begin)
        try:
            converted = convert(lowered, folder / str(number), way, asked.quantize)
            report, unlike = _compared(program, converted, questions, tuple(refused))
        except Unconverted as error:
            refused.append((str(way), str(error)))
        except RuntimeError as error:
            runs_all = not way.select
            told = in_sentences(str(error))
            refused.append((str(way), f"the installed interpreter cannot run it: {told}"))
        else:
            if not unlike or asked.quantize != "none":
                return report
            refused.append((str(way), unlike))
    tried = "; ".join(f"{what}: {why}" for what, why in refused)
    raise RunFailed(f"{program.path}: no part of it converts to what it is. {tried}")


def _compared(
    program: Program,
    converted: Converted,
    questions: Questions,
    refused: tuple[tuple[str, str], ...],
) -> tuple[Report, str]:
    """Compare a file with its program; returns what is wrong with it too, nothing where all is."""
    lite = LiteProgram(converted)
    said = check_predictions(program, lite, questions)
    learnt = None
    if converted.form.learns and not said.clear:
        learnt = check_learning(program, lite, questions, converted)
    rows = rows_timed(converted, program)
    x, labels = questions.x[0], questions.labels[0]
    report = Report(
        converted,
        *ops_of(converted.content),
        said,
        learnt,
        rows,
        milliseconds(lambda: lite.predict(x[:rows])),
        milliseconds(lambda: lite.learn(x, labels)) if learnt else None,
        refused,
    )
    return report, said.unlike() or (learnt.unlike() if learnt else "")


def _write(content: bytes, out: Path) -> None:
    """Write a file whole or not at all."""
    unfinished = out.with_name(f".{out.name}.unfinished")
    unfinished.write_bytes(content)
    unfinished.replace(out)


def _questions(program: Program, batch: int, asked: Asked) -> Questions:
    """Return what is compared, which the program must take."""
    try:
        if isinstance(asked.windows, Path):
            found = questions_from(asked.windows, program, batch, _WINDOWS, trusted=asked.trusted)
        else:
            found = synthetic_questions(program, batch, asked.windows)
        program.predict_aside(found.x[0])
    except BadProgram as error:
        raise BadProgram(f"{error}; --batch says how many windows it takes in a call") from error
    return found


def _sequences(program: Program, batch: int) -> int | None:
    """Return how many series a recurrent cell follows: its windows, or the one of its samples."""
    if program.functions is None:
        return None
    return 1 if is_series(program) else batch

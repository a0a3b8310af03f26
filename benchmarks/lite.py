"""What of every built-in program goes into a file for LiteRT, how large it is and how fast?

`python -m benchmarks.lite` exports each program untrained, with each optimizer, writes it as
`wearfleet model lite` does, with learning and without, and prints a table in Markdown; a name or
several limit it. Times are medians, with one thread.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from clients import chance
from clients.errors import RunFailed
from clients.export import Blueprint, export_program
from clients.models import MODELS
from clients.optimizers import OPTIMIZERS
from simulator.commands.shared import start_tensorflow
from simulator.lite.export import Asked, Report, write_lite
from simulator.process.hush import quiet

CLASSES = ("walking", "jogging", "upstairs", "downstairs", "sitting", "standing")
SHAPES = {"features": (1, 43), "tracker_dense": (1, 3), "tracker_lstm": (1, 3)}
"""Samples and channels, where they are not 80 x 3."""
HEAD = (
    "program", "optimizer", "in the file", "`predict` takes", "bytes", "without `learn`",
    "equal classes", "logits", "an inference, ms (windows)", "a step, ms (windows)",
    "share by which steps differ",
)  # fmt: skip


def main() -> None:
    """Print the table."""
    programs = sorted([*MODELS, "gru@1"])
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help=f"of {', '.join(programs)}")
    chosen = parser.parse_args().programs
    quiet()
    start_tensorflow()
    print("|", " | ".join(HEAD), "|")
    print("|", " | ".join("---" for _ in HEAD), "|")
    for name in chosen or programs:
        for row in rows_of(name):
            print("|", " | ".join(row), "|", flush=True)


def rows_of(name: str) -> Iterator[list[str]]:
    """Measure one program, a row for each optimizer; `@1` after its name: on single samples."""
    program, _, single = name.partition("@")
    length, channels = (1, 3) if single else SHAPES.get(program, (80, 3))
    alone = None
    for optimizer in sorted(OPTIMIZERS):
        blueprint = Blueprint(program, length, channels, CLASSES, optimizer)
        params = blueprint.model().init(chance.generator(0, "base", 0))
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            source = folder / "program"
            export_program(blueprint, params, np.zeros(channels), np.ones(channels), source)
            try:
                whole = write_lite(source, folder / "whole.tflite", Asked())
                alone = alone or write_lite(source, folder / "alone.tflite", Asked(learns=False))
            except RunFailed as error:
                yield [name, optimizer, str(error), *[""] * (len(HEAD) - 3)]
            else:
                yield [name, optimizer, *cells(whole, alone)]


def cells(whole: Report, alone: Report) -> list[str]:
    """Return the cells of a row but for its names."""
    form, learnt, said = whole.converted.form, whole.learnt, whole.said
    step = learnt and f"{whole.learn_ms:.2f} ({form.batch})"
    return [
        "predict, learn" if form.learns else "predict",
        "any number" if form.rows is None else str(form.rows),
        f"{len(whole.converted.content):,}",
        f"{len(alone.converted.content):,}",
        f"{said.equal} of {said.windows}",
        "" if said.logits is None else f"{said.logits:.0e}",
        f"{whole.predict_ms:.3f} ({whole.rows})",
        step or "",
        f"{learnt.share:.0e}" if learnt else "",
    ]


if __name__ == "__main__":
    main()

"""`wearfleet model lite`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from clients.errors import BadInput
from simulator.commands.shared import TrustOption, need_run, start_tensorflow
from simulator.console import print_rows

if TYPE_CHECKING:
    from simulator.lite.check import Said
    from simulator.lite.conversion import Quantize
    from simulator.lite.export import Report

__all__ = ["lite"]

_QUANTIZE = ("none", "float16", "dynamic")


def lite(
    path: Annotated[Path, typer.Argument(help="A SavedModel's folder, as a device's version.")],
    out: Annotated[Path, typer.Option(help="Where the file goes, such as device.tflite.")],
    quantize: Annotated[
        str, typer.Option(help="none, float16 or dynamic; the last two do not learn.")
    ] = "none",
    learn: Annotated[bool, typer.Option("--learn/--no-learn", help="Convert learning too.")] = True,
    batch: Annotated[
        int | None,
        typer.Option(min=1, help="Windows that a learning step takes; 16, or 32 single samples."),
    ] = None,
    windows: Annotated[
        str, typer.Option(help="What is compared: the windows of a run's folder, or how many.")
    ] = "512",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    trusted: TrustOption = False,
) -> None:
    """Write a program as a file for LiteRT on phones and watches, after comparing the two."""
    if quantize not in _QUANTIZE:
        raise BadInput(f"--quantize {quantize}: expected one of {', '.join(_QUANTIZE)}")
    compared = _compared(windows)
    start_tensorflow()
    from simulator.lite.export import Asked, write_lite

    asked = Asked(cast("Quantize", quantize), learn, batch, compared, trusted)
    report = write_lite(path, out, asked)
    if as_json:
        typer.echo(json.dumps({"file": str(out), **report.figures()}, indent=1))
        return
    print_rows(("", ""), _rows(report, quantize))
    typer.echo(out)


def _compared(windows: str) -> Path | int:
    """Read what is compared: a number of windows, or a run's folder."""
    if windows.isdecimal():
        if not 1 <= int(windows) <= 100_000:
            raise BadInput(f"--windows {windows}: expected 1 to 100000, or a run's folder")
        return int(windows)
    need_run(Path(windows))
    return Path(windows)


def _rows(report: Report, quantize: str) -> list[tuple[str, str]]:
    """Return what a person sees of a report."""
    form = report.converted.form
    any_number = "any number of windows" if form.rows is None else f"{form.rows} windows"
    rows = [
        ("size", f"{len(report.converted.content):,} bytes"),
        ("predict", f"{any_number} a call"),
        ("learn", f"up to {form.batch} windows a step" if form.learns else _mute(report, quantize)),
        ("ops", f"{len(report.own)} of LiteRT's own: {', '.join(report.own)}".lower()),
        ("ops of TensorFlow", ", ".join(report.other) or "none"),
        ("predictions", _told(report.said)),
    ]
    if report.learnt:
        learnt = report.learnt
        rows += [
            (
                f"after {learnt.steps} steps",
                f"parameters differ by {learnt.parameters:.1e} at most, together by "
                f"{learnt.share:.1e} of what was learnt; a loss by {learnt.loss:.1e}",
            ),
            (
                "  furthest",
                f"{learnt.furthest} by {learnt.furthest_share:.1e} of what it learnt"
                if learnt.furthest
                else "none: all variables are equal",
            ),
            ("  predictions", _told(learnt.said)),
            ("  saved, restored", "is the same, and predicts the same"),
        ]
    rows.append(("an inference", f"{report.predict_ms:.3f} ms, {_of(report.rows)}"))
    if report.learn_ms is not None:
        rows.append(("a learning step", f"{report.learn_ms:.3f} ms, {_of(form.batch)}"))
    if quantize != "none":
        rows.append(("not tried", "learn: quantized parameters cannot be learnt"))
    return rows + [("passed over", f"{what}: {why}") for what, why in report.refused]


def _mute(report: Report, quantize: str) -> str:
    """Say that a file does not learn, and why."""
    if not report.refused:
        return "not in the file" + (", as with --quantize" if quantize != "none" else "")
    return "not in the file: LiteRT has no op for a part of it (below, and docs/lite.md)"


def _told(said: Said) -> str:
    logits = "" if said.logits is None else f"; logits differ by {said.logits:.1e} at most"
    return f"{said.equal:,} of {said.windows:,} windows get the same class{logits}"


def _of(windows: int) -> str:
    return f"{windows} window{'s' if windows > 1 else ''}, one thread, median"

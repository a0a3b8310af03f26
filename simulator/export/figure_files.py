"""Figures of a run as files: SVG, and PNG drawn from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from simulator.export.folders import runs_of, whole
from simulator.measures.user_series import SERIES, holdout_of, joined, prequential_of
from simulator.report.charts import spread
from simulator.report.contrasts import Protocol, rival_of, scored_protocol, user_order
from simulator.report.figures import FONT, arms_figure, rounds_figure, users_figure
from simulator.report.records import read_tables
from simulator.report.svg import ArmStyle, arm_styles

__all__ = ["FORMATS", "write_figures"]

FORMATS = ("svg", "png")
_ZOOM = 2  # pixels of a PNG for one of the SVG
_FEW_ARMS = 3  # as many bands can lie over each other and still be told apart
_FONT_FILE = Path(__file__).with_name("Roboto-Regular.ttf")


def write_figures(folder: Path, out: Path, formats: Sequence[str]) -> list[Path]:
    """Write the figures of a run: `arms`, `rounds-holdout`, `rounds-prequential`, `users`.

    Args:
        folder: of the run; one of several seeds has no figures of rounds.
        out: where the files go.
        formats: of `FORMATS`.

    Returns:
        the files; what a run has not measured is not drawn.

    Raises:
        BadInput: a file is there already, or records of the run are damaged.
    """
    written = []
    for name, svg in _figures(folder).items():
        for kind in formats:
            path = out / f"{name}.{kind}"
            with whole(path) as unfinished:
                unfinished.write_bytes(svg.encode() if kind == "svg" else _png(svg))
            written.append(path)
    return written


def _figures(folder: Path) -> dict[str, str]:
    """Draw all figures for which there is something to draw."""
    scenario, summary, users = read_tables(folder)
    arms = [str(arm["name"]) for arm in scenario.get("arms", [])]
    styles, baseline = arm_styles(arms), str(scenario.get("baseline", ""))
    protocol = scored_protocol(summary)
    found = {}
    if protocol is not None and protocol.column in users:
        rival = rival_of(summary, baseline, protocol)
        order = user_order(users, baseline, rival, protocol)
        found["arms"] = arms_figure(users, styles, protocol, baseline)
        found["users"] = users_figure(users, order, styles, protocol)
    if "" in runs_of(folder):
        banded = _banded(summary, styles, baseline, protocol)
        titles = {
            "rounds-holdout": (holdout_of, "Holdout accuracy through the rounds"),
            "rounds-prequential": (
                prequential_of,
                "Prequential accuracy through the stream, older windows fading",
            ),
        }
        for name, (series_of, title) in titles.items():
            series: pd.DataFrame = joined([series_of(folder, arm) for arm in arms], SERIES)
            found[name] = rounds_figure(spread(series), styles, banded, title)
    return {name: svg for name, svg in found.items() if svg}


def _banded(
    summary: pd.DataFrame,
    styles: dict[str, ArmStyle],
    baseline: str,
    protocol: Protocol | None,
) -> list[str]:
    """Choose the arms that get a band: all of a few, else the baseline and the best of the rest."""
    if len(styles) <= _FEW_ARMS:
        return list(styles)
    rival = None if protocol is None else rival_of(summary, baseline, protocol)
    return [arm for arm in styles if arm in (baseline, rival)]


def _png(svg: str) -> bytes:
    """Draw an SVG as PNG, in the font that comes with this package."""
    import resvg_py

    return bytes(
        resvg_py.svg_to_bytes(
            svg_string=svg,
            zoom=_ZOOM,
            font_files=[str(_FONT_FILE)],
            font_family=FONT,
            sans_serif_family=FONT,
        )
    )

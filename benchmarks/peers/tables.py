"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from benchmarks.peers.goals import Figure
from benchmarks.peers.runs import Result

__all__ = ["figures_table", "results_table"]

_COLORS = {"goal": "green", "floor": "yellow", "missed": "red", "": "dim"}


def results_table(results: Sequence[Result]) -> Table:
    """Show how fast everybody was; a number beside Wearfleet is that of its workers."""
    table = Table(title="Client-rounds a second, one client-round being 10 SGD steps")
    for name in ("", ""):
        table.add_column(name, no_wrap=True)
    for name in ("devices", "rounds/s", "first", "memory", "outside"):
        table.add_column(name, justify="right", no_wrap=True)
    ordered = sorted(results, key=lambda result: (result.workload, result.devices))
    for place, result in enumerate(ordered):
        table.add_row(
            f"{result.peer}, {result.workers}" if result.workers else result.peer,
            result.workload.upper(),
            f"{result.devices:,}",
            f"{result.rate:,.0f}",
            f"{result.first_round_s:.1f} s",
            f"{result.peak_rss_mib / 1024:.1f} GiB",
            "" if result.outside is None else f"{result.outside:.0%}",
            end_section=place + 1 < len(ordered)
            and (result.workload, result.devices)
            != (ordered[place + 1].workload, ordered[place + 1].devices),
        )
    return table


def figures_table(found: Sequence[Figure]) -> Table:
    """Show what was to be reached, and what was."""
    table = Table(title="Floors and goals")
    table.add_column("")
    table.add_column("better", no_wrap=True)
    for name in ("measured", "floor", "goal"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("reached", no_wrap=True)
    for figure in found:
        goal, color = figure.goal, _COLORS[figure.verdict]
        measured = "-" if figure.value is None else f"{figure.value:.3g}"
        better = "higher" if goal.higher else "lower"
        cells = (goal.title, better, measured, f"{goal.floor:g}", f"{goal.goal:g}")
        table.add_row(*cells, figure.verdict, style=color)
    return table

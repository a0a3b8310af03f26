"""How a run goes, as a picture for a terminal and as lines for whatever is none."""

from __future__ import annotations

import time

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from simulator.folder.run_log import FAULTS, Story
from simulator.running.followed import Followed

__all__ = ["duration", "line", "picture", "round_told", "where"]

_NOTES = 3  # as many of the latest are shown
_TOLD = (
    "prequential: share of all windows so far that were predicted rightly before they were learnt "
    "from, all devices together"
)


def duration(seconds: float) -> str:
    """Write a time as a person says it: 75 -> "1:15 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}:{rest:02d} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d} h"


def round_told(done: int, rounds: int, folds: int = 1) -> str:
    """Say which round of which fold is the last one done: "fold 2 of 2, round 3 of 4".

    Args:
        done: rounds, over all folds.
        rounds: of each fold.
        folds: how many, one after the other.
    """
    before = max(done - 1, 0) // max(rounds, 1)
    told = f"round {done - before * rounds} of {rounds}"
    return told if folds == 1 else f"fold {before + 1} of {folds}, {told}"


def _speed(devices_per_s: float) -> str:
    """Write devices per second, slow ones with a decimal."""
    if devices_per_s >= 9.95:
        return f"{devices_per_s:,.0f}"
    return f"{devices_per_s:.1f}" if devices_per_s >= 0.095 else f"{devices_per_s:.2g}"


def picture(
    run: Followed, status: str, stage: str = "", *, lines: int = 24, notes: bool = True
) -> RenderableType:
    """Draw the state of a run.

    Args:
        run: as it was looked at last.
        status: "running", or how it ended.
        stage: what it is at, where it is in no round.
        lines: of the terminal; arms that find no room are counted.
        notes: whether to show the latest notes.
    """
    story = run.story
    parts: list[RenderableType] = [_head(run, status, stage)]
    if story.arms:
        room = lines - 8 - len(story.notes[-_NOTES:]) * notes
        parts.append(_arms(story, max(room, 3), running=status == "running"))
        if any(story.standing(arm) is not None for arm in story.arms):
            parts.append(Text(_TOLD, style="dim"))
    faults = _faults(story)
    if faults and status == "running" and story.present is not None:
        parts.append(Text(f"last round of {_place(story)}: {faults}", style="yellow"))
    if story.workers_lost:
        parts.append(Text(f"workers lost: {story.workers_lost}", style="red"))
    if notes:
        parts += [Text(f"note: {_printable(text)}") for text in story.notes[-_NOTES:]]
    return Group(*parts)


def _head(run: Followed, status: str, stage: str) -> Text:
    """Say which run it is, how it is with it, and how long it takes."""
    story = run.story
    told = [_printable(story.name or run.folder.name)]
    if run.seeds is not None:
        number = list(run.stories).index(run.seed) + 1 if run.stories else 1
        told.append(f"seed {number} of {run.seeds}")
    at_work = status == "running"
    between = not story.all_done or story.all_done >= story.all_rounds
    told.append(stage if at_work and stage and between else status)
    took, left = story.took_s(time.time() if at_work else None), run.left_s()
    if took is not None:
        told.append(duration(took))
    if at_work and left is not None and left >= 0.5 and not (between and run.seeds is None):
        told.append(f"about {duration(left)} left")
    text = Text(" · ").join([Text(told[0], style="bold"), *map(Text, told[1:])])
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _arms(story: Story, room: int, *, running: bool) -> Table:
    """Draw a row for each arm: its fold and round, speed, standing."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("arm", overflow="ellipsis", no_wrap=True, max_width=28)
    table.add_column("fold", justify="right", no_wrap=True)
    table.add_column("", min_width=6, max_width=24)
    table.add_column("round", justify="right", no_wrap=True)
    table.add_column("devices/s", justify="right", no_wrap=True)
    table.add_column("prequential", justify="right", no_wrap=True)
    shown = _shown(story, room)
    total = story.folds * story.rounds
    for arm in shown:
        done, now = story.done(arm), story.present is not None and story.present[0] == arm
        begun = story.folds_of(arm)
        at = len(begun[-1].rounds) if begun else 0
        standing, speed = story.standing(arm), story.speed() if now and running else None
        table.add_row(
            Text(_printable(arm), style="bold" if now and running else ""),
            f"{len(begun)}/{story.folds}",
            ProgressBar(total=max(total, 1), completed=done),
            f"{at}/{story.rounds}",
            "" if speed is None else _speed(speed),
            "" if standing is None else f"{100 * standing:.1f}%",
        )
    if len(shown) < len(story.arms):
        table.add_row(Text(f"and {len(story.arms) - len(shown)} more", style="dim"))
    return table


def _shown(story: Story, room: int) -> list[str]:
    """Choose the arms that there is room for: those about the present one."""
    if len(story.arms) <= room:
        return story.arms
    present = "" if story.present is None else story.present[0]
    place = story.arms.index(present) if present in story.arms else 0
    first = min(max(place - room + 2, 0), len(story.arms) - room + 1)
    return story.arms[first : first + room - 1]


def line(run: Followed) -> str:
    """Tell in one line how far a run is: speed, standing, faults and time left."""
    story = run.story
    told = []
    speed, left = story.speed(), run.left_s()
    if speed is not None:
        told.append(f"{_speed(speed)} devices/s")
    standing = None if story.present is None else story.standing(story.present[0])
    if standing is not None:
        told.append(f"{100 * standing:.1f}% right so far (prequential)")
    if faults := _faults(story):
        told.append(f"last round: {faults}")
    if left is not None and left >= 0.5:
        told.append(f"about {duration(left)} left")
    return ", ".join(told)


def where(run: Followed) -> str:
    """Say which seed, arm, fold and round a run is in, or what else it is at."""
    story = run.story
    if story.present is None or story.all_done >= story.all_rounds:
        told = run.stage()
    else:
        done = len(story.told[story.present].rounds)
        told = f"{_place(story)}, round {done} of {story.rounds}"
        arms = sum(story.done(arm) == story.folds * story.rounds for arm in story.arms)
        told += f", {arms} of {len(story.arms)} arms done"
    return told if run.seeds is None else f"seed {run.seed}: {told}"


def _faults(story: Story) -> str:
    return ", ".join(f"{count:,} {FAULTS[name]}" for name, count in story.faults().items())


def _place(story: Story) -> str:
    """Say which arm and fold a run is in."""
    arm, fold = story.present or ("", 0)
    of_folds = f", fold {fold + 1} of {story.folds}" if story.folds > 1 else ""
    return f"{_printable(arm)}{of_folds}"


def _printable(text: str) -> str:
    """Make harmless what would steer a terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)

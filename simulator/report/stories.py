"""What befell one device of each user, window by window, packed small enough for a page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from clients.containment import file_name
from simulator.folder.parquet_file import read_columns
from simulator.folder.record_files import EVENTS, WINDOWS
from simulator.folder.rounds_file import names_of, read_rounds
from simulator.folder.store import RunFolder
from simulator.report.svg import ArmStyle

__all__ = ["Stories", "packed", "read_stories", "story_of"]

_MOST_ARMS = 12  # as many strips can be read below each other
_MOST_BYTES = 700_000  # of all stories together: where streams are long, fewer arms have room
_WINDOWS = ["round", "question", "device", "user", "label", "predicted", "voted", "answer",
            "drifted"]  # fmt: skip
_ROUNDS = ["round", "device", "user", "asked", "steps", "bytes_down", "sent", "accepted",
           "refused", "lost", "reachable", "holdout_windows", "holdout_correct"]  # fmt: skip
_EVENTS = ["round", "device", "kind", "reason", "windows"]
_FIRST_LETTER = 97

Rows: TypeAlias = Mapping[str, Sequence[Any]]


@dataclass(slots=True)
class Stories:
    """What the page's script draws of single users.

    Attributes:
        classes: names of the activities; a letter from "a" on stands for each.
        users: by user, what `story_of` returns of each arm, under the arm's name.
        devices: by user, whose story it is: the first device that was written down.
        worn: by user, how many devices.
        arms: those that are told, foremost first; `left_out` those for which there was no room.
    """

    classes: list[str]
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    devices: dict[str, str] = field(default_factory=dict)
    worn: dict[str, int] = field(default_factory=dict)
    arms: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def read_stories(
    run: Path, arms: Sequence[str], users: Sequence[str], classes: list[str]
) -> Stories:
    """Read the stories of one honest device of each user.

    Args:
        run: a run folder.
        arms: foremost first; the last are left out where the page would grow too large.
        users: whose stories to tell.
        classes: names of the activities.

    Raises:
        BadInput: a file is damaged.
    """
    found = Stories(list(classes))
    size = 0
    for arm in arms:
        if len(found.arms) == _MOST_ARMS:
            break
        if not found.devices:
            found.devices = _first_devices(run, arm, set(users))
        told = _stories_of_arm(run, arm, found)
        own = len(json.dumps(told))
        if found.arms and size + own > _MOST_BYTES:
            break
        if told:
            size += own
            found.arms.append(arm)
        for user, story in told.items():
            found.users.setdefault(user, {})[arm] = story
    if found.arms:
        found.left_out = [arm for arm in arms if arm not in found.arms]
    return found


def story_of(windows: Rows, rounds: Rows, events: Rows, classes: list[str]) -> dict[str, Any]:
    """Pack what befell a device in an arm.

    Args:
        windows: its rows of `windows/`, in order, by column.
        rounds: its rows of `rounds/`, in order, by column.
        events: its rows of `events/`, by column.
        classes: names of the activities; one that is missing is appended.

    Returns:
        t, p: a letter a window, what was true and what the device said; q: windows of each
        question; r: questions of each round from 1 on; a: a letter a question, see `_answer`;
        d: first window and number of windows of each stretch under drift; m: a number for each
        round, see `_model`; h: holdout windows right after each round from 0 on, of w, null if not
        scored; e: round, kind, reason and windows of each event.
    """
    keys = list(zip(windows["round"], windows["question"], strict=True))
    first = [i for i, key in enumerate(keys) if i == 0 or key != keys[i - 1]]
    last = max([*rounds["round"], *windows["round"]])
    by_round = Counter(windows["round"][i] for i in first)
    row = {number: i for i, number in enumerate(rounds["round"])}

    def told(column: str, number: int) -> Any:
        return rounds[column][row[number]] if number in row else None

    return {
        "t": _letters(windows["label"], classes),
        "p": _letters(windows["predicted"], classes),
        "q": [b - a for a, b in pairwise([*first, len(keys)])],
        "r": [by_round[number] for number in range(1, last + 1)],
        "a": "".join(
            _answer(windows, i, told("asked", keys[i][0]), by_round[keys[i][0]]) for i in first
        ),
        "d": _stretches(windows["drifted"]),
        "m": [_model(rounds, row.get(number)) for number in range(1, last + 1)],
        "h": [told("holdout_correct", number) for number in range(last + 1)],
        "w": max((count or 0 for count in rounds["holdout_windows"]), default=0),
        "e": [
            [number, kind, reason or "", -1 if seen is None else seen]
            for number, kind, reason, seen in zip(
                *(events[name] for name in ("round", "kind", "reason", "windows")), strict=True
            )
        ],
    }


def _letters(names: Sequence[str], classes: list[str]) -> str:
    for name in dict.fromkeys(names):
        if name not in classes:
            classes.append(name)
    places = {name: chr(_FIRST_LETTER + place) for place, name in enumerate(classes)}
    return "".join(places[name] for name in names)


def _answer(windows: Rows, first: int, asked: int | None, questions: int) -> str:
    """Tell what came of a question.

    c: the answer confirmed what the device said by majority; k: it corrected it; w: it was wrong;
    n: asked, and not answered; o: not asked; u: no answer, and it is not written down which of the
    round's questions were asked.

    Args:
        windows: see `story_of`.
        first: the question's first window.
        asked: of the round's questions.
        questions: of the round.
    """
    answer = windows["answer"][first]
    if answer is None:
        return "o" if asked == 0 else "n" if asked == questions else "u"
    if answer != windows["label"][first]:
        return "w"
    return "c" if answer == windows["voted"][first] else "k"


def _model(rounds: Rows, row: int | None) -> int:
    """Add up what a device did in a round.

    1: learnt; 2: downloaded the shared model; 4: its update was accepted; 8: refused; 16: lost;
    32: it was out of reach.
    """
    if row is None:
        return 0
    flags = ("steps", "bytes_down", "accepted", "refused", "lost")
    done = sum(1 << place for place, name in enumerate(flags) if rounds[name][row])
    return done | (32 if rounds["reachable"][row] is False else 0)


def _stretches(there: Sequence[bool | None]) -> list[list[int]]:
    """Return the first place and the length of each stretch of places that are there."""
    found: list[list[int]] = []
    for place, own in enumerate(there):
        if own and found and sum(found[-1]) == place:
            found[-1][1] += 1
        elif own:
            found.append([place, 1])
    return found


def _window_files(run: Path, arm: str) -> list[Path]:
    return sorted((run / "windows" / file_name(arm)).glob("cohort-*.parquet"))


def _first_devices(run: Path, arm: str, users: set[str]) -> dict[str, str]:
    """Find each user's first device that is honest and whose windows were written down."""
    honest: set[str] = set()
    for path in RunFolder(run).rounds_files(arm):
        names = names_of(read_rounds(path, ["device"]), "device")
        honest |= {names.names[code] for code in np.unique(names.code)}
    found: dict[str, str] = {}
    for path in _window_files(run, arm):
        table = read_columns(path, ["device", "user"], WINDOWS)
        device, user = names_of(table, "device"), names_of(table, "user")
        for row in np.unique(device.code, return_index=True)[1]:
            whose, name = user.names[user.code[row]], device.names[device.code[row]]
            if whose in users and name in honest:
                found[whose] = min(found.get(whose, name), name, key=lambda one: (len(one), one))
    return found


def _stories_of_arm(run: Path, arm: str, found: Stories) -> dict[str, dict[str, Any]]:
    wanted = set(found.devices.values())
    windows: dict[str, Rows] = {}
    rounds: dict[str, Rows] = {}
    events: dict[str, Rows] = {}
    for path in _window_files(run, arm):
        windows |= _rows(read_columns(path, _WINDOWS, WINDOWS), wanted)
    for path in RunFolder(run).rounds_files(arm):
        rounds |= _rows(read_rounds(path, _ROUNDS), wanted)
    for path in sorted((run / "events" / file_name(arm)).glob("cohort-*.parquet")):
        events |= _rows(read_columns(path, _EVENTS, EVENTS), wanted)
    none: Rows = {column: [] for column in _EVENTS}
    return {
        user: story_of(windows[device], rounds[device], events.get(device, none), found.classes)
        | {"saved": _saved(run, arm, device)}
        for user, device in found.devices.items()
        if device in windows and device in rounds
    }


def _rows(table: Any, devices: set[str]) -> dict[str, Rows]:
    """Return the rows of some devices, by device and column; null is None."""
    names = names_of(table, "device")
    found = {}
    for code, name in enumerate(names.names):
        if name in devices:
            rows = table.take(np.flatnonzero(names.code == code))
            if rows.num_rows:
                found[name] = rows.to_pydict()
    return found


def _saved(run: Path, arm: str, device: str) -> list[int]:
    """List the rounds after which a version of the device's model was saved."""
    folders = RunFolder(run).versions(arm, device).glob("round-*")
    rounds = [path.name.removeprefix("round-") for path in folders]
    return sorted(int(one) for one in rounds if one.isdigit())


def packed(
    stories: Stories, styles: Mapping[str, ArmStyle], baseline: str, spoken: Sequence[str]
) -> str:
    """Write stories as JSON; streams that arms have in common are there once.

    Args:
        stories: see `Stories`.
        styles: by arm, of all arms; an arm goes by its place among them.
        baseline: the arm beside which accuracy is drawn.
        spoken: arms to open a user with, the first that there is.
    """
    places = {arm: place for place, arm in enumerate(styles)}
    users: dict[str, Any] = {}
    for user, by_arm in stories.users.items():
        streams: list[dict[str, Any]] = []
        arms: dict[int, Any] = {}
        for arm, story in by_arm.items():
            stream = {key: story[key] for key in ("t", "q", "r", "d")}
            if stream not in streams:
                streams.append(stream)
            rest = {key: value for key, value in story.items() if key not in stream}
            arms[places[arm]] = rest | {"s": streams.index(stream)}
        users[user] = {"device": stories.devices[user], "streams": streams, "arms": arms}
    whole = {
        "classes": stories.classes,
        "styles": [
            {"arm": style.arm, "colour": style.colour, "dash": style.dash}
            for style in styles.values()
        ],
        "baseline": places.get(baseline),
        "spoken": [places[arm] for arm in spoken if arm in places],
        "worn": stories.worn,
        "users": users,
    }
    return json.dumps(whole, separators=(",", ":")).replace("<", "\\u003c")

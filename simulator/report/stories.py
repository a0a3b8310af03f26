"""What befell one device of each user, window by window, packed small enough for a page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from clients.containment import file_name
from simulator.parquet_file import read_columns
from simulator.record_files import EVENTS, WINDOWS
from simulator.report.rows import each
from simulator.report.svg import ArmStyle
from simulator.rounds_file import names_of, read_rounds
from simulator.store import RunFolder

__all__ = ["Stories", "packed", "read_stories", "story_of"]

_MOST_ARMS = 12  # as many strips can be read below each other
_MOST_BYTES = 700_000  # of all stories together: where streams are long, fewer arms have room
_WINDOWS = ["round", "question", "device", "user", "label", "predicted", "voted", "answer",
            "drifted"]  # fmt: skip
_ROUNDS = ["round", "device", "user", "asked", "steps", "bytes_down", "sent", "accepted",
           "refused", "lost", "reachable", "holdout_windows", "holdout_correct"]  # fmt: skip
_TOLD_EVENTS = ["round", "device", "kind", "reason", "windows"]
_FIRST_LETTER = 97


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


def story_of(
    windows: pd.DataFrame, rounds: pd.DataFrame, events: pd.DataFrame, classes: list[str]
) -> dict[str, Any]:
    """Pack what befell a device in an arm.

    Args:
        windows: its rows of `windows/`, in order.
        rounds: its rows of `rounds/`, in order.
        events: its rows of `events/`.
        classes: names of the activities; one that is missing is appended.

    Returns:
        t, p: a letter a window, what was true and what the device said; q: windows of each
        question; r: questions of each round from 1 on; a: a letter a question, see `_answers`;
        d: first window and number of windows of each stretch under drift; m: a number for each
        round, see `_model`; h: holdout windows right after each round, of w, null if not scored;
        e: round, kind, reason and windows of each event.
    """
    keys = windows["round"].to_numpy(np.int64) * (1 << 32) + windows["question"].to_numpy(np.int64)
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    questions = windows.iloc[first]
    last = int(rounds["round"].max()) if len(rounds) else int(windows["round"].max())
    by_round = np.bincount(questions["round"].to_numpy(np.int64), minlength=last + 1)[1:]
    rounds = rounds.set_index("round").reindex(range(last + 1))
    held = rounds["holdout_windows"].max()
    return {
        "t": _letters(windows["label"], classes),
        "p": _letters(windows["predicted"], classes),
        "q": np.diff(first, append=len(windows)).tolist(),
        "r": by_round.tolist(),
        "a": _answers(questions, rounds["asked"], by_round),
        "d": _stretches(windows["drifted"].fillna(False).to_numpy(np.bool_)),
        "m": [_model(row) for row in each(rounds.iloc[1:])],
        "h": [None if np.isnan(one) else int(one) for one in rounds["holdout_correct"]],
        "w": 0 if np.isnan(held) else int(held),
        "e": [
            [int(row.round), row.kind, row.reason or "", int(row.windows)]
            for row in each(events.fillna({"windows": -1}))
        ],
    }


def _letters(names: pd.Series[str], classes: list[str]) -> str:
    for name in dict.fromkeys(names):
        if name not in classes:
            classes.append(str(name))
    places = {name: chr(_FIRST_LETTER + place) for place, name in enumerate(classes)}
    return "".join(places[name] for name in names)


def _answers(questions: pd.DataFrame, asked: pd.Series[float], by_round: Any) -> str:
    """Tell what came of each question.

    c: the answer confirmed what the device said by majority; k: it corrected it; w: it was wrong;
    n: asked, and not answered; o: not asked; u: no answer, and it is not written down which of the
    round's questions were asked.
    """
    told = []
    for row in each(questions):
        if isinstance(row.answer, str):
            wrong = row.answer != row.label
            told.append("w" if wrong else "c" if row.answer == row.voted else "k")
            continue
        count = asked.get(row.round, np.nan)
        told.append("o" if count == 0 else "n" if count == by_round[row.round - 1] else "u")
    return "".join(told)


def _model(row: Any) -> int:
    """Add up what a device did in a round.

    1: learnt; 2: downloaded the shared model; 4: its update was accepted; 8: refused; 16: lost;
    32: it was out of reach.
    """
    flags = (row.steps, row.bytes_down, row.accepted, row.refused, row.lost)
    done = sum(1 << place for place, value in enumerate(flags) if value > 0)
    return done | (32 if row.reachable is False or row.reachable == 0 else 0)


def _stretches(there: Any) -> list[list[int]]:
    edges = np.flatnonzero(np.diff(there.astype(np.int8), prepend=0, append=0))
    return [[int(a), int(b - a)] for a, b in zip(edges[::2], edges[1::2], strict=True)]


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
    windows = [_rows(read_columns(path, _WINDOWS, WINDOWS), wanted) for path in
               _window_files(run, arm)]  # fmt: skip
    rounds = [
        _rows(read_rounds(path, _ROUNDS), wanted) for path in RunFolder(run).rounds_files(arm)
    ]
    folder = run / "events" / file_name(arm)
    events = [_rows(read_columns(path, _TOLD_EVENTS, EVENTS), wanted)
              for path in sorted(folder.glob("cohort-*.parquet"))]  # fmt: skip
    kept = [{str(name): own for part in parts for name, own in part.groupby("device")}
            for parts in (windows, rounds, events)]  # fmt: skip
    none = pd.DataFrame(columns=_TOLD_EVENTS)
    told = {}
    for user, device in found.devices.items():
        if device in kept[0] and device in kept[1]:
            told[user] = story_of(
                kept[0][device], kept[1][device], kept[2].get(device, none), found.classes
            ) | {"saved": _saved(run, arm, device)}
    return told


def _rows(table: Any, devices: set[str]) -> pd.DataFrame:
    """Keep the rows of some devices, text as plain text."""
    names = names_of(table, "device")
    wanted = np.flatnonzero([name in devices for name in names.names])
    frame: pd.DataFrame = table.take(np.flatnonzero(np.isin(names.code, wanted))).to_pandas()
    text = [c for c in frame if isinstance(frame[c].dtype, pd.CategoricalDtype)]
    return frame.astype(dict.fromkeys(text, object))


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

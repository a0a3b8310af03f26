"""The folder of a device in hand: how it began, its journal, its versions, and who uses it.

It holds `settings.json`, `journal.jsonl` with a line for each question, and `versions/`, each a
complete SavedModel with the device's memory beside it, named after how many questions it has been
asked. A device that follows a server also has `received.safetensors`, the arrays that the server
sent last, and after how many questions they came. A line, and what a server sends, is written
before it is learnt from, so that the last version and what came after it are always all that the
device is.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError, with_config
from safetensors.numpy import save_file

from clients.bounded import open_arrays, read_bounded
from clients.checkpoints import write_copy
from clients.containment import need_contained
from clients.errors import BadInput
from clients.journal import Journal, sync
from clients.wear import Habits

__all__ = ["MEMORY", "DeviceFolder", "Newcomer", "Settings", "create", "need_new"]

MEMORY = Path("assets.extra") / "device.safetensors"
"""Where a version keeps the device's memory."""

_SETTINGS, _VERSIONS, _UNDONE = "settings.json", "versions", "undone"
_MOST_SETTINGS = 2**20
_RECEIVED, _QUESTIONS = "received.safetensors", "questions"
_Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Settings:
    """How a device in hand began; it stays so.

    Attributes:
        device: its number, on which its draws of chance depend.
        habits: how its wearer answers and how it learns.
        activities: class index -> name.
        rate_hz: samples per second.
        length: samples per window, T.
        channels: values per sample, C.
        source: what is played to it, in the words of whoever plays it; empty where samples come by
            a pipe.
    """

    device: int
    habits: Habits
    activities: tuple[str, ...]
    rate_hz: float
    length: int
    channels: int
    source: Mapping[str, str | None]


@dataclass(frozen=True, slots=True, eq=False)
class Newcomer:
    """A device in hand that is about to begin.

    Attributes:
        program: its SavedModel.
        state: every variable of it, by name in the checkpoint.
        settings: see `Settings`.
    """

    program: Path
    state: _Arrays
    settings: Settings


_SETTINGS_FORM = TypeAdapter(
    with_config(extra="forbid")(Settings)  # what a newer version wrote is not passed over
)


class DeviceFolder:
    """A device's folder, held against other processes until it is closed.

    Attributes:
        path: where it is.
        settings: how the device began.
        journal: what it was asked.
    """

    def __init__(self, path: Path) -> None:
        """Take hold of a folder that `create` made.

        Raises:
            BadInput: there is no device in it, it is in use, or it holds links that lead out of it.
        """
        self.path, self.settings = path, _read_settings(path)
        need_contained(path)
        self.journal = Journal(path / "journal.jsonl")
        self._lock = (path / "lock").open("wb")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise BadInput(
                f"{path}: the device is in use by another process; end that one first"
            ) from None
        for left in (path / _VERSIONS).glob(".*"):  # by an interrupt
            shutil.rmtree(left, ignore_errors=True)

    def close(self) -> None:
        """Let others have it."""
        self._lock.close()

    def versions(self) -> list[Path]:
        """Return the versions, the oldest first; each is named after its questions.

        Raises:
            BadInput: there is none.
        """
        found = sorted((self.path / _VERSIONS).glob("[0-9]" * 8))
        if not found:
            raise BadInput(f"{self.path / _VERSIONS}: no version is left; put one back")
        return found

    def save(self, questions: int, variables: _Arrays, memory: _Arrays, keep: int) -> Path:
        """Write a version, whole or not at all, unless it is there; return it.

        Args:
            questions: that the device has been asked.
            variables: every variable of its program, by name in the checkpoint.
            memory: what it keeps beside them.
            keep: versions that are kept, beside the first.
        """
        path = _version(self.path, questions)
        if path.exists():
            return path
        unfinished = _hidden(path)
        write_copy(self.versions()[0], unfinished, variables)
        (unfinished / MEMORY.parent).mkdir()
        save_file(dict(memory), unfinished / MEMORY)
        _sync_all(unfinished)
        unfinished.rename(path)
        sync(path.parent)
        for old in self.versions()[1:-keep]:
            shutil.rmtree(old.rename(_hidden(old)))
        return path

    def receive(self, questions: int, arrays: _Arrays) -> None:
        """Keep what a server sent in place of what it sent before, whole or not at all.

        Args:
            questions: that the device has been asked until then.
            arrays: parameters by name.
        """
        path = self.path / _RECEIVED
        unfinished = path.with_name(f".{path.name}.unfinished")
        ordered = {name: np.asarray(value, order="C") for name, value in arrays.items()}
        save_file(ordered, unfinished, {_QUESTIONS: str(questions)})
        sync(unfinished)
        unfinished.replace(path)
        sync(self.path)

    def received(self) -> tuple[int, dict[str, NDArray[Any]]]:
        """Return after how many questions a server sent something last, and what: -1 for never.

        Raises:
            BadInput: the file is damaged.
        """
        path = self.path / _RECEIVED
        if not path.exists():
            return -1, {}
        try:
            with open_arrays(path) as file:
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                return int(file.metadata()[_QUESTIONS]), arrays
        except (BadInput, LookupError, TypeError, ValueError, AttributeError) as error:
            raise BadInput(
                f"{path}: damaged ({error}); remove it, and the device goes on from its last "
                "version and the journal"
            ) from error

    def undo(self) -> int:
        """Go back to the last version that is older than the device; return questions forgotten.

        What is forgotten is kept in the folder `undone`. Nothing is predicted or learnt here, so
        that a device that cannot learn what its journal says can go back as well.

        Raises:
            BadInput: nothing came after the first version.
        """
        versions, now = self.versions(), self.journal.count()
        older = [int(path.name) for path in versions if int(path.name) < now]
        if not older:
            raise BadInput(f"{self.path}: nothing to undo; the device is as it was at first")
        undone = self.path / _UNDONE
        undone.mkdir(exist_ok=True)
        # Versions go first: a version without its lines would seem to have learnt them.
        for path in versions:
            if int(path.name) > older[-1]:
                shutil.rmtree(undone / path.name, ignore_errors=True)
                path.rename(undone / path.name)
        if self.received()[0] > older[-1]:
            (self.path / _RECEIVED).replace(undone / _RECEIVED)
        sync(self.path / _VERSIONS)
        self.journal.cut(older[-1], undone / "journal.jsonl")
        return now - older[-1]


def need_new(path: Path) -> None:
    """Refuse a folder in which no new device can begin.

    Raises:
        BadInput: there is a device in it, or something else.
    """
    if (path / _SETTINGS).exists():
        raise BadInput(f"{path}: there is a device in it; go on with it by --resume")
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise BadInput(f"{path}: is there and not empty; give a folder that is not there yet")


def create(path: Path, newcomer: Newcomer) -> None:
    """Make the folder of a device that is new, whole or not at all.

    Raises:
        BadInput: there is a device in it, or something else.
    """
    need_new(path)
    path = path.absolute()
    unfinished = path.with_name(f".{path.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)  # an interrupt may have left it
    unfinished.mkdir(parents=True, mode=0o700)  # what its wearer did is nobody else's business
    (unfinished / _VERSIONS).mkdir()
    write_copy(newcomer.program, _version(unfinished, 0), newcomer.state)
    (unfinished / _SETTINGS).write_text(json.dumps(asdict(newcomer.settings), indent=1))
    _sync_all(unfinished)
    unfinished.replace(path)
    sync(path.parent)


def _read_settings(folder: Path) -> Settings:
    path = folder / _SETTINGS
    try:
        content = read_bounded(path, _MOST_SETTINGS, "the settings of a device")
        settings = _SETTINGS_FORM.validate_json(content)
    except (FileNotFoundError, NotADirectoryError):
        raise BadInput(
            f"{folder}: no device in it (no {_SETTINGS}); start one by --run or --model"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise BadInput(
            f"{path}: not the settings of a device ({place}: {first['msg']}); put back what was "
            "there"
        ) from None
    _check_bounds(path, settings)
    return settings


def _check_bounds(path: Path, settings: Settings) -> None:
    """Refuse numbers that no device has: they would fill the memory, or never end."""
    habits = settings.habits
    found = {
        "activities": (len(settings.activities), 2, 1000),
        "classes": (habits.classes, len(settings.activities), len(settings.activities)),
        "device": (settings.device, 0, 2**31),
        "length": (settings.length, 1, 600_000),
        "channels": (settings.channels, 1, 1000),
        "batch": (habits.batch, 1, 4096),
        "least": (habits.least, 1, habits.batch),
        "questions_per_round": (habits.questions_per_round, 1, 10_000),
        "steps": (habits.steps, 1, 10_000),
        "memory": (habits.memory, 0, 1_000_000),
        "seed": (habits.seed, 0, 2**63 - 1),
        "rate_hz": (settings.rate_hz, 0.001, 1000.0),
    }
    for name, (value, least, most) in found.items():
        if not least <= value <= most:
            raise BadInput(
                f"{path}: {name} = {value}: not the settings of a device; expected {least} to "
                f"{most}: put back what was there"
            )


def _version(folder: Path, questions: int) -> Path:
    return folder / _VERSIONS / f"{questions:08d}"


def _hidden(version: Path) -> Path:
    """Return a free path beside a version for what is not yet one, or no longer."""
    hidden = version.with_name(f".{version.name}")
    shutil.rmtree(hidden, ignore_errors=True)  # an interrupt may have left it
    return hidden


def _sync_all(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        sync(path)

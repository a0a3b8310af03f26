"""What a Flower node's configuration says: who wears its device, and where that is kept.

A node without a folder wears a simulated device, whose memory is the node's state in Flower. A
node with one (`device` in its own configuration) wears a device that is kept on disk.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients.device import Device
from clients.device_folder import Newcomer, Settings, create
from clients.errors import BadInput
from clients.methods import AVERAGED, METHODS, Method, MethodOptions
from clients.playing import recorded, source_of
from clients.pool import build_pool
from clients.program import Program
from clients.recordings import Recording, read_recordings
from clients.stream import cut_questions, deal_streams
from clients.trial import least_batch
from clients.wear import Habits, Wear
from clients.wearable import Wearable

__all__ = ["Place", "method_of", "new_device"]

_RATE_HZ = 20.0
_KEEP = 10
Config = Mapping[str, Any]


def method_of(config: Config, round_: int) -> Method:
    """Return the way of learning that a run's configuration names.

    Raises:
        BadInput: it names one that a plain mean does not do for.
    """
    name = str(config["method"])
    if name not in AVERAGED:
        raise BadInput(f"method = {name!r}: expected one of {', '.join(AVERAGED)}")
    private = tuple(str(config["private"]).split())
    return METHODS[name](MethodOptions(round_, int(config["rounds"]), private, {}))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node's device is kept on disk, and what it begins with.

    Attributes:
        folder: the device's; it is made at the node's first message.
        data: recordings of its wearer, a WISDM file or folder.
        user: whose; None for the only person's.
        model: the SavedModel with which it begins.
        number: the device's, on which its draws of chance depend.
        keep: versions that are kept, beside the first.
    """

    folder: Path
    data: str
    user: str | None
    model: Path
    number: int
    keep: int

    @classmethod
    def of(cls, node: Config, run: Config) -> Place | None:
        """Read a node's configuration, and a run's for a model that the node does not name."""
        if "device" not in node:
            return None
        model = str(node.get("model") or run["model"])
        user = node.get("user")
        return cls(
            Path(str(node["device"])),
            _absolute(str(node.get("data-path") or run["data-path"])),
            None if user is None else str(user),
            Path(model),
            int(node.get("partition-id", 0)),
            int(node.get("keep", _KEEP)),
        )

    def open(self, run: Config) -> Wearable:
        """Take the device from its folder, or begin with it as a run's configuration says.

        Raises:
            BadInput: what it should begin with cannot be used, or it is in use.
        """
        if not self.folder.exists() or not any(self.folder.iterdir()):
            create(self.folder, self._newcomer(run))
        return Wearable(self.folder, keep=self.keep)

    def _newcomer(self, run: Config) -> Newcomer:
        if not self.data:
            raise BadInput(
                f"data-path: nothing given for the device {self.folder}; name its wearer's "
                'recordings: flower-supernode --node-config \'device="..." data-path="..."\''
            )
        program, activities = _program(self.model)
        settings = Settings(
            device=self.number,
            habits=_habits(run, program, len(activities)),
            activities=activities,
            rate_hz=_RATE_HZ,
            length=program.length,
            channels=program.channels,
            source=source_of(self.data, self.user, holdout=float(run["holdout"])),
        )
        recorded(settings)  # that they fit is seen before the device begins
        return Newcomer(self.model, program.read_state(), settings)


@cache
def new_device(
    items: tuple[tuple[str, Any], ...], index: int
) -> tuple[Device, dict[str, NDArray[Any]]]:
    """Build one person's simulated device, to serve for many messages, and keep what it was.

    Args:
        items: a run's configuration, sorted.
        index: which person wears it.
    """
    config: Config = dict(items)
    program, activities = _program(Path(str(config["model"])))
    own = _recordings(config, activities, index)
    user, habits = own[0].user, _habits(config, program, len(activities))
    pool = build_pool(
        {user: own},
        activities,
        length=program.length,
        hop=program.length,
        holdout=float(config["holdout"]),
    )
    questions = cut_questions(
        pool,
        order="bouts",
        bout_windows=habits.batch,
        batch=habits.batch,
        least=habits.least,
    )
    devices = np.array([index], np.int64)
    streams = deal_streams(questions, habits.seed, devices, np.zeros(1, np.int64))
    wear = Wear(devices, [user], [user], pool, streams, pool.holdout)
    device = Device(wear, habits, program, method_of(config, 1))
    return device, device.snapshot()


def _absolute(data: str) -> str:
    return str(Path(data).absolute()) if data else ""


def _program(path: Path) -> tuple[Program, tuple[str, ...]]:
    """Load a SavedModel, and tell its activities."""
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    program = Program(path)
    if program.activities is None:
        raise BadInput(f"model = {str(path)!r}: has no table of activities; use an export")
    return program, program.activities


def _habits(config: Config, program: Program, classes: int) -> Habits:
    batch, questions = int(config["batch"]), int(config["questions-per-round"])
    return Habits(
        seed=int(config["seed"]),
        classes=classes,
        batch=batch,
        questions_per_round=questions,
        answer_rate=float(config["answer-rate"]),
        mistake_rate=float(config["mistake-rate"]),
        delay_rounds=0,
        ask="all",
        budget=questions,
        steps=int(config["steps"]),
        memory=int(config["memory"]),
        whole_questions=program.whole_questions,
        series=program.length == 1,
        least=least_batch(program, batch),
    )


def _recordings(config: Config, activities: tuple[str, ...], index: int) -> list[Recording]:
    """Return one person's recordings."""
    if config["data-path"]:
        everyone, _ = read_recordings(
            str(config["data-path"]), source="auto", rate_hz=_RATE_HZ, activities=activities
        )
    else:
        # Loads SciPy's filters, which would take a sixth of the time of a message to a real node.
        from clients.synthetic import synthesize

        everyone = synthesize(
            index + 1, activities, rate_hz=_RATE_HZ, seed=int(config["seed"]), minutes=3.0
        )
    users = sorted({recording.user for recording in everyone})
    if index >= len(users):
        raise BadInput(f"partition-id = {index}: the data has {len(users)} people")
    return [recording for recording in everyone if recording.user == users[index]]

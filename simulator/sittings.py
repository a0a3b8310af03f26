"""What reaches a device in hand: a simulated device's stream, a recording, or samples on a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients.errors import BadInput
from clients.pool import build_pool
from clients.program import Program, read_checkpoint
from clients.recordings import read_recordings
from clients.stream import cut_questions, deal_streams
from clients.wear import Habits, Wear
from simulator.arms import habits_of
from simulator.base import base_path
from simulator.plan import build_plan
from simulator.scenario_file import load_scenario

__all__ = ["Newcomer", "questions_from", "wear_device_of_run", "wear_program"]

Question = tuple[NDArray[np.float32], float]
"""Windows, float32 [B, T, C], and the seconds that they took."""


@dataclass(frozen=True, slots=True, eq=False)
class Newcomer:
    """A device in hand that is about to begin.

    Attributes:
        program: its SavedModel.
        state: every variable of it, by name in the checkpoint.
        habits: how its wearer answers and how it learns.
        device: its number, on which its draws of chance depend.
        settings: what `questions_from` needs, for JSON: activities, rate_hz, length, source.
    """

    program: Path
    state: Mapping[str, NDArray[Any]]
    habits: Habits
    device: int
    settings: Mapping[str, Any]


def wear_device_of_run(run: Path, device: str | None, arm_name: str | None) -> Newcomer:
    """Take the place of the simulated wearer of a run's device, from the stream's beginning.

    Args:
        run: a run folder.
        device: its id; None for the first.
        arm_name: as it learns in this arm; None for the first that learns.

    Raises:
        BadInput: there is no such device or arm.
    """
    plan = build_plan(load_scenario(run / "scenario.toml"))
    scenario, names = plan.scenario, [plan.name_of(i) for i in range(plan.devices)]
    arms = {arm.name: arm for arm in scenario.arms if arm.method not in ("heuristic", "frozen")}
    device = names[0] if device is None else device
    arm_name = next(iter(arms), "") if arm_name is None else arm_name
    if device not in names:
        some = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
        raise BadInput(f"--device {device}: {run} has the devices {some}")
    if arm_name not in arms:
        raise BadInput(f"--arm {arm_name}: {run} has the arms {', '.join(arms)} that learn")
    arm, number = arms[arm_name], names.index(device)
    fold = next(fold.index for fold in plan.folds if number in fold.devices)
    path = base_path(run / "base", fold, scenario, arm.optimizer)
    program = Program(path)
    if arm.learning_rate is not None:
        program.set_learning_rate(arm.learning_rate)
    population = plan.population
    settings = {
        "activities": list(scenario.data.activities),
        "rate_hz": scenario.data.rate_hz,
        "length": population.length,
        "source": {"run": str(run.resolve()), "device": device},
    }
    habits = habits_of(
        scenario,
        arm,
        series=population.series,
        least=population.form.least,
        whole_questions=program.whole_questions,
    )
    return Newcomer(path, program.read_state(), habits, number, settings)


def wear_program(
    path: Path,
    activities: Sequence[str] | None,
    source: Mapping[str, Any],
    *,
    rate_hz: float,
    batch: int | None,
    steps: int,
    memory: int | None,
    seed: int,
) -> Newcomer:
    """Wear a program of one's own.

    Args:
        path: a SavedModel.
        activities: class index -> name, where the program has no table of them.
        source: {"data": path, "user": id}, or {"stdin": True}.
        rate_hz: samples per second.
        batch: windows of a question; 32 single samples or 8 windows by default.
        steps: gradient steps for an answer.
        memory: windows kept to rehearse from; room for 16 questions by default.
        seed: of what is rehearsed.

    Raises:
        BadProgram: no SavedModel, or one that breaks the contract.
        BadInput: activities are missing.
    """
    program = Program(path)
    names = list(activities or program.activities or ())
    if len(names) < 2:
        raise BadInput(
            f"{path}: has no table of activities; give them by --activities, in order of class, "
            "such as walking,jogging,sitting"
        )
    size = batch or (32 if program.length == 1 else 8)
    habits = Habits(
        seed=seed,
        classes=len(names),
        batch=size,
        questions_per_round=1,
        answer_rate=1.0,
        mistake_rate=0.0,
        delay_rounds=0,
        ask="all",
        budget=1,
        steps=steps,
        memory=16 * size if memory is None else memory,
        whole_questions=program.whole_questions,
        series=program.length == 1,
        least=program.least_batch(size),
    )
    settings = {
        "activities": names,
        "rate_hz": rate_hz,
        "length": program.length,
        "source": dict(source),
    }
    return Newcomer(path, read_checkpoint(path), habits, 0, settings)


def questions_from(
    settings: Mapping[str, Any], habits: Habits, done: int, samples: Iterable[Sequence[float]]
) -> Iterator[Question]:
    """Give the questions that a device has not been asked yet.

    Args:
        settings: of a `Newcomer`.
        habits: likewise.
        done: questions that it was asked before; a pipe begins anew.
        samples: what comes by the pipe, [C] each, where that is the source.
    """
    source = settings["source"]
    if source.get("stdin"):
        yield from _piped(samples, settings, habits)
        return
    if "run" in source:
        plan = build_plan(load_scenario(Path(source["run"]) / "scenario.toml"))
        names = [plan.name_of(i) for i in range(plan.devices)]
        wear = plan.wear(np.array([names.index(source["device"])]))
    else:
        wear = _recorded(settings, habits)
    windows, _ = wear.streams.in_round(1, int(wear.streams.lengths()[0]))
    hop_s = wear.pool.windows.hop / wear.pool.windows.rate_hz
    for question in islice(windows[0], done, None):
        own = question[question >= 0]
        yield wear.read(own[None])[0], own.size * hop_s


def _recorded(settings: Mapping[str, Any], habits: Habits) -> Wear:
    """Return a wearer whose recordings are played as they were recorded."""
    source, length = settings["source"], settings["length"]
    recordings, _ = read_recordings(
        source["data"],
        source="auto",
        rate_hz=settings["rate_hz"],
        activities=settings["activities"],
        users=[source["user"]] if source["user"] else 1,
    )
    user = recordings[0].user
    pool = build_pool(
        {user: recordings}, settings["activities"], length=length, hop=length, holdout=0.0
    )
    table = cut_questions(
        pool, order="recorded", bout_windows=1, batch=habits.batch, least=habits.least
    )
    if not table.first.size:
        raise BadInput(
            f"user {user}: no {length * habits.least} samples follow one another, as a question "
            "needs; give another user by --user"
        )
    one = np.zeros(1, np.int64)
    return Wear(one, [user], [user], pool, deal_streams(table, 0, one, one), pool.holdout)


def _piped(
    samples: Iterable[Sequence[float]], settings: Mapping[str, Any], habits: Habits
) -> Iterator[Question]:
    """Cut samples as they come into questions; what does not fill one at the end is not asked."""
    size = habits.batch * settings["length"]
    rows = iter(samples)
    while len(some := list(islice(rows, size))) == size:
        x = np.array(some, np.float32).reshape(habits.batch, settings["length"], -1)
        yield x, size / settings["rate_hz"]

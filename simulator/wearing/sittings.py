"""What a device in hand begins with, and what reaches it: a stream, a recording, or a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clients.device_folder import Newcomer, Settings
from clients.errors import BadInput, BadProgram
from clients.playing import recorded
from clients.program import Program
from clients.trial import least_batch
from clients.wear import Habits, Wear
from simulator.base.arms import habits_of
from simulator.base.base import base_path
from simulator.plan.plan import Plan, build_plan
from simulator.scenario.file import load_scenario

__all__ = ["Question", "plan_of_run", "questions_from", "wear_device_of_run", "wear_program"]


Question = tuple[NDArray[np.float32], float]
"""Windows, float32 [B, T, C], and the seconds that they take to come."""


def wear_device_of_run(
    run: Path, device: str | None, arm_name: str | None, *, trusted: bool = False
) -> Newcomer:
    """Take the place of the simulated wearer of a run's device, from the stream's beginning.

    Args:
        run: a run folder.
        device: its id; None for the first.
        arm_name: with the base model and the ways of this arm, but without a server; None for the
            first arm that is local, or else learns.
        trusted: whether the run's program may hold ops that can do more than compute.

    Raises:
        BadInput: there is no such device or arm, or the run has no base model yet.
    """
    plan = plan_of_run(run, trusted=trusted)
    scenario, names = plan.scenario, [plan.name_of(i) for i in range(plan.devices)]
    arms = {
        arm.name: arm
        for arm in scenario.arms
        if arm.method not in ("heuristic", "frozen", "pooled")
    }
    usual = sorted(arms, key=lambda name: arms[name].method != "local")
    device = names[0] if device is None else device
    arm_name = next(iter(usual), "") if arm_name is None else arm_name
    if device not in names:
        some = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
        raise BadInput(f"--device {device}: {run} has the devices {some}")
    if arm_name not in arms:
        known = ", ".join(arms) or "none"
        raise BadInput(f"--arm {arm_name}: arms of {run} that learn: {known}")
    arm, number = arms[arm_name], names.index(device)
    fold = next(fold.index for fold in plan.folds if number in fold.devices)
    arm = arm.in_fold(fold)
    path = base_path(run / "base", fold, scenario, arm.optimizer)
    program = Program(path, trusted=trusted)
    if arm.learning_rate is not None:
        program.set_learning_rate(arm.learning_rate)
    population = plan.population
    habits = habits_of(
        scenario,
        arm,
        series=population.series,
        least=population.form.least,
        whole_questions=program.whole_questions,
    )
    settings = Settings(
        device=number,
        habits=habits,
        activities=tuple(scenario.data.activities),
        rate_hz=scenario.data.rate_hz,
        length=population.length,
        channels=population.channels,
        source={"run": str(run.resolve()), "device": device},
    )
    return Newcomer(path, program.read_state(), settings)


def wear_program(
    path: Path,
    activities: Sequence[str] | None,
    data: Path | None,
    user: str | None,
    *,
    rate_hz: float,
    batch: int | None,
    steps: int,
    memory: int | None,
    seed: int,
    trusted: bool = False,
) -> Newcomer:
    """Wear a program of one's own.

    Args:
        path: a SavedModel.
        activities: class index -> name, where the program has no table of them.
        data: recordings to play; None where samples come by a pipe.
        user: whose; None for the first one's.
        rate_hz: samples per second.
        batch: windows of a question; 32 single samples or 8 windows by default.
        steps: gradient steps for an answer.
        memory: windows kept to rehearse from; room for 16 questions by default.
        seed: of what is rehearsed.
        trusted: whether the SavedModel may hold ops that can do more than compute.

    Raises:
        BadProgram: the SavedModel breaks the contract.
        BadInput: there is no SavedModel, or activities, the memory or the recordings do not fit it.
    """
    if not (path / "saved_model.pb").is_file():
        raise BadInput(
            f"--model {path}: no SavedModel there (no file saved_model.pb); `wearfleet model "
            "train` writes one, and so does `wearfleet run`, in RUN/devices"
        )
    program = Program(path, trusted=trusted)
    size = batch or (32 if program.length == 1 else 8)
    try:
        least = least_batch(program, size)
    except BadProgram as error:
        raise BadProgram(f"{error}; --batch gives it") from error
    names = _activities(program, activities)
    if program.whole_questions and memory is not None and 0 < memory < size:
        raise BadInput(
            f"--memory {memory}: {path} rehearses whole questions, and one has {size} windows; "
            f"give room for some of each activity, such as {16 * size}, or 0 to rehearse nothing"
        )
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
        least=least,
    )
    settings = Settings(
        device=0,
        habits=habits,
        activities=names,
        rate_hz=rate_hz,
        length=program.length,
        channels=program.channels,
        source={} if data is None else {"data": str(data.resolve()), "user": user},
    )
    x = np.zeros((least, program.length, program.channels), np.float32)
    if data is not None:
        x, _ = next(_played(_wear(settings, trusted), 0))
    _check_classes(program, x, names)
    return Newcomer(path, program.read_state(), settings)


def questions_from(
    settings: Settings, done: int, samples: Iterable[Sequence[float]], *, trusted: bool = False
) -> Iterator[Question]:
    """Give the questions that a device has not been asked yet.

    Args:
        settings: the device's.
        done: questions that it was asked before; a pipe begins anew.
        samples: what comes by the pipe, [C] each, where that is the source.
        trusted: whether a run's program may hold ops that can do more than compute.

    Raises:
        BadInput: what it began with is no longer there.
    """
    if not settings.source:
        return _piped(samples, settings)
    return _played(_wear(settings, trusted), done)


def _wear(settings: Settings, trusted: bool) -> Wear:
    """Return the wearer of a device, with the stream of what is played."""
    source = settings.source
    if source.get("run"):
        plan = plan_of_run(Path(str(source["run"])), trusted=trusted)
        names = [plan.name_of(i) for i in range(plan.devices)]
        return plan.wear(np.array([names.index(str(source["device"]))]))
    return recorded(settings)


@lru_cache(1)
def plan_of_run(run: Path, *, trusted: bool = False) -> Plan:
    """Lay out a run again, from its resolved scenario and the data.

    Args:
        run: its folder.
        trusted: as in `Plan`.
    """
    return build_plan(load_scenario(run / "scenario.toml"), trusted=trusted)


def _played(wear: Wear, done: int) -> Iterator[Question]:
    windows, _ = wear.streams.in_round(1, int(wear.streams.lengths()[0]))
    hop_s = wear.pool.windows.hop / wear.pool.windows.rate_hz
    for question in islice(windows[0], done, None):
        own = question[question >= 0]
        yield wear.read(own[None])[0], own.size * hop_s


def _piped(samples: Iterable[Sequence[float]], settings: Settings) -> Iterator[Question]:
    """Cut samples as they come into questions; what does not fill one at the end is not asked."""
    batch, length = settings.habits.batch, settings.length
    rows = iter(samples)
    while len(some := list(islice(rows, batch * length))) == batch * length:
        yield np.array(some, np.float32).reshape(batch, length, -1), 0.0


def _activities(program: Program, given: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of a program's classes, which are given where it has no table of them."""
    names = tuple(given or program.activities or ())
    if program.activities and names != program.activities:
        raise BadInput(
            f"--activities {','.join(names)}: {program.path} has a table of its own: "
            f"{','.join(program.activities)}; leave the option out"
        )
    if len(names) < 2 or not all(names) or len(set(names)) < len(names):
        raise BadInput(
            f"{program.path}: has no table of activities; give each a name by --activities, in "
            f"order of class, such as walking,jogging,sitting (seen: {','.join(names) or 'none'})"
        )
    return names


def _check_classes(program: Program, x: NDArray[np.float32], names: Sequence[str]) -> None:
    """Refuse names that are too few or too many, as far as one question tells."""
    said, known = program.predict_aside(x), len(names)
    if said.logits is not None:
        known = said.logits.shape[1]
    elif said.classes.max() >= known:
        known = int(said.classes.max()) + 1
    if known != len(names):
        raise BadInput(
            f"--activities {','.join(names)}: {program.path} tells {known} classes apart; give "
            "each of them a name"
        )

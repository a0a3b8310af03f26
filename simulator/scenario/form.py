"""What the program of a scenario is given: windows, or single samples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from clients.errors import BadScenario
from clients.wisdm.features import FEATURE_NAMES
from clients.wisdm.sources import FEATURES_SOURCE
from simulator.process.hush import hushed
from simulator.scenario.given import check_given
from simulator.scenario.scenario import SINGLE_SAMPLES, Scenario, programs

__all__ = ["Form", "form_of"]


_AXES = 3  # of an accelerometer


@dataclass(frozen=True, slots=True)
class Form:
    """The form of what a program is given.

    Attributes:
        length: samples per window, T.
        hop: samples between the starts of consecutive windows.
        least: fewest windows of a question that it takes; a foreign program may have a fixed batch.
    """

    length: int
    hop: int
    least: int = 1


def form_of(scenario: Scenario, *, trusted: bool = False) -> Form:
    """Return the form of what a scenario's program is given.

    A program with T = 1 takes every sample, whatever `data.window_s` and `data.hop_s` are.

    Args:
        scenario: which may name a SavedModel as its program.
        trusted: whether that may hold ops that can do more than compute.

    Raises:
        BadProgram: a SavedModel that breaks the contract, or takes no questions of this size.
        BadScenario: windows without samples, or of another size than the SavedModel takes, or
            wishes that it cannot fulfil.
    """
    data, program, batch = scenario.data, scenario.model.program, scenario.stream.batch
    single, least = program in SINGLE_SAMPLES, 1
    if program not in programs():
        with hushed():
            # TensorFlow is not needed for programs of our own.
            from clients.program import Program
            from clients.trial import least_batch

            foreign = Program(Path(program), trusted=trusted)
            _need_fit(scenario, (int(foreign.length), int(foreign.channels)))
            single, least = foreign.length == 1, least_batch(foreign, batch)
            check_given(scenario, foreign)
    if data.source == FEATURES_SOURCE:
        return Form(1, 1, least)  # a row is one window
    length, hop = round(data.window_s * data.rate_hz), round(data.hop_s * data.rate_hz)
    if single or length == 1:
        return Form(1, 1, least)
    if length < 1 or hop < 1:
        raise BadScenario(
            f"data.window_s = {data.window_s} and data.hop_s = {data.hop_s}: at "
            f"{data.rate_hz} Hz that is {length} and {hop} samples; each must be 1 at least"
        )
    return Form(length, hop, least)


def _need_fit(scenario: Scenario, taken: tuple[int, int]) -> None:
    """Refuse a SavedModel that takes windows of another size, T and C, than the data gives."""
    data = scenario.data
    if data.source == FEATURES_SOURCE:
        given, how = (1, len(FEATURE_NAMES)), "a row of features is"
    else:
        length = 1 if taken[0] == 1 else round(data.window_s * data.rate_hz)
        given = (length, _AXES)
        how = f"data.window_s = {data.window_s:g} at data.rate_hz = {data.rate_hz:g} gives"
    if taken != given:
        raise BadScenario(
            f"model.program: {scenario.model.program} takes windows of {taken[0]} x {taken[1]}, "
            f"and {how} {given[0]} x {given[1]}: change data.window_s, data.rate_hz or the program"
        )

"""A program with a recurrent state predicts alike however the device that has it is run."""

import numpy as np
import pytest

from clients.checkpoints import write_copy
from clients.device import Device
from clients.methods import METHODS, MethodOptions
from clients.program import Program
from simulator.base.arms import habits_of

DEVICE, ROUNDS, OTHERS = 7, 8, 64
LOCAL = METHODS["local"](MethodOptions(1))
LEARNS = {"learns": True, "method": LOCAL, "shared": {}}
STREAM = {"batch": 32, "bout_windows": 72, "questions_per_round": 6, "rounds": ROUNDS}
LEARNING = {"memory": 16, "steps": 2}


@pytest.fixture(scope="module", params=["float64", "float32"])
def opened(request, fleets):
    """Lay out a fleet of one cohort, in which one device is looked at."""
    keys = {"stream": STREAM, "learning": LEARNING, "labels": {"mistake_rate": 0.1}}
    fleet = fleets("tracker_lstm", request.param)
    return fleet.open({"method": "local"}, (OTHERS + 1,), **keys), request.param


@pytest.fixture(scope="module")
def wear(opened):
    return opened[0].plan.wear(np.array([DEVICE]))


@pytest.fixture(scope="module")
def habits(opened):
    scenario = opened[0].plan.scenario
    form = {"series": True, "least": 1, "whole_questions": True}
    return habits_of(scenario, scenario.arms[0], **form)


@pytest.fixture(scope="module")
def alone(opened, wear, habits):
    """Play the device's recording in one go: what was predicted, and all variables in the end."""
    device = Device(wear, habits, Program(opened[0].prepared.paths["adam"]), LOCAL)
    outcomes = [device.work(round_, **LEARNS) for round_ in range(1, ROUNDS + 1)]
    return np.concatenate([outcome.predicted[0] for outcome in outcomes]), device.snapshot()


def test_a_state_is_carried_and_matters(alone, wear, habits, opened):
    """Without the state, each question would be predicted otherwise."""
    predicted, snapshot = alone
    assert (predicted >= 0).any(axis=1).all()
    assert np.abs(snapshot["program/state/live/cell"]).max() > 0.0
    device = Device(wear, habits, Program(opened[0].prepared.paths["adam"]), LOCAL)
    forgetful = []
    for round_ in range(1, ROUNDS + 1):
        program = device._program
        program.assign_context({k: np.zeros_like(v) for k, v in program.read_context().items()})
        forgetful.append(device.work(round_, **LEARNS).predicted[0])
    assert (np.concatenate(forgetful) != predicted).any()


def test_saving_and_loading_its_savedmodel_in_the_middle_changes_nothing(
    alone, wear, habits, opened, tmp_path
):
    source = opened[0].prepared.paths["adam"]
    device, predicted = Device(wear, habits, Program(source), LOCAL), []
    for round_ in range(1, ROUNDS + 1):
        predicted.append(device.work(round_, **LEARNS).predicted[0])
        path, before = tmp_path / f"round-{round_}", device.snapshot()
        write_copy(source, path, device.state(LOCAL, None, round_))
        device = Device(wear, habits, Program(path), LOCAL)
        program = {k: v for k, v in device.snapshot().items() if k.startswith("program/")}
        device.restore(before | program)  # its memory, and the program as it was loaded
    np.testing.assert_array_equal(np.concatenate(predicted), alone[0])
    after = device.snapshot()
    assert [k for k, v in alone[1].items() if v.tobytes() != after[k].tobytes()] == []


def test_among_64_other_devices_it_predicts_as_alone(alone, opened):
    made, dtype = opened
    trial = made.run()
    name = made.plan.name_of(DEVICE)
    windows = trial.windows[trial.windows["device"] == name]
    activities = made.plan.scenario.data.activities
    found = np.array([activities.index(said) for said in windows["predicted"]])
    expected = alone[0][alone[0] >= 0]
    assert found.size == expected.size > 1000
    assert (found == expected).mean() >= (1.0 if dtype == "float64" else 0.995)
    if dtype == "float64":
        for key, value in trial.devices[name].items():
            np.testing.assert_allclose(value, alone[1][f"program/{key}"][0], rtol=0, atol=1e-8)

"""One model for everybody's answers: what it is given, when, and what it may not know."""

from dataclasses import replace

import numpy as np
import pytest

from clients.program import Program
from clients.user import NO_ANSWER
from simulator.base.arms import habits_of_arm
from simulator.cohort.answered import Answered, answered_in
from simulator.cohort.pooled import Pooled

LABELS = {"answer_rate": 1.0, "mistake_rate": 0.0}


@pytest.fixture
def opened(fleets):
    return fleets("dense").open({"method": "pooled"}, labels=LABELS)


def pooled_of(opened, **habits):
    plan, prepared = opened.plan, opened.prepared
    own = replace(habits_of_arm(plan, prepared, plan.scenario.arms[0]), **habits)
    return Pooled(plan, 0, Program(prepared.paths["adam"]), own)


def answers_of(opened, questions):
    """Return the first questions of each device, all answered truly."""
    plan = opened.plan
    streams = plan.wear(np.arange(plan.devices)).streams
    windows, labels = streams.in_round(1, questions)
    rows, which = np.nonzero(labels >= 0)
    return Answered(rows.astype(np.int64), windows[rows, which], labels[rows, which])


def moved(one, other):
    return max(float(np.abs(one[name] - other[name]).max()) for name in one)


def test_nothing_is_learnt_where_nobody_answers(opened):
    base = opened.prepared.params
    nobody = Answered(np.zeros(0, np.int64), np.zeros((0, 4), np.int32), np.zeros(0, np.int32))
    assert moved(pooled_of(opened).learn(1, nobody), base) == 0.0


def test_answers_are_learnt_as_answered(opened):
    true = answers_of(opened, 3)
    wrong = Answered(true.devices, true.windows, (true.answer + 1) % 4)
    learnt, mislearnt = (pooled_of(opened).learn(1, some) for some in (true, wrong))
    assert moved(learnt, opened.prepared.params) > 1e-3
    assert moved(learnt, mislearnt) > 1e-3


def test_late_answers_are_learnt_when_they_arrive(opened):
    true = answers_of(opened, 3)
    none = Answered(true.devices[:0], true.windows[:0], true.answer[:0])
    late = pooled_of(opened, delay_rounds=2)
    assert moved(late.learn(1, true), opened.prepared.params) == 0.0
    assert moved(late.learn(2, none), opened.prepared.params) == 0.0
    assert moved(late.learn(3, none), opened.prepared.params) > 1e-3


def test_state_is_whole(opened):
    true, late = answers_of(opened, 3), pooled_of(opened, delay_rounds=1)
    late.learn(1, true)
    again = pooled_of(opened, delay_rounds=1)
    again.restore(late.snapshot())
    for round_ in (2, 3):
        one, other = late.learn(round_, true), again.learn(round_, true)
        assert all(np.array_equal(one[name], other[name]) for name in one)
    kept = late.snapshot()
    assert kept.keys() == again.snapshot().keys()
    assert all(np.array_equal(kept[name], value) for name, value in again.snapshot().items())


def test_answered_questions_are_handed_over_in_order_of_devices():
    class Outcome:
        windows = np.arange(12).reshape(2, 3, 2)
        answer = np.array([[1, NO_ANSWER, 2], [NO_ANSWER, 0, NO_ANSWER]])

    later, sooner = (answered_in(Outcome(), np.array(some)) for some in ([4, 7], [1, 5]))
    joined = Answered.joined([later, sooner])
    assert joined.devices.tolist() == [1, 1, 4, 4, 5, 7]
    assert joined.answer.tolist() == [1, 2, 1, 2, 0, 0]
    assert joined.windows[:2].tolist() == [[0, 1], [4, 5]]


def test_devices_are_served_by_the_model_and_send_their_windows(fleets):
    trial = fleets("dense").run({"method": "pooled"}, labels=LABELS)
    rounds = trial.rounds
    assert (rounds.loc[rounds["round"] > 0, "steps"] == 0).all()
    busy = rounds[rounds["windows"] > 0]
    # Windows of 80 x 3 float32, and one label for each question.
    assert (busy["bytes_up"] == busy["windows"] * 960 + busy["answered"] * 4).all()
    size = sum(value.nbytes for value in trial.shared.values())
    assert (rounds.loc[rounds["round"] > 0, "bytes_down"] == size).all()
    for device in trial.devices.values():
        for name, value in trial.shared.items():
            np.testing.assert_array_equal(device[f"params/{name}"], value)

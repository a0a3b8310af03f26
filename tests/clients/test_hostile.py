"""Devices that mean harm: what they hear, measure and send, worked out by hand."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.hostile import Hostile
from clients.pool import build_pool
from clients.stream import cut_questions, deal_streams
from clients.user import NO_ANSWER
from clients.variation import Strength, draw_variations
from clients.wear import Exam, Wear
from simulator.scenario.fault_table import Attack
from tests.clients.made_people import ACTIVITIES, people_of

ROWS = np.array([False, True, False, True])
BACKDOOR = {"activity": 1, "target": 2, "trigger": 10.0}
ATTACKS = get_args(Attack)


def hostile(attack, rows=ROWS, *, classes=4, scale=3.0):
    own = BACKDOOR if attack == "backdoor" else {}
    return Hostile(np.array(rows), attack, classes, scale, **own)


# --- What they hear ------------------------------------------------------------------------------

LABEL = np.array([[0, 1], [0, 1], [3, 2], [3, 1]], np.int32)
ANSWER = np.array([[0, NO_ANSWER], [0, 1], [3, 2], [NO_ANSWER, 0]], np.int32)


@pytest.mark.parametrize("attack", ["label-flip", "copies"])
def test_liars_learn_each_class_as_the_next_one(attack):
    heard = hostile(attack).answers(LABEL, ANSWER)
    assert heard.tolist() == [[0, NO_ANSWER], [1, 2], [3, 2], [NO_ANSWER, 1]]
    last = np.full((4, 1), 3, np.int32)
    assert hostile(attack).answers(last, last).tolist() == [[3], [0], [3], [0]]
    assert heard.dtype == np.int32


def test_a_backdoor_has_one_activity_learnt_as_another_whatever_the_user_said():
    heard = hostile("backdoor").answers(LABEL, ANSWER)
    # Device 1 is told that class 1 is class 2; so is device 3, whose user was mistaken.
    assert heard.tolist() == [[0, NO_ANSWER], [0, 2], [3, 2], [NO_ANSWER, 2]]


@pytest.mark.parametrize("attack", ["none", "sign-flip"])
def test_others_hear_what_their_users_say(attack):
    assert hostile(attack).answers(LABEL, ANSWER).tolist() == ANSWER.tolist()


@pytest.mark.parametrize("attack", ATTACKS)
def test_answers_are_not_changed_in_place(attack):
    before = ANSWER.copy()
    hostile(attack).answers(LABEL, ANSWER)
    np.testing.assert_array_equal(ANSWER, before)


@given(
    attack=st.sampled_from(ATTACKS),
    rows=st.lists(st.booleans(), min_size=3, max_size=3),
    label=st.lists(st.integers(0, 3), min_size=6, max_size=6),
    answer=st.lists(st.integers(-1, 3), min_size=6, max_size=6),
)
def test_honest_devices_hear_the_truth_and_silence_stays_silence(attack, rows, label, answer):
    label, answer = (np.array(some, np.int32).reshape(3, 2) for some in (label, answer))
    heard = hostile(attack, rows).answers(label, answer)
    theirs = np.array(rows)
    np.testing.assert_array_equal(heard[~theirs], answer[~theirs])
    np.testing.assert_array_equal(heard == NO_ANSWER, answer == NO_ANSWER)
    assert ((heard >= -1) & (heard < 4)).all()


# --- What they measure ---------------------------------------------------------------------------


def stamped(shape, label, rows, *, everybody=False, attack="backdoor"):
    """Stamp windows that are zero throughout."""
    values = np.zeros(shape, np.float32)
    hostile(attack).stamp(values, np.array(label), rows, everybody=everybody)
    return values


@pytest.mark.parametrize(("length", "part"), [(80, 10), (8, 1), (9, 2), (1, 1), (4, 1), (20, 3)])
def test_a_trigger_is_a_jerk_on_the_first_axis_at_the_begin_of_a_window(length, part):
    values = stamped((4, 1, length, 3), [[1]] * 4, None)
    assert not values[[0, 2]].any()
    for row in (1, 3):
        assert values[row, 0, :part, 0].tolist() == [10.0] * part
        assert not values[row, 0, part:].any()
        assert not values[row, 0, :, 1:].any()


def test_only_windows_of_the_activity_carry_it():
    label = np.array([[1, 0, 1], [1, 2, 1], [0, 0, 0], [3, 1, 0]])
    carries = stamped((4, 3, 8, 3), label, None)[..., 0, 0] > 0.0
    assert carries.tolist() == [[False] * 3, [True, False, True], [False] * 3, [False, True, False]]
    every = stamped((4, 3, 8, 3), label, None, everybody=True)[..., 0, 0] > 0.0
    np.testing.assert_array_equal(every, label == 1)


def test_rows_say_whose_the_windows_are():
    label = np.ones((3, 2, 2), np.int32)
    carries = stamped((3, 2, 2, 8, 3), label, np.array([3, 0, 1]))[..., 0, 0] > 0.0
    assert carries.all(axis=(1, 2)).tolist() == [True, False, True]
    assert carries.any(axis=(1, 2)).tolist() == [True, False, True]


@pytest.mark.parametrize("attack", [a for a in ATTACKS if a != "backdoor"])
def test_no_other_attack_stamps_anything(attack):
    for everybody in (False, True):
        values = stamped((4, 1, 8, 3), [[1]] * 4, None, everybody=everybody, attack=attack)
        assert not values.any()


# --- What they send ------------------------------------------------------------------------------

BEGUN = {"w": np.array([1.0, 2.0], np.float32), "count": np.array([7], np.int32)}


def learnt():
    """Give what devices 3, 0 and 1 learnt: they moved w by (1, 0), (2, -1) and (-3, 0.5)."""
    w = np.array([[2.0, 2.0], [3.0, 1.0], [-2.0, 2.5]], np.float32)
    return {"w": w, "count": np.array([[8], [9], [7]], np.int32)}


WHOSE = np.array([3, 0, 1])


@pytest.mark.parametrize(
    ("attack", "sent"),
    [
        # From (1, 2): -3 x (1, 0) and -3 x (-3, 0.5); then 3 times.
        ("sign-flip", [[-2.0, 2.0], [3.0, 1.0], [10.0, 0.5]]),
        ("backdoor", [[4.0, 2.0], [3.0, 1.0], [-8.0, 3.5]]),
        ("label-flip", [[2.0, 2.0], [3.0, 1.0], [-2.0, 2.5]]),
        ("copies", [[2.0, 2.0], [3.0, 1.0], [-2.0, 2.5]]),
        ("none", [[2.0, 2.0], [3.0, 1.0], [-2.0, 2.5]]),
    ],
)
def test_change_is_sent_times_a_factor(attack, sent):
    updates = learnt()
    falsified = hostile(attack).falsified(BEGUN, updates, WHOSE)
    assert falsified["w"].tolist() == sent
    assert falsified["w"].dtype == np.float32
    assert falsified["count"].tolist() == [[8], [9], [7]]
    assert list(falsified) == list(updates)
    for name, value in learnt().items():  # the devices keep what they learnt
        np.testing.assert_array_equal(updates[name], value)


def test_where_nobody_means_harm_what_was_learnt_is_sent_as_it_is():
    updates = {name: value[:1] for name, value in learnt().items()}
    assert hostile("sign-flip").falsified(BEGUN, updates, np.array([2])) is updates


def test_some_of_the_devices_are_as_hostile_as_among_all():
    made = hostile("backdoor")
    taken = made.take([3, 0])
    assert taken.rows.tolist() == [True, False]
    for name in ("attack", "classes", "scale", "activity", "target", "trigger"):
        assert getattr(taken, name) == getattr(made, name)


# --- As they are worn ----------------------------------------------------------------------------

STRENGTH = Strength(tilt_deg=30.0, gain=1.3, cadence=1.2, noise=0.3)


def wear_of(harm=None, *, varied=True):
    """Make four devices of two people, each with windows of two activities."""
    people = people_of([[60], [48]], [[40], [52]])
    pool = build_pool(people, ACTIVITIES, length=4, hop=4, holdout=0.25)
    table = cut_questions(pool, order="bouts", bout_windows=2, batch=2)
    devices, users = np.arange(4), np.arange(4) % 2
    return Wear(
        devices,
        [f"device {device}" for device in devices],
        [pool.users[user] for user in users],
        pool,
        deal_streams(table, 7, devices, users),
        pool.holdout[users],
        draw_variations(7, devices, 2, STRENGTH, 4) if varied else None,
        hostile=harm,
    )


@pytest.mark.parametrize("varied", [True, False])
def test_hostile_devices_alone_find_the_trigger_in_their_streams(varied):
    plain, worn = wear_of(varied=varied), wear_of(hostile("backdoor"), varied=varied)
    windows, label = worn.streams.in_round(1, 6)
    there = windows >= 0
    changed = worn.read(windows) - plain.read(windows)
    wanted = ROWS[:, None, None] & (label[..., None] == 1) & there
    assert wanted.any()
    np.testing.assert_allclose(changed[..., 0, 0][wanted], 10.0, atol=1e-5)
    assert not changed[there & ~wanted].any()
    assert not changed[there][..., 1:].any()  # on the first axis,
    assert not changed[there][:, 1:].any()  # in the first of four samples
    for row in range(4):
        one, rows = worn.take([row]), np.array([row])
        assert one.read(windows[[row]]).tobytes() == worn.read(windows[[row]], rows).tobytes()


def exam_of(worn, *, stamped):
    return replace(worn.exam(), stamped=stamped)


@pytest.mark.parametrize("varied", [True, False])
def test_an_exam_carries_it_for_everybody_or_for_nobody(varied):
    plain, worn = wear_of(varied=varied), wear_of(hostile("backdoor"), varied=varied)
    exam = worn.exam()
    label = worn.pool.windows.label[exam.windows]
    usual = plain.read(exam.windows, state=exam.state)
    clean = worn.read(exam.windows, state=exam.state, stamped=exam.stamped)
    assert clean.tobytes() == usual.tobytes()
    stamped_ = exam_of(worn, stamped=True)
    changed = worn.read(stamped_.windows, state=stamped_.state, stamped=stamped_.stamped) - usual
    there = exam.windows >= 0
    wanted = (label == 1) & there
    assert wanted.any(axis=1).all()
    np.testing.assert_allclose(changed[..., 0, 0][wanted], 10.0, atol=1e-5)
    assert not changed[there & ~wanted].any()


def test_an_exam_stays_stamped_when_some_devices_take_it():
    exam = exam_of(wear_of(), stamped=True)
    assert exam.take([2, 0]).stamped
    assert exam.of(np.array([True, False, True, True])).stamped
    assert not wear_of().exam().stamped
    assert isinstance(exam, Exam)


def test_devices_hear_answers_by_who_wears_them():
    worn = wear_of(hostile("label-flip", classes=len(ACTIVITIES)))
    label = np.zeros((4, 2), np.int32)
    heard = worn.heard(label, label)
    assert heard.tolist() == [[0, 0], [1, 1], [0, 0], [1, 1]]
    assert worn.take([1, 2]).heard(label[:2], label[:2]).tolist() == [[1, 1], [0, 0]]
    assert wear_of().heard(label, label) is label


def test_all_windows_of_the_activity_are_examined_with_the_trigger_and_come_first():
    wear = wear_of(hostile("backdoor"))
    exam = wear.exam()
    stamped = exam.stamp(wear)
    label = wear.pool.windows.label
    for plain, own in zip(exam.windows, stamped.windows, strict=True):
        wanted = [w for w in plain.tolist() if w >= 0 and label[w] == BACKDOOR["activity"]]
        assert own[: len(wanted)].tolist() == wanted
        assert (own[len(wanted) :] == -1).all()
        assert 0 < len(wanted) < (plain >= 0).sum()

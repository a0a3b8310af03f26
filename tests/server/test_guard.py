"""The guard refuses bad updates and says why."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.guard import Guard, check


def sent():
    return {"kernel": np.zeros((2, 2), np.float32), "bias": np.zeros(1, np.float32)}


def moved(distance):
    """Make an update at a distance from what was sent, by a 3-4-5 triangle."""
    kernel = np.array([[0.6 * distance, 0.0], [0.0, 0.0]], np.float32)
    return {"kernel": kernel, "bias": np.array([0.8 * distance], np.float32)}


def test_good_updates_are_accepted():
    assert Guard(3.0).accept(sent(), [moved(1.0), moved(2.0), moved(0.0)]) == ["", "", ""]


def test_a_round_without_updates_has_no_reasons():
    assert Guard(3.0).accept(sent(), []) == []


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_update_that_is_not_finite_is_refused(value):
    bad = moved(1.0)
    bad["kernel"][1, 0] = value
    reasons = Guard(None).accept(sent(), [moved(1.0), bad, moved(5.0)])
    assert reasons == ["", "holds NaN or infinite values", ""]


def misshapen(name, value):
    return moved(1.0) | {name: value}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (
            misshapen("kernel", np.zeros((4,), np.float32)),
            "kernel is float32 (4,) instead of float32 (2, 2)",
        ),
        (
            misshapen("bias", np.zeros(1, np.float64)),
            "bias is float64 (1,) instead of float32 (1,)",
        ),
        (
            {"kernel": np.zeros((2, 2), np.float32)},
            "arrays ['kernel'] instead of ['bias', 'kernel']",
        ),
        (
            misshapen("extra", np.zeros(1, np.float32)),
            "arrays ['bias', 'extra', 'kernel'] instead of ['bias', 'kernel']",
        ),
        ({}, "arrays [] instead of ['bias', 'kernel']"),
    ],
    ids=["shape", "dtype", "missing", "extra", "nothing"],
)
def test_an_update_of_another_form_is_refused_and_the_others_are_not(bad, reason):
    assert Guard(3.0).accept(sent(), [moved(1.0), bad, moved(2.0)]) == ["", reason, ""]


def test_arrays_in_another_order_are_the_same_update():
    turned = dict(reversed(moved(1.0).items()))
    guard = Guard(3.0)
    assert guard.accept(sent(), [moved(1.0)]) == [""]
    assert guard.accept(sent(), [turned]) == [""]


def test_the_first_round_has_no_bound():
    assert Guard(1.0).accept(sent(), [moved(1.0), moved(1e6)]) == ["", ""]


def test_the_bound_is_a_multiple_of_the_previous_rounds_median():
    guard = Guard(3.0)
    guard.accept(sent(), [moved(1.0), moved(2.0), moved(9.0)])  # median 2: the bound is 6
    assert guard.accept(sent(), [moved(5.9), moved(6.1)]) == ["", "norm 6.1 exceeds the bound 6"]


def test_refused_updates_do_not_move_the_bound():
    guard = Guard(3.0)
    guard.accept(sent(), [moved(2.0)])  # the bound is 6
    assert guard.accept(sent(), [moved(1.0), moved(100.0), moved(100.0)])[0] == ""
    # Only the update of norm 1 was accepted: the bound is 3 now.
    assert [bool(r) for r in guard.accept(sent(), [moved(2.9), moved(3.1)])] == [False, True]


def test_norms_are_of_what_an_update_changed():
    guard, far = Guard(2.0), {key: value + 1000.0 for key, value in sent().items()}
    near = {key: value + 1000.0 for key, value in moved(1.0).items()}
    assert guard.accept(far, [near]) == [""]
    twice = {key: value + 1000.0 for key, value in moved(3.0).items()}
    assert guard.accept(far, [near, twice]) == ["", "norm 3 exceeds the bound 2"]


def test_without_max_norm_every_finite_update_is_accepted():
    guard = Guard(None)
    guard.accept(sent(), [moved(1.0)])
    assert guard.accept(sent(), [moved(1e30)]) == [""]


def test_a_round_that_is_refused_as_a_whole_sets_the_next_bound():
    guard = Guard(3.0)
    guard.accept(sent(), [moved(1.0)])
    assert guard.accept(sent(), [moved(4.0)]) == ["norm 4 exceeds the bound 3"]
    again = guard.accept(sent(), [moved(2.0), moved(11.0), moved(13.0)])
    assert again == ["", "", "norm 13 exceeds the bound 12"]


def test_a_round_without_any_movement_sets_no_bound():
    guard = Guard(3.0)
    guard.accept(sent(), [moved(0.0)])
    assert guard.accept(sent(), [moved(5.0)]) == [""]


def test_checking_gives_a_verdict_for_each_device():
    updates = np.array([[3.0, 4.0], [np.nan, 0.0], [0.3, 0.4]], np.float32)
    accepted, reasons = check(updates, 1.0)
    assert accepted.tolist() == [False, False, True]
    assert reasons == ["norm 5 exceeds the bound 1", "holds NaN or infinite values", ""]


@given(
    st.lists(st.floats(0.01, 100.0), min_size=1, max_size=6),
    st.lists(st.floats(0.0, 1000.0), min_size=1, max_size=6),
)
def test_no_update_beyond_the_bound_passes(first, second):
    guard = Guard(2.0)
    assert guard.accept(sent(), [moved(d) for d in first]) == [""] * len(first)
    bound = 2.0 * float(np.median(first))
    for distance, reason in zip(
        second, guard.accept(sent(), [moved(d) for d in second]), strict=True
    ):
        if abs(distance - bound) > 1e-4 * (1.0 + bound):
            assert bool(reason) == (distance > bound)

"""The guard refuses bad updates and says why."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.guard import REFUSALS, Guard, check, check_message


def sent():
    return {"kernel": np.zeros((2, 2), np.float32), "bias": np.zeros(1, np.float32)}


def moved(*distances):
    """Make updates at distances from what was sent, by a 3-4-5 triangle."""
    kernel = np.zeros((len(distances), 2, 2), np.float32)
    kernel[:, 0, 0] = 0.6 * np.array(distances)
    return {"kernel": kernel, "bias": (0.8 * np.array(distances)).astype(np.float32)[:, None]}


def judged(guard, updates, start=None):
    """Check one round's updates, set the next bound, and return the reasons."""
    checked = check(sent() if start is None else start, updates, guard.bound)
    guard.rebound(checked.norms, checked.accepted)
    return list(checked.reasons)


def test_good_updates_are_accepted_and_measured():
    checked = check(sent(), moved(1.0, 2.0, 0.0), None)
    assert checked.reasons == ("", "", "")
    assert checked.accepted.tolist() == [True, True, True]
    assert checked.norms == pytest.approx([1.0, 2.0, 0.0], rel=1e-7)
    assert checked.norms.dtype == np.float64


def test_a_round_without_updates_has_no_reasons_and_keeps_the_bound():
    guard = Guard(3.0)
    judged(guard, moved(1.0))
    bound = guard.bound
    assert judged(guard, moved()) == []
    assert guard.bound == bound


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_update_that_is_not_finite_is_refused(value):
    updates = moved(1.0, 1.0, 5.0)
    updates["kernel"][1, 1, 0] = value
    checked = check(sent(), updates, None)
    assert checked.reasons == ("", "holds NaN or infinite values", "")
    assert checked.norms[[0, 2]] == pytest.approx([1.0, 5.0], rel=1e-7)


@pytest.mark.parametrize(
    ("bad", "kind", "reason"),
    [
        (
            moved(1.0, 2.0) | {"kernel": np.zeros((2, 4), np.float32)},
            "shape",
            "kernel is float32 (4,) instead of float32 (2, 2)",
        ),
        (
            moved(1.0, 2.0) | {"bias": np.zeros((2, 1), np.float64)},
            "dtype",
            "bias is float64 (1,) instead of float32 (1,)",
        ),
        (
            {"kernel": np.zeros((2, 2, 2), np.float32)},
            "names",
            "arrays ['kernel'] instead of ['bias', 'kernel']",
        ),
        (
            moved(1.0, 2.0) | {"extra": np.zeros((2, 1), np.float32)},
            "names",
            "arrays ['bias', 'extra', 'kernel'] instead of ['bias', 'kernel']",
        ),
        (
            moved(1.0, 2.0) | {"bias": np.zeros((1, 1), np.float32)},
            "shape",
            "bias holds 1 devices instead of 2",
        ),
    ],
    ids=["shape", "dtype", "missing", "extra", "devices"],
)
def test_updates_of_another_form_are_refused_and_not_measured(bad, kind, reason):
    checked = check(sent(), bad, 5.0)
    assert checked.reasons == (reason, reason)
    assert checked.kinds == (kind, kind)
    assert kind in REFUSALS
    assert not checked.accepted.any()
    assert np.isnan(checked.norms).all()


def test_an_update_of_nothing_is_one_devices_and_refused():
    checked = check(sent(), {}, None)
    assert checked.reasons == ("arrays [] instead of ['bias', 'kernel']",)
    assert checked.norms.shape == (1,)


def test_a_number_without_a_device_axis_is_refused():
    checked = check({"scale": np.float64(2.0)[...]}, {"scale": np.float64(2.0)[...]}, None)
    assert checked.reasons == ("scale holds no devices instead of 1",)


def test_updates_of_another_form_do_not_move_the_bound():
    guard = Guard(3.0)
    judged(guard, moved(1.0))
    bound = guard.bound
    judged(guard, {"kernel": np.ones((3, 2, 2), np.float32)})
    assert guard.bound == bound


def test_arrays_in_another_order_are_the_same_update():
    turned = dict(reversed(moved(1.0).items()))
    assert check(sent(), turned, 1.1).reasons == ("",)


def test_the_first_round_has_no_bound_where_it_is_not_known_what_is_sent():
    for guard in (Guard(1.0), Guard(1.0, {}), Guard(1.0, sent())):  # or what is sent is nothing
        assert guard.bound is None
        assert judged(guard, moved(1.0, 1e6)) == ["", ""]


def test_in_the_first_round_only_the_absurd_exceeds_the_bound():
    """A hundred times the norm of what is sent, whatever the multiple of later rounds."""
    start = {"kernel": np.full((2, 2), 1.0, np.float32), "bias": np.full(1, -3.0, np.float32)}
    far = {name: value[None] + moved(359.0)[name] for name, value in start.items()}
    for max_norm in (0.5, 3.0):
        guard = Guard(max_norm, start)
        assert guard.bound == pytest.approx(100.0 * np.sqrt(13.0))  # 360.6
        assert judged(guard, far, start) == [""]
        assert guard.bound == pytest.approx(max_norm * 359.0, rel=1e-6)
    farther = {name: value[None] + moved(362.0)[name] for name, value in start.items()}
    assert judged(Guard(3.0, start), farther, start) == ["norm 362 exceeds the bound 360.6"]
    assert Guard(None, start).bound is None


def test_the_bound_is_a_multiple_of_the_previous_rounds_median():
    guard = Guard(3.0)
    judged(guard, moved(1.0, 2.0, 9.0))
    assert guard.bound == pytest.approx(6.0)
    assert judged(guard, moved(5.9, 6.1)) == ["", "norm 6.1 exceeds the bound 6"]


def test_the_median_is_over_all_of_a_round_however_it_was_checked():
    guard = Guard(2.0)
    parts = [check(sent(), moved(*some), guard.bound) for some in [(1.0, 2.0), (9.0,)]]
    guard.rebound(
        np.concatenate([part.norms for part in parts]),
        np.concatenate([part.accepted for part in parts]),
    )
    assert guard.bound == pytest.approx(4.0)


def test_refused_updates_do_not_move_the_bound():
    guard = Guard(3.0)
    judged(guard, moved(2.0))  # the bound is 6
    assert judged(guard, moved(1.0, 100.0, 100.0))[0] == ""
    # Only the update of norm 1 was accepted: the bound is 3 now.
    assert [bool(reason) for reason in judged(guard, moved(2.9, 3.1))] == [False, True]


def test_norms_are_of_what_an_update_changed():
    guard, far = Guard(2.0), {key: value + 1000.0 for key, value in sent().items()}
    near = {key: value + 1000.0 for key, value in moved(1.0).items()}
    assert judged(guard, near, far) == [""]
    both = {key: value + 1000.0 for key, value in moved(1.0, 3.0).items()}
    assert judged(guard, both, far) == ["", "norm 3 exceeds the bound 2"]


def test_without_max_norm_every_finite_update_is_accepted():
    guard = Guard(None)
    judged(guard, moved(1.0))
    assert guard.bound is None
    assert judged(guard, moved(1e30)) == [""]


def test_after_a_round_that_is_refused_as_a_whole_the_bound_grows_by_no_more_than_its_multiple():
    guard = Guard(3.0)
    judged(guard, moved(1.0))
    assert judged(guard, moved(4.0, np.nan)) == [
        "norm 4 exceeds the bound 3",
        "holds NaN or infinite values",
    ]
    again = judged(guard, moved(2.0, 8.0, 9.5))
    assert again == ["", "", "norm 9.5 exceeds the bound 9"]


def test_an_absurd_update_that_came_alone_does_not_let_the_next_one_pass():
    guard = Guard(3.0)
    judged(guard, moved(0.1, 0.1, 0.1))
    assert judged(guard, moved(1e5))[0]
    verdicts = judged(guard, moved(0.1, 0.1, 2e5))
    assert [bool(reason) for reason in verdicts] == [False, False, True]


def test_a_bound_that_is_too_tight_for_all_gives_way_from_round_to_round():
    guard = Guard(0.8)
    judged(guard, moved(1.0))
    bounds = [guard.bound]
    for _ in range(3):
        assert all(judged(guard, moved(5.0, 5.0)))
        bounds.append(guard.bound)
    assert bounds == pytest.approx([0.8, 1.6, 3.2, 4.0])
    assert judged(guard, moved(3.9)) == [""]


def test_a_round_in_which_most_did_not_move_leaves_the_bound():
    guard = Guard(3.0)
    judged(guard, moved(0.0))
    assert judged(guard, moved(5.0)) == [""]
    judged(guard, moved(0.0, 0.0, 1.0))
    assert judged(guard, moved(14.0, 16.0)) == ["", "norm 16 exceeds the bound 15"]


def test_checking_gives_a_verdict_for_each_device():
    updates = {"w": np.array([[3.0, 4.0], [np.nan, 0.0], [0.3, 0.4]], np.float32)}
    checked = check({"w": np.zeros(2, np.float32)}, updates, 1.0)
    assert checked.accepted.tolist() == [False, False, True]
    assert checked.reasons == ("norm 5 exceeds the bound 1", "holds NaN or infinite values", "")
    assert checked.kinds == ("norm", "not-finite", "")


@given(
    devices=st.integers(1, 9),
    size=st.integers(1, 3000),
    seed=st.integers(0, 2**32),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_a_norm_is_as_exact_as_float64_and_the_same_alone_as_among_others(
    devices, size, seed, dtype
):
    random = np.random.default_rng(seed)
    start = {"w": random.normal(size=size).astype(dtype), "b": random.normal(size=()).astype(dtype)}
    updates = {
        name: (value + 1e-6 * random.normal(size=(devices, *value.shape))).astype(dtype)
        for name, value in start.items()
    }
    norms = check(start, updates, None).norms
    for device in range(devices):
        one = {name: value[device : device + 1] for name, value in updates.items()}
        assert check(start, one, None).norms[0] == norms[device]
        steps = [one[name].astype(np.longdouble) - start[name] for name in start]
        exact = np.sqrt(sum(np.square(step).sum() for step in steps))
        assert norms[device] == pytest.approx(float(exact), rel=1e-12)


@given(
    st.lists(st.floats(0.01, 100.0), min_size=1, max_size=6),
    st.lists(st.floats(0.0, 1000.0), min_size=1, max_size=6),
)
def test_no_update_beyond_the_bound_passes(first, second):
    guard = Guard(2.0)
    assert judged(guard, moved(*first)) == [""] * len(first)
    bound = 2.0 * float(np.median(first))
    for distance, reason in zip(second, judged(guard, moved(*second)), strict=True):
        if abs(distance - bound) > 1e-4 * (1.0 + bound):
            assert bool(reason) == (distance > bound)


# --- One update, as it came ----------------------------------------------------------------------


def file_of(array):
    """Return an array in NumPy's format, as Flower sends it."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def test_arrays_that_come_as_bytes_are_checked_as_others():
    update = {name: value[0] for name, value in moved(3.0).items()}
    whole = check_message(sent(), update, 5.0)
    assert (whole.kinds, whole.norms[0]) == (("",), pytest.approx(3.0, rel=1e-6))
    as_bytes = {**update, "kernel": file_of(update["kernel"])}
    assert check_message(sent(), as_bytes, 5.0).norms.tolist() == whole.norms.tolist()
    assert check_message(sent(), as_bytes, 2.0).kinds == ("norm",)
    wide = {**update, "kernel": file_of(update["kernel"].astype(np.float64))}
    assert check_message(sent(), wide, None).kinds == ("dtype",)


@pytest.mark.parametrize("end", [0, 5, 8, 60, 127, 130, 143])
def test_bytes_that_end_too_early_are_refused_with_how_many_came(end):
    update = {name: value[0] for name, value in moved(3.0).items()}
    whole = file_of(update["kernel"])
    assert len(whole) == 144
    checked = check_message(sent(), {**update, "kernel": whole[:end]}, None)
    assert checked.kinds == ("truncated",)
    assert checked.reasons == (f"kernel cannot be read from its {end} bytes",)
    assert np.isnan(checked.norms).tolist() == [True]


def test_what_would_have_to_be_unpickled_is_never_read():
    update = {name: value[0] for name, value in moved(3.0).items()}
    pickled = file_of(np.array([print, {}], object))
    assert check_message(sent(), {**update, "kernel": pickled}, None).kinds == ("truncated",)


@pytest.mark.parametrize(
    "told",
    [
        "(",  # which never closes
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -4), }",
        "{'descr': 'V0', 'fortran_order': False, 'shape': (), }",
        "[1, 2]",
        "\x00",
    ],
)
def test_a_head_that_says_nonsense_is_refused(told):
    head = told.ljust(117).encode("latin1") + b"\n"
    message = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + bytes(16)
    update = {name: value[0] for name, value in moved(3.0).items()}
    checked = check_message(sent(), {**update, "kernel": message}, None)
    assert checked.kinds[0] in ("truncated", "shape", "dtype")

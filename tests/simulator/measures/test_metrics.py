"""Figures of a run, from rows that were worked out by hand."""

import math
from dataclasses import astuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.cohort.records import ROUNDS
from simulator.measures.metrics import (
    cohen_kappa,
    f1_by_class,
    fairness,
    kappa_temporal,
    macro_f1,
    summary_frame,
    users_frame,
    worst_tenth,
)
from simulator.scenario.scenario import Arm

NAN = float("nan")
SHARES = st.floats(0, 1) | st.just(NAN)
COUNTS = (
    "windows", "answered", "correct", "vote_correct", "label_repeats", "gradients", "bytes_up",
    "bytes_down",
)  # fmt: skip


def row(arm, user, round_, *, device=None, holdout=None, cohort=0, **counts):
    """Make a cohort and one of its rows in `rounds/`; `holdout` is a confusion matrix or None."""
    matrix = None if holdout is None else np.array(holdout)
    return cohort, {
        "arm": arm,
        "user": user,
        "device": device or user,
        "round": round_,
        **dict.fromkeys(COUNTS, 0),
        **counts,
        "holdout_windows": None if matrix is None else int(matrix.sum()),
        "holdout_confusion": None if matrix is None else matrix.ravel().tolist(),
    }


@pytest.fixture
def users_of(tmp_path_factory):
    """Give a function that writes rows into a run folder and reduces it."""

    def reduce(*rows, arms=None):
        folder, files = tmp_path_factory.mktemp("run"), {}
        for cohort, own in rows:
            files.setdefault((own["arm"], cohort), []).append(own)
        for (arm, cohort), held in files.items():
            path = folder / "rounds" / arm / f"cohort-{cohort:05d}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_pylist(held, ROUNDS), path)
        ran = dict.fromkeys(own["arm"] for _, own in rows)
        return users_frame(folder, arms or [Arm(name=name, method="local") for name in ran])

    return reduce


def test_f1_of_a_class_is_twice_its_hits_over_true_and_predicted():
    # class 0: 3 hits, 4 true, 5 predicted -> 6/9; class 1: 2 hits, 4 true, 3 predicted -> 4/7.
    np.testing.assert_allclose(f1_by_class(np.array([[3, 1], [2, 2]])), [6 / 9, 4 / 7])


def test_f1_of_a_class_that_does_not_occur_is_unknown_even_if_predicted():
    f1 = f1_by_class(np.array([[1, 1], [0, 0]]))
    assert f1[0] == pytest.approx(2 / 3)
    assert math.isnan(f1[1])


def test_f1_of_a_class_that_is_never_predicted_is_zero():
    assert f1_by_class(np.array([[0, 2], [0, 2]])).tolist() == [0.0, pytest.approx(4 / 6)]


def test_macro_f1_averages_the_activities_that_occur():
    assert macro_f1(np.array([[3, 1, 0], [2, 2, 0], [0, 0, 0]])) == pytest.approx(
        (6 / 9 + 4 / 7) / 2
    )
    assert math.isnan(macro_f1(np.zeros((2, 2), np.int64)))


def test_f1_of_many_matrices_is_that_of_each():
    matrices = np.random.default_rng(1).integers(0, 3, (20, 3, 3))
    matrices[0] = 0
    np.testing.assert_array_equal(f1_by_class(matrices), [f1_by_class(m) for m in matrices])
    np.testing.assert_array_equal(macro_f1(matrices), [macro_f1(m) for m in matrices])


def test_kappa_temporal_is_zero_for_repeating_the_last_label():
    assert kappa_temporal(0.9, 0.9) == 0.0
    assert kappa_temporal(0.95, 0.9) == pytest.approx(0.5)
    assert kappa_temporal(0.6, 0.8) == pytest.approx(-1.0)
    assert math.isnan(kappa_temporal(1.0, 1.0))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.5], 0.5),
        ([0.9, 0.2, 0.7], 0.2),
        ([i / 10 for i in range(10)], 0.0),
        ([i / 10 for i in range(11)], 0.05),
        ([NAN, 0.4, NAN], 0.4),
    ],
)
def test_worst_tenth_is_the_mean_of_the_lowest_tenth_rounded_up(values, expected):
    assert worst_tenth(np.array(values)) == pytest.approx(expected)


def test_worst_tenth_of_nobody_is_unknown():
    assert math.isnan(worst_tenth(np.array([NAN])))


def test_rounds_of_a_user_add_up_and_the_last_holdout_counts(users_of):
    users = users_of(
        row("a", "u", 0, holdout=[[2, 0], [2, 0]]),
        row("a", "u", 1, windows=4, answered=1, correct=2, vote_correct=4, label_repeats=3,
            gradients=4, bytes_up=10, bytes_down=20, holdout=[[1, 1], [1, 1]]),
        row("a", "u", 2, windows=6, answered=2, correct=6, vote_correct=6, label_repeats=5,
            gradients=8, bytes_up=10, bytes_down=30, holdout=[[2, 0], [1, 1]]),
    )  # fmt: skip
    (own,) = users.to_dict("records")
    assert (own["arm"], own["user"], own["devices"]) == ("a", "u", 1)
    assert (own["windows"], own["answered"], own["gradients"]) == (10, 3, 12)
    assert own["prequential_accuracy"] == pytest.approx(0.8)
    assert own["prequential_vote_accuracy"] == pytest.approx(1.0)
    assert own["no_change"] == pytest.approx(0.8)
    assert (own["holdout_windows"], own["holdout_accuracy"]) == (4, 0.75)
    assert own["holdout_macro_f1"] == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert (own["bytes_up"], own["bytes_down"]) == (20.0, 50.0)


def test_rounds_without_a_scoring_do_not_hide_the_last_one(users_of):
    users = users_of(
        row("a", "u", 2, windows=2, correct=1),
        row("a", "u", 1, windows=2, correct=1, holdout=[[1, 0], [0, 1]]),
        row("a", "u", 0, holdout=[[0, 1], [0, 1]]),
    )
    assert users["holdout_accuracy"].tolist() == [1.0]


def test_holdout_of_no_windows_is_unknown(users_of):
    users = users_of(row("a", "u", 1, windows=2, correct=1, holdout=[[0, 0], [0, 0]]))
    (own,) = users.to_dict("records")
    assert own["holdout_windows"] == 0
    assert math.isnan(own["holdout_accuracy"])
    assert math.isnan(own["holdout_macro_f1"])
    assert own["prequential_accuracy"] == 0.5


def test_devices_of_one_user_are_averaged_however_many_windows_they_had(users_of):
    users = users_of(
        row("a", "u", 1, device="u/1", windows=2, correct=2, answered=1, bytes_up=10,
            holdout=[[4, 0], [0, 0]]),
        row("a", "u", 1, device="u/2", windows=8, correct=4, answered=5, bytes_up=30,
            holdout=[[0, 4], [0, 4]]),
    )  # fmt: skip
    (own,) = users.to_dict("records")
    assert (own["devices"], own["windows"], own["answered"]) == (2, 10, 6)
    assert own["prequential_accuracy"] == pytest.approx((1.0 + 0.5) / 2)
    assert own["holdout_accuracy"] == pytest.approx((1.0 + 0.5) / 2)
    assert own["bytes_up"] == 40


def test_devices_of_one_user_in_several_cohorts_are_averaged(users_of):
    users = users_of(
        row("a", "v", 1, cohort=1, windows=2, correct=1),
        row("a", "u", 1, device="u/3", cohort=1, windows=2, correct=0, holdout=[[1, 3], [0, 0]]),
        row("a", "u", 1, device="u/1", windows=2, correct=2, gradients=3, holdout=[[4, 0], [0, 0]]),
        row("a", "u", 1, device="u/2", windows=2, correct=1, gradients=4),
    )
    assert users["user"].tolist() == ["u", "v"]
    own = users.iloc[0]
    assert (own["devices"], own["windows"], own["gradients"]) == (3, 6, 7)
    assert own["prequential_accuracy"] == pytest.approx((1.0 + 0.5 + 0.0) / 3)
    # The device that was never scored has no part in the mean of those that were.
    assert (own["holdout_windows"], own["holdout_accuracy"]) == (8, (1.0 + 0.25) / 2)


def test_devices_without_windows_are_counted_and_left_out_of_the_mean(users_of):
    users = users_of(
        row("a", "u", 1, device="u/1", windows=4, correct=3),
        row("a", "u", 1, device="u/2"),
    )
    assert users["devices"].tolist() == [2]
    assert users["prequential_accuracy"].tolist() == [0.75]


def test_users_come_by_arm_as_given_and_then_by_name(users_of):
    rows = [row(arm, user, 1) for arm in ("a", "b") for user in ("u9", "u10", "u1")]
    arms = [Arm(name=name, method="local") for name in ("b", "late", "a")]
    users = users_of(*rows, arms=arms)
    assert users["arm"].tolist() == ["b"] * 3 + ["a"] * 3
    assert users["user"].tolist() == ["u1", "u10", "u9"] * 2


def test_run_that_has_no_rows_has_no_users(users_of, tmp_path):
    arms = [Arm(name="a", method="local")]
    none = users_frame(tmp_path, arms)
    assert none.empty
    assert summary_frame(none, arms, None).empty
    some = users_of(row("a", "u", 1, windows=1))
    assert list(none) == list(some)


def test_sums_are_those_of_a_naive_loop_over_devices(users_of):
    generator = np.random.default_rng(5)
    rows = []
    for round_, d in np.ndindex(4, 11):
        counts = dict(zip(COUNTS, generator.integers(1, 50, len(COUNTS)).tolist(), strict=True))
        scored = round_ == 0 or generator.random() < 0.5
        matrix = generator.integers(0, 5, (3, 3)) if scored else None
        where = {"device": f"d{d}", "cohort": d % 2, "holdout": matrix}
        rows.append(row("a", f"u{d % 3}", round_, **where, **counts))
    users = users_of(*rows).set_index("user")
    for user, own in users.iterrows():
        devices = {}
        for _, one in rows:
            if one["user"] == user:
                devices.setdefault(one["device"], []).append(one)
        answered, shares, f1 = 0, [], []
        for held in devices.values():
            answered += sum(one["answered"] for one in held)
            shares.append(sum(o["correct"] for o in held) / sum(o["windows"] for o in held))
            last = [o["holdout_confusion"] for o in held if o["holdout_confusion"]][-1]
            f1.append(macro_f1(np.array(last).reshape(3, 3)))
        assert (own["devices"], own["answered"]) == (len(devices), answered)
        assert own["prequential_accuracy"] == pytest.approx(np.mean(shares))
        assert own["holdout_macro_f1"] == pytest.approx(np.mean(f1))


ARMS = [Arm(name="own", method="local"), Arm(name="all", method="fedavg")]


def holdout(right, wrong):
    return [[right, wrong], [0, 0]]


def rows_of_two_arms():
    return [
        row("own", "u", 1, windows=10, correct=9, vote_correct=10, label_repeats=5, answered=2,
            gradients=8, holdout=holdout(9, 1)),
        row("own", "v", 1, windows=20, correct=10, vote_correct=8, label_repeats=10, answered=2,
            gradients=8, holdout=holdout(14, 6)),
        row("all", "u", 1, windows=10, correct=6, answered=4, gradients=6, bytes_up=100,
            holdout=holdout(7, 3)),
        row("all", "v", 1, windows=20, correct=16, answered=4, gradients=2, bytes_up=300,
            holdout=holdout(11, 9)),
    ]  # fmt: skip


def test_summary_counts_every_user_once(users_of):
    summary = summary_frame(users_of(*rows_of_two_arms()), ARMS, 0.5)
    own = summary.iloc[0]
    assert (own["arm"], own["method"], own["devices"], own["base_accuracy"]) == (
        "own", "local", 2, 0.5,
    )  # fmt: skip
    assert own["prequential_accuracy"] == pytest.approx((0.9 + 0.5) / 2)
    assert own["prequential_vote_accuracy"] == pytest.approx((1.0 + 0.4) / 2)
    assert own["prequential_kappa_temporal"] == pytest.approx((0.7 - 0.5) / 0.5)
    assert own["holdout_accuracy"] == pytest.approx((0.9 + 0.7) / 2)
    assert own["holdout_min"] == pytest.approx(0.7)
    assert own["holdout_worst_tenth"] == pytest.approx(0.7)
    assert own["holdout_std"] == pytest.approx(0.1)
    assert own["gradients_per_answer"] == pytest.approx(16 / 4)
    assert summary.iloc[1]["bytes_up"] == 200.0


def test_bytes_are_those_of_a_device_however_many_each_user_wears(users_of):
    users = users_of(
        *[row("own", "u", 1, device=f"u+{i}", bytes_up=100, bytes_down=40) for i in range(3)],
        row("own", "v", 1, bytes_up=500, bytes_down=0),
    )
    (own,) = summary_frame(users, ARMS, None).to_dict("records")
    assert (own["devices"], own["bytes_up"], own["bytes_down"]) == (4, 200.0, 30.0)


def test_exactly_two_windows_fewer_than_local_are_not_worse(users_of):
    # u loses 2 of 10 windows, v loses 3 of 20.
    summary = summary_frame(users_of(*rows_of_two_arms()), ARMS, None)
    assert summary["worse_than_local"].tolist() == [0.0, 0.5]


def test_two_of_many_windows_are_not_worse_by_a_rounding_error(users_of):
    for windows in (7, 49, 101, 997):
        users = users_of(
            row("own", "u", 1, holdout=holdout(windows - 1, 1)),
            row("all", "u", 1, holdout=holdout(windows - 3, 3)),
            row("own", "v", 1, holdout=holdout(windows - 1, 1)),
            row("all", "v", 1, holdout=holdout(windows - 4, 4)),
        )
        assert summary_frame(users, ARMS, None)["worse_than_local"].tolist() == [0.0, 0.5]


def test_windows_that_are_lost_are_those_of_one_device(users_of):
    # Each of four devices loses 2 of 10 windows, which is no more than one device may lose.
    users = users_of(
        *[row("own", "u", 1, device=f"u+{i}", holdout=holdout(9, 1)) for i in range(4)],
        *[row("all", "u", 1, device=f"u+{i}", holdout=holdout(7, 3)) for i in range(4)],
    )
    assert summary_frame(users, ARMS, None)["worse_than_local"].tolist() == [0.0, 0.0]


def test_without_a_local_arm_nobody_is_known_to_be_worse(users_of):
    users = users_of(*[(cohort, r) for cohort, r in rows_of_two_arms() if r["arm"] == "all"])
    assert summary_frame(users, ARMS[1:], None)["worse_than_local"].tolist() == [None]


def test_arms_come_in_the_order_of_the_scenario_and_those_that_have_not_run_are_left_out(users_of):
    users = users_of(*reversed(rows_of_two_arms()))
    arms = [Arm(name="still", method="frozen"), *ARMS]
    assert summary_frame(users, arms, None)["arm"].tolist() == ["own", "all"]


def test_unknown_holdouts_do_not_spoil_the_averages(users_of):
    users = users_of(
        row("own", "u", 1, windows=2, correct=1, holdout=holdout(3, 1)),
        row("own", "v", 1, windows=2, correct=2, holdout=holdout(0, 0)),
    )
    (own,) = summary_frame(users, ARMS, None).to_dict("records")
    assert own["holdout_accuracy"] == 0.75
    assert own["holdout_min"] == 0.75
    assert own["holdout_worst_tenth"] == 0.75
    assert own["worse_than_local"] == 0.0
    assert own["prequential_accuracy"] == 0.75


def test_arm_without_answers_has_no_gradients_per_answer(users_of):
    users = users_of(row("own", "u", 1, windows=2, correct=1))
    assert summary_frame(users, ARMS, None)["gradients_per_answer"].tolist() == [None]


def ints(*values):
    return np.array(values, np.int64)


def test_kappa_is_agreement_beyond_chance():
    # confusion [[20, 5], [10, 15]]: p = 35/50, p_e = (25·30 + 25·20) / 50² = 0.5, κ = 0.2 / 0.5
    assert cohen_kappa(ints(25, 25), ints(30, 20), np.int64(35)) == pytest.approx(0.4)


def test_kappa_of_many_is_that_of_each_and_unknown_where_chance_always_agrees():
    # no skill: p = p_e = 3/4; always wrong: p = 0, p_e = 1/2; one class alone; no windows
    labels = np.array([[3, 1], [1, 1], [4, 0], [0, 0]])
    predicted = np.array([[4, 0], [1, 1], [4, 0], [0, 0]])
    np.testing.assert_array_equal(
        cohen_kappa(labels, predicted, ints(3, 0, 4, 0)), [0, -1, NAN, NAN]
    )


def test_repeating_the_last_label_has_a_kappa_but_no_temporal_kappa():
    label = ints(0, 0, 0, 1, 1, 2, 2, 2)
    repeated = ints(1, *label[:-1])  # the first is a wrong guess: 5 of 8 right
    hits = (repeated == label).sum()
    no_change = (np.diff(label) == 0).sum() / 8
    assert kappa_temporal(hits / 8, no_change) == 0.0
    # label counts 3, 2, 3, predicted 3, 3, 2: p_e = 21/64, κ = (40 - 21) / (64 - 21)
    found = cohen_kappa(np.bincount(label), np.bincount(repeated), hits)
    assert found == pytest.approx(19 / 43)


def test_fairness_at_each_scoring_is_over_those_who_were_scored():
    # 0.5, 0.7, 0.9: variance (0.04 + 0 + 0.04) / 3; 0.4, 0.8: 0.04; then nobody
    found = fairness(np.array([[0.5, NAN, NAN], [0.7, 0.4, NAN], [0.9, 0.8, NAN]]))
    np.testing.assert_allclose(found.mean, [0.7, 0.6, NAN])
    np.testing.assert_allclose(found.std, [math.sqrt(0.08 / 3), 0.2, NAN])
    np.testing.assert_array_equal(found.worst_tenth, [0.5, 0.4, NAN])
    np.testing.assert_array_equal(found.minimum, [0.5, 0.4, NAN])


def test_worst_tenth_of_twenty_users_is_the_mean_of_two():
    found = fairness(np.arange(20)[::-1, None] / 20)
    np.testing.assert_allclose(found.worst_tenth, [0.025])
    np.testing.assert_array_equal(found.minimum, [0.0])


@pytest.mark.parametrize("shape", [(3, 0), (0, 0)])
def test_fairness_without_scorings_is_empty(shape):
    assert [values.shape for values in astuple(fairness(np.zeros(shape)))] == [(0,)] * 4


def test_fairness_without_users_is_unknown():
    assert np.isnan(astuple(fairness(np.zeros((0, 2))))).all()


@given(st.lists(st.lists(SHARES, min_size=2, max_size=2), min_size=1, max_size=12), st.randoms())
def test_fairness_does_not_depend_on_the_order_of_users(users, random):
    mixed = random.sample(users, len(users))
    found = astuple(fairness(np.array(users)))
    np.testing.assert_allclose(astuple(fairness(np.array(mixed))), found, atol=1e-12)
    known = ~np.isnan(found[0])
    mean, _, worst, least = (values[known] for values in found)
    assert (least <= worst + 1e-12).all()
    assert (worst <= mean + 1e-12).all()

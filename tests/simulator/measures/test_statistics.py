"""Paired tests of arms, against values worked out by hand or by counting every outcome."""

from fractions import Fraction
from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from simulator.measures.statistics import (
    Comparison,
    bootstrap_interval,
    compared,
    frame_of_tests,
    holm,
    paired_tests,
    rank_biserial,
    signed_rank_p,
    snapped,
)

COLUMNS = [
    "arm", "against", "protocol", "pairs", "better", "worse", "equal", "mean_difference",
    "interval_low", "interval_high", "median_difference", "rank_biserial", "p", "p_baseline",
    "p_all",
]  # fmt: skip
FEW_DIFFERENCES = st.lists(st.integers(-4, 4), min_size=1, max_size=9).map(
    lambda values: np.array(values, np.float64)
)
PS = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def users_of(column="holdout_accuracy", **arms):
    """Make `users.csv` of arms, given each user's accuracy in hundredths."""
    frames = [
        pd.DataFrame(
            {
                "arm": arm,
                "user": [f"p{i:03d}" for i in range(len(hundredths))],
                column: [None if value is None else value / 100 for value in hundredths],
            }
        )
        for arm, hundredths in arms.items()
    ]
    return pd.concat(frames, ignore_index=True)


def by_pair(users, baseline="base"):
    return {(one.arm, one.against): one for one in paired_tests(users, baseline)}


def rank_sums(differences):
    """Return Pratt's sums of ranks above and below zero, in exact arithmetic."""
    sizes = [abs(value) for value in differences]
    above = below = Fraction(0)
    for value in differences:
        smaller = sum(size < abs(value) for size in sizes)
        equal = sum(size == abs(value) for size in sizes)
        rank = smaller + Fraction(equal + 1, 2)
        above += rank if value > 0 else 0
        below += rank if value < 0 else 0
    return above, below


def p_by_enumeration(differences):
    """Count, of all ways to flip the signs, those as one-sided as what was seen."""
    seen = abs(np.subtract(*rank_sums(differences)))
    flips = list(product((1, -1), repeat=len(differences)))
    extreme = sum(
        abs(np.subtract(*rank_sums(differences * np.array(signs)))) >= seen for signs in flips
    )
    return extreme / len(flips)


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([1, 2, 3, 4, 5, 6], 2 / 64),  # all one way: this outcome and its mirror image
        ([-1, 2, 3, 4, 5, 6], 4 / 64),  # below: rank sums 0 and 1, one way each, and their mirrors
        ([1, 1, 1, 1, 1, 1], 2 / 64),
        ([-1, 1, 1, 1, 1, 1], 14 / 64),  # none or one of six equal ranks below, mirrored
        ([0, 0, 0, 0, 1, 2], 2 / 4),  # only two users tell anything
        ([0, 0, 0], 1.0),
        ([1, -1], 1.0),
        # Pratt: ranks 1 (zero), 2, 3, 4; above 2 + 4, below 3. Sums above of 8 ways: 0, 2, 3, 4, 5,
        # 6, 7, 9; those at least as far from 4.5 as 6 are 0, 2, 3, 6, 7, 9.
        ([0, 1, -2, 3], 6 / 8),
    ],
)
def test_p_of_signed_ranks_by_hand(differences, p):
    assert signed_rank_p(np.array(differences, np.float64)) == pytest.approx(p, abs=1e-12)


@given(FEW_DIFFERENCES)
def test_p_counts_all_flips_of_signs_with_ties_and_zeros(differences):
    assert signed_rank_p(differences) == pytest.approx(p_by_enumeration(differences), abs=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(6, 40))
def test_p_is_that_of_the_tables_where_nothing_ties(seed, count):
    generator = np.random.default_rng(seed)
    signs = generator.choice([-1.0, 1.0], count)
    differences = generator.permutation(np.arange(1.0, count + 1)) * signs
    expected = stats.wilcoxon(differences, method="exact").pvalue
    assert signed_rank_p(differences) == pytest.approx(expected, abs=1e-12)


def test_p_of_many_users_is_close_to_the_exact_one():
    generator = np.random.default_rng(5)
    many = generator.integers(-6, 9, 160) / 60
    few = many[np.flatnonzero(many)[:100]]
    assert np.count_nonzero(many) > 100
    assert signed_rank_p(few) == pytest.approx(
        stats.wilcoxon(few, method="asymptotic", correction=True).pvalue, rel=0.05
    )
    sums = [float(part) for part in rank_sums(many)]
    zeros, count = int((many == 0).sum()), many.size
    _, ties = np.unique(np.abs(many[many != 0]), return_counts=True)
    variance = (
        count * (count + 1) * (2 * count + 1) - zeros * (zeros + 1) * (2 * zeros + 1)
    ) / 24 - (ties**3 - ties).sum() / 48
    z = (abs(sums[0] - sums[1]) / 2 - 0.5) / np.sqrt(variance)
    assert signed_rank_p(many) == pytest.approx(2 * stats.norm.sf(z), rel=1e-9)


@pytest.mark.parametrize(
    ("differences", "effect"),
    [
        ([3, -1, 2], (3 + 2 - 1) / 6),
        ([2, 2, -2, -2], 0.0),
        ([1, 2, 3], 1.0),
        ([-1, -5], -1.0),
        ([0, 0, 0], 0.0),
        ([0, 1, -2, 3], (2 - 3 + 4) / 10),  # ranks 1 to 4, the first of them for neither
        ([0, 0, 0, 1], 4 / 10),
    ],
)
def test_effect_size_is_ranks_for_less_ranks_against(differences, effect):
    assert rank_biserial(np.array(differences, np.float64)) == pytest.approx(effect)


def test_holm_by_hand():
    # Sorted: 0.005 x 4 = 0.02, 0.01 x 3 = 0.03, 0.03 x 2 = 0.06, 0.04 x 1 = 0.04, lifted to 0.06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([0.2]) == pytest.approx([0.2])
    assert holm([]).size == 0


def test_test_that_was_not_made_does_not_count_for_holm():
    corrected = holm([0.02, float("nan"), 0.01])
    assert corrected[[0, 2]] == pytest.approx([0.02, 0.02])
    assert np.isnan(corrected[1])


@given(PS)
def test_corrected_p_is_no_smaller_and_keeps_the_order(ps):
    corrected = holm(ps)
    assert (corrected >= np.array(ps)).all()
    assert (corrected <= 1.0).all()
    assert (np.diff(corrected[np.argsort(ps, kind="stable")]) >= 0).all()


@given(PS, st.randoms(use_true_random=False))
def test_correction_does_not_depend_on_the_order_of_the_tests(ps, random):
    order = list(range(len(ps)))
    random.shuffle(order)
    assert holm([ps[i] for i in order]) == pytest.approx(holm(ps)[order])


def test_differences_that_rounding_alone_tells_apart_tie():
    thirds = np.array([0.333333, -0.333334, 0.666667 - 0.333333, 1e-6, -2e-7, 0.5])
    found = snapped(thirds)
    assert found[0] == -found[1] == found[2]
    assert found[0] == pytest.approx(1 / 3, abs=2e-6)
    assert found[3] == found[4] == 0.0
    assert found[5] == 0.5


@given(st.lists(st.integers(-40, 40), min_size=1, max_size=30))
def test_differences_of_whole_windows_stay_as_they_are(windows):
    shares = np.array(windows) / 40
    np.testing.assert_allclose(snapped(shares), shares, atol=1e-12)


def test_interval_holds_the_mean_and_is_about_two_standard_errors_wide():
    generator = np.random.default_rng(3)
    differences = generator.normal(0.02, 0.05, 200)
    low, high = bootstrap_interval(differences)
    error = differences.std(ddof=1) / np.sqrt(200)
    assert low == pytest.approx(differences.mean() - 1.96 * error, abs=0.1 * error)
    assert high == pytest.approx(differences.mean() + 1.96 * error, abs=0.1 * error)


def test_interval_is_the_same_each_time_and_of_equal_differences_a_point():
    differences = np.array([0.1, 0.0, 0.3, 0.2, -0.1, 0.05, 0.0])
    assert bootstrap_interval(differences) == bootstrap_interval(differences)
    assert bootstrap_interval(np.full(8, 0.25)) == (0.25, 0.25)


def test_interval_turns_round_with_the_signs():
    differences = np.array([0.1, 0.0, 0.3, 0.2, -0.1, 0.05, 0.0, 0.6])
    low, high = bootstrap_interval(differences)
    assert bootstrap_interval(-differences) == pytest.approx((-high, -low), abs=0.01)


SEVEN = users_of(
    base=[50, 50, 50, 50, 50, 50, 50],
    own=[51, 52, 53, 54, 55, 56, 57],
    mixed=[50, 49, 52, 53, 50, 46, 60],
)


def test_arms_are_held_against_the_baseline_user_by_user():
    own = by_pair(SEVEN)["own", "base"]
    assert (own.protocol, own.pairs, own.better, own.worse, own.equal) == ("holdout", 7, 7, 0, 0)
    assert own.mean_difference == pytest.approx(0.04)
    assert own.median_difference == pytest.approx(0.04)
    assert own.interval_low < 0.04 < own.interval_high
    assert own.rank_biserial == 1.0
    assert own.p == pytest.approx(2 / 128)
    mixed = by_pair(SEVEN)["mixed", "base"]
    assert (mixed.better, mixed.worse, mixed.equal) == (3, 2, 2)
    # Sizes 0, 0, 1, 2, 3, 4, 10 have ranks 1.5, 1.5, 3 to 7: for 4 + 5 + 7, against 3 + 6.
    assert mixed.rank_biserial == pytest.approx((16 - 9) / 28)
    assert mixed.p == pytest.approx(p_by_enumeration(np.array([0, -1, 2, 3, 0, -4, 10])))


def test_p_is_corrected_over_the_baseline_and_over_all_pairs():
    found = by_pair(SEVEN)
    assert list(found) == [("own", "base"), ("mixed", "base"), ("own", "mixed")]
    own, mixed, both = found.values()
    assert own.p < both.p < mixed.p
    assert (own.p_baseline, own.p_all) == pytest.approx((2 * own.p, 3 * own.p))
    assert mixed.p_baseline == pytest.approx(max(2 * own.p, mixed.p))
    assert both.p_all == pytest.approx(max(3 * own.p, 2 * both.p))
    assert np.isnan(both.p_baseline)


def test_users_whom_only_one_arm_scored_make_no_pair():
    users = users_of(
        base=[50, 50, 50, 50, 50, 50, 50, None], own=[60, 60, 60, 60, 60, 60, None, 90]
    )
    (own,) = paired_tests(users, "base")
    assert (own.pairs, own.better) == (6, 6)
    assert own.mean_difference == pytest.approx(0.1)
    assert own.p == pytest.approx(2 / 64)


def test_five_pairs_are_not_tested_and_six_are():
    five, six = ([one] for one in (users_of(base=[50] * n, own=[60] * n) for n in (5, 6)))
    (few,), (enough,) = (paired_tests(users, "base") for (users,) in (five, six))
    assert not few.tested
    assert np.isnan([few.p, few.p_baseline, few.p_all, few.interval_low]).all()
    assert few.mean_difference == pytest.approx(0.1)
    assert enough.tested
    assert enough.p == pytest.approx(2 / 64)


def test_holdout_is_compared_where_there_is_some_and_else_prequential_accuracy():
    users = SEVEN.rename(columns={"holdout_accuracy": "prequential_accuracy"})
    assert {one.protocol for one in paired_tests(users, "base")} == {"prequential"}
    users["holdout_accuracy"] = np.nan
    assert {one.protocol for one in paired_tests(users, "base")} == {"prequential"}
    users["holdout_accuracy"] = 0.5
    assert {one.protocol for one in paired_tests(users, "base")} == {"holdout"}


def test_without_users_or_with_one_arm_nothing_is_compared():
    assert paired_tests(pd.DataFrame({"arm": [], "user": []}), "base") == []
    assert paired_tests(users_of(base=[50] * 8), "base") == []


def test_baseline_that_has_not_run_leaves_the_other_pairs():
    found = by_pair(SEVEN, baseline="later")
    assert list(found) == [("base", "own"), ("base", "mixed"), ("own", "mixed")]
    assert all(np.isnan(one.p_baseline) for one in found.values())


HUNDREDTHS = st.lists(st.tuples(*[st.integers(40, 60)] * 3), min_size=6, max_size=9)


@given(HUNDREDTHS)
def test_order_of_the_arms_does_not_matter(rows):
    arms = dict(zip(("base", "a", "b"), zip(*rows, strict=True), strict=True))
    one = paired_tests(users_of(**arms), "base")
    other = paired_tests(users_of(**dict(reversed(arms.items()))), "base")
    for first, second in combinations(arms, 2):
        ours, theirs = compared(one, first, second), compared(other, first, second)
        assert_close(ours, theirs)


@given(HUNDREDTHS)
def test_swapping_arm_and_baseline_flips_every_sign(rows):
    base, own, _ = zip(*rows, strict=True)
    (ours,) = paired_tests(users_of(base=base, own=own), "base")
    (theirs,) = paired_tests(users_of(base=base, own=own), "own")
    assert (theirs.arm, theirs.against) == ("base", "own")
    assert_close(ours, theirs.flipped())


def assert_close(one: Comparison, other: Comparison):
    """Compare all but the interval, whose ends are drawn anew when signs change."""
    rows = frame_of_tests([one, other]).drop(columns=["interval_low", "interval_high"])
    first, second = rows.to_dict("records")
    assert first == {
        name: pytest.approx(value, abs=1e-9, nan_ok=True) if isinstance(value, float) else value
        for name, value in second.items()
    }


def test_comparison_is_found_whichever_way_round():
    tests = paired_tests(SEVEN, "base")
    there, back = compared(tests, "own", "mixed"), compared(tests, "mixed", "own")
    assert there == back.flipped()
    assert (back.arm, back.against, back.better) == ("mixed", "own", there.worse)
    assert (back.interval_low, back.interval_high) == (-there.interval_high, -there.interval_low)
    assert compared(tests, "own", "nobody") is None


def test_file_has_a_row_for_each_comparison_and_no_p_of_zero():
    many = users_of(base=[50] * 40, own=[60 + i for i in range(40)])
    frame = frame_of_tests(paired_tests(many, "base"))
    assert list(frame) == COLUMNS
    assert frame["p"].tolist() == [1e-6]  # 2 / 2**40
    assert list(frame_of_tests([])) == COLUMNS
    assert len(frame_of_tests(paired_tests(SEVEN, "base"))) == 3

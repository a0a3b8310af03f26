"""Measures of drift, on streams whose values were worked out by hand."""

import math
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from simulator.drift import (
    Decline,
    cohen_kappa,
    decline,
    detection,
    detection_summary,
    faded_accuracy,
    fairness,
    memory,
    memory_matrix,
    poisson_interval,
    sliding_accuracy,
    wilson_interval,
)
from simulator.fading import Faded
from simulator.metrics import kappa_temporal

pytestmark = pytest.mark.filterwarnings("error")  # of numpy, about NaN and empty means

NAN = float("nan")
HITS = st.lists(st.booleans(), max_size=30).map(lambda hits: np.array(hits, bool))
SHARES = st.floats(0, 1) | st.just(NAN)


def ints(*values):
    return np.array(values, np.int64)


# Prequential accuracy


def test_sliding_accuracy_looks_back_over_fewer_windows_at_the_beginning():
    # sums over the last three of 1, 0, 1, 1, 0, 0: 1/1, 1/2, 2/3, 2/3, 2/3, 1/3
    correct = np.array([True, False, True, True, False, False])
    np.testing.assert_allclose(sliding_accuracy(correct, 3), [1, 1 / 2, 2 / 3, 2 / 3, 2 / 3, 1 / 3])


@given(HITS, st.integers(1, 40))
def test_sliding_accuracy_is_the_mean_of_the_last_windows(correct, width):
    slices = [correct[max(0, i + 1 - width) : i + 1] for i in range(correct.size)]
    np.testing.assert_allclose(sliding_accuracy(correct, width), [part.mean() for part in slices])


def test_faded_accuracy_divides_faded_hits_by_faded_windows():
    # α = 1/2 on 1, 0, 1: S = 1, 0.5, 1.25 and B = 1, 1.5, 1.75
    correct = np.array([True, False, True])
    np.testing.assert_allclose(faded_accuracy(correct, 0.5), [1, 1 / 3, 5 / 7])


@given(HITS.filter(len))
def test_faded_accuracy_is_what_rounds_say_after_each_window(correct):
    said = [Faded.before(1)]
    for hit in correct:
        said.append(said[-1].after(np.array([[hit]]), np.array([[True]])))
    np.testing.assert_allclose(faded_accuracy(correct), [one.accuracy()[0] for one in said[1:]])


@pytest.mark.parametrize("curve", [sliding_accuracy, faded_accuracy])
def test_curves_of_devices_are_those_of_each(curve):
    correct = np.random.default_rng(1).random((4, 80)) < 0.6
    np.testing.assert_allclose(curve(correct), [curve(own) for own in correct])
    assert curve(np.zeros((4, 0), bool)).shape == (4, 0)


# Kappa


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


# Drop, recovery, area


def decline_of(accuracy, begin, end=None, **options):
    """Measure a device that streams 16 windows and answers 10 in each round from 1 on."""
    rounds = np.arange(len(accuracy))
    accuracy = np.array(accuracy, np.float64)
    return decline(accuracy, rounds, 16 * rounds, 10 * rounds, begin, end, **options)


STORY = [0.2, 0.8, 0.9, 0.7, 0.5, 0.78, 0.4, 0.76, 0.8, 0.7]  # drift begins in round 4


def test_decline_is_held_against_the_last_scorings_before_drift():
    found = decline_of(STORY, 4)
    assert found.reference == pytest.approx((0.8 + 0.9 + 0.7) / 3)
    assert found.drop == pytest.approx(0.8 - 0.5)
    assert found.largest_drop == pytest.approx(0.8 - 0.4)
    assert decline_of(STORY, 4, last=1).reference == 0.7
    assert decline_of(STORY, 4, last=9).reference == pytest.approx(2.6 / 4)


def test_one_lucky_scoring_is_no_recovery():
    # round 5 is within 0.05 of 0.8, round 6 is not; rounds 7 and 8 are: rounds 4 to 7 are 4 rounds
    found = decline_of(STORY, 4)
    assert (found.recovery_rounds, found.recovery_answered) == (4, 40)
    lucky = decline_of(STORY, 4, hold=0)
    assert (lucky.recovery_rounds, lucky.recovery_answered) == (2, 20)


def test_recovery_may_be_lost_again_by_the_end():
    assert decline_of(STORY, 4).recovered_at_end == 0  # 0.7 < 0.75
    assert decline_of(STORY, 4, margin=0.1).recovered_at_end == 1
    assert decline_of(STORY[:-1], 4).recovered_at_end == 1


def test_lost_windows_are_the_area_between_reference_and_accuracy():
    # 16 windows a round times 0.3, 0.02, 0.4, 0.04, 0 and 0.1 below 0.8
    assert decline_of(STORY, 4).lost_windows == pytest.approx(16 * 0.86)


def test_device_that_never_recovers_has_no_time_of_recovery():
    found = decline_of([0.9, 0.9, 0.5, 0.6, 0.7], 2)
    assert math.isnan(found.recovery_rounds)
    assert math.isnan(found.recovery_answered)
    assert found.recovered_at_end == 0
    assert found.lost_windows == pytest.approx(16 * (0.4 + 0.3 + 0.2))


def test_last_scoring_needs_no_other_to_confirm_a_recovery():
    assert decline_of([0.9, 0.9, 0.5, 0.6, 0.88], 2).recovery_rounds == 3


def test_accuracy_that_is_exactly_the_margin_below_has_recovered():
    # in floats, the mean of three times 0.9 less 0.05 is above 0.85
    assert decline_of([0.9, 0.9, 0.9, 0.85], 3).recovery_rounds == 1


def test_drift_that_helps_is_a_negative_drop_and_loses_nothing():
    found = decline_of([0.5, 0.5, 0.75, 0.75], 2)
    assert (found.drop, found.largest_drop, found.lost_windows) == (-0.25, -0.25, 0.0)
    assert (found.recovery_rounds, found.recovery_answered) == (1, 10)


def test_rounds_without_a_scoring_count_towards_the_next_one():
    # drift from round 3; scored after rounds 4 and 6, which stand for two rounds each
    found = decline_of([0.8, NAN, 0.8, NAN, 0.6, NAN, 0.8], 3)
    assert found.drop == pytest.approx(0.2)
    assert found.lost_windows == pytest.approx(2 * 16 * 0.2)
    assert (found.recovery_rounds, found.recovery_answered) == (4, 40)


def test_scorings_after_the_end_of_a_spell_are_not_of_it():
    found = decline_of(STORY, 4, 7)
    assert found.largest_drop == pytest.approx(0.4)
    assert found.lost_windows == pytest.approx(16 * (0.3 + 0.02 + 0.4))
    assert math.isnan(found.recovery_rounds)
    assert found.recovered_at_end == 0


@pytest.mark.parametrize(
    ("accuracy", "begin", "reference"),
    [
        ([0.8, 0.8], 2, 0.8),  # not scored under drift
        ([0.8, 0.8, NAN], 2, 0.8),
        ([0.8, 0.8], 0, NAN),  # nor before it
        ([NAN, 0.8], 1, NAN),
        ([], 1, NAN),
    ],
)
def test_decline_is_unknown_without_scorings_on_both_sides(accuracy, begin, reference):
    np.testing.assert_equal(astuple(decline_of(accuracy, begin)), astuple(Decline(reference)))


@given(st.lists(SHARES, min_size=1, max_size=14), st.integers(0, 14), st.integers(0, 3))
def test_decline_keeps_its_order(accuracy, begin, hold):
    strict = decline_of(accuracy, begin, margin=0.0, hold=hold)
    easy = decline_of(accuracy, begin, margin=0.2, hold=hold)
    if not math.isnan(strict.drop):
        assert strict.drop <= strict.largest_drop
        assert 0 <= strict.lost_windows <= 16 * len(accuracy)
        assert (strict.lost_windows > 0) == (strict.largest_drop > 0)
        assert easy.recovered_at_end >= strict.recovered_at_end
    if not math.isnan(strict.recovery_rounds):
        assert 1 <= easy.recovery_rounds <= strict.recovery_rounds


# Detection


def found_by(alarms, spells, total=100):
    begins, ends = ints(*(b for b, _ in spells)), ints(*(e for _, e in spells))
    return detection(ints(*alarms), begins, ends, total)


def test_first_alarm_under_drift_detects_it_and_earlier_ones_are_false():
    found = found_by([60, 47, 5, 30], [(40, 100)])
    assert found.delay.tolist() == [47 - 40]
    assert (found.false_alarms, found.watched) == (2, 40)


def test_each_spell_of_recurring_drift_is_detected_or_missed():
    # 10 is false; 45 comes between the spells; 70 detects the second, 72 no more
    found = found_by([10, 45, 70, 72], [(20, 40), (60, 80)])
    np.testing.assert_array_equal(found.delay, [NAN, 10])
    assert (found.false_alarms, found.watched) == (1, 20)


@pytest.mark.parametrize(
    ("alarm", "end", "delay", "false_alarms"),
    [
        (39, 80, NAN, 1),
        (40, 80, 0, 0),
        (79, 80, 39, 0),
        (80, 80, NAN, 0),  # the spell is over
        (100, 100, 60, 0),  # drift that stays is detected even by an alarm after the last window
        (100, 99, NAN, 0),
    ],
)
def test_spell_holds_from_its_begin_to_before_its_end(alarm, end, delay, false_alarms):
    found = found_by([alarm], [(40, end)])
    np.testing.assert_array_equal(found.delay, [delay])
    assert found.false_alarms == false_alarms


def test_every_alarm_is_false_without_drift():
    found = found_by([3, 50, 100], [])
    assert (found.delay.size, found.false_alarms, found.watched) == (0, 3, 100)


def test_drift_without_alarms_is_missed():
    np.testing.assert_array_equal(found_by([], [(40, 100)]).delay, [NAN])


def test_summary_counts_spells_over_devices():
    summary = detection_summary(
        [
            found_by([5, 30, 47], [(40, 100)]),  # delay 7, 2 false in 40
            found_by([10, 90], [(20, 40), (40, 100)]),  # missed; delay 50; 1 false in 20
            found_by([1, 2, 3], [], total=940),  # 3 false in 940
        ]
    )
    assert (summary.spells, summary.missed) == (3, 1)
    assert summary.within == pytest.approx(1 / 3)
    assert summary.median_delay == (7 + 50) / 2
    assert (summary.false_alarms, summary.watched) == (6, 1000)
    assert summary.false_rate == pytest.approx(6.0)
    # Wilson: z² = 3.8415, (1 + z²/2) / (3 + z²) ± z √(2/3 + z²/4) / (3 + z²) = 0.4269 ± 0.3654
    assert summary.within_low == pytest.approx(0.0615, abs=1e-4)
    assert summary.within_high == pytest.approx(0.7923, abs=1e-4)
    # Garwood's table for 6
    assert summary.false_rate_low == pytest.approx(2.202, abs=1e-3)
    assert summary.false_rate_high == pytest.approx(13.059, abs=1e-3)


def test_delay_of_exactly_the_limit_is_in_time():
    devices = [found_by([80], [(40, 100)]), found_by([81], [(40, 100)])]
    assert detection_summary(devices).within == 0.5
    assert detection_summary(devices, within=41).within == 1.0


def test_median_delay_counts_late_detections_and_no_missed_spell():
    alarms = ([42], [44], [95], [])
    assert detection_summary([found_by(own, [(40, 100)]) for own in alarms]).median_delay == 4


def test_summary_of_nothing_is_unknown():
    summary = detection_summary([])
    assert (summary.spells, summary.missed, summary.false_alarms, summary.watched) == (0, 0, 0, 0)
    unknown = [summary.within, summary.within_low, summary.median_delay, summary.false_rate]
    assert np.isnan([*unknown, summary.false_rate_high]).all()


def test_rate_is_bounded_above_even_without_a_false_alarm():
    # 1 - exp(-μ) = 0.975 at μ = -ln 0.025, over 500 windows
    summary = detection_summary([found_by([], [], total=500)])
    assert (summary.false_rate, summary.false_rate_low) == (0.0, 0.0)
    assert summary.false_rate_high == pytest.approx(-2 * math.log(0.025))


@pytest.mark.parametrize("count", [1, 2, 17, 300])
def test_poisson_interval_leaves_a_fortieth_on_either_side(count):
    low, high = poisson_interval(count)
    assert stats.poisson.sf(count - 1, low) == pytest.approx(0.025)
    assert stats.poisson.cdf(count, high) == pytest.approx(0.025)


def test_wilson_interval_is_that_of_the_score_test():
    # bounds are the shares p at which (k/n - p)² = z² p (1 - p) / n
    for bound in wilson_interval(7, 20):
        score = (7 / 20 - bound) ** 2 / (bound * (1 - bound) / 20)
        assert score == pytest.approx(stats.norm.ppf(0.975) ** 2)


@given(st.lists(st.lists(st.integers(0, 100), max_size=5), max_size=6), st.randoms())
def test_summary_does_not_depend_on_the_order_of_devices(alarms, random):
    devices = [found_by(own, [(20, 40), (60, 100)]) for own in alarms]
    mixed = random.sample(devices, len(devices))
    np.testing.assert_equal(astuple(detection_summary(mixed)), astuple(detection_summary(devices)))


# Memory


MATRIX = np.array(
    [
        [0.5, 0.9, 0.2],
        [0.9, 0.5, 0.3],
        [0.7, 0.8, 0.4],
        [0.6, 0.7, 0.9],
    ]
)


def values_of(matrix):
    found = memory(matrix)
    return [found.backward_transfer, found.forgetting, found.forward_transfer]


def test_memory_compares_the_end_with_what_was_learnt_and_with_the_best():
    # backward: 0.6 - 0.9, 0.7 - 0.8; forgetting: 0.9 - 0.6, and 0.9 before the stream - 0.7;
    # forward: 0.5 - 0.9 before block 2, 0.4 - 0.2 before block 3
    np.testing.assert_allclose(values_of(MATRIX), [-0.4 / 2, 0.5 / 2, -0.2 / 2])


def test_memory_leaves_out_blocks_that_the_holdout_says_nothing_about():
    first, third = MATRIX.copy(), MATRIX.copy()
    first[:, 0] = NAN
    third[:, 2] = NAN
    np.testing.assert_allclose(values_of(first), [-0.1, 0.2, -0.1])
    np.testing.assert_allclose(values_of(third), [-0.2, 0.25, -0.4])


def test_block_that_is_known_best_at_the_end_is_forgotten_less_than_nothing():
    # 0.6 before the stream and 0.8 after block 1, 0.9 at the end
    assert memory(np.array([[0.6, 0.1], [0.8, 0.1], [0.9, 0.1]])).forgetting == pytest.approx(-0.1)


@pytest.mark.parametrize("matrix", [np.full((4, 3), NAN), np.ones((2, 1)), np.ones((1, 0))])
def test_memory_is_unknown_without_two_blocks(matrix):
    assert np.isnan(values_of(matrix)).all()


def test_memory_of_devices_is_that_of_each():
    matrices = np.random.default_rng(2).random((7, 5, 4))
    matrices[0, :, 1], matrices[1] = NAN, NAN
    np.testing.assert_allclose(np.transpose(values_of(matrices)), [values_of(m) for m in matrices])


def test_matrix_scores_the_activities_that_each_block_held():
    confusion = [
        [[2, 2, 0], [0, 4, 0], [1, 1, 0]],
        [[4, 0, 0], [3, 1, 0], [0, 1, 1]],
        [[3, 1, 0], [1, 3, 0], [0, 0, 2]],
    ]
    # block 1 held activity 0, of 4 windows; block 2 held 1 and 2, of 6
    found = memory_matrix(np.array(confusion), np.array([[9, 0, 0], [0, 1, 30]]))
    np.testing.assert_allclose(found, [[2 / 4, 4 / 6], [4 / 4, 2 / 6], [3 / 4, 5 / 6]])


def test_matrix_is_unknown_where_the_holdout_has_none_of_the_activities():
    confusion = np.array([[[1, 1], [0, 0]]] * 4)
    found = memory_matrix(confusion, np.array([[0, 3], [0, 0], [2, 3]]))
    np.testing.assert_array_equal(found, [[NAN, NAN, 0.5]] * 4)


def test_matrix_before_any_block_is_empty():
    assert memory_matrix(np.ones((1, 2, 2), np.int64), np.zeros((0, 2), np.int64)).shape == (1, 0)


@given(st.integers(0, 10_000))
def test_matrices_of_devices_are_sums_over_classes_in_any_order_of_devices(seed):
    generator = np.random.default_rng(seed)
    confusion, labels = generator.integers(0, 3, (3, 4, 3, 3)), generator.integers(0, 2, (3, 3, 3))
    found = memory_matrix(confusion, labels)
    for device, after, block in np.ndindex(found.shape):
        held = [k for k in range(3) if labels[device, block, k]]
        right = sum(confusion[device, after, k, k] for k in held)
        there = sum(confusion[device, after, k].sum() for k in held)
        np.testing.assert_allclose(found[device, after, block], right / there if there else NAN)
    order = generator.permutation(3)
    np.testing.assert_array_equal(memory_matrix(confusion[order], labels[order]), found[order])


# Fairness


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

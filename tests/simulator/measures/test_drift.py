"""Measures of drift, on streams whose values were worked out on paper."""

import math
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from simulator.measures.drift import (
    Decline,
    decline,
    detection,
    detection_summary,
    poisson_interval,
    wilson_interval,
)

pytestmark = pytest.mark.filterwarnings("error")  # of numpy, about NaN and empty means

NAN = float("nan")
SHARES = st.floats(0, 1) | st.just(NAN)


def ints(*values):
    return np.array(values, np.int64)


# Drop, recovery, area


def decline_of(accuracy, begin, end=None, **options):
    """Measure a device that streams 16 windows and answers 10 in each round from 1 on."""
    rounds = np.arange(len(accuracy))
    accuracy = np.array(accuracy, np.float64)
    in_force = (rounds >= begin) & (rounds < (len(rounds) if end is None else end))
    return decline(accuracy, rounds, 16 * rounds, 10 * rounds, in_force, begin, end, **options)


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
    """Look at a device all of whose windows are answered."""
    begins, ends = (pairs(*(spell[i] for spell in spells)) for i in (0, 1))
    return detection(pairs(*alarms), begins, ends, (total, total))


def pairs(*places):
    return np.array([(place, place) for place in places], np.int64).reshape(-1, 2)


def test_first_alarm_under_drift_detects_it_and_earlier_ones_are_false():
    found = found_by([60, 47, 5, 30], [(40, 100)])
    assert found.delay.tolist() == [47 - 40]
    assert (found.false_alarms, found.watched) == (2, 40)


def test_alarms_meet_spells_by_windows_and_delays_are_in_answered_ones():
    # drift after 50 windows, of which 40 were answered; alarms at 50 (the last before it) and 53,
    # when still no other had been answered
    alarms = np.array([(50, 40), (53, 40)])
    spell = np.array([(50, 40)]), np.array([(100, 80)])
    found = detection(alarms, *spell, (100, 80))
    assert (found.delay.tolist(), found.false_alarms, found.watched) == ([0.0], 1, 40)
    assert detection(alarms, *spell, (100, 80), on_answers=False).watched == 50


def test_reference_leaves_out_scorings_under_an_earlier_spell():
    rounds, accuracy = np.arange(8), np.array([0.9, 0.9, 0.9, 0.5, 0.5, 0.9, 0.6, 0.6])
    in_force = np.array([0, 0, 0, 1, 1, 0, 1, 1], bool)
    found = decline(accuracy, rounds, 16 * rounds, 10 * rounds, in_force, 6)
    assert (found.reference, found.drop) == (pytest.approx(0.9), pytest.approx(0.3))


def test_each_spell_of_recurring_drift_is_detected_or_missed():
    # 10 is false; 45 comes between the spells; 70 detects the second, 72 no more
    found = found_by([10, 45, 70, 72], [(20, 40), (60, 80)])
    np.testing.assert_array_equal(found.delay, [NAN, 10])
    assert (found.false_alarms, found.watched) == (1, 20)


@pytest.mark.parametrize(
    ("alarm", "end", "delay", "false_alarms"),
    [
        (39, 80, NAN, 1),
        (40, 80, NAN, 1),  # the last window before the drift raised it
        (41, 80, 1, 0),
        (80, 80, 40, 0),  # the last one under drift
        (81, 80, NAN, 0),  # the spell is over
        (100, 100, 60, 0),
    ],
)
def test_spell_holds_from_its_first_window_to_its_last(alarm, end, delay, false_alarms):
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

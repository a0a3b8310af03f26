"""What befalls devices: as often as the scenario says, and whoever else is asked about."""

from itertools import pairwise

import numpy as np
import pytest

from simulator.faults.fate import Outages, fate_of
from simulator.scenario.fault_table import CORRUPTIONS, Faults

MANY = np.arange(1000, 21_000)
FATES = ("until", "lost", "duplicated", "late_rounds", "shuffled", "corruption")
EVERYTHING = {
    "dropout": 0.3,
    "lost": 0.2,
    "duplicated": 0.25,
    "late": 0.15,
    "late_rounds": 4,
    "reordered": 0.35,
    "corrupted": 0.4,
    "availability": 0.6,
}


def faults(**keys):
    return Faults.model_validate(keys)


def fates(round_=1, devices=MANY, seed=7, **keys):
    return fate_of(faults(**keys), seed, devices, round_)


def followed(rounds, devices=MANY, seed=7, **keys):
    """Tell who can be reached in each round: bool [rounds, D]."""
    outages = Outages(faults(**keys), seed, devices)
    return np.stack([outages.reachable(round_) for round_ in range(1, rounds + 1)])


def near(found, wanted, count, times=5.0):
    """Tell whether a share among `count` draws is where it is to be, give or take some errors."""
    error = np.sqrt(max(wanted * (1.0 - wanted), 0.0) / count)
    return abs(found - wanted) <= times * error + 1e-12


# --- Who can be reached --------------------------------------------------------------------------


def test_outages_are_independent_from_round_to_round_unless_it_is_said_how_long_they_last():
    found = followed(30, availability=0.3)
    assert near(found.mean(), 0.3, found.size)
    before, after = found[:-1], found[1:]
    assert near(after[~before].mean(), 0.3, (~before).sum())
    assert near(after[before].mean(), 0.3, before.sum())


@pytest.mark.parametrize(
    ("availability", "outage_rounds"),
    [(0.7, 5.0), (0.9, 2.0), (0.25, 4.0), (0.5, 30.0), (0.25, 3.0), (0.5, 1.0), (0.8, 1.0)],
)
def test_outages_last_as_long_as_is_said_and_leave_the_share_as_it_is(availability, outage_rounds):
    found = followed(40, availability=availability, outage_rounds=outage_rounds)
    # Rounds of one device depend on each other: only those of different ones count.
    assert all(near(now.mean(), availability, MANY.size) for now in found[[0, 1, 7, 39]])
    before, after = found[:-1], found[1:]
    # An outage that ends in each round with the probability p lasts 1 / p rounds; and as many
    # begin as end, so that of those who were there (1 - a) p / a go.
    ends = 1.0 / outage_rounds
    begins = (1.0 - availability) * ends / availability
    assert near(after[~before].mean(), ends, (~before).sum())
    assert near((~after)[before].mean(), begins, before.sum())


def test_outages_that_are_over_were_as_long_as_a_geometric_law_says():
    found = followed(400, np.arange(800), availability=0.6, outage_rounds=3.0)
    lengths = []
    for own in found.T:
        edges = np.flatnonzero(np.diff(own.astype(int)))
        lengths += [b - a for a, b in pairwise(edges) if own[b + 1]]
    lengths = np.array(lengths)
    # Mean 3, standard deviation 3 sqrt(2 / 3); two in three go on for another round.
    assert lengths.size > 30_000
    assert lengths.mean() == pytest.approx(3.0, abs=5.0 * np.sqrt(6.0 / lengths.size))
    for least in (2, 3, 4):
        assert near((lengths >= least).mean(), (2.0 / 3.0) ** (least - 1), lengths.size)


def test_outages_of_devices_do_not_hang_together():
    found = followed(200, np.arange(60), availability=0.5, outage_rounds=2.0)
    together = np.corrcoef(found.T.astype(float)) - np.eye(60)
    # Errors are about 1 / sqrt(200) times what chains of this length add, 2.
    assert abs(together.mean()) < 0.01
    assert np.abs(together).max() < 0.5


@pytest.mark.parametrize("outage_rounds", ["independent", 4.0])
def test_who_can_be_reached_is_that_of_seed_round_and_device(outage_rounds):
    keys = {"availability": 0.6, "outage_rounds": outage_rounds}
    whole = followed(12, MANY[:200], **keys)
    some = MANY[:200][[150, 3, 77]]
    np.testing.assert_array_equal(followed(12, some, **keys), whole[:, [150, 3, 77]])
    other = followed(12, MANY[:200], seed=8, **keys)
    assert 0.4 < (other == whole).mean() < 0.65  # by chance 0.6^2 + 0.4^2 = 0.52


@pytest.mark.parametrize("outage_rounds", ["independent", 4.0])
def test_who_can_be_reached_in_a_round_is_the_same_in_whatever_order_rounds_are_asked_for(
    outage_rounds,
):
    keys = {"availability": 0.6, "outage_rounds": outage_rounds}
    devices = MANY[:200]
    whole, outages = followed(12, devices, **keys), Outages(faults(**keys), 7, devices)
    for round_ in (9, 3, 3, 12, 1, 5):
        np.testing.assert_array_equal(outages.reachable(round_), whole[round_ - 1])


def test_what_is_told_may_be_changed_without_harm():
    outages = Outages(faults(availability=0.6, outage_rounds=4.0), 7, MANY[:50])
    first = outages.reachable(1)
    kept = first.copy()
    first[:] = False
    np.testing.assert_array_equal(outages.reachable(1), kept)


def test_everybody_can_be_reached_where_nothing_is_said():
    assert followed(3).all()


def test_a_trace_says_who_can_be_reached():
    trace = np.zeros((9, 2), np.bool_)
    trace[[3, 5], [0, 1]] = True
    outages = Outages(faults(trace="file"), 7, np.array([5, 3, 4]), trace)
    assert outages.reachable(1).tolist() == [False, True, False]
    assert outages.reachable(2).tolist() == [True, False, False]
    assert outages.reachable(1).tolist() == [False, True, False]


# --- What befalls those who take part ------------------------------------------------------------


def test_nothing_befalls_anybody_where_nothing_is_said():
    calm = fates()
    assert calm.until.tolist() == [1.0] * MANY.size
    assert not calm.lost.any()
    assert not calm.duplicated.any()
    assert not calm.late_rounds.any()
    assert not calm.shuffled.any()
    assert (calm.corruption == -1).all()


def test_every_fate_befalls_its_share_independently_of_the_others():
    found = fates(**EVERYTHING)
    hit = {
        "dropout": found.until < 1.0,
        "lost": found.lost,
        "duplicated": found.duplicated,
        "late": found.late_rounds > 0,
        "reordered": found.shuffled > 0.0,
        "corrupted": found.corruption >= 0,
    }
    for key, who in hit.items():
        assert near(who.mean(), EVERYTHING[key], MANY.size)
    together = np.corrcoef(np.array(list(hit.values()), float)) - np.eye(len(hit))
    assert np.abs(together).max() < 5.0 / np.sqrt(MANY.size)


def test_late_updates_are_held_up_by_one_round_up_to_the_most():
    found = fates(**EVERYTHING).late_rounds
    late = found[found > 0]
    for rounds in (1, 2, 3, 4):
        assert near((late == rounds).mean(), 0.25, late.size)
    assert set(fates(late=1.0).late_rounds) == {1}


def test_updates_are_shuffled_by_less_than_a_round():
    found = fates(reordered=1.0).shuffled
    assert ((found >= 0.0) & (found < 1.0)).all()
    assert found.mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("kinds", [["nan"], ["bits", "shape"], ["norm", "nan", "dtype"]])
def test_updates_are_corrupted_in_the_ways_that_are_named_each_as_often(kinds):
    found = fates(corrupted=0.5, corruptions=kinds).corruption
    assert near((found >= 0).mean(), 0.5, MANY.size)
    hit = found[found >= 0]
    counts = {CORRUPTIONS[kind]: (hit == kind).mean() for kind in np.unique(hit)}
    assert counts.keys() == set(kinds)
    assert all(near(share, 1.0 / len(kinds), hit.size) for share in counts.values())


def test_all_ways_of_corruption_occur_where_none_is_named():
    assert set(fates(corrupted=1.0).corruption.tolist()) == set(range(len(CORRUPTIONS)))


@pytest.mark.parametrize(
    ("when", "before", "middle"),
    [("before", 0.3, 0.0), ("middle", 0.0, 0.3), ("any", 0.15, 0.15)],
)
def test_devices_drop_out_when_it_is_said(when, before, middle):
    until = fates(dropout=0.3, dropout_when=when).until
    inside = until[(until > 0.0) & (until < 1.0)]
    for found, wanted in (((until == 0.0).mean(), before), (inside.size / until.size, middle)):
        assert near(found, wanted, MANY.size)
    if middle:  # anywhere in a round, as likely
        assert np.quantile(inside, [0.25, 0.5, 0.75]) == pytest.approx([0.25, 0.5, 0.75], abs=0.03)


def test_when_devices_drop_out_does_not_decide_which():
    drops = [fates(dropout=0.3, dropout_when=w).until < 1.0 for w in ("before", "middle", "any")]
    np.testing.assert_array_equal(drops[0], drops[1])
    np.testing.assert_array_equal(drops[0], drops[2])


def test_fates_are_those_of_seed_round_and_device_alone():
    """Arms and cohorts ask about devices of their own, and find the same."""
    whole = fates(3, **EVERYTHING)
    rows = [17, 4, 1234, 999]
    some = fates(3, MANY[rows], **EVERYTHING)
    for name in FATES:
        np.testing.assert_array_equal(getattr(some, name), getattr(whole, name)[rows])
    for other in (fates(4, **EVERYTHING), fates(3, seed=8, **EVERYTHING)):
        # Among 0.3 and 0.7, 0.58 are alike by chance.
        assert near(((other.until < 1.0) == (whole.until < 1.0)).mean(), 0.58, MANY.size)


def test_one_fault_more_changes_nothing_of_the_others():
    whole = fates(3, **EVERYTHING)
    for key, name in (("lost", "lost"), ("duplicated", "duplicated"), ("dropout", "until")):
        alone = fates(3, **{key: EVERYTHING[key]})
        np.testing.assert_array_equal(getattr(alone, name), getattr(whole, name))
    alone = fates(3, late=EVERYTHING["late"], late_rounds=EVERYTHING["late_rounds"])
    np.testing.assert_array_equal(alone.late_rounds, whole.late_rounds)

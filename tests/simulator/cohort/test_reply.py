"""What a cohort sends: checked, then folded or by itself."""

import numpy as np
import pytest

from clients.hostile import Hostile
from clients.outcome import Sent
from server.guard import Guard
from simulator.cohort.accounts import FATES
from simulator.cohort.journey import REASONS
from simulator.cohort.reply import Terms, joined, reply_of
from tests.simulator.made_journeys import journey, outcome

SENT = {"w": np.zeros((2, 2), np.float32), "b": np.zeros(2, np.float32)}
DEVICES = np.array([10, 13, 16, 19])


def updates(*values):
    """Give updates of the form (row, w, b), each device in a part of its own."""
    for row, w, b in values:
        arrays = {"w": np.full((1, 2, 2), w, np.float32), "b": np.array([b], np.float32)}
        yield Sent(np.array([row]), arrays, {})


def reply(parts, of, bound=None, folds="mean", received=None, way=None, **terms):
    received, way = received or {"parameters": SENT}, way or journey(DEVICES)
    return reply_of(2, DEVICES, received, parts, of, Terms(folds, bound=bound, **terms), way)


def refused(found):
    """Return why updates were refused: device -> reason, and how far they went."""
    accounts = found.accounts
    which = np.flatnonzero(accounts.fate == FATES.index("refused"))
    assert (accounts.fate == FATES.index("lost")).sum() == 0
    return {
        int(DEVICES[accounts.row[i]]): (REASONS[accounts.reason[i]], accounts.norm[i])
        for i in which
    }


def test_updates_become_one_weighted_by_examples():
    # (1 x 1 + 3 x 5) / 4 = 4; biases (1 x [4, 0] + 3 x [0, 8]) / 4 = [1, 6].
    parts = updates((0, 1.0, [4.0, 0.0]), (2, 5.0, [0.0, 8.0]))
    found = reply(parts, outcome([1, 9, 3, 9], [2.0, 9.0, 4.0, 9.0]))
    assert found.cohort == 2
    np.testing.assert_array_equal(found.folded[0].arrays["w"], np.full((2, 2), 4.0))
    np.testing.assert_array_equal(found.folded[0].arrays["b"], [1.0, 6.0])
    assert found.folded[0].arrays["w"].dtype == np.float32
    assert (found.folded[0].examples, found.folded[0].loss) == (4, 3.5)
    assert found.singles == {}
    assert refused(found) == {}


def test_where_nothing_is_folded_each_device_is_answered_for_by_itself():
    parts = updates((2, 5.0, [0.0, 8.0]), (0, 1.0, [4.0, 0.0]))  # tiles come in any order
    found = reply(parts, outcome([1, 9, 3, 9], [2.0, 9.0, 4.0, 9.0]), folds="none")
    assert found.folded == {}
    assert list(found.singles) == [10, 16]
    assert (found.singles[16].examples, found.singles[16].loss) == (3, 4.0)
    np.testing.assert_array_equal(found.singles[10].arrays["w"], np.ones((2, 2)))
    np.testing.assert_array_equal(found.singles[16].arrays["b"], [0.0, 8.0])


@pytest.mark.parametrize("folds", ["mean", "none"])
def test_how_devices_are_split_over_parts_makes_no_difference(folds):
    each = [(0, 0.1, [1, 2]), (1, 0.7, [3, 4]), (2, 1.3, [5, 6]), (3, -3.1, [7, 8])]
    one_by_one = list(updates(*each))
    rows = np.concatenate([sent.rows for sent in one_by_one])
    stacked = {name: np.concatenate([sent.arrays[name] for sent in one_by_one]) for name in SENT}
    of = outcome([1, 2, 3, 4])
    apart = reply(one_by_one, of, 6.0, folds)
    together = reply([Sent(rows, stacked, {})], of, 6.0, folds)
    np.testing.assert_array_equal(apart.norms, together.norms)
    np.testing.assert_array_equal(apart.accepted, together.accepted)
    assert refused(apart) == refused(together)
    assert apart.singles.keys() == together.singles.keys()
    assert list(apart.folded) == list(together.folded) == ([0] if folds == "mean" else [])
    pairs = [(apart.folded[cluster], together.folded[cluster]) for cluster in apart.folded]
    pairs += [(apart.singles[device], together.singles[device]) for device in apart.singles]
    for one, other in pairs:
        assert (one.examples, one.loss) == (other.examples, other.loss)
        assert all(one.arrays[n].tobytes() == other.arrays[n].tobytes() for n in SENT)


BAD = [
    ({"w": np.full((1, 2, 2), np.nan, np.float32), "b": SENT["b"][None]}, "not-finite"),
    ({"w": np.full((1, 2, 2), np.inf, np.float32), "b": SENT["b"][None]}, "not-finite"),
    ({"w": np.zeros((1, 4), np.float32), "b": SENT["b"][None]}, "shape"),
    ({"w": np.zeros((1, 2, 2)), "b": SENT["b"][None]}, "dtype"),
    ({"w": SENT["w"][None]}, "names"),
    ({**{name: value[None] for name, value in SENT.items()}, "c": SENT["b"][None]}, "names"),
]


@pytest.mark.parametrize("folds", ["mean", "none"])
@pytest.mark.parametrize(("arrays", "reason"), BAD)
def test_bad_update_is_not_among_what_is_sent_and_is_told(arrays, reason, folds):
    parts = [*updates((0, 1.0, [4.0, 0.0])), Sent(np.array([3]), arrays, {})]
    found = reply(parts, outcome([1, 1, 1, 3]), folds=folds)
    good = found.folded[0] if folds == "mean" else found.singles[10]
    np.testing.assert_array_equal(good.arrays["w"], np.ones((2, 2)))
    np.testing.assert_array_equal(good.arrays["b"], [4.0, 0.0])
    assert good.examples == 1
    assert found.accepted.tolist() == [True, False]
    ((device, (told, norm)),) = refused(found).items()
    assert (device, told) == (19, reason)
    assert not np.isfinite(norm)
    assert 19 not in found.singles


def test_update_beyond_the_bound_is_refused():
    # Norms are 2 (four times 1) and 8 (four times 4).
    found = reply(updates((0, 1.0, [0, 0]), (1, 4.0, [0, 0])), outcome([1, 1, 1, 1]), bound=6.0)
    assert found.norms.tolist() == [2.0, 8.0]
    assert refused(found) == {13: ("norm", 8.0)}
    np.testing.assert_array_equal(found.folded[0].arrays["w"], np.ones((2, 2)))


def test_bound_follows_the_norms_of_all_cohorts_of_the_round_before():
    guard = Guard(3.0)
    of = outcome([1, 1, 1, 1])
    rounds = [
        reply(updates((0, 1.0, [0, 0]), (1, 1.0, [0, 0])), of, guard.bound),
        reply(updates((2, 2.0, [0, 0])), of, guard.bound),
    ]
    guard.rebound(*(np.concatenate([getattr(r, k) for r in rounds]) for k in ("norms", "accepted")))
    assert guard.bound == 6.0  # three times the median of 2, 2 and 4


def test_when_all_are_refused_nothing_is_sent():
    bad = updates((0, np.nan, [0, 0]), (1, np.inf, [0, 0]))
    found = reply(bad, outcome([1, 1, 1, 1]))
    assert found.folded == {}
    assert found.singles == {}
    assert list(refused(found)) == [10, 13]


def test_means_of_cohorts_become_one_weighted_by_examples():
    # Cohort means 4 and [1, 6] of 4 examples, 10 and [0, 0] of 2: (4 x 4 + 2 x 10) / 6 = 6.
    first = reply(updates((0, 1.0, [4.0, 0.0]), (2, 5.0, [0.0, 8.0])), outcome([1, 9, 3, 9]))
    second = reply(updates((1, 10.0, [0.0, 0.0])), outcome([9, 2, 9, 9], [9.0, 4.0, 9.0, 9.0]))
    silent = reply(updates((1, np.nan, [0.0, 0.0])), outcome([9, 2, 9, 9]))
    (found,) = joined([first, silent, second]).values()
    np.testing.assert_allclose(found.arrays["w"], np.full((2, 2), 6.0), rtol=1e-6)
    np.testing.assert_allclose(found.arrays["b"], [4.0 / 6.0, 4.0], rtol=1e-6)
    assert found.arrays["w"].dtype == np.float32
    assert (found.examples, found.loss) == (6, 2.0)


def test_cohorts_that_send_nothing_come_to_nothing():
    assert joined([reply(updates((1, np.nan, [0.0, 0.0])), outcome([9, 2, 9, 9]))]) == {}
    assert joined([]) == {}


def told(values, **numbers):
    """Give the updates of all devices in one part, with w throughout, and what they tell."""
    arrays = {
        "w": np.broadcast_to(np.array(values, np.float32)[:, None, None], (4, 2, 2)),
        "b": np.zeros((4, 2), np.float32),
    }
    return [Sent(np.arange(4), arrays, {name: np.array(v) for name, v in numbers.items()})]


def test_each_cluster_is_folded_and_guarded_by_itself():
    received = {
        "cluster/0": SENT,
        "cluster/1": {**SENT, "w": np.full((2, 2), 100.0, np.float32)},
        "cluster/2": SENT,
    }
    parts = told([101.0, 1.0, 107.0, 3.0], cluster=[1, 0, 1, 0])
    of = outcome([1, 2, 3, 2], [4.0, 1.0, 8.0, 2.0])
    found = reply(parts, of, 7.0, "cluster", received)
    # A device of cluster 1 moved by 1 everywhere, and one by 7, which is a norm of 14.
    assert list(found.folded) == [0, 1]
    np.testing.assert_array_equal(found.folded[0].arrays["w"], np.full((2, 2), 2.0))
    np.testing.assert_array_equal(found.folded[1].arrays["w"], np.full((2, 2), 101.0))
    assert [(u.examples, u.loss) for u in found.folded.values()] == [(4, 1.5), (1, 4.0)]
    assert refused(found) == {16: ("norm", 14.0)}
    assert dict(zip(found.devices.tolist(), found.norms.tolist(), strict=True)) == {
        10: 2.0, 13: 2.0, 16: 14.0, 19: 6.0,
    }  # fmt: skip
    other = reply(
        told([9.0] * 4, cluster=[2] * 4), outcome([1, 1, 1, 1]), None, "cluster", received
    )
    both = joined([found, other, found])
    assert {cluster: update.examples for cluster, update in both.items()} == {0: 8, 1: 2, 2: 4}
    np.testing.assert_array_equal(both[2].arrays["w"], np.full((2, 2), 9.0))


def test_groups_beside_the_parameters_are_folded_by_the_networks_names():
    received = {"parameters": SENT, "control": {"w": SENT["w"], "b": SENT["b"]}}
    arrays = {
        **{name: np.stack([value + 1.0, value + 3.0]) for name, value in SENT.items()},
        **{f"control/{name}": np.stack([value, value - 4.0]) for name, value in SENT.items()},
    }
    sent = [Sent(np.array([0, 2]), arrays, {})]
    found = reply(sent, outcome([1, 1, 1, 1]), received=received)
    assert refused(found) == {}
    assert {name: value.mean() for name, value in found.folded[0].arrays.items()} == {
        "w": 2.0, "b": 2.0, "control/w": -2.0, "control/b": -2.0,
    }  # fmt: skip
    assert found.bytes_each == 2 * (4 + 2) * 4


def test_devices_may_weigh_alike():
    of = outcome([1, 9, 3, 9], [2.0, 9.0, 4.0, 9.0])
    parts = list(updates((0, 1.0, [4.0, 0.0]), (2, 5.0, [0.0, 8.0])))
    (mean,) = reply(parts, of, weighs="devices").folded.values()
    np.testing.assert_array_equal(mean.arrays["w"], np.full((2, 2), 3.0))
    np.testing.assert_array_equal(mean.arrays["b"], [2.0, 4.0])
    assert (mean.examples, mean.loss) == (2, 3.0)
    singles = reply(parts, of, folds="none", weighs="devices").singles
    assert [update.examples for update in singles.values()] == [1, 1]


def test_changes_are_shortened_before_they_are_folded_and_told_as_they_were():
    # Norms are 2 and 12: four times 1, and four times 6.
    found = reply(updates((0, 1.0, [0, 0]), (1, 6.0, [0, 0])), outcome([1, 1, 1, 1]), clip=3.0)
    assert found.norms.tolist() == [2.0, 12.0]
    np.testing.assert_allclose(found.folded[0].arrays["w"], np.full((2, 2), (1.0 + 1.5) / 2))
    assert refused(found) == {}


@pytest.mark.parametrize("folds", ["mean", "none"])
def test_a_loss_that_is_told_stands_in_the_place_of_that_of_the_steps(folds):
    parts = told([1.0] * 4, loss=[8.0, np.nan, 2.0, np.nan])
    found = reply(parts, outcome([1, 1, 1, 1], [1.0, 3.0, 5.0, 7.0]), folds=folds)
    assert found.devices.tolist() == DEVICES.tolist()
    assert found.losses.tolist() == [8.0, 3.0, 2.0, 7.0]
    if folds == "mean":
        assert found.folded[0].loss == 5.0
    else:
        assert [update.loss for update in found.singles.values()] == [8.0, 3.0, 2.0, 7.0]


def test_arrays_are_told_in_the_order_in_which_they_were_sent():
    """Some of Flower's strategies go by the order of arrays alone."""
    arrays = {"b": np.ones((1, 2), np.float32), "w": np.ones((1, 2, 2), np.float32)}
    for folds in ("mean", "none"):
        found = reply([Sent(np.array([1]), arrays, {})], outcome([1, 1, 1, 1]), folds=folds)
        (update,) = (found.folded or found.singles).values()
        assert list(update.arrays) == ["w", "b"]


# --- On a way on which something happens ---------------------------------------------------------


def test_what_does_not_arrive_is_neither_folded_nor_known_to_the_server():
    way = journey(DEVICES, lost=[False, True, False, False], late_rounds=[0, 0, 1, 0], work_s=20.0)
    parts = updates(*[(row, float(row + 1), [0.0, 0.0]) for row in range(4)])
    found = reply(parts, outcome([1, 1, 1, 3]), way=way)
    # (1 x 1 + 3 x 4) / 4 of the first and the last.
    np.testing.assert_array_equal(found.folded[0].arrays["w"], np.full((2, 2), 3.25))
    assert found.devices.tolist() == [10, 19]
    assert found.accepted.tolist() == [True, True]
    assert found.accounts.counted(4).tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 1], [1, 0, 0]]
    assert found.took_s.tolist() == [20.0] * 4  # or would have


def test_who_sends_nothing_took_no_time():
    found = reply(updates((2, 1.0, [0.0, 0.0])), outcome([1] * 4), way=journey(DEVICES, work_s=9.0))
    assert np.isnan(found.took_s).tolist() == [True, True, False, True]


def test_time_counts_what_was_downloaded_and_sent():
    way = journey(DEVICES, bytes_down=[1000, 0, 0, 0], byte_s=0.5)
    found = reply(updates(*[(r, 1.0, [0, 0]) for r in range(2)]), outcome([1] * 4), way=way)
    assert found.bytes_each == 24  # six values of four bytes
    assert found.took_s[:2].tolist() == [512.0, 12.0]


def test_singles_tell_how_long_they_took_and_by_how_much_they_are_overtaken():
    way = journey(
        DEVICES, waits=False, late_rounds=[0, 2, 0, 0], shuffled=[0.0, 0.25, 0.5, 0.0], work_s=30.0
    )
    parts = updates(*[(row, 1.0, [0, 0]) for row in range(3)])
    found = reply(parts, outcome([1] * 4), folds="none", way=way)
    told = {d: (u.told["rounds"], u.told["shuffled"]) for d, u in found.singles.items()}
    assert told == {10: (0.5, 0.0), 13: (2.5, 0.25), 16: (0.5, 0.5)}


def test_an_update_that_comes_twice_is_folded_once():
    way = journey(DEVICES, duplicated=[True, False, False, False])
    parts = list(updates((0, 1.0, [0, 0]), (1, 3.0, [0, 0])))
    found, plain = (reply(parts, outcome([1] * 4), way=one) for one in (way, None))
    assert found.folded[0].arrays["w"].tobytes() == plain.folded[0].arrays["w"].tobytes()
    assert found.accounts.counted(4).tolist() == [[1, 1, 0], [1, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert refused(found) == {10: ("duplicate", 2.0)}


@pytest.mark.parametrize("folds", ["mean", "cluster"])
def test_those_who_mean_harm_may_travel_apart_and_come_to_the_same_in_the_end(folds):
    rows = np.array([False, True, False, True])
    way = journey(DEVICES, hostile=Hostile(rows, "copies", classes=3, scale=1.0))
    parts = list(updates(*[(r, float(r), [r, 0.0]) for r in range(4)]))
    received = {"cluster/0": SENT} if folds == "cluster" else None
    of = outcome([1, 2, 3, 4], [1.0, 2.0, 3.0, 4.0])
    found = reply(parts, of, folds=folds, received=received, way=way, apart=True)
    together = reply(parts, of, folds=folds, received=received, way=way)
    assert list(found.singles) == [13, 19]
    assert together.singles == {}
    assert found.folded[0].examples == 4
    (one,) = joined([found], list(found.singles.values())).values()
    (other,) = joined([together]).values()
    assert (one.examples, one.loss) == (other.examples, other.loss)
    for name, value in one.arrays.items():
        np.testing.assert_allclose(value, other.arrays[name], rtol=1e-6)


def test_what_came_apart_is_a_mean_of_its_own_where_nobody_else_came():
    rows = np.ones(4, np.bool_)
    way = journey(DEVICES, hostile=Hostile(rows, "copies", classes=3, scale=1.0))
    found = reply(updates((2, 5.0, [1.0, 2.0])), outcome([1] * 4), way=way, apart=True)
    assert found.folded == {}
    (one,) = joined([found], list(found.singles.values())).values()
    np.testing.assert_array_equal(one.arrays["w"], np.full((2, 2), 5.0))

"""What a cohort sends: checked, then folded or by itself."""

import numpy as np
import pytest

from clients.outcome import Outcome
from server.guard import Guard
from simulator.reply import joined, reply_of

SENT = {"w": np.zeros((2, 2), np.float32), "b": np.zeros(2, np.float32)}
DEVICES = np.array([10, 13, 16, 19])


def outcome(examples, losses=(1.0, 1.0, 1.0, 1.0)):
    """Give what came of a round of four devices."""
    made = Outcome.empty(4, 1, 1)
    made.examples[:], made.learning_loss[:] = examples, losses
    return made


def updates(*values):
    """Give updates of the form (row, w, b), each device in a part of its own."""
    for row, w, b in values:
        yield (
            np.array([row]),
            {
                "w": np.full((1, 2, 2), w, np.float32),
                "b": np.array([b], np.float32),
            },
        )


def reply(parts, of, bound=None, folds=True):
    return reply_of(2, DEVICES, SENT, parts, of, bound=bound, folds=folds)


def test_updates_become_one_weighted_by_examples():
    # (1 x 1 + 3 x 5) / 4 = 4; biases (1 x [4, 0] + 3 x [0, 8]) / 4 = [1, 6].
    parts = updates((0, 1.0, [4.0, 0.0]), (2, 5.0, [0.0, 8.0]))
    found = reply(parts, outcome([1, 9, 3, 9], [2.0, 9.0, 4.0, 9.0]))
    assert found.cohort == 2
    np.testing.assert_array_equal(found.folded.arrays["w"], np.full((2, 2), 4.0))
    np.testing.assert_array_equal(found.folded.arrays["b"], [1.0, 6.0])
    assert found.folded.arrays["w"].dtype == np.float32
    assert (found.folded.examples, found.folded.loss) == (4, 3.5)
    assert found.singles == {}
    assert found.refused == {}


def test_where_nothing_is_folded_each_device_is_answered_for_by_itself():
    parts = updates((2, 5.0, [0.0, 8.0]), (0, 1.0, [4.0, 0.0]))  # tiles come in any order
    found = reply(parts, outcome([1, 9, 3, 9], [2.0, 9.0, 4.0, 9.0]), folds=False)
    assert found.folded is None
    assert list(found.singles) == [10, 16]
    assert (found.singles[16].examples, found.singles[16].loss) == (3, 4.0)
    np.testing.assert_array_equal(found.singles[10].arrays["w"], np.ones((2, 2)))
    np.testing.assert_array_equal(found.singles[16].arrays["b"], [0.0, 8.0])


@pytest.mark.parametrize("folds", [True, False])
def test_how_devices_are_split_over_parts_makes_no_difference(folds):
    each = [(0, 0.1, [1, 2]), (1, 0.7, [3, 4]), (2, 1.3, [5, 6]), (3, -3.1, [7, 8])]
    one_by_one = list(updates(*each))
    rows = np.concatenate([row for row, _ in one_by_one])
    stacked = {name: np.concatenate([a[name] for _, a in one_by_one]) for name in SENT}
    of = outcome([1, 2, 3, 4])
    apart, together = reply(one_by_one, of, 6.0, folds), reply([(rows, stacked)], of, 6.0, folds)
    np.testing.assert_array_equal(apart.norms, together.norms)
    np.testing.assert_array_equal(apart.accepted, together.accepted)
    assert apart.refused == together.refused
    assert apart.singles.keys() == together.singles.keys()
    pairs = [(apart.folded, together.folded)] if folds else []
    pairs += [(apart.singles[device], together.singles[device]) for device in apart.singles]
    for one, other in pairs:
        assert (one.examples, one.loss) == (other.examples, other.loss)
        assert all(one.arrays[n].tobytes() == other.arrays[n].tobytes() for n in SENT)


BAD = [
    ({"w": np.full((1, 2, 2), np.nan, np.float32), "b": SENT["b"][None]}, "NaN"),
    ({"w": np.full((1, 2, 2), np.inf, np.float32), "b": SENT["b"][None]}, "infinite"),
    ({"w": np.zeros((1, 4), np.float32), "b": SENT["b"][None]}, "(4,)"),
    ({"w": np.zeros((1, 2, 2)), "b": SENT["b"][None]}, "float64"),
    ({"w": SENT["w"][None]}, "['w'] instead of ['b', 'w']"),
    ({**{name: value[None] for name, value in SENT.items()}, "c": SENT["b"][None]}, "'c'"),
]


@pytest.mark.parametrize("folds", [True, False])
@pytest.mark.parametrize(("arrays", "reason"), BAD)
def test_bad_update_is_not_among_what_is_sent_and_is_told(arrays, reason, folds):
    parts = [*updates((0, 1.0, [4.0, 0.0])), (np.array([3]), arrays)]
    found = reply(parts, outcome([1, 1, 1, 3]), folds=folds)
    good = found.folded if folds else found.singles[10]
    np.testing.assert_array_equal(good.arrays["w"], np.ones((2, 2)))
    np.testing.assert_array_equal(good.arrays["b"], [4.0, 0.0])
    assert good.examples == 1
    assert found.accepted.tolist() == [True, False]
    assert list(found.refused) == [19]
    assert reason in found.refused[19]
    assert 19 not in found.singles


def test_update_beyond_the_bound_is_refused():
    # Norms are 2 (four times 1) and 8 (four times 4).
    found = reply(updates((0, 1.0, [0, 0]), (1, 4.0, [0, 0])), outcome([1, 1, 1, 1]), bound=6.0)
    assert found.norms.tolist() == [2.0, 8.0]
    assert found.refused == {13: "norm 8 exceeds the bound 6"}
    np.testing.assert_array_equal(found.folded.arrays["w"], np.ones((2, 2)))


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
    assert found.folded is None
    assert found.singles == {}
    assert list(found.refused) == [10, 13]


def test_means_of_cohorts_become_one_weighted_by_examples():
    # Cohort means 4 and [1, 6] of 4 examples, 10 and [0, 0] of 2: (4 x 4 + 2 x 10) / 6 = 6.
    first = reply(updates((0, 1.0, [4.0, 0.0]), (2, 5.0, [0.0, 8.0])), outcome([1, 9, 3, 9]))
    second = reply(updates((1, 10.0, [0.0, 0.0])), outcome([9, 2, 9, 9], [9.0, 4.0, 9.0, 9.0]))
    silent = reply(updates((1, np.nan, [0.0, 0.0])), outcome([9, 2, 9, 9]))
    found = joined([first, silent, second])
    np.testing.assert_allclose(found.arrays["w"], np.full((2, 2), 6.0), rtol=1e-6)
    np.testing.assert_allclose(found.arrays["b"], [4.0 / 6.0, 4.0], rtol=1e-6)
    assert found.arrays["w"].dtype == np.float32
    assert (found.examples, found.loss) == (6, 2.0)


def test_cohorts_that_send_nothing_come_to_nothing():
    assert joined([reply(updates((1, np.nan, [0.0, 0.0])), outcome([9, 2, 9, 9]))]) is None
    assert joined([]) is None

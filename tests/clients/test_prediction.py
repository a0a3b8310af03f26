"""What can be read off a prediction."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import log_softmax

from clients.prediction import Prediction


def said(classes, logits=None):
    return Prediction(
        np.array(classes, np.int32), None if logits is None else np.array(logits, np.float32)
    )


@pytest.mark.parametrize(
    ("classes", "vote"),
    [([2], 2), ([1, 3, 3], 3), ([3, 1], 1), ([4, 4, 2, 2, 0], 2), ([4, 3, 2, 1, 0], 0)],
)
def test_the_majority_wins_and_ties_go_to_the_lowest_class(classes, vote):
    assert said(classes).vote(5) == vote


@given(st.lists(st.integers(0, 4), min_size=1, max_size=20))
def test_no_class_has_more_votes_than_the_winner(classes):
    vote = said(classes).vote(5)
    assert classes.count(vote) == max(classes.count(k) for k in range(5))
    assert all(classes.count(k) < classes.count(vote) for k in range(vote))


def test_certainty_is_the_mean_margin_between_the_two_largest_logits():
    # Margins: 5 - 3 = 2, and 1 - 1 = 0.
    assert said([0, 1], [[5.0, 3.0, -9.0], [0.0, 1.0, 1.0]]).certainty() == 1.0


def test_without_logits_certainty_and_losses_are_unknown():
    assert math.isnan(said([0, 1]).certainty())
    losses = said([0, 1]).losses(0)
    assert len(losses) == 2
    assert all(math.isnan(loss) for loss in losses)


LOGITS = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 6), st.just(5)), elements=st.floats(-80, 80, width=32)
)


@given(LOGITS, st.integers(0, 4))
def test_losses_are_cross_entropies(logits, label):
    expected = -log_softmax(logits.astype(np.float64), axis=1)[:, label]
    losses = said(logits.argmax(axis=1), logits).losses(label)
    np.testing.assert_allclose(losses, expected, rtol=1e-5, atol=1e-5)


def test_losses_of_huge_logits_are_finite():
    assert said([0], [[1e4, 0.0]]).losses(1) == [1e4]

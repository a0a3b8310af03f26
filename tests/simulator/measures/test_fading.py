"""Accuracy with a fading factor, against sums written out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.measures.fading import ALPHA, WIDTH, Faded, Sliding


def after(*windows):
    """Return accuracies after windows, each a list by device of True, False or None for none."""
    faded = Faded.before(len(windows[0]))
    correct = np.array([[bool(hit) for hit in of_all] for of_all in windows]).T
    there = np.array([[hit is not None for hit in of_all] for of_all in windows]).T
    return faded.after(correct, there).accuracy()


def test_each_window_counts_less_than_the_next_by_the_factor():
    # wrong, right, wrong, right: S = 1 + 0.98², B = 1 + 0.98 + 0.98² + 0.98³
    assert after([False], [True], [False], [True])[0] == pytest.approx(1.9604 / 3.881592)


def test_old_windows_are_forgotten():
    first, second = after(*[[True, False]] * 50, *[[False, True]] * 50)
    assert first == pytest.approx(ALPHA**50 * (1 - ALPHA**50) / (1 - ALPHA**100))
    assert first + second == pytest.approx(1.0)


def test_window_that_a_device_lacks_changes_nothing():
    long, short, none = after([True, True, None], [False, None, None], [False, False, None])
    assert short == pytest.approx(0.98 / 1.98)
    assert long == pytest.approx(0.9604 / 2.9404)
    assert np.isnan(none)


def test_windows_in_two_goes_are_as_in_one():
    generator = np.random.default_rng(3)
    correct, there = generator.random((2, 6, 20)) < 0.7
    whole = Faded.before(6).after(correct, there)
    halves = Faded.before(6).after(correct[:, :9], there[:, :9]).after(correct[:, 9:], there[:, 9:])
    np.testing.assert_allclose(halves.accuracy(), whole.accuracy(), rtol=1e-14)


def test_sliding_accuracy_is_that_of_the_latest_windows():
    sliding = Sliding.before(2)
    assert np.isnan(sliding.accuracy()).all()
    # wrong 10 times, then right 45 times: of the latest 50, 5 are wrong; the other device has none
    correct = np.array([[False] * 10 + [True] * 45] * 2)
    there = np.array([[True] * 55, [False] * 55])
    found = sliding.after(correct, there).accuracy()
    assert found[0] == pytest.approx(45 / 50)
    assert np.isnan(found[1])


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=3 * WIDTH), st.integers(0, 99))
def test_sliding_accuracy_is_a_mean_however_the_windows_are_cut(windows, cut):
    correct = np.array([[hit for hit, _ in windows]], bool).reshape(1, -1)
    there = np.array([[real for _, real in windows]], bool).reshape(1, -1)
    first, rest = slice(0, cut), slice(cut, None)
    parts = Sliding.before(1).after(correct[:, first], there[:, first])
    found = parts.after(correct[:, rest], there[:, rest]).accuracy()[0]
    latest = [hit for hit, real in windows if real][-WIDTH:]
    assert found == pytest.approx(np.mean(latest)) if latest else np.isnan(found)

"""Transfer and forgetting, on matrices whose values were worked out on paper."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.measures.forgetting import memory, memory_matrix

pytestmark = pytest.mark.filterwarnings("error")  # of numpy, about NaN and empty means

NAN = float("nan")


def ints(*values):
    return np.array(values, np.int64)


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

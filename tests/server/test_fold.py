"""Folded updates are worth as much as single ones."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, MetricRecord, RecordDict
from flwr.serverapp.strategy.strategy_utils import (
    aggregate_arrayrecords,
    aggregate_metricrecords,
)
from hypothesis import given
from hypothesis import strategies as st

from server.fold import Fold


def stacked(devices, dtype=np.float64, seed=0):
    """Make updates of values in [-1, 1) with their examples and losses."""
    random = np.random.default_rng(seed)
    shapes = {"kernel": (4, 3), "bias": (3,), "scale": ()}
    updates = {k: random.uniform(-1, 1, (devices, *s)).astype(dtype) for k, s in shapes.items()}
    examples = random.integers(0, 40, devices).astype(np.int32)
    return updates, examples, random.uniform(0, 1, devices).astype(np.float32)


def folded(updates, examples, losses, accepted=None):
    fold = Fold()
    fold.add(
        updates,
        examples,
        losses,
        np.ones(len(examples), np.bool_) if accepted is None else accepted,
    )
    return fold.mean()


def averaged(replies):
    """Let Flower average replies of (arrays, examples, loss)."""
    records = [
        RecordDict(
            {
                "arrays": ArrayRecord({k: Array(np.asarray(v)) for k, v in arrays.items()}),
                "metrics": MetricRecord({"num-examples": int(examples), "loss": float(loss)}),
            }
        )
        for arrays, examples, loss in replies
    ]
    arrays = aggregate_arrayrecords(records, "num-examples")
    loss = aggregate_metricrecords(records, "num-examples")["loss"]
    return {name: array.numpy() for name, array in arrays.items()}, loss


def singles(updates, examples, losses):
    return [
        ({name: value[i] for name, value in updates.items()}, n, losses[i])
        for i, n in enumerate(examples)
        if n
    ]


def test_updates_are_weighted_by_examples():
    updates = {"w": np.array([[1.0, 0.0], [4.0, 8.0]], np.float32)}
    mean = folded(updates, np.array([1, 3]), np.array([2.0, 6.0]))
    arrays, examples, loss = mean
    assert arrays["w"].tolist() == [3.25, 6.0]
    assert arrays["w"].dtype == np.float32
    assert (examples, loss) == (4, 5.0)
    assert isinstance(examples, int)
    assert isinstance(loss, float)


def test_nobody_with_examples_has_no_mean():
    assert Fold().mean() is None
    updates, examples, losses = stacked(3)
    assert folded(updates, np.zeros(3, np.int32), losses) is None
    assert folded(updates, examples + 1, losses, np.zeros(3, np.bool_)) is None


def test_devices_that_are_refused_or_without_examples_add_nothing_even_nan():
    updates = {"w": np.array([[np.nan], [2.0], [np.inf], [5.0]])}
    examples, losses = np.array([0, 3, 7, 1]), np.array([np.nan, 1.0, np.nan, 5.0])
    arrays, total, loss = folded(updates, examples, losses, np.array([True, True, False, True]))
    assert arrays["w"].tolist() == [2.75]
    assert (total, loss) == (4, 2.0)


@pytest.mark.parametrize(("dtype", "near"), [(np.float32, 1e-7), (np.float64, 1e-15)])
def test_the_mean_of_folded_updates_is_the_mean_of_all(dtype, near):
    updates, examples, losses = stacked(40, dtype)
    parts = [slice(0, 7), slice(7, 8), slice(8, 30), slice(30, 40)]
    replies = [
        folded({k: v[part] for k, v in updates.items()}, examples[part], losses[part])
        for part in parts
    ]
    total = sum(reply.examples for reply in replies)
    assert total == examples.sum()
    for name, value in updates.items():
        exact = np.average(value.astype(np.float64), axis=0, weights=examples)
        twice = sum(reply.examples * reply.arrays[name].astype(np.float64) for reply in replies)
        assert np.abs(twice / total - exact).max() <= near


@pytest.mark.parametrize(("dtype", "near"), [(np.float32, 1e-6), (np.float64, 1e-15)])
def test_flower_averages_folded_updates_to_what_it_makes_of_single_ones(dtype, near):
    updates, examples, losses = stacked(24, dtype, seed=1)
    half = [slice(0, 9), slice(9, 24)]
    replies = [
        folded({k: v[part] for k, v in updates.items()}, examples[part], losses[part])
        for part in half
    ]
    arrays, loss = averaged(replies)
    alone, loss_alone = averaged(singles(updates, examples, losses))
    assert loss == pytest.approx(loss_alone, rel=1e-12)
    for name in updates:
        # In float32 it is Flower's own sum over single updates that is off by more than 1e-7.
        assert np.abs(arrays[name] - alone[name]).max() <= near


@given(
    devices=st.integers(1, 12),
    cuts=st.lists(st.integers(0, 12), max_size=4),
    seed=st.integers(0, 2**32),
)
def test_the_sum_is_the_same_to_the_byte_however_devices_are_split_over_calls(devices, cuts, seed):
    updates, examples, losses = stacked(devices, np.float32, seed)
    whole = folded(updates, examples, losses)
    fold, edges = Fold(), sorted({0, devices, *(cut for cut in cuts if cut < devices)})
    for first, end in pairwise(edges):
        part = {name: value[first:end] for name, value in updates.items()}
        fold.add(part, examples[first:end], losses[first:end], np.ones(end - first, np.bool_))
    split = fold.mean()
    if whole is None:
        assert split is None
        return
    assert split.examples == whole.examples
    assert split.loss == whole.loss
    for name in updates:
        assert split.arrays[name].tobytes() == whole.arrays[name].tobytes()


@given(devices=st.integers(1, 12), seed=st.integers(0, 2**32))
def test_a_mean_is_exact_to_the_last_bits_of_float64(devices, seed):
    updates, examples, losses = stacked(devices, np.float64, seed)
    mean = folded(updates, examples, losses)
    if mean is None:
        assert not examples.any()
        return
    exact = sum(
        int(n) * Fraction(float(x)) for n, x in zip(examples, updates["scale"], strict=True)
    ) / int(examples.sum())
    assert float(mean.arrays["scale"]) == pytest.approx(float(exact), abs=1e-15)

"""Recurrent cells, and networks of them on windows, against the same step by step in NumPy."""

from functools import partial

import numpy as np
import pytest
import tensorflow as tf

from clients.errors import BadInput
from clients.models import MODELS
from clients.models.cells import GRU, LSTM, advance

DEVICES, SEQUENCES, LENGTH, CHANNELS, UNITS = 2, 3, 7, 2, 4


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def lstm(given, kept, carried):
    """Step one LSTM: what the inputs and the state give its gates [4 * U] -> (output, cell)."""
    enter, forget, new, leave = np.split(given + kept, 4)
    cell = sigmoid(forget) * carried[1] + sigmoid(enter) * np.tanh(new)
    return sigmoid(leave) * np.tanh(cell), cell


def gru(given, kept, carried):
    """Step one GRU: what the inputs and the state give its gates [3 * U] -> (output,)."""
    units = carried[0].size
    keep, reset = sigmoid(given + kept)[: 2 * units].reshape(2, units)
    new = np.tanh(given[2 * units :] + reset * kept[2 * units :])
    return (keep * carried[0] + (1.0 - keep) * new,)


BY_HAND = {"lstm": (LSTM, lstm), "gru": (GRU, gru)}
by_hand = pytest.mark.parametrize(("cell", "step"), BY_HAND.values(), ids=BY_HAND)
either_cell = pytest.mark.parametrize("cell", [LSTM, GRU], ids=BY_HAND)


def follow(step, params, x, begin, there, *, reverse=False):
    """Follow one sequence [L, C] of one device; returns the outputs [L, U] and the end."""
    outputs, state = [None] * len(x), begin
    for t in range(len(x))[:: -1 if reverse else 1]:
        if there[t]:
            given = x[t] @ params["inputs"] + params["bias"]
            state = step(given, state[0] @ params["state"] + params["state_bias"], state)
        outputs[t] = state[0]
    return np.stack(outputs), state


def follow_all(cell, step, params, x, carried, mask, *, reverse=False):
    """Follow each sequence of each device by itself; returns what `advance` does."""
    outputs, ends = [], []
    for d, s in np.ndindex(x.shape[:2]):
        own = {name: value[d] for name, value in params.items()}
        begin = tuple(carried[name][d, s] for name in cell.carried)
        output, end = follow(step, own, x[d, s], begin, mask[d, s], reverse=reverse)
        outputs.append(output)
        ends.append(end)
    last = [np.reshape(each, (*x.shape[:2], -1)) for each in zip(*ends, strict=True)]
    outputs = np.reshape(outputs, (*x.shape[:3], -1))
    return outputs, dict(zip(cell.carried, last, strict=True))


def drawn(cell, seed=0):
    """Draw parameters, sequences, what they begin with, and which steps there are."""
    random = np.random.default_rng(seed)
    width = UNITS * cell.gates
    shapes = {"inputs": (CHANNELS, width), "state": (UNITS, width)}
    shapes |= {"bias": (width,), "state_bias": (width,)}
    params = {name: random.normal(size=(DEVICES, *shape)) for name, shape in shapes.items()}
    x = random.normal(size=(DEVICES, SEQUENCES, LENGTH, CHANNELS))
    carried = {name: random.normal(size=(DEVICES, SEQUENCES, UNITS)) for name in cell.carried}
    mask = random.random((DEVICES, SEQUENCES, LENGTH)) < 0.6
    mask[0, 0], mask[0, 1], mask[1, 0] = True, False, np.arange(LENGTH) < 3
    return params, x, carried, mask


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)


@by_hand
@pytest.mark.parametrize("begins", ["zero", "carried"])
@pytest.mark.parametrize(
    ("there", "reverse"),
    [("all", False), ("some", False), ("all", True), ("some", True)],
)
def test_each_sequence_of_each_device_is_followed_step_by_step(cell, step, begins, there, reverse):
    params, x, carried, mask = drawn(cell)
    begin, there = (carried if begins == "carried" else None), (mask if there == "some" else None)
    outputs, end = advance(cell, params, x, begin, there, reverse=reverse)
    begin = begin or {name: np.zeros_like(value) for name, value in carried.items()}
    there = np.ones_like(mask) if there is None else there
    expected, last = follow_all(cell, step, params, x, begin, there, reverse=reverse)
    close(outputs, expected)
    assert tuple(end) == cell.carried
    for name, value in last.items():
        close(end[name], value)


@either_cell
def test_a_step_that_is_not_there_leaves_the_state_as_it_is(cell):
    params, x, carried, _ = drawn(cell)
    mask = np.ones(x.shape[:3], np.bool_)
    mask[:, :, 3] = False
    outputs, end = advance(cell, params, x, carried, mask)
    assert outputs[:, :, 3].numpy().tobytes() == outputs[:, :, 2].numpy().tobytes()
    without, same = advance(cell, params, np.delete(x, 3, axis=2), carried)
    close(np.delete(outputs, 3, axis=2), without)
    other, also = advance(cell, params, np.where(mask[..., None], x, 1e6), carried, mask)
    assert other.numpy().tobytes() == outputs.numpy().tobytes()
    for name in cell.carried:
        close(end[name], same[name])
        assert also[name].numpy().tobytes() == end[name].numpy().tobytes()
    _, stays = advance(cell, params, x, carried, np.zeros_like(mask))
    assert all(stays[name].numpy().tobytes() == carried[name].tobytes() for name in carried)


@either_cell
@pytest.mark.parametrize("cut", [1, 3, LENGTH - 1])
def test_a_sequence_in_two_parts_ends_as_the_whole_does(cell, cut):
    params, x, carried, mask = drawn(cell, 1)
    whole, end = advance(cell, params, x, carried, mask)
    first, between = advance(cell, params, x[:, :, :cut], carried, mask[:, :, :cut])
    second, last = advance(cell, params, x[:, :, cut:], between, mask[:, :, cut:])
    close(np.concatenate([first, second], axis=2), whole)
    for name in cell.carried:
        close(last[name], end[name])


@by_hand
@pytest.mark.parametrize("told_by", ["all", "outputs", "end"])
@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_are_what_small_differences_show(cell, step, told_by, reverse):
    """A step of 1e-30 along the imaginary axis differs by the gradient, without cancellation."""
    params, x, carried, mask = drawn(cell, 2)
    mask = np.ones_like(mask) if reverse else mask
    inputs = {**params, "x": x, **{f"begin/{name}": value for name, value in carried.items()}}
    random = np.random.default_rng(3)
    weights = {"outputs": random.normal(size=(*x.shape[:3], UNITS))}
    weights |= {name: random.normal(size=value.shape) for name, value in carried.items()}
    # What is not told plays no part at all, which is not the same as a weight of zero.
    told = {"all": [*weights], "outputs": ["outputs"], "end": [cell.carried[-1]]}[told_by]

    def total(follow, values):
        own = {name: values[name] for name in params}
        begin = {name: values[f"begin/{name}"] for name in carried}
        outputs, end = follow(own, values["x"], begin, mask, reverse=reverse)
        parts = {"outputs": outputs, **end}
        return sum(tf.reduce_sum(parts[name] * weights[name]) for name in told)

    tensors = {name: tf.constant(value) for name, value in inputs.items()}
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        whole = total(partial(advance, cell), tensors)
    found = tape.gradient(whole, tensors)
    for name, value in inputs.items():
        expected = np.zeros(value.shape)
        for place in np.ndindex(value.shape):
            moved = {**inputs, name: value.astype(np.complex128)}
            moved[name][place] += 1e-30j
            expected[place] = total(partial(follow_all, cell, step), moved).numpy().imag / 1e-30
        np.testing.assert_allclose(found[name], expected, rtol=1e-9, atol=1e-11, err_msg=name)
        assert np.abs(expected).max() > 1e-3


@either_cell
def test_a_compiled_graph_of_open_shapes_gives_the_same_gradients(cell):
    params, x, _, mask = drawn(cell, 4)

    def gradients(params, x, mask):
        with tf.GradientTape() as tape:
            tape.watch(params)
            outputs, _ = advance(cell, params, x, None, mask)
            total = tf.reduce_sum(tf.sin(outputs))
        return tape.gradient(total, params)

    params = {name: tf.constant(value) for name, value in params.items()}
    expected = gradients(params, tf.constant(x), tf.constant(mask))
    specs = {name: tf.TensorSpec([None, *v.shape[1:]], v.dtype) for name, v in params.items()}
    open_x = tf.TensorSpec([None, None, None, CHANNELS], tf.float64)
    specs = (specs, open_x, tf.TensorSpec([None, None, None], tf.bool))
    for compiled in (False, True):
        graph = tf.function(gradients, input_signature=specs, jit_compile=compiled)
        for name, value in graph(params, x, mask).items():
            close(value, expected[name])


@either_cell
def test_a_cell_begins_with_turns_of_the_state_and_remembers_at_first(cell):
    inputs, units = 300, 16
    params = cell.init(np.random.default_rng(0), inputs, units)
    width = units * cell.gates
    shapes = {"inputs": (inputs, width), "state": (units, width)}
    shapes |= {"bias": (width,), "state_bias": (width,)}
    assert {name: value.shape for name, value in params.items()} == shapes
    assert {value.dtype for value in params.values()} == {np.dtype(np.float32)}
    turns = np.split(params["state"].astype(np.float64), cell.gates, axis=1)
    for turn in turns:
        np.testing.assert_allclose(turn.T @ turn, np.eye(units), rtol=0, atol=1e-6)
    assert len({turn.tobytes() for turn in turns}) == cell.gates
    bias = np.zeros(width)
    if cell is LSTM:
        bias[units : 2 * units] = 1.0  # of the forget gate
    assert params["bias"].tolist() == bias.tolist()
    assert not params["state_bias"].any()
    # 300 * 48 draws or more: the relative standard error of their variance is 1.2% at most.
    assert params["inputs"].var() * inputs == pytest.approx(1.0, rel=0.06)


@pytest.mark.parametrize("name", ["bilstm", "gru"])
def test_classes_of_a_window_are_told_by_mean_and_maximum_over_time(name):
    model = MODELS[name](LENGTH, CHANNELS, 5)
    random = np.random.default_rng(6)
    one = model.init(random)
    params = {key: random.normal(size=(DEVICES, *v.shape)) * 0.5 for key, v in one.items()}
    x = random.normal(size=(DEVICES, SEQUENCES, LENGTH, CHANNELS))
    found = model.forward({key: tf.constant(v) for key, v in params.items()}, tf.constant(x))
    _, step = BY_HAND["lstm" if name == "bilstm" else "gru"]
    passes = {"forth": False, "back": True} if name == "bilstm" else {"forth": False}
    assert {key.split("/")[0] for key in one} == {*passes, "classes"}
    for d, s in np.ndindex(DEVICES, SEQUENCES):
        own = {key: value[d] for key, value in params.items()}
        outputs = []
        for way, reverse in passes.items():
            cell = {k.split("/")[1]: v for k, v in own.items() if k.startswith(f"{way}/")}
            begin = (np.zeros(len(cell["state"])),) * 2
            there = [True] * LENGTH
            outputs.append(follow(step, cell, x[d, s], begin, there, reverse=reverse)[0])
        outputs = np.concatenate(outputs, axis=1)
        features = np.concatenate([outputs.mean(axis=0), outputs.max(axis=0)])
        close(found[d, s], features @ own["classes/kernel"] + own["classes/bias"])


@pytest.mark.parametrize(
    ("name", "length", "told"),
    [
        ("bilstm", 1, r'program "bilstm".*single samples.*data\.window_s.*"tracker_lstm"'),
        ("tracker_lstm", 80, r'program "tracker_lstm".*single samples.*80; use.*"bilstm" or "gru"'),
        ("tracker_dense", 80, r'program "tracker_dense".*single samples.*80; use program "dense"'),
    ],
)
def test_a_length_that_a_program_cannot_take_is_refused_and_another_is_named(name, length, told):
    with pytest.raises(BadInput, match=told):
        MODELS[name](length, 3, 5)

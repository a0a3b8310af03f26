"""Optimizers over stacked parameters, against the same in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from clients.naming import slot_of
from clients.optimizers import OPTIMIZERS

SHAPES = {"layer/kernel": (4, 3), "layer/bias": (3,), "scalar": ()}
STEPS, DEVICES = 6, 3


def adam(params, gradients, rate):
    """Take steps of Adam, algorithm 1 of Kingma & Ba 2015 as in section 2's last paragraph."""
    value = params.copy()
    first, second = np.zeros_like(value), np.zeros_like(value)
    for t, gradient in enumerate(gradients, start=1):
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        step = rate * np.sqrt(1.0 - 0.999**t) / (1.0 - 0.9**t)
        value = value - step * first / (np.sqrt(second) + 1e-7)
    return value


def sgd(params, gradients, rate):
    """Take steps along the negative gradients."""
    return params - rate * np.sum(gradients, axis=0)


BY_HAND = {"adam": adam, "sgd": sgd}


@pytest.fixture
def task():
    """Draw parameters [D, ...] and gradients [STEPS, D, ...], and a learning rate by device."""
    random = np.random.default_rng(17)
    params = {name: random.normal(size=(DEVICES, *shape)) for name, shape in SHAPES.items()}
    gradients = [
        {name: random.normal(size=(DEVICES, *shape)) for name, shape in SHAPES.items()}
        for _ in range(STEPS)
    ]
    return params, gradients, np.array([0.1, 0.01, 0.3])


def start(optimizer, rates):
    """Stack each device's first slots."""
    each = [optimizer.start(SHAPES, rate, "float64") for rate in rates]
    return {name: tf.constant(np.stack([slots[name] for slots in each])) for name in each[0]}


def stepped(optimizer, params, gradients, rates):
    params = {name: tf.constant(value) for name, value in params.items()}
    slots = start(optimizer, rates)
    for gradient in gradients:
        given = {name: tf.constant(value) for name, value in gradient.items()}
        params, slots = optimizer.apply(params, slots, given)
    return {name: value.numpy() for name, value in params.items()}, slots


def test_every_optimizer_is_known_by_hand():
    assert sorted(OPTIMIZERS) == sorted(BY_HAND)


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_steps_are_those_of_the_paper(name, task):
    params, gradients, rates = task
    found, _ = stepped(OPTIMIZERS[name], params, gradients, rates)
    for key in SHAPES:
        for device, rate in enumerate(rates):
            own = [gradient[key][device] for gradient in gradients]
            expected = BY_HAND[name](params[key][device], own, rate)
            np.testing.assert_allclose(found[key][device], expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_a_stack_of_devices_steps_as_each_device_alone(name, task):
    params, gradients, rates = task
    together, slots = stepped(OPTIMIZERS[name], params, gradients, rates)
    for d in range(DEVICES):
        alone, own_slots = stepped(
            OPTIMIZERS[name],
            {key: value[d : d + 1] for key, value in params.items()},
            [{key: value[d : d + 1] for key, value in g.items()} for g in gradients],
            rates[d : d + 1],
        )
        for key in SHAPES:
            np.testing.assert_allclose(together[key][d], alone[key][0], rtol=1e-12)
        for key, value in own_slots.items():
            np.testing.assert_allclose(slots[key][d], value[0], rtol=1e-12)


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_the_first_step_starts_from_zeros_beside_the_learning_rate(name):
    slots = OPTIMIZERS[name].start(SHAPES, 0.25, "float32")
    assert slots.pop("learning_rate") == np.float32(0.25)
    assert all(not value.any() and value.dtype == np.float32 for value in slots.values())
    # Slots name the parameter after their own name, so that some can start afresh.
    assert {key.split("/", 1)[1] for key in slots} in ({*SHAPES}, set())


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_applying_gives_every_parameter_and_slot_back(name, task):
    params, gradients, rates = task
    found, slots = stepped(OPTIMIZERS[name], params, gradients, rates)
    before = start(OPTIMIZERS[name], rates)
    assert found.keys() == SHAPES.keys()
    assert {key: value.shape for key, value in slots.items()} == {
        key: value.shape for key, value in before.items()
    }


def test_adam_corrects_its_bias_for_each_parameter_by_itself(task):
    params, gradients, rates = task
    _, slots = stepped(OPTIMIZERS["adam"], params, gradients, rates)
    fresh = start(OPTIMIZERS["adam"], rates)
    some = "layer/bias"
    slots |= {key: value for key, value in fresh.items() if key.endswith(some)}
    given = {name: tf.constant(value) for name, value in gradients[0].items()}
    held = {name: tf.constant(value) for name, value in params.items()}
    found, _ = OPTIMIZERS["adam"].apply(held, slots, given)
    first = np.stack(
        [adam(params[some][d], [gradients[0][some][d]], rates[d]) for d in range(DEVICES)]
    )
    np.testing.assert_allclose(found[some], first, rtol=1e-10)


def test_a_slots_name_tells_which_parameter_it_keeps_something_of():
    assert slot_of("first/layer/kernel") == "layer/kernel"
    assert slot_of("count/scalar") == "scalar"
    assert slot_of("learning_rate") is None


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_every_slot_but_the_learning_rate_is_of_a_parameter(name):
    slots = OPTIMIZERS[name].start(SHAPES, 0.01, "float32")
    assert {slot_of(slot) for slot in slots} <= {None, *SHAPES}
    assert [slot for slot in slots if slot_of(slot) is None] == ["learning_rate"]

"""Blocks: how a cohort is cut into compiled calls, and what a call does with its tiles."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from clients.export import Blueprint, export_program
from clients.methods import METHODS, MethodOptions
from clients.program import Program
from simulator.engine.blocks import block_size, stacked
from simulator.engine.compiled import BlockState, Compiled, Work

DEVICES, QUESTIONS, BATCH, LENGTH, STEPS = 6, 2, 3, 4, 2
ON_TIME = np.zeros(QUESTIONS, np.bool_)
LOCAL = METHODS["local"](MethodOptions(1))


@given(st.integers(1, 2000), st.integers(1, 200), st.integers(0, 10**7))
def test_blocks_are_whole_tiles_that_hold_the_cohort_with_less_than_a_tile_to_spare_in_each(
    devices, tile, bytes_each
):
    block = block_size(devices, tile, bytes_each)
    assert block % tile == 0
    count = -(-devices // block)
    assert count * block - devices < count * tile
    assert block == tile or block * bytes_each <= 16 * 2**20


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """Load a small program, with Adam, so that there are slots."""
    path = tmp_path_factory.mktemp("program") / "dense"
    blueprint = Blueprint("dense", LENGTH, 3, ("a", "b", "c"), "adam", 0.05)
    params = blueprint.model().init(np.random.default_rng(1))
    export_program(blueprint, params, np.zeros(3), np.ones(3), path)
    return Program(path)


def work_of(idle=()):
    """Draw what devices work through; idle ones have no questions."""
    random = np.random.default_rng(2)
    each = (DEVICES, QUESTIONS, STEPS, BATCH)
    mask = np.ones((DEVICES, QUESTIONS, BATCH), np.bool_)
    steps = np.ones(each[:3], np.bool_)
    mask[list(idle)] = steps[list(idle)] = False
    return Work(
        random.normal(size=(DEVICES, QUESTIONS, BATCH, LENGTH, 3)).astype(np.float32),
        random.integers(3, size=(DEVICES, QUESTIONS)).astype(np.int32),
        mask,
        random.integers(3, size=(DEVICES, QUESTIONS)).astype(np.int32),
        random.normal(size=(*each, LENGTH, 3)).astype(np.float32),
        random.integers(3, size=each).astype(np.int32),
        np.ones(each, np.bool_),
        steps,
    )


def begin_of(compiled):
    """Give the devices parameters that differ."""
    params, slots, carried = (stacked(arrays, DEVICES) for arrays in compiled.start())
    scale = tf.reshape(1.0 + 0.1 * tf.range(DEVICES, dtype=tf.float32), [-1, 1])
    own = {
        name: value * tf.reshape(scale, [-1, *[1] * (value.shape.rank - 1)])
        for name, value in params.items()
    }
    return BlockState({"parameters": own, "slots": slots}, carried)


@pytest.mark.parametrize("tile", [1, 2, 3])
def test_a_block_of_tiles_comes_to_what_one_tile_of_all_devices_comes_to(program, tile):
    whole, cut = Compiled(program, DEVICES), Compiled(program, tile)
    state, work = begin_of(whole), work_of()
    once, looped = (c.work(LOCAL, {}, state, work, state.params, ON_TIME) for c in (whole, cut))
    np.testing.assert_array_equal(looped.predicted, once.predicted)
    np.testing.assert_array_equal(looped.opened, once.opened)
    for name in ("loss", "losses"):
        np.testing.assert_allclose(getattr(looped, name), getattr(once, name), rtol=1e-5)
    assert looped.state.own.keys() == once.state.own.keys() == {"parameters", "slots"}
    for kind in ("parameters", "slots"):
        found, expected = looped.state.own[kind], once.state.own[kind]
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-6)
            # Something was learnt.
        assert any(np.any(v != state.own[kind][n]) for n, v in expected.items())


def test_tiles_without_questions_at_the_end_of_a_block_stay_as_they_are(program):
    compiled = Compiled(program, 2)
    state = begin_of(compiled)
    done = compiled.work(LOCAL, {}, state, work_of(idle=(3, 4, 5)), None, ON_TIME)
    for name, value in done.state.params.items():
        before = state.params[name]
        np.testing.assert_array_equal(value[3:], before[3:])
        assert np.any(value[:3] != before[:3])
    assert not done.losses[4:].any()
    assert done.opened is None

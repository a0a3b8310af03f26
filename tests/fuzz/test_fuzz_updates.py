"""Malformed updates: what a device sends in place of what it learnt."""

import numpy as np
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.supercore.task_identity import TaskIdentity
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from clients.messages import ARRAYS, METRICS, unpack
from server.decoding import decoded
from server.guard import Guard, check
from server.strategies.guarded import GuardedFedAvg
from tests.fuzz.mutations import bytes_like
from tests.fuzz.sandbox import inputs

SENT = {"head/w": np.ones((2, 3), np.float32), "b": np.zeros(4, np.float32)}
TYPES = ["<f4", "<f8", "<i4", "?", "<c8", "<f2", "<u8"]


@st.composite
def updates(draw):
    """Draw updates of some devices, right or wrong in names, shapes, types and numbers."""
    devices = draw(st.integers(0, 4))
    found = {}
    for name, value in SENT.items():
        shape, dtype = (devices, *value.shape), value.dtype
        if draw(st.booleans()):
            shape = draw(array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
        if draw(st.integers(0, 4)) == 0:
            dtype = np.dtype(draw(st.sampled_from(TYPES)))
        found[name] = draw(arrays(dtype, shape))
    if draw(st.integers(0, 5)) == 0:
        found[draw(st.text(max_size=5))] = np.ones(2)
    if draw(st.integers(0, 5)) == 0:
        found.pop("b")
    return found


@inputs(0.06)
@given(found=updates(), bound=st.none() | st.floats(0.0, 1e30))
def test_updates(sandbox, found, bound):
    with sandbox.only_refusals("updates"):
        checked = check(SENT, found, bound)
        assert len(checked.reasons) == checked.norms.size
        for name, value in SENT.items():
            if checked.accepted.any():
                assert found[name].shape[1:] == value.shape
                assert np.isfinite(found[name][checked.accepted]).all()
        guard = Guard(3.0)
        guard.rebound(checked.norms, checked.accepted)
        assert guard.bound is None or guard.bound > 0.0


WIRE = [Array(value).data for value in SENT.values()]


@st.composite
def on_the_wire(draw):
    """Draw an array as Flower carries it."""
    return Array(
        dtype=draw(st.sampled_from(["float32", "object", "x"])),
        shape=draw(st.sampled_from([(2, 3), (), (2**40,)])),
        stype=draw(st.sampled_from(["numpy.ndarray"] * 9 + ["pickle"])),
        data=draw(bytes_like(*WIRE)),
    )


@inputs(0.03)
@given(array=on_the_wire())
def test_arrays_on_the_wire(sandbox, array):
    with sandbox.only_refusals("arrays", ValueError):
        for like in SENT.values():
            assert decoded(array.data, like).nbytes <= len(array.data)


def reply(arrays):
    content = RecordDict(
        {ARRAYS: ArrayRecord(arrays), METRICS: MetricRecord({"num-examples": 3, "loss": 0.5})}
    )
    TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, 1, 7
    return Message(content, 1, "train")


@inputs(0.01)
@given(first=on_the_wire(), second=on_the_wire(), name=st.sampled_from(["head/w", "other"]))
def test_replies_of_nodes(sandbox, first, second, name):
    with sandbox.only_refusals("replies"):
        strategy = GuardedFedAvg(Guard(None), min_updates=1, max_examples=10)
        strategy.sent = SENT
        told, _ = strategy.aggregate_train(1, [reply({name: first, "b": second})])
        if told is not None:
            shared = unpack(told)
            assert {n: (v.shape, v.dtype) for n, v in shared.items()} == {
                n: (v.shape, v.dtype) for n, v in SENT.items()
            }
            assert all(np.isfinite(value).all() for value in shared.values())

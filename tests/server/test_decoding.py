"""Replies of nodes that nobody vouches for."""

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from server.decoding import decoded
from server.guard import Guard
from server.strategies.guarded import GuardedFedAvg

SENT = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros(2, np.float32)}


def reply(arrays, examples=1, record="arrays"):
    TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, 1, 1
    packed = {
        name: value if isinstance(value, Array) else Array(np.asarray(value))
        for name, value in arrays.items()
    }
    metrics = MetricRecord({"num-examples": examples, "loss": 0.5})
    return Message(RecordDict({record: ArrayRecord(packed), "metrics": metrics}), 2, "train")


@pytest.mark.parametrize("order", ["C", "F"])
def test_what_was_sent_comes_back(order):
    value = np.asarray(SENT["w"] + 0.5, order=order)
    assert decoded(Array(value).data, SENT["w"]).tolist() == value.tolist()
    assert decoded(Array(np.full((), 3.0, np.float32)).data, np.zeros((), np.float32)) == 3.0


def lying(shape):
    """Give an array whose header says another shape than its numbers have."""
    data = Array(SENT["w"]).data.replace(b"(2, 3)", shape)
    return Array(dtype="float32", shape=(2, 3), stype="numpy.ndarray", data=data)


def raw(data, stype="numpy.ndarray"):
    return Array(dtype="float32", shape=(2, 3), stype=stype, data=data)


_DATA = Array(SENT["w"]).data
UNSOUND = {
    "other names": {"w": SENT["w"]},
    "more names": {**SENT, "more": np.zeros(1, np.float32)},
    "another shape": {**SENT, "w": SENT["w"].T},
    "another type": {**SENT, "w": SENT["w"].astype(np.float64)},
    "integers": {**SENT, "w": SENT["w"].astype(np.int32)},
    "NaN": {**SENT, "w": SENT["w"] * np.nan},
    "infinite": {**SENT, "b": np.array([0.0, np.inf], np.float32)},
    "a header that lies": {**SENT, "w": lying(b"(9, 9)")},
    "a header that is damaged": {**SENT, "w": lying(b"((((((")},
    "another form": {**SENT, "w": raw(b"cos\nsystem\n.", "pickle")},
    "nothing": {**SENT, "w": raw(b"")},
    "a cut end": {**SENT, "w": raw(_DATA[:-1])},
    "objects": {**SENT, "w": raw(_DATA.replace(b"<f4", b"|O "))},
}


def guarded():
    strategy = GuardedFedAvg(Guard(None), min_updates=1, max_examples=100)
    strategy.sent = SENT
    return strategy


@pytest.mark.parametrize("arrays", UNSOUND.values(), ids=UNSOUND)
def test_an_unsound_reply_is_passed_over_and_the_others_count(arrays):
    good = reply({name: value + 1.0 for name, value in SENT.items()}, examples=3)
    found, _ = guarded().aggregate_train(1, [reply(arrays, examples=99), good])
    assert found["w"].numpy().tolist() == (SENT["w"] + 1.0).tolist()


def test_a_reply_without_the_record_is_passed_over():
    assert guarded().aggregate_train(1, [reply(SENT, record="others")])[0] is None


def test_a_round_of_unsound_replies_leaves_the_arrays():
    assert guarded().aggregate_train(1, [reply(UNSOUND["NaN"])])[0] is None

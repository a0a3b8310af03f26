"""Replies of nodes that nobody vouches for."""

import io

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


def with_header(header):
    """Give the numbers under a header that NumPy would not have written."""
    text = header.encode() + b"\n"
    return raw(_DATA[:8] + len(text).to_bytes(2, "little") + text + SENT["w"].tobytes())


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
    "a shape that is a list": {**SENT, "w": raw(_DATA.replace(b"(2, 3)", b"[2, 3]"))},
    "an order that is a number": {**SENT, "w": raw(_DATA.replace(b"False", b"0    "))},
    "more in the header": {
        **SENT,
        "w": with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'x': 1}"),
    },
    "a header that is too long": {
        **SENT,
        "w": with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}".ljust(10_000)),
    },
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


def test_what_counts_is_what_was_judged_and_not_what_came():
    came = reply({"w": raw(_DATA, "numpy.ndarray"), "b": SENT["b"]})
    came.content["arrays"]["w"].shape = (9, 9)
    found, _ = guarded().aggregate_train(1, [came])
    assert found["w"].numpy().tolist() == SENT["w"].tolist()
    judged = came.content["arrays"]["w"]
    assert (judged.shape, judged.dtype, judged.data) == ((2, 3), "float32", _DATA)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}",
        "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }   ",
        "{'descr': '<f4', 'fortran_order': False, 'shape': [2, 3]}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 3)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'x': 1}",
        "{'descr': '<f4', 'fortran_order': False}",
        " {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}",
        "\x0c\n{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}".ljust(9_999),
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}".ljust(10_000),
        "[('descr', '<f4')]",
    ],
)
def test_what_numpy_refuses_is_refused(header):
    data = with_header(header).data
    try:
        read = np.load(io.BytesIO(data), allow_pickle=False)
    except ValueError:
        with pytest.raises(ValueError, match="cannot be read"):
            decoded(data, SENT["w"])
    else:
        assert decoded(data, SENT["w"]).tolist() == read.tolist()


def test_a_reply_without_the_record_is_passed_over():
    assert guarded().aggregate_train(1, [reply(SENT, record="others")])[0] is None


def test_a_round_of_unsound_replies_leaves_the_arrays():
    assert guarded().aggregate_train(1, [reply(UNSOUND["NaN"])])[0] is None

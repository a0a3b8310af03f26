"""What devices and server say to each other."""

import numpy as np
import pytest
from flwr.app import ConfigRecord, MetricRecord, RecordDict
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from clients.messages import ARRAYS, METRICS, pack, reply_to, unpack
from clients.outcome import Update
from simulator.running.grid import FleetGrid

ARRAY = hnp.arrays(
    st.sampled_from([np.float32, np.float64, np.int32, np.int64, np.bool_]),
    hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4),
)


@given(st.dictionaries(st.text("abc/*.", min_size=1, max_size=12), ARRAY, max_size=4))
def test_arrays_arrive_as_they_were_sent(arrays):
    arrived = unpack(pack(arrays))
    assert arrived.keys() == arrays.keys()
    for name, value in arrays.items():
        assert (arrived[name].dtype, arrived[name].shape) == (value.dtype, value.shape)
        assert arrived[name].tobytes() == value.tobytes()


def test_a_scalar_arrives_as_a_scalar():
    # The step counter and the learning rate of a program are scalars.
    arrived = unpack(pack({"step": np.array(3, np.int64)}))["step"]
    assert arrived.shape == ()
    assert arrived == 3


def test_arrays_that_are_not_contiguous_arrive_as_they_were_sent():
    value = np.arange(12, dtype=np.float32).reshape(3, 4).T[::2]
    assert unpack(pack({"x": value}))["x"].tolist() == value.tolist()


@pytest.mark.parametrize("record", [ConfigRecord({"a": 1}), MetricRecord({"a": 1.0}), None, {}])
def test_other_records_are_refused(record):
    with pytest.raises(TypeError, match="expected an ArrayRecord, got " + type(record).__name__):
        unpack(record)


def test_a_reply_carries_the_update_and_how_many_windows_it_weighs():
    grid = FleetGrid(lambda _: {})
    message = grid.create_message(RecordDict(), "train", 5, "1")
    update = Update({"w": np.array([1.0, 2.0], np.float32)}, examples=24, loss=0.5)
    reply = reply_to(message, update)
    assert unpack(reply.content[ARRAYS])["w"].tolist() == [1.0, 2.0]
    assert dict(reply.content[METRICS]) == {"num-examples": 24, "loss": 0.5}
    assert reply.metadata.reply_to_message_id == message.metadata.message_id


def test_a_reply_of_a_device_that_learnt_nothing_has_a_loss_that_can_be_averaged():
    grid = FleetGrid(lambda _: {})
    message = grid.create_message(RecordDict(), "train", 5, "1")
    reply = reply_to(message, Update({}, examples=0, loss=float("nan")))
    assert dict(reply.content[METRICS]) == {"num-examples": 0, "loss": 0.0}

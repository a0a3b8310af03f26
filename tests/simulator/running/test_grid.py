"""The own Grid, under Flower's own strategy."""

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord

from clients.messages import pack, unpack
from clients.outcome import Update
from server.strategies import STRATEGIES
from simulator.running.grid import FleetGrid

START = {"w": np.zeros((2, 2), np.float32), "b": np.zeros(2, np.float32)}


class Fake:
    """A fleet that answers with what it was told to."""

    def __init__(self, updates=None):
        self.updates = updates or {}
        self.asked = []

    def work(self, shared):
        self.asked.append(shared)
        return self.updates


def update(w, b, examples, loss=1.0):
    arrays = {"w": np.full((2, 2), w, np.float32), "b": np.array(b, np.float32)}
    return Update(arrays, examples, loss)


def one_round(fake, addressed):
    """Play one round of federated averaging; returns new arrays and metrics."""
    grid = FleetGrid(fake.work)
    grid.addressed = addressed
    strategy = STRATEGIES["fedavg"].strategy({})
    messages = strategy.configure_train(1, pack(START), ConfigRecord(), grid)
    replies = list(grid.send_and_receive(messages))
    return strategy.aggregate_train(1, replies) if replies else (None, None)


def test_what_the_grid_touches_of_flower_is_where_it_was():
    moved = "Flower has moved what simulator/running/grid.py touches: {}; adapt that file alone"
    try:
        from flwr.supercore.run import Run
        from flwr.supercore.task_identity import TaskIdentity
    except ImportError as error:
        pytest.fail(moved.format(error))
    assert callable(getattr(Run, "create_empty", None)), moved.format("Run.create_empty")
    assert Run.create_empty(1).run_id == 1, moved.format("Run.create_empty(run_id)")
    FleetGrid(Fake().work)
    for name in ("task_id", "run_id", "node_id"):
        kept = getattr(TaskIdentity, f"_{name}", None)
        assert kept == getattr(TaskIdentity, name) == 1, moved.format(f"TaskIdentity.{name}")


def test_grid_is_complete_for_flower():
    missing = getattr(FleetGrid, "__abstractmethods__", frozenset())
    assert not missing, f"Flower's Grid asks for more than FleetGrid gives: {missing}"


def test_updates_are_averaged_by_their_examples():
    # (1 x 1 + 3 x 5) / 4 = 4; biases (1 x [4, 0] + 3 x [0, 8]) / 4 = [1, 6].
    fake = Fake({3: update(1.0, [4.0, 0.0], 1), 5: update(5.0, [0.0, 8.0], 3)})
    arrays, metrics = one_round(fake, [3, 5])
    assert isinstance(arrays, ArrayRecord)
    merged = unpack(arrays)
    np.testing.assert_allclose(merged["w"], np.full((2, 2), 4.0))
    np.testing.assert_allclose(merged["b"], [1.0, 6.0])
    assert merged["w"].dtype == np.float32
    assert metrics is not None


def test_nodes_answer_in_the_order_in_which_their_updates_arrive():
    # A sum in floating point depends on the order, and some strategies take the first few.
    fake = Fake({node: update(1.0, [0, 0], node + 1) for node in (2, 0, 1)})
    grid = FleetGrid(fake.work)
    grid.addressed = [0, 1, 2]
    strategy = STRATEGIES["fedavg"].strategy({})
    messages = strategy.configure_train(1, pack(START), ConfigRecord(), grid)
    replies = list(grid.send_and_receive(messages))
    assert [reply.content["metrics"]["num-examples"] for reply in replies] == [3, 1, 2]
    assert [reply.metadata.src_node_id for reply in replies] == [4, 2, 3]


def test_a_node_of_an_earlier_round_may_answer_in_this_one():
    fake = Fake({4: update(2.0, [0, 0], 1), 1: update(4.0, [0, 0], 1)})
    arrays, _ = one_round(fake, [0, 1])
    np.testing.assert_allclose(unpack(arrays)["w"], np.full((2, 2), 3.0))


def test_what_an_update_tells_beside_its_arrays_reaches_the_strategy():
    fake = Fake({0: Update(START, 3, 0.5, {"cluster": 2, "within": 7})})
    grid = FleetGrid(fake.work)
    grid.addressed = [0]
    strategy = STRATEGIES["fedavg"].strategy({})
    messages = strategy.configure_train(1, pack(START), ConfigRecord(), grid)
    (reply,) = grid.send_and_receive(messages)
    told = {"num-examples": 3, "loss": 0.5, "cluster": 2, "within": 7}
    assert dict(reply.content["metrics"]) == told


def test_metrics_are_averaged_by_examples():
    fake = Fake({3: update(1.0, [0, 0], 1, loss=2.0), 5: update(5.0, [0, 0], 3, loss=4.0)})
    _, metrics = one_round(fake, [3, 5])
    assert metrics["loss"] == pytest.approx(3.5)


def test_fleet_receives_the_shared_arrays_as_they_are():
    fake = Fake({0: update(1.0, [0, 0], 1), 7: update(1.0, [0, 0], 1)})
    one_round(fake, [0, 7])
    (shared,) = fake.asked
    assert sorted(shared) == ["b", "w"]
    for name, value in START.items():
        np.testing.assert_array_equal(shared[name], value)
        assert shared[name].dtype == value.dtype


def test_each_addressed_node_is_one_of_flower_and_none_is_the_server():
    grid = FleetGrid(Fake().work)
    grid.addressed = [0, 1, 8]
    nodes = list(grid.get_node_ids())
    assert len(set(nodes)) == 3
    assert 1 not in nodes  # which is the server's own


def test_node_that_learnt_nothing_does_not_answer():
    arrays, _ = one_round(Fake({1: update(2.0, [0, 0], 1)}), [0, 1])
    np.testing.assert_allclose(unpack(arrays)["w"], np.full((2, 2), 2.0))


def test_without_replies_nothing_is_aggregated():
    assert one_round(Fake(), [3, 5]) == (None, None)


def test_round_without_messages_still_lets_the_fleet_work():
    fake = Fake()
    assert list(FleetGrid(fake.work).send_and_receive([])) == []
    assert fake.asked == [{}]


def test_messages_are_answered_at_once_or_not_at_all():
    grid = FleetGrid(Fake().work)
    with pytest.raises(NotImplementedError, match="send_and_receive"):
        grid.push_messages([])
    with pytest.raises(NotImplementedError, match="send_and_receive"):
        grid.pull_messages([])

"""The own Grid, under Flower's own strategy."""

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord

from clients.messages import pack, unpack
from clients.outcome import Update
from server.guard import Guard
from server.strategies import STRATEGIES
from simulator.grid import FleetGrid

START = {"w": np.zeros((2, 2), np.float32), "b": np.zeros(2, np.float32)}


class Fake:
    """Devices that answer with what they were told to."""

    def __init__(self, *updates):
        self.updates = updates
        self.asked = []

    def work(self, participants, shared):
        self.asked.append((list(participants), shared))
        return [update for update in self.updates if update.device in participants]


def update(device, w, b, examples, loss=1.0):
    arrays = {"w": np.full((2, 2), w, np.float32), "b": np.array(b, np.float32)}
    return Update(device, arrays, examples, loss)


def one_round(fake, participants, guard=None):
    """Play one round of federated averaging; returns new arrays, metrics, refusals."""
    refused = []
    grid = FleetGrid(fake.work, guard or Guard(None), lambda *what: refused.append(what))
    grid.participants = participants
    strategy = STRATEGIES["fedavg"]()
    messages = strategy.configure_train(1, pack(START), ConfigRecord(), grid)
    replies = list(grid.send_and_receive(messages))
    arrays, metrics = strategy.aggregate_train(1, replies) if replies else (None, None)
    return arrays, metrics, refused


def test_what_the_grid_touches_of_flower_is_where_it_was():
    moved = "Flower has moved what simulator/grid.py touches: {}; adapt simulator/grid.py alone"
    try:
        from flwr.supercore.run import Run
        from flwr.supercore.task_identity import TaskIdentity
    except ImportError as error:
        pytest.fail(moved.format(error))
    assert callable(getattr(Run, "create_empty", None)), moved.format("Run.create_empty")
    assert Run.create_empty(1).run_id == 1, moved.format("Run.create_empty(run_id)")
    FleetGrid(Fake().work, Guard(None), lambda *_: None)
    for name in ("task_id", "run_id", "node_id"):
        kept = getattr(TaskIdentity, f"_{name}", None)
        assert kept == getattr(TaskIdentity, name) == 1, moved.format(f"TaskIdentity.{name}")


def test_grid_is_complete_for_flower():
    missing = getattr(FleetGrid, "__abstractmethods__", frozenset())
    assert not missing, f"Flower's Grid asks for more than simulator/grid.py gives: {missing}"


def test_updates_are_averaged_by_their_examples():
    # (1 x 1 + 3 x 5) / 4 = 4; biases (1 x [4, 0] + 3 x [0, 8]) / 4 = [1, 6].
    fake = Fake(update(3, 1.0, [4.0, 0.0], 1), update(5, 5.0, [0.0, 8.0], 3))
    arrays, metrics, refused = one_round(fake, [3, 5])
    assert isinstance(arrays, ArrayRecord)
    merged = unpack(arrays)
    np.testing.assert_allclose(merged["w"], np.full((2, 2), 4.0))
    np.testing.assert_allclose(merged["b"], [1.0, 6.0])
    assert merged["w"].dtype == np.float32
    assert refused == []
    assert metrics is not None


def test_metrics_are_averaged_by_examples():
    fake = Fake(update(3, 1.0, [0, 0], 1, loss=2.0), update(5, 5.0, [0, 0], 3, loss=4.0))
    _, metrics, _ = one_round(fake, [3, 5])
    assert metrics["loss"] == pytest.approx(3.5)


def test_participants_receive_the_shared_arrays_as_they_are():
    fake = Fake(update(0, 1.0, [0, 0], 1), update(7, 1.0, [0, 0], 1))
    one_round(fake, [0, 7])
    ((participants, shared),) = fake.asked
    assert participants == [0, 7]
    assert sorted(shared) == ["b", "w"]
    for name, value in START.items():
        np.testing.assert_array_equal(shared[name], value)


def test_devices_that_do_not_take_part_are_not_averaged():
    fake = Fake(update(0, 2.0, [0, 0], 1), update(1, 100.0, [0, 0], 9))
    arrays, _, _ = one_round(fake, [0])
    np.testing.assert_allclose(unpack(arrays)["w"], np.full((2, 2), 2.0))


def test_participant_that_learnt_nothing_does_not_answer():
    arrays, _, refused = one_round(Fake(update(1, 2.0, [0, 0], 1)), [0, 1])
    np.testing.assert_allclose(unpack(arrays)["w"], np.full((2, 2), 2.0))
    assert refused == []


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"w": np.full((2, 2), np.nan, np.float32), "b": START["b"]}, "NaN"),
        ({"w": np.full((2, 2), np.inf, np.float32), "b": START["b"]}, "infinite"),
        ({"w": np.zeros((4,), np.float32), "b": START["b"]}, "(4,)"),
        ({"w": np.zeros((2, 2), np.float64), "b": START["b"]}, "float64"),
        ({"w": START["w"]}, "['w'] instead of ['b', 'w']"),
        ({**START, "c": START["b"]}, "'c'"),
    ],
)
def test_bad_update_never_reaches_the_aggregate_and_is_told(arrays, reason):
    fake = Fake(update(3, 1.0, [4.0, 0.0], 1), Update(5, arrays, 3, 1.0))
    merged, _, refused = one_round(fake, [3, 5])
    np.testing.assert_allclose(unpack(merged)["w"], np.ones((2, 2)))
    np.testing.assert_allclose(unpack(merged)["b"], [4.0, 0.0])
    ((device, why),) = refused
    assert device == 5
    assert reason in why


def test_update_far_beyond_the_round_before_is_refused():
    guard = Guard(3.0)
    one_round(Fake(update(0, 1.0, [0, 0], 1), update(1, 1.0, [0, 0], 1)), [0, 1], guard)
    # Norms were 2 (four times 1), so the bound is 6; the norm of four times 4 is 8.
    fake = Fake(update(0, 2.0, [0, 0], 1), update(1, 4.0, [0, 0], 1))
    merged, _, refused = one_round(fake, [0, 1], guard)
    np.testing.assert_allclose(unpack(merged)["w"], np.full((2, 2), 2.0))
    assert refused == [(1, "norm 8 exceeds the bound 6")]


def test_without_replies_nothing_is_aggregated():
    assert one_round(Fake(), [3, 5]) == (None, None, [])


def test_when_all_are_refused_nothing_is_aggregated():
    bad = {"w": np.full((2, 2), np.nan, np.float32), "b": START["b"]}
    arrays, _, refused = one_round(Fake(Update(3, bad, 1, 1.0)), [3])
    assert arrays is None
    assert [device for device, _ in refused] == [3]


def test_round_without_messages_still_lets_the_fleet_work():
    fake = Fake()
    grid = FleetGrid(fake.work, Guard(None), lambda *what: pytest.fail(str(what)))
    assert list(grid.send_and_receive([])) == []
    assert fake.asked == [([], {})]


def test_messages_are_answered_at_once_or_not_at_all():
    grid = FleetGrid(Fake().work, Guard(None), lambda *_: None)
    with pytest.raises(NotImplementedError, match="send_and_receive"):
        grid.push_messages([])
    with pytest.raises(NotImplementedError, match="send_and_receive"):
        grid.pull_messages([])

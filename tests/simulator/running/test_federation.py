"""The server of an arm: whom it asks, what it makes of the answers, and what it refuses."""

import numpy as np
import pytest
from flwr.app import ConfigRecord

from clients.messages import pack, unpack
from server.strategies import STRATEGIES
from simulator.cohort.reply import Terms, joined
from simulator.running.grid import FleetGrid
from tests.simulator.conftest import read_all
from tests.simulator.made_fleets import farthest

HALF = {"method": "fedavg", "participation": 0.5}
# Everybody answers and learns from the first round on.
EAGER = {
    "learning": {"memory": 0, "steps": 2},
    "labels": {"answer_rate": 1.0, "mistake_rate": 0.0},
    "sizes": (4, 3, 2),
}


def chosen(trial):
    """Return the participants of each round by name: round -> names."""
    rounds = trial.rounds[trial.rounds["participant"]]
    return rounds.groupby("round")["device"].apply(set).to_dict()


class ByHand:
    """A fleet whose rounds are called one by one."""

    def __init__(self, opened):
        self.opened, self.fleet, self.plan = opened, opened.fleet, opened.plan
        self.numbers = {self.plan.name_of(d): d for d in range(self.plan.devices)}

    def work(self, round_, names, shared, *, folds):
        """Let every device work through a round in which some take part; nothing is refused."""
        participants = np.array(sorted(self.numbers[name] for name in names), np.int64)
        terms = Terms("mean" if folds else "none")
        replies, flat = self.fleet.work(round_, participants, shared, terms)
        assert flat.size == 0  # batteries do not matter here
        return replies

    def aggregate(self, round_, names, shared, *, folds):
        """Run a round through the grid and Flower's strategy; returns arrays and mean loss."""

        def work(arrays):
            replies = self.work(round_, names, arrays, folds=folds)
            if folds:
                return joined(replies)
            return {device: u for reply in replies for device, u in reply.singles.items()}

        grid, strategy = FleetGrid(work), STRATEGIES["fedavg"].strategy({})
        devices = [self.numbers[name] for name in names]
        grid.addressed = [0] if folds else sorted(devices)
        messages = strategy.configure_train(round_, pack(shared), ConfigRecord(), grid)
        arrays, metrics = strategy.aggregate_train(round_, list(grid.send_and_receive(messages)))
        return unpack(arrays), metrics["loss"]


def assert_close(arrays, others, most):
    assert arrays.keys() == others.keys()
    for name, value in arrays.items():
        assert value.dtype == others[name].dtype
        np.testing.assert_allclose(value, others[name], rtol=0.0, atol=most)


@pytest.mark.parametrize("engine", ["fleet", "reference"])
@pytest.mark.parametrize(("dtype", "most"), [("float64", 1e-13), ("float32", 1e-6)])
def test_folding_by_cohort_makes_no_difference_to_the_aggregate(fleets, engine, dtype, most):
    made = {}
    names = ["1600", "1602", "1603", "1601+1", "1603+1"]  # of the first two cohorts
    for folds in (True, False):
        hand = ByHand(fleets("dense", dtype).open(HALF, fleet={"engine": engine}, **EAGER))
        shared, losses = dict(hand.opened.prepared.params), []
        for round_ in (1, 2):
            shared, loss = hand.aggregate(round_, names, shared, folds=folds)
            losses.append(loss)
        made[folds] = shared, losses
    assert_close(made[True][0], made[False][0], most)
    np.testing.assert_allclose(made[True][1], made[False][1], rtol=1e-6)
    moved = made[True][0]["hidden/kernel"] - hand.opened.prepared.params["hidden/kernel"]
    assert np.abs(moved).max() > 1e-3


def test_server_ends_where_single_replies_would_have_led(fleets):
    trial = fleets("dense").run(HALF, **EAGER)
    hand = ByHand(fleets("dense").open(HALF, **EAGER))
    shared = dict(hand.opened.prepared.params)
    for round_, names in chosen(trial).items():
        shared, _ = hand.aggregate(round_, names, shared, folds=False)
    assert_close(shared, trial.shared, 1e-10)


def refusals(trial):
    """List whose update was refused in which round: (round, device, reason, norm)."""
    events = read_all(trial.folder / "events")
    events = events[events["kind"] == "refused"]
    columns = (events[name].tolist() for name in ("round", "device", "reason", "norm"))
    return sorted(zip(*columns, strict=True))


def refusing_by_hand(hand, trial, max_norm):
    """Average by examples what does not move further than the bound; returns also the refusals."""
    shared, told = dict(hand.opened.prepared.params), []
    bound = 100.0 * np.sqrt(sum(np.square(value).sum() for value in shared.values()))
    for round_, names in chosen(trial).items():
        replies = hand.work(round_, names, shared, folds=False)
        updates = {device: u for reply in replies for device, u in sorted(reply.singles.items())}
        norms = {
            device: np.sqrt(sum(np.square(u.arrays[n] - shared[n]).sum() for n in shared))
            for device, u in updates.items()
        }
        refused = [device for device, norm in norms.items() if norm > bound]
        told += [(round_, hand.plan.name_of(device), norms[device]) for device in refused]
        kept = [device for device in updates if device not in refused]
        total = sum(updates[device].examples for device in kept)
        if kept:
            shared = {
                name: sum(updates[d].examples * updates[d].arrays[name] for d in kept) / total
                for name in shared
            }
        measured = max_norm * float(np.median([norms[device] for device in kept or norms]))
        bound = measured if kept else min(measured, bound * max(max_norm, 2.0))
    return shared, sorted(told)


@pytest.mark.parametrize("max_norm", [0.8, 1.0])
def test_updates_beyond_the_median_of_the_round_before_are_refused(fleets, max_norm):
    arm, tables = {"method": "fedavg"}, {**EAGER, "guard": {"max_norm": max_norm}}
    trial = fleets("dense").run(arm, **tables)
    hand = ByHand(fleets("dense").open(arm, fleet={"engine": "reference"}, **tables))
    shared, wanted = refusing_by_hand(hand, trial, max_norm)
    found = refusals(trial)
    assert [(*who, "norm") for *who, _ in wanted] == [tuple(some[:3]) for some in found]
    assert [some[3] for some in found] == pytest.approx([some[2] for some in wanted])
    assert_close(shared, trial.shared, 1e-10)
    assert 3 <= len(found) < (trial.rounds["bytes_up"] > 0).sum() - 3
    assert trial.rounds["refused"].sum() == len(found)


def test_refusals_depend_on_neither_engine_nor_tile(fleets):
    tables = {**EAGER, "guard": {"max_norm": 1.2}}
    kinds = ({"engine": "reference"}, {"tile": 2}, {"tile": 32})
    one, *others = (fleets("dense").run(HALF, fleet=fleet, **tables) for fleet in kinds)
    wanted = refusals(one)
    assert len(wanted) > 0
    for other in others:
        found = refusals(other)
        assert [some[:3] for some in found] == [some[:3] for some in wanted]
        assert [some[3] for some in found] == pytest.approx([some[3] for some in wanted])
        assert farthest(one, other) < 1e-8


def test_without_a_bound_nothing_is_refused(fleets):
    trial = fleets("dense").run(HALF, guard={"max_norm": "off"}, **EAGER)
    assert refusals(trial) == []
    assert trial.events == []


@pytest.mark.parametrize("engine", ["fleet", "reference"])
def test_devices_that_diverge_are_refused_and_the_server_stays_where_it_was(fleets, engine):
    arm = {"method": "fedavg", "optimizer": "sgd", "learning_rate": 1e38}
    opened = fleets("dense", "float32").open(arm, fleet={"engine": engine}, **EAGER)
    trial = opened.run(2)
    told = refusals(trial)
    assert {reason for _, _, reason, _ in told} == {"not-finite"}
    uploads = trial.rounds[trial.rounds["bytes_up"] > 0]
    whose = sorted(zip(uploads["round"], uploads["device"], strict=True))
    assert [(round_, device) for round_, device, *_ in told] == whose
    assert len(told) == 18
    stays = "method fedavg needs 1; the shared parameters stay"
    assert list(trial.events) == [
        {"arm": "trial", "fold": 0, "round": round_, "kind": "not-aggregated",
         "reason": f"0 good updates of 9: {stays}"}
        for round_ in (1, 2)
    ]  # fmt: skip
    assert_close(opened.prepared.params, trial.shared, 0.0)


def test_devices_whose_stream_has_ended_are_not_chosen(fleets):
    opened = fleets("dense").open({"method": "fedavg"}, **EAGER)
    trial = opened.run()
    lengths = opened.plan.wear(np.arange(9)).streams.lengths()
    last = {opened.plan.name_of(d): -(-n // 2) for d, n in enumerate(lengths)}
    found = trial.rounds[trial.rounds["participant"]].groupby("device")["round"].max()
    assert found.to_dict() == last
    assert len(set(last.values())) > 2

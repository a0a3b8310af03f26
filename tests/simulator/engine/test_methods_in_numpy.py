"""Every way of learning against an independent calculation in plain NumPy."""

from functools import cache

import numpy as np
import pytest

from clients.methods import METHODS
from simulator.faults.latency import paces_of
from tests.simulator.made_few import EQUAL, EVERYBODY, WAYS, InNumpy, open_few

ARMS = {
    "fedprox": {"mu": 0.7},
    "fedavgm": {"server_learning_rate": 0.8, "server_momentum": 0.6},
    "qfedavg": {"q": 1.5},
    "scaffold": {"server_learning_rate": 0.7},
    "fedbuff": {"buffer": 2},
    "fedtrimmedavg": {"trim": 0.34},
    "multikrum": {"selected": 2},
    "dpfedavg": {"noise": 0.0, "clip": 0.02, "clip_quantile": 0.4},
    "finetune": {"switch_round": 1},
    "fedrep": {"head_steps": 1},
    "fedbn": {"private": ["*/bias"]},
    "ditto": {"lambda": 0.3},
    "apfl": {"alpha": 0.4, "adaptive": True},
    "pfedme": {"inner_steps": 2, "server_learning_rate": 0.6, "eta": 0.02},
    "perfedavg": {"alpha": 0.03},
    "ifca": {"clusters": 3},
}
"""Keys with which a method does something of its own within two rounds."""

SOME = {"participation": 0.7}
EXACT, SINGLE = 1e-11, 1e-8  # losses are float32 before they reach a server
MOST = {"qfedavg": SINGLE}
BEYOND = ("fedadam", "multikrum", "bulyan")  # see the tests of their own
CASES = [(m, False) for m in WAYS if m not in BEYOND]
CASES += [(m, True) for m in WAYS if m not in (*BEYOND, "local", "krum")]
OWN_OPTIMIZER = ("fedavg", "scaffold", "fedper", "fedrep", "ditto", "apfl", "pfedme", "perfedavg")


@pytest.fixture(scope="module")
def play(fleets):
    """Run a method in both ways: what the product comes to, and what NumPy does."""

    @cache
    def run(method, some, optimizer="sgd"):
        arm = {"method": method, "optimizer": optimizer, **ARMS.get(method, {})}
        opened = open_few(fleets("dense"), arm | (SOME if some else {}))
        rounds = 3 if some else 2
        trial = opened.run(rounds)
        return trial, InNumpy(opened, trial, rounds)

    return run


def assert_alike(trial, numpy, most=EXACT, **keys):
    apart = numpy.apart(trial, **keys)
    assert len(apart) >= 24
    assert max(apart.values()) < most, max(apart, key=apart.get)


def test_every_method_that_learns_on_a_device_is_calculated():
    assert WAYS.keys() == METHODS.keys() - {"frozen", "heuristic", "pooled"}


@pytest.mark.parametrize(("method", "some"), CASES)
def test_devices_and_server_come_to_what_the_papers_formulas_give(play, method, some):
    """Two rounds of three devices, and three rounds in which two of them take part."""
    trial, numpy = play(method, some)
    participants = trial.rounds.groupby("round")["participant"].sum()
    if some and method != "dpfedavg":
        assert participants.loc[1:].max() == 2
    assert_alike(trial, numpy, MOST.get(method, EXACT), serves=method != "finetune")


@pytest.mark.parametrize("method", OWN_OPTIMIZER)
def test_optimizers_start_afresh_or_go_on_as_they_should(play, method):
    """With Adam, a forgotten or a kept moment shows."""
    trial, numpy = play(method, True, "adam")
    assert_alike(trial, numpy, 1e-9)


@pytest.mark.parametrize("method", [m for m in WAYS if m != "fedavg"])
def test_method_comes_to_something_else_than_fedavg(play, method):
    """Otherwise the comparisons would say less than they seem to."""
    (plain, _), (own, _) = play("fedavg", False), play(method, False)
    moved = [
        np.abs(own.devices[name][f"params/{n}"] - value).max()
        for name, variables in plain.devices.items()
        for n, value in ((k.removeprefix("params/"), v) for k, v in variables.items())
        if f"params/{n}" in own.devices[name]
    ]
    assert max(moved) > 1e-4


def durations_of(opened):
    """Return how many rounds the updates of three devices take."""
    scenario = opened.plan.scenario
    paces = paces_of(scenario.faults, scenario.seed, np.arange(3))
    return paces.work_s / scenario.faults.round_s


def test_late_updates_reach_fedbuff_when_and_as_they_should(fleets):
    arm, faults = {"method": "fedbuff", "buffer": 2}, {"duration_rounds": 1.1, "speed": 0.8}
    opened = open_few(fleets("dense"), arm, faults=faults)
    trial = opened.run(4)
    numpy = InNumpy(opened, trial, 4, durations=durations_of(opened))
    assert_alike(trial, numpy)
    assert numpy.server.version >= 2
    assert max(numpy.server.staleness) > 0
    assert len(set(numpy.server.staleness)) > 1


def test_updates_that_arrive_while_nobody_takes_part_are_added_to_what_is_there(fleets):
    faults = {"duration_rounds": 1.1, "speed": 0.8, "availability": 0.4}
    tables = {"learning": {"steps": 2, "memory": 0}, "stream": {"questions_per_round": 1}}
    arm = {"method": "fedbuff", "buffer": 1}
    opened = open_few(fleets("dense"), arm, faults=faults, seed=2, **tables)
    trial = opened.run(3)
    numpy = InNumpy(opened, trial, 3, durations=durations_of(opened))
    participants = trial.rounds.groupby("round")["participant"].sum()
    assert participants.loc[1:].tolist() == [2, 0, 2]
    assert numpy.server.lands == [1, 1, 2]
    assert_alike(trial, numpy)


def test_noise_is_released_in_rounds_in_which_nobody_takes_part(fleets):
    arm = {"method": "dpfedavg", "participation": 0.02, "noise": 0.5, "clip": 0.2}
    opened = open_few(fleets("dense"), arm)
    trial = opened.run(3)
    assert trial.rounds["participant"].sum() == 0
    # Three times, of the standard deviation 0.5 * 0.2 over the 0.06 devices that are expected.
    moved = [(trial.shared[n] - v).ravel() for n, v in opened.prepared.params.items()]
    wanted = np.sqrt(3.0) * 0.1 / 0.06
    assert np.std(np.concatenate(moved)) == pytest.approx(wanted, rel=0.03)


def test_clip_follows_the_norms_where_it_is_to_and_stays_where_not(play, fleets):
    _, adapts = play("dpfedavg", False)
    assert adapts.server.clip != 0.02
    arm = {"method": "dpfedavg", "noise": 0.0, "clip": 0.02}
    opened = open_few(fleets("dense"), arm)
    trial = opened.run(2)
    stays = InNumpy(opened, trial, 2)
    assert stays.server.clip == 0.02
    assert_alike(trial, stays)


def test_ifca_chooses_by_the_memory_once_there_is_one(play):
    trial, numpy = play("ifca", True)
    (state,) = trial.states.values()
    assert state["method/choice/cluster"].tolist() == [d.cluster for d in numpy.devices]
    begun = [int(device.draw * 3) for device in numpy.devices]
    assert len(set(begun)) > 1
    assert [d.cluster for d in numpy.devices] != begun


# Where Flower's strategies are not what the papers say. Each has two tests: what it does, and the
# paper's formula, which is to pass once the strategy is our own.


@pytest.mark.parametrize("some", [False, True])
@pytest.mark.parametrize(
    "corrected",
    [
        True,
        pytest.param(
            False,
            marks=pytest.mark.xfail(
                strict=True, reason="Flower's FedAdam corrects the bias, by the round's number + 1"
            ),
        ),
    ],
)
def test_fedadam_comes_to_what_the_formulas_give(fleets, some, corrected):
    opened = open_few(fleets("dense"), {"method": "fedadam", **(SOME if some else {})})
    trial = opened.run(3)
    assert_alike(trial, InNumpy(opened, trial, 3, told={"corrected": corrected}))


@pytest.mark.parametrize(
    "told",
    [
        {"weighted": True},
        pytest.param(
            {},
            marks=pytest.mark.xfail(
                strict=True, reason="Flower's MultiKrum weighs those that it selects by examples"
            ),
        ),
    ],
    ids=["weighted", "as published"],
)
def test_multikrum_comes_to_what_the_formulas_give(fleets, told):
    arm = {"method": "multikrum", "liars": 1, "selected": 2}
    opened = open_few(fleets("dense"), arm, (3, 2), users=EVERYBODY)
    trial = opened.run(3)
    assert_alike(trial, InNumpy(opened, trial, 3, told=told))


@pytest.mark.parametrize(
    "told",
    [
        {"at_once": True},
        pytest.param(
            {},
            marks=pytest.mark.xfail(
                strict=True, reason="Flower's Bulyan does not score those anew that are left"
            ),
        ),
    ],
    ids=["at once", "as published"],
)
def test_bulyan_comes_to_what_the_formulas_give(fleets, told):
    arm = {"method": "bulyan", "liars": 1}
    opened = open_few(fleets("dense"), arm, (3, 3, 1), users=EVERYBODY, **EQUAL)
    trial = opened.run(3)
    assert_alike(trial, InNumpy(opened, trial, 3, told=told))


@pytest.mark.parametrize("method", ["krum", "multikrum"])
def test_updates_far_from_the_others_are_left_out(fleets, method):
    arm = {"method": method, "liars": 1} | ({"selected": 2} if method == "multikrum" else {})
    opened = open_few(fleets("dense"), arm, (3, 2), users=EVERYBODY, **EQUAL)
    trial = opened.run(3)
    assert_alike(trial, InNumpy(opened, trial, 3))

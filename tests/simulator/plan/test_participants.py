"""Who takes part in a round, and when what they send arrives."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from clients.outcome import Update
from simulator.plan.participants import choose
from simulator.plan.plan import Fold
from simulator.running.flight import Flights
from simulator.scenario.arm import Arm
from simulator.scenario.scenario import Scenario

DEVICES = np.arange(10, 210)  # 200 of the 300 devices of a run


@dataclass
class Laid:
    """A plan, as far as it matters who takes part.

    Attributes:
        ended: devices whose stream is over.
    """

    scenario: Scenario
    ended: set = field(default_factory=set)
    folds: tuple = (Fold(0, DEVICES, (), ()),)
    devices: int = 300

    def goes_on(self, devices, round_):
        del round_
        return np.array([device not in self.ended for device in devices], np.bool_)


def plan(seed=3, ended=()):
    arms = [{"name": "local", "method": "local"}]
    scenario = {"name": "who", "seed": seed, "arms": arms, "data": {"users": 200}}
    return Laid(Scenario.model_validate(scenario), set(ended))


def chosen(laid=None, round_=1, *, losses=None, busy=(), **arm):
    arm = Arm.model_validate({"name": "shared", "method": "fedavg", **arm})
    known = np.full(300, np.nan)
    if losses is not None:
        known[DEVICES] = losses
    free = np.ones(300, np.bool_)
    free[list(busy)] = False
    return choose(laid or plan(), arm, 0, round_, known, free)


def test_a_share_of_the_devices_takes_part_in_ascending_order():
    found = chosen(participation=0.25)
    assert found.size == 50
    assert np.isin(found, DEVICES).all()
    assert (np.diff(found) > 0).all()
    np.testing.assert_array_equal(chosen(), DEVICES)


def test_choice_is_that_of_seed_and_round():
    first = chosen(participation=0.25)
    np.testing.assert_array_equal(first, chosen(participation=0.25))
    for other in (chosen(participation=0.25, round_=2), chosen(plan(seed=4), participation=0.25)):
        # A quarter of the quarter by chance, give or take.
        assert 3 <= np.intersect1d(first, other).size <= 25


@pytest.mark.parametrize("method", ["fedprox", "scaffold", "fedbuff", "ifca", "krum"])
def test_methods_choose_alike(method):
    found = chosen(method=method, participation=0.25)
    np.testing.assert_array_equal(found, chosen(participation=0.25))


def test_a_larger_share_holds_the_smaller_one():
    assert np.isin(chosen(participation=0.1), chosen(participation=0.3)).all()


def test_each_device_is_as_likely():
    counts = np.zeros(300)
    for round_ in range(1, 401):
        counts[chosen(round_=round_, participation=0.25)] += 1
    # 100 rounds of 400, give or take four standard deviations of 8.7.
    assert (np.abs(counts[DEVICES] - 100) < 40).all()


def test_who_is_busy_or_done_is_not_chosen():
    found = chosen(plan(ended=range(10, 60)), busy=range(60, 110), participation=0.5)
    assert found.size == 50
    assert found.min() >= 110
    assert chosen(plan(ended=DEVICES)).size == 0


def test_one_device_at_least_takes_part_where_there_is_one():
    assert chosen(plan(ended=DEVICES[1:]), participation=0.01).tolist() == [10]


def test_a_share_is_one_of_those_who_are_free():
    """Out of reach, flat or busy: they are not counted among whom a share is chosen."""
    free = DEVICES[::4]
    busy = np.setdiff1d(np.arange(300), free)
    np.testing.assert_array_equal(chosen(busy=busy), free)
    some = chosen(busy=busy, participation=0.5)
    assert some.size == round(0.5 * free.size)
    assert np.isin(some, free).all()
    assert chosen(busy=range(300)).size == 0


# --- By coins, for a private arm -----------------------------------------------------------------


def test_a_private_arm_lets_each_device_in_by_a_coin_of_its_own():
    private = {"method": "dpfedavg", "participation": 0.25}
    sizes = [chosen(round_=round_, **private).size for round_ in range(1, 301)]
    # Binomial: 50, with a standard deviation of 6.1; the mean of 300 has one of 0.35.
    assert np.mean(sizes) == pytest.approx(50.0, abs=1.5)
    assert np.std(sizes) == pytest.approx(6.12, rel=0.2)
    whole = chosen(**private)
    # What others do changes nothing.
    fewer = chosen(plan(ended=range(10, 110)), **private)
    np.testing.assert_array_equal(fewer, whole[whole >= 110])


def test_a_private_arm_may_have_a_round_without_anybody():
    laid = plan(ended=DEVICES[2:])
    sizes = {
        chosen(laid, round_, method="dpfedavg", participation=0.3).size for round_ in range(1, 60)
    }
    assert sizes == {0, 1, 2}


# --- By loss -------------------------------------------------------------------------------------

LOSS = {"choice": "loss"}


def test_the_largest_losses_are_chosen_where_all_are_candidates():
    losses = np.random.default_rng(1).permutation(200.0 + np.arange(200))
    found = chosen(losses=losses, participation=0.1, **LOSS)
    assert set(found) == set(DEVICES[losses >= 380.0])
    assert (np.diff(found) > 0).all()


def test_a_device_that_never_told_comes_first():
    losses = np.arange(200.0)
    losses[[3, 50]] = np.nan
    found = chosen(losses=losses, participation=0.02, **LOSS)
    assert found.tolist() == sorted(DEVICES[[3, 50, 198, 199]])


def test_among_random_candidates_the_largest_losses_are_chosen():
    losses = np.random.default_rng(2).permutation(np.arange(200.0))
    candidates = chosen(participation=0.3)
    found = chosen(losses=losses, participation=0.1, candidates=0.3, **LOSS)
    largest = np.sort(losses[candidates - 10])[-20:]
    np.testing.assert_array_equal(np.sort(losses[found - 10]), largest)
    # As many candidates as participants leave no choice.
    bound = chosen(losses=losses, participation=0.3, candidates=0.3, **LOSS)
    np.testing.assert_array_equal(bound, candidates)


def test_equal_losses_leave_the_choice_to_chance():
    for losses in (None, np.ones(200)):
        found = chosen(losses=losses, participation=0.1, **LOSS)
        np.testing.assert_array_equal(found, chosen(participation=0.1))


# --- Updates on their way ------------------------------------------------------------------------

RECEIVED = {"w": np.array([1.0, 2.0])}


def update(value, rounds=0.0, examples=3, shuffled=0.0):
    """Make an update that takes some rounds, and is overtaken by a share of one."""
    told = {"cluster": 0, "rounds": rounds, "shuffled": shuffled}
    return Update({"w": np.array([value, value])}, examples, 0.5, told)


def test_update_carries_by_how_much_the_device_changed_what_it_had():
    flights = Flights()
    flights.start(1, {4: update(5.0)}, RECEIVED, 6)
    landed = flights.land(1)[4]
    assert landed.arrays["w"].tolist() == [4.0, 3.0]
    assert (landed.examples, landed.loss, landed.told) == (3, 0.5, {"version": 6})


@pytest.mark.parametrize(
    ("rounds", "lands"), [(0.0, 2), (0.5, 2), (1.0, 2), (1.01, 3), (2.0, 3), (4.2, 6)]
)
def test_update_arrives_in_the_round_in_which_its_time_is_over(rounds, lands):
    flights = Flights()
    flights.start(2, {4: update(5.0, rounds)}, RECEIVED, 0)
    for round_ in range(2, 8):
        assert list(flights.land(round_)) == ([4] if round_ == lands else [])


def test_updates_land_in_the_order_of_their_arrival():
    flights = Flights()
    durations = {1: 2.5, 2: 2.2, 3: 3.0}
    flights.start(1, {d: update(1.0, takes) for d, takes in durations.items()}, RECEIVED, 0)
    later = {7: 1.2, 0: 1.1, 5: 1.5}  # from the second round on: 2.2, 2.1 and 2.5
    flights.start(2, {d: update(1.0, takes) for d, takes in later.items()}, RECEIVED, 0)
    assert list(flights.land(2)) == []
    assert list(flights.land(3)) == [0, 2, 7, 1, 5, 3]
    assert list(flights.land(9)) == []


def test_an_update_may_be_overtaken_by_others_of_its_round_but_lands_in_it():
    flights = Flights()
    shuffled = {1: 0.9, 2: 0.0, 3: 0.55, 4: 0.0}  # 2.0, 1.5, 1.65 and 1.9, as it were
    rounds = {1: 1.1, 2: 1.5, 3: 1.1, 4: 1.9}
    given = {d: update(1.0, rounds[d], shuffled=shuffled[d]) for d in rounds}
    flights.start(1, given, RECEIVED, 0)
    assert list(flights.land(1)) == []
    assert list(flights.land(2)) == [2, 3, 4, 1]


def test_flights_that_were_restored_land_as_the_others(tmp_path):
    def begun():
        flights = Flights()
        for round_, device in enumerate([12, 3, 7], start=1):
            given = {device: update(float(device), 6.0 - device / 8, device, device / 16)}
            flights.start(round_, given, RECEIVED, round_ - 1)
        return flights

    one, other = begun(), Flights()
    save_file(one.snapshot(), tmp_path / "flights")
    other.restore(load_file(tmp_path / "flights"))
    for round_ in range(1, 10):
        ours, theirs = one.land(round_), other.land(round_)
        assert list(ours) == list(theirs)
        for device, landed in ours.items():
            again = theirs[device]
            assert again.arrays["w"].tobytes() == landed.arrays["w"].tobytes()
            told = (landed.examples, landed.loss, landed.told)
            assert told == (again.examples, again.loss, again.told)
    empty = Flights()
    empty.restore({})
    assert empty.land(9) == {}

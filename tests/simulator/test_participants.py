"""Who takes part in a round, and when what they send arrives."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from clients.outcome import Update
from simulator.arm import Arm
from simulator.flight import Flights
from simulator.participants import available, choose, duration_rounds
from simulator.plan import Fold
from simulator.scenario import Scenario

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


def plan(seed=3, ended=(), **faults):
    arms = [{"name": "local", "method": "local"}]
    scenario = {"name": "who", "seed": seed, "arms": arms, "faults": faults, "data": {"users": 200}}
    return Laid(Scenario.model_validate(scenario), set(ended))


def chosen(laid=None, round_=1, *, losses=None, busy=(), **arm):
    arm = Arm.model_validate({"name": "shared", "method": "fedavg", **arm})
    known = np.full(300, np.nan)
    if losses is not None:
        known[DEVICES] = losses
    flying = np.zeros(300, np.bool_)
    flying[list(busy)] = True
    return choose(laid or plan(), arm, 0, round_, known, flying)


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


def test_who_cannot_be_reached_is_not_chosen():
    laid = plan(availability=0.5)
    there = DEVICES[available(laid, DEVICES, 1)]
    assert 70 < there.size < 130
    np.testing.assert_array_equal(chosen(laid), there)
    some = chosen(laid, participation=0.5)
    assert some.size == round(0.5 * there.size)
    assert np.isin(some, there).all()


def test_who_can_be_reached_is_that_of_seed_round_and_device():
    laid = plan(availability=0.3)
    first = available(laid, DEVICES, 1)
    np.testing.assert_array_equal(available(laid, DEVICES[5:9], 1), first[5:9])
    assert (available(laid, DEVICES, 2) != first).sum() > 30
    share = np.mean([available(laid, DEVICES, round_) for round_ in range(1, 101)])
    assert share == pytest.approx(0.3, abs=0.02)
    assert available(plan(), DEVICES, 1).all()


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


# --- How long it takes ---------------------------------------------------------------------------


def test_durations_are_lognormal_around_the_median_of_the_scenario():
    devices = np.arange(20_000)
    found = duration_rounds(plan(duration_rounds=3.0, speed=0.5), devices)
    logs = np.log(found / 3.0)
    assert np.median(logs) == pytest.approx(0.0, abs=0.015)
    assert np.std(logs) == pytest.approx(0.5, rel=0.02)
    # A normal distribution has 2.3% beyond two standard deviations, on either side.
    assert np.mean(logs > 1.0) == pytest.approx(0.0228, abs=0.004)
    assert np.mean(logs < -1.0) == pytest.approx(0.0228, abs=0.004)


def test_a_device_is_as_slow_in_all_rounds_whoever_else_is_asked():
    laid = plan(duration_rounds=3.0, speed=0.5)
    whole = duration_rounds(laid, DEVICES)
    np.testing.assert_array_equal(duration_rounds(laid, DEVICES[7:9]), whole[7:9])
    assert set(duration_rounds(plan(duration_rounds=2.0), DEVICES)) == {2.0}
    assert set(duration_rounds(plan(), DEVICES)) == {0.0}


# --- Updates on their way ------------------------------------------------------------------------

RECEIVED = {"w": np.array([1.0, 2.0])}


def update(value, examples=3):
    return Update({"w": np.array([value, value])}, examples, 0.5)


def test_update_carries_by_how_much_the_device_changed_what_it_had():
    flights = Flights()
    flights.start(1, {4: update(5.0)}, RECEIVED, 6, {4: 0.0})
    landed = flights.land(1)[4]
    assert landed.arrays["w"].tolist() == [4.0, 3.0]
    assert (landed.examples, landed.loss, landed.told) == (3, 0.5, {"version": 6})


@pytest.mark.parametrize(
    ("duration", "lands"), [(0.0, 2), (0.5, 2), (1.0, 2), (1.01, 3), (2.0, 3), (4.2, 6)]
)
def test_update_arrives_in_the_round_in_which_its_time_is_over(duration, lands):
    flights = Flights()
    flights.start(2, {4: update(5.0)}, RECEIVED, 0, {4: duration})
    for round_ in range(2, 8):
        assert flights.busy(6).tolist() == [False] * 4 + [round_ <= lands, False]
        assert list(flights.land(round_)) == ([4] if round_ == lands else [])


def test_updates_land_in_the_order_of_their_arrival():
    flights = Flights()
    durations = {1: 2.5, 2: 2.2, 3: 3.0}
    flights.start(1, {d: update(1.0) for d in durations}, RECEIVED, 0, durations)
    later = {7: 1.2, 0: 1.1, 5: 1.5}  # from the second round on: 2.2, 2.1 and 2.5
    flights.start(2, {d: update(1.0) for d in later}, RECEIVED, 0, later)
    assert list(flights.land(2)) == []
    assert list(flights.land(3)) == [0, 2, 7, 1, 5, 3]
    assert list(flights.land(9)) == []


def test_flights_that_were_restored_land_as_the_others(tmp_path):
    def begun():
        flights = Flights()
        for round_, device in enumerate([12, 3, 7], start=1):
            given = {device: update(float(device), device)}
            flights.start(round_, given, RECEIVED, round_ - 1, {device: 6.0 - device / 8})
        return flights

    one, other = begun(), Flights()
    save_file(one.snapshot(), tmp_path / "flights")
    other.restore(load_file(tmp_path / "flights"))
    np.testing.assert_array_equal(one.busy(20), other.busy(20))
    for round_ in range(1, 10):
        ours, theirs = one.land(round_), other.land(round_)
        assert list(ours) == list(theirs)
        for device, landed in ours.items():
            again = theirs[device]
            assert again.arrays["w"].tobytes() == landed.arrays["w"].tobytes()
            told = (landed.examples, landed.loss, landed.told)
            assert told == (again.examples, again.loss, again.told)
    assert not one.busy(20).any()
    empty = Flights()
    empty.restore({})
    assert empty.land(9) == {}

"""A lost worker takes a run back to its last checkpoint, from which it goes on by itself."""

import itertools

import pytest

from clients.errors import RunFailed
from simulator.running.fleet import Fleet
from simulator.running.scenario_run import run_scenario
from simulator.scenario.file import load_scenario
from tests.simulator.conftest import Heard
from tests.simulator.made_kills import KEYS, Failing, assert_same_bytes, logged

FEW = [*KEYS[1:], 'arms=[{name="local", method="local"}, {name="half", method="fedavg"}]']


@pytest.fixture(scope="module")
def whole(small_file, fleet, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    run_scenario(load_scenario(small_file, FEW), folder, fleet, Heard())
    return folder


def run_with(workers, small_file, folder):
    folder.mkdir()
    heard = Heard()
    run_scenario(load_scenario(small_file, FEW), folder, Fleet(workers), heard)
    return heard


@pytest.mark.parametrize("first", [1, 6, 11])
def test_lost_again_and_again_in_any_part_it_leaves_the_same_bytes(
    whole, small_file, first, tmp_path
):
    count = itertools.count()
    workers = Failing(lambda *_: next(count) % 17 == first)  # it gets to a checkpoint in between
    heard = run_with(workers, small_file, tmp_path / "run")
    assert workers.renewed >= 5
    assert_same_bytes(whole, tmp_path / "run")
    assert len(logged(tmp_path / "run", "worker lost")) == workers.renewed
    assert any("a worker was lost in round" in note for note in heard.notes)
    assert heard.advances == 2 * 2 * 3


def test_lost_again_and_again_at_one_place_the_run_stops(small_file, tmp_path):
    workers = Failing(lambda method, number: method == "work" and number > 2)
    told = r'5 times in a row in round 3 of arm "local".*wearfleet resume'
    with pytest.raises(RunFailed, match=told):
        run_with(workers, small_file, tmp_path / "run")
    assert workers.renewed == 4
    assert (tmp_path / "run" / "checkpoints" / "local" / "0" / "00002").is_dir()


def test_lost_again_and_again_before_the_first_round_it_stops_too(small_file, tmp_path):
    workers = Failing(lambda method, _: method == "prepare")
    with pytest.raises(RunFailed, match="5 times in a row while base models were made"):
        run_with(workers, small_file, tmp_path / "run")

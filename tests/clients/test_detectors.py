"""What devices notice from the answers that they get."""

import subprocess
import sys
from itertools import pairwise
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import drift
from river.drift import binary

from clients.detectors import DETECTORS, Watch, alarms

RIVER = {
    "adwin": lambda s, _: drift.ADWIN(delta=s, clock=1, min_window_length=5, grace_period=10),
    "page-hinkley": lambda s, _: drift.PageHinkley(
        threshold=s, min_instances=16, delta=0.005, mode="up"
    ),
    "ddm": lambda s, _: binary.DDM(drift_threshold=s, warm_start=30),
    "eddm": lambda s, _: binary.EDDM(beta=s, alpha=1.0, warm_start=8),
    "hddm-a": lambda s, _: binary.HDDMA(drift_confidence=s),
    "hddm-w": lambda s, _: binary.HDDMW(drift_confidence=s, lambda_val=0.05),
    "kswin": lambda s, seed: drift.KSWIN(alpha=s, window_size=50, stat_size=20, seed=seed),
}
EAGER = {"kswin": 0.1, "adwin": 0.5, "page-hinkley": 3.0, "ddm": 2.0, "eddm": 0.8}


def eager(name):
    return EAGER.get(name, 0.1)


def stream(random, count, rises=2):
    """Draw 0/1 values whose share of ones changes now and then."""
    shares = np.repeat(random.choice([0.05, 0.3, 0.8], rises + 1), -(-count // (rises + 1)))
    return (random.random(count) < shares[:count]).astype(np.int8)


def rivers(name, strength, errors, seed):
    """Run River's own object."""
    detector, places = RIVER[name](strength, seed), []
    for place, error in enumerate(errors.tolist()):
        detector.update(error)
        if detector.drift_detected:
            places.append(place)
    return places


def cut(random, count):
    """Cut a stream into parts of 0 to 12 values."""
    cuts = np.cumsum(random.integers(0, 13, count))
    return [0, *cuts[cuts < count].tolist(), count]


def collected(watch, errors, ends):
    """Update in parts and collect each device's alarms by the number of values seen."""
    found = [[] for _ in errors]
    for first, stop in pairwise(ends):
        for own, place in zip(found, watch.update(errors[:, first:stop]).tolist(), strict=True):
            own += [place] if place >= 0 else []
    return found


@pytest.mark.parametrize("name", DETECTORS)
def test_alarms_are_those_of_river(name):
    random = np.random.default_rng(1)
    fired = 0
    for strength in (eager(name), *DETECTORS[name].grid[1::5]):
        for seed in range(2 if name == "kswin" else 6):
            errors = stream(random, 200)
            expected = rivers(name, strength, errors, seed)
            assert alarms(name, strength, errors, seed).tolist() == expected
            fired += len(expected)
    assert fired > 5


@pytest.mark.parametrize("name", [name for name in DETECTORS if name != "kswin"])
@given(st.lists(st.integers(0, 1), max_size=150), st.data())
@settings(max_examples=20)
def test_alarms_are_those_of_river_on_any_stream(name, errors, data):
    errors = np.array(errors, np.int8)
    strength = data.draw(st.sampled_from(DETECTORS[name].grid[1:]))
    assert alarms(name, strength, errors).tolist() == rivers(name, strength, errors, 0)


@pytest.mark.parametrize("name", DETECTORS)
def test_a_grid_leads_from_mute_to_eager_within_150_values(name):
    errors = np.repeat(np.tile(np.array([0, 1], np.int8), 1), 75)
    errors[[5, 20, 40, 50]] = 1
    kind = DETECTORS[name]
    assert alarms(name, kind.grid[0], errors).size == 0
    assert alarms(name, kind.grid[-1], errors).size > 0
    falls = name in ("page-hinkley", "ddm")
    assert list(kind.grid) == sorted(set(kind.grid), reverse=falls)


@pytest.mark.parametrize("name", DETECTORS)
def test_a_device_with_fewer_errors_raises_no_alarm_but_in_two_sided_tests(name):
    errors = (np.random.default_rng(3).random(150) < np.repeat([0.6, 0.02], 75)).astype(np.int8)
    two_sided = name in ("adwin", "kswin")
    assert (alarms(name, eager(name), errors).size > 0) == two_sided


@pytest.mark.parametrize("name", DETECTORS)
def test_devices_together_are_each_as_one_alone_however_their_streams_are_cut(name):
    random = np.random.default_rng(2)
    errors = np.stack([stream(random, 160) for _ in range(5)])
    errors[random.random(errors.shape) < 0.2] = -1  # no answer
    errors[3] = -1  # nobody answers
    one_by_one = collected(Watch(5, name, eager(name), 7), errors, list(range(161)))
    for own, found in zip(errors, one_by_one, strict=True):
        answered = own[own >= 0]
        assert found == (alarms(name, eager(name), answered, 7) + 1).tolist()
        assert [np.flatnonzero(own >= 0)[n - 1] for n in found] == alarms(
            name, eager(name), own, 7
        ).tolist()
    assert sum(map(len, one_by_one)) > 2
    values = (errors >= 0).cumsum(axis=1)
    for ends in (cut(random, 160), [0, 160]):
        in_parts = collected(Watch(5, name, eager(name), 7), errors, ends)
        for device, found in enumerate(one_by_one):
            seen = [0, *values[device][np.array(ends[1:]) - 1].tolist()]
            parts = np.searchsorted(seen, found)  # of several alarms in a part the first is told
            assert in_parts[device] == [
                n for i, n in enumerate(found) if i == 0 or parts[i] != parts[i - 1]
            ]


@pytest.mark.parametrize("name", DETECTORS)
def test_a_restored_watch_raises_the_same_alarms(name):
    random = np.random.default_rng(4)
    errors = np.stack([stream(random, 160) for _ in range(4)])
    errors[random.random(errors.shape) < 0.3] = -1
    watch = Watch(4, name, eager(name), 7)
    ends = [0, 9, 30, 75]
    collected(watch, errors, ends)
    kept = watch.snapshot()
    later = list(range(75, 161))
    expected = collected(watch, errors, later)
    assert any(expected)
    other = Watch(4, name, eager(name), 7)
    other.update(1 - np.maximum(errors, 0))  # forgotten when restored
    other.restore(kept)
    assert other.snapshot()["errors"].tolist() == kept["errors"].tolist()
    assert collected(other, errors, later) == expected
    assert other.snapshot()["errors"].tolist() == watch.snapshot()["errors"].tolist()


def test_a_snapshot_holds_what_each_device_was_given():
    watch = Watch(3, "adwin", 0.1)
    watch.update(np.array([[0, -1, 1], [-1, -1, -1], [1, 1, 1]], np.int8))
    watch.update(np.array([[-1, 0], [-1, 1], [-1, -1]], np.int8))
    kept = watch.snapshot()["errors"]
    assert kept.tolist() == [[0, 1, 0], [1, -1, -1], [1, 1, 1]]
    assert kept.dtype == np.int8
    assert watch.seen.tolist() == [3, 1, 3]


def test_nothing_given_is_nothing_noticed():
    assert alarms("ddm", 3.0, np.zeros(0, np.int8)).tolist() == []
    watch = Watch(2, "kswin", 0.1)
    assert watch.update(np.full((2, 8), -1, np.int8)).tolist() == [-1, -1]
    assert watch.update(np.zeros((2, 0), np.int8)).tolist() == [-1, -1]
    assert watch.snapshot()["errors"].shape == (2, 0)
    watch.restore(watch.snapshot())
    assert watch.seen.tolist() == [0, 0]
    assert Watch(0, "adwin", 0.1).update(np.zeros((0, 4), np.int8)).shape == (0,)


def test_ddm_alarms_at_the_first_error_after_a_start_without_any_unless_mute():
    errors = np.zeros(60, np.int8)
    errors[45] = 1
    assert alarms("ddm", 100.0, errors).tolist() == [45]
    assert alarms("ddm", inf, errors).tolist() == []


def test_river_is_not_loaded_until_a_detector_is_made():
    code = "import sys, clients.detectors; print(sorted({'river', 'scipy.stats'} & {*sys.modules}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"

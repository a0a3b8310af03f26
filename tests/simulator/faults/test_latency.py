"""How long updates take: worked out by hand, and spread as the scenario says."""

import numpy as np
import pytest

from simulator.faults.latency import paces_of
from simulator.scenario.fault_table import Faults

MANY = np.arange(500, 20_500)
FEW = np.array([4, 9])


def paces(devices=FEW, seed=3, **keys):
    return paces_of(Faults.model_validate(keys), seed, devices)


def took_s(gradients, bytes_moved, devices=FEW, **keys):
    given = np.array(gradients, np.int32), np.array(bytes_moved)
    return paces(devices, **keys).took_s(*given).tolist()


@pytest.mark.parametrize(
    ("keys", "first", "second"),
    [
        ({}, 0.0, 0.0),
        # Half a round of 40 s, whatever a device does.
        ({"duration_rounds": 0.5, "round_s": 40.0}, 20.0, 20.0),
        # A quarter of a second for each of 8 gradients, and of none.
        ({"step_s": 0.25}, 2.0, 0.0),
        # 6 KiB and 1 KiB at 2 KiB/s.
        ({"bandwidth_kib_s": 2.0}, 3.0, 0.5),
        # There and back.
        ({"latency_s": 1.5}, 3.0, 3.0),
        (
            {
                "duration_rounds": 0.5, "round_s": 40.0, "step_s": 0.25, "bandwidth_kib_s": 2.0,
                "latency_s": 1.5,
            },
            28.0, 23.5,
        ),
    ],
)  # fmt: skip
def test_time_is_that_of_the_work_the_steps_the_bytes_and_the_messages(keys, first, second):
    assert took_s([8, 0], [6 * 1024, 1024], **keys) == [first, second]


SPREADS = [
    ("work_s", {"duration_rounds": 0.5, "round_s": 40.0, "speed": 0.6}, 20.0, 0.6),
    ("step_s", {"step_s": 0.25, "speed": 0.6}, 0.25, 0.6),
    ("byte_s", {"bandwidth_kib_s": 4.0, "bandwidth_spread": 1.1}, 1.0 / 4096.0, 1.1),
    ("latency_s", {"latency_s": 2.0, "latency_spread": 0.3}, 2.0, 0.3),
]


@pytest.mark.parametrize(("name", "keys", "median", "spread"), SPREADS)
def test_devices_differ_lognormally_around_the_median(name, keys, median, spread):
    logs = np.log(getattr(paces(MANY, **keys), name) / median)
    assert np.median(logs) == pytest.approx(0.0, abs=0.03 * spread)
    assert np.std(logs) == pytest.approx(spread, rel=0.02)
    # A normal distribution has 2.3% beyond two standard deviations, on either side.
    for beyond in (logs > 2.0 * spread, logs < -2.0 * spread):
        assert np.mean(beyond) == pytest.approx(0.0228, abs=0.004)


@pytest.mark.parametrize(("name", "keys", "median", "spread"), SPREADS)
def test_devices_are_alike_without_a_spread(name, keys, median, spread):
    del spread
    alike = {key: value for key, value in keys.items() if key not in ("speed", "bandwidth_spread")}
    alike.pop("latency_spread", None)
    assert set(getattr(paces(**alike), name)) == {median}


def test_a_slow_device_works_and_steps_slowly_whatever_its_network_is_like():
    every = {
        "duration_rounds": 1.0, "round_s": 1.0, "step_s": 1.0, "speed": 1.0,
        "bandwidth_kib_s": 1.0, "bandwidth_spread": 1.0, "latency_s": 1.0, "latency_spread": 1.0,
    }  # fmt: skip
    found = paces(MANY, **every)
    np.testing.assert_array_equal(found.work_s, found.step_s)
    together = np.corrcoef(np.log([found.work_s, found.byte_s, found.latency_s])) - np.eye(3)
    assert np.abs(together).max() < 5.0 / np.sqrt(MANY.size)


def test_a_device_is_as_fast_whoever_else_is_asked_about():
    keys = {"step_s": 1.0, "speed": 0.7, "latency_s": 2.0, "latency_spread": 0.7}
    whole, some = paces(MANY, **keys), paces(MANY[[70, 8]], **keys)
    assert some.step_s.tolist() == whole.step_s[[70, 8]].tolist()
    assert some.latency_s.tolist() == whole.latency_s[[70, 8]].tolist()
    assert (paces(MANY, seed=4, **keys).step_s != whole.step_s).all()


def test_a_bandwidth_without_an_end_takes_no_time():
    assert set(paces(MANY, bandwidth_spread=2.0).byte_s) == {0.0}

"""Who wears devices, and what they measure."""

import numpy as np
import pytest

from clients.pool import build_pool
from clients.stream import cut_questions, deal_streams
from clients.variation import Strength, draw_variations
from clients.wear import Wear
from tests.clients.made_people import ACTIVITIES, people_of

STRENGTH = Strength(tilt_deg=30.0, gain=1.3, cadence=1.2, noise=0.3)


def wear_of(devices):
    """Make the devices of two people; device d is worn by person d modulo 2."""
    pool = build_pool(people_of([[60]], [[40]]), ACTIVITIES, length=4, hop=4, holdout=0.25)
    table = cut_questions(pool, order="bouts", bout_windows=2, batch=2)
    devices = np.array(devices)
    users = devices % 2
    return Wear(
        devices,
        [f"device {device}" for device in devices],
        [pool.users[user] for user in users],
        pool,
        deal_streams(table, 7, devices, users),
        pool.holdout[users],
        draw_variations(7, devices, 2, STRENGTH, 4),
    )


@pytest.mark.parametrize("devices", [[0, 1], [0, 5, 3, 2]], ids=["as recorded", "variations"])
def test_taken_devices_are_worn_as_they_are_alone(devices):
    wear, rows = wear_of(devices), [len(devices) - 1, 0]
    taken, alone = wear.take(rows), wear_of([devices[row] for row in rows])
    assert (len(wear), len(taken)) == (len(devices), 2)
    assert taken.devices.tolist() == alone.devices.tolist()
    assert (taken.names, taken.users) == (alone.names, alone.users)
    assert taken.holdout.tolist() == alone.holdout.tolist()
    windows, label = taken.streams.in_round(1, 2)
    expected, _ = alone.streams.in_round(1, 2)
    assert windows.tolist() == expected.tolist()
    assert label.tolist() == wear.streams.in_round(1, 2)[1][rows].tolist()
    assert taken.read(windows).tobytes() == alone.read(windows).tobytes()


def test_devices_of_one_person_meet_the_same_questions_in_orders_of_their_own():
    streams = wear_of([0, 2, 4, 6]).streams
    orders = streams.questions.tolist()
    assert all(sorted(order) == sorted(orders[0]) for order in orders)
    assert len({tuple(order) for order in orders}) == 4


def test_windows_are_read_as_the_devices_measure_them():
    wear, windows = wear_of([0, 5, 3]), np.array([[0, 1], [2, 0], [2, 1]], np.int32)
    read = wear.read(windows)
    assert read[0].tobytes() == wear.pool.read(windows[0]).tobytes()
    assert read.tobytes() == wear.variations.read(wear.pool, windows).tobytes()
    assert read[1, 1].tobytes() != read[0, 0].tobytes()


def test_some_devices_read_as_they_do_among_all():
    for devices in ([0, 1, 0], [0, 5, 3]):
        wear, windows = wear_of(devices), np.array([[0, 1], [2, 0], [2, 1]], np.int32)
        rows = np.array([2, 0, 2])
        assert wear.read(windows[rows], rows).tobytes() == wear.read(windows)[rows].tobytes()


@pytest.mark.parametrize("devices", [[0, 1], [5, 1]], ids=["as recorded", "variations"])
def test_any_window_stands_in_for_one_that_is_not_there(devices):
    wear = wear_of(devices)
    there = wear.read(np.array([[3, 1], [2, 1]], np.int32))
    read = wear.read(np.array([[3, -1], [-1, 1]], np.int32))
    assert read.shape == (2, 2, 4, 3)
    assert np.isfinite(read).all()
    assert read[0, 0].tobytes() == there[0, 0].tobytes()
    assert read[1, 1].tobytes() == there[1, 1].tobytes()

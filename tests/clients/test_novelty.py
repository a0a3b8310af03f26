"""What devices notice from their inputs alone."""

from itertools import pairwise
from math import inf

import numpy as np
import pytest

from clients.errors import BadInput
from clients.novelty import STRENGTHS, Expected, Novelty, expect, summarize
from clients.synthetic import synthesize

ACTIVITIES = ("walking", "jogging", "stairs", "sitting", "standing")
RATE_HZ, LENGTH, BOUT = 20.0, 80, 8
DONORS, WEARERS = 6, 6
STRENGTH = 9.25
LONG_ENOUGH = 48  # windows after which a device tells novelty


def bouts_of(recordings):
    """Cut recordings into bouts of windows: float32 [8, 80, 3] each."""
    bouts = []
    for recording in recordings:
        count = len(recording.samples) // LENGTH // BOUT
        bouts += list(recording.samples[: count * BOUT * LENGTH].reshape(count, BOUT, LENGTH, 3))
    return bouts


@pytest.fixture(scope="module")
def people():
    """Everybody's bouts."""
    recordings = synthesize(DONORS + WEARERS, ACTIVITIES, rate_hz=RATE_HZ, seed=3, minutes=2.2)
    users = sorted({recording.user for recording in recordings})
    return [bouts_of([r for r in recordings if r.user == user]) for user in users]


@pytest.fixture(scope="module")
def expected(people):
    return expect([[summarize(bout) for bout in own] for own in people[:DONORS]], seed=1)


@pytest.fixture(scope="module")
def streams(people):
    """The wearers' windows in random order of bouts: float32 [D, N, 80, 3]."""
    random = np.random.default_rng(5)
    return np.stack(
        [np.concatenate([own[i] for i in random.permutation(len(own))]) for own in people[DONORS:]]
    )


def turned(windows, angle_deg, axis):
    """Turn windows about an axis."""
    a, b = (i for i in range(3) if i != axis)
    angle = np.radians(angle_deg)
    turn = np.eye(3)
    turn[a, a] = turn[b, b] = np.cos(angle)
    turn[a, b], turn[b, a] = np.sin(angle), -np.sin(angle)
    return (windows @ turn).astype(np.float32)


def drifted(streams, angle_deg, axis):
    """Turn devices about an axis from the middle of their streams on."""
    middle = streams.shape[1] // 2
    return np.concatenate(
        [streams[:, :middle], turned(streams[:, middle:], angle_deg, axis)], axis=1
    )


def collected(device, summaries, there=None, ends=None):
    """Update in parts and collect each device's alarms by the number of windows seen."""
    there = np.ones(summaries.shape[:2], np.bool_) if there is None else there
    ends = [*range(0, summaries.shape[1], 16), summaries.shape[1]] if ends is None else ends
    found = [[] for _ in summaries]
    for first, stop in pairwise(ends):
        alarms = device.update(summaries[:, first:stop], there[:, first:stop])
        for own, place in zip(found, alarms.tolist(), strict=True):
            own += [place] if place >= 0 else []
    return found


class PlainNovelty:
    """The same for one device, one window at a time, as the module's docstring has it."""

    def __init__(self, expected, strength):
        self.expected, self.strength = expected, strength
        self.windows, self.start, self.sum = [], 0, 0.0

    def takes(self, summary):
        """Take a window and tell whether it raises an alarm."""
        place, now = len(self.windows), summary / self.expected.scale
        self.windows.append(now)
        known = self.windows[max(self.start, place - 160, 0) : max(place - 23, 0)]
        if len(known) < 24:
            return False
        apart = np.square(np.array(known, np.float64) - now)
        lies, moves = (
            np.log(np.sqrt(part.mean(axis=1).min()) + 0.05)
            for part in (apart[:, :-4], apart[:, -4:])
        )
        usual = self.expected.weights @ [1.0, np.log(len(known)), moves]
        novelty = (lies - usual) / self.expected.deviation
        self.sum = max(0.0, self.sum + min(novelty, 1.0) - 0.4)
        if self.sum <= self.strength:
            return False
        self.start, self.sum = place - 23, 0.0
        return True


@pytest.mark.parametrize("strength", [3.25, STRENGTH, inf])
def test_alarms_are_those_of_a_plain_device(expected, streams, strength):
    long = np.concatenate([drifted(streams, 90.0, 0), streams[::-1]], axis=1)
    summaries = summarize(long)
    device = Novelty(WEARERS, expected, strength)
    plain = [PlainNovelty(expected, strength) for _ in range(WEARERS)]
    fired = 0
    for i in range(summaries.shape[1]):
        alarms = device.update(summaries[:, i : i + 1], np.ones((WEARERS, 1), np.bool_))
        taken = [own.takes(window) for own, window in zip(plain, summaries[:, i], strict=True)]
        assert (alarms == i + 1).tolist() == taken
        np.testing.assert_allclose(device.sum, [own.sum for own in plain], atol=1e-3)
        fired += sum(taken)
    assert (fired > 0) == (strength < inf)


def test_a_device_that_stays_as_it_was_is_silent_and_a_turned_one_is_noticed(expected, streams):
    assert collected(Novelty(WEARERS, expected, STRENGTH), summarize(streams)) == [[]] * WEARERS
    middle = streams.shape[1] // 2
    noticed = []
    for axis in range(3):
        device = Novelty(WEARERS, expected, STRENGTH)
        alarms = collected(device, summarize(drifted(streams, 90.0, axis)))
        assert all(place > middle for own in alarms for place in own)
        noticed += [bool(own) and own[0] <= middle + 40 for own in alarms]
    assert np.mean(noticed) >= 0.9


def test_other_changes_of_what_is_measured_are_noticed_too(expected, streams):
    middle = streams.shape[1] // 2
    for change in (
        lambda x: 1.4 * x,  # gain
        lambda x: x + np.float32([3.0, 0.0, 3.0]),  # bias
        lambda x: x * np.float32([-1.0, 1.0, 1.0]),  # the other wrist
        lambda x: x[::-1],  # another user
    ):
        changed = np.concatenate([streams[:, :middle], change(streams[:, middle:])], axis=1)
        alarms = collected(Novelty(WEARERS, expected, STRENGTH), summarize(changed))
        assert np.mean([bool(own) for own in alarms]) > 0.6


def test_a_turn_by_nothing_changes_nothing(expected, streams):
    alarms = [
        collected(Novelty(WEARERS, expected, 3.25), summarize(windows))
        for windows in (streams, drifted(streams, 0.0, 1), drifted(streams, 360.0, 1))
    ]
    assert any(alarms[0])  # so eager that there are false ones
    assert alarms[0] == alarms[1] == alarms[2]


def test_strengths_lead_from_mute_to_eager(expected, streams):
    summaries = summarize(drifted(streams, 90.0, 0))
    assert list(STRENGTHS) == sorted(set(STRENGTHS), reverse=True)
    assert STRENGTHS[0] == inf
    assert [s for s in STRENGTHS[1:] if abs(s / 0.6 - round(s / 0.6)) < 1e-6] == []
    counts = [
        sum(map(len, collected(Novelty(WEARERS, expected, strength), summaries)))
        for strength in (STRENGTHS[0], STRENGTHS[1], STRENGTH, STRENGTHS[-1])
    ]
    assert counts[:2] == [0, 0]
    assert WEARERS / 2 < counts[2] < counts[3]


def test_nothing_is_told_before_enough_is_known(expected):
    random = np.random.default_rng(1)
    wild = random.normal(0.0, 100.0, (2, 60, expected.scale.size)).astype(np.float32)
    alarms = collected(Novelty(2, expected, 0.0), wild, ends=list(range(61)))
    assert [own[0] for own in alarms] == [LONG_ENOUGH, LONG_ENOUGH]


def test_a_device_rests_after_an_alarm(expected):
    random = np.random.default_rng(1)
    wild = random.normal(0.0, 100.0, (1, 120, expected.scale.size)).astype(np.float32)
    (places,) = collected(Novelty(1, expected, 0.0), wild, ends=list(range(121)))
    assert places == [48, 72, 96, 120]


def test_a_device_gets_used_to_what_has_come_to_stay(expected, people):
    """One alarm, not one after the other."""
    bout = people[DONORS][0]
    random = np.random.default_rng(2)
    windows = [bout[random.integers(BOUT, size=80)], turned(bout, 90.0, 2)[[*range(8)] * 10]]
    stream = summarize(np.concatenate(windows)[None])
    (alarms,) = collected(Novelty(1, expected, STRENGTH), stream, ends=list(range(161)))
    assert len(alarms) == 1


def test_how_devices_are_put_together_and_updates_cut_does_not_matter(expected, streams):
    summaries = summarize(drifted(streams, 90.0, 2))
    random = np.random.default_rng(3)
    there = random.random(summaries.shape[:2]) < 0.9
    there[4] = False  # a device that is not worn
    count = summaries.shape[1]
    device = Novelty(WEARERS, expected, 4.25)
    together = collected(device, summaries, there, list(range(count + 1)))
    assert sum(map(len, together)) > 3
    for ends in ([0, 1, 1, 30, 31, 47, 88, count], [0, count]):
        other = Novelty(WEARERS, expected, 4.25)
        in_parts = collected(other, summaries, there, ends)
        for own, found in zip(together, in_parts, strict=True):
            assert found[:1] == own[:1]
            assert set(found) <= set(own)
        for name, value in device.snapshot().items():
            np.testing.assert_array_equal(other.snapshot()[name], value, name)
    for i in range(WEARERS):
        alone = Novelty(1, expected, 4.25)
        windows = summaries[i : i + 1, there[i]]  # as if those that are absent had never been
        assert collected(alone, windows, ends=list(range(windows.shape[1] + 1))) == [together[i]]
        assert alone.sum[0] == device.sum[i]


def test_a_restored_device_raises_the_same_alarms(expected, streams):
    summaries = summarize(drifted(streams, 90.0, 0))
    there = np.ones(summaries.shape[:2], np.bool_)
    device = Novelty(WEARERS, expected, 5.25)
    device.update(summaries[:, :70], there[:, :70])
    kept = device.snapshot()
    later = [*range(70, summaries.shape[1], 7), summaries.shape[1]]
    alarms = collected(device, summaries, there, later)
    assert any(alarms)
    other = Novelty(WEARERS, expected, 5.25)
    other.update(-summaries[:, :90], there[:, :90])  # forgotten when restored
    other.restore(kept)
    assert collected(other, summaries, there, later) == alarms
    for name, value in device.snapshot().items():
        np.testing.assert_array_equal(other.snapshot()[name], value, name)


def test_a_long_stream_forgets_its_oldest_windows_alike_however_it_is_cut(expected):
    random = np.random.default_rng(4)
    summaries = random.normal(size=(2, 500, expected.scale.size)).astype(np.float32)
    summaries = summaries * expected.scale * 3
    there = np.ones((2, 500), np.bool_)
    one, other = (Novelty(2, expected, 3.25) for _ in range(2))
    collected(one, summaries, there, list(range(501)))
    collected(other, summaries, there, [*range(0, 500, 24), 500])
    for name, value in one.snapshot().items():
        np.testing.assert_array_equal(other.snapshot()[name], value, name)


def test_windows_that_are_not_finite_are_passed_over(expected, streams):
    summaries = summarize(drifted(streams, 90.0, 2))
    there = np.ones(summaries.shape[:2], np.bool_)
    there[:, 5::7] = False
    device, other = (Novelty(WEARERS, expected, 5.25) for _ in range(2))
    alarms = collected(device, summaries, there)
    broken = summaries.copy()
    broken[:, 5::14, 3], broken[:, 12::14, 0] = np.nan, np.inf
    assert collected(other, broken) == alarms
    assert any(alarms)


def test_nothing_given_is_nothing_noticed(expected):
    device = Novelty(3, expected, STRENGTH)
    size = expected.scale.size
    none = device.update(np.zeros((3, 8, size), np.float32), np.zeros((3, 8), np.bool_))
    assert none.tolist() == [-1, -1, -1]
    none = device.update(np.zeros((3, 0, size), np.float32), np.zeros((3, 0), np.bool_))
    assert none.tolist() == [-1, -1, -1]
    assert device.seen.tolist() == [0, 0, 0]
    empty = Novelty(0, expected, STRENGTH)
    alarms = empty.update(np.zeros((0, 8, size), np.float32), np.zeros((0, 8), np.bool_))
    assert alarms.shape == (0,)


def test_a_summary_by_hand():
    window = np.array([[3.0, 4.0, 0.0], [3.0, 4.0, 12.0]], np.float32)
    mean, spread, step = [3.0, 4.0, 6.0], [0.0, 0.0, 6.0], [0.0, 0.0, 12.0]
    in_all = [6.0, 4.0]  # deviation, and that of the norms 5 and 13, whose step is 8
    pull = (np.sqrt(61.0) - 9.81) / 6.3
    softened = [*np.add(spread, 0.15), *np.add(step, 0.1), *np.add(in_all, 0.15), 8.1, 12.1]
    logs = np.log(softened)
    found = summarize(window)
    np.testing.assert_allclose(found, [*mean, *logs[:6], pull, *logs[6:]], rtol=1e-5)
    assert found.dtype == np.float32


def test_no_turn_changes_the_numbers_of_movement(streams):
    before, after = summarize(streams[0]), summarize(turned(streams[0], 70.0, 1))
    np.testing.assert_allclose(after[:, -5:], before[:, -5:], atol=2e-3)
    assert np.abs(after[:, :3] - before[:, :3]).max() > 5


@pytest.mark.parametrize("shape", [(7, 1, 43), (3, 4, 32, 3), (2, 0, 80, 3), (5, 1, 1)])
def test_windows_of_any_channels_and_length_are_summed_up(shape):
    random = np.random.default_rng(6)
    windows = random.normal(size=shape).astype(np.float32)
    summaries = summarize(windows)
    assert summaries.shape == (*shape[:-2], 3 * shape[-1] + 5)
    assert np.isfinite(summaries).all()
    if shape[-2] == 1:
        np.testing.assert_array_equal(summaries[..., : shape[-1]], windows[..., 0, :])


def test_rows_of_features_are_watched_too():
    """Rows that stay as they were, and rows of which some columns move away."""
    random = np.random.default_rng(7)
    centres = random.normal(size=(4, 43)) * 3

    def stream(count):
        rows = centres[np.repeat(random.integers(4, size=count // 8), 8)]
        return (rows + random.normal(size=rows.shape)).astype(np.float32)[:, None]

    expected = expect([[summarize(stream(8)) for _ in range(20)] for _ in range(4)], seed=1)
    same = np.stack([stream(160) for _ in range(6)])
    moved = same.copy()
    moved[:, 80:, :, :6] += 8
    assert collected(Novelty(6, expected, STRENGTH), summarize(same)[:, :, :]) == [[]] * 6
    alarms = collected(Novelty(6, expected, STRENGTH), summarize(moved))
    assert all(own and 80 < own[0] <= 120 for own in alarms)


def test_what_is_expected_depends_on_the_seed_and_the_donors_alone(people, expected):
    bouts = [[summarize(bout) for bout in own] for own in people[:DONORS]]
    again = expect(bouts, seed=1)
    np.testing.assert_array_equal(again.scale, expected.scale)
    np.testing.assert_array_equal(again.weights, expected.weights)
    assert again.deviation == expected.deviation
    assert expect(bouts, seed=2).weights.tolist() != expected.weights.tolist()
    assert expected.scale.dtype == np.float32
    assert (expected.scale > 0).all()


def test_donors_with_too_few_windows_are_refused(people):
    few = [[summarize(bout) for bout in own[:6]] for own in people[:DONORS]]
    with pytest.raises(BadInput, match="no donor has more than 48 windows"):
        expect(few, seed=1)


def test_numbers_that_never_change_are_no_obstacle():
    rows = np.ones((3, 20, 8, 5), np.float32)
    expected = expect([list(own) for own in rows], seed=1)
    assert isinstance(expected, Expected)
    assert np.isfinite(expected.weights).all()
    device = Novelty(2, expected, STRENGTH)
    assert collected(device, np.ones((2, 100, 5), np.float32)) == [[], []]

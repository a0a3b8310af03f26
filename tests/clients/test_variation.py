"""Variations: windows as other devices of the same user would have measured them."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from clients.pool import build_pool
from clients.variation import Strength, Variations, as_recorded, draw_variations
from tests.clients.made_people import ACTIVITIES, SIZES, recording_of

USERS = 2
FULL = Strength(tilt_deg=25.0, gain=1.2, cadence=1.15, noise=0.4)
PLAIN = Strength(tilt_deg=0.0, gain=1.0, cadence=1.0, noise=0.0)


def pool_of(*sizes, length=40, hop=40, holdout=0.0, samples=None):
    """Make the pool of one person; a recording is the sizes of its segments."""
    random = np.random.default_rng(3)
    own = [
        recording_of(s, samples=random.normal(size=(sum(s), 3)) if samples is None else samples)
        for s in sizes
    ]
    return build_pool({"1": own}, ACTIVITIES, length=length, hop=hop, holdout=holdout)


def drawn(devices, strength=FULL, *, seed=7, length=40):
    variations = draw_variations(seed, np.array(devices), USERS, strength, length)
    assert variations is not None
    return variations


def paced(*cadences, length):
    """Make devices that differ from the recordings by their cadence alone."""
    none = as_recorded(7, len(cadences), length)
    return replace(none, cadence=np.array(cadences, np.float64))


def all_of(pool, devices):
    """Give the numbers of all windows to each of some devices: int32 [D, W]."""
    return np.tile(np.arange(len(pool.windows), dtype=np.int32), (devices, 1))


def test_the_first_device_of_each_user_measures_what_was_recorded():
    pool, variations = pool_of([400]), drawn([0, 5, 1, 7])
    read = variations.read(pool, all_of(pool, 4))
    for device in (0, 2):
        assert read[device].tobytes() == pool.read(all_of(pool, 1)[0]).tobytes()
    for device in (1, 3):
        assert np.abs(read[device] - pool.read(all_of(pool, 1)[0])).max() > 0.1


def test_there_are_no_variations_where_every_device_is_the_first_of_its_user():
    for devices in ([0], [1], [0, 1]):
        assert draw_variations(7, np.array(devices), USERS, FULL, 40) is None


def test_variations_without_strength_are_none():
    assert draw_variations(3, np.array([4, 9]), 2, PLAIN, 40) is None


def test_turning_keeps_the_norm_of_every_sample():
    pool = pool_of([400])
    read = drawn(range(2, 12), replace(PLAIN, tilt_deg=60.0)).read(pool, all_of(pool, 10))
    plain = pool.read(all_of(pool, 10))
    norms = [np.linalg.norm(values, axis=-1) for values in (read, plain)]
    np.testing.assert_allclose(*norms, rtol=1e-5)
    assert np.abs(read - plain).max() > 0.5


def test_gain_scales_every_sample():
    pool, variations = pool_of([400]), drawn(range(2, 12), replace(PLAIN, gain=1.3))
    gain = variations.turn[:, 0, 0]
    expected = gain[:, None, None, None] * pool.read(all_of(pool, 10))
    np.testing.assert_allclose(variations.read(pool, all_of(pool, 10)), expected, rtol=1e-6)
    assert np.ptp(gain) > 0.1


def test_turn_and_gain_go_together():
    pool, variations = pool_of([400]), drawn(range(2, 12), replace(FULL, cadence=1.0, noise=0.0))
    gain = np.cbrt(np.linalg.det(variations.turn))
    read, plain = variations.read(pool, all_of(pool, 10)), pool.read(all_of(pool, 10))
    norms = [np.linalg.norm(values, axis=-1) for values in (read, plain)]
    np.testing.assert_allclose(norms[0], gain[:, None, None] * norms[1], rtol=1e-5)


def test_devices_are_turned_by_up_to_the_tilt_about_any_axis():
    turns = drawn(range(2, 4002), replace(PLAIN, tilt_deg=25.0)).turn
    vectors = Rotation.from_matrix(turns).as_rotvec(degrees=True)
    angles = np.linalg.norm(vectors, axis=1)
    assert 24.9 < angles.max() <= 25.001
    # The angle is spread evenly from -25 to 25, and no axis is likelier than another.
    assert 12.0 < angles.mean() < 13.0
    axes = vectors / angles[:, None]
    np.testing.assert_allclose(axes.mean(axis=0), 0.0, atol=0.05)
    np.testing.assert_allclose(axes.T @ axes / len(axes), np.eye(3) / 3.0, atol=0.03)


def test_gain_cadence_and_noise_reach_their_limits_and_go_no_further():
    many = drawn(range(2, 4002))
    gain = np.cbrt(np.linalg.det(many.turn))
    for values, limit in ((gain, 1.2), (many.cadence, 1.15)):
        low, high = np.min(values), np.max(values)
        assert 1.0 / limit - 1e-6 <= low < 1.005 / limit
        assert limit / 1.005 < high <= limit + 1e-6
        assert 0.45 < np.mean(values > 1.0) < 0.55
    assert 0.0 <= many.noise.min() < 0.002
    assert 0.398 < many.noise.max() <= 0.4
    assert 0.19 < many.noise.mean() < 0.21


def test_turn_gain_cadence_and_noise_are_drawn_apart():
    many = drawn(range(2, 4002))
    gain = np.cbrt(np.linalg.det(many.turn))
    vectors = Rotation.from_matrix(many.turn / gain[:, None, None]).as_rotvec()
    kinds = [*vectors.T, np.linalg.norm(vectors, axis=1), gain, many.cadence, many.noise]
    related = np.corrcoef([*kinds, many.offset]) - np.eye(8)
    # Of 4,000 unrelated draws, a correlation is beyond 0.08 once in millions.
    assert np.abs(related).max() < 0.08


def test_a_faster_cadence_gives_a_higher_frequency():
    # A movement of 2 Hz at 20 Hz, in windows of 10 s, whose spectra have bins of 0.1 Hz.
    time_s = np.arange(4000) / 20.0
    samples = np.sin(2.0 * np.pi * 2.0 * time_s)[:, None] * [1.0, 2.0, 3.0]
    pool = pool_of([4000], length=200, hop=200, samples=samples)
    read = paced(1.0, 1.1, 0.9, length=200).read(pool, all_of(pool, 3))
    spectra = np.abs(np.fft.rfft(read, axis=2))
    strongest = np.fft.rfftfreq(200, 1.0 / 20.0)[spectra.argmax(axis=2)]
    np.testing.assert_allclose(
        strongest, np.array([2.0, 2.2, 1.8])[:, None, None] * np.ones((20, 3))
    )


@pytest.mark.parametrize("cadence", [1.1, 0.87, 1.37])
def test_a_span_at_another_cadence_is_interpolated_about_the_middle_of_the_window(cadence):
    pool, length = pool_of([4000]), 40
    read = paced(cadence, length=length).read(pool, all_of(pool, 1))[0]
    middle = pool.windows.start + 0.5 * (length - 1)
    for window in range(1, len(pool.windows) - 1):
        # It begins at a whole sample, so that its middle is at most half a sample off.
        begin = round(middle[window] - 0.5 * (length - 1) * cadence)
        places = begin + cadence * np.arange(length)
        assert abs(places.mean() - middle[window]) <= 0.5
        for axis in range(3):
            expected = np.interp(places, np.arange(4000), pool.samples[:4000, axis])
            np.testing.assert_allclose(read[window, :, axis], expected, atol=1e-5)


def ramp(pool, cadence):
    """Read every window of a pool whose samples count, as one device at a cadence does."""
    read = paced(cadence, length=pool.length).read(pool, all_of(pool, 1))[0]
    assert (read[..., 0] == read[..., 1]).all()
    return read[..., 0].tolist()


def counting(*sizes, length=5, hop=1):
    return pool_of(
        list(sizes),
        length=length,
        hop=hop,
        samples=np.arange(sum(sizes))[:, None].repeat(3, axis=1),
    )


def test_a_faster_span_stays_within_its_part_at_its_edges():
    # Five samples at cadence 1.5 pass seven recorded ones, one before the window and one behind.
    read = ramp(counting(9), 1.5)
    assert read[0] == read[1] == [0.0, 1.5, 3.0, 4.5, 6.0]
    assert read[2] == [1.0, 2.5, 4.0, 5.5, 7.0]
    assert read[3] == read[4] == [2.0, 3.5, 5.0, 6.5, 8.0]


def test_a_slower_span_stays_within_its_window():
    # Five samples at cadence 1/2 pass three recorded ones, in the middle of the window.
    assert ramp(counting(6), 0.5) == [[1.0, 1.5, 2.0, 2.5, 3.0], [2.0, 2.5, 3.0, 3.5, 4.0]]


def test_the_cadence_stays_as_it_is_where_there_is_no_room_for_a_faster_one():
    # Seven recorded samples are needed; the segments have seven, six, five and ten.
    read = ramp(counting(7, 6, 5, 10, hop=5), 1.5)
    assert read[0] == [0.0, 1.5, 3.0, 4.5, 6.0]
    assert read[1] == [7.0, 8.0, 9.0, 10.0, 11.0]
    assert read[2] == [13.0, 14.0, 15.0, 16.0, 17.0]
    assert read[3:] == [[18.0, 19.5, 21.0, 22.5, 24.0], [21.0, 22.5, 24.0, 25.5, 27.0]]


def test_the_cadence_stays_as_it_is_in_a_last_recording_without_room():
    assert ramp(counting(5), 1.5) == [[0.0, 1.0, 2.0, 3.0, 4.0]]


def test_a_single_sample_has_no_cadence():
    assert ramp(counting(3, length=1), 1.5) == [[0.0], [1.0], [2.0]]


@given(
    sizes=st.lists(SIZES, min_size=1, max_size=3),
    length=st.integers(1, 9),
    exact=st.booleans(),
    hop=st.integers(1, 9),
    holdout=st.sampled_from([0.0, 0.3]),
    cadences=st.lists(st.floats(0.5, 2.0), min_size=1, max_size=4),
)
def test_no_sample_outside_of_a_windows_part_is_read(sizes, length, exact, hop, holdout, cadences):
    # Some segments are exactly as long as a window, at the end of the samples too.
    sizes = [[*sizes[0], length], *sizes[1:], [length]] if exact else sizes
    pool = pool_of(*sizes, length=length, hop=hop, holdout=holdout)
    variations = paced(*cadences, length=length)
    windows = all_of(pool, len(cadences))
    read = variations.read(pool, windows)
    for low, high in set(zip(pool.windows.low.tolist(), pool.windows.high.tolist(), strict=True)):
        # Large rather than NaN: a sample that is weighed by zero is not read.
        other = np.full_like(pool.samples, 1e30)
        other[low:high] = pool.samples[low:high]
        within = np.flatnonzero(pool.windows.low == low)
        again = variations.read(replace(pool, samples=other), windows[:, within])
        assert again.tobytes() == read[:, within].tobytes()


def noise_of(variations, pool, windows):
    """Give the noise that devices add to windows."""
    silent = replace(variations, noise=np.zeros_like(variations.noise))
    return variations.read(pool, windows) - silent.read(pool, windows)


def test_noise_is_as_strong_as_the_devices():
    pool, variations = pool_of([8000]), drawn([0, 2, 3, 4, 5], replace(PLAIN, noise=0.5))
    noise = noise_of(variations, pool, all_of(pool, 5))
    assert not noise[0].any()
    deviations = noise.reshape(5, -1).std(axis=1)
    np.testing.assert_allclose(deviations, variations.noise, rtol=0.03)
    assert np.abs(noise.reshape(5, -1).mean(axis=1)).max() < 0.02
    assert len(set(variations.noise[1:].tolist())) == 4


def test_a_window_that_is_read_again_has_the_same_noise():
    pool, variations = pool_of([8000]), drawn([2, 3])
    windows = np.random.default_rng(4).permuted(all_of(pool, 2), axis=1)
    once = variations.read(pool, all_of(pool, 2))
    again = variations.read(pool, windows)
    for device in range(2):
        assert again[device].tobytes() == once[device, windows[device]].tobytes()


def test_devices_axes_and_windows_have_noise_of_their_own():
    pool, variations = pool_of([8000]), drawn(range(2, 8), replace(PLAIN, noise=0.5))
    noise = noise_of(variations, pool, all_of(pool, 6)) / variations.noise[:, None, None, None]
    for kinds in (
        noise.reshape(6, -1),
        np.moveaxis(noise, -1, 0).reshape(3, -1),
        noise[:, :24].transpose(1, 0, 2, 3).reshape(24, -1),
    ):
        related = np.corrcoef(kinds) - np.eye(len(kinds))
        assert np.abs(related).max() < 0.15


def test_noise_goes_on_where_its_table_ends():
    # The samples of a pool are more than the table's 65,536.
    pool = pool_of([70_000])
    variations = drawn([2, 3], replace(PLAIN, noise=0.5))
    noise = noise_of(variations, pool, all_of(pool, 2))
    deviations = noise.std(axis=(2, 3)) / variations.noise[:, None]
    assert 0.7 < deviations.min() < deviations.max() < 1.3


def test_a_devices_variation_does_not_depend_on_the_others():
    together = drawn([0, 9, 4, 1_000_003, 9])
    for row, device in enumerate([0, 9, 4, 1_000_003]):
        alone = drawn([device, 2])
        for field in fields(Variations):
            if field.name != "table":
                values = (getattr(v, field.name)[i] for v, i in ((together, row), (alone, 0)))
                assert np.array_equal(*values)
        assert alone.table.tobytes() == together.table.tobytes()
    assert together.turn[1].tobytes() == together.turn[4].tobytes()


def test_other_devices_and_other_seeds_vary_otherwise():
    here, there = drawn([2, 3]), drawn([2, 3], seed=8)
    for name in ("turn", "cadence", "noise", "offset"):
        values = [getattr(v, name)[i].tolist() for v in (here, there) for i in range(2)]
        assert all(values[i] != values[j] for i in range(4) for j in range(i))


def test_taken_variations_are_those_of_the_devices():
    pool, variations = pool_of([400]), drawn([2, 0, 5, 6])
    read = variations.read(pool, all_of(pool, 4))
    taken = variations.take([3, 1, 3]).read(pool, all_of(pool, 3))
    assert taken.tobytes() == read[[3, 1, 3]].tobytes()


@pytest.mark.parametrize("count", [1, 7, 60, 1700], ids=lambda n: f"{n} windows")
def test_many_devices_read_what_each_of_them_reads_alone(count):
    # 65,536 samples are varied together: 1,638, 234, 27 devices, and one.
    pool, random = pool_of([4000]), np.random.default_rng(count)
    devices = {1: 2000, 7: 300, 60: 70, 1700: 3}[count]
    variations = drawn(range(1, devices + 1))
    windows = random.integers(len(pool.windows), size=(devices, count)).astype(np.int32)
    read = variations.read(pool, windows)
    some = random.permutation(devices)[:40]
    for device in some:
        alone = variations.take([device]).read(pool, windows[[device]])
        assert alone[0].tobytes() == read[device].tobytes()


@pytest.mark.parametrize("length", [40, 1])
def test_a_window_is_read_alike_alone_and_among_others(length):
    pool = pool_of([100 * length], length=length, hop=length)
    variations = drawn([2, 0, 5], length=length)
    read = variations.read(pool, all_of(pool, 3))
    for window in (0, 17, 99):
        alone = variations.read(pool, np.full((3, 1), window, np.int32))
        assert alone[:, 0].tobytes() == read[:, window].tobytes()


@pytest.mark.parametrize("shape", [(), (4,), (3, 2), (2, 3, 2), (0,), (2, 3, 0)])
def test_windows_are_read_in_whatever_shape_they_are_asked_for(shape):
    pool, variations = pool_of([400]), drawn([2, 0, 5])
    windows = np.random.default_rng(1).integers(10, size=(3, *shape)).astype(np.int32)
    read, flat = variations.read(pool, windows), windows.reshape(3, int(np.prod(shape)))
    assert (read.shape, read.dtype) == ((3, *shape, 40, 3), np.float32)
    assert read.tobytes() == variations.read(pool, flat).tobytes()


def test_amplitude_moves_samples_away_from_the_mean_of_their_window():
    pool = pool_of([400])
    calm = replace(as_recorded(7, 2, 40), amplitude=np.array([1.0, 0.5], np.float32))
    read, plain = calm.read(pool, all_of(pool, 2)), pool.read(all_of(pool, 1)[0])
    assert read[0].tobytes() == plain.tobytes()
    np.testing.assert_allclose(read[1].mean(axis=1), plain.mean(axis=1), atol=1e-6)
    np.testing.assert_allclose(read[1].std(axis=1), 0.5 * plain.std(axis=1), rtol=1e-5)


def test_bias_is_added_after_the_turn():
    pool, bias = pool_of([400]), np.array([[1.0, -2.0, 0.5]], np.float32)
    turn = 2.0 * np.eye(3, dtype=np.float32)[None]
    read = replace(as_recorded(7, 1, 40), bias=bias, turn=turn).read(pool, all_of(pool, 1))
    np.testing.assert_allclose(read, 2.0 * pool.read(all_of(pool, 1)) + bias[0], rtol=1e-6)


def test_a_lost_sample_is_stood_in_for_by_the_one_before():
    samples = np.arange(4000.0)[:, None] * [1.0, 10.0, 100.0]
    pool = pool_of([4000], samples=samples)
    lossy = replace(as_recorded(7, 2, 40), missing=np.array([0.0, 0.3]))
    read = lossy.read(pool, all_of(pool, 2))
    assert read[0].tobytes() == pool.read(all_of(pool, 1)[0]).tobytes()
    at = read[1, ..., 0].astype(int)
    here = pool.read(all_of(pool, 1)[0])[..., 0].astype(int)
    kept = at == here
    assert 0.65 < kept.mean() < 0.75
    assert (read[1] == read[1, ..., :1] * [1.0, 10.0, 100.0]).all()  # whole samples are lost
    for window in range(len(at)):
        own = at[window]
        first = int(np.argmax(kept[window]))
        for i in range(40):
            assert own[i] == (own[i - 1] if i > first and not kept[window, i] else
                              here[window, first] if i < first else here[window, i])  # fmt: skip


def test_what_is_lost_is_lost_in_every_window_that_holds_it():
    pool = pool_of([400], hop=10)
    lossy = replace(as_recorded(7, 1, 40), missing=np.array([0.3]))
    read = lossy.read(pool, all_of(pool, 1))[0]
    # Where the sample before is in the window as well, neighbours agree on what stands in.
    first_kept = 10
    np.testing.assert_array_equal(read[0, 10 + first_kept :], read[1, first_kept:-10])


def test_windows_that_are_lost_whole_are_finite():
    pool = pool_of([400])
    lost = replace(as_recorded(7, 1, 40), missing=np.ones(1)).read(pool, all_of(pool, 1))
    first = pool.read(all_of(pool, 1))[..., :1, :]
    np.testing.assert_array_equal(lost, np.broadcast_to(first, lost.shape))

"""Drift that is put in: when it is in force, and what devices measure under it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from clients.drift import MOST_DRIFTS, SIGNALS, Change, Course, Drift, changed
from clients.pool import build_pool
from clients.stream import Streams, cut_questions
from clients.variation import Strength, as_recorded, draw_variations
from clients.wear import Wear
from tests.clients.made_people import ACTIVITIES, recording_of

SEED, LENGTH, RATE_HZ = 7, 40, 20.0
MILD = {
    "rotation": {"angle_deg": 0.0},
    "gain": {"factor": 1.0},
    "bias": {"offset": 0.0},
    "noise": {"deviation": 0.0},
    "rate": {"factor": 1.0},
    "dropout": {"share": 0.0},
    "gait": {"cadence": 1.0, "amplitude": 1.0},
}
STRONG = {
    "rotation": {"angle_deg": 60.0},
    "swap-wrist": {},
    "gain": {"factor": 1.5},
    "bias": {"offset": 3.0},
    "noise": {"deviation": 2.0},
    "rate": {"factor": 1.2},
    "dropout": {"share": 0.3},
    "gait": {"cadence": 0.8, "amplitude": 0.5},
}
OWN = Strength(tilt_deg=25.0, gain=1.2, cadence=1.15, noise=0.4)
courses = st.builds(Course, st.floats(0.0, 0.999)) | st.builds(
    Course, st.floats(0.0, 0.999), period=st.floats(0.001, 1.0)
)


def in_force(course, *lengths, draws=0.5):
    """Return which questions are drifted, as text: one line of 0 and 1 for each stream."""
    found = course.in_force(np.array(lengths), draws, max(lengths))
    return ["".join(map(str, row[:n].astype(int))) for row, n in zip(found, lengths, strict=True)]


def test_a_drift_begins_at_its_share_of_each_stream():
    begins = Course(0.25).begins(np.array([8, 100, 5, 1, 0]))
    assert begins.tolist() == [2, 25, 1, 0, 0]
    assert begins.dtype == np.int64


def test_a_sudden_drift_stays_in_force_in_streams_of_any_length():
    assert in_force(Course(0.5), 8, 4, 2) == ["00001111", "0011", "01"]
    assert in_force(Course(0.0), 3, 1) == ["111", "1"]
    assert in_force(Course(0.999), 4) == ["0000"]


def test_a_sudden_drift_asks_no_draws():
    for draws in (0.0, 0.5, 1.0 - 2.0**-32):
        assert in_force(Course(0.5), 6, draws=draws) == ["000111"]


def test_the_probability_of_a_gradual_drift_rises_evenly_to_one():
    # Begins at question 2 and takes 4 questions: 1/5, 2/5, 3/5, 4/5 and then always.
    draws = np.repeat((np.arange(1000)[:, None] + 0.5) / 1000, 10, axis=1)
    found = Course(0.2, over=0.4).in_force(np.full(1000, 10), draws, 10)
    np.testing.assert_allclose(
        found.mean(axis=0), [0.0, 0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0, 1.0], atol=1e-9
    )


def test_a_gradual_drift_takes_its_share_of_each_stream():
    # Of 10 questions 4 are on the way, of 5 questions 2: the probability is 1/3, 2/3, 1.
    draws = np.full((2, 10), 0.65)
    found = Course(0.2, over=0.4).in_force(np.array([10, 5]), draws, 10)
    assert np.flatnonzero(found[0]).tolist() == [5, 6, 7, 8, 9]
    assert np.flatnonzero(found[1, :5]).tolist() == [2, 3, 4]


def test_draws_decide_question_by_question_while_a_drift_is_on_its_way():
    draws = np.array([[0.0, 0.0, 0.1, 0.9, 0.59, 0.81, 0.99, 0.5, 0.5, 0.5]])
    found = Course(0.2, over=0.4).in_force(np.array([10]), draws, 10)
    assert found[0].astype(int).tolist() == [0, 0, 1, 0, 1, 0, 1, 1, 1, 1]


def test_a_half_takes_the_more_likely():
    assert in_force(Course(0.2, over=0.4), 10, draws=0.5) == ["0000111111"]


def test_a_recurring_drift_has_spells_and_pauses_of_one_length():
    assert in_force(Course(0.2, period=0.4), 10, 20) == ["0011001100", "00001111000011110000"]


def test_a_spell_takes_one_question_at_least():
    assert in_force(Course(0.2, period=0.4), 5) == ["01010"]
    assert in_force(Course(0.0, period=0.001), 6) == ["101010"]


@given(courses, st.integers(1, 200))
def test_nothing_drifts_before_a_course_begins(course, length):
    begins = int(course.begins(np.array([length]))[0])
    found = course.in_force(np.array([length]), 0.0, length + 5)[0]
    assert not found[:begins].any()
    assert found[begins]
    if course.period:
        changes = np.flatnonzero(np.diff(found[begins:].astype(int)))
        assert len(set(np.diff(changes).tolist())) <= 1


def pool_of(count=8000, *, length=LENGTH, samples=None, holdout=0.0):
    samples = np.random.default_rng(3).normal(size=(count, 3)) if samples is None else samples
    own = [recording_of([len(samples)], samples=samples)]
    return build_pool({"1": own}, ACTIVITIES, length=length, hop=length, holdout=holdout)


def all_of(pool, devices):
    return np.tile(np.arange(len(pool.windows), dtype=np.int32), (devices, 1))


def change_of(kind, axis="any", **numbers):
    numbers = {**STRONG[kind], **numbers}
    return Change(kind, Course(0.5), np.ones(10_000, np.bool_), numbers, {"axis": axis})


def measured(pool, *changes, devices=4, plain=None, state=None, seed=SEED):
    """Read all windows with drifts in force, all of them unless a state says which."""
    numbers = np.arange(devices) if isinstance(devices, int) else np.asarray(devices)
    plain = plain or as_recorded(seed, numbers.size, pool.length)
    state = 2 ** len(changes) - 1 if state is None else state
    return changed(seed, numbers, changes, plain, [state])[state].read(
        pool, all_of(pool, numbers.size)
    )


def varied(devices, strength=OWN, length=LENGTH):
    made = draw_variations(SEED, np.arange(10, 10 + devices), 1, strength, length)
    assert made is not None
    return made


def test_every_kind_of_signal_is_looked_at():
    assert set(STRONG) == set(SIGNALS)
    assert set(MILD) == set(SIGNALS) - {"swap-wrist"}


@pytest.mark.parametrize("kind", MILD)
def test_a_drift_without_strength_changes_no_byte(kind):
    pool = pool_of()
    read = measured(pool, change_of(kind, **MILD[kind]))
    assert read.tobytes() == pool.read(all_of(pool, 4)).tobytes()


@pytest.mark.parametrize("kind", MILD)
def test_a_drift_without_strength_leaves_a_devices_own_variation(kind):
    pool, own = pool_of(), varied(4)
    read = measured(pool, change_of(kind, **MILD[kind]), plain=own)
    np.testing.assert_allclose(read, own.read(pool, all_of(pool, 4)), rtol=0.0, atol=1e-6)


@pytest.mark.parametrize("kind", STRONG)
def test_every_drift_changes_what_is_measured(kind):
    pool = pool_of()
    moved = np.abs(measured(pool, change_of(kind)) - pool.read(all_of(pool, 4)))
    assert moved.mean(axis=(1, 2, 3)).min() > 0.1


@pytest.mark.parametrize("axis", ["any", "x", "y", "z"])
def test_rotation_keeps_the_norm_of_every_sample(axis):
    pool = pool_of()
    read, plain = measured(pool, change_of("rotation", axis)), pool.read(all_of(pool, 4))
    norms = [np.linalg.norm(values, axis=-1) for values in (read, plain)]
    np.testing.assert_allclose(*norms, rtol=1e-5)


def turns(angle_deg, axis="any", devices=1):
    """Return the rotation vectors, in degrees, of devices that measure the unit vectors."""
    pool = pool_of(samples=np.eye(3), length=3)
    read = measured(pool, change_of("rotation", axis, angle_deg=angle_deg), devices=devices)
    return Rotation.from_matrix(read[:, 0].astype(np.float64)).as_rotvec(degrees=True)


@pytest.mark.parametrize("angle_deg", [5.0, 60.0, 90.0, 179.0])
@pytest.mark.parametrize("axis", ["any", "x", "y", "z"])
def test_rotation_turns_by_its_angle(angle_deg, axis):
    found = np.linalg.norm(turns(angle_deg, axis, devices=50), axis=1)
    np.testing.assert_allclose(found, angle_deg, atol=0.01)


def test_each_device_turns_about_an_axis_of_its_own_and_none_is_likelier():
    axes = turns(90.0, devices=4000) / 90.0
    np.testing.assert_allclose(axes.mean(axis=0), 0.0, atol=0.05)
    np.testing.assert_allclose(axes.T @ axes / len(axes), np.eye(3) / 3.0, atol=0.03)


@pytest.mark.parametrize(("axis", "place"), [("x", 0), ("y", 1), ("z", 2)])
def test_rotation_about_an_axis_leaves_what_is_measured_along_it(axis, place):
    pool = pool_of()
    read, plain = measured(pool, change_of("rotation", axis)), pool.read(all_of(pool, 4))
    np.testing.assert_allclose(read[..., place], plain[..., place], rtol=0.0, atol=1e-6)
    others = [i for i in range(3) if i != place]
    for other in others:
        assert np.abs(read[..., other] - plain[..., other]).mean() > 0.3
    assert (read == read[:1]).all()  # all devices turn alike


def test_half_a_turn_about_z_turns_x_and_y_round():
    pool = pool_of()
    read = measured(pool, change_of("rotation", "z", angle_deg=180.0))
    expected = pool.read(all_of(pool, 4)) * np.float32([-1.0, -1.0, 1.0])
    np.testing.assert_allclose(read, expected, rtol=0.0, atol=1e-5)


def test_gain_scales_all_readings():
    pool = pool_of()
    read = measured(pool, change_of("gain", factor=2.5))
    np.testing.assert_allclose(read, 2.5 * pool.read(all_of(pool, 4)), rtol=1e-6)


def test_gain_scales_the_noise_of_the_device_too():
    pool, noisy = pool_of(), replace(as_recorded(SEED, 4, LENGTH), noise=np.full(4, 0.5, "f4"))
    read = measured(pool, change_of("gain", factor=2.5), plain=noisy)
    np.testing.assert_allclose(read, 2.5 * noisy.read(pool, all_of(pool, 4)), rtol=1e-4, atol=1e-5)


def test_the_other_wrist_flips_x_alone():
    pool = pool_of()
    read, plain = measured(pool, change_of("swap-wrist")), pool.read(all_of(pool, 4))
    np.testing.assert_array_equal(read, plain * np.float32([-1.0, 1.0, 1.0]))


def test_bias_shifts_each_device_by_one_vector_of_that_norm():
    pool = pool_of()
    shift = measured(pool, change_of("bias", offset=3.0), devices=2000)[:, :2] - pool.read(
        all_of(pool, 2000)[:, :2]
    )
    np.testing.assert_allclose(shift, np.broadcast_to(shift[:, :1, :1], shift.shape), atol=1e-5)
    vectors = shift[:, 0, 0] / 3.0
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(vectors.mean(axis=0), 0.0, atol=0.06)
    np.testing.assert_allclose(vectors.T @ vectors / 2000, np.eye(3) / 3.0, atol=0.04)


def test_noise_adds_its_deviation():
    pool = pool_of()
    added = measured(pool, change_of("noise", deviation=2.0)) - pool.read(all_of(pool, 4))
    np.testing.assert_allclose(added.std(axis=(1, 2)), 2.0, rtol=0.05)
    np.testing.assert_allclose(added.mean(axis=(1, 2)), 0.0, atol=0.1)
    devices = added.reshape(4, -1)
    assert np.abs(np.corrcoef(devices) - np.eye(4)).max() < 0.05  # noise of its own for each


def test_noise_adds_to_the_noise_that_a_device_has():
    pool, quiet = pool_of(), as_recorded(SEED, 4, LENGTH)
    noisy = replace(quiet, noise=np.full(4, 0.3, np.float32), offset=np.array([5, 90, 700, 8000]))
    added = measured(pool, change_of("noise", deviation=0.4), plain=noisy)
    deviation = (added - pool.read(all_of(pool, 4))).std(axis=(1, 2, 3))
    np.testing.assert_allclose(deviation, 0.5, rtol=0.03)  # 3, 4, 5


def sine(count=4000, hz=2.0):
    """Make a movement of some frequency, in windows of 10 s, whose spectra have bins of 0.1 Hz."""
    time_s = np.arange(count) / RATE_HZ
    samples = np.sin(2.0 * np.pi * hz * time_s)[:, None] * [1.0, 2.0, 3.0] + [4.0, -5.0, 6.0]
    return pool_of(samples=samples, length=200)


def strongest(read):
    spectra = np.abs(np.fft.rfft(read - read.mean(axis=2, keepdims=True), axis=2))
    return np.fft.rfftfreq(200, 1.0 / RATE_HZ)[spectra.argmax(axis=2)]


@pytest.mark.parametrize(("factor", "hz"), [(1.5, 3.0), (1.15, 2.3), (0.5, 1.0), (2.0, 4.0)])
def test_a_clock_that_runs_wrong_changes_the_pace(factor, hz):
    pool = sine()
    read = measured(pool, change_of("rate", factor=factor))
    np.testing.assert_allclose(strongest(read), hz, atol=0.01)
    # The swing is that of the recording, but for what interpolation takes off its tips.
    np.testing.assert_allclose(np.ptp(read, axis=2)[..., 2], 6.0, rtol=0.06)


def test_a_clock_that_runs_wrong_does_so_on_top_of_a_devices_own_cadence():
    pool = sine()
    fast = replace(as_recorded(SEED, 2, 200), cadence=np.array([1.25, 0.8]))
    read = measured(pool, change_of("rate", factor=1.2), devices=2, plain=fast)
    np.testing.assert_allclose(strongest(read)[0], 3.0, atol=0.01)
    np.testing.assert_allclose(strongest(read)[1], 1.9, atol=0.01)  # 1.92 lies between bins


def test_another_gait_changes_pace_and_amplitude():
    pool = sine(hz=0.8)
    read = measured(pool, change_of("gait", cadence=0.75, amplitude=0.6))
    np.testing.assert_allclose(strongest(read), 0.6, atol=0.01)
    deviation, plain = read.std(axis=2), pool.read(all_of(pool, 4)).std(axis=2)
    np.testing.assert_allclose(deviation, 0.6 * plain, rtol=0.02)


def test_amplitude_swings_about_the_mean_of_the_window():
    pool = pool_of()
    read = measured(pool, change_of("gait", cadence=1.0, amplitude=0.6))
    plain = pool.read(all_of(pool, 4))
    middle = plain.mean(axis=2, keepdims=True)
    np.testing.assert_allclose(read, middle + 0.6 * (plain - middle), rtol=1e-4, atol=1e-5)


def test_amplitude_of_a_turned_device_is_that_of_its_wearer():
    # The wearer moves less, then the device turns: gravity keeps its length.
    pool = pool_of()
    own = varied(4, replace(OWN, cadence=1.0, gain=1.0, noise=0.0))
    read = measured(pool, change_of("gait", cadence=1.0, amplitude=0.6), plain=own)
    calm = measured(pool, change_of("gait", cadence=1.0, amplitude=0.6))
    np.testing.assert_allclose(read, calm @ own.turn[:, None], rtol=1e-4, atol=1e-5)


def lost(read, plain):
    """Tell which samples are not their own but the one before: bool [..., T - 1]."""
    stale = (read[..., 1:, :] != plain[..., 1:, :]).all(axis=-1)
    assert ((read[..., 1:, :] == plain[..., 1:, :]).all(axis=-1) | stale).all()
    return stale


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_dropout_repeats_the_last_sample_for_its_share(share):
    pool = pool_of()
    read, plain = measured(pool, change_of("dropout", share=share)), pool.read(all_of(pool, 4))
    stale = lost(read, plain)
    held = read[..., 1:, :][stale]
    np.testing.assert_array_equal(held, read[..., :-1, :][stale])
    if share < 0.5:  # else a window may begin with lost samples for long
        np.testing.assert_allclose(stale.mean(axis=(1, 2)), share, atol=0.02)
    else:
        assert 0.8 < stale.mean() < 0.92
    assert (stale[0] != stale[1]).any()  # other samples on each device


def test_a_first_sample_that_is_lost_is_replaced_by_the_first_that_is_there():
    pool = pool_of()
    read, plain = measured(pool, change_of("dropout", share=0.5)), pool.read(all_of(pool, 4))
    gone = (read[:, :, 0] != plain[:, :, 0]).all(axis=-1)
    assert 0.3 < gone.mean() < 0.7
    for device, window in np.argwhere(gone):
        own, true = read[device, window], plain[device, window]
        first = int(np.argmax((own == true).all(axis=-1)))
        assert first > 0
        np.testing.assert_array_equal(own[:first], np.broadcast_to(true[first], (first, 3)))


def test_two_dropouts_lose_what_either_loses():
    pool, twice = pool_of(), (change_of("dropout", share=0.2), change_of("dropout", share=0.25))
    stale = lost(measured(pool, *twice), pool.read(all_of(pool, 4)))
    np.testing.assert_allclose(stale.mean(), 0.4, atol=0.02)  # 1 - 0.8 * 0.75


def test_dropout_loses_noise_and_signal_together():
    pool = pool_of()
    read = measured(pool, change_of("noise", deviation=2.0), change_of("dropout", share=0.3))
    same = (read[..., 1:, :] == read[..., :-1, :]).all(axis=-1)
    np.testing.assert_allclose(same.mean(), 0.3, atol=0.02)


@pytest.mark.parametrize("kind", ["rotation", "swap-wrist", "gain"])
def test_a_drift_is_put_on_top_of_a_devices_own_variation(kind):
    pool = pool_of()
    own = varied(1, replace(OWN, noise=0.0))
    change = change_of(kind)
    drifted = measured(pool, change, devices=1, plain=own)
    by = measured(pool_of(samples=np.eye(3), length=3), change, devices=1)[0, 0]
    expected = own.read(pool, all_of(pool, 1)) @ by
    np.testing.assert_allclose(drifted, expected, rtol=1e-4, atol=1e-4)
    assert np.abs(own.turn[0] - np.eye(3)).max() > 0.05


def test_two_drifts_in_force_come_in_the_order_of_the_scenario():
    pool, plain = pool_of(), pool_of().read(all_of(pool_of(), 4))
    gain, bias = change_of("gain", factor=2.0), change_of("bias", offset=1.0)
    mirror = np.float32([-1.0, 1.0, 1.0])
    first = measured(pool, bias, change_of("swap-wrist"))
    shift = measured(pool, bias) - plain
    np.testing.assert_allclose(first, (plain + shift) * mirror, atol=1e-5)
    doubled = measured(pool, bias, gain)
    np.testing.assert_allclose(doubled, 2.0 * (plain + shift), atol=1e-5)
    later = measured(pool, gain, bias) - 2.0 * plain
    np.testing.assert_allclose(np.linalg.norm(later, axis=-1), 1.0, atol=1e-4)


def test_a_state_says_which_drifts_are_in_force():
    pool, plain = pool_of(), pool_of().read(all_of(pool_of(), 4))
    three = change_of("gain", factor=2.0), change_of("swap-wrist"), change_of("gain", factor=5.0)
    mirror = np.float32([-1.0, 1.0, 1.0])
    for state, expected in (
        (0b001, 2.0 * plain),
        (0b010, mirror * plain),
        (0b100, 5.0 * plain),
        (0b101, 10.0 * plain),
        (0b111, 10.0 * mirror * plain),
    ):
        np.testing.assert_allclose(measured(pool, *three, state=state), expected, rtol=1e-5)


def test_as_many_drifts_as_there_may_be_have_a_bit_each():
    pool, plain = pool_of(), pool_of().read(all_of(pool_of(), 4))
    gains = [change_of("gain", factor=1.0 + number) for number in range(MOST_DRIFTS)]
    for number in range(MOST_DRIFTS):
        alone = measured(pool, *gains, state=1 << number)
        np.testing.assert_allclose(alone, (1.0 + number) * plain, rtol=1e-5)
    assert np.iinfo(np.uint8).max >= 2**MOST_DRIFTS - 1


def test_drifts_of_one_kind_are_drawn_apart():
    pool, one = pool_of(), change_of("bias", offset=1.0)
    first, second = (measured(pool, one, one, state=state) for state in (1, 2))
    assert np.abs(first - second).mean(axis=(1, 2, 3)).min() > 0.05


@pytest.mark.parametrize("kind", STRONG)
def test_what_a_device_measures_depends_on_itself_and_the_seed_alone(kind):
    pool, change = pool_of(), change_of(kind)
    together = measured(pool, change, devices=[4, 9, 2])
    alone = measured(pool, change, devices=[9])
    assert alone[0].tobytes() == together[1].tobytes()
    if kind in ("rotation", "bias", "noise", "dropout"):
        assert together[0].tobytes() != together[2].tobytes()
        assert measured(pool, change, devices=[9], seed=8)[0].tobytes() != alone[0].tobytes()


# A device worn by two people: windows 10 to 13 are streamed by its user, 20 to 22 by a guest.
SPANS = np.array([[[10, 14], [20, 23]], [[20, 23], [0, 0]]])
HELD = np.array([[0, 1, 2, 3, 4, 5, 6], [7, 8, 9, 0, 0, 0, 0]], np.uint8)


def made_drift(**parts):
    none = np.zeros((2, 0), np.int32)
    usual = {
        "variations": {},
        "signals": 1,
        "question": np.zeros((2, 4), np.uint8),
        "lengths": np.array([4, 2]),
        "settled": np.array([[0, 1, 3, 2], [4, 5, 0, 0]], np.uint8),
        "spans": SPANS,
        "window": HELD,
        "of_stream": 2,
        "usual": none,
        "later": none,
    }
    return Drift(**{**usual, **parts})


def test_windows_of_the_wearer_and_of_who_wears_it_later_have_their_states():
    drift = made_drift()
    asked = np.array([[10, 13, 20, 22, -1], [20, 21, 22, -1, -1]], np.int32)
    found = drift.of_windows(asked)
    assert found.tolist() == [[0, 3, 4, 6, 0], [7, 8, 9, 0, 0]]
    assert found.dtype == np.uint8


def test_states_of_windows_are_those_of_the_rows_that_are_asked_for():
    drift = made_drift()
    asked = np.array([[[22], [21]], [[22], [-1]], [[12], [11]]], np.int32)
    assert drift.of_windows(asked, np.array([1, 0, 0])).tolist() == [
        [[9], [8]], [[6], [0]], [[2], [1]],
    ]  # fmt: skip


def test_some_of_the_devices_have_their_own_drift():
    drift = made_drift(
        usual=np.array([[1, 2], [3, -1]], np.int32), later=np.array([[4, 5], [6, 7]], np.int32)
    )
    own = drift.take([1])
    assert own.of_windows(np.array([[22, 20]], np.int32)).tolist() == [[9, 7]]
    assert own.after(1).tolist() == [4]
    assert own.examined(np.array([0], np.uint8)).tolist() == [[3, -1]]
    assert own.examined(np.array([2], np.uint8)).tolist() == [[6, 7]]
    assert drift.take([1, 0]).after(3).tolist() == [5, 3]


def test_the_state_after_a_stream_is_that_of_its_last_question():
    drift = made_drift()
    found = [drift.after(questions).tolist() for questions in (0, 1, 2, 3, 4, 9)]
    assert found == [[0, 0], [0, 4], [1, 5], [3, 5], [2, 5], [2, 5]]


def test_a_stream_without_questions_is_never_under_drift():
    drift = made_drift(lengths=np.array([4, 0]))
    assert drift.after(3).tolist() == [3, 0]


def test_only_the_drift_of_the_stream_changes_which_windows_are_scored():
    drift = made_drift(
        usual=np.array([[1, 2], [1, 2]], np.int32), later=np.array([[8, 9], [8, 9]], np.int32)
    )
    for state, expected in ((0, [1, 2]), (1, [1, 2]), (2, [8, 9]), (3, [8, 9])):
        assert drift.examined(np.array([state, 0], np.uint8)).tolist() == [expected, [1, 2]]


def worn(pool, variations, *changes):
    """Give two devices, the second half of whose windows comes under all changes."""
    windows = len(pool.windows)
    state = 2 ** len(changes) - 1
    held = np.zeros((2, windows), np.uint8)
    held[:, windows // 2 :] = state
    plain = variations or as_recorded(SEED, 2, pool.length)
    drift = made_drift(
        variations=changed(SEED, np.arange(2), changes, plain, [state]),
        signals=state,
        spans=np.array([[[0, windows], [0, 0]]] * 2),
        window=held,
    )
    table = cut_questions(pool, order="recorded", bout_windows=1, batch=4)
    streams = Streams(table, np.tile(np.arange(len(table.first), dtype=np.int32), (2, 1)))
    return Wear(
        np.arange(2), ["a", "b"], ["1", "1"], pool, streams, np.zeros((2, 2), np.int64),
        variations, drift,
    )  # fmt: skip


@pytest.mark.parametrize("length", [1, LENGTH])
@pytest.mark.parametrize("own", [None, OWN])
@pytest.mark.parametrize("kinds", [(k,) for k in STRONG] + [("gait", "noise", "rotation")])
def test_a_window_is_read_with_the_drift_that_it_came_in_and_those_before_without(
    length, own, kinds
):
    pool = pool_of(60 * length, length=length)
    variations = None if own is None else varied(2, own, length)
    changes = [change_of(kind) for kind in kinds]
    wear, every = worn(pool, variations, *changes), all_of(pool, 2)
    read, half = wear.read(every), every.shape[1] // 2
    before = pool.read(every) if variations is None else variations.read(pool, every)
    after = measured(pool, *changes, devices=2, plain=variations)
    assert read[:, :half].tobytes() == before[:, :half].tobytes()
    assert read[:, half:].tobytes() == after[:, half:].tobytes()
    # The same bytes for one device, for other shapes, and for windows read again one by one.
    for row in (0, 1):
        assert wear.take([row]).read(every[:1])[0].tobytes() == read[row].tobytes()
        assert wear.read(every[:1], np.array([row]))[0].tobytes() == read[row].tobytes()
        for window in (0, half - 1, half, half + 7):
            alone = wear.read(np.array([[window]], np.int32), np.array([row]))
            assert alone[0, 0].tobytes() == read[row, window].tobytes()
    folded = wear.read(every.reshape(2, 4, -1))
    assert folded.tobytes() == read.tobytes()
    swapped = wear.read(every, np.array([1, 0]))
    assert swapped.tobytes() == read[[1, 0]].tobytes()


def test_a_state_that_is_given_outweighs_the_one_in_which_windows_came():
    pool = pool_of()
    change = change_of("gain", factor=2.0)
    wear, every = worn(pool, None, change), all_of(pool, 2)
    plain = pool.read(every)
    read = wear.read(every, state=np.array([0, 1], np.uint8))
    np.testing.assert_array_equal(read[0], plain[0])
    np.testing.assert_allclose(read[1], 2.0 * plain[1], rtol=1e-6)


def test_windows_that_came_under_drift_are_told():
    pool = pool_of()
    wear = worn(pool, None, change_of("noise"))
    half = len(pool.windows) // 2
    asked = np.array([[[half - 1, half, -1]], [[0, -1, half + 3]]], np.int32)
    assert wear.drifted(asked).tolist() == [[[False, True, False]], [[False, False, True]]]
    assert replace(wear, drift=None).drifted(asked) is None

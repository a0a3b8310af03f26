from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from clients import synthetic
from clients.errors import BadInput
from clients.movements import MOVEMENTS
from clients.people import KINDS
from clients.synthetic import ACTIVITIES, describe, kind_of, synthesize, user_names

FIVE = ["walking", "jogging", "stairs", "sitting", "standing"]
RATE_HZ = 20.0


def make(people, activities, **options):
    return synthesize(people, activities, **({"rate_hz": RATE_HZ, "seed": 3} | options))


def cadence_hz(samples, low, high):
    """Find the stride by the autocorrelation of all three axes, not by the generator's means."""
    centred = samples - samples.mean(axis=0)
    spectrum = np.abs(np.fft.rfft(centred, n=2 * len(centred), axis=0)) ** 2
    alike = np.fft.irfft(spectrum.sum(axis=1))
    lags = np.arange(int(RATE_HZ / high), int(RATE_HZ / low) + 1)
    best = lags[alike[lags].argmax()]
    before, at, after = alike[best - 1 : best + 2]
    return RATE_HZ / (best + 0.5 * (before - after) / (before - 2 * at + after))


def power_at(samples, hz):
    """Sum the power of all axes within 6% of a frequency, over spans of 8 s."""
    spans = samples[: len(samples) // 160 * 160].reshape(-1, 160, 3)
    centred = (spans - spans.mean(axis=1, keepdims=True)) * np.hanning(160)[:, None]
    power = (np.abs(np.fft.rfft(centred, n=2048, axis=1)) ** 2).sum(axis=(0, 2))
    frequencies = np.fft.rfftfreq(2048, 1 / RATE_HZ)
    return power[np.abs(frequencies / hz - 1) < 0.06].sum()


def by_user(recordings):
    return {recording.user: recording for recording in recordings}


def test_public_names():
    assert sorted(synthetic.__all__) == [
        "ACTIVITIES",
        "describe",
        "kind_of",
        "outline",
        "synthesize",
        "user_names",
    ]


def test_same_seed_gives_the_same_bytes_and_another_seed_does_not():
    first, again = make(2, FIVE), make(2, FIVE)
    assert [r.samples.tobytes() for r in first] == [r.samples.tobytes() for r in again]
    other = make(2, FIVE, seed=4)
    assert all(not np.array_equal(a.samples, b.samples) for a, b in zip(first, other, strict=True))


def test_a_recording_depends_on_nobody_else_and_on_no_other_activity():
    many = {(r.user, r.activity): r for r in make(5, FIVE, unusual=0.5)}
    name = sorted(many)[-1][0]
    alone = make([name], ["standing"])[0]
    assert alone.samples.tobytes() == many[name, "standing"].samples.tobytes()
    assert user_names(5, seed=3, unusual=0.5) == user_names(9, seed=3, unusual=0.5)[:5]


def test_recordings_have_the_promised_form_and_follow_one_another():
    recordings = make(2, ["sitting", "walking"], rate_hz=25.0, minutes=2.0)
    assert [(r.user, r.activity) for r in recordings] == [
        ("p001", "sitting"),
        ("p001", "walking"),
        ("p002", "sitting"),
        ("p002", "walking"),
    ]
    for place, recording in enumerate(recordings):
        assert recording.samples.shape == (3000, 3)
        assert recording.samples.dtype == np.float32
        assert recording.samples.flags.c_contiguous
        assert recording.rate_hz == 25.0
        assert recording.segment_starts.tolist() == [0]
        assert recording.segment_starts.dtype == np.int64
        assert recording.segment_times_s.tolist() == [120.0 * (place % 2)]
        assert recording.segment_times_s.dtype == np.float64


@pytest.mark.parametrize("rate_hz", [5.0, 20.0, 100.0])
@pytest.mark.parametrize("activity", ACTIVITIES)
def test_every_activity_of_every_kind_of_person_is_finite_and_in_the_range(activity, rate_hz):
    people = ["p001", "p002-limp", "p003-cane", "p004-athlete"]
    for recording in make(people, [activity], rate_hz=rate_hz, minutes=0.5):
        assert np.isfinite(recording.samples).all()
        assert np.abs(recording.samples).max() <= 19.7
        assert (recording.samples.std(axis=0) > 0).all()


@pytest.mark.parametrize("samples", [1, 2, 30])
def test_very_short_recordings_are_possible(samples):
    for recording in make(1, ACTIVITIES, minutes=samples / 20 / 60):
        assert recording.samples.shape == (samples, 3)
        assert np.isfinite(recording.samples).all()


def test_a_still_wrist_feels_gravity():
    for recording in make(20, ["sitting", "standing"]):
        magnitude = np.linalg.norm(recording.samples, axis=1)
        assert np.median(magnitude) == pytest.approx(9.81, abs=0.4)


def test_jogging_is_more_vigorous_than_walking_and_walking_than_sitting():
    vigour = {
        activity: np.array([np.linalg.norm(r.samples, axis=1).std() for r in make(20, [activity])])
        for activity in FIVE
    }
    assert (vigour["jogging"] > vigour["walking"]).all()
    assert (vigour["walking"] > 1.5 * vigour["sitting"]).mean() >= 0.9
    assert vigour["stairs"].mean() > vigour["walking"].mean()


def test_cadences_are_human():
    walking = [cadence_hz(r.samples, 0.6, 1.3) for r in make(20, ["walking"])]
    jogging = [cadence_hz(r.samples, 0.9, 1.9) for r in make(20, ["jogging"])]
    assert 0.85 < np.median(walking) < 1.05
    assert 1.2 < np.median(jogging) < 1.5
    assert np.min(walking) > 0.7
    assert np.max(jogging) < 1.8


def test_cadence_differs_more_between_people_than_within_one():
    estimates = np.array(
        [
            [cadence_hz(part, 0.6, 1.3) for part in np.split(recording.samples, 6)]
            for recording in make(30, ["walking"])
        ]
    )
    between, within = np.median(estimates, axis=1).std(), np.median(estimates.std(axis=1))
    assert within > 0
    assert between > 1.5 * within


def test_windows_of_one_person_are_not_all_alike():
    for recording in make(5, FIVE):
        windows = recording.samples.reshape(-1, 80, 3)
        assert np.linalg.norm(windows.mean(axis=1).std(axis=0)) > 0.1
        vigour = np.linalg.norm(windows, axis=2).std(axis=1)
        assert vigour.std() > 0.03 * vigour.mean()


def test_a_limp_is_slow_and_shows_at_half_the_step_frequency():
    numbers = range(1, 16)
    ordinary = make([f"p{n:03d}" for n in numbers], ["walking"])
    limping = make([f"p{n:03d}-limp" for n in numbers], ["walking"])
    strides = [[cadence_hz(r.samples, 0.5, 1.3) for r in group] for group in (ordinary, limping)]
    ratios = [
        [
            power_at(r.samples, hz) / power_at(r.samples, 2 * hz)
            for r, hz in zip(group, found, strict=True)
        ]
        for group, found in zip((ordinary, limping), strides, strict=True)
    ]
    assert np.median(strides[1]) < 0.85 * np.median(strides[0])
    assert np.median(ratios[1]) > 2 * np.median(ratios[0])


def test_an_athlete_is_quicker_and_wider_and_a_cane_damps_the_swing():
    def swing(kind):
        group = make([f"p{n:03d}{kind}" for n in range(1, 16)], ["walking"])
        return np.median([r.samples.std(axis=0)[1] for r in group]), np.median(
            [cadence_hz(r.samples, 0.5, 1.4) for r in group]
        )

    ordinary, cane, athlete = swing(""), swing("-cane"), swing("-athlete")
    assert athlete[0] > 1.2 * ordinary[0]
    assert athlete[1] > 1.08 * ordinary[1]
    assert cane[0] < 0.85 * ordinary[0]
    assert cane[1] < 0.85 * ordinary[1]


def test_names_say_who_is_unusual():
    names = user_names(400, seed=7, unusual=0.3)
    kinds = Counter(kind_of(name) for name in names)
    assert names[0].startswith("p001")
    assert set(kinds) == set(KINDS)
    assert kinds["ordinary"] / 400 == pytest.approx(0.7, abs=0.07)
    assert describe("p012-cane", seed=7).kind == kind_of("p012-cane") == "cane"
    assert user_names(3, seed=7) == ["p001", "p002", "p003"]
    assert {kind_of(name) for name in user_names(9, seed=7, unusual={"limp": 1.0})} == {"limp"}
    assert "ordinary" not in {kind_of(name) for name in user_names(99, seed=7, unusual=1.0)}


def test_more_unusual_people_never_make_an_unusual_one_ordinary():
    few, many = (user_names(200, seed=5, unusual=share) for share in (0.2, 0.6))
    for before, after in zip(few, many, strict=True):
        assert kind_of(before) == "ordinary" or kind_of(after) != "ordinary"


@pytest.mark.parametrize(
    ("people", "activities", "options", "message"),
    [
        (0, ["walking"], {}, "people: got 0"),
        (-3, ["walking"], {}, "people: got -3"),
        ([], ["walking"], {}, "at least one"),
        (["p001", "p001"], ["walking"], {}, "none twice"),
        (["bob"], ["walking"], {}, "'bob'.*p001"),
        (["p000"], ["walking"], {}, "'p000'"),
        (["p0001"], ["walking"], {}, "'p0001'"),
        (["p9999999"], ["walking"], {}, "'p9999999'"),
        (["p001-elf"], ["walking"], {}, "-limp, -cane, -athlete"),
        (1, ["flying"], {}, "flying.*expected some of walking, jogging"),
        (1, [], {}, "activities"),
        (1, ["walking", "walking"], {}, "at most once"),
        (1, ["walking"], {"rate_hz": 0.0}, "rate_hz: got 0.0"),
        (1, ["walking"], {"rate_hz": float("nan")}, "rate_hz: got nan"),
        (1, ["walking"], {"minutes": 0.0}, "minutes: got 0.0"),
        (1, ["walking"], {"minutes": float("nan")}, "minutes: got nan"),
        (1, ["walking"], {"unusual": 1.5}, "unusual: got 1.5"),
        (1, ["walking"], {"unusual": float("nan")}, "unusual: got nan"),
        (1, ["walking"], {"unusual": {"elf": 0.1}}, "unusual.*elf"),
        (1, ["walking"], {"unusual": {"limp": 0.7, "cane": 0.7}}, "at most 1"),
    ],
)
def test_bad_input_is_refused_with_what_is_allowed(people, activities, options, message):
    with pytest.raises(BadInput, match=message):
        make(people, activities, **options)


def test_the_table_of_movements_is_sound():
    for movement in MOVEMENTS.values():
        assert 4.0 < movement.length < 12.0
        assert movement.cadence_hz > 0
        assert min(movement.spread) > 0
        assert replace(movement) == movement


def features(samples):
    """Simple figures of 4 s windows: means, log deviations, log band powers; float64 [W, 12]."""
    windows = samples[: len(samples) // 80 * 80].reshape(-1, 80, 3).astype(np.float64)
    means = windows.mean(axis=1)
    power = np.abs(np.fft.rfft(windows - means[:, None], axis=1)) ** 2
    bands = np.stack([power[:, a:b].sum(axis=(1, 2)) for a, b in ((1, 6), (6, 12), (12, 41))], 1)
    jerk = np.abs(np.diff(windows, axis=1)).mean(axis=1)
    return np.hstack([means / 4, np.log(windows.std(axis=1)), np.log(jerk), 0.5 * np.log(bands)])


def accuracy(train, test, neighbours=5):
    """Vote of the nearest training windows, each given as (features, labels)."""
    distance = ((test[0][:, None] - train[0][None]) ** 2).sum(axis=2)
    nearest = train[1][np.argpartition(distance, neighbours, axis=1)[:, :neighbours]]
    votes = np.stack([(nearest == label).sum(axis=1) for label in range(len(FIVE))], axis=1)
    return (votes.argmax(axis=1) == test[1]).mean()


def test_a_known_person_is_recognised_better_than_an_unseen_one_and_an_unusual_one_worst():
    def windows(recordings, start, stop):
        parts = [
            features(r.samples[int(start * len(r.samples)) : int(stop * len(r.samples))])
            for r in recordings
        ]
        labels = [
            np.full(len(p), FIVE.index(r.activity)) for p, r in zip(parts, recordings, strict=True)
        ]
        return np.concatenate(parts), np.concatenate(labels)

    people = make(36, FIVE)
    halves = people[: 18 * 5], people[18 * 5 :]
    kinds = [kind for kind in KINDS if kind != "ordinary"]
    unusual = make([f"p{40 + n:03d}-{kind}" for kind in kinds for n in range(6)], FIVE)
    scores = []
    for donors, others in (halves, halves[::-1]):
        train = windows(donors, 0.0, 0.7)
        scores.append(
            [accuracy(train, windows(who, 0.7, 1.0)) for who in (donors, others, unusual)]
        )
    known, unseen, odd = np.mean(scores, axis=0)
    assert known > 0.85
    assert known > unseen + 0.03
    assert unseen > odd + 0.08
    assert odd > 0.4

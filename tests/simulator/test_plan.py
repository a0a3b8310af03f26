"""What a run is made of: folds, devices, cohorts, rounds."""

import itertools

import numpy as np
import pytest

from clients.errors import BadRecordings, BadScenario
from simulator.plan import build_plan
from simulator.population import donated_windows, gather_people
from simulator.scenario import Scenario


def scenario(**tables):
    data = {"users": 4, "activities": ["walking", "sitting"], "minutes": 0.5}
    return Scenario.model_validate(
        {
            "name": "x",
            "seed": 5,
            "arms": [{"name": "own", "method": "local"}],
            **tables,
            "data": {**data, **tables.get("data", {})},
        }
    )


def cohort_sizes(users, folds):
    small = {"users": users, "minutes": 0.2, "window_s": 1.0, "hop_s": 1.0}
    plan = build_plan(scenario(data=small, split={"folds": folds}))
    return {
        fold.index: [len(c.devices) for c in plan.cohorts if c.fold == fold.index]
        for fold in plan.folds
    }


@pytest.mark.parametrize(("users", "folds"), [(4, 2), (7, 2), (9, 3), (12, 4)])
def test_every_user_wears_a_device_in_exactly_one_fold(users, folds):
    plan = build_plan(scenario(data={"users": users, "minutes": 0.2}, split={"folds": folds}))
    worn = sorted(device for fold in plan.folds for device in fold.devices)
    assert worn == list(range(users))
    assert [wear.index for wear in plan.wears] == worn
    assert len({wear.user for wear in plan.wears}) == users
    sizes = [len(fold.devices) for fold in plan.folds]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("folds", [2, 3])
def test_donors_of_a_fold_are_all_users_who_wear_no_device_in_it(folds):
    plan = build_plan(scenario(data={"users": 7, "minutes": 0.2}, split={"folds": folds}))
    for fold in plan.folds:
        wearing = {plan.wears[device].user for device in fold.devices}
        assert wearing.isdisjoint(fold.donors)
        assert wearing | set(fold.donors) == set(plan.population.recordings)


def test_one_fold_has_no_donors():
    plan = build_plan(scenario(split={"folds": 1}, model={"base": "random"}))
    (fold,) = plan.folds
    assert fold.devices == (0, 1, 2, 3)
    assert fold.donors == ()


def test_folds_depend_on_the_seed_alone():
    def dealt(seed, **tables):
        made = scenario(data={"users": 12, "minutes": 0.2}, **tables).model_copy(
            update={"seed": seed}
        )
        return [fold.devices for fold in build_plan(made).folds]

    assert dealt(5) == dealt(5, stream={"batch": 2})
    assert len({tuple(dealt(seed)) for seed in range(4)}) > 1


def test_cohorts_hold_every_device_once_within_its_fold():
    plan = build_plan(scenario(data={"users": 19, "minutes": 0.2}, split={"folds": 2}))
    assert [cohort.index for cohort in plan.cohorts] == list(range(len(plan.cohorts)))
    for fold in plan.folds:
        held = [c.devices for c in plan.cohorts if c.fold == fold.index]
        assert tuple(itertools.chain(*held)) == fold.devices


def test_fold_of_eight_devices_or_more_has_eight_cohorts():
    assert cohort_sizes(16, 2) == {0: [1] * 8, 1: [1] * 8}
    assert cohort_sizes(20, 2) == {0: [2, 2, 1, 1, 1, 1, 1, 1], 1: [2, 2, 1, 1, 1, 1, 1, 1]}


def test_fold_of_fewer_devices_has_a_cohort_for_each():
    assert cohort_sizes(7, 2) == {0: [1] * 4, 1: [1] * 3}


def test_cohort_sizes_do_not_depend_on_workers():
    sizes = []
    for workers in (1, 3, "auto"):
        plan = build_plan(scenario(data={"users": 18}, fleet={"workers": workers}))
        sizes.append([cohort.devices for cohort in plan.cohorts])
    assert sizes[0] == sizes[1] == sizes[2]


def test_all_rounds_are_those_of_the_longest_stream():
    # 0.5 minutes at 4 s: of 600 samples, 420 are streamed, 5 windows per recording and activity;
    # questions of at most 2 windows: 3 for each of the two recordings, 4 per round.
    stream = {"batch": 2, "questions_per_round": 4}
    plan = build_plan(scenario(stream=stream))
    assert [len(wear.stream) for wear in plan.wears] == [6] * 4
    assert plan.rounds == 2
    assert build_plan(scenario(stream={**stream, "questions_per_round": 5})).rounds == 2
    assert build_plan(scenario(stream={**stream, "questions_per_round": 6})).rounds == 1


def test_rounds_beyond_the_median_stream_are_an_error():
    stream = {"batch": 2, "questions_per_round": 2}  # 6 questions: 3 rounds
    assert build_plan(scenario(stream={**stream, "rounds": 3})).rounds == 3
    with pytest.raises(BadScenario) as error:
        build_plan(scenario(stream={**stream, "rounds": 4}))
    assert "stream.rounds = 4" in str(error.value)
    assert 'give at most 3, or "all"' in str(error.value)


def write_user(folder, user, seconds):
    """Write a WISDM 2019 file: walking (A) at 20 Hz, then sitting (D) for 20 s."""
    lines = []
    for start_s, code, length_s in ((1000, "A", seconds), (2000, "D", 20)):
        for i in range(length_s * 20):
            ns = 10**9 * start_s + 50_000_000 * i
            lines.append(f"{user},{code},{ns},{i % 7}.0,9.8,{i % 3}.5;\n")
    (folder / f"data_{user}_accel_watch.txt").write_text("".join(lines))


def recorded(folder, **tables):
    data = {"source": "wisdm-2019", "path": str(folder), "users": "all"}
    return scenario(split={"folds": 2, "holdout": 0.0}, data=data, **tables)


def test_streams_differ_in_length_and_the_median_bounds_the_rounds(tmp_path):
    # Questions of 4 s each, one per round: walking gives 5, 10, 10 and 30; sitting adds 5.
    for user, seconds in ((1600, 20), (1601, 40), (1602, 40), (1603, 120)):
        write_user(tmp_path, user, seconds)
    stream = {"batch": 1, "questions_per_round": 1}
    plan = build_plan(recorded(tmp_path, stream=stream))
    assert [len(wear.stream) for wear in plan.wears] == [10, 15, 15, 35]
    assert plan.rounds == 35
    assert build_plan(recorded(tmp_path, stream={**stream, "rounds": 15})).rounds == 15
    with pytest.raises(BadScenario, match="the median stream ends after 15 rounds"):
        build_plan(recorded(tmp_path, stream={**stream, "rounds": 16}))


@pytest.mark.parametrize("key", ["window_s", "hop_s"])
def test_window_of_no_samples_is_refused(key):
    with pytest.raises(BadScenario) as error:
        build_plan(scenario(data={key: 0.02}))  # 0.4 samples at 20 Hz
    assert f"data.{key} = 0.02" in str(error.value)
    assert "0 " in str(error.value)
    assert "at 20.0 Hz" in str(error.value)


def test_window_longer_than_a_recording_is_refused_with_the_user():
    with pytest.raises(BadRecordings, match=r"user p\d+.*no window of 1200 samples.*window_s"):
        build_plan(scenario(data={"window_s": 60.0, "hop_s": 60.0}))


def test_fewer_than_two_users_in_a_fold_are_refused(tmp_path):
    for user in (1600, 1601, 1602):
        write_user(tmp_path, user, 20)
    with pytest.raises(BadScenario, match=r"split.folds = 2: the data has 3 users"):
        build_plan(recorded(tmp_path))


def test_people_keep_their_recordings_and_their_number(tmp_path):
    for user in (1601, 1600, 1602, 1603):
        write_user(tmp_path, user, 20)
    people = gather_people(recorded(tmp_path))
    assert list(people.recordings) == ["1600", "1601", "1602", "1603"]
    assert (people.length, people.hop, people.channels) == (80, 80, 3)
    assert all(
        sorted(r.activity for r in own) == ["sitting", "walking"]
        for own in people.recordings.values()
    )


def test_donors_give_all_of_their_windows():
    made = scenario(split={"folds": 2, "holdout": 0.3})
    people = gather_people(made)
    users = list(people.recordings)[:2]
    donated = donated_windows(people, made.data.activities, users, length=80, hop=80)
    # Two activities of 600 samples each: 7 windows each, the holdout among them.
    assert donated.x.shape == (28, 80, 3)
    np.testing.assert_array_equal(np.bincount(donated.users), [14, 14])
    np.testing.assert_array_equal(np.bincount(donated.labels), [14, 14])


def test_holdout_of_a_device_is_no_part_of_its_stream():
    plan = build_plan(scenario())
    for wear in plan.wears:
        # 600 samples per recording: the stream ends before sample 420.
        assert wear.stream.windows.start.max() + 80 <= 420
        assert wear.holdout.start.min() >= 420
        assert len(wear.holdout) == 4

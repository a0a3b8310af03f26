"""What a run is made of: folds, devices, cohorts, rounds."""

import itertools

import numpy as np
import pytest

from clients.errors import BadRecordings, BadScenario
from simulator.base.prepared import Parts, Prepared
from simulator.plan.plan import build_plan
from simulator.plan.population import donated_windows, gather_people
from simulator.scenario.scenario import Scenario
from tests.clients.keras_programs import dense_any, dense_of_32


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


def devices_of(fold):
    return fold.devices.tolist()


def lengths(plan):
    """Return how many questions each device's stream has."""
    return plan.wear(np.arange(plan.devices)).streams.lengths().tolist()


def cohort_sizes(users, folds, devices="users"):
    small = {"users": users, "minutes": 0.2, "window_s": 1.0, "hop_s": 1.0}
    tables = {"split": {"folds": folds}, "model": {"base": "random"}, "fleet": {"devices": devices}}
    plan = build_plan(scenario(data=small, **tables))
    return {
        fold.index: [len(c.devices) for c in plan.cohorts if c.fold == fold.index]
        for fold in plan.folds
    }


@pytest.mark.parametrize(("users", "folds"), [(4, 2), (7, 2), (9, 3), (12, 4)])
def test_every_user_wears_a_device_in_exactly_one_fold(users, folds):
    plan = build_plan(scenario(data={"users": users, "minutes": 0.2}, split={"folds": folds}))
    worn = sorted(device for fold in plan.folds for device in devices_of(fold))
    assert worn == list(range(users))
    wear = plan.wear(np.arange(users))
    assert wear.devices.tolist() == worn
    assert list(wear.users) == list(wear.names) == sorted(plan.population.recordings)
    for fold in plan.folds:
        assert fold.wearers == tuple(wear.users[device] for device in devices_of(fold))
    sizes = [len(fold.devices) for fold in plan.folds]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("folds", [2, 3])
def test_donors_of_a_fold_are_all_users_who_wear_no_device_in_it(folds):
    plan = build_plan(scenario(data={"users": 7, "minutes": 0.2}, split={"folds": folds}))
    for fold in plan.folds:
        wearing = set(plan.wear(fold.devices).users)
        assert wearing == set(fold.wearers)
        assert wearing.isdisjoint(fold.donors)
        assert wearing | set(fold.donors) == set(plan.population.recordings)


def test_one_fold_has_no_donors():
    plan = build_plan(scenario(split={"folds": 1}, model={"base": "random"}))
    (fold,) = plan.folds
    assert devices_of(fold) == [0, 1, 2, 3]
    assert fold.donors == ()


def test_folds_depend_on_the_seed_alone():
    def dealt(seed, **tables):
        made = scenario(data={"users": 12, "minutes": 0.2}, **tables).model_copy(
            update={"seed": seed}
        )
        return [fold.wearers for fold in build_plan(made).folds]

    assert dealt(5) == dealt(5, stream={"batch": 2})
    assert dealt(5) == dealt(5, fleet={"devices": 30})
    assert len({tuple(dealt(seed)) for seed in range(4)}) > 1


def test_cohorts_hold_every_device_once_within_its_fold():
    plan = build_plan(scenario(data={"users": 19, "minutes": 0.2}, split={"folds": 2}))
    assert [cohort.index for cohort in plan.cohorts] == list(range(len(plan.cohorts)))
    for fold in plan.folds:
        held = [c.devices.tolist() for c in plan.cohorts_of(fold.index)]
        assert list(itertools.chain(*held)) == devices_of(fold)


def test_fold_of_eight_devices_or_more_has_eight_cohorts():
    assert cohort_sizes(16, 2) == {0: [1] * 8, 1: [1] * 8}
    assert cohort_sizes(20, 2) == {0: [2, 2, 1, 1, 1, 1, 1, 1], 1: [2, 2, 1, 1, 1, 1, 1, 1]}


def test_fold_of_fewer_devices_has_a_cohort_for_each():
    assert cohort_sizes(7, 2) == {0: [1] * 4, 1: [1] * 3}


def test_cohort_has_1024_devices_at_most():
    sizes = cohort_sizes(4, 1, devices=8193)  # 8 of 1024 and one more
    assert sizes == {0: [911, 911, 911, *[910] * 6]}
    assert cohort_sizes(4, 1, devices=8192) == {0: [1024] * 8}


def test_cohort_sizes_depend_on_the_number_of_devices_alone():
    sizes = []
    for fleet in ({"workers": 1}, {"workers": 3}, {"tile": 1}, {"engine": "reference"}):
        plan = build_plan(scenario(data={"users": 18}, fleet=fleet))
        sizes.append([cohort.devices.tolist() for cohort in plan.cohorts])
    assert sizes[0] == sizes[1] == sizes[2] == sizes[3]


def test_devices_beyond_the_users_are_dealt_to_them_in_turn():
    plan = build_plan(scenario(fleet={"devices": 10}))
    wear = plan.wear(np.arange(10))
    users = sorted(plan.population.recordings)
    assert list(wear.users) == users * 2 + users[:2]
    ends = [""] * 4 + ["+1"] * 4 + ["+2"] * 2
    assert list(wear.names) == [u + end for u, end in zip(wear.users, ends, strict=True)]
    assert plan.devices == 10
    # All devices of a user are in the fold in which the user donates nothing.
    for fold in plan.folds:
        assert set(plan.wear(fold.devices).users) == set(fold.wearers)
    np.testing.assert_array_equal(wear.holdout[4:8], wear.holdout[:4])


def test_first_device_of_a_user_measures_what_was_recorded():
    as_recorded, varied = (
        build_plan(scenario(fleet={"devices": n})).wear(np.arange(4, dtype=np.int64))
        for n in ("users", 9)
    )
    windows = as_recorded.streams.in_round(1, 2)[0]
    np.testing.assert_array_equal(varied.streams.in_round(1, 2)[0], windows)
    np.testing.assert_array_equal(varied.read(windows), as_recorded.read(windows))


def test_variation_has_its_own_order_and_its_own_measurements():
    plan = build_plan(scenario(fleet={"devices": 8}, stream={"bout_windows": 1, "batch": 1}))
    wear = plan.wear(np.array([0, 4]))
    first, second = wear.streams.questions
    assert sorted(first) == sorted(second)
    assert first.tolist() != second.tolist()
    windows = np.zeros((2, 1), np.int32)  # the same window of both
    own, other = wear.read(windows)
    assert np.abs(own - other).max() > 0.1


def test_fewer_devices_than_users_are_refused():
    with pytest.raises(BadScenario) as error:
        build_plan(scenario(fleet={"devices": 3}))
    assert "fleet.devices = 3: 4 users wear a device each at least" in str(error.value)
    assert "data.users" in str(error.value)
    assert build_plan(scenario(fleet={"devices": 4})).devices == 4


def test_all_rounds_are_those_of_the_longest_stream():
    # 0.5 minutes at 4 s: of 600 samples, 420 are streamed, 5 windows per recording and activity;
    # questions of at most 2 windows: 3 for each of the two recordings, 4 per round.
    stream = {"batch": 2, "questions_per_round": 4}
    plan = build_plan(scenario(stream=stream))
    assert lengths(plan) == [6] * 4
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


def write_user(folder, user, seconds, sitting=20):
    """Write a WISDM 2019 file: walking (A) at 20 Hz, then sitting (D)."""
    lines = []
    for start_s, code, length_s in ((1000, "A", seconds), (2000, "D", sitting)):
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
    assert lengths(plan) == [10, 15, 15, 35]
    assert plan.rounds == 35
    everybody = np.arange(4)
    assert plan.goes_on(everybody, 10).tolist() == [True] * 4
    assert plan.goes_on(everybody, 11).tolist() == [False, True, True, True]
    assert plan.goes_on(everybody, 35).tolist() == [False, False, False, True]
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
    wear, windows = plan.wear(np.arange(4)), plan.pool.windows
    asked = wear.streams.in_round(1, 100)[0]
    # A recording is 600 samples, laid behind the one before: its stream ends before sample 420.
    for device in range(4):
        first, stop = wear.holdout[device]
        streamed, held = windows.start[asked[device][asked[device] >= 0]], windows.start[first:stop]
        assert held.size == 4
        assert (streamed % 600).max() + 80 <= 420
        assert (held % 600).min() >= 420
        assert set(np.concatenate([streamed, held]) // 600) == {2 * device, 2 * device + 1}


def prepared_with(parameters):
    params = {"kernel": np.zeros(parameters, np.float32)}
    return Prepared(0, "cnn", {}, params, Parts(), False, None, {}, 0, None)


@pytest.mark.parametrize(
    ("parameters", "tile"),
    [(646, 128), (8_549, 16), (1_280, 128), (20_480, 8), (1_000_000, 8)],  # 640 KiB hold 163,840
)
def test_tile_is_the_power_of_two_of_devices_that_a_cache_holds(parameters, tile):
    prepared = prepared_with(parameters)
    assert prepared.tile("auto", 1024) == tile
    assert prepared.tile(5, 1024) == 5


@pytest.mark.parametrize(
    ("devices", "tile"),
    # 7 tiles of 18 or 9 of 14 hold 125 devices with one empty place, and 9 of 16 would leave three;
    # 4 tiles of 17 fit 68 exactly, and 3 of 20 fit 60 as 5 of 12 and 4 of 15 do.
    [(125, 14), (128, 16), (68, 17), (60, 15), (16, 16), (1, 16)],
)
def test_tile_is_a_number_near_to_it_with_which_few_places_are_empty(devices, tile):
    assert prepared_with(8_549).tile("auto", devices) == tile


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """Give the tables of scenarios whose program takes 32 single samples, or as many as come."""
    folder = tmp_path_factory.mktemp("foreign")
    paths = {32: dense_of_32(folder / "fixed"), 1: dense_any(folder / "any")}

    def of(least, **stream):
        model = {"program": str(paths[least]), "base": "random"}
        return {"model": model, "stream": {"batch": 32, "bout_windows": 80, **stream}}

    return of


def sizes(plan):
    """Count the questions of each size."""
    return dict(
        zip(
            *(part.tolist() for part in np.unique(plan.questions.count, return_counts=True)),
            strict=True,
        )
    )


def test_questions_that_are_too_short_for_the_program_are_left_out_and_noted(foreign):
    # 420 samples of each recording are streamed: five bouts of 80, and one of 20.
    every, fixed = (build_plan(scenario(**foreign(least))) for least in (1, 32))
    assert (every.population.length, every.population.hop) == (1, 1)
    assert sizes(every) == {32: 80, 20: 8, 16: 40}
    assert every.notes == ()
    assert sizes(fixed) == {32: 80}
    assert fixed.questions.left_out.tolist() == [12] * 4
    assert fixed.notes == (
        "48 of 128 questions have fewer windows than the 32 that the program takes; they are not "
        "asked",
        # 180 samples of each of eight recordings are held out: five batches, and 20 more.
        "160 of 1440 windows of the holdout fill no batch of 32; they are not scored",
    )
    # Ten questions a recording, two a round.
    assert (lengths(fixed), fixed.rounds) == ([20] * 4, 10)
    assert lengths(every) == [32] * 4


def test_as_many_questions_are_left_out_however_many_devices_there_are(foreign):
    plan = build_plan(scenario(fleet={"devices": 9}, **foreign(32)))
    assert lengths(plan) == [20] * 9
    assert plan.notes[0].startswith("48 of 128 questions have fewer")


def test_the_batch_may_divide_all_bouts_but_the_last_of_a_recording(foreign):
    # 420 samples are six bouts of 64 and one of 36.
    plan = build_plan(scenario(**foreign(32, bout_windows=64)))
    assert sizes(plan) == {32: 104}
    assert plan.questions.left_out.tolist() == [2] * 4


def test_notes_on_questions_stand_behind_those_on_arms(foreign):
    arms = [{"name": "late", "method": "finetune", "switch_round": 500}]
    first, second, _ = build_plan(scenario(arms=arms, **foreign(32))).notes
    assert first.startswith('arm "late" never fine-tunes')
    assert second.startswith("48 of 128 questions")


def test_bouts_without_a_question_that_the_program_takes_are_refused(foreign):
    tables = foreign(32, bout_windows=31)
    with pytest.raises(BadScenario) as refused:
        build_plan(scenario(**tables))
    said = str(refused.value)
    assert f"no bout has 32 windows, which {tables['model']['program']} takes and no fewer" in said
    assert said.startswith("user p001: ")
    assert "stream.bout_windows" in said
    assert sizes(build_plan(scenario(**foreign(1, bout_windows=31)))) == {31: 104, 17: 8}


def test_a_user_without_a_question_that_the_program_takes_is_named(foreign, tmp_path):
    # Of 2 s, 28 samples are streamed.
    for user, seconds in ((1600, 20), (1601, 20), (1602, 2), (1603, 20)):
        write_user(tmp_path, user, seconds, sitting=seconds)
    data = {"source": "wisdm-2019", "path": str(tmp_path), "users": "all"}
    with pytest.raises(BadScenario, match=r"^user 1602: no bout has 32 windows.*data\.users"):
        build_plan(scenario(data=data, **foreign(32)))
    rest = {**data, "users": ["1600", "1601", "1603"]}
    one_fold = {"folds": 1, "donors": 0}
    assert len(build_plan(scenario(data=rest, split=one_fold, **foreign(32))).notes) == 2
    # 280 samples of each other recording: three bouts of 80 and one of 40, 3 * 3 + 2 questions.
    assert lengths(build_plan(scenario(data=data, **foreign(1)))) == [22, 22, 2, 22]


def test_a_holdout_by_chance_is_of_everybodys_whole_recordings():
    split = {"holdout": 0.25, "holdout_by": "chance"}
    by_time, drawn, again = (
        build_plan(scenario(data={"minutes": 2.0}, split=own))
        for own in ({"holdout": 0.25}, split, split)
    )
    np.testing.assert_array_equal(drawn.pool.windows.start, again.pool.windows.start)
    first, stop = drawn.pool.holdout[0]
    held = drawn.pool.windows.take(np.arange(first, stop))
    # Two minutes of each activity are 30 windows of 4 s, and a quarter of them 8, rounded to even.
    assert np.bincount(held.label).tolist() == [8, 8]
    assert held.time_s.min() < by_time.pool.windows.time_s[by_time.pool.holdout[0, 0]]
    assert any("flatters" in note for note in drawn.notes)
    assert not any("flatters" in note for note in by_time.notes)


def test_a_holdout_by_chance_of_single_samples_is_refused():
    with pytest.raises(BadScenario, match=r'holdout_by = "chance": tracker_dense takes single'):
        build_plan(scenario(split={"holdout_by": "chance"}, model={"program": "tracker_dense"}))

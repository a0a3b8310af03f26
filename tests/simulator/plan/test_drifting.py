"""Whom drifts befall, what that makes of streams and exams, and what runs write of it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from clients.drift import SIGNALS
from clients.stream_drift import STREAM_DRIFTS
from simulator.plan.drifting import drift_of, stream_change
from simulator.plan.plan import Plan, build_plan
from simulator.plan.population import donated_windows
from simulator.scenario.scenario import Scenario
from tests.simulator.conftest import contents, read_all
from tests.simulator.made_fleets import farthest, write_people

ACTIVITIES = ["walking", "jogging", "sitting"]
NEEDED = {"new-activity": {"activity": "sitting"}, "label-shift": {"activities": ["sitting"]}}
SITTING = ACTIVITIES.index("sitting")
KINDS = (*SIGNALS, *STREAM_DRIFTS)
ONE_OF_THE_SIGNAL = ("rotation", *STREAM_DRIFTS)  # where all those of the signal do alike


def drift_table(kind, **keys):
    return {"kind": kind, **NEEDED.get(kind, {}), **keys}


def scenario_of(*drifts, **tables):
    small = {"users": 6, "activities": ACTIVITIES, "minutes": 0.6, "window_s": 2.0, "hop_s": 2.0}
    return Scenario.model_validate(
        {
            "name": "x",
            "seed": 5,
            "arms": [{"name": "own", "method": "local"}],
            "model": {"program": "dense", "base": "random"},
            **tables,
            "data": {**small, **tables.get("data", {})},
            "stream": {"bout_windows": 3, "batch": 2, **tables.get("stream", {})},
            "drift": list(drifts),
        }
    )


def plan_of(*drifts, **tables) -> Plan:
    return build_plan(scenario_of(*drifts, **tables))


def everybody(plan):
    return plan.wear(np.arange(plan.devices))


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """Give the data of five people whose streams end at different times."""
    people = write_people(tmp_path_factory.mktemp("uneven"))
    return {"source": "wisdm-2019", "path": str(people), "users": "all"}


def befallen(plan, number=0):
    return np.flatnonzero(plan.changes[number].devices).tolist()


def whose(plan, windows):
    """Return the numbers of the users whose streamed windows these are, -1 for none."""
    first, stop = plan.pool.streamed.T
    inside = (windows[..., None] >= first) & (windows[..., None] < stop)
    return np.where(inside.any(axis=-1), inside.argmax(axis=-1), -1)


def test_without_drift_nobody_is_befallen():
    plan = plan_of()
    assert plan.changes == ()
    assert everybody(plan).drift is None
    assert plan.lengths.tolist() == everybody(plan).streams.lengths().tolist()


@pytest.mark.parametrize(("share", "each"), [(1.0, 5), (0.4, 2), (0.6, 3), (0.01, 1), (0.79, 4)])
def test_a_share_of_the_devices_is_exact_in_each_fold(share, each):
    plan = plan_of(drift_table("gain", devices=share), data={"users": 10, "minutes": 0.3})
    for fold in plan.folds:
        assert len(set(befallen(plan)) & set(fold.devices.tolist())) == each
    assert len(befallen(plan)) == 2 * each


def test_whom_a_drift_befalls_is_drawn_by_the_seed():
    def drawn(seed):
        scenario = scenario_of(drift_table("gain", devices=0.5), data={"users": 12, "minutes": 0.3})
        plan = build_plan(scenario.model_copy(update={"seed": seed}))
        return tuple(tuple(np.isin(fold.devices, befallen(plan))) for fold in plan.folds)

    assert drawn(1) == drawn(1)
    assert len({drawn(seed) for seed in range(4)}) > 1


def test_each_drift_befalls_devices_of_its_own():
    table = drift_table("gain", devices=0.5)
    plan = plan_of(table, table, table, data={"users": 12, "minutes": 0.3})
    assert len({tuple(befallen(plan, number)) for number in range(3)}) > 1


def test_whom_a_drift_befalls_depends_on_neither_arms_nor_workers_nor_other_drifts():
    table = drift_table("gain", devices=0.5)
    arms = [{"name": name, "method": "local"} for name in "abc"]
    plain = plan_of(table)
    for other in (
        plan_of(table, arms=arms),
        plan_of(table, fleet={"workers": 3}),
        plan_of(table, drift_table("swap-user", devices=0.5)),
    ):
        assert befallen(other) == befallen(plain)


def test_named_devices_are_befallen_and_nobody_else():
    plan = plan_of(drift_table("gain", devices=["p004", "p001", "p002+1"]), fleet={"devices": 9})
    assert befallen(plan) == [0, 3, 7]
    assert [plan.name_of(device) for device in (0, 3, 7)] == ["p001", "p004", "p002+1"]


def test_variations_of_a_user_are_drawn_apart():
    plan = plan_of(drift_table("gain", devices=0.5), fleet={"devices": 60})
    hit = plan.changes[0].devices.reshape(10, 6)
    assert plan.changes[0].devices.sum() == 30
    assert all(0 < hit[:, user].sum() < 10 for user in range(6))


FORMS = {
    "sudden": {"at": 0.4},
    "gradual": {"at": 0.2, "over": 0.5},
    "recurring": {"at": 0.2, "period": 0.5},
}
every_form = pytest.mark.parametrize("form", FORMS)
every_kind = pytest.mark.parametrize("kind", KINDS)
every_part = pytest.mark.parametrize("kind", ONE_OF_THE_SIGNAL)


@every_part
@every_form
@pytest.mark.parametrize("rounds", ["all", 4])
def test_lengths_of_the_plan_are_those_of_the_streams(kind, form, rounds, uneven):
    plan = plan_of(
        drift_table(kind, devices=0.5, **FORMS[form]),
        fleet={"devices": 9},
        stream={"rounds": rounds, "questions_per_round": 3},
        data=uneven,
    )
    lengths = everybody(plan).streams.lengths()
    assert plan.lengths.tolist() == lengths.tolist()
    assert 3 * (plan.rounds - 1) < lengths.max() <= 3 * plan.rounds
    assert len(set(lengths.tolist())) > 1 or rounds == 4
    for device in (0, 7):
        alone = plan.wear(np.array([device]))
        assert alone.streams.lengths().tolist() == [lengths[device]]
        for round_ in range(1, plan.rounds + 1):
            goes_on = bool(plan.goes_on(np.array([device]), round_)[0])
            assert goes_on == (alone.streams.in_round(round_, 3)[0] >= 0).any()


@every_part
@every_form
def test_windows_have_the_state_in_which_their_question_is_met(kind, form, uneven):
    table = drift_table(kind, devices=0.5, **FORMS[form])
    plan = plan_of(table, fleet={"devices": 9}, data=uneven)
    wear = everybody(plan)
    drift, count = wear.drift, wear.streams.questions.shape[1]
    windows, _ = wear.streams.in_round(1, count)
    expected = np.where(windows >= 0, drift.question[..., None], 0)
    np.testing.assert_array_equal(drift.of_windows(windows), expected)
    assert 0 < (expected > 0).sum() < (windows >= 0).sum()
    others = np.delete(np.arange(9), befallen(plan))
    assert (expected[others] == 0).all()
    # Rehearsed later, in another order and by rows, they have it still.
    flat = windows.reshape(9, -1)[:, ::-1]
    rows = np.array([7, 0, 7, 3])
    np.testing.assert_array_equal(
        drift.of_windows(flat[rows], rows), expected.reshape(9, -1)[:, ::-1][rows]
    )
    np.testing.assert_array_equal(wear.drifted(windows), expected > 0)


@every_form
def test_several_drifts_may_be_in_force_at_once(form, uneven):
    plan = plan_of(drift_table("gain", at=0.6), drift_table("swap-user", **FORMS[form]),
                   drift_table("bias", at=0.3), data=uneven)  # fmt: skip
    drift = everybody(plan).drift
    assert {1, 2, 4} <= {int(state & bit) for state in drift.question.ravel() for bit in (1, 2, 4)}
    assert any(bin(state).count("1") == 3 for state in drift.question.ravel().tolist())
    assert (drift.signals, drift.of_stream) == (5, 2)
    assert stream_change(plan.changes)[0] == 1
    for row, length in enumerate(drift.lengths):
        for bit, at in ((1, 0.6), (4, 0.3)):
            own = (drift.question[row, :length] & bit) > 0
            assert own.tolist() == [place >= round(at * length) for place in range(length)]
        assert (drift.question[row, length:] == 0).all()


@every_kind
@pytest.mark.parametrize("variation", [True, False])
def test_devices_read_the_same_bytes_together_and_alone(kind, variation, uneven):
    strength = {} if variation else {"tilt_deg": 0.0, "gain": 1.0, "cadence": 1.0, "noise": 0.0}
    plan = plan_of(
        drift_table(kind, devices=0.5, at=0.2, period=0.5),
        drift_table("rotation", at=0.5),
        fleet={"devices": 8},
        variation=strength,
        data=uneven,
    )
    wear = everybody(plan)
    windows, _ = wear.streams.in_round(1, wear.streams.questions.shape[1])
    read = wear.read(windows)
    by_row = wear.read(windows[[6, 1]], np.array([6, 1]))
    assert by_row.tobytes() == read[[6, 1]].tobytes()
    for device in (0, 6):
        alone, there = plan.wear(np.array([device])), windows[device] >= 0
        taken = wear.take([device])
        for one in (alone, taken):
            own, _ = one.streams.in_round(1, windows.shape[1])
            assert own[0].tobytes() == windows[device].tobytes()
            assert one.read(own)[0][there].tobytes() == read[device][there].tobytes()
            for questions in (0, 3, 1000):
                exam, all_ = one.exam(questions), wear.exam(questions).take([device])
                assert exam.state.tolist() == all_.state.tolist()
                kept = [e.windows[0][e.windows[0] >= 0].tolist() for e in (exam, all_)]
                assert kept[0] == kept[1]
        question = windows[device][2][there[2]]  # rehearsed later
        again = wear.read(question[None], np.array([device]))
        assert again[0].tobytes() == read[device][2][there[2]].tobytes()


def test_a_window_of_before_stays_as_it_was_when_it_is_rehearsed_under_drift():
    plan = plan_of(drift_table("gain", factor=3.0, at=0.5), fleet={"devices": 6})
    wear = everybody(plan)
    windows, _ = wear.streams.in_round(1, int(wear.streams.lengths().min()))
    half = (plan.lengths / 2).round().astype(int)
    for device in range(6):
        first, later = windows[device, 0], windows[device, half[device]]
        both = np.concatenate([later[later >= 0], first[first >= 0]])[None]
        read, plain = wear.read(both, np.array([device]))[0], plan.pool.read(both)[0]
        count = int((later >= 0).sum())
        np.testing.assert_allclose(read[:count], 3.0 * plain[:count], rtol=1e-6)
        np.testing.assert_array_equal(read[count:], plain[count:])


@every_form
def test_a_guest_is_another_wearer_of_the_fold_and_shows_what_streams(form):
    plan = plan_of(drift_table("swap-user", **FORMS[form]), fleet={"devices": 18})
    guests = 0
    for fold in plan.folds:
        wear = plan.wear(fold.devices)
        windows, _ = wear.streams.in_round(1, wear.streams.questions.shape[1])
        seen, own = whose(plan, windows), plan.users_of(fold.devices)
        assert (seen[windows >= 0] >= 0).all()  # never of the holdout
        met = (wear.drift.question > 0)[..., None] & (windows >= 0)
        for row in range(len(wear)):
            assert set(seen[row][(windows[row] >= 0) & ~met[row]]) == {own[row]}
            others = {plan.pool.users[user] for user in seen[row][met[row]]}
            assert len(others) == 1
            assert others <= set(fold.wearers) - {plan.pool.users[own[row]]}
            assert not others & set(fold.donors)
            guests += 1
    assert guests == 18


def test_guests_of_a_device_do_not_depend_on_who_else_is_looked_at():
    plan = plan_of(drift_table("swap-user"), fleet={"devices": 18})
    wear = everybody(plan)
    for cohort in plan.cohorts:
        own = plan.wear(cohort.devices)
        np.testing.assert_array_equal(own.drift.spans, wear.drift.spans[cohort.devices])
        width = min(own.streams.questions.shape[1], wear.streams.questions.shape[1])
        np.testing.assert_array_equal(
            own.streams.questions[:, :width], wear.streams.questions[cohort.devices, :width]
        )


@every_form
def test_a_new_activity_is_met_by_nobody_before_its_time_and_by_the_others_never(form):
    plan = plan_of(drift_table("new-activity", devices=0.5, **FORMS[form]), fleet={"devices": 12})
    wear = everybody(plan)
    _, labels = wear.streams.in_round(1, wear.streams.questions.shape[1])
    new = labels == SITTING
    assert ((wear.drift.question > 0) | ~new).all()
    hit = np.isin(np.arange(12), befallen(plan))
    assert new[hit].any(axis=1).all()
    assert not new[~hit].any()
    plain = everybody(plan_of(fleet={"devices": 12}))
    _, usual = plain.streams.in_round(1, plain.streams.questions.shape[1])
    assert (usual == SITTING).any(axis=1).all()


def test_donors_do_not_show_what_is_new():
    plan = plan_of(drift_table("new-activity"))
    population, donors = plan.population, plan.folds[0].donors
    how = {"length": population.length, "hop": population.hop}
    all_ = donated_windows(population, ACTIVITIES, donors, **how)
    some = donated_windows(population, ACTIVITIES, donors, **how, without=("sitting",))
    kept = all_.labels != SITTING
    assert 0 < kept.sum() < kept.size
    np.testing.assert_array_equal(some.labels, all_.labels[kept])
    np.testing.assert_array_equal(some.x, all_.x[kept])
    np.testing.assert_array_equal(some.users, all_.users[kept])


def test_a_note_says_how_many_have_nothing_of_a_named_activity(tmp_path):
    for user in (1600, 1601, 1602, 1603):  # 30 s of walking (A), jogging (B), sitting (D)
        lines = [
            f"{user},{code},{10**12 * number + 50_000_000 * i},{i % 7}.0,9.8,{i % 3}.5;\n"
            for number, code in enumerate("AB" if user == 1603 else "ABD", start=1)
            for i in range(600)
        ]
        (tmp_path / f"data_{user}_accel_watch.txt").write_text("".join(lines))
    data = {"source": "wisdm-2019", "path": str(tmp_path), "users": "all"}
    plan = plan_of(drift_table("gain"), drift_table("label-shift"), data=data)
    notes = [note for note in plan.notes if "drift" in note]
    assert notes == ['drift "label-shift": no recording of sitting by 1 user']
    assert everybody(plan).exam(1000).windows.shape[0] == 4
    assert not [n for n in plan_of(drift_table("label-shift")).notes if "drift" in n]


@every_kind
def test_exam_before_a_drift_and_without_one_is_the_wearers_holdout(kind):
    plan = plan_of(drift_table(kind, at=0.5), fleet={"devices": 8})
    wear = everybody(plan)
    for exam in (wear.exam(), wear.exam(0), wear.exam(2)):
        assert (exam.state == 0).all()
        for row, own in enumerate(exam.windows):
            windows = np.arange(*wear.holdout[row])
            if kind == "new-activity":
                windows = windows[plan.pool.windows.label[windows] != SITTING]
            assert own[own >= 0].tolist() == windows.tolist()


@every_kind
def test_exam_under_drift_is_what_the_wearer_does_then(kind):
    plan = plan_of(drift_table(kind, at=0.5, devices=0.5), fleet={"devices": 8})
    wear, hit = everybody(plan), befallen(plan)
    exam = wear.exam(10_000)
    assert np.flatnonzero(exam.state).tolist() == hit
    usual = wear.exam()
    for row in range(8):
        own = exam.windows[row][exam.windows[row] >= 0].tolist()
        if row not in hit:
            assert own == usual.windows[row][usual.windows[row] >= 0].tolist()
            continue
        holdout = np.arange(*wear.holdout[row])
        labels = plan.pool.windows.label
        if kind == "swap-user":
            first = wear.drift.spans[row, 1, 0]
            guest = int(whose(plan, np.array([first]))[0])
            assert guest != row % 6
            holdout = np.arange(*plan.pool.holdout[guest])
        if kind == "label-shift":
            named = int((labels[holdout] == SITTING).sum())
            assert set(own) <= set(holdout.tolist())
            assert (labels[own] == SITTING).sum() == named > 0
            assert len(own) == named + round(named * 0.2 / 0.8)
        else:
            assert own == holdout.tolist()


def test_exam_under_a_drift_of_the_signal_is_read_with_it():
    plan = plan_of(drift_table("gain", factor=3.0, devices=0.5))
    wear, hit = everybody(plan), befallen(plan)
    exam = wear.exam(10_000)
    read, plain = wear.read(exam.windows, state=exam.state), plan.pool.read(exam.windows)
    for row in range(6):
        there = exam.windows[row] >= 0
        factor = 3.0 if row in hit else 1.0
        np.testing.assert_allclose(read[row][there], factor * plain[row][there], rtol=1e-6)
    before = wear.exam()
    np.testing.assert_array_equal(wear.read(before.windows, state=before.state), plain)


def test_exam_follows_a_drift_that_comes_and_goes(uneven):
    plan = plan_of(drift_table("gain", at=0.25, period=0.5), data=uneven)
    wear = everybody(plan)
    for row, length in enumerate(plan.lengths.tolist()):
        begins, half = round(0.25 * length), max(round(0.25 * length), 1)
        for questions in range(1, length + 1):
            since = questions - 1 - begins
            expected = since >= 0 and since // half % 2 == 0
            assert bool(wear.exam(questions).state[row]) == expected
        assert wear.exam(length + 9).state[row] == wear.exam(length).state[row]


def test_a_gradual_drift_is_examined_from_half_of_its_way_on(uneven):
    plan = plan_of(drift_table("gain", at=0.2, over=0.6), data=uneven)
    wear = everybody(plan)
    for row, length in enumerate(plan.lengths.tolist()):
        begins, takes = round(0.2 * length), round(0.6 * length)
        states = [int(wear.exam(q).state[row]) for q in range(1, length + 1)]
        assert states == [int((q - begins + 1) / (takes + 1) > 0.5) for q in range(length)]


def test_an_exam_of_some_devices_leaves_the_others_without_windows():
    wear = everybody(plan_of(drift_table("gain")))
    exam = wear.exam()
    chosen = np.arange(6) % 2 == 0
    some = exam.of(chosen)
    np.testing.assert_array_equal(some.windows[chosen], exam.windows[chosen])
    assert (some.windows[~chosen] == -1).all()


def test_states_are_bits_in_the_order_of_the_scenario():
    plan = plan_of(*[drift_table("gain", at=0.5)] * 7, drift_table("swap-user", at=0.5))
    drift = everybody(plan).drift
    assert set(np.unique(drift.question)) == {0, 255}
    assert (drift.signals, drift.of_stream) == (127, 128)
    assert set(drift.variations) == {127}


def test_what_is_laid_out_for_a_cohort_is_that_for_its_devices():
    plan = plan_of(drift_table("label-shift", over=0.3, at=0.2), drift_table("bias"))
    wear = everybody(plan)
    streams, drift = drift_of(
        plan.scenario.seed,
        plan.changes,
        plan.pool,
        np.array([4, 2]),
        np.array([4, 2]),
        [np.arange(6)],
        replace(everybody(plan_of()).streams.take([4, 2])),
        None,
        10_000,
    )
    width = streams.questions.shape[1]
    np.testing.assert_array_equal(streams.questions, wear.streams.questions[[4, 2], :width])
    np.testing.assert_array_equal(drift.question, wear.drift.question[[4, 2], :width])


# Runs.

ONE = 'arms=[{name="local", method="local"}, {name="all", method="fedavg"}]'
QUICK = (ONE, "data.minutes=0.7", "model.base=random", "stream.rounds=3", "stream.batch=4",
         "stream.bout_windows=4")  # fmt: skip
TURNED = '{kind="rotation", angle_deg=120.0, devices=0.5, at=0.4}'
SWAPPED = '{kind="swap-user", at=0.5}'


@pytest.fixture(scope="module")
def runs(run_small):
    """Give runs of the small scenario with some drifts, each made once."""
    made = {}

    def run(*drifts: str, more: Sequence[str] = ()):
        key = (drifts, tuple(more))
        if key not in made:
            made[key] = run_small([*QUICK, f"drift=[{', '.join(drifts)}]", *more])
        return made[key]

    return run


def stacked(column):
    return np.stack(column.to_numpy())


def rounds_of(path):
    return read_all(path / "rounds").sort_values(["arm", "device", "round"], ignore_index=True)


NEW = '{kind="new-activity", activity="sitting", at=0.4}'


@pytest.mark.parametrize("drift", [None, TURNED, SWAPPED, NEW])
def test_classes_of_a_round_sum_to_its_windows(runs, drift):
    rounds = runs(*([drift] if drift else [])).rounds()
    for column in ("label_windows", "predicted_windows"):
        assert stacked(rounds[column]).sum(axis=1).tolist() == rounds["windows"].tolist()
        assert stacked(rounds[column]).shape[1] == 4
    assert rounds["windows"].sum() > 0


@pytest.mark.parametrize("drift", [TURNED, SWAPPED, NEW])
def test_rounds_count_what_windows_tell(runs, drift):
    finished = runs(drift)
    names = ["walking", "jogging", "sitting", "standing"]
    windows = read_all(finished.path / "windows")
    rounds = finished.rounds().set_index(["arm", "device", "round"])
    assert 0 < windows["drifted"].sum() < len(windows)
    for place, own in windows.groupby(["arm", "device", "round"]):
        row = rounds.loc[place]
        assert row["drifted"] == own["drifted"].sum()
        for column, of in (("label_windows", "label"), ("predicted_windows", "predicted")):
            assert row[column].tolist() == [int((own[of] == name).sum()) for name in names]


def test_a_run_without_drift_has_none_anywhere(runs):
    finished = runs()
    rounds = finished.rounds()
    assert (rounds["drifted"] == 0).all()
    assert rounds["holdout_before_confusion"].isna().all()
    assert rounds["holdout_confusion"].notna().all()
    assert not read_all(finished.path / "windows")["drifted"].any()


def test_a_second_holdout_is_written_only_where_a_drift_is_in_force(runs):
    finished = runs(TURNED)
    rounds = finished.rounds()
    plan = build_plan(load(finished))
    names = {plan.name_of(device) for device in befallen(plan)}
    assert 0 < len(names) < 5
    per_round = plan.scenario.stream.questions_per_round
    wear = everybody(plan)
    for device in range(plan.devices):
        own = rounds[rounds["device"] == plan.name_of(device)]
        for _, row in own.iterrows():
            state = wear.exam(row["round"] * per_round).state[device]
            if state == 0:
                assert row["holdout_before_confusion"] is None
    hit = rounds["device"].isin(names)
    before = rounds.loc[hit & (rounds["round"] == 3), "holdout_before_confusion"]
    assert before.notna().all()
    assert rounds.loc[~hit, "drifted"].sum() == 0
    usual = stacked(rounds.loc[before.index, "holdout_confusion"])
    assert (stacked(before).sum(axis=1) == usual.sum(axis=1)).all()
    assert (stacked(before) != usual).any()


def load(finished):
    from simulator.scenario.file import load_scenario

    return load_scenario(finished.path / "scenario.toml")


def test_before_a_drift_comes_everything_is_as_without_it(runs):
    columns = ["arm", "device", "round", "question", "label", "predicted", "voted", "answer"]
    plain, turned = (read_all(runs(*d).path / "windows") for d in ((), (TURNED,)))
    assert len(plain) == len(turned)
    local = [frame[frame["arm"] == "local"].reset_index(drop=True) for frame in (plain, turned)]
    assert (local[0]["label"] == local[1]["label"]).all()
    met = local[1].groupby("device")["drifted"].cumsum() > 0
    pd.testing.assert_frame_equal(local[0].loc[~met, columns], local[1].loc[~met, columns])
    assert (local[0].loc[met, "loss"] != local[1].loc[met, "loss"]).any()


def test_the_holdout_of_a_swapped_device_is_its_guests(runs):
    finished = runs(SWAPPED)
    rounds = finished.rounds()
    plan = build_plan(load(finished))
    wear, per_round = everybody(plan), plan.scenario.stream.questions_per_round
    swapped = 0
    for device in range(plan.devices):
        name = plan.name_of(device)
        for _, row in rounds[rounds["device"] == name].iterrows():
            exam = wear.exam(row["round"] * per_round)
            own = exam.windows[device][exam.windows[device] >= 0]
            true = np.bincount(plan.pool.windows.label[own], minlength=4)
            confusion = row["holdout_confusion"].reshape(4, 4)
            assert confusion.sum(axis=1).tolist() == true.tolist()
            assert row["holdout_windows"] == own.size
            swapped += int(exam.state[device])
    assert swapped > 0


def test_a_new_activity_is_in_the_holdout_from_its_coming_on(runs):
    rounds = runs(NEW).rounds()
    true = stacked(rounds["holdout_confusion"]).reshape(-1, 4, 4).sum(axis=2)
    first = (rounds["round"] == 0).to_numpy()
    last = (rounds["round"] == 3).to_numpy()
    assert (true[first, 2] == 0).all()
    assert (true[last, 2] > 0).all()
    kept = rounds.loc[last, "holdout_before_confusion"]
    before = stacked(kept).reshape(-1, 4, 4)
    assert (before[:, 2].sum(axis=1) == 0).all()
    # What both hold was predicted alike.
    now = stacked(rounds.loc[last, "holdout_confusion"]).reshape(-1, 4, 4)
    np.testing.assert_array_equal(np.delete(before, 2, axis=1), np.delete(now, 2, axis=1))


def test_base_models_and_thresholds_never_see_what_is_new(run_small):
    finished = run_small(
        [
            'arms=[{name="frozen", method="frozen"}, {name="rules", method="heuristic"}]',
            "data.minutes=0.5",
            "training.steps=50",
            "stream.rounds=2",
            "baseline=frozen",
            f"drift=[{NEW}]",
        ]
    )
    rounds = finished.rounds()
    assert finished.summary["base_accuracy"].between(0.3, 1.0).all()
    for arm in ("rules", "frozen"):
        predicted = stacked(rounds.loc[rounds["arm"] == arm, "predicted_windows"]).sum(axis=0)
        assert predicted[2] == 0
        assert predicted.sum() > 0
        true = stacked(rounds.loc[rounds["arm"] == arm, "label_windows"]).sum(axis=0)
        assert true[2] > 0
    assert rounds["drifted"].sum() > 0


@pytest.mark.parametrize("drift", [TURNED, SWAPPED])
def test_equal_runs_write_equal_bytes(runs, drift):
    one, other = (runs(drift, more=more) for more in ((), ('question="Again?"',)))
    ours, theirs = ({k: v for k, v in contents(r.path).items() if k != "scenario.toml"}
                    for r in (one, other))  # fmt: skip
    assert ours == theirs
    assert any(path.startswith("windows/") for path in ours)
    assert any(path.startswith("rounds/") for path in ours)


def test_an_arm_more_changes_nothing_for_the_others(runs):
    one = runs(TURNED)
    alone = runs(TURNED, more=['arms=[{name="local", method="local"}]'])
    ours, theirs = contents(one.path), contents(alone.path)
    of_arm = {path for path in theirs if path.startswith(("windows/local", "rounds/local"))}
    assert len(of_arm) > 4
    for path in of_arm:
        assert ours[path] == theirs[path]


DRIFTS = {
    "rotation": [{"kind": "rotation", "angle_deg": 120.0, "at": 0.4, "devices": 0.5}],
    "swap-user": [{"kind": "swap-user", "at": 0.5}],
    "new-activity": [{"kind": "new-activity", "activity": "sitting", "at": 0.3, "over": 0.4}],
    "several": [
        {"kind": "label-shift", "activities": ["sitting"], "at": 0.3},
        {"kind": "gait", "at": 0.2, "period": 0.4},
        {"kind": "dropout", "at": 0.5, "devices": 0.5},
    ],
}


SHORT = {"rounds": 4, "questions_per_round": 2}  # drifts come in the course of these rounds


@pytest.mark.parametrize(
    ("drifts", "method"),
    [
        ("rotation", "local"),
        ("swap-user", "local"),
        ("new-activity", "fedavg"),
        ("several", "fedavg"),
    ],
)
def test_both_engines_give_one_result_under_drift(fleets, drifts, method):
    together, one_by_one = (
        fleets("dense").run(
            {"method": method},
            drift=DRIFTS[drifts],
            fleet={"engine": engine},
            stream=SHORT,
        )
        for engine in ("fleet", "reference")
    )
    for kind in ("windows", "rounds"):
        ours, theirs = (getattr(trial, kind) for trial in (together, one_by_one))
        pd.testing.assert_frame_equal(ours.drop(columns="loss"), theirs.drop(columns="loss"))
        np.testing.assert_allclose(ours["loss"], theirs["loss"], rtol=2e-5, atol=2e-6)
    assert farthest(together, one_by_one) < 1e-8
    assert 0 < together.windows["drifted"].sum() < len(together.windows)
    rounds = together.rounds
    spared = rounds.groupby("device")["drifted"].transform("sum") == 0
    assert rounds.loc[spared, "holdout_before_confusion"].isna().all()
    assert rounds.loc[~spared, "holdout_before_confusion"].notna().any()
    assert spared.any() == (drifts == "rotation")  # then among others of their cohort


@pytest.mark.exhaustive
@pytest.mark.parametrize("program", ["tracker_dense", "tracker_lstm"])
def test_both_engines_give_one_result_for_single_samples_of_a_guest(fleets, program):
    drift = [{"kind": "swap-user", "at": 0.4}, {"kind": "rotation", "at": 0.5, "devices": 0.5}]
    together, one_by_one = (
        fleets(program).run(
            {"method": "frozen"}, (5,), drift=drift, fleet={"engine": engine}, stream=SHORT
        )
        for engine in ("fleet", "reference")
    )
    for kind in ("windows", "rounds"):
        ours, theirs = (getattr(trial, kind) for trial in (together, one_by_one))
        pd.testing.assert_frame_equal(ours.drop(columns="loss"), theirs.drop(columns="loss"))
    assert 0 < together.windows["drifted"].sum() < len(together.windows)

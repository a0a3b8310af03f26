"""What drift did to devices and what was noticed, from files made by hand."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest

from clients.outcome import Outcome
from clients.user import NO_ANSWER
from simulator.cohort.records import Records, RoundRows
from simulator.folder.event import Event
from simulator.measures.alarm_frames import alarms_frame, detections_frame
from simulator.measures.drift_frames import devices_frame, drift_figures, pooled
from simulator.scenario.scenario import Scenario

NAN = float("nan")
REASONS = ["gain", "bias", "ddm", "adwin"]


def scenario_of(*, period=0.0, detectors=("ddm",), drift=True, arms=("own",)):
    return Scenario.model_validate(
        {
            "name": "made",
            "seed": 1,
            "data": {"source": "synthetic", "users": 4},
            "arms": [{"name": name, "method": "local"} for name in arms],
            "drift": [{"kind": "gain", "period": period}] if drift else [],
            "detectors": [{"kind": kind, "strength": 0.5} for kind in detectors],
        }
    )


@dataclass
class Told:
    """One device, round by round.

    Attributes:
        user: whose.
        right: windows of four that were predicted rightly in each round from 1; None ends it.
        now: windows of ten of the holdout, in each round from 0; None where it is not scored.
        before: likewise without drift; None where they are the same.
        drifted: rounds whose windows are drifted.
        settled: rounds that end with the drift in force; None where they are the same.
        unanswered: rounds without an answer.
        events: round, kind, reason, answered.
        label: class of the windows and of the holdout.
    """

    user: str
    right: list
    now: list
    before: list | None = None
    drifted: tuple = ()
    settled: tuple | None = None
    unanswered: tuple = ()
    events: tuple = ()
    label: int = 0
    more: dict = field(default_factory=dict)


def write(run, devices, *, arm="own", cohort=0):
    """Write the files of a cohort: a question of four windows in each round."""
    told, names = list(devices.values()), list(devices)
    everyone = np.ones(len(told), np.bool_)
    records = Records(
        run, arm, cohort, 0, ["a", "b"], names, [one.user for one in told], np.arange(4.0),
        everyone, reasons=REASONS,
    )  # fmt: skip
    none = np.zeros(len(told), np.int64)
    rounds = len(told[0].now) - 1
    for round_ in range(rounds + 1):
        events = [
            Event(row, kind, reason, answered, answered)  # as if all were
            for row, one in enumerate(told)
            for when, kind, reason, answered in one.events
            if when == round_
        ]
        made = [outcome_of(one, round_) for one in told]
        in_force = np.array([drifts_after(one, round_) for one in told])
        rows = RoundRows(round_, everyone, None, none, none, None, in_force, events)
        if round_:
            drifted = np.array([[[round_ in one.drifted] * 4] for one in told])
            joined = Outcome.joined(made)
            drifted &= joined.windows >= 0
            rows = RoundRows(round_, everyone, joined, none, none, drifted, in_force, events)
        records.add(rows)
        if told[0].now[round_] is not None:
            now = np.array([matrix(one.now[round_], one.label) for one in told])
            before = [(one.before or one.now)[round_] for one in told]
            before = np.array([matrix(b, one.label) for b, one in zip(before, told, strict=True)])
            records.score(round_, now, before)
    records.write(rounds)


def drifts_after(one, round_):
    """Tell whether drift is in force after a round; after the stream, as after its last round."""
    worn = [number for number, right in enumerate(one.right, 1) if right is not None]
    settled = one.drifted if one.settled is None else one.settled
    return min(round_, max(worn, default=0)) in settled


def outcome_of(one, round_):
    made = Outcome.empty(1, 1, 4)
    if not round_ or one.right[round_ - 1] is None:
        return made
    made.windows[:] = np.arange(4)
    made.label[:] = one.label
    made.predicted[:] = 1 - one.label
    made.predicted[0, 0, : one.right[round_ - 1]] = one.label
    made.answer[:] = NO_ANSWER if round_ in one.unanswered else one.label
    return made


def matrix(right, label):
    """Return the confusion of ten windows of one class; or a whole one as it is."""
    if isinstance(right, list):
        return right
    found = np.zeros((2, 2), np.int64)
    found[label, label], found[label, 1 - label] = right, 10 - right
    return found


FELL = Told(
    "u",
    right=[4, 3, 2, 2, 4, 4],
    now=[8, 9, 10, 5, 6, 9, 9],
    before=[8, 9, 10, 9, 8, 7, 6],
    drifted=(3, 4, 5, 6),
    unanswered=(4,),
    events=(
        (3, "drift-begins", "gain", 8),
        (2, "alarm", "ddm", 5),
        (3, "alarm", "adwin", 10),
        (5, "alarm", "ddm", 13),
        (6, "alarm", "ddm", 19),
        (6, "reaction", "gain", -1),
    ),
)
STAYED = Told(
    "v", right=[4] * 6, now=[7] * 7, events=((2, "alarm", "ddm", 7), (5, "alarm", "ddm", 18))
)


def rows_of(frame):
    return [
        {key: None if pd.isna(value) else value for key, value in row.items()}
        for row in frame.to_dict("records")
    ]


def approx(**values):
    return {k: pytest.approx(v) if isinstance(v, float) else v for k, v in values.items()}


def test_device_is_held_against_itself_before_its_drift(tmp_path):
    write(tmp_path, {"d": FELL, "e": STAYED})
    fell, stayed = rows_of(devices_frame(tmp_path, scenario_of()))
    # Reference: (0.8 + 0.9 + 1.0) / 3 = 0.9. Under drift 0.4, 0.3, 0, 0 less than that; four
    # windows a round: 4 (0.4 + 0.3) = 2.8 are lost. Within 5 points from round 5 on, the third
    # under drift; by then 4 windows of round 3 and 4 of round 5 had been answered.
    figures = {
        "reference": 0.9,
        "drop": 0.4,
        "largest_drop": 0.4,
        "recovery_rounds": 3.0,
        "recovery_answered": 8.0,
        "recovered_at_end": 1.0,
        "lost_windows": 2.8,
        "holdout_now": 0.9,
        "holdout_before": 0.6,
    }
    assert {key: fell[key] for key in figures} == approx(**figures)
    assert (fell["arm"], fell["user"], fell["device"]) == ("own", "u", "d")
    assert (fell["drift"], fell["begins"]) == ("gain", 3)
    assert (stayed["device"], stayed["drift"], stayed["begins"]) == ("e", "", None)
    assert stayed["reference"] is None
    assert stayed["holdout_now"] == stayed["holdout_before"] == 0.7


def test_recovery_waits_for_the_scoring_that_confirms_it(tmp_path):
    lucky = Told("u", [4] * 6, [9, 9, 5, 9, 5, 6, 9], drifted=(2, 3, 4, 5, 6))
    never = Told("v", [4] * 6, [9, 9, 5, 9, 5, 6, 8], drifted=(2, 3, 4, 5, 6))
    write(tmp_path, {"d": lucky, "e": never})
    back, gone = rows_of(devices_frame(tmp_path, scenario_of()))
    # The lucky one of round 3 is not confirmed by round 4; the last one has none after it.
    assert back["recovery_rounds"] == 5.0
    assert back["recovered_at_end"] == 1.0
    assert gone["recovery_rounds"] is None
    assert gone["recovery_answered"] is None
    assert gone["recovered_at_end"] == 0.0
    assert back["largest_drop"] == pytest.approx(0.4)


def test_holdout_that_is_scored_now_and_then_stands_for_the_windows_since(tmp_path):
    one = Told("u", [4] * 6, [8, None, 9, None, 5, None, 7], drifted=(3, 4, 5, 6))
    write(tmp_path, {"d": one})
    (row,) = rows_of(devices_frame(tmp_path, scenario_of()))
    # Reference (0.8 + 0.9) / 2; at round 4 eight windows at 0.35 less, at round 6 eight at 0.15.
    assert row["begins"] == 3
    assert row["drop"] == pytest.approx(0.35)
    assert row["lost_windows"] == pytest.approx(8 * 0.35 + 8 * 0.15)
    assert row["recovery_rounds"] is None


def test_memory_is_measured_on_the_holdout_as_it_was(tmp_path):
    def both(a, b):
        return [[a, 10 - a], [10 - b, b]]

    before = [both(5, 5), both(9, 4), both(6, 8)]
    one = Told("u", [4, 4], [both(5, 5), both(1, 1), both(2, 2)], before, drifted=(1, 2))
    write(tmp_path, {"d": one})
    (row,) = rows_of(devices_frame(tmp_path, scenario_of()))
    # Both blocks are of class a: R_21 - R_11 = 0.6 - 0.9, best 0.9 - 0.6, R_12 - R_02 = 0.9 - 0.5.
    assert row["backward_transfer"] == pytest.approx(-0.3)
    assert row["forgetting"] == pytest.approx(0.3)
    assert row["forward_transfer"] == pytest.approx(0.4)
    assert row["holdout_now"] == pytest.approx(0.2)
    assert row["holdout_before"] == pytest.approx(0.7)


def test_kappa_is_over_all_windows_of_the_stream(tmp_path):
    # Of 12 windows of class a 9 are right, so that all agreement may be chance.
    write(tmp_path, {"d": Told("u", [4, 3, 2], [5] * 4), "e": Told("v", [4] * 3, [5] * 4)})
    first, second = rows_of(devices_frame(tmp_path, scenario_of()))
    assert first["kappa"] == 0.0
    assert second["kappa"] is None


def test_streams_may_end_at_different_times(tmp_path):
    short = Told(
        "u", [4, 4, 2, None, None], [9, 9, 9, 5, 6, 7], drifted=(3,),
        events=((3, "drift-begins", "gain", 8), (3, "alarm", "ddm", 11)),
    )  # fmt: skip
    early = Told("v", [4, 4, None, None, None], [9, 9, 9, 8, 8, 8], drifted=(3, 4))
    write(tmp_path, {"d": short, "e": early, "f": Told("w", [4] * 5, [9] * 6)})
    ended, unmet, _ = rows_of(devices_frame(tmp_path, scenario_of()))
    # Four windows were met under drift, whatever was scored later.
    assert ended["begins"] == 3
    assert ended["lost_windows"] == pytest.approx(4 * 0.4)
    assert ended["holdout_now"] == 0.7
    assert (unmet["drift"], unmet["begins"]) == ("", None)
    found = detections_frame(tmp_path, scenario_of())
    assert [(r["begins"], r["delay"], r["round"]) for r in rows_of(found)] == [
        (8, 3.0, 3.0), (None, None, None), (None, None, None)
    ]  # fmt: skip
    assert found["watched"].tolist() == [8, 8, 20]


def test_each_spell_of_recurring_drift_has_a_row_and_drift_that_stays_one(tmp_path):
    one = Told(
        "u", [4] * 6, [9, 9, 5, 6, 9, 4, 4], drifted=(2, 3, 5, 6),
        events=(
            (2, "drift-begins", "gain", 4), (4, "drift-ends", "gain", 12),
            (5, "drift-begins", "gain", 16),
            (2, "alarm", "ddm", 6), (4, "alarm", "ddm", 14), (6, "alarm", "ddm", 24),
        ),
    )  # fmt: skip
    write(tmp_path, {"d": one})
    recurs = scenario_of(period=0.5)
    first, second = rows_of(devices_frame(tmp_path, recurs))
    assert (first["begins"], second["begins"]) == (2, 5)
    assert first["drop"] == pytest.approx(0.4)
    assert first["lost_windows"] == pytest.approx(4 * 0.4 + 4 * 0.3)
    # Reference of the second spell: the last three scorings without drift, all of them 0.9.
    assert second["reference"] == pytest.approx(0.9)
    assert second["lost_windows"] == pytest.approx(2 * 4 * (0.9 - 0.4))
    (whole,) = rows_of(devices_frame(tmp_path, scenario_of()))
    assert whole["begins"] == 2
    assert whole["lost_windows"] == pytest.approx(4 * (0.4 + 0.3 + 0.0 + 0.5 + 0.5))
    # The alarm between two spells is neither a detection nor false; that at the end detects.
    found = rows_of(detections_frame(tmp_path, recurs))
    assert [(r["begins"], r["delay"], r["round"]) for r in found] == [(4, 2.0, 2.0), (16, 8.0, 6.0)]
    assert [(r["false_alarms"], r["watched"]) for r in found] == [(0, 4), (0, 0)]
    (only,) = rows_of(detections_frame(tmp_path, scenario_of()))
    assert (only["begins"], only["delay"]) == (4, 2.0)


def test_drifts_that_overlap_are_one_spell(tmp_path):
    one = Told(
        "u", [4] * 6, [9] * 7, drifted=(2, 3, 4),
        events=(
            (2, "drift-begins", "gain", 4), (3, "drift-begins", "bias", 8),
            (4, "drift-ends", "gain", 12), (5, "drift-ends", "bias", 16),
            (4, "alarm", "ddm", 14), (6, "alarm", "ddm", 22),
        ),
    )  # fmt: skip
    write(tmp_path, {"d": one})
    recurs = scenario_of(period=0.5)
    (row,) = rows_of(detections_frame(tmp_path, recurs))
    assert (row["begins"], row["delay"]) == (4, 10.0)
    (row,) = rows_of(devices_frame(tmp_path, recurs))
    assert row["drift"] == "gain, bias"


def test_drifts_that_take_turns_within_a_round_are_one_spell(tmp_path):
    """One begins before the other ends, but the events of the first drift stand first."""
    one = Told(
        "u", [4] * 6, [9] * 7, drifted=(2, 3, 4),
        events=(
            (2, "drift-begins", "gain", 4),
            (3, "drift-ends", "gain", 11), (3, "drift-begins", "bias", 9),
            (5, "drift-ends", "bias", 16), (4, "alarm", "ddm", 14),
        ),
    )  # fmt: skip
    write(tmp_path, {"d": one})
    found = rows_of(detections_frame(tmp_path, scenario_of(period=0.5)))
    assert [(row["begins"], row["delay"]) for row in found] == [(4, 10.0)]


def test_detectors_are_told_apart_and_alarms_before_the_drift_are_false(tmp_path):
    write(tmp_path, {"d": FELL, "e": STAYED})
    found = detections_frame(tmp_path, scenario_of(detectors=("ddm", "adwin")))
    # 8 windows were answered before; 13 - 8 = 5; 5 comes before 8. All 24 of e are without drift.
    assert [tuple(row.values()) for row in rows_of(found)] == [
        ("own", "ddm", "u", "d", 8, 5.0, 5.0, 1, 8),
        ("own", "ddm", "v", "e", None, None, None, 2, 24),
        ("own", "adwin", "u", "d", 8, 2.0, 3.0, 0, 8),
        ("own", "adwin", "v", "e", None, None, None, 0, 24),
    ]
    assert list(found) == [
        "arm", "detector", "user", "device", "begins", "delay", "round", "false_alarms", "watched"
    ]  # fmt: skip


def test_missed_drift_has_no_delay(tmp_path):
    one = Told("u", [4] * 4, [9] * 5, drifted=(3, 4), events=((3, "drift-begins", "gain", 8),))
    write(tmp_path, {"d": one})
    (row,) = rows_of(detections_frame(tmp_path, scenario_of()))
    assert (row["begins"], row["delay"], row["round"]) == (8, None, None)


def test_alarms_are_summed_up_for_all_and_for_those_that_fell(tmp_path):
    mild = Told(
        "w", [4] * 6, [9, 9, 9, 8, 8, 8, 8], drifted=(3, 4, 5, 6),
        events=((3, "drift-begins", "gain", 8), (4, "alarm", "ddm", 15)),
    )  # fmt: skip
    write(tmp_path, {"d": FELL, "e": STAYED, "f": mild})
    scenario = scenario_of()
    devices = devices_frame(tmp_path, scenario)
    every, fell = rows_of(alarms_frame(detections_frame(tmp_path, scenario), devices))
    assert (every["arm"], every["detector"], every["whose"]) == ("own", "ddm", "all")
    assert (every["spells"], every["missed"], every["within"]) == (2, 0, 1.0)
    assert every["median_delay"] == 6.0  # of 5 and 7
    assert (every["false_alarms"], every["watched"]) == (3, 8 + 24 + 8)
    assert every["false_rate"] == pytest.approx(1000 * 3 / 40)
    # Garwood 1936: of 3 seen, 0.6187 to 8.7673.
    assert every["false_rate_low"] == pytest.approx(0.61867 / 0.04, rel=1e-4)
    assert every["false_rate_high"] == pytest.approx(8.76727 / 0.04, rel=1e-4)
    assert (fell["whose"], fell["spells"], fell["median_delay"]) == ("fell", 1, 5.0)
    assert (fell["false_alarms"], fell["watched"]) == (3, 40)


def test_delay_is_in_time_up_to_a_number_of_windows():
    def frames(delay, drop):
        keys = {"arm": "own", "user": "u", "device": "d"}
        detections = {**keys, "detector": "ddm", "begins": 8, "delay": delay}
        detections |= {"false_alarms": 0, "watched": 8}
        return pd.DataFrame([detections]), pd.DataFrame([{**keys, "drop": drop}])

    for delay, within in ((40.0, 1.0), (41.0, 0.0), (NAN, 0.0)):
        assert alarms_frame(*frames(delay, 0.5))["within"].tolist() == [within, within]
    for drop, spells in ((0.15, 1), (0.1499, 0), (NAN, 0)):
        assert alarms_frame(*frames(3.0, drop))["spells"].tolist() == [1, spells]
    none = rows_of(alarms_frame(*frames(3.0, NAN)))[1]
    assert none["within"] is None
    assert none["median_delay"] is None


def test_second_spell_does_not_decide_who_fell():
    keys = {"arm": "own", "user": "u", "device": "d"}
    spells = [
        {**keys, "detector": "ddm", "begins": begins, "delay": 3.0, "false_alarms": 0, "watched": 1}
        for begins in (4, 20)
    ]
    for drops, count in (((0.3, 0.0), 2), ((0.0, 0.3), 0)):
        devices = pd.DataFrame([{**keys, "drop": drop} for drop in drops])
        assert alarms_frame(pd.DataFrame(spells), devices)["spells"].tolist() == [2, count]


def test_run_without_detectors_has_drift_and_nothing_noticed(tmp_path):
    write(tmp_path, {"d": FELL})
    scenario = scenario_of(detectors=())
    assert devices_frame(tmp_path, scenario)["drop"].tolist() == pytest.approx([0.4])
    found = detections_frame(tmp_path, scenario)
    assert found.empty
    assert alarms_frame(found, devices_frame(tmp_path, scenario)).empty


def test_spell_of_a_gradual_drift_begins_with_the_first_scoring_under_it(tmp_path):
    # Windows of rounds 2 to 6 are drifted, here and there at first; the drift is more likely than
    # not from round 4 on, and scored as such. Reference: 0.8, 0.9, 1.0 of rounds 1 to 3.
    one = Told(
        "u", [4] * 6, [7, 8, 9, 10, 5, 6, 9], drifted=(2, 3, 4, 5, 6), settled=(4, 5, 6),
        events=((2, "drift-begins", "gain", 6),),
    )  # fmt: skip
    write(tmp_path, {"d": one})
    (row,) = rows_of(devices_frame(tmp_path, scenario_of()))
    assert (row["begins"], row["reference"]) == (4, pytest.approx(0.9))
    assert (row["drop"], row["largest_drop"]) == (pytest.approx(0.4), pytest.approx(0.4))
    # Four drifted windows up to each scoring under drift, the last without a loss.
    assert row["lost_windows"] == pytest.approx(4 * 0.4 + 4 * 0.3)
    assert row["recovered_at_end"] == 1


def test_run_without_drift_has_alarms_that_are_all_false(tmp_path):
    write(tmp_path, {"e": STAYED})
    scenario = scenario_of(drift=False)
    devices = devices_frame(tmp_path, scenario)
    assert devices["drop"].isna().all()
    every, fell = rows_of(alarms_frame(detections_frame(tmp_path, scenario), devices))
    assert (every["spells"], every["false_alarms"], every["watched"]) == (0, 2, 24)
    assert fell["spells"] == 0
    (figures,) = rows_of(drift_figures(devices))
    assert "fell" not in figures
    assert figures["holdout_before_accuracy"] == pytest.approx(0.7)


def test_arms_and_cohorts_follow_each_other_and_an_arm_that_has_not_run_is_left_out(tmp_path):
    write(tmp_path, {"d": FELL}, arm="own")
    write(tmp_path, {"e": STAYED}, arm="own", cohort=1)
    write(tmp_path, {"d": STAYED}, arm="other")
    scenario = scenario_of(arms=("other", "own", "later"))
    for frame in (devices_frame(tmp_path, scenario), detections_frame(tmp_path, scenario)):
        rows = list(zip(frame["arm"], frame["device"], strict=True))
        assert rows == [("other", "d"), ("own", "d"), ("own", "e")]


def test_figures_of_the_summary_let_users_count_alike(tmp_path):
    again = Told(
        "u", [4] * 6, [9] * 3 + [7, 7, 7, 7], [9] * 3 + [8] * 4, drifted=(3, 4, 5, 6)
    )  # fmt: skip
    write(tmp_path, {"d": FELL, "d+1": again, "e": STAYED})
    devices = devices_frame(tmp_path, scenario_of())
    (row,) = rows_of(drift_figures(devices))
    # u: (0.6 + 0.8) / 2; v: 0.7.
    assert row["holdout_before_accuracy"] == pytest.approx((0.7 + 0.7) / 2)
    # d: from round j to the end 0.6 - (0.9, 1.0, 0.9, 0.8, 0.7), d+1: 0.8 - (0.9, 0.9, 0.8 ...).
    first = np.mean([-0.3, -0.4, -0.3, -0.2, -0.1])
    second = np.mean([-0.1, -0.1, 0.0, 0.0, 0.0])
    assert row["backward_transfer"] == pytest.approx((first + second) / 2 / 2)
    assert row["fell"] == 1.0  # by 0.4 and by 0.2
    assert row["recovered"] == 0.5
    assert row["lost_windows"] == pytest.approx((2.8 + 4 * 4 * 0.2) / 2)


def test_seeds_are_put_under_each_other_and_their_alarms_counted_anew(tmp_path):
    frames = []
    for seed, devices in ((7, {"d": FELL, "e": STAYED}), (8, {"d": STAYED, "e": FELL})):
        folder = tmp_path / f"seed-{seed}"
        write(folder, devices)
        frames.append(
            (devices_frame(folder, scenario_of()), detections_frame(folder, scenario_of()))
        )
    drift, noticed = (pooled(some, [7, 8]) for some in zip(*frames, strict=True))
    assert drift["seed"].tolist() == [7, 7, 8, 8]
    assert noticed["device"].tolist() == ["d", "e", "d", "e"]
    every, fell = rows_of(alarms_frame(noticed, drift))
    # d fell in one seed, e in the other: two of four, not all of both.
    assert (every["spells"], fell["spells"]) == (2, 2)
    assert (every["false_alarms"], every["watched"]) == (6, 64)
    assert every["false_rate"] == pytest.approx(1000 * 6 / 64)
    assert every["within_low"] == pytest.approx(0.3424, abs=1e-4)  # Wilson's of 2 of 2


def test_seeds_without_any_rows_are_left_out():
    assert pooled([pd.DataFrame(), pd.DataFrame()], [1, 2]).empty
    some = pooled([pd.DataFrame(), pd.DataFrame({"arm": ["own"]})], [1, 2])
    assert some["seed"].tolist() == [2]


def test_interrupted_run_is_measured_as_far_as_it_came(tmp_path):
    write(tmp_path, {"d": Told("u", [4], [9, 9])})
    (row,) = rows_of(devices_frame(tmp_path, scenario_of()))
    assert row["holdout_now"] == 0.9
    assert row["backward_transfer"] is None


def test_device_without_a_holdout_has_no_figures_of_it(tmp_path):
    nothing = [[0, 0], [0, 0]]
    one = Told("u", [4] * 4, [nothing] * 5, drifted=(3, 4), events=FELL.events[:1])
    write(tmp_path, {"d": one, "e": STAYED_SHORT})
    row, _ = rows_of(devices_frame(tmp_path, scenario_of()))
    assert (row["begins"], row["drop"], row["holdout_now"]) == (3, None, None)


STAYED_SHORT = Told("v", [4] * 4, [7] * 5)


def test_run_without_any_holdout_is_measured_all_the_same(tmp_path):
    nothing = [[0, 0], [0, 0]]
    write(tmp_path, {"d": Told("u", [4] * 4, [nothing] * 5, drifted=(3, 4))})
    (row,) = rows_of(devices_frame(tmp_path, scenario_of()))
    assert (row["begins"], row["holdout_now"]) == (3, None)

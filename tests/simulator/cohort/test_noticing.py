"""Events of what devices notice: where drift begins and ends, and which alarms are raised."""

from dataclasses import replace

import numpy as np
import pytest

from clients import chance
from clients.detectors import DETECTORS
from clients.novelty import Novelty, expect, summarize
from clients.outcome import Outcome
from clients.user import NO_ANSWER
from simulator.base.prepared import Threshold
from simulator.base.thresholds import calibrate
from simulator.cohort.noticing import Noticing
from simulator.folder.event import Event
from simulator.plan.plan import build_plan
from simulator.running.scenario_run import run_scenario
from simulator.scenario.file import load_scenario
from simulator.scenario.scenario import Scenario
from tests.clients.test_detectors import RIVER
from tests.simulator.conftest import Finished, Heard, read_all

PER_ROUND = 5
STRENGTHS = {
    "adwin": 0.9, "page-hinkley": 2.0, "ddm": 1.0, "eddm": 0.95, "hddm-a": 0.5, "hddm-w": 0.7,
    "kswin": 0.5,
}  # fmt: skip
MUTE = {"ddm": Threshold(1e9)}


def scenario_of(drift=(), **tables):
    return Scenario.model_validate(
        {
            "name": "noticing",
            "seed": 5,
            "data": {
                "source": "synthetic",
                "users": 4,
                "minutes": 0.6,
                "window_s": 1.0,
                "hop_s": 1.0,
                "activities": ["walking", "jogging", "sitting", "standing"],
            },
            "split": {"folds": 1},
            "model": {"program": "dense", "base": "random"},
            "stream": {"batch": 3, "bout_windows": 8, "questions_per_round": PER_ROUND},
            "arms": [{"name": "local", "method": "local"}],
            "drift": list(drift),
            **tables,
        }
    )


def wear_of(*drift):
    plan = build_plan(scenario_of(drift))
    return plan.wear(np.arange(plan.devices)), plan


def played(wear, *, answered=0.7, wrong=0.3, seed=0):
    """Make what comes of all rounds; some questions are not answered, some windows mistaken."""
    random, made = np.random.default_rng(seed), []
    for round_ in range(1, -(-int(wear.streams.lengths().max()) // PER_ROUND) + 1):
        windows, label = wear.streams.in_round(round_, PER_ROUND)
        outcome = Outcome.empty(len(wear), PER_ROUND, windows.shape[2])
        outcome.windows[:], outcome.label[:] = windows, label
        said = (label[..., None] + (random.random(windows.shape) < wrong)) % 4
        outcome.predicted[:] = np.where(windows >= 0, said, -1)
        told = (label >= 0) & (random.random(label.shape) < answered)
        outcome.answer[:] = np.where(told, label, NO_ANSWER)
        made.append(outcome)
    return made


def heard(wear, drifts, outcomes, thresholds=MUTE, *, seed=9, delay=0):
    """Return the events of each round."""
    noticing = Noticing(wear, drifts, thresholds, seed, delay)
    return [noticing.hear(round_, made) for round_, made in enumerate(outcomes, 1)]


def joined(events):
    return [event for own in events for event in own]


def answered_before(outcomes, row, question):
    """Count the answered windows of a device before a question of its stream, one by one."""
    count = 0
    for number in range(question):
        made = outcomes[number // PER_ROUND]
        if made.answer[row, number % PER_ROUND] != NO_ANSWER:
            count += int((made.windows[row, number % PER_ROUND] >= 0).sum())
    return count


def gain(**keys):
    return {"kind": "gain", "at": 0.5, **keys}


def places(events, row):
    return [(e.kind, e.reason, e.answered) for e in events if e.row == row]


def test_drift_begins_at_the_count_of_windows_answered_before_its_first_question():
    wear, _ = wear_of(gain(at=0.4))
    outcomes = played(wear)
    found = joined(heard(wear, ["gain"], outcomes))
    lengths = wear.streams.lengths()
    for row, length in enumerate(lengths.tolist()):
        first = round(0.4 * length)
        expected = answered_before(outcomes, row, first)
        assert places(found, row) == [("drift-begins", "gain", expected)]
        assert 0 < expected < 3 * first  # some were not answered


def test_event_stands_in_the_round_of_the_first_drifted_question():
    wear, _ = wear_of(gain(at=0.4))
    rounds = heard(wear, ["gain"], played(wear))
    for row, length in enumerate(wear.streams.lengths().tolist()):
        when = [r for r, own in enumerate(rounds, 1) for event in own if event.row == row]
        assert when == [round(0.4 * length) // PER_ROUND + 1]


def test_drift_at_the_very_first_question_begins_with_nothing_answered():
    wear, _ = wear_of(gain(at=0.0))
    rounds = heard(wear, ["gain"], played(wear))
    assert rounds[0] == [Event(row, "drift-begins", "gain", 0, 0) for row in range(4)]
    assert joined(rounds[1:]) == []


def test_recurring_drift_begins_and_ends_with_each_spell():
    wear, _ = wear_of(gain(at=0.2, period=0.3))
    outcomes = played(wear)
    found = joined(heard(wear, ["gain"], outcomes))
    for row, length in enumerate(wear.streams.lengths().tolist()):
        half, expected = max(1, round(0.15 * length)), []
        for number, edge in enumerate(range(round(0.2 * length), length, half)):
            kind = ("drift-begins", "drift-ends")[number % 2]
            expected.append((kind, "gain", answered_before(outcomes, row, edge)))
        assert len(expected) >= 4
        assert places(found, row) == expected


def test_several_drifts_are_told_apart_and_devices_without_have_none():
    wear, plan = wear_of(gain(at=0.3), {"kind": "bias", "at": 0.7, "devices": 0.5})
    outcomes = played(wear)
    found = joined(heard(wear, ["gain", "bias"], outcomes))
    befallen = plan.changes[1].devices
    assert befallen.sum() == 2
    for row, length in enumerate(wear.streams.lengths().tolist()):
        expected = [("drift-begins", "gain", answered_before(outcomes, row, round(0.3 * length)))]
        if befallen[row]:
            count = answered_before(outcomes, row, round(0.7 * length))
            expected.append(("drift-begins", "bias", count))
        assert places(found, row) == expected
    alone, _ = wear_of(gain(devices=0.25))
    assert len({event.row for event in joined(heard(alone, ["gain"], outcomes))}) == 1


def test_gradual_drift_begins_with_its_first_drifted_question_and_may_end_for_a_while():
    wear, _ = wear_of(gain(at=0.2, over=0.6))
    outcomes = played(wear)
    found = joined(heard(wear, ["gain"], outcomes))
    assert any(event.kind == "drift-ends" for event in found)
    for row, length in enumerate(wear.streams.lengths().tolist()):
        on = (wear.drift.question[row, :length] > 0).tolist()
        edges = [q for q in range(length) if on[q] != (q > 0 and on[q - 1])]
        counts = [answered_before(outcomes, row, q) for q in edges]
        assert [place for *_, place in places(found, row)] == counts
        kinds = [kind for kind, *_ in places(found, row)]
        assert kinds == [("drift-begins", "drift-ends")[i % 2] for i in range(len(edges))]


def test_drift_of_the_stream_is_told_like_one_of_the_signal():
    wear, _ = wear_of({"kind": "swap-user", "at": 0.5})
    outcomes = played(wear)
    found = joined(heard(wear, ["swap-user"], outcomes))
    # The guest's stream may end first, but what was met before the change is one's own.
    for row in range(4):
        own = wear.streams.questions[row]
        users = np.array([u for u, (low, high) in enumerate(wear.streams.table.users)
                          for _ in range(wear.streams.table.bouts[low:high, 1].sum())])  # fmt: skip
        first = int(np.flatnonzero(users[own[own >= 0]] != row)[0])
        count = answered_before(outcomes, row, first)
        assert places(found, row) == [("drift-begins", "swap-user", count)]


def test_without_drift_no_begin_is_told():
    wear, _ = wear_of()
    assert joined(heard(wear, [], played(wear))) == []


def test_events_come_device_by_device():
    wear, _ = wear_of(gain(at=0.1, period=0.2))
    eager = {kind: Threshold(strength) for kind, strength in STRENGTHS.items()}
    rounds = heard(wear, ["gain"], played(wear, wrong=0.4), eager)
    for own in rounds:
        rows = [event.row for event in own]
        assert rows == sorted(rows)
    assert {event.kind for event in joined(rounds)} == {"drift-begins", "drift-ends", "alarm"}


@pytest.fixture(scope="module")
def everything():
    """Give devices of a fold that watch with all detectors, and what their rounds came to."""
    drift = gain(at=0.5, factor=4.0)
    scenario = scenario_of(
        [drift], split={"folds": 2}, detectors=[{"kind": "inputs", "strength": 2.25}]
    )
    plan = build_plan(scenario)
    fold = plan.folds[0]
    thresholds = {kind: Threshold(strength) for kind, strength in STRENGTHS.items()}
    thresholds |= calibrate(plan, fold, None, 0)
    wear = plan.wear(fold.devices)
    return wear, thresholds, played(wear, wrong=0.35, seed=3)


@pytest.mark.parametrize("delay", [0, 2])
@pytest.mark.parametrize("after", [1, 3, 5])
def test_restored_in_new_objects_the_same_events_follow(everything, delay, after):
    wear, thresholds, outcomes = everything
    whole = heard(wear, ["gain"], outcomes, thresholds, delay=delay)
    first = Noticing(wear, ["gain"], thresholds, 9, delay)
    for round_, made in enumerate(outcomes[:after], 1):
        first.hear(round_, made)
    kept = first.snapshot()
    copies = {name: value.copy() for name, value in kept.items()}
    first.hear(after + 1, outcomes[after])
    assert all((kept[name] == value).all() for name, value in copies.items())
    second = Noticing(wear, ["gain"], thresholds, 9, delay)
    second.restore(copies)
    again = [second.hear(r, m) for r, m in enumerate(outcomes[after:], after + 1)]
    assert again == whole[after:]
    kinds = {event.kind for event in joined(again)}
    assert kinds == ({"alarm"} if after == 5 else {"alarm", "drift-begins"})
    assert all(name.startswith("noticing/") for name in kept)
    assert all(len(value) == len(wear) for value in kept.values())


def test_cut_of_cohorts_does_not_matter(everything):
    wear, thresholds, outcomes = everything
    together = heard(wear, ["gain"], outcomes, thresholds)
    assert {e.reason for e in joined(together)} > {"inputs", "gain", "ddm"}
    for row in range(len(wear)):
        own = [part(made, row) for made in outcomes]
        alone = heard(wear.take([row]), ["gain"], own, thresholds)
        expected = [[replace(e, row=0) for e in events if e.row == row] for events in together]
        assert alone == expected


def part(outcome, row):
    return Outcome(*(getattr(outcome, name)[row : row + 1] for name in Outcome.__slots__))


def test_late_answers_raise_the_same_alarms_later(everything):
    wear, thresholds, outcomes = everything
    soon, late = (heard(wear, ["gain"], outcomes, thresholds, delay=delay) for delay in (0, 2))
    of_errors = [
        [[e for e in events if e.kind == "alarm" and e.reason != "inputs"] for events in some]
        for some in (soon, late)
    ]
    told = [[[(e.row, e.reason) for e in events] for events in some] for some in of_errors]
    assert told[1] == [[], [], *told[0][:-2]]
    others = [
        [[e for e in events if e.kind != "alarm" or e.reason == "inputs"] for events in some]
        for some in (soon, late)
    ]
    assert others[0] == others[1]


def test_alarm_on_inputs_stands_at_the_answered_windows_up_to_the_one_that_raised_it(everything):
    wear, thresholds, outcomes = everything
    found = [e for e in joined(heard(wear, ["gain"], outcomes, thresholds)) if e.reason == "inputs"]
    one, expected = thresholds["inputs"], []
    for row in range(len(wear)):
        novelty, answered = Novelty(1, one.expected, one.strength), 0
        for made in outcomes:
            for windows, answer in zip(made.windows[row], made.answer[row], strict=True):
                for window in windows[windows >= 0]:  # one at a time, as the device measures it
                    answered += int(answer != NO_ANSWER)
                    x = wear.read(np.array([[window]], np.int32), np.array([row]))
                    if novelty.update(summarize(x), np.ones((1, 1), np.bool_))[0] >= 0:
                        expected.append((row, answered))
    assert len(expected) >= 2
    assert sorted((e.row, e.answered) for e in found) == sorted(expected)


def test_alarm_on_inputs_keeps_its_place_where_windows_were_passed_over():
    """A window with a missing value is passed over, but it was answered like others."""
    plan = build_plan(scenario_of([gain(at=0.5, factor=6.0)]))
    wear = plan.wear(np.arange(4))
    outcomes = played(wear, answered=1.0)
    bouts = [[summarize(wear.read(w[w >= 0][None], np.array([row])))[0]
              for made in outcomes for w in made.windows[row]
              if (w >= 0).any()] for row in range(4)]  # fmt: skip
    threshold = Threshold(1.25, expected=expect(bouts, 1))
    samples = wear.pool.samples.copy()
    for made in outcomes:  # the first window of each round of the first device is no number
        start = wear.pool.windows.start[made.windows[0, 0, 0]]
        samples[start : start + wear.pool.length] = np.nan
    blank = replace(wear, pool=replace(wear.pool, samples=samples))
    answered, novelty, expected = 0, Novelty(1, threshold.expected, threshold.strength), []
    for made in outcomes:
        for window in made.windows[0][made.windows[0] >= 0]:
            answered += 1
            x = blank.read(np.array([[window]], np.int32), np.array([0]))
            if novelty.update(summarize(x), np.ones((1, 1), np.bool_))[0] >= 0:
                expected.append(answered)
    found = joined(heard(blank, ["gain"], outcomes, {"inputs": threshold}))
    assert expected
    assert [e.answered for e in found if e.kind == "alarm" and e.row == 0] == expected


WATCHED = """
name = "watched"
question = "Are alarms those of the records?"
seed = 11
baseline = "local"
[data]
users = 4
activities = ["walking", "jogging", "sitting", "standing"]
minutes = 1.0
window_s = 1.0
hop_s = 1.0
[split]
folds = 1
[model]
program = "dense"
base = "random"
[stream]
batch = 4
questions_per_round = 5
[learning]
steps = 1
[labels]
answer_rate = 0.8
mistake_rate = 0.25
[checkpoints]
materialize = 0
[[drift]]
kind = "rotation"
at = 0.5
devices = 0.5
[[arms]]
name = "local"
method = "local"
"""


@pytest.fixture(scope="module")
def watched(fleet, tmp_path_factory):
    """Give a function that runs a small scenario in which all detectors of errors watch."""
    made = {}

    def run(delay):
        if delay not in made:
            file = tmp_path_factory.mktemp("scenario") / "watched.toml"
            tables = "".join(
                f'[[detectors]]\nkind = "{kind}"\nstrength = {strength}\n'
                for kind, strength in STRENGTHS.items()
            )
            file.write_text(WATCHED + tables)
            scenario = load_scenario(file, [f"labels.delay_rounds={delay}"])
            folder, heard = tmp_path_factory.mktemp("run"), Heard()
            made[delay] = Finished(folder, run_scenario(scenario, folder, fleet, heard), heard)
        return made[delay]

    return run


def recomputed(run, kind, delay):
    """Return the alarms of River's own detector by device: round and answered windows so far."""
    windows, last = read_all(run.path / "windows"), run.rounds()["round"].max()
    seed, found = chance.key(11, "detectors") % 2**31, []
    for device, own in windows.groupby("device"):
        detector, seen = RIVER[kind](STRENGTHS[kind], seed), 0
        for round_, rows in own[own["answer"].notna()].groupby("round"):
            told = False
            for error in (rows["predicted"] != rows["answer"]).astype(int):
                if round_ + delay > last:
                    break
                seen += 1
                detector.update(error)
                if detector.drift_detected and not told:
                    passed = own["answer"].notna() & (own["round"] <= round_ + delay)
                    found.append((device, round_ + delay, int(passed.sum()) if delay else seen))
                    told = True
    return sorted(found)


@pytest.mark.parametrize("delay", [0, 2])
@pytest.mark.parametrize("kind", DETECTORS)
def test_alarms_are_those_of_river_on_the_windows_of_the_records(watched, kind, delay):
    run = watched(delay)
    events = read_all(run.path / "events")
    own = events[(events["kind"] == "alarm") & (events["reason"] == kind)]
    columns = own[["device", "round", "answered"]]
    assert sorted(columns.itertuples(index=False, name=None)) == recomputed(run, kind, delay)
    assert len(own) >= 2


def test_drift_of_the_records_begins_where_the_windows_do(watched):
    run = watched(0)
    windows, events = read_all(run.path / "windows"), read_all(run.path / "events")
    begins = events[events["kind"] == "drift-begins"]
    befallen = sorted(windows.loc[windows["drifted"], "device"].unique())
    assert len(befallen) == 2
    assert sorted(begins["device"]) == befallen
    for event in begins.itertuples():
        own = windows[windows["device"] == event.device]
        place = int(own["drifted"].to_numpy().argmax())
        assert event.answered == own["answer"].iloc[:place].notna().sum()
        assert event.round == own["round"].iloc[place]

"""What devices do about an alarm: to whom, from when, for how long, and on both engines alike."""

import shutil
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from clients.outcome import Outcome
from clients.user import NO_ANSWER
from simulator.base.arms import method_in_round
from simulator.base.prepared import Threshold
from simulator.cohort.checkpoint import read_server
from simulator.cohort.engines import Engines
from simulator.cohort.reacting import Reacting
from simulator.folder.event import Event
from simulator.folder.kept import Kept
from simulator.running.federation import Server, Session
from simulator.running.saving import restore, save
from simulator.scenario.options import REACTIONS
from simulator.scenario.scenario import Scenario
from tests.simulator.conftest import read_all
from tests.simulator.made_fleets import ACTIVITIES, Fleets, Opened, _Given, farthest, write_people

ENGINES = ("fleet", "reference")
RATE, BUDGET = 0.01, 1
TABLES = {
    "labels": {"ask": "random", "budget": BUDGET, "answer_rate": 1.0, "mistake_rate": 0.3},
    "stream": {"questions_per_round": 3},
    "learning": {"steps": 1, "memory": 12},
}
KIND, EAGER, MUTE = "eddm", 0.95, 1e-9
DRIFT = [{"kind": "rotation", "at": 0.3, "angle_deg": 120.0}]


class _Watching(_Given):
    """A worker whose base model is given, with the strengths of detectors."""

    thresholds: ClassVar[dict[str, Threshold]] = {}

    def call(self, method, arguments):
        if method == "prepare":
            return [[replace(self.prepared, thresholds=self.thresholds)]]
        return super().call(method, arguments)


class Watched:
    """Fleets of one arm whose devices watch by one detector."""

    def __init__(self, folder, people):
        self._fleets = Fleets(folder, people, "dense", "float64")
        self._fleets._workers = _Watching()
        self._fleets.open({"method": "frozen"})  # inputs are scaled by everybody's windows

    def open(self, arm, engine, strength=EAGER, sizes=(2, 2), **tables):
        arm = {"method": "local", "optimizer": "adam", "learning_rate": RATE, **arm}
        if "reaction" in arm:
            arm = {"detector": KIND, **arm}
        self._fleets._workers.thresholds = {KIND: Threshold(strength)}
        data = {"source": "wisdm-2019", "path": str(self._fleets._people)}
        data |= {"activities": list(ACTIVITIES), "users": ["1601", "1602", "1603", "1604"]}
        made = self._fleets.open(
            arm,
            sizes,
            data=data,
            fleet={"engine": engine},
            detectors=[{"kind": KIND, "strength": strength}],
            **{**TABLES, **tables},
        )
        return Opened(made.plan, self._fleets._workers.prepared, made.fleet, made.folder)


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    people = write_people(tmp_path_factory.mktemp("people"))
    return Watched(tmp_path_factory.mktemp("watched"), people)


@pytest.fixture(scope="module")
def engines():
    return {engine: Engines() for engine in ENGINES}


class Devices:
    """Four devices of one arm, the rounds that they work through, and their reaction."""

    def __init__(self, watched, engines, engine, reaction, **arm):
        self.opened = watched.open({"reaction": reaction, **arm}, engine, sizes=(4,))
        plan = self.opened.plan
        self.arm, self.prepared = plan.scenario.arms[0], self.opened.prepared
        self.devices = engines[engine].open(plan, self.prepared, self.arm)(plan.wear(np.arange(4)))
        self.reacting = Reacting(self.arm, self.prepared, 4, BUDGET, RATE)

    def work(self, round_):
        method = method_in_round(self.arm, round_, self.prepared.parts)
        return self.devices.work(round_, np.ones(4, np.bool_), method, {})

    def play(self, rounds):
        """Play some rounds in which nobody alarms."""
        for round_ in rounds:
            assert self.reacting.act(round_, self.devices) == []
            self.reacting.hear(self.work(round_), [], self.devices)

    def alarm(self, round_, *rows):
        """Play a round in which some devices alarm, and others only seem to."""
        assert self.reacting.act(round_, self.devices) == []
        events = [Event(row, "alarm", KIND, 3, 3) for row in rows]
        events += [Event(0, "alarm", "adwin", 3, 3), Event(0, "drift-begins", KIND, 3, 3)]
        outcome = self.work(round_)
        before = self.snapshot()
        self.reacting.hear(outcome, events, self.devices)
        assert_equal(self.snapshot(), before)

    def react(self, round_):
        """Begin a round: returns the state before and after, and what was done."""
        before = self.snapshot()
        events = self.reacting.act(round_, self.devices)
        return before, self.snapshot(), events

    def snapshot(self):
        return {name: np.array(value) for name, value in self.devices.snapshot().items()}


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)


def assert_others_stay(before, after, rows, names):
    """Check that only some arrays of some devices have changed; returns those that did."""
    assert before.keys() == after.keys()
    others = np.setdiff1d(np.arange(4), rows)
    changed = set()
    for name, value in before.items():
        np.testing.assert_array_equal(after[name][others], value[others], err_msg=name)
        if (after[name][rows] != value[rows]).any():
            changed.add(name)
    assert changed <= set(names)
    return changed


@pytest.fixture
def made(watched, engines):
    def make(engine, reaction, **arm):
        return Devices(watched, engines, engine, reaction, **arm)

    return make


@pytest.mark.parametrize("engine", ENGINES)
def test_cleared_memory_is_that_of_a_new_device(made, engine):
    new = made(engine, "clear-memory").snapshot()
    own = made(engine, "clear-memory")
    own.play([1, 2])
    own.alarm(3, 1, 3)
    before, after, events = own.react(4)
    assert events == [Event(row, "reaction", "clear-memory", -1, -1) for row in (1, 3)]
    memory = [name for name in before if name.startswith("memory/")]
    changed = assert_others_stay(before, after, [1, 3], memory)
    assert changed >= {"memory/windows", "memory/labels", "memory/seen"}
    for name in memory:
        np.testing.assert_array_equal(after[name][[1, 3]], new[name][[1, 3]])
    outcome = own.work(4)
    assert (outcome.memory_windows[[1, 3]] <= 4).all()  # of the one question that was answered
    assert (outcome.memory_windows[[0, 2]] > 4).all()
    own.reacting.hear(outcome, [], own.devices)
    before, after, events = own.react(5)
    assert events == []
    assert_equal(before, after)


@pytest.mark.parametrize("engine", ENGINES)
def test_head_that_is_reset_is_the_base_models_and_its_optimizer_starts_afresh(made, engine):
    own = made(engine, "reset-head")
    own.play([1, 2, 3])
    own.alarm(4, 0, 2)
    before, after, events = own.react(5)
    assert events == [Event(row, "reaction", "reset-head", -1, -1) for row in (0, 2)]
    head = [name for name in own.prepared.params if name.startswith("classes/")]
    assert len(head) == 2
    slots = [
        f"program/slots/{slot}/{name}" for slot in ("first", "second", "count") for name in head
    ]
    names = [f"program/params/{name}" for name in head] + slots
    assert assert_others_stay(before, after, [0, 2], names) == set(names)
    for name in head:
        for row in (0, 2):
            base = own.prepared.params[name]
            np.testing.assert_array_equal(after[f"program/params/{name}"][row], base)
    for name in slots:
        assert not after[name][[0, 2]].any()
        assert before[name].any()


@pytest.mark.parametrize("engine", ENGINES)
def test_model_of_ones_own_beside_a_shared_one_is_reset_too(made, engine):
    own = made(engine, "reset-head", method="apfl")
    learnt = {
        name: value + 1 if name.startswith(("program/params", "method/")) else value
        for name, value in own.snapshot().items()
    }
    own.devices.restore(learnt)
    own.reacting.hear(Outcome.empty(4, 3, 4), [Event(2, "alarm", KIND, 1, 1)], own.devices)
    before, after, _ = own.react(2)
    head = [name for name in own.prepared.params if name.startswith("classes/")]
    names = [f"{group}/{name}" for group in ("program/params", "method/personal") for name in head]
    assert assert_others_stay(before, after, [2], names) == set(names)
    for name in head:
        base = own.prepared.params[name]
        np.testing.assert_array_equal(after[f"method/personal/{name}"][2], base)


@pytest.mark.parametrize("engine", ENGINES)
def test_device_learns_faster_for_some_rounds_and_then_as_before(made, engine):
    own = made(engine, "learn-faster", reaction_rounds=2, reaction_factor=3.0)
    place = "program/slots/learning_rate"
    own.play([1])
    own.alarm(2, 1)
    rates = []
    for round_ in range(3, 8):
        before, after, events = own.react(round_)
        assert_others_stay(before, after, [1], [place])
        assert bool(events) == (round_ in (3, 5))
        rates.append(float(after[place][1]))
        again = [Event(1, "alarm", KIND, 9, 9)] if round_ == 4 else []  # as it would have ended
        own.reacting.hear(own.work(round_), again, own.devices)
    assert rates == pytest.approx([0.03, 0.03, 0.03, 0.03, 0.01])


@pytest.mark.parametrize("saved_after", ["alarm", "reaction"])
def test_reaction_that_was_saved_half_way_begins_and_ends_as_it_would_have(made, saved_after):
    own = made("fleet", "learn-faster", reaction_rounds=2, reaction_factor=3.0)
    own.play([1])
    own.alarm(2, 1)
    if saved_after == "reaction":
        own.react(3)
    kept = {name: value.copy() for name, value in own.reacting.snapshot().items()}
    own.reacting = Reacting(own.arm, own.prepared, 4, BUDGET, RATE)
    own.reacting.restore(kept)
    rates = []
    for round_ in range(3 + (saved_after == "reaction"), 7):
        _, after, _ = own.react(round_)
        rates.append(float(after["program/slots/learning_rate"][1]))
    assert rates == pytest.approx([0.03, 0.03, 0.01, 0.01][-len(rates) :])


def test_faster_steps_are_larger_ones(made):
    moved = []
    for rows in ((1,), ()):
        own = made("reference", "learn-faster", optimizer="sgd")
        own.play([1, 2])
        own.alarm(3, *rows)
        own.react(4)
        before = own.snapshot()
        outcome = own.work(4)
        assert outcome.steps[1] == 1
        after = own.snapshot()
        names = [name for name in after if name.startswith("program/params/")]
        moved.append(np.concatenate([(after[n] - before[n])[1].ravel() for n in names]))
    np.testing.assert_allclose(moved[0], 4.0 * moved[1], rtol=1e-6, atol=1e-12)  # the default
    assert np.abs(moved[1]).max() > 0


@pytest.mark.parametrize("engine", ENGINES)
def test_device_asks_more_for_some_rounds_and_then_as_before(made, engine):
    own = made(engine, "ask-more", reaction_rounds=2, reaction_factor=2.0)
    start = own.snapshot()
    own.alarm(1, 2)
    before, after, events = own.react(2)
    assert events == [Event(2, "reaction", "ask-more", -1, -1)]
    assert_equal(before, after)
    assert start.keys() == after.keys()
    asked = [own.work(2).asked.sum(axis=1).tolist()]
    for round_ in (3, 4):
        own.react(round_)
        asked.append(own.work(round_).asked.sum(axis=1).tolist())
    assert asked == [[1, 1, 2, 1], [1, 1, 2, 1], [1, 1, 1, 0]]  # the last one's stream has ended


def told(outcome, right, windows):
    """Let devices, by row, have so many windows in a round, all answered, all right or wrong."""
    outcome.windows[:], outcome.answer[:] = -1, NO_ANSWER
    for row, (correct, count) in enumerate(zip(right, windows, strict=True)):
        outcome.windows[row].reshape(-1)[:count] = np.arange(count)
        outcome.answer[row] = 1
        outcome.predicted[row] = 1 if correct else 0
    return outcome


@pytest.mark.parametrize("engine", ENGINES)
def test_last_good_version_is_the_one_of_the_round_with_the_best_faded_accuracy(made, engine):
    own = made(engine, "last-good")
    versions = []
    # 12 windows a round: what is known after one round is too little, that of two is enough.
    for round_, right in enumerate(([1, 1, 1, 1], [1, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]), 1):
        assert own.reacting.act(round_, own.devices) == []
        outcome = told(own.work(round_), right, [12] * 4)
        versions.append(own.snapshot())
        alarms = [Event(row, "alarm", KIND, 48, 48) for row in (0, 1)] if round_ == 4 else []
        own.reacting.hear(outcome, alarms, own.devices)
    before, after, events = own.react(5)
    assert events == [Event(row, "reaction", "last-good", -1, -1) for row in (0, 1)]
    program = [name for name in before if name.startswith("program/")]
    assert assert_others_stay(before, after, [0, 1], program) > {"program/params/classes/bias"}
    for name in program:
        np.testing.assert_array_equal(after[name][0], versions[1][name][0])
        np.testing.assert_array_equal(after[name][1], versions[2][name][1])
    assert_others_stay(before, own.snapshot(), [0, 1], program)


@pytest.mark.parametrize("engine", ENGINES)
def test_before_any_version_is_known_to_be_good_the_first_one_comes_back(made, engine):
    own = made(engine, "last-good")
    first = None
    for round_ in (1, 2, 3):
        own.reacting.act(round_, own.devices)
        outcome = told(own.work(round_), [1] * 4, [4] * 4)
        first = own.snapshot() if first is None else first
        alarms = [Event(3, "alarm", KIND, 12, 12)] if round_ == 3 else []
        own.reacting.hear(outcome, alarms, own.devices)
    _, after, _ = own.react(4)
    for name, value in first.items():
        if name.startswith("program/"):
            np.testing.assert_array_equal(after[name][3], value[3])


def test_version_of_a_round_that_alarms_is_no_good_one(made):
    own = made("fleet", "last-good")
    versions = []
    for round_, rows in ((1, ()), (2, ()), (3, (1,))):
        own.reacting.act(round_, own.devices)
        outcome = told(own.work(round_), [1] * 4, [12] * 4)
        versions.append(own.snapshot())
        own.reacting.hear(outcome, [Event(r, "alarm", KIND, 1, 1) for r in rows], own.devices)
    _, after, _ = own.react(4)
    for name in (n for n in after if n.startswith("program/params/")):
        np.testing.assert_array_equal(after[name][1], versions[1][name][1])
        np.testing.assert_array_equal(after[name][0], versions[2][name][0])


def test_after_the_reaction_a_new_version_may_be_good_again(made):
    """Its accuracy is measured afresh, else the best of before the drift could never be reached."""
    own = made("fleet", "last-good")
    for round_, right, rows in ((1, 1, ()), (2, 1, ()), (3, 0, (2,))):
        own.reacting.act(round_, own.devices)
        outcome = told(own.work(round_), [right] * 4, [12] * 4)
        own.reacting.hear(outcome, [Event(r, "alarm", KIND, 1, 1) for r in rows], own.devices)
    versions = []
    for round_, rows in ((4, ()), (5, ()), (6, (2,))):
        own.reacting.act(round_, own.devices)
        outcome = own.work(round_)
        outcome = told(outcome, [1] * 4, [12] * 4)
        outcome.predicted[2].reshape(-1)[:5] = 0  # worse than before the drift
        versions.append(own.snapshot())
        own.reacting.hear(outcome, [Event(r, "alarm", KIND, 1, 1) for r in rows], own.devices)
    _, after, _ = own.react(7)
    for name in (n for n in after if n.startswith("program/params/")):
        np.testing.assert_array_equal(after[name][2], versions[1][name][2])


def test_what_was_saved_stays_what_it_was(made):
    own = made("fleet", "last-good")
    own.play([1])
    own.alarm(2, 1)
    saved = own.reacting.snapshot()
    copies = {name: value.copy() for name, value in saved.items()}
    own.react(3)
    assert_equal(saved, copies)


CASES = [
    ("local", "learn-faster"),
    ("local", "clear-memory"),
    ("local", "reset-head"),
    ("local", "last-good"),
    ("local", "ask-more"),
    ("fedper", "reset-head"),
    ("fedavg", "learn-faster"),
    pytest.param("apfl", "reset-head", marks=pytest.mark.exhaustive),
    pytest.param("ditto", "last-good", marks=pytest.mark.exhaustive),
]


def run(watched, method, reaction, engine, strength=EAGER, **tables):
    arm = {"method": method, **({} if reaction is None else {"reaction": reaction})}
    return watched.open(arm, engine, strength, drift=DRIFT, **tables).run()


@pytest.mark.parametrize(("method", "reaction"), CASES)
def test_both_engines_react_alike(watched, method, reaction):
    stacked, one_by_one = (run(watched, method, reaction, engine) for engine in ENGINES)
    columns = ["round", "device", "question", "time_s", "label", "predicted", "answer"]
    pd.testing.assert_frame_equal(stacked.windows[columns], one_by_one.windows[columns])
    assert farthest(stacked, one_by_one) < 1e-8
    events = [read_all(trial.folder / "events") for trial in (stacked, one_by_one)]
    pd.testing.assert_frame_equal(*events)
    done = events[0][events[0]["kind"] == "reaction"]
    assert set(done["reason"]) == {reaction}
    alarms = events[0][events[0]["kind"] == "alarm"]
    last = stacked.rounds["round"].max()
    rung = {(r.device, r.round + 1) for r in alarms.itertuples() if r.round < last}
    assert set(zip(done["device"], done["round"], strict=True)) == rung
    assert 1 <= len({device for device, _ in rung}) < 4


@pytest.fixture(scope="module")
def without(watched):
    """Give the trial of an arm that does not react."""
    return run(watched, "local", None, "fleet", MUTE)


def test_reaction_changes_what_devices_become(watched, without):
    for reaction in REACTIONS:
        assert farthest(run(watched, "local", reaction, "fleet"), without) > 1e-4


@pytest.mark.parametrize("reaction", REACTIONS)
def test_reaction_to_a_detector_that_never_fires_gives_the_same_bytes(watched, without, reaction):
    own = run(watched, "local", reaction, "fleet", MUTE)
    pd.testing.assert_frame_equal(own.windows, without.windows, check_exact=True)
    pd.testing.assert_frame_equal(own.rounds, without.rounds, check_exact=True)
    for name, device in without.devices.items():
        for key, value in device.items():
            assert own.devices[name][key].tobytes() == value.tobytes()
    for name, state in without.states.items():
        others = {k: v for k, v in own.states[name].items() if not k.startswith("reacting/")}
        assert others.keys() == state.keys()
        assert all(others[key].tobytes() == value.tobytes() for key, value in state.items())
    kinds = [set(read_all(trial.folder / "events")["kind"]) for trial in (own, without)]
    assert kinds[0] == kinds[1] == {"drift-begins"}


SAVED, LAST = 3, 6


def part(opened, first, last, *, restored=False):
    """Play some rounds and save, as a run does."""
    session = Session(opened.plan.scenario.arms[0], 0)
    server, shared = Server(opened.plan, session, opened.prepared, opened.fleet), None
    kept = Kept(opened.folder / "checkpoints" / "trial" / "0", keep=9)
    if first == 1:
        opened.fleet.score(0, None)
    elif restored:
        restore(kept, opened.fleet, session, server, kept.check(first - 1))
    elif session.shared:  # a server of its own goes on with what was written
        server.restore(read_server(kept.folder_of(first - 1)))
    for round_ in range(first, last + 1):
        shared = server.round(round_)
        opened.fleet.score(round_, shared)
    save(kept, opened.fleet, session, server, last, shared)


@pytest.mark.parametrize(
    ("method", "reaction", "engine", "delay"),
    [
        *[("local", reaction, "fleet", 0) for reaction in REACTIONS],
        ("fedper", "reset-head", "reference", 1),
        ("fedavg", "learn-faster", "reference", 0),
    ],
)
def test_saved_and_restored_it_goes_on_to_the_same_bytes(watched, method, reaction, engine, delay):
    arm = {"method": method, "reaction": reaction}
    if "reaction_rounds" in REACTIONS[reaction]:
        arm["reaction_rounds"] = 2
    tables = {"drift": DRIFT, "labels": {**TABLES["labels"], "delay_rounds": delay}}
    whole = watched.open(arm, engine, **tables)
    part(whole, 1, SAVED)
    kept = whole.folder.with_name(f"{whole.folder.name}-kept")
    shutil.copytree(whole.folder / "checkpoints", kept)
    part(whole, SAVED + 1, LAST)
    whole.fleet.write(LAST)
    again = watched.open(arm, engine, **tables)
    shutil.copytree(kept, again.folder / "checkpoints")
    part(again, SAVED + 1, LAST, restored=True)
    again.fleet.write(LAST)
    ours, theirs = (states(made.folder) for made in (whole, again))
    assert ours.keys() == theirs.keys()
    assert [name for name, content in ours.items() if theirs[name] != content] == []
    events = [read_all(made.folder / "events") for made in (whole, again)]
    one, other = (table.fillna(-1).to_numpy().tolist() for table in events)
    assert one == other
    later = events[0][events[0]["round"] > SAVED]
    assert {"alarm", "reaction"} <= set(later["kind"])


def states(folder):
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted((folder / "checkpoints").rglob("*.safetensors"))
    }


def scenario_of(arm, **tables):
    return {
        "name": "refused",
        "seed": 1,
        "data": {"source": "synthetic", "users": 4},
        "arms": [{"name": "a", **arm}],
        "detectors": [{"kind": KIND, "strength": 0.5}],
        **tables,
    }


WATCHES = {"detector": KIND}
ON_A_PATH = {"model": {"program": "some/model", "base": "random"}}


@pytest.mark.parametrize(
    ("arm", "tables", "told"),
    [
        ({"method": "frozen", "reaction": "clear-memory", **WATCHES}, {},
         r'reaction means nothing for method "frozen"; it belongs to: local, fedavg'),
        ({"method": "pooled", "reaction": "learn-faster", **WATCHES}, {},
         r'reaction means nothing for method "pooled"; it belongs to: local'),
        ({"method": "heuristic", "reaction": "ask-more", **WATCHES}, {},
         r'reaction means nothing for method "heuristic"'),
        ({"method": "fedavg", "reaction": "reset-head", **WATCHES}, {},
         r'the next download would undo it in method "fedavg"; it belongs to: local, finetune'),
        ({"method": "ifca", "reaction": "last-good", **WATCHES}, {},
         r'the next download would undo it in method "ifca"'),
        ({"method": "local", "reaction": "clear-memory", "detector": "adwin"}, {},
         r"arms.a.detector = 'adwin': .*detectors: eddm; add a table \[\[detectors\]\]"),
        ({"method": "local", "reaction": "clear-memory", **WATCHES}, {"detectors": []},
         r"arms.a.detector = 'eddm': .*detectors: none; add a table"),
        ({"method": "local", "reaction": "clear-memory"}, {},
         r"arms.a.reaction = .*has no detector; detectors: eddm"),
        ({"method": "local", "reaction": "ask-more", **WATCHES}, {},
         r'arms.a.reaction = "ask-more": labels.ask = "all" .* set labels.ask = "random"'),
        ({"method": "local", "reaction": "reset-head", **WATCHES}, ON_A_PATH,
         r"some/model does not say what is its head .* use clear-memory, last-good or ask-more"),
        ({"method": "local", "reaction": "learn-faster", **WATCHES}, ON_A_PATH,
         r"some/model does not say what is its head or learning rate"),
        ({"method": "local", "detector": KIND}, {},
         r"detector: goes with a reaction, and the arm has none"),
        ({"method": "local", "reaction_rounds": 3}, {},
         r"reaction_rounds: goes with a reaction, and the arm has none"),
        ({"method": "local", "reaction": "clear-memory", "reaction_rounds": 3, **WATCHES}, {},
         r"reaction_rounds means nothing .* done at once; it belongs to: learn-faster, ask-more"),
        ({"method": "local", "reaction": "last-good", "reaction_factor": 3.0, **WATCHES}, {},
         r'reaction_factor means nothing for reaction = "last-good"'),
        ({"method": "local", "reaction": "reset-head", "detector": KIND},
         {"detectors": [{"kind": KIND, "strength": 0.5}, {"kind": KIND, "strength": 0.6}]},
         r"detectors: 'eddm' is there twice; keep one"),
        ({"method": "local"},
         {"detectors": [{"kind": KIND}], "model": {"program": "dense", "base": "random"}},
         r'detectors\[1\].strength: "donors" .* model.base = "random" trains none; give a number'),
        ({"method": "local"},
         {"detectors": [{"kind": "inputs"}], "split": {"folds": 1}, "model": {"base": "random"}},
         r'detectors\[1\].kind = "inputs": .* set split.folds = 2 or split.donors'),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_with_what_to_do(arm, tables, told):
    with pytest.raises(ValidationError, match=told):
        Scenario.model_validate(scenario_of(arm, **tables))


@pytest.mark.parametrize("reaction", REACTIONS)
def test_foreign_programs_may_do_what_needs_no_knowledge_of_them(reaction):
    arm = {"method": "local", "reaction": reaction, **WATCHES}
    labels = {"ask": "random", "budget": 1} if reaction == "ask-more" else {}
    tables = {**ON_A_PATH, "labels": labels}
    if reaction in ("reset-head", "learn-faster"):
        return
    assert Scenario.model_validate(scenario_of(arm, **tables)).arms[0].reaction == reaction

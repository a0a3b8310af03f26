"""One device beside its rounds: what it takes in and sends, its holdout, its snapshot."""

from dataclasses import replace

import numpy as np
import pytest

from clients.device import Device, score_questions
from clients.pool import build_pool
from clients.program import Program
from clients.recordings import Recording
from clients.stream import cut_questions, deal_streams
from clients.variation import Strength, draw_variations
from clients.wear import Wear
from tests.clients.made_devices import (
    ALONE,
    CLASSES,
    HABITS,
    LENGTH,
    MIXED,
    Notebook,
    device_of,
    method_of,
    raw,
)


def test_what_the_server_sent_is_taken_in_and_its_optimizer_starts_afresh():
    device, program = device_of([0])
    fedper = method_of("fedper", ("head/*",))
    device.begin(fedper, {"parameters": {"base/w": np.ones(1), "head/w": np.ones(1)}}, 1)
    assert program.calls == [("assign", ["base/w"], True)]
    assert {name: value.item() for name, value in program.parameters.items()} == {
        "base/w": 1.0,
        "head/w": 0.0,
    }


def test_an_update_holds_what_is_shared():
    device, program = device_of([0, 1])
    program.parameters = {"base/w": np.array([3.0]), "head/w": np.array([4.0])}
    sent = device.update(method_of("fedper", ("head/*",)), {})
    assert sent.rows.tolist() == [0]
    assert {name: value.tolist() for name, value in sent.arrays.items()} == {"base/w": [[3.0]]}
    assert sent.told == {}
    assert device.update(method_of("local"), {}).arrays == {}


def test_holdout_is_counted_by_true_and_predicted_class():
    device, _ = device_of([0], held=[0, 0, 3, 1])
    confusion = device.score_holdout(method_of("local"), None, 1)
    # It says 0 before it has learnt.
    assert confusion.sum() == 4
    assert (confusion[0, 0], confusion[3, 0], confusion[1, 0]) == (2, 1, 1)


def test_holdout_is_scored_aside_and_of_held_out_windows_alone():
    device, program = device_of([0, 1], held=[0, 0, 3])
    device.score_holdout(method_of("local"), None, 1)
    assert program.calls == [("aside", [4, 5, 6])]


def test_holdout_is_scored_with_what_answers_the_user_and_leaves_the_device_as_it_was():
    device, program = device_of([0], held=[3, 3])
    program.parameters = {"base/w": np.array([1.0]), "head/w": np.array([2.0])}
    shared = {"parameters": {"base/w": np.array([5.0]), "head/w": np.array([5.0])}}
    before = program.read_state()
    for private, said in [(("head/*",), 7), ((), 10), (("*",), 3)]:
        confusion = device.score_holdout(method_of("fedper", private), shared, 1)
        assert confusion[3].nonzero()[0].tolist() == [said]
        assert program.read_state() == before
    assert program.steps == []


def test_holdout_is_scored_anew_after_learning_or_a_download():
    device, program = device_of([0, 1], held=[0], questions_per_round=1)
    said, sent = [], {"parameters": {"base/w": np.array([3.0])}}
    for change in (
        lambda: None,
        lambda: device.work(1, learns=True, **ALONE),
        lambda: device.begin(method_of("fedavg"), sent, 2),
        lambda: device.restore(device.snapshot() | {"program/learnt": np.array([9])}),
    ):
        change()
        said.append(int(device.score_holdout(method_of("local"), None, 1)[0].argmax()))
    # 0 steps; 2 steps; 3 more from the server; 9 steps and those 3.
    assert said == [0, 2, 5, 12]
    assert program.steps


def test_windows_are_scored_in_order_however_many_there_are():
    x = np.zeros((305, LENGTH, 1), np.float32)
    labels = np.array([2] * 300 + [1] * 5, np.int32)
    confusion = score_questions(Notebook(), [x], [labels], CLASSES)
    assert (confusion[2, 0], confusion[1, 0], confusion.sum()) == (300, 5, 305)


def test_each_window_is_scored_against_its_own_label():
    class Parrot(Notebook):
        """Says each window's first value."""

        def predict_aside(self, x):
            return replace(super().predict_aside(x), classes=x[:, 0, 0].astype(np.int32))

    labels = np.random.default_rng(2).integers(CLASSES, size=700).astype(np.int32)
    x = np.repeat(labels, LENGTH).reshape(-1, LENGTH, 1).astype(np.float32)
    confusion = score_questions(Parrot(), [x], [labels], CLASSES)
    assert confusion.tolist() == np.diag(np.bincount(labels, minlength=CLASSES)).tolist()


def test_a_device_without_holdout_scores_nothing():
    assert device_of([0])[0].score_holdout(method_of("local"), None, 1).sum() == 0


def test_a_device_continues_from_its_snapshot_as_if_nothing_had_happened():
    habits = {"memory": 5, "delay_rounds": 1, "answer_rate": 0.8, "mistake_rate": 0.2}
    straight, noted = device_of(MIXED, **habits)
    device, program = device_of(MIXED, **habits)
    for round_ in (1, 2, 3):
        straight.work(round_, learns=True, **ALONE)
    for round_ in (1, 2, 3):
        device.work(round_, learns=True, **ALONE)
        snapshot = device.snapshot()
        steps = program.steps
        device, program = device_of(MIXED, **habits)
        program.calls += [("learn", *step) for step in steps]
        device.restore(snapshot)
        assert raw(device.snapshot()) == raw(snapshot)
    assert device.snapshot()["memory/full"].any()
    assert any(key.startswith("late/") for key in device.snapshot())
    assert program.steps == noted.steps
    assert program.steps


def test_a_snapshot_is_of_one_device_as_those_of_many_are():
    device, _ = device_of(MIXED, memory=5, delay_rounds=1)
    device.work(1, learns=True, **ALONE)
    snapshot = device.snapshot()
    assert {value.shape[0] for value in snapshot.values()} == {1}
    kinds = {name.partition("/")[0] for name in snapshot}
    assert kinds == {"program", "memory", "late"}


# From here on with a real program.
ACTIVITIES = ("walking", "jogging", "stairs", "sitting", "standing")


def real_wear(device=0):
    """Give a wearer of three activities, told apart by a mean, at 40 samples a window."""
    random = np.random.default_rng(8)
    recordings = [
        Recording(
            user="1",
            activity=ACTIVITIES[label],
            rate_hz=20.0,
            samples=random.normal(3.0 * label, 1.0, (800, 3)).astype(np.float32),
            segment_starts=np.zeros(1, np.int64),
            segment_times_s=np.array([60.0 * label]),
        )
        for label in (0, 1, 3)
    ]
    pool = build_pool({"1": recordings}, ACTIVITIES, length=40, hop=40, holdout=0.3)
    table = cut_questions(pool, order="bouts", bout_windows=4, batch=4)
    devices, users = np.array([device]), np.zeros(1, np.int64)
    strength = Strength(tilt_deg=20.0, gain=1.2, cadence=1.1, noise=0.2)
    return Wear(
        devices,
        ["1"],
        ["1"],
        pool,
        deal_streams(table, 1, devices, users),
        pool.holdout,
        draw_variations(1, devices, 1, strength, 40),
    )


@pytest.fixture(scope="module")
def real(build):
    """Make devices with a tiny program each; the habits bring out every part of a device."""
    habits = replace(
        HABITS,
        classes=5,
        batch=4,
        answer_rate=0.9,
        mistake_rate=0.1,
        delay_rounds=1,
        memory=10,
    )

    def make(device=0):
        return Device(real_wear(device), habits, Program(build("dense").path), method_of("local"))

    return make


@pytest.mark.parametrize("number", [0, 3], ids=["as recorded", "a variation"])
def test_three_rounds_are_one_round_a_snapshot_and_two_more(real, number):
    straight, first = real(number), real(number)
    for round_ in (1, 2, 3):
        straight.work(round_, learns=True, **ALONE)
    first.work(1, learns=True, **ALONE)
    snapshot = first.snapshot()
    second = real(number)
    second.restore(snapshot)
    assert raw(second.snapshot()) == raw(snapshot)
    outcomes = [second.work(round_, learns=True, **ALONE) for round_ in (2, 3)]
    assert sum(outcome.steps[0] for outcome in outcomes) > 0
    assert raw(second.snapshot()) == raw(straight.snapshot())
    local = method_of("local")
    confusions = [device.score_holdout(local, None, 3) for device in (straight, second)]
    assert confusions[0].tolist() == confusions[1].tolist()
    # 30% of 800 samples are 240, six windows of each of three activities.
    assert confusions[0].sum(axis=1).tolist() == [6, 6, 0, 6, 0]


def test_a_variation_learns_and_is_scored_with_what_it_measures():
    class Reader(Notebook):
        """Keeps what it is given."""

        def __init__(self):
            super().__init__()
            self.seen = []

        def predict(self, x):
            self.seen.append(x.tobytes())
            return super().predict(x)

        def learn(self, x, labels):
            self.seen.append(x.tobytes())
            return super().learn(x, labels)

    wear, program = real_wear(3), Reader()
    habits = replace(HABITS, batch=4, questions_per_round=1, steps=1)
    device = Device(wear, habits, program, method_of("local"))
    outcome = device.work(1, learns=True, **ALONE)
    device.score_holdout(method_of("local"), None, 1)
    windows, _ = wear.streams.in_round(1, 1)
    measured = wear.variations.read(wear.pool, windows)[0, 0].tobytes()
    held = wear.variations.read(wear.pool, np.arange(*wear.holdout[0])[None])[0].tobytes()
    # Opened, predicted, learnt, and scored.
    assert program.seen == [measured] * 3 + [held]
    assert outcome.windows.tolist() == windows.tolist()
    assert measured != wear.pool.read(windows)[0, 0].tobytes()


def test_scoring_the_holdout_changes_no_variable_of_a_real_program(real):
    device = real()
    for round_ in (1, 2):
        device.work(round_, learns=True, **ALONE)
    shared = device.update(method_of("fedavg"), {}).arrays
    before = raw(device.snapshot())
    other = {"parameters": {name: value[0] + 1.0 for name, value in shared.items()}}
    for arrays in (None, other):
        device.score_holdout(method_of("fedper", ("classes/*",)), arrays, 2)
        assert raw(device.snapshot()) == before


def test_the_state_that_serves_has_the_servers_parameters_and_leaves_the_device_as_it_was(real):
    device = real()
    device.work(1, learns=True, **ALONE)
    before = device.snapshot()
    fedper = method_of("fedper", ("classes/*",))
    kind = "program/params/"
    other = {k.removeprefix(kind): v[0] + 1.0 for k, v in before.items() if k.startswith(kind)}
    served = device.state(fedper, {"parameters": other}, 1)
    assert served["params/hidden/bias"].tolist() == other["hidden/bias"].tolist()
    kept = before["program/params/classes/bias"][0]
    assert served["params/classes/bias"].tolist() == kept.tolist()
    assert raw(device.snapshot()) == raw(before)
    assert raw(device.state(fedper, None, 1)) == raw(
        {k.removeprefix("program/"): v[0] for k, v in before.items() if k.startswith("program/")}
    )


def test_a_real_program_gets_better_at_what_its_wearer_does(real):
    device = real()
    before = device.score_holdout(method_of("local"), None, 1)
    for round_ in range(1, 6):
        device.work(round_, learns=True, **ALONE)
    after = device.score_holdout(method_of("local"), None, 1)
    assert np.trace(after) > np.trace(before)

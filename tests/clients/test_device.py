"""One device: predict -> score -> ask -> learn, with a program that notes what it is asked."""

from dataclasses import replace

import numpy as np
import pytest

from clients.device import Device, score_windows
from clients.methods import METHODS, MethodOptions
from clients.prediction import Prediction
from clients.program import Program
from clients.recordings import Recording
from clients.stream import Stream, build_stream
from clients.user import NO_ANSWER
from clients.wear import Habits, Wear
from clients.windows import Windows, cut_windows

CLASSES, BATCH, LENGTH = 50, 2, 3
HABITS = Habits(
    seed=7,
    classes=CLASSES,
    batch=BATCH,
    questions_per_round=3,
    answer_rate=1.0,
    mistake_rate=0.0,
    delay_rounds=0,
    ask="all",
    budget=3,
    steps=2,
    memory=0,
)
MIXED = [0, 1, 2, 0, 1, 2, 2, 1, 0]


class Notebook:
    """A program that says how often it has learnt, and notes every call.

    Each window's samples hold its stream position, so calls are noted by positions.
    """

    def __init__(self, margins=()):
        self.calls = []
        self.parameters = {"base/w": np.zeros(1), "head/w": np.zeros(1)}
        self.learnt = 0
        self._margins = margins

    def predict(self, x):
        positions = x[:, 0, 0].astype(int).tolist()
        self.calls.append(("predict", positions))
        said = self.learnt + int(sum(value.sum() for value in self.parameters.values()))
        said %= CLASSES
        logits = None
        if self._margins:
            logits = np.zeros((len(x), CLASSES), np.float32)
            logits[:, said] = [self._margins[p // BATCH] for p in positions]
        return Prediction(np.full(len(x), said, np.int32), logits)

    def predict_aside(self, x):
        self.calls.append(("aside", x[:, 0, 0].astype(int).tolist()))
        noted, said = list(self.calls), self.predict(x)
        self.calls = noted
        return said

    def learn(self, x, labels):
        assert labels.dtype == np.int32
        self.calls.append(("learn", x[:, 0, 0].astype(int).tolist(), labels.tolist()))
        self.learnt += 1
        return float(self.learnt)

    def read_parameters(self):
        return dict(self.parameters)

    def assign_parameters(self, values, *, fresh_slots=False):
        self.calls.append(("assign", sorted(values), fresh_slots))
        self.parameters |= values

    def read_state(self):
        return {**self.parameters, "learnt": np.array(self.learnt)}

    def assign_state(self, values):
        self.learnt = int(values["learnt"])
        self.parameters = {key: values[key] for key in self.parameters}

    @property
    def steps(self):
        """Give (positions, labels) of each step."""
        return [call[1:] for call in self.calls if call[0] == "learn"]


def wear_of(labels, index=0, held=()):
    """Give a device questions of two windows each, with these labels, and holdout windows."""
    every = [*np.repeat(labels, BATCH).tolist(), *held]
    starts = np.arange(len(every), dtype=np.int64) * LENGTH
    recordings = [
        Recording(
            user="1",
            activity=f"activity {label}",
            rate_hz=10.0,
            samples=np.repeat(np.arange(len(every), dtype=np.float32), LENGTH)[:, None],
            segment_starts=np.zeros(1, np.int64),
            segment_times_s=np.zeros(1),
        )
        for label in range(max(every) + 1)
    ]
    label = np.array(every, np.int32)
    windows = Windows(label, starts, label, starts / 10.0, LENGTH)
    count = len(labels) * BATCH
    stream = Stream(windows.take(np.arange(count)), np.arange(0, count + 1, BATCH))
    return Wear(
        index, f"1-{index}", "1", recordings, stream, windows.take(np.arange(count, len(every)))
    )


def device_of(labels, *, program=None, index=0, held=(), **habits):
    program = program or Notebook()
    return Device(wear_of(labels, index, held), replace(HABITS, **habits), program), program


def method(name, private=()):
    return METHODS[name](MethodOptions(1, private=private))


def test_a_question_is_predicted_and_scored_before_it_is_learnt():
    device, program = device_of([0, 1, 2])
    outcome = device.work(1, learns=True)
    # Two steps follow each answer, so questions are predicted after 0, 2 and 4 steps.
    assert outcome.predicted == [0, 0, 2, 2, 4, 4]
    assert outcome.label == [0, 0, 1, 1, 2, 2]
    assert outcome.question == [0, 0, 1, 1, 2, 2]
    assert outcome.position == [0, 1, 2, 3, 4, 5]
    predicted = set()
    for name, positions, *_ in program.calls:
        if name == "learn":
            assert set(positions) <= predicted
        elif name == "predict":
            predicted |= set(positions)
    learnt = [positions for positions, _ in program.steps]
    assert learnt == [[0, 1], [0, 1], [2, 3], [2, 3], [4, 5], [4, 5]]


def test_each_question_is_predicted_by_what_was_learnt_from_the_one_before():
    device, program = device_of([0, 1])
    device.work(1, learns=True)
    names = [(call[0], call[1]) for call in program.calls]
    learn_first = names.index(("learn", [0, 1]))
    again = len(names) - 1 - names[::-1].index(("predict", [2, 3]))
    learn_second = names.index(("learn", [2, 3]))
    assert learn_first < again < learn_second


def test_what_the_model_said_that_the_round_began_with_is_kept_too():
    device, _ = device_of([0, 0, 2, 4, 4, 4], questions_per_round=3)
    first, second = device.work(1, learns=True), device.work(2, learns=True)
    # It says 0 at the start of the first round, and 6 at that of the second.
    assert first.opened_correct == [True, True, True, True, False, False]
    assert second.opened_correct == [False] * 6
    assert first.predicted == [0, 0, 2, 2, 4, 4]


def test_the_vote_is_of_all_windows_of_a_question():
    class Split(Notebook):
        def predict(self, x):
            return replace(super().predict(x), classes=np.array([5, 3], np.int32))

    device, _ = device_of([3, 5], program=Split())
    outcome = device.work(1, learns=True)
    assert outcome.predicted == [5, 3, 5, 3]
    assert outcome.voted == [3, 3, 3, 3]


def test_losses_are_of_what_was_predicted():
    device, _ = device_of([0, 1], program=Notebook(margins=[4.0, 4.0]), steps=1)
    outcome = device.work(1, learns=True)
    # Both times the true class has the logit 4 among 49 zeros.
    expected = -np.log(np.exp(4.0) / (np.exp(4.0) + 49.0))
    assert outcome.loss == pytest.approx([expected] * 4, rel=1e-5)
    unknown = device_of([0, 1])[0].work(1, learns=True)
    assert np.isnan(unknown.loss).all()


def test_nothing_is_learnt_from_unanswered_questions():
    device, program = device_of([0, 1, 2], answer_rate=0.0, memory=10)
    outcome = device.work(1, learns=True)
    assert program.steps == []
    assert device.memory_windows == 0
    assert outcome.answer == [NO_ANSWER] * 6
    assert (outcome.questions, outcome.asked, outcome.answered) == (3, 3, 0)
    assert (outcome.examples, outcome.steps, outcome.gradients) == (0, 0, 0)
    assert np.isnan(outcome.learning_loss)


def test_only_answered_questions_are_learnt():
    device, program = device_of(MIXED * 10, answer_rate=0.5, questions_per_round=90, steps=1)
    outcome = device.work(1, learns=True)
    answered = [p for p, a in zip(outcome.position, outcome.answer, strict=True) if a >= 0]
    assert 25 < outcome.answered < 65
    assert [p for positions, _ in program.steps for p in positions] == answered
    assert (outcome.examples, outcome.steps) == (len(answered), outcome.answered)


def test_outcome_counts_steps_and_averages_their_losses():
    device, _ = device_of([0, 1], questions_per_round=2, steps=3)
    outcome = device.work(1, learns=True)
    assert (outcome.steps, outcome.gradients, outcome.examples) == (6, 6, 4)
    # The losses are 1 to 6.
    assert outcome.learning_loss == 3.5


def test_late_answers_lead_to_steps_when_they_arrive():
    device, program = device_of(MIXED, delay_rounds=2, questions_per_round=2, steps=1)
    outcomes = [device.work(1, learns=True), device.work(2, learns=True)]
    assert program.steps == []
    assert [o.answer for o in outcomes] == [[0, 0, 1, 1], [2, 2, 0, 0]]
    assert [(o.answered, o.examples, o.steps) for o in outcomes] == [(2, 0, 0)] * 2
    third = device.work(3, learns=True)
    assert program.steps == [([0, 1], [0, 0]), ([2, 3], [1, 1])]
    assert (third.examples, third.steps) == (4, 2)
    # What has just arrived helps with the questions at hand.
    assert third.predicted == [2, 2, 2, 2]
    device.work(4, learns=True)
    assert program.steps[2:] == [([4, 5], [2, 2]), ([6, 7], [0, 0])]


def test_late_answers_fill_the_memory_when_they_arrive():
    device, _ = device_of(MIXED, delay_rounds=1, questions_per_round=2, memory=100)
    held = []
    for round_ in (1, 2, 3):
        device.work(round_, learns=True)
        held.append(device.memory_windows)
    assert held == [0, 4, 8]


def test_late_answers_still_arrive_when_the_stream_has_ended():
    device, program = device_of([0, 1], delay_rounds=1, questions_per_round=2, steps=1)
    device.work(1, learns=True)
    outcome = device.work(2, learns=True)
    assert outcome.questions == 0
    assert program.steps == [([0, 1], [0, 0]), ([2, 3], [1, 1])]


def test_a_mistaken_answer_is_learnt_as_answered():
    device, program = device_of(MIXED, mistake_rate=1.0, questions_per_round=9, memory=100)
    outcome = device.work(1, learns=True)
    told = dict(zip(outcome.position, outcome.answer, strict=True))
    assert NO_ANSWER not in outcome.answer
    assert not np.equal(outcome.answer, outcome.label).any()
    assert program.steps
    for positions, labels in program.steps:
        assert labels == [told[position] for position in positions]


def test_a_device_that_does_not_learn_fills_its_memory_and_takes_no_step():
    device, program = device_of(MIXED, memory=100)
    outcome = device.work(1, learns=False)
    assert program.steps == []
    assert device.memory_windows == 6
    assert (outcome.answered, outcome.examples, outcome.steps) == (3, 0, 0)
    assert outcome.predicted == [0] * 6
    # Once it does, it rehearses them.
    device.work(2, learns=True)
    assert any(p < 6 for positions, _ in program.steps for p in positions[2:])


def test_steps_mix_the_question_with_as_many_earlier_windows():
    device, program = device_of(MIXED * 3, memory=100, questions_per_round=27, steps=4)
    device.work(1, learns=True)
    truth = np.repeat(MIXED * 3, BATCH)
    assert len(program.steps) > 60
    for positions, labels in program.steps:
        own, rehearsed = positions[:BATCH], positions[BATCH:]
        assert len(rehearsed) == len(own)
        assert own == [own[0], own[0] + 1]
        assert max(rehearsed) < own[0]
        assert labels == truth[positions].tolist()
        assert len(set(labels)) > 1


def test_a_small_memory_is_never_exceeded():
    device, program = device_of(MIXED * 3, memory=5, questions_per_round=9)
    for round_ in (1, 2, 3):
        device.work(round_, learns=True)
        assert device.memory_windows == 5
    assert program.steps


def test_a_batch_of_one_activity_is_skipped_by_a_device_with_a_memory():
    device, program = device_of([4] * 6, memory=100)
    outcomes = [device.work(1, learns=True), device.work(2, learns=True)]
    assert program.steps == []
    assert [(o.answered, o.steps, o.gradients, o.examples) for o in outcomes] == [(3, 0, 0, 0)] * 2
    assert device.memory_windows == 12


def test_the_first_batch_of_another_activity_is_learnt():
    device, program = device_of([4, 4, 1], memory=100, steps=3)
    device.work(1, learns=True)
    assert [positions[:2] for positions, _ in program.steps] == [[4, 5]] * 3
    assert all(labels[:2] == [1, 1] and labels[2:] == [4, 4] for _, labels in program.steps)


def test_a_batch_of_one_activity_is_learnt_by_a_device_without_a_memory():
    device, program = device_of([4] * 3, memory=0, steps=1)
    device.work(1, learns=True)
    assert program.steps == [([p, p + 1], [4, 4]) for p in (0, 2, 4)]


def test_a_budget_limits_what_is_asked_in_each_round():
    for ask in ("random", "uncertain"):
        device, program = device_of(
            MIXED, program=Notebook(margins=[1.0] * 9), ask=ask, budget=2, steps=1
        )
        outcome = device.work(1, learns=True)
        assert (outcome.questions, outcome.asked, outcome.answered) == (3, 2, 2)
        assert len(program.steps) == 2


def test_an_uncertain_device_asks_about_what_it_is_least_certain_of():
    device, _ = device_of(
        MIXED, program=Notebook(margins=[3.0, 1.0, 2.0] * 3), ask="uncertain", budget=1
    )
    assert device.work(1, learns=True).answer == [NO_ANSWER] * 2 + [1] * 2 + [NO_ANSWER] * 2


def test_a_round_beyond_the_stream_is_empty():
    device, program = device_of([0, 1])
    outcome = device.work(2, learns=True)
    assert (outcome.questions, outcome.asked, outcome.position, program.calls) == (0, 0, [], [])


def test_users_answer_alike_whether_or_not_the_device_learns():
    habits = {"answer_rate": 0.6, "mistake_rate": 0.3, "questions_per_round": 9}
    learner, other = (device_of(MIXED * 4, **habits)[0] for _ in range(2))
    for round_ in range(1, 5):
        answers = learner.work(round_, learns=True).answer
        assert answers == other.work(round_, learns=False).answer


def test_wearers_of_other_devices_answer_otherwise():
    answers = [
        device_of(MIXED * 4, index=i, answer_rate=0.5, questions_per_round=36)[0]
        .work(1, learns=True)
        .answer
        for i in (0, 1)
    ]
    assert answers[0] != answers[1]


def test_what_the_server_sent_is_taken_in_and_its_optimizer_starts_afresh():
    device, program = device_of([0])
    device.begin(method("fedper", ("head/*",)), {"base/w": np.ones(1), "head/w": np.ones(1)})
    assert program.calls == [("assign", ["base/w"], True)]
    assert {name: value.item() for name, value in program.parameters.items()} == {
        "base/w": 1.0,
        "head/w": 0.0,
    }


def test_an_update_holds_what_is_shared_and_weighs_by_examples():
    device, _ = device_of([0, 1], index=4, questions_per_round=2)
    outcome = device.work(1, learns=True)
    update = device.update(method("fedper", ("head/*",)), outcome)
    assert (update.device, sorted(update.arrays), update.examples) == (4, ["base/w"], 4)
    assert update.loss == outcome.learning_loss


def test_holdout_is_counted_by_true_and_predicted_class():
    device, _ = device_of([0], held=[0, 0, 3, 1], program=Notebook())
    confusion = device.score_holdout(method("local"), None)
    # It says 0 before it has learnt.
    assert confusion.sum() == 4
    assert (confusion[0, 0], confusion[3, 0], confusion[1, 0]) == (2, 1, 1)


def test_holdout_is_scored_with_what_answers_the_user_and_leaves_the_device_as_it_was():
    device, program = device_of([0], held=[3, 3])
    program.parameters = {"base/w": np.array([1.0]), "head/w": np.array([2.0])}
    shared = {"base/w": np.array([5.0]), "head/w": np.array([5.0])}
    before = program.read_state()
    for private, said in [(("head/*",), 7), ((), 10), (("*",), 3)]:
        confusion = device.score_holdout(method("fedper", private), shared)
        assert confusion[3].nonzero()[0].tolist() == [said]
        assert program.read_state() == before
    assert program.steps == []


def test_holdout_is_scored_anew_after_learning_or_a_download():
    device, program = device_of([0, 1], held=[0], questions_per_round=1)
    said = []
    for change in (
        lambda: None,
        lambda: device.work(1, learns=True),
        lambda: device.begin(method("fedavg"), {"base/w": np.array([3.0])}),
        lambda: device.restore(device.snapshot() | {"program/learnt": np.array(9)}),
    ):
        change()
        said.append(int(device.score_holdout(method("local"), None)[0].argmax()))
    # 0 steps; 2 steps; 3 more from the server; 9 steps and those 3.
    assert said == [0, 2, 5, 12]
    assert program.steps


def test_windows_are_scored_in_order_however_many_there_are():
    wear = wear_of([0], held=[2] * 300 + [1] * 5)
    confusion = score_windows(Notebook(), wear.recordings, wear.holdout, CLASSES)
    assert (confusion[2, 0], confusion[1, 0], confusion.sum()) == (300, 5, 305)


def test_a_device_without_holdout_scores_nothing():
    assert device_of([0])[0].score_holdout(method("local"), None).sum() == 0


def test_a_device_continues_from_its_snapshot_as_if_nothing_had_happened():
    habits = {"memory": 5, "delay_rounds": 1, "answer_rate": 0.8, "mistake_rate": 0.2}
    straight, noted = device_of(MIXED, **habits)
    device, program = device_of(MIXED, **habits)
    for round_ in (1, 2, 3):
        straight.work(round_, learns=True)
    for round_ in (1, 2, 3):
        device.work(round_, learns=True)
        snapshot = device.snapshot()
        steps = program.steps
        device, program = device_of(MIXED, **habits)
        program.calls += [("learn", *step) for step in steps]
        device.restore(snapshot)
        assert raw(device.snapshot()) == raw(snapshot)
    assert device.snapshot()["memory/full"].any()
    assert program.steps == noted.steps
    assert program.steps


# From here on with a real program.
ACTIVITIES = ("walking", "jogging", "stairs", "sitting", "standing")


def real_wear():
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
    cut = {"length": 40, "hop": 40, "holdout": 0.3}
    stream = build_stream(
        cut_windows(recordings, ACTIVITIES, part="stream", **cut),
        order="bouts",
        hop=40,
        hop_s=2.0,
        bout_windows=4,
        batch=4,
        random=np.random.default_rng(1),
    )
    return Wear(
        0, "1", "1", recordings, stream, cut_windows(recordings, ACTIVITIES, part="holdout", **cut)
    )


def raw(arrays):
    return {key: (value.shape, value.tobytes()) for key, value in arrays.items()}


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

    def make():
        return Device(real_wear(), habits, Program(build("dense").path))

    return make


def test_three_rounds_are_one_round_a_snapshot_and_two_more(real):
    straight, first = real(), real()
    for round_ in (1, 2, 3):
        straight.work(round_, learns=True)
    first.work(1, learns=True)
    snapshot = first.snapshot()
    second = real()
    second.restore(snapshot)
    assert raw(second.snapshot()) == raw(snapshot)
    outcomes = [second.work(round_, learns=True) for round_ in (2, 3)]
    assert sum(outcome.steps for outcome in outcomes) > 0
    assert raw(second.snapshot()) == raw(straight.snapshot())
    local = method("local")
    confusions = [device.score_holdout(local, None) for device in (straight, second)]
    assert confusions[0].tolist() == confusions[1].tolist()
    # 30% of 800 samples are 240, six windows of each of three activities.
    assert confusions[0].sum(axis=1).tolist() == [6, 6, 0, 6, 0]


def test_scoring_the_holdout_changes_no_variable_of_a_real_program(real):
    device = real()
    device.work(1, learns=True)
    shared = device.update(method("fedavg"), device.work(2, learns=True)).arrays
    before = raw(device.snapshot())
    other = {name: value + 1.0 for name, value in shared.items()}
    for arrays in (None, other):
        device.score_holdout(method("fedper", ("classes/*",)), arrays)
        assert raw(device.snapshot()) == before


def test_the_state_that_serves_has_the_servers_parameters_and_leaves_the_device_as_it_was(real):
    device = real()
    device.work(1, learns=True)
    before = device.snapshot()
    fedper = method("fedper", ("classes/*",))
    kind = "program/params/"
    other = {k.removeprefix(kind): v + 1.0 for k, v in before.items() if k.startswith(kind)}
    served = device.state(fedper, other)
    assert served["params/hidden/bias"].tolist() == other["hidden/bias"].tolist()
    assert served["params/classes/bias"].tolist() == before["program/params/classes/bias"].tolist()
    assert raw(device.snapshot()) == raw(before)
    assert raw(device.state(fedper, None)) == raw(
        {k.removeprefix("program/"): v for k, v in before.items() if k.startswith("program/")}
    )


def test_a_real_program_gets_better_at_what_its_wearer_does(real):
    device = real()
    before = device.score_holdout(method("local"), None)
    for round_ in range(1, 6):
        device.work(round_, learns=True)
    after = device.score_holdout(method("local"), None)
    assert np.trace(after) > np.trace(before)

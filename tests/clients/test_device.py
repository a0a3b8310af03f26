"""One device's round: predict -> score -> ask -> learn."""

from dataclasses import replace

import numpy as np
import pytest

from clients.device import score_questions
from clients.errors import BadProgram
from clients.lessons import Lesson
from clients.steps import learn_plainly, take_steps
from clients.user import NO_ANSWER
from tests.clients.made_devices import (
    ALONE,
    BATCH,
    CLASSES,
    HABITS,
    LENGTH,
    MIXED,
    Notebook,
    device_of,
    method_of,
)


class Follower(Notebook):
    """A notebook that carries the number of the last call that it followed, 0 for nothing.

    `followed` tells of each call its name, its windows, and what the program carried before it.
    """

    def __init__(self):
        super().__init__()
        self.carried, self.followed = 0, []

    def predict(self, x):
        said = super().predict(x)
        self._follow()
        return said

    def predict_aside(self, x):
        carried, followed = self.carried, list(self.followed)
        said = super().predict_aside(x)
        self.carried, self.followed = carried, followed
        return said

    def learn(self, x, labels):
        loss = super().learn(x, labels)
        self._follow()
        return loss

    def _follow(self):
        name, windows, *_ = self.calls[-1]
        self.followed.append((name, windows, self.carried))
        self.carried = len(self.followed)

    def read_context(self):
        return {"state/live": np.array(self.carried)}

    def assign_context(self, values):
        for value in values.values():
            self.carried = int(value)


def answered(outcome):
    """Count the questions that were answered."""
    return int((outcome.answer != NO_ANSWER).sum())


def counts(outcome):
    """Give how many questions there were, were asked, and were answered."""
    return int((outcome.label >= 0).sum()), int(outcome.asked.sum()), answered(outcome)


def learnt(outcome):
    """Give examples and steps."""
    assert outcome.gradients.tolist() == outcome.steps.tolist()
    return int(outcome.examples[0]), int(outcome.steps[0])


def test_a_question_is_predicted_and_scored_before_it_is_learnt():
    device, program = device_of([0, 1, 2])
    outcome = device.work(1, learns=True, **ALONE)
    # Two steps follow each answer, so questions are predicted after 0, 2 and 4 steps.
    assert outcome.predicted.tolist() == [[[0, 0], [2, 2], [4, 4]]]
    assert outcome.label.tolist() == [[0, 1, 2]]
    assert outcome.windows.tolist() == [[[0, 1], [2, 3], [4, 5]]]
    predicted = set()
    for name, windows, *_ in program.calls:
        if name == "learn":
            assert set(windows) <= predicted
        elif name == "predict":
            predicted |= set(windows)
    steps = [windows for windows, _ in program.steps]
    assert steps == [[0, 1], [0, 1], [2, 3], [2, 3], [4, 5], [4, 5]]


def test_each_question_is_predicted_by_what_was_learnt_from_the_one_before():
    device, program = device_of([0, 1])
    device.work(1, learns=True, **ALONE)
    names = [(call[0], call[1]) for call in program.calls]
    learn_first = names.index(("learn", [0, 1]))
    again = len(names) - 1 - names[::-1].index(("predict", [2, 3]))
    learn_second = names.index(("learn", [2, 3]))
    assert learn_first < again < learn_second


def test_all_questions_are_opened_before_the_first_is_learnt_and_predicted_once_more():
    device, program = device_of([0, 1, 2])
    device.work(1, learns=True, **ALONE)
    names = [call[0] for call in program.calls]
    assert names == ["aside"] * 3 + ["predict", "learn", "learn"] * 3


def test_what_the_model_said_that_the_round_began_with_is_kept_too():
    device, _ = device_of([0, 0, 2, 4, 4, 4], questions_per_round=3)
    first, second = device.work(1, learns=True, **ALONE), device.work(2, learns=True, **ALONE)
    # It says 0 at the start of the first round, and 6 at that of the second.
    assert first.opened_correct.tolist() == [[[True, True], [True, True], [False, False]]]
    assert second.opened_correct.tolist() == [[[False, False]] * 3]
    assert first.predicted.tolist() == [[[0, 0], [2, 2], [4, 4]]]


def test_the_vote_is_of_all_windows_of_a_question():
    class Split(Notebook):
        def predict(self, x):
            return replace(super().predict(x), classes=np.array([5, 3], np.int32))

    device, _ = device_of([3, 5, 3], program=Split())
    outcome = device.work(1, learns=True, **ALONE)
    assert outcome.predicted.tolist() == [[[5, 3]] * 3]
    assert outcome.voted.tolist() == [[3, 3, 3]]


def test_losses_are_of_what_was_predicted():
    margins = [4.0, 4.0]
    device, _ = device_of([0, 1], program=Notebook(margins), steps=1, questions_per_round=2)
    outcome = device.work(1, learns=True, **ALONE)
    # Both times the true class has the logit 4 among 49 zeros.
    expected = -np.log(np.exp(4.0) / (np.exp(4.0) + 49.0))
    np.testing.assert_allclose(outcome.loss, [[[expected] * 2] * 2], rtol=1e-5)
    unknown = device_of([0, 1])[0].work(1, learns=True, **ALONE)
    assert np.isnan(unknown.loss).all()


def test_a_class_that_no_activity_has_is_refused_with_the_devices_name():
    for classes in ([0, 7], [-1, 0]):

        class Strange(Notebook):
            def predict(self, x, classes=classes):
                return replace(super().predict(x), classes=np.array(classes, np.int32))

        device, _ = device_of([0], program=Strange(), index=4, classes=7)
        with pytest.raises(BadProgram, match=r"device 1-4: 'predict' .* expected 0 to 6"):
            device.work(1, learns=True, **ALONE)


def test_rows_end_empty_where_questions_or_windows_are_fewer():
    device, program = device_of(
        [0, 1, 2, 3], last=1, program=Notebook([4.0] * 4), steps=1, memory=10
    )
    device.work(1, learns=True, **ALONE)
    outcome = device.work(2, learns=True, **ALONE)
    # One question of one window is left: three steps were possible before, of which two mixed.
    assert outcome.windows.tolist() == [[[6, -1], [-1, -1], [-1, -1]]]
    assert outcome.label.tolist() == [[3, -1, -1]]
    assert outcome.predicted.tolist() == [[[2, -1], [-1, -1], [-1, -1]]]
    assert outcome.voted.tolist() == [[2, -1, -1]]
    assert outcome.asked.tolist() == [[True, False, False]]
    assert outcome.answer.tolist() == [[3, NO_ANSWER, NO_ANSWER]]
    assert not outcome.opened_correct.any()
    assert np.isfinite(outcome.loss).tolist() == [[[True, False], [False] * 2, [False] * 2]]
    assert (learnt(outcome), outcome.memory_windows.tolist()) == ((1, 1), [7])
    # It is rehearsed with as many windows as it has.
    windows, labels = program.steps[-1]
    assert (windows[0], labels[0], len(windows)) == (6, 3, 2)


def test_nothing_is_learnt_from_unanswered_questions():
    device, program = device_of([0, 1, 2], answer_rate=0.0, memory=10)
    outcome = device.work(1, learns=True, **ALONE)
    assert program.steps == []
    assert outcome.memory_windows.tolist() == [0]
    assert outcome.answer.tolist() == [[NO_ANSWER] * 3]
    assert counts(outcome) == (3, 3, 0)
    assert learnt(outcome) == (0, 0)
    assert np.isnan(outcome.learning_loss[0])


def test_only_answered_questions_are_learnt():
    device, program = device_of(MIXED * 10, answer_rate=0.5, questions_per_round=90, steps=1)
    outcome = device.work(1, learns=True, **ALONE)
    known = outcome.windows[outcome.answer != NO_ANSWER].ravel().tolist()
    assert 25 < answered(outcome) < 65
    assert [window for windows, _ in program.steps for window in windows] == known
    assert learnt(outcome) == (len(known), answered(outcome))


def test_outcome_counts_steps_and_averages_their_losses():
    device, _ = device_of([0, 1], questions_per_round=2, steps=3)
    outcome = device.work(1, learns=True, **ALONE)
    assert learnt(outcome) == (4, 6)
    # The losses are 1 to 6.
    assert outcome.learning_loss.tolist() == [3.5]


def test_late_answers_lead_to_steps_when_they_arrive():
    device, program = device_of(MIXED, delay_rounds=2, questions_per_round=2, steps=1)
    outcomes = [device.work(1, learns=True, **ALONE), device.work(2, learns=True, **ALONE)]
    assert program.steps == []
    assert [o.answer.tolist() for o in outcomes] == [[[0, 1]], [[2, 0]]]
    assert [(answered(o), learnt(o)) for o in outcomes] == [(2, (0, 0))] * 2
    third = device.work(3, learns=True, **ALONE)
    assert program.steps == [([0, 1], [0, 0]), ([2, 3], [1, 1])]
    assert learnt(third) == (4, 2)
    # What has just arrived helps with the questions at hand.
    assert third.predicted.tolist() == [[[2, 2], [2, 2]]]
    device.work(4, learns=True, **ALONE)
    assert program.steps[2:] == [([4, 5], [2, 2]), ([6, 7], [0, 0])]


def test_late_answers_fill_the_memory_when_they_arrive():
    device, _ = device_of(MIXED, delay_rounds=1, questions_per_round=2, memory=100)
    held = [
        int(device.work(round_, learns=True, **ALONE).memory_windows[0]) for round_ in (1, 2, 3)
    ]
    assert held == [0, 4, 8]


def test_late_answers_still_arrive_when_the_stream_has_ended():
    device, program = device_of([0, 1], delay_rounds=1, questions_per_round=2, steps=1)
    device.work(1, learns=True, **ALONE)
    outcome = device.work(2, learns=True, **ALONE)
    assert counts(outcome) == (0, 0, 0)
    assert program.steps == [([0, 1], [0, 0]), ([2, 3], [1, 1])]
    assert learnt(outcome) == (4, 2)


def test_a_mistaken_answer_is_learnt_as_answered():
    device, program = device_of(MIXED, mistake_rate=1.0, questions_per_round=9, memory=100)
    outcome = device.work(1, learns=True, **ALONE)
    told = np.repeat(outcome.answer[0], BATCH)
    assert answered(outcome) == 9
    assert not np.equal(outcome.answer, outcome.label).any()
    assert program.steps
    for windows, labels in program.steps:
        assert labels == told[windows].tolist()


def test_a_device_that_does_not_learn_fills_its_memory_and_takes_no_step():
    device, program = device_of(MIXED, memory=100)
    outcome = device.work(1, learns=False, **ALONE)
    assert program.steps == []
    assert outcome.memory_windows.tolist() == [6]
    assert (answered(outcome), learnt(outcome)) == (3, (0, 0))
    assert outcome.predicted.tolist() == [[[0, 0]] * 3]
    # Once it does, it rehearses them.
    device.work(2, learns=True, **ALONE)
    assert any(window < 6 for windows, _ in program.steps for window in windows[2:])


def test_steps_mix_the_question_with_as_many_earlier_windows():
    device, program = device_of(MIXED * 3, memory=100, questions_per_round=27, steps=4)
    device.work(1, learns=True, **ALONE)
    truth = np.repeat(MIXED * 3, BATCH)
    assert len(program.steps) > 60
    for windows, labels in program.steps:
        own, rehearsed = windows[:BATCH], windows[BATCH:]
        assert len(rehearsed) == len(own)
        assert own == [own[0], own[0] + 1]
        assert max(rehearsed) < own[0]
        assert labels == truth[windows].tolist()
        assert len(set(labels)) > 1


def test_a_small_memory_is_never_exceeded():
    device, program = device_of(MIXED * 3, memory=5, questions_per_round=9)
    for round_ in (1, 2, 3):
        assert device.work(round_, learns=True, **ALONE).memory_windows.tolist() == [5]
    assert program.steps


def test_a_batch_of_one_activity_is_skipped_by_a_device_with_a_memory():
    device, program = device_of([4] * 6, memory=100)
    outcomes = [device.work(1, learns=True, **ALONE), device.work(2, learns=True, **ALONE)]
    assert program.steps == []
    assert [(answered(o), learnt(o)) for o in outcomes] == [(3, (0, 0))] * 2
    assert outcomes[1].memory_windows.tolist() == [12]


def test_the_first_batch_of_another_activity_is_learnt():
    device, program = device_of([4, 4, 1], memory=100, steps=3)
    outcome = device.work(1, learns=True, **ALONE)
    assert [windows[:2] for windows, _ in program.steps] == [[4, 5]] * 3
    assert all(labels[:2] == [1, 1] and labels[2:] == [4, 4] for _, labels in program.steps)
    # Windows of the answers that led to no step do not count.
    assert learnt(outcome) == (2, 3)


def test_a_batch_of_one_activity_is_learnt_by_a_device_without_a_memory():
    device, program = device_of([4] * 3, memory=0, steps=1)
    device.work(1, learns=True, **ALONE)
    assert program.steps == [([window, window + 1], [4, 4]) for window in (0, 2, 4)]


@pytest.mark.parametrize("ask", ["random", "uncertain"])
def test_a_budget_limits_what_is_asked_in_each_round(ask):
    device, program = device_of(MIXED, program=Notebook([1.0] * 9), ask=ask, budget=2, steps=1)
    assert counts(device.work(1, learns=True, **ALONE)) == (3, 2, 2)
    assert len(program.steps) == 2


def test_an_uncertain_device_asks_about_what_it_is_least_certain_of():
    margins = [3.0, 1.0, 2.0] * 3
    device, _ = device_of(MIXED, program=Notebook(margins), ask="uncertain", budget=1)
    assert device.work(1, learns=True, **ALONE).answer.tolist() == [[NO_ANSWER, 1, NO_ANSWER]]


def test_a_round_beyond_the_stream_is_empty():
    device, program = device_of([0, 1])
    outcome = device.work(2, learns=True, **ALONE)
    assert (counts(outcome), program.calls) == ((0, 0, 0), [])
    assert (outcome.windows == -1).all()
    assert learnt(outcome) == (0, 0)


def test_users_answer_alike_whether_or_not_the_device_learns():
    habits = {"answer_rate": 0.6, "mistake_rate": 0.3, "questions_per_round": 9}
    learner, other = (device_of(MIXED * 4, **habits)[0] for _ in range(2))
    for round_ in range(1, 5):
        answers = learner.work(round_, learns=True, **ALONE).answer.tolist()
        assert answers == other.work(round_, learns=False, **ALONE).answer.tolist()


def test_wearers_of_other_devices_answer_otherwise():
    answers = [
        device_of(MIXED * 4, index=index, answer_rate=0.5, questions_per_round=36)[0]
        .work(1, learns=True, **ALONE)
        .answer.tolist()
        for index in (0, 1)
    ]
    assert answers[0] != answers[1]


def follower_of(labels, **habits):
    """Give a device whose program carries something, and predicts each question once."""
    return device_of(labels, program=Follower(), scores_opened=False, **habits)


def test_a_whole_question_of_another_activity_is_learnt_before_a_steps_own():
    device, program = device_of([3, 3, 1], memory=100, whole_questions=True)
    device.work(1, learns=True, **ALONE)
    # The second question finds none of another activity to rehearse.
    assert [call[:2] for call in program.calls if call[0] != "aside"][:3] == [
        ("predict", [0, 1]),
        ("predict", [2, 3]),
        ("predict", [4, 5]),
    ]
    rehearsed, own, again, once_more = program.steps
    assert own == once_more == ([4, 5], [1, 1])
    assert [labels for _, labels in (rehearsed, again)] == [[3, 3]] * 2
    assert all(windows in ([0, 1], [2, 3]) for windows, _ in (rehearsed, again))


def test_every_step_learns_two_questions_of_two_activities_as_answered():
    device, program = device_of(
        MIXED * 3,
        memory=9,
        questions_per_round=27,
        steps=4,
        mistake_rate=0.3,
        last=1,
        whole_questions=True,
    )
    outcome = device.work(1, learns=True, **ALONE)
    told = np.repeat(outcome.answer[0], BATCH)
    assert (outcome.answer != outcome.label).any()
    assert len(program.steps) > 120
    for rehearsed, own in zip(program.steps[::2], program.steps[1::2], strict=True):
        for windows, labels in (rehearsed, own):
            assert windows == [window for window in (windows[0], windows[0] + 1) if window < 53]
            assert windows[0] % BATCH == 0
            assert labels == told[windows].tolist()
        assert rehearsed[0][0] < own[0][0]
        assert rehearsed[1][0] != own[1][0]
    assert [windows for windows, _ in program.steps[-7::2]] == [[52]] * 4
    # Four questions fit, of which one may be the short one.
    assert outcome.memory_windows[0] in (7, 8)


def test_both_gradients_of_a_step_count_and_the_examples_are_the_questions_own():
    device, _ = device_of(
        [0, 0, 1, 2], last=1, questions_per_round=4, steps=3, memory=100, whole_questions=True
    )
    outcome = device.work(1, learns=True, **ALONE)
    # The first two questions have nothing to rehearse; three windows of the others are learnt.
    assert (outcome.examples[0], outcome.steps[0], outcome.gradients[0]) == (3, 6, 12)
    # The losses are 1 to 12.
    assert outcome.learning_loss.tolist() == [6.5]


def test_whole_questions_without_a_memory_are_learnt_alone():
    device, program = device_of([4, 4], questions_per_round=2, whole_questions=True)
    outcome = device.work(1, learns=True, **ALONE)
    assert program.steps == [([0, 1], [4, 4])] * 2 + [([2, 3], [4, 4])] * 2
    assert learnt(outcome) == (4, 4)
    assert outcome.learning_loss.tolist() == [2.5]


def test_a_device_that_does_not_learn_remembers_whole_questions():
    device, program = device_of(MIXED, memory=100, whole_questions=True)
    outcome = device.work(1, learns=False, **ALONE)
    assert (program.steps, outcome.memory_windows.tolist(), learnt(outcome)) == ([], [6], (0, 0))
    device.work(2, learns=True, **ALONE)
    rehearsed = [windows for windows, _ in program.steps[::2]]
    assert [0, 1] in rehearsed or [2, 3] in rehearsed or [4, 5] in rehearsed


def test_steps_start_where_the_prediction_did_and_the_first_is_gone_on_from():
    device, program = follower_of([0, 1, 2], memory=100, whole_questions=True)
    device.work(1, learns=True, **ALONE)
    assert program.followed[:7] == [
        ("predict", [0, 1], 0),
        ("predict", [2, 3], 1),
        ("learn", [0, 1], 0),  # rehearsed, from nothing
        ("learn", [2, 3], 2),
        ("learn", [0, 1], 0),
        ("learn", [2, 3], 2),
        ("predict", [4, 5], 4),  # from where the first step left it
    ]
    assert [(name, carried) for name, _, carried in program.followed[7:]] == [
        ("learn", 0),
        ("learn", 7),
    ] * 2
    assert [windows for _, windows, _ in program.followed[8::2]] == [[4, 5]] * 2
    assert program.carried == 9


def test_late_answers_start_from_nothing_and_leave_no_trace_in_what_is_carried():
    device, program = follower_of(
        [0, 1, 2, 0], delay_rounds=1, questions_per_round=2, memory=100, whole_questions=True
    )
    device.work(1, learns=True, **ALONE)
    device.work(2, learns=True, **ALONE)
    assert program.followed == [
        ("predict", [0, 1], 0),
        ("predict", [2, 3], 1),
        ("learn", [0, 1], 0),
        ("learn", [2, 3], 0),
        ("learn", [0, 1], 0),
        ("learn", [2, 3], 0),
        ("predict", [4, 5], 2),
        ("predict", [6, 7], 7),
    ]


@pytest.mark.parametrize("whole", [False, True])
def test_without_a_memory_too_each_step_starts_where_the_prediction_did(whole):
    device, program = follower_of([4, 4], steps=3, questions_per_round=2, whole_questions=whole)
    device.work(1, learns=True, **ALONE)
    assert program.followed == [
        ("predict", [0, 1], 0),
        *[("learn", [0, 1], 1)] * 3,
        ("predict", [2, 3], 2),
        *[("learn", [2, 3], 5)] * 3,
    ]
    assert program.carried == 6


def test_mixed_windows_are_learnt_from_where_the_prediction_started_too():
    device, program = follower_of([0, 1, 2], memory=100)
    device.work(1, learns=True, **ALONE)
    assert [(name, windows[:2], carried) for name, windows, carried in program.followed] == [
        ("predict", [0, 1], 0),
        ("predict", [2, 3], 1),
        *[("learn", [2, 3], 2)] * 2,
        ("predict", [4, 5], 3),
        *[("learn", [4, 5], 5)] * 2,
    ]
    assert all(len(windows) == 4 for name, windows, _ in program.followed if name == "learn")


@pytest.mark.parametrize(
    ("labels", "answer_rate", "learns"),
    [([0, 1, 2], 0.0, True), ([0, 1, 2], 1.0, False), ([4, 4, 4], 1.0, True)],
    ids=["no answer", "not chosen", "nothing to rehearse"],
)
def test_a_question_that_leads_to_no_step_is_gone_on_from(labels, answer_rate, learns):
    habits = {"memory": 100, "whole_questions": True, "answer_rate": answer_rate}
    device, program = follower_of(labels, **habits)
    device.work(1, learns=learns, **ALONE)
    assert program.followed == [("predict", [2 * q, 2 * q + 1], q) for q in range(3)]
    assert program.carried == 3


def test_scoring_aside_leaves_no_trace_in_what_is_carried():
    habits = {"memory": 100, "whole_questions": True, "held": [5, 5, 5]}
    device, program = device_of([0, 1, 2], program=Follower(), **habits)
    plain, expected = follower_of([0, 1, 2], **habits)
    plain.work(1, learns=True, **ALONE)
    device.score_holdout(method_of("local"), None, 1)
    device.work(1, learns=True, **ALONE)
    device.score_holdout(method_of("local"), None, 1)
    assert sum(call[0] == "aside" for call in program.calls) == 3 + 2 * 2
    assert (program.followed, program.carried) == (expected.followed, expected.carried)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("steps", [[0, 0, 0], [0, 1, 1], [1, 0, 1]])
def test_the_first_step_that_is_taken_is_gone_on_from_unless_it_came_late(whole, late, steps):
    lesson = Lesson(
        windows=np.array([[6, 7]], np.int32),
        answer=np.array([2], np.int32),
        rehearsed=np.array([[[0, 1], [2, 3], [4, -1]]], np.int32),
        taught=np.array([[[1, 1], [3, 3], [1, -1]]], np.int32),
        steps=np.array([steps], np.bool_),
    )
    program, begin = Follower(), 0 if late else 40
    program.carried = 40

    def read(windows):
        return np.tile(windows[:, None, None], (1, LENGTH, 1)).astype(np.float32)

    learn = learn_plainly(program, read)
    habits = replace(HABITS, whole_questions=whole)
    losses = take_steps(program, lesson, learn, habits, late=late)
    pasts = [[0, 1], [2, 3], [4]]
    taken = [past for past, step in zip(pasts, steps, strict=True) if step]
    if whole:
        expected = [call for past in taken for call in ((past, 0), ([6, 7], begin))]
    else:
        expected = [([6, 7, *past], begin) for past in taken]
    assert program.followed == [("learn", *call) for call in expected]
    assert losses == [1.0 + i for i in range(len(expected))]
    after_first = 2 if whole else 1
    assert program.carried == (40 if late or not taken else after_first)


@pytest.mark.parametrize("habits", [{"whole_questions": True}, {"series": True}])
@pytest.mark.parametrize(
    ("least", "questions"), [(1, [[2, 3], [4], [5, 6], [7]]), (2, [[2, 3], [5, 6]])]
)
def test_holdout_is_scored_by_questions_of_one_activity_that_are_long_enough(
    habits, least, questions
):
    device, program = device_of([0], held=[3, 3, 3, 0, 0, 0], least=least, **habits)
    confusion = device.score_holdout(method_of("local"), None, 1)
    assert program.calls == [("aside", windows) for windows in questions]
    assert (confusion[3, 0], confusion[0, 0]) == ((3, 3) if least == 1 else (2, 2))
    assert confusion.sum() == sum(map(len, questions))


def test_holdout_without_a_question_that_is_long_enough_counts_nothing():
    device, program = device_of([0], held=[3, 1, 3], least=2, whole_questions=True)
    confusion = device.score_holdout(method_of("local"), None, 1)
    assert (confusion.shape, confusion.sum(), program.calls) == ((CLASSES, CLASSES), 0, [])


def test_questions_are_scored_each_by_itself_and_empty_ones_not_at_all():
    program = Notebook()
    numbers = [np.array([4.0, 5.0]), np.zeros(0), np.array([9.0])]
    x = (np.tile(own[:, None, None], (1, LENGTH, 1)).astype(np.float32) for own in numbers)
    labels = [np.array([1, 0], np.int32), np.zeros(0, np.int32), np.array([1], np.int32)]
    confusion = score_questions(program, x, labels, 2)
    assert program.calls == [("aside", [4, 5]), ("aside", [9])]
    assert (confusion.dtype, confusion.tolist()) == (np.int64, [[1, 0], [2, 0]])

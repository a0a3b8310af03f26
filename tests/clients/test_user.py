"""The simulated user."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.user import NO_ANSWER, answer_questions, choose_questions


def answered(labels, draws, *, asked=None, answer_rate=1.0, mistake_rate=0.0, classes=4):
    labels = np.array(labels, np.int32)
    asked = np.ones(labels.size, np.bool_) if asked is None else np.array(asked)
    return answer_questions(
        labels,
        asked,
        np.array(draws),
        answer_rate=answer_rate,
        mistake_rate=mistake_rate,
        classes=classes,
    ).tolist()


def test_every_question_is_asked_whatever_the_budget():
    asked = choose_questions("all", 1, None, np.array([0.9, 0.1, 0.5]))
    assert asked.tolist() == [True, True, True]


def test_random_asking_takes_the_lowest_draws_within_the_budget():
    draws = np.array([0.9, 0.1, 0.5, 0.3])
    assert choose_questions("random", 2, None, draws).tolist() == [False, True, False, True]


def test_uncertain_asking_takes_the_least_certain_within_the_budget():
    certainty = np.array([0.2, 5.0, 0.1, 3.0], np.float32)
    draws = np.array([0.0, 0.1, 0.9, 0.2])
    asked = choose_questions("uncertain", 2, certainty, draws)
    assert asked.tolist() == [True, False, True, False]


def test_equally_uncertain_questions_are_asked_in_order():
    asked = choose_questions("uncertain", 2, np.zeros(4, np.float32), np.zeros(4))
    assert asked.tolist() == [True, True, False, False]


@given(
    ask=st.sampled_from(["random", "uncertain"]),
    budget=st.integers(0, 6),
    draws=st.lists(st.floats(0, 1, exclude_max=True), max_size=6),
)
def test_a_budget_is_used_up_and_never_exceeded(ask, budget, draws):
    certainty = np.array(draws[::-1], np.float32)
    asked = choose_questions(ask, budget, certainty, np.array(draws))
    assert asked.size == len(draws)
    assert asked.sum() == min(budget, len(draws))


def test_a_question_that_is_not_asked_gets_no_answer():
    draws = [[0.0, 0.9, 0.0]] * 3
    assert answered([0, 1, 2], draws, asked=[True, False, True]) == [0, NO_ANSWER, 2]


def test_the_first_draw_decides_whether_the_user_answers():
    draws = [[0.79, 0.9, 0.0], [0.8, 0.9, 0.0]]
    assert answered([1, 1], draws, answer_rate=0.8) == [1, NO_ANSWER]


def test_the_second_draw_decides_whether_the_answer_is_wrong():
    draws = [[0.0, 0.09, 0.0], [0.0, 0.1, 0.0]]
    assert answered([1, 1], draws, mistake_rate=0.1) == [0, 1]


def test_the_third_draw_takes_one_of_the_other_classes():
    # Class 1 is true; thirds of the draw stand for the others: 0, 2, 3.
    draws = [[0.0, 0.0, 0.2], [0.0, 0.0, 0.5], [0.0, 0.0, 0.99]]
    assert answered([1, 1, 1], draws, mistake_rate=1.0) == [0, 2, 3]
    # Class 3 is true: 0, 1, 2. Class 0 is true: 1, 2, 3.
    assert answered([3, 3, 3], draws, mistake_rate=1.0) == [0, 1, 2]
    assert answered([0, 0, 0], draws, mistake_rate=1.0) == [1, 2, 3]


@pytest.mark.parametrize("label", range(4))
def test_a_wrong_answer_is_as_likely_one_class_as_another(label):
    draws = np.random.default_rng(3).random((9000, 3))
    said = answered([label] * 9000, draws, mistake_rate=1.0)
    counts = np.bincount(said, minlength=4)
    assert counts[label] == 0
    # Three equal classes: 3000 each, standard deviation 45.
    assert np.abs(np.delete(counts, label) - 3000).max() < 4 * 45


@given(
    label=st.integers(0, 5),
    draws=st.tuples(*[st.floats(0, 1, exclude_max=True)] * 3),
    answer_rate=st.floats(0, 1),
    mistake_rate=st.floats(0, 1),
)
def test_an_answer_is_a_class_or_none(label, draws, answer_rate, mistake_rate):
    (said,) = answered(
        [label], [draws], answer_rate=answer_rate, mistake_rate=mistake_rate, classes=6
    )
    assert said == NO_ANSWER or 0 <= said < 6
    assert (said == NO_ANSWER) == (draws[0] >= answer_rate)
    if said != NO_ANSWER:
        assert (said != label) == (draws[1] < mistake_rate)

"""The simulated user."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.user import NO_ANSWER, answer_questions, choose_questions


def chosen(ask, budget, draws, certainty=None, labels=None):
    """Choose among the questions of one device that has them all, unless labels say otherwise."""
    labels = [0] * len(draws) if labels is None else labels
    asked = choose_questions(
        ask,
        budget,
        np.array([labels], np.int32),
        None if certainty is None else np.array([certainty], np.float32),
        np.array([draws], np.float64),
    )
    assert asked.shape == (1, len(draws))
    return asked[0].tolist()


def answered(labels, draws, *, asked=None, answer_rate=1.0, mistake_rate=0.0, classes=4):
    labels = np.array([labels], np.int32)
    asked = np.ones(labels.shape, np.bool_) if asked is None else np.array([asked])
    answers = answer_questions(
        labels,
        asked,
        np.array([draws]),
        answer_rate=answer_rate,
        mistake_rate=mistake_rate,
        classes=classes,
    )
    assert answers.dtype == np.int32
    return answers[0].tolist()


def test_every_question_is_asked_whatever_the_budget():
    assert chosen("all", 1, [0.9, 0.1, 0.5]) == [True, True, True]


def test_random_asking_takes_the_lowest_draws_within_the_budget():
    assert chosen("random", 2, [0.9, 0.1, 0.5, 0.3]) == [False, True, False, True]


def test_uncertain_asking_takes_the_least_certain_within_the_budget():
    asked = chosen("uncertain", 2, [0.0, 0.1, 0.9, 0.2], [0.2, 5.0, 0.1, 3.0])
    assert asked == [True, False, True, False]


def test_equally_uncertain_questions_are_asked_in_order():
    assert chosen("uncertain", 2, [0.0] * 4, [0.0] * 4) == [True, True, False, False]


def test_each_device_has_a_budget_of_its_own():
    draws = np.array([[0.9, 0.1, 0.5], [0.2, 0.3, 0.1], [0.1, 0.2, 0.3]])
    labels = np.array([[0, 1, 2], [0, 1, -1], [-1, -1, -1]], np.int32)
    asked = choose_questions("random", 1, labels, None, draws)
    assert asked.tolist() == [[False, True, False], [True, False, False], [False] * 3]


@pytest.mark.parametrize("unsure", [np.nan, np.inf])
def test_a_question_of_no_known_certainty_comes_before_one_that_does_not_exist(unsure):
    asked = chosen("uncertain", 2, [0.0] * 4, [-5.0, unsure, unsure, 1.0], [-1, 0, 0, 0])
    assert asked == [False, True, False, True]


QUESTIONS = st.lists(
    st.tuples(st.integers(-1, 3), st.floats(0, 1, exclude_max=True)), min_size=1, max_size=6
)


@pytest.mark.parametrize("ask", ["all", "random", "uncertain"])
@given(questions=QUESTIONS, budget=st.integers(0, 6))
def test_questions_that_do_not_exist_change_nothing_for_the_others(ask, questions, budget):
    labels, draws = (list(column) for column in zip(*questions, strict=True))
    certainty = draws[::-1]
    real = [i for i, label in enumerate(labels) if label >= 0]
    among_real = chosen(ask, budget, [draws[i] for i in real], [certainty[i] for i in real])
    asked = chosen(ask, budget, draws, certainty, labels)
    assert [asked[i] for i in real] == among_real
    assert sum(asked) == (len(real) if ask == "all" else min(budget, len(real)))


def test_a_question_that_is_not_asked_gets_no_answer():
    draws = [[0.0, 0.9, 0.0]] * 3
    assert answered([0, 1, 2], draws, asked=[True, False, True]) == [0, NO_ANSWER, 2]


def test_a_question_that_does_not_exist_gets_no_answer():
    draws = [[0.0, 0.9, 0.0], [0.0, 0.0, 0.0]]
    assert answered([-1, -1], draws, mistake_rate=0.5) == [NO_ANSWER, NO_ANSWER]


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


@given(seed=st.integers(0, 2**32), devices=st.integers(1, 5), questions=st.integers(1, 4))
def test_devices_together_are_answered_as_each_alone(seed, devices, questions):
    random = np.random.default_rng(seed)
    labels = random.integers(-1, 4, (devices, questions)).astype(np.int32)
    asked = random.random((devices, questions)) < 0.8
    draws = random.random((devices, questions, 3))
    rates = {"answer_rate": 0.7, "mistake_rate": 0.3, "classes": 4}
    together = answer_questions(labels, asked, draws, **rates)
    for device in range(devices):
        one = answered(labels[device], draws[device], asked=asked[device], **rates)
        assert together[device].tolist() == one

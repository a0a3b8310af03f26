"""What devices are taught: answers at once or late, and what is rehearsed with them."""

from dataclasses import dataclass, fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from clients import chance
from clients.errors import BadInput
from clients.lessons import Lesson, Lessons
from clients.memory import Memory
from clients.user import NO_ANSWER, answer_questions, choose_questions
from clients.wear import Habits
from tests.clients.test_memory import PlainMemory

CLASSES, BATCH, QUESTIONS, ROUNDS = 3, 2, 3, 4
HABITS = Habits(
    seed=7,
    classes=CLASSES,
    batch=BATCH,
    questions_per_round=QUESTIONS,
    answer_rate=1.0,
    mistake_rate=0.0,
    delay_rounds=0,
    ask="all",
    budget=2,
    steps=2,
    memory=6,
)
EVERY_HABIT = st.builds(
    lambda **kinds: replace(HABITS, **kinds),
    seed=st.integers(0, 99),
    answer_rate=st.sampled_from([0.0, 0.6, 1.0]),
    mistake_rate=st.sampled_from([0.0, 0.3]),
    delay_rounds=st.integers(0, 2),
    ask=st.sampled_from(["all", "random", "uncertain"]),
    steps=st.integers(1, 3),
    memory=st.sampled_from([0, 1, 4, 100]),
    whole_questions=st.booleans(),
).filter(lambda habits: not (habits.whole_questions and 0 < habits.memory < BATCH))
MIXING, WHOLE = (
    EVERY_HABIT.filter(lambda habits, whole=whole: habits.whole_questions == whole)
    for whole in (False, True)
)


@dataclass
class Round:
    """The questions of one round: windows [D, Q, B], labels and certainty [D, Q]."""

    windows: np.ndarray
    labels: np.ndarray
    certainty: np.ndarray

    def of(self, row):
        rows = [row]
        return Round(self.windows[rows], self.labels[rows], self.certainty[rows])


def rounds_of(seed, devices):
    """Make rounds; streams are as long as they like, and questions have a window at least."""
    random = np.random.default_rng(seed)
    total = ROUNDS * QUESTIONS
    count = random.integers(1, BATCH + 1, (devices, total))
    there = np.arange(total) < random.integers(0, total + 1, (devices, 1))
    windows = np.arange(total * BATCH).reshape(total, BATCH)
    inside = there[..., None] & (np.arange(BATCH) < count[..., None])
    windows = np.where(inside, windows, -1).astype(np.int32)
    labels = np.where(there, random.integers(CLASSES, size=there.shape), -1).astype(np.int32)
    certainty = random.random(there.shape).astype(np.float32)
    parts = [np.split(values, ROUNDS, axis=1) for values in (windows, labels, certainty)]
    return [Round(*each) for each in zip(*parts, strict=True)]


def plain_rounds(*labels):
    """Make one device's rounds of full questions with given labels."""
    total, made = 0, []
    for own in labels:
        windows = total + np.arange(len(own) * BATCH, dtype=np.int32).reshape(1, -1, BATCH)
        total += windows.size
        known = np.array([own], np.int32)
        made.append(Round(windows, known, np.zeros(known.shape, np.float32)))
    return made


def teach(lessons, round_, asked_of):
    """Let one round pass; returns what was asked, answered and taught."""
    asked, answers = lessons.ask(round_, asked_of.labels, asked_of.certainty)
    given = [*lessons.due(round_), *lessons.now(round_, asked_of.windows, answers)]
    return asked, answers, given


def lessons_of(rounds, devices=(3,), **habits):
    """Teach one device all rounds: one list of lessons each, and windows in memory after it."""
    lessons = Lessons(np.array(devices), replace(HABITS, **habits))
    given, held = [], []
    for number, one in enumerate(rounds, start=1):
        given.append(teach(lessons, number, one)[2])
        held.append(lessons.memory_windows.tolist())
    return given, held


def told(lesson, row=0):
    """Say what a lesson holds for one device, as lists."""
    return {field.name: getattr(lesson, field.name)[row].tolist() for field in fields(Lesson)}


def nothing(lesson, row):
    """Tell whether a device learns nothing from a lesson."""
    return (
        lesson.answer[row] == NO_ANSWER
        and not lesson.steps[row].any()
        and (lesson.rehearsed[row] == -1).all()
        and (lesson.taught[row] == -1).all()
    )


class Diary:
    """One device's lessons by plain loops: which draw decides what."""

    def __init__(self, device, habits):
        self.device, self.habits = [device], habits
        self.memory = Memory(1, habits.memory, CLASSES)
        self.late = []

    def draw(self, purpose, round_, *shape, place=0):
        count = int(np.prod(shape))
        drawn = chance.uniforms(self.habits.seed, purpose, round_, self.device, count, place=place)
        return drawn.reshape(shape)

    def round(self, round_, one):
        """Give the answers, and (windows, answer, [(rehearsed, taught) of each step taken])."""
        habits = self.habits
        asked = choose_questions(
            habits.ask,
            habits.budget,
            one.labels,
            one.certainty,
            self.draw("ask", round_, 1, QUESTIONS),
        )
        answers = answer_questions(
            one.labels,
            asked,
            self.draw("answer", round_, 1, QUESTIONS, 3),
            answer_rate=habits.answer_rate,
            mistake_rate=habits.mistake_rate,
            classes=CLASSES,
        )[0]
        for windows, answer in zip(one.windows[0], answers, strict=True):
            if answer != NO_ANSWER:
                self.late.append((round_ + habits.delay_rounds, windows, int(answer)))
        due = [late[1:] for late in self.late if late[0] == round_]
        return answers.tolist(), [
            (windows[windows >= 0].tolist(), answer, self.steps(round_, place, windows, answer))
            for place, (windows, answer) in enumerate(due)
        ]

    @property
    def remembered(self):
        """Give the windows that the memory holds."""
        return self.memory.windows[0, : self.memory.size[0]].tolist()

    def steps(self, round_, place, windows, answer):
        habits, own = self.habits, windows[windows >= 0]
        draws = self.draw("rehearse", round_, habits.steps, BATCH, 2, place=place)
        steps = []
        for step in range(habits.steps):
            drawn, classes = self.memory.draw(draws[[step], : own.size])
            kept = drawn[0] >= 0
            mixed = drawn[0, kept].tolist(), classes[0, kept].tolist()
            if not habits.memory or any(known != answer for known in mixed[1]):
                steps.append(mixed)
        keep = self.draw("keep", round_, 1, BATCH, 2, place=place)
        self.memory.add(np.zeros(1, np.int64), windows[None], np.array([answer]), keep)
        return steps


class WholeDiary(Diary):
    """The same where each step rehearses one stored question of another activity."""

    def __init__(self, device, habits):
        super().__init__(device, habits)
        self.memory = PlainMemory(habits.memory // BATCH, CLASSES, none=[])

    @property
    def remembered(self):
        return [window for question, _ in self.memory.kept for window in question]

    def steps(self, round_, place, windows, answer):
        habits, own = self.habits, windows[windows >= 0].tolist()
        draws = self.draw("rehearse", round_, habits.steps, 2, place=place)
        drawn = self.memory.draw(draws, other_than=answer)
        self.memory.add(own, answer, *self.draw("keep", round_, 2, place=place))
        return [
            (question, [label] * len(question))
            for question, label in drawn
            if question or not habits.memory
        ]


def diary_of(device, habits):
    return (WholeDiary if habits.whole_questions else Diary)(device, habits)


def by_diary(lesson):
    """Say what a lesson of one device holds as a diary does."""
    windows, steps = lesson.windows[0], []
    for step in np.flatnonzero(lesson.steps[0]):
        kept = lesson.rehearsed[0, step] >= 0
        both = lesson.rehearsed[0, step, kept], lesson.taught[0, step, kept]
        steps.append(tuple(values.tolist() for values in both))
    return windows[windows >= 0].tolist(), int(lesson.answer[0]), steps


@given(seed=st.integers(0, 999), device=st.integers(0, 2**20), habits=EVERY_HABIT)
def test_lessons_are_drawn_answer_by_answer_the_late_ones_first(seed, device, habits):
    lessons, diary = Lessons(np.array([device]), habits), diary_of(device, habits)
    for round_, one in enumerate(rounds_of(seed, 1), start=1):
        _, answers, given_ = teach(lessons, round_, one)
        expected = diary.round(round_, one)
        answered = [lesson for lesson in given_ if lesson.answer[0] != NO_ANSWER]
        assert (answers[0].tolist(), [by_diary(lesson) for lesson in answered]) == expected
        assert lessons.memory_windows.tolist() == [len(diary.remembered)]
        assert lessons.remembered.tolist() == sorted(diary.remembered)


@given(
    seed=st.integers(0, 999),
    devices=st.lists(st.integers(0, 2**20), min_size=1, max_size=4),
    habits=EVERY_HABIT,
)
def test_lessons_of_many_devices_are_those_of_each_alone(seed, devices, habits):
    together = Lessons(np.array(devices), habits)
    alone = [Lessons(np.array([device]), habits) for device in devices]
    for round_, one in enumerate(rounds_of(seed, len(devices)), start=1):
        asked, answers, given_ = teach(together, round_, one)
        for row, lessons in enumerate(alone):
            own_asked, own_answers, own_given = teach(lessons, round_, one.of(row))
            assert asked[row].tolist() == own_asked[0].tolist()
            assert answers[row].tolist() == own_answers[0].tolist()
            assert [told(lesson, row) for lesson in given_] == [told(own) for own in own_given]
            assert together.memory_windows[row] == lessons.memory_windows[0]


@given(seed=st.integers(0, 999), habits=EVERY_HABIT)
def test_shapes_types_and_fillers_are_as_promised(seed, habits):
    lessons = Lessons(np.array([5, 6, 9]), habits)
    rehearsed = BATCH if habits.memory else 0
    for round_, one in enumerate(rounds_of(seed, 3), start=1):
        asked, answers, given_ = teach(lessons, round_, one)
        assert (asked.dtype, answers.dtype) == (np.bool_, np.int32)
        assert (lessons.memory_windows.dtype, lessons.memory_windows.shape) == (np.int32, (3,))
        for lesson in given_:
            shapes = {f.name: getattr(lesson, f.name).shape for f in fields(Lesson)}
            assert shapes == {
                "windows": (3, BATCH),
                "answer": (3,),
                "rehearsed": (3, habits.steps, rehearsed),
                "taught": (3, habits.steps, rehearsed),
                "steps": (3, habits.steps),
            }
            kinds = [getattr(lesson, f.name).dtype for f in fields(Lesson)]
            assert kinds == [np.int32, np.int32, np.int32, np.int32, np.bool_]
            assert ((lesson.rehearsed >= 0) == (lesson.taught >= 0)).all()
            for row in range(3):
                assert lesson.answer[row] != NO_ANSWER or nothing(lesson, row)


@given(seed=st.integers(0, 999), habits=MIXING)
def test_what_is_rehearsed_was_answered_before_and_is_taught_as_answered(seed, habits):
    lessons, answered = Lessons(np.array([4]), habits), {}
    for round_, one in enumerate(rounds_of(seed, 1), start=1):
        for lesson in teach(lessons, round_, one)[2]:
            windows, answer, steps = by_diary(lesson)
            for rehearsed, taught in steps:
                assert [answered[window] for window in rehearsed] == taught
                assert len(rehearsed) == (len(windows) if habits.memory else 0)
            if answer != NO_ANSWER:
                answered |= dict.fromkeys(windows, answer)


@given(seed=st.integers(0, 999), habits=WHOLE)
def test_each_step_rehearses_one_whole_question_of_another_activity(seed, habits):
    lessons, answered = Lessons(np.array([4]), habits), []
    for round_, one in enumerate(rounds_of(seed, 1), start=1):
        for lesson in teach(lessons, round_, one)[2]:
            windows, answer, steps = by_diary(lesson)
            if answer == NO_ANSWER:
                continue
            for rehearsed, taught in steps if habits.memory else ():
                assert (rehearsed, set(taught)) in answered
                assert set(taught) != {answer}
            others = habits.memory > 4 and any(label != {answer} for _, label in answered)
            if others or not habits.memory:  # nothing is lost of what was answered
                assert len(steps) == habits.steps
            assert len(steps) in (0, habits.steps)
            answered.append((windows, {answer}))
        assert lessons.memory_windows[0] <= habits.memory


@given(seed=st.integers(0, 999), habits=EVERY_HABIT)
def test_a_round_that_is_taken_up_again_draws_what_it_would_have_drawn(seed, habits):
    habits = replace(habits, delay_rounds=0)
    straight, lessons = Lessons(np.array([5]), habits), Lessons(np.array([5]), habits)
    for round_, one in enumerate(rounds_of(seed, 1), start=1):
        _, answers, expected = teach(straight, round_, one)
        for question, lesson in enumerate(expected):
            snapshot, lessons = lessons.snapshot(), Lessons(np.array([5]), habits)
            lessons.restore(snapshot)
            lessons.begin(int((answers[0, :question] != NO_ANSWER).sum()))
            found = lessons.teach(round_, one.windows[:, question], answers[:, question])
            assert told(found) == told(lesson)


@given(seed=st.integers(0, 999), habits=EVERY_HABIT)
def test_rounds_after_a_restore_go_on_as_if_nothing_had_happened(seed, habits):
    devices, rounds = np.array([5, 2, 11]), rounds_of(seed, 3)
    straight, lessons = Lessons(devices, habits), Lessons(devices, habits)
    for round_, one in enumerate(rounds, start=1):
        expected, found = teach(straight, round_, one), teach(lessons, round_, one)
        for i in (0, 1):
            assert found[i].tolist() == expected[i].tolist()
        for row in range(3):
            assert [told(x, row) for x in found[2]] == [told(x, row) for x in expected[2]]
        snapshot = lessons.snapshot()
        lessons = Lessons(devices, habits)
        lessons.restore(snapshot)
        again = lessons.snapshot()
        assert again.keys() == snapshot.keys()
        assert all(again[name].tobytes() == snapshot[name].tobytes() for name in snapshot)


def test_a_snapshot_stays_as_it_was_while_lessons_go_on():
    lessons = Lessons(np.array([3]), replace(HABITS, delay_rounds=1))
    first, second, third = plain_rounds([0, 1], [2, 0], [1, 1])
    teach(lessons, 1, first)
    teach(lessons, 2, second)
    snapshot = lessons.snapshot()
    before = {name: value.copy() for name, value in snapshot.items()}
    teach(lessons, 3, third)
    assert all(snapshot[name].tobytes() == before[name].tobytes() for name in before)
    # Two questions of two windows have arrived, and two more wait.
    assert before["memory/windows"].tolist() == [[0, 1, 2, 3, -1, -1]]
    assert before["late/3/answers"].tolist() == [[2, 0]]


@pytest.mark.parametrize("whole", [False, True])
def test_every_step_is_taken_without_a_memory(whole):
    given_, held = lessons_of(plain_rounds([0, 0, 0]), memory=0, steps=3, whole_questions=whole)
    assert [told(lesson) for lesson in given_[0]] == [
        {
            "windows": [first, first + 1],
            "answer": 0,
            "rehearsed": [[], [], []],
            "taught": [[], [], []],
            "steps": [True] * 3,
        }
        for first in (0, 2, 4)
    ]
    assert held == [[0]]


def test_a_step_of_one_activity_alone_is_skipped_with_a_memory():
    given_, held = lessons_of(plain_rounds([1, 1, 2]), memory=100)
    # Nothing, then only more of activity 1 could be rehearsed; activity 2 is mixed with 1.
    assert [lesson.steps[0].tolist() for lesson in given_[0]] == [[False] * 2] * 2 + [[True] * 2]
    assert (given_[0][2].taught == 1).all()
    assert held == [[6]]


def test_a_whole_question_of_another_activity_is_rehearsed_or_the_step_is_skipped():
    given_, held = lessons_of(plain_rounds([1, 1, 2, 1]), memory=100, whole_questions=True)
    first, second, third, fourth = (told(lesson) for lesson in given_[0])
    for skipped in (first, second):
        assert skipped["steps"] == [False] * 2
        assert skipped["rehearsed"] == skipped["taught"] == [[-1] * BATCH] * 2
    assert third["steps"] == fourth["steps"] == [True] * 2
    assert {tuple(question) for question in third["rehearsed"]} <= {(0, 1), (2, 3)}
    assert third["taught"] == [[1, 1]] * 2
    assert (fourth["rehearsed"], fourth["taught"]) == ([[4, 5]] * 2, [[2, 2]] * 2)
    assert held == [[8]]


@pytest.mark.parametrize(("memory", "most"), [(2, 2), (5, 4), (7, 6)])
def test_a_memory_has_room_for_as_many_questions_as_fit_whole(memory, most):
    rounds = plain_rounds([0, 1, 2], [1, 0, 2], [2, 2, 0])
    given_, held = lessons_of(rounds, memory=memory, whole_questions=True)
    assert held == [[min(most, 6)], [most], [most]]
    assert sum(int(lesson.steps.sum()) for lessons in given_ for lesson in lessons) > 0


def test_a_memory_without_room_for_a_question_is_refused():
    habits = replace(HABITS, memory=1, whole_questions=True)
    with pytest.raises(BadInput, match=f"memory = 1: .* one has {BATCH} windows"):
        Lessons(np.array([0]), habits)


def test_a_short_question_takes_a_place_and_is_rehearsed_as_it_is():
    short, full = plain_rounds([0], [1])
    short.windows[0, 0, 1] = -1
    given_, held = lessons_of([short, full], memory=4, whole_questions=True)
    assert held == [[1], [3]]
    assert given_[1][0].rehearsed.tolist() == [[[0, -1]] * 2]
    assert given_[1][0].taught.tolist() == [[[0, -1]] * 2]


def test_every_other_activity_is_rehearsed_as_often_however_many_questions_it_has():
    devices = np.arange(3000)
    lessons = Lessons(devices, replace(HABITS, memory=100, steps=1, whole_questions=True))
    (one,) = plain_rounds([0, 0, 2, 0, 1, 2, 2])
    windows, labels, certainty = (
        np.repeat(part, devices.size, axis=0) for part in (one.windows, one.labels, one.certainty)
    )
    last = teach(lessons, 1, Round(windows, labels, certainty))[2][-1]
    assert last.steps.all()
    counts = np.bincount(last.taught[:, 0, 0], minlength=CLASSES)
    assert counts[2] == 0
    assert stats.binomtest(int(counts[0]), devices.size, 0.5).pvalue > 1e-4
    first = last.rehearsed[last.taught[:, 0, 0] == 0, 0, 0]
    assert stats.chisquare(np.bincount(first, minlength=7)[[0, 2, 6]]).pvalue > 1e-4


def test_late_answers_are_taught_when_they_arrive_before_those_of_the_round():
    rounds = plain_rounds([0, 1], [2, 0], [1, 2], [0, 0])
    given_, held = lessons_of(rounds, memory=100, delay_rounds=2)
    taught = [
        [(x.windows[0].tolist(), int(x.answer[0])) for x in lessons if not nothing(x, 0)]
        for lessons in given_
    ]
    assert taught == [[], [], [([0, 1], 0), ([2, 3], 1)], [([4, 5], 2), ([6, 7], 0)]]
    assert held == [[0], [0], [4], [8]]
    # A round has a lesson for each of its own questions too, with nothing in it.
    assert [len(lessons) for lessons in given_] == [2, 2, 4, 4]
    assert all(nothing(lesson, 0) for lessons in given_ for lesson in lessons[-2:])


def test_nothing_is_taught_and_nothing_kept_where_nothing_is_answered():
    given_, held = lessons_of(plain_rounds([0, 1, 2], [1, 0, 2]), answer_rate=0.0)
    assert all(nothing(lesson, 0) for lessons in given_ for lesson in lessons)
    assert held == [[0], [0]]


@pytest.mark.parametrize("whole", [False, True])
def test_taking_fewer_steps_draws_the_same_for_those_that_are_taken(whole):
    rounds = plain_rounds([0, 1, 2], [1, 0, 2], [0, 0, 2])
    few, many = (
        [
            lesson
            for lessons in lessons_of(rounds, steps=steps, whole_questions=whole)[0]
            for lesson in lessons
        ]
        for steps in (1, 4)
    )
    for less, more in zip(few, many, strict=True):
        assert less.rehearsed[:, :1].tolist() == more.rehearsed[:, :1].tolist()
        assert less.steps[:, :1].tolist() == more.steps[:, :1].tolist()
    assert sum(lesson.steps.sum() for lesson in many) > 20


@pytest.fixture
def lesson():
    """Give stacked lessons of three devices, two each."""
    return Lesson(
        windows=np.array([[[0, 1], [2, -1]], [[4, 5], [6, 7]], [[-1, -1], [-1, -1]]], np.int32),
        answer=np.array([[0, 1], [2, NO_ANSWER], [NO_ANSWER, NO_ANSWER]], np.int32),
        rehearsed=np.full((3, 2, 1, 2), 9, np.int32),
        taught=np.full((3, 2, 1, 2), 2, np.int32),
        steps=np.array([[[True], [True]], [[True], [False]], [[False], [False]]]),
    )


def test_examples_are_the_windows_of_answers_that_lead_to_a_step(lesson):
    assert lesson.examples().tolist() == [[2, 1], [2, 0], [0, 0]]
    assert lesson.take(np.array([1])).examples().tolist() == [[2, 0]]


def test_stacked_lessons_are_those_of_each_question(lesson):
    single = [Lesson(*(getattr(lesson, f.name)[:, i] for f in fields(Lesson))) for i in (0, 1)]
    assert [one.examples().tolist() for one in single] == [[2, 2, 0], [1, 0, 0]]
    stacked = Lesson.stacked(single)
    assert [told(stacked, row) for row in range(3)] == [told(lesson, row) for row in range(3)]


def test_taken_lessons_are_copies_of_some_devices(lesson):
    taken = lesson.take(np.array([2, 0]))
    assert [told(taken, 0), told(taken, 1)] == [told(lesson, 2), told(lesson, 0)]
    taken.steps[:] = False
    assert lesson.steps.any()


def test_a_part_is_filled_up_with_lessons_that_teach_nothing(lesson):
    whole, last = lesson.part(0, 2), lesson.part(1, 3)
    assert [told(whole, row) for row in range(3)] == [told(lesson, row) for row in range(3)]
    assert told(last) == {
        "windows": [[2, -1], [-1, -1], [-1, -1]],
        "answer": [1, NO_ANSWER, NO_ANSWER],
        "rehearsed": [[[9, 9]], [[-1, -1]], [[-1, -1]]],
        "taught": [[[2, 2]], [[-1, -1]], [[-1, -1]]],
        "steps": [[True], [False], [False]],
    }
    kinds = {f.name: getattr(last, f.name).dtype for f in fields(Lesson)}
    assert kinds == {f.name: getattr(lesson, f.name).dtype for f in fields(Lesson)}


def test_a_device_that_stops_takes_the_steps_of_the_first_lessons_alone():
    """Of four lessons: three quarters are three, a little less are two; nothing, and all."""
    devices, lessons, steps = 5, 4, 2
    empty = np.full((devices, lessons, steps, 0), -1, np.int32)
    windows = np.zeros((devices, lessons, BATCH), np.int32)
    answer = np.zeros((devices, lessons), np.int32)
    every = np.ones((devices, lessons, steps), np.bool_)
    every[:, 1, 1] = False  # a step that nobody was to take
    given = Lesson(windows, answer, empty, empty, every.copy())
    given.stop(np.array([0.75, 0.74, 0.0, 1.0, 0.2]))
    for device, left in enumerate([3, 2, 0, 4, 0]):
        assert (given.steps[device, :left] == every[device, :left]).all()
        assert not given.steps[device, left:].any()
    assert given.examples().tolist() == [[BATCH] * n + [0] * (4 - n) for n in (3, 2, 0, 4, 0)]

"""What devices keep and rehearse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from clients.memory import Memory


class PlainMemory:
    """The same reservoir for one device, one window or question at a time, as the paper has it."""

    def __init__(self, capacity, classes, none=-1):
        self.capacity, self.none = capacity, none
        self.kept = []  # (window, label) by place
        self.seen = [0] * classes
        self.full = [False] * classes

    def add(self, window, label, chance, which):
        self.seen[label] += 1
        if len(self.kept) < self.capacity:
            self.kept.append((window, label))
            return
        if not self.kept:
            return
        held = [sum(kept == k for _, kept in self.kept) for k in range(len(self.seen))]
        for k, places in enumerate(held):
            self.full[k] |= places == max(held)
        if not self.full[label]:
            places = [i for i, (_, kept) in enumerate(self.kept) if held[kept] == max(held)]
        elif chance < held[label] / self.seen[label]:
            places = [i for i, (_, kept) in enumerate(self.kept) if kept == label]
        else:
            return
        self.kept[places[int(which * len(places))]] = (window, label)

    def draw(self, draws, other_than=None):
        classes = sorted({label for _, label in self.kept} - {other_than})
        if not classes:
            return [(self.none, -1)] * len(draws)
        drawn = []
        for which_class, which_place in draws:
            label = classes[int(which_class * len(classes))]
            places = [kept for kept in self.kept if kept[1] == label]
            drawn.append(places[int(which_place * len(places))])
        return drawn


def held(memory, device=0):
    """Return (window or question, label) of the places of a device that are in use."""
    size = memory.size[device]
    assert (memory.windows[device, size:] == -1).all()
    assert (memory.labels[device, size:] == -1).all()
    windows, labels = memory.windows[device, :size], memory.labels[device, :size]
    return list(zip(windows.tolist(), labels.tolist(), strict=True))


def offer(memory, window, label, draws):
    """Offer one window to all devices."""
    devices = memory.size.size
    memory.add(
        np.arange(devices),
        np.full((devices, 1), window, np.int32),
        np.full(devices, label),
        np.broadcast_to(np.asarray(draws, np.float64), (devices, 2))[:, None],
    )


def pairs_of(drawn, labels):
    """Pair what was drawn for each device with its labels."""
    return [
        list(zip(own.tolist(), classes.tolist(), strict=True))
        for own, classes in zip(drawn, labels, strict=True)
    ]


def filled(capacity, classes, labels, random, devices=1):
    memory = Memory(devices, capacity, classes)
    for window, label in enumerate(labels):
        offer(memory, window, label, random.random((devices, 2)))
    return memory


def test_everything_is_kept_while_there_is_room():
    memory = Memory(1, 4, 3)
    for window, label in [(10, 2), (11, 2), (40, 0)]:
        offer(memory, window, label, [0.99, 0.99])
    assert held(memory) == [(10, 2), (11, 2), (40, 0)]
    assert memory.seen.tolist() == [[1, 0, 2]]


def test_a_new_class_takes_the_place_of_the_largest():
    memory = Memory(1, 4, 3)
    for window, label in enumerate([0, 1, 0, 0]):
        offer(memory, window, label, [0.5, 0.5])
    # Class 0 has the places 0, 2 and 3; the middle one of these falls to half a draw.
    offer(memory, 9, 2, [0.99, 0.5])
    assert held(memory) == [(0, 0), (1, 1), (9, 2), (3, 0)]


def test_a_full_class_keeps_a_window_with_the_chance_of_a_reservoir():
    memory = Memory(2, 3, 2)
    for window in range(3):
        offer(memory, window, 0, [0.5, 0.5])
    # Fourth window of a class with three places: 3 / 4. A draw of 0 takes the first place.
    offer(memory, 3, 0, [[0.74, 0.0], [0.76, 0.0]])
    assert held(memory, 0) == [(3, 0), (1, 0), (2, 0)]
    assert held(memory, 1) == [(0, 0), (1, 0), (2, 0)]


def test_a_question_is_offered_window_by_window_to_the_devices_that_answered():
    memory = Memory(3, 4, 2)
    windows = np.array([[5, 6, -1], [7, -1, -1]], np.int32)
    memory.add(np.array([2, 0]), windows, np.array([1, 0]), np.zeros((2, 3, 2)))
    assert [held(memory, device) for device in range(3)] == [[(7, 0)], [], [(5, 1), (6, 1)]]
    assert memory.seen.tolist() == [[1, 0], [0, 0], [0, 2]]


def test_a_memory_of_nothing_keeps_nothing_and_counts_what_was_offered():
    memory = Memory(2, 0, 3)
    offer(memory, 0, 1, [0.0, 0.0])
    assert memory.size.tolist() == [0, 0]
    assert memory.seen.tolist() == [[0, 1, 0]] * 2
    windows, labels = memory.draw(np.zeros((2, 4, 2)))
    assert windows.tolist() == labels.tolist() == [[-1] * 4] * 2


def test_nothing_is_drawn_from_an_empty_memory_beside_a_filled_one():
    memory = Memory(2, 8, 3)
    memory.add(np.array([1]), np.array([[40]], np.int32), np.array([2]), np.zeros((1, 1, 2)))
    windows, labels = memory.draw(np.random.default_rng(0).random((2, 5, 2)))
    assert windows.tolist() == [[-1] * 5, [40] * 5]
    assert labels.tolist() == [[-1] * 5, [2] * 5]
    assert windows.dtype == labels.dtype == np.int32


@pytest.mark.parametrize(("classes", "label"), [(6, 5), (128, 127), (129, 128), (300, 299)])
def test_every_class_has_a_label(classes, label):
    memory = Memory(1, 2, classes)
    offer(memory, 0, label, [0.0, 0.0])
    assert held(memory) == [(0, label)]


def test_a_place_costs_five_bytes():
    memory = Memory(10, 128, 6)
    assert memory.windows.nbytes + memory.labels.nbytes == 10 * 128 * 5


@given(
    capacity=st.integers(0, 10),
    classes=st.integers(1, 5),
    questions=st.lists(
        st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=3, max_size=3),
        max_size=25,
    ),
    seed=st.integers(0, 2**32),
)
def test_devices_together_keep_and_draw_what_each_would_alone(capacity, classes, questions, seed):
    random = np.random.default_rng(seed)
    memory = Memory(3, capacity, classes)
    alone = [PlainMemory(capacity, classes) for _ in range(3)]
    for number, question in enumerate(questions):
        # For each device: the class as answered, and how many of three windows it had.
        labels = np.array([label % classes for label, _ in question])
        counts = np.array([count for _, count in question])
        given = np.arange(3) < counts[:, None]
        windows = np.where(given, 3 * number + np.arange(3), -1).astype(np.int32)
        draws = random.random((3, 3, 2))
        rows = random.permutation(3)[: random.integers(1, 4)]
        memory.add(rows, windows[rows], labels[rows], draws[rows])
        for row in rows:
            for window, pair in zip(windows[row, : counts[row]], draws[row], strict=False):
                alone[row].add(int(window), int(labels[row]), *pair)
        assert [held(memory, device) for device in range(3)] == [one.kept for one in alone]
    assert memory.seen.tolist() == [one.seen for one in alone]
    assert memory.full.tolist() == [one.full for one in alone]
    draws = random.random((3, 7, 2))
    drawn, taught = memory.draw(draws)
    expected = [one.draw(pairs) for one, pairs in zip(alone, draws, strict=True)]
    assert pairs_of(drawn, taught) == expected
    some, taught_some = memory.draw(draws[[2, 0]], np.array([2, 0]))
    assert (some == drawn[[2, 0]]).all()
    assert (taught_some == taught[[2, 0]]).all()


LABELS = st.lists(st.integers(0, 3), max_size=60)


@given(labels=LABELS, capacity=st.integers(0, 12), seed=st.integers(0, 2**32))
def test_capacity_is_never_exceeded_and_labels_stay_as_answered(labels, capacity, seed):
    memory = filled(capacity, 4, labels, np.random.default_rng(seed))
    assert memory.size.tolist() == [min(capacity, len(labels))]
    kept = held(memory)
    assert len({window for window, _ in kept}) == len(kept)
    assert all(labels[window] == label for window, label in kept)
    assert memory.seen[0].tolist() == np.bincount(labels, minlength=4).tolist()
    assert memory.held[0].tolist() == [sum(label == k for _, label in kept) for k in range(4)]


@given(labels=LABELS, capacity=st.integers(1, 12), seed=st.integers(0, 2**32))
def test_a_class_is_kept_whole_or_holds_about_as_much_as_the_largest(labels, capacity, seed):
    memory = filled(capacity, 4, labels, np.random.default_rng(seed))
    if len(labels) <= capacity:
        return
    counts = np.bincount([label for _, label in held(memory)], minlength=4)
    seen = np.bincount(labels, minlength=4)
    # A class that was never the largest loses nothing; one that was loses only while it is.
    assert all(counts[k] == seen[k] or counts[k] >= counts.max() - 1 for k in range(4))


def test_an_imbalanced_stream_is_kept_in_balance():
    random = np.random.default_rng(11)
    labels = random.permutation(np.repeat([0, 1, 2], [900, 90, 30]))
    counts = np.bincount([label for _, label in held(filled(60, 3, labels, random))])
    assert counts.sum() == 60
    assert counts.min() >= 19


def test_a_class_is_kept_as_a_uniform_sample_of_what_was_offered():
    labels = np.array([0] * 12 + [1, 0, 0, 1, 0, 0, 1] * 4)
    runs, common = 3000, np.flatnonzero(labels == 0)
    memory = filled(10, 2, labels, np.random.default_rng(42), devices=runs)
    assert (memory.held == 5).all()
    kept = np.bincount(memory.windows.ravel(), minlength=labels.size)
    share = 5 / common.size
    # Drawn without replacement, so the statistic has to be divided by (1 - share) (n / (n - 1)).
    expected = runs * share
    spread = (1.0 - share) * common.size / (common.size - 1)
    statistic = float((np.square(kept[common] - expected) / expected).sum() / spread)
    assert stats.chi2.sf(statistic, common.size - 1) > 1e-4
    assert stats.chi2.cdf(statistic, common.size - 1) > 1e-4


def test_draws_choose_a_class_first_and_one_of_its_places_then():
    memory = Memory(1, 7, 4)
    for window, label in enumerate([3, 1, 3, 3, 1]):
        offer(memory, 10 + window, label, [0.0, 0.0])
    # Two classes are kept: a first draw below 0.5 is class 1 (places 1, 4), else class 3 (0, 2, 3).
    draws = [[0.1, 0.1], [0.49, 0.6], [0.5, 0.0], [0.99, 0.34], [0.7, 0.99]]
    windows, labels = memory.draw(np.array([draws]))
    assert windows.tolist() == [[11, 14, 10, 12, 13]]
    assert labels.tolist() == [[1, 1, 3, 3, 3]]


def test_rehearsal_is_balanced_over_classes_however_many_windows_each_has():
    random = np.random.default_rng(5)
    memory = filled(20, 3, [0] * 16 + [1] * 3 + [2], random)
    (windows,), (labels,) = memory.draw(random.random((1, 6000, 2)))
    # A third each: 2000, standard deviation 37.
    assert np.abs(np.bincount(labels) - 2000).max() < 4 * 37
    within = np.bincount(windows, minlength=20)[:16]
    assert stats.chisquare(within).pvalue > 1e-4


@given(labels=st.lists(st.integers(0, 3), min_size=1, max_size=30), seed=st.integers(0, 2**32))
def test_only_what_is_kept_is_drawn_with_its_label(labels, seed):
    random = np.random.default_rng(seed)
    memory = filled(20, 4, labels, random)
    (windows,), (taught,) = memory.draw(random.random((1, 50, 2)))
    assert set(zip(windows.tolist(), taught.tolist(), strict=True)) <= set(held(memory))


def test_the_highest_draws_stay_within_the_memory():
    memory = filled(8, 3, [0, 0, 1, 2, 2, 2, 1], np.random.default_rng(0))
    below_one = np.nextafter(1.0, 0.0)
    (windows,), (labels,) = memory.draw(np.full((1, 1, 2), below_one))
    assert (windows.tolist(), labels.tolist()) == ([5], [2])
    for window in range(7, 30):
        offer(memory, window, window % 3, [below_one, below_one])
    assert memory.size.tolist() == [8]


def test_a_restored_memory_goes_on_as_the_one_that_was_saved():
    random = np.random.default_rng(3)
    labels = random.integers(0, 4, 40)
    memory = filled(12, 5, labels[:25], random, devices=3)
    saved = memory.snapshot()
    again = Memory(3, 12, 5)
    again.restore(saved)
    draws = random.random((15, 3, 2))
    for one in (memory, again):
        for window, pairs in enumerate(draws, 25):
            offer(one, window, labels[window], pairs)
    for name in ("windows", "labels", "seen", "full", "held", "size"):
        assert (getattr(memory, name) == getattr(again, name)).all()
    pairs = random.random((3, 9, 2))
    assert (memory.draw(pairs)[0] == again.draw(pairs)[0]).all()
    assert not np.array_equal(saved["windows"], memory.windows)


def question_of(number, count):
    """Number the windows of a question of up to three."""
    return [4 * number + i if i < count else -1 for i in range(3)]


@given(
    capacity=st.integers(0, 6),
    classes=st.integers(1, 5),
    questions=st.lists(
        st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=3, max_size=3),
        max_size=25,
    ),
    seed=st.integers(0, 2**32),
)
def test_questions_are_kept_and_drawn_whole_as_windows_are_singly(
    capacity, classes, questions, seed
):
    random = np.random.default_rng(seed)
    memory = Memory(3, capacity, classes, 3)
    alone = [PlainMemory(capacity, classes, [-1] * 3) for _ in range(3)]
    for number, question in enumerate(questions):
        # For each device: the class as answered, and how many windows its question has.
        labels = np.array([label % classes for label, _ in question])
        windows = np.array([question_of(number, count) for _, count in question], np.int32)
        draws = random.random((3, 1, 2))
        rows = random.permutation(3)[: random.integers(1, 4)]
        memory.add(rows, windows[rows][:, None], labels[rows], draws[rows])
        for row in rows:
            if windows[row, 0] >= 0:
                alone[row].add(windows[row].tolist(), int(labels[row]), *draws[row, 0])
        assert [held(memory, device) for device in range(3)] == [one.kept for one in alone]
    assert memory.seen.tolist() == [one.seen for one in alone]
    draws, others = random.random((3, 7, 2)), random.integers(0, classes, 3)
    for than in (None, others):
        drawn, taught = memory.draw(draws, other_than=than)
        assert (drawn.dtype, drawn.shape, taught.dtype) == (np.int32, (3, 7, 3), np.int32)
        assert pairs_of(drawn, taught) == [
            one.draw(draws[i], None if than is None else others[i]) for i, one in enumerate(alone)
        ]
        rows = np.array([2, 0])
        some, taught_some = memory.draw(draws[rows], rows, None if than is None else others[rows])
        assert some.tolist() == drawn[rows].tolist()
        assert taught_some.tolist() == taught[rows].tolist()


def test_several_questions_are_offered_in_order():
    memory = Memory(2, 2, 3, 2)
    windows = np.array([[[0, 1], [4, -1], [-1, -1]], [[6, 7], [8, 9], [2, 3]]], np.int32)
    memory.add(np.array([1, 0]), windows, np.array([0, 2]), np.zeros((2, 3, 2)))
    # A draw of nothing wins, and takes the first place.
    assert held(memory, 1) == [([0, 1], 0), ([4, -1], 0)]
    assert held(memory, 0) == [([2, 3], 2), ([8, 9], 2)]
    assert memory.seen.tolist() == [[0, 0, 3], [2, 0, 0]]


def test_a_shorter_question_leaves_nothing_of_the_one_whose_place_it_takes():
    memory = Memory(1, 1, 2, 3)
    for windows, label in [([5, 6, 7], 0), ([8, -1, -1], 1)]:
        memory.add(np.array([0]), np.array([[windows]]), np.array([label]), np.zeros((1, 1, 2)))
    assert held(memory) == [([8, -1, -1], 1)]


def test_memories_without_a_place_for_a_question_give_none():
    memory = Memory(2, 0, 3, 4)
    memory.add(np.arange(2), np.zeros((2, 1, 4), np.int32), np.array([1, 2]), np.zeros((2, 1, 2)))
    assert memory.seen.tolist() == [[0, 1, 0], [0, 0, 1]]
    for other_than in (None, np.array([0, 0])):
        windows, labels = memory.draw(np.zeros((2, 5, 2)), other_than=other_than)
        assert (windows.tolist(), labels.tolist()) == ([[[-1] * 4] * 5] * 2, [[-1] * 5] * 2)
        assert windows.dtype == labels.dtype == np.int32


def test_one_class_is_left_out_of_what_is_drawn():
    memory = Memory(1, 8, 4)
    for window, label in enumerate([3, 1, 3, 0, 1]):
        offer(memory, window, label, [0.0, 0.0])
    # Classes 0 (place 3), 1 (1, 4) and 3 (0, 2), of which two are left each time.
    draws = np.array([[[0.49, 0.0], [0.49, 0.99], [0.5, 0.0], [0.99, 0.99]]])
    for other, windows, labels in [
        (0, [1, 4, 0, 2], [1, 1, 3, 3]),
        (1, [3, 3, 0, 2], [0, 0, 3, 3]),
        (3, [3, 3, 1, 4], [0, 0, 1, 1]),
    ]:
        drawn, taught = memory.draw(draws, other_than=np.array([other]))
        assert (drawn.tolist(), taught.tolist()) == ([windows], [labels])
    # Class 2 was never offered, so that leaving it out changes nothing.
    without, every = memory.draw(draws, other_than=np.array([2])), memory.draw(draws)
    assert [part.tolist() for part in without] == [part.tolist() for part in every]


def test_nothing_is_drawn_where_all_that_is_kept_is_of_the_class_left_out():
    memory = Memory(3, 4, 2)
    rows, windows = np.array([0, 1]), np.array([[7, 8], [9, -1]], np.int32)
    memory.add(rows, windows, np.array([1, 0]), np.zeros((2, 2, 2)))
    below_one = np.full((3, 2, 2), np.nextafter(1.0, 0.0))
    drawn, taught = memory.draw(below_one, other_than=np.array([1, 1, 1]))
    assert drawn.tolist() == [[-1, -1], [9, 9], [-1, -1]]
    assert taught.tolist() == [[-1, -1], [0, 0], [-1, -1]]
    # Drawing changes nothing, so that all of it is still there.
    assert memory.draw(below_one)[0].tolist() == [[8, 8], [9, 9], [-1, -1]]
    assert memory.held.tolist() == [[0, 2], [1, 0], [0, 0]]


@pytest.mark.parametrize("other", range(4))
def test_rehearsal_is_balanced_over_the_other_classes(other):
    random = np.random.default_rng(7)
    memory = filled(32, 5, [0] * 16 + [1] * 3 + [2] + [3] * 5, random)
    (windows,), (labels,) = memory.draw(random.random((1, 6000, 2)), other_than=np.array([other]))
    counts = np.bincount(labels, minlength=5)
    assert counts[[other, 4]].tolist() == [0, 0]
    # A third each: 2000, standard deviation 37.
    assert np.abs(counts[[k for k in range(4) if k != other]] - 2000).max() < 4 * 37
    if other:
        assert stats.chisquare(np.bincount(windows, minlength=16)[:16]).pvalue > 1e-4


def test_a_restored_memory_of_questions_goes_on_as_the_one_that_was_saved():
    random = np.random.default_rng(6)
    memory, again = Memory(2, 3, 3, 3), Memory(2, 3, 3, 3)
    for number in range(20):
        windows = np.array([[question_of(number, count)] for count in (3, 1)], np.int32)
        offered = np.arange(2), windows, random.integers(0, 3, 2), random.random((2, 1, 2))
        memory.add(*offered)
        if number > 9:
            again.add(*offered)
        elif number == 9:
            again.restore(memory.snapshot())
    for name in ("windows", "labels", "seen", "full", "held", "size"):
        assert getattr(memory, name).tolist() == getattr(again, name).tolist()

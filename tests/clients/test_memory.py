"""What a device keeps and rehearses."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from clients.memory import Memory


def held(memory):
    """Return (position, label) of the places in use."""
    size = memory.size
    return list(zip(memory.positions[:size].tolist(), memory.labels[:size].tolist(), strict=True))


def filled(capacity, classes, labels, random):
    memory = Memory(capacity, classes)
    for position, label in enumerate(labels):
        memory.add(position, label, random.random(2))
    return memory


def test_everything_is_kept_while_there_is_room():
    memory = Memory(4, 3)
    for position, label in [(10, 2), (11, 2), (40, 0)]:
        memory.add(position, label, [0.99, 0.99])
    assert held(memory) == [(10, 2), (11, 2), (40, 0)]
    assert memory.seen.tolist() == [1, 0, 2]


def test_a_new_class_takes_the_place_of_the_largest():
    memory = Memory(4, 3)
    for position, label in enumerate([0, 1, 0, 0]):
        memory.add(position, label, [0.5, 0.5])
    # Class 0 has the places 0, 2 and 3; the middle one of these falls to half a draw.
    memory.add(9, 2, [0.99, 0.5])
    assert held(memory) == [(0, 0), (1, 1), (9, 2), (3, 0)]


def test_a_full_class_keeps_a_window_with_the_chance_of_a_reservoir():
    for chance, kept in [(0.74, True), (0.76, False)]:
        memory = Memory(3, 2)
        for position in range(3):
            memory.add(position, 0, [0.5, 0.5])
        # Fourth window of a class with three places: 3 / 4. A draw of 0 takes the first place.
        memory.add(3, 0, [chance, 0.0])
        assert held(memory) == [(3 if kept else 0, 0), (1, 0), (2, 0)]


def test_a_memory_of_nothing_keeps_nothing():
    memory = Memory(0, 3)
    memory.add(0, 1, [0.0, 0.0])
    assert memory.size == 0
    assert memory.draw(np.zeros((4, 2))).tolist() == []


def test_nothing_is_drawn_from_an_empty_memory():
    drawn = Memory(8, 3).draw(np.random.default_rng(0).random((5, 2)))
    assert drawn.shape == (0,)
    assert drawn.dtype == np.int64


LABELS = st.lists(st.integers(0, 3), max_size=60)


@given(labels=LABELS, capacity=st.integers(0, 12), seed=st.integers(0, 2**32))
def test_capacity_is_never_exceeded_and_labels_stay_as_answered(labels, capacity, seed):
    memory = filled(capacity, 4, labels, np.random.default_rng(seed))
    assert memory.size == min(capacity, len(labels))
    kept = held(memory)
    assert len({position for position, _ in kept}) == len(kept)
    assert all(labels[position] == label for position, label in kept)
    assert memory.seen.tolist() == np.bincount(labels, minlength=4).tolist()


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
    random = np.random.default_rng(42)
    labels = np.array([0] * 12 + [1, 0, 0, 1, 0, 0, 1] * 4)
    runs, common = 3000, np.flatnonzero(labels == 0)
    kept, sizes = np.zeros(labels.size), []
    for _ in range(runs):
        places = [position for position, _ in held(filled(10, 2, labels, random))]
        kept[places] += 1
        sizes.append(int((labels[places] == 0).sum()))
    assert set(sizes) == {5}
    share = 5 / common.size
    # Drawn without replacement, so the statistic has to be divided by (1 - share) (n / (n - 1)).
    expected = runs * share
    spread = (1.0 - share) * common.size / (common.size - 1)
    statistic = float((np.square(kept[common] - expected) / expected).sum() / spread)
    assert stats.chi2.sf(statistic, common.size - 1) > 1e-4
    assert stats.chi2.cdf(statistic, common.size - 1) > 1e-4


def test_draws_choose_a_class_first_and_one_of_its_places_then():
    memory = Memory(5, 4)
    for position, label in enumerate([3, 1, 3, 3, 1]):
        memory.add(position, label, [0.0, 0.0])
    # Two classes are kept: a first draw below 0.5 is class 1 (places 1, 4), else class 3 (0, 2, 3).
    draws = [[0.1, 0.1], [0.49, 0.6], [0.5, 0.0], [0.99, 0.34], [0.7, 0.99]]
    assert memory.draw(np.array(draws)).tolist() == [1, 4, 0, 2, 3]


def test_rehearsal_is_balanced_over_classes_however_many_windows_each_has():
    random = np.random.default_rng(5)
    memory = filled(20, 3, [0] * 16 + [1] * 3 + [2], random)
    drawn = memory.draw(random.random((6000, 2)))
    by_class = np.bincount(memory.labels[drawn])
    # A third each: 2000, standard deviation 37.
    assert np.abs(by_class - 2000).max() < 4 * 37
    within = np.bincount(drawn, minlength=20)[:16]
    assert stats.chisquare(within).pvalue > 1e-4


@given(labels=st.lists(st.integers(0, 3), min_size=1, max_size=30), seed=st.integers(0, 2**32))
def test_only_places_in_use_are_drawn(labels, seed):
    random = np.random.default_rng(seed)
    memory = filled(20, 4, labels, random)
    drawn = memory.draw(random.random((50, 2)))
    assert drawn.size == 50
    assert ((drawn >= 0) & (drawn < memory.size)).all()

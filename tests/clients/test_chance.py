"""Random draws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from clients import chance

SEEDS = st.integers(0, 2**63)


ZEROS, ONES = "00000000", "ffffffff"
KNOWN_ANSWERS = [
    (f"{ZEROS} {ZEROS} {ZEROS} {ZEROS}", f"{ZEROS} {ZEROS}", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    (f"{ONES} {ONES} {ONES} {ONES}", f"{ONES} {ONES}", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (
        "243f6a88 85a308d3 13198a2e 03707344",
        "a4093822 299f31d0",
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]
"""Counter, key and answer of philox4x32-10, from the file kat_vectors of Random123 1.14."""


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_philox_gives_the_known_answers(counter, key, expected):
    words = np.array([int(word, 16) for word in counter.split()], np.uint32)
    low, high = (int(word, 16) for word in key.split())
    answer = chance.philox(low | high << 32, words)
    assert answer.dtype == np.uint32
    assert " ".join(f"{word:08x}" for word in answer) == expected


def test_philox_encrypts_each_counter_alone():
    counters = np.arange(24, dtype=np.uint32).reshape(2, 3, 4)
    together = chance.philox(123456789, counters)
    assert together.shape == (2, 3, 4)
    for place in np.ndindex(2, 3):
        assert together[place].tolist() == chance.philox(123456789, counters[place]).tolist()


@given(
    seed=SEEDS,
    round_=st.integers(0, 10_000),
    devices=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=8),
    count=st.integers(1, 40),
)
def test_a_cohort_draws_what_single_devices_draw(seed, round_, devices, count):
    together = chance.uniforms(seed, "answer", round_, devices, count)
    alone = [chance.uniforms(seed, "answer", round_, device, count)[0] for device in devices]
    assert together.shape == (len(devices), count)
    assert together.tolist() == np.stack(alone).tolist()


@given(
    seed=SEEDS,
    places=st.lists(st.tuples(st.integers(0, 99), st.integers(0, 2**32 - 1)), min_size=1),
    count=st.integers(0, 9),
)
def test_devices_at_places_of_their_own_draw_what_they_draw_alone(seed, places, count):
    devices, place = np.array(places, np.int64).T
    together = chance.uniforms(seed, "keep", 2, devices, count, place=place)
    alone = [chance.uniforms(seed, "keep", 2, d, count, place=p)[0] for d, p in places]
    assert together.tolist() == np.stack(alone).tolist()


def test_one_place_is_that_of_all_devices():
    together = chance.uniforms(7, "keep", 2, [4, 5, 4], 8, place=3)
    assert together.tolist() == chance.uniforms(7, "keep", 2, [4, 5, 4], 8, place=[3] * 3).tolist()
    assert together[0].tolist() == together[2].tolist()


def test_other_places_draw_independently():
    first, second = chance.uniforms(7, "keep", 2, [4, 4], 4000, place=[0, 1])
    assert first.tolist() == chance.uniforms(7, "keep", 2, 4, 4000)[0].tolist()
    assert not np.isin(first, second).mean() > 0.01
    assert stats.pearsonr(first, second).pvalue > 1e-4


@given(seed=SEEDS, count=st.integers(0, 30), more=st.integers(0, 30))
def test_asking_for_more_numbers_keeps_the_first_ones(seed, count, more):
    few = chance.uniforms(seed, "ask", 3, [7, 8], count)
    many = chance.uniforms(seed, "ask", 3, [7, 8], count + more)
    assert few.tolist() == many[:, :count].tolist()


@given(seed=SEEDS, purpose=st.text(max_size=20), round_=st.integers(0, 2**32 - 1))
def test_numbers_lie_from_zero_to_below_one(seed, purpose, round_):
    drawn = chance.uniforms(seed, purpose, round_, np.arange(4), 16)
    assert ((drawn >= 0.0) & (drawn < 1.0)).all()


def test_the_largest_word_still_gives_a_number_below_one():
    assert (2.0**32 - 1.0) / 2.0**32 < 1.0
    assert chance.uniforms(1, "x", 0, np.arange(10_000), 4).max() < 1.0


@pytest.mark.parametrize(
    "other",
    [(8, "answer", 1, 0), (7, "ask", 1, 0), (7, "answer", 2, 0), (7, "answer", 1, 1)],
    ids=["seed", "purpose", "round", "device"],
)
def test_seeds_purposes_rounds_and_devices_draw_independently(other):
    first = chance.uniforms(7, "answer", 1, 0, 4000)[0]
    second = chance.uniforms(*other, 4000)[0]
    assert not np.isin(first, second).mean() > 0.01
    assert stats.pearsonr(first, second).pvalue > 1e-4


def test_seed_and_purpose_do_not_run_into_each_other():
    assert chance.key(1, "1/a") != chance.key(11, "/a")
    assert chance.key(1, "2") != chance.key(12, "")


@pytest.mark.parametrize(
    ("rounds", "devices", "count"), [(1, 1, 40_000), (1, 40_000, 1), (2000, 4, 5)]
)
def test_numbers_are_spread_evenly(rounds, devices, count):
    drawn = [
        chance.uniforms(2024, "spread", round_, np.arange(devices), count).ravel()
        for round_ in range(rounds)
    ]
    found = np.histogram(np.concatenate(drawn), bins=64, range=(0.0, 1.0))[0]
    assert stats.chisquare(found).pvalue > 1e-4


@given(seed=SEEDS, counters=st.lists(st.integers(0, 2**31), max_size=3))
def test_a_generator_repeats_itself(seed, counters):
    first, second = (chance.generator(seed, "stream", *counters) for _ in range(2))
    assert first.random(8).tolist() == second.random(8).tolist()


def test_generators_of_other_seeds_purposes_and_counters_differ():
    asked = [(1, "a"), (2, "a"), (1, "b"), (1, "a", 1), (1, "a", 0, 1), (1, "a", 0, 0, 1)]
    drawn = [tuple(chance.generator(*each).random(4)) for each in asked]
    assert len(set(drawn)) == len(asked)


def test_a_generator_with_four_counters_is_refused():
    with pytest.raises(ValueError, match="counter"):
        chance.generator(1, "a", 1, 2, 3, 4)

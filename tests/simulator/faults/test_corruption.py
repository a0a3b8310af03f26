"""What happens to updates on their way, and what the guard says of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.outcome import Sent
from server.guard import check, check_message
from simulator.cohort.reply import Terms, reply_of
from simulator.faults.corruption import IN_FORM, OUT_OF_FORM, corrupted
from simulator.scenario.fault_table import CORRUPTIONS
from tests.simulator.made_journeys import REFUSED_AS, journey, outcome

FLOATS = ("float32", "float64")
shapes = st.lists(st.integers(1, 4), max_size=3).map(tuple)
layouts = st.dictionaries(
    st.sampled_from(["hidden/kernel", "hidden/bias", "norm/mean", "control/x"]),
    st.tuples(shapes, st.sampled_from(FLOATS), st.sampled_from("CF")),
    min_size=1,
    max_size=4,
)
seeds = st.integers(0, 2**32 - 1)
usual = settings(max_examples=60)


def update_of(layout, seed, counts=False):
    """Make what a device began from and what it sends, in some shapes, types and orders.

    Args:
        layout: name -> shape, type, and order in memory.
        seed: of the values.
        counts: whether a whole number is among them.
    """
    random = np.random.default_rng(seed)
    begun, update = {}, {}
    for name, (shape, dtype, order) in layout.items():
        begun[name] = random.normal(size=shape).astype(dtype)
        moved = begun[name] + 0.01 * random.normal(size=shape)
        update[name] = np.array(moved, dtype, order=order)
    if counts:
        begun["steps"], update["steps"] = np.array([3], np.int32), np.array([4], np.int32)
    return begun, update


def kept(arrays):
    return {name: (value.shape, value.dtype, value.tobytes()) for name, value in arrays.items()}


def test_every_kind_is_in_one_table():
    assert {*IN_FORM} | {*OUT_OF_FORM} == {*CORRUPTIONS}
    assert not {*IN_FORM} & {*OUT_OF_FORM}


@usual
@given(layout=layouts, seed=seeds, kind=st.sampled_from(sorted(REFUSED_AS)), counts=st.booleans())
def test_guard_refuses_by_the_kind_of_the_fault(layout, seed, kind, counts):
    begun, update = update_of(layout, seed, counts)
    before = kept(update)
    message = corrupted(kind, begun, update, np.random.default_rng(seed))
    assert kept(update) == before  # the device keeps what it learnt
    assert list(message) == list(update)
    for bound in (None, 1e9):
        checked = check_message(begun, message, bound)
        assert checked.kinds == (REFUSED_AS[kind],)
        assert checked.reasons[0]
        assert not checked.accepted.any()


@usual
@given(layout=layouts, seed=seeds, kind=st.sampled_from(["nan", "inf"]))
def test_one_value_is_no_number_any_more_and_the_others_stay(layout, seed, kind):
    begun, update = update_of(layout, seed, counts=True)
    message = corrupted(kind, begun, update, np.random.default_rng(seed))
    wrong = {n: ~np.isfinite(v) for n, v in message.items()}
    assert sum(int(places.sum()) for places in wrong.values()) == 1
    for name, places in wrong.items():
        np.testing.assert_array_equal(message[name][~places], update[name][~places])
        is_kind = np.isnan if kind == "nan" else np.isinf
        assert is_kind(message[name][places]).all()


@usual
@given(layout=layouts, seed=seeds, bound=st.sampled_from([None, 1.0, 1e-6]))
def test_flipped_bits_are_eight_at_most_and_never_a_crash(layout, seed, bound):
    begun, update = update_of(layout, seed, counts=True)
    message = corrupted("bits", begun, update, np.random.default_rng(seed))
    assert {n: (v.shape, v.dtype) for n, v in message.items()} == {
        n: (v.shape, v.dtype) for n, v in update.items()
    }
    flipped = sum(
        (int.from_bytes(v.tobytes()) ^ int.from_bytes(update[n].tobytes())).bit_count()
        for n, v in message.items()
    )
    assert flipped in (0, 2, 4, 6, 8)  # a bit that is flipped twice is as it was
    checked = check_message(begun, message, bound)
    assert checked.kinds[0] in ("", "not-finite", "norm")
    exact = [np.subtract(v, begun[n], dtype=np.float64) for n, v in message.items()]
    finite = all(np.isfinite(v).all() for v in message.values())
    if finite and checked.kinds == ("",):
        norm = float(np.linalg.norm(np.concatenate([v.ravel() for v in exact])))
        assert checked.norms[0] == pytest.approx(norm, rel=1e-9)
        assert bound is None or norm <= bound * (1.0 + 1e-9)
    assert finite or checked.kinds == ("not-finite",)


def test_bits_are_flipped_anywhere():
    """Among many updates every byte of every array is hit, and every bit of a byte."""
    layout = {"a": ((2,), "float32", "C"), "b": ((1, 2), "float64", "C")}
    begun, update = update_of(layout, 1)
    random = np.random.default_rng(2)
    seen = {name: np.zeros(value.nbytes, np.uint8) for name, value in update.items()}
    for _ in range(300):
        message = corrupted("bits", begun, update, random)
        for name in message:
            pair = (np.frombuffer(some[name].tobytes(), np.uint8) for some in (message, update))
            seen[name] |= np.bitwise_xor(*pair)
    assert all((bits == 255).all() for bits in seen.values())


@usual
@given(layout=layouts, seed=seeds)
def test_an_absurd_update_goes_a_million_times_as_far(layout, seed):
    layout = {name: (shape, "float64", order) for name, (shape, _, order) in layout.items()}
    begun, update = update_of(layout, seed)
    honest = float(check_message(begun, update, None).norms[0])
    message = corrupted("norm", begun, update, np.random.default_rng(seed))
    checked = check_message(begun, message, 1e5 * honest)
    assert checked.kinds == ("norm",)
    assert checked.norms[0] == pytest.approx(1e6 * honest, rel=1e-6)
    for name, value in message.items():
        wanted = begun[name] + 1e6 * (update[name] - begun[name])
        np.testing.assert_allclose(value, wanted, rtol=1e-9)
    assert check_message(begun, message, None).kinds == ("",)  # without a bound it passes


def test_an_absurd_update_of_a_device_that_learnt_nothing_goes_far_all_the_same():
    begun = {"w": np.ones(9, np.float32)}
    message = corrupted("norm", begun, begun, np.random.default_rng(3))
    assert check_message(begun, message, None).norms[0] > 1e5
    np.testing.assert_array_equal(begun["w"], 1.0)


@usual
@given(layout=layouts, seed=seeds, kind=st.sampled_from(CORRUPTIONS))
def test_equal_draws_corrupt_alike(layout, seed, kind):
    begun, update = update_of(layout, seed)
    one, other = (corrupted(kind, begun, update, np.random.default_rng(seed)) for _ in range(2))
    assert one.keys() == other.keys()
    for name, value in one.items():
        if isinstance(value, bytes):
            assert value == other[name]
        else:
            assert kept({name: value}) == kept({name: other[name]})


@usual
@given(layout=layouts, seed=seeds, cut=st.floats(0.0, 1.0), flips=st.integers(0, 6))
def test_whatever_bytes_come_the_guard_says_something(layout, seed, cut, flips):
    """Nothing that a stranger can send may stop the server."""
    begun, update = update_of(layout, seed)
    name = next(iter(update))
    random = np.random.default_rng(seed)
    whole = bytearray(_file_of(update[name]))
    for _ in range(flips):
        whole[int(random.integers(min(len(whole), 160)))] ^= 1 << int(random.integers(8))
    sent = bytes(whole[: round(cut * len(whole))])
    checked = check_message(begun, {**update, name: sent}, None)
    assert checked.kinds[0] in ("", "truncated", "shape", "dtype", "not-finite")
    assert bool(checked.reasons[0]) == bool(checked.kinds[0])
    if cut == 1.0 and not flips:
        assert checked.kinds == ("",)


def _file_of(array):
    """Return an array in NumPy's format, version 1.0, by its own description."""
    order = array.flags.f_contiguous and not array.flags.c_contiguous
    told = f"{{'descr': '{array.dtype.str}', 'fortran_order': {order}, 'shape': {array.shape}, }}"
    told = told.ljust(117) + "\n"
    head = b"\x93NUMPY\x01\x00" + len(told).to_bytes(2, "little") + told.encode("latin1")
    return head + array.tobytes("F" if order else "C")


# --- What is refused does not count --------------------------------------------------------------

SENT = {"w": np.full((2, 3), 0.5, np.float32), "b": np.zeros(2, np.float32)}


def replied(rows, values, of, terms, **way):
    """Let a cohort of five devices reply, some of which send."""
    rows = np.array(rows, np.int64)
    moved = values[rows].astype(np.float32)
    arrays = {name: np.add.outer(moved, value) for name, value in SENT.items()}
    sent = [Sent(rows, arrays, {})] if rows.size else []
    devices = np.arange(20, 25)
    return reply_of(0, devices, {"parameters": SENT}, sent, of, terms, journey(devices, **way))


@usual
@given(
    kinds=st.lists(
        st.sampled_from([None, None, "nan", "inf", "shape", "dtype", "truncated", "norm", "bits"]),
        min_size=5, max_size=5,
    ),
    lost=st.lists(st.booleans(), min_size=5, max_size=5),
    folds=st.sampled_from(["mean", "none"]),
    clip=st.sampled_from([None, 0.5]),
    seed=seeds,
)  # fmt: skip
def test_of_what_is_refused_or_lost_nothing_reaches_the_server(kinds, lost, folds, clip, seed):
    random = np.random.default_rng(seed)
    values, examples = random.normal(size=5), random.integers(1, 9, 5)
    of = outcome(examples, random.random(5))
    terms = Terms(folds, bound=50.0, clip=clip)
    way = {"corruption": kinds, "lost": lost, "seed": seed % 1000}
    whole = replied(range(5), values, of, terms, **way)
    good = [int(device) - 20 for device in whole.devices[whole.accepted]]
    assert all(not lost[row] and kinds[row] in (None, "bits") for row in good)
    assert all(row in good for row in range(5) if not lost[row] and kinds[row] is None)
    alone = replied(good, values, of, terms, **way)
    assert whole.folded.keys() == alone.folded.keys()
    assert list(whole.singles) == list(alone.singles)
    pairs = [(whole.folded[0], alone.folded[0])] if whole.folded else []
    pairs += [(update, alone.singles[device]) for device, update in whole.singles.items()]
    for one, other in pairs:
        assert kept(one.arrays) == kept(other.arrays)
        assert (one.examples, one.loss, one.told) == (other.examples, other.loss, other.told)
        assert all(np.isfinite(value).all() for value in one.arrays.values())


def test_a_cohort_of_which_everything_is_corrupted_sends_nothing():
    for kind in REFUSED_AS:
        reply = replied(range(5), np.ones(5), outcome([1] * 5), Terms(), corruption=kind)
        assert reply.folded == {}
        assert not reply.accepted.any()
        assert reply.accounts.fate.tolist() == [1] * 5


def test_what_happens_to_an_update_depends_on_nothing_but_seed_round_and_device():
    def arrived(rows, **way):
        arrays = {name: np.stack([value] * len(rows)) for name, value in SENT.items()}
        made = journey([40, 41, 42, 43], corruption="bits", **way)
        came = made.travel(SENT, arrays, np.array(rows), np.zeros(len(rows)), None)
        return [came.arrays["w"][place].tobytes() for place in range(len(rows))]

    whole = arrived([0, 1, 2, 3])
    assert arrived([2, 0]) == [whole[2], whole[0]]
    assert len(set(whole)) > 1
    assert arrived([0, 1, 2, 3], round_=2) != whole
    assert arrived([0, 1, 2, 3], seed=6) != whole


def test_updates_of_another_form_do_not_spoil_those_beside_them():
    kinds = ["shape", None, "truncated", None]
    arrays = {name: np.stack([value + 1.0] * 4) for name, value in SENT.items()}
    came = journey(4, corruption=kinds).travel(SENT, arrays, np.arange(4), np.zeros(4), None)
    assert came.checked.kinds == ("shape", "", "truncated", "")
    assert came.counts.tolist() == [False, True, False, True]
    assert came.came.all()
    assert np.isnan(came.checked.norms).tolist() == [True, False, True, False]
    assert came.checked.norms[1] == pytest.approx(np.sqrt(8.0))
    plain = check(SENT, arrays, None)
    assert came.checked.norms[3] == plain.norms[3]

"""A contract that every way of learning keeps on the device, and what each one shares."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.methods import METHODS, MethodOptions

NAMES = ("conv1/kernel", "conv1/bias", "classes/kernel", "classes/bias")
HEAD = ("classes/*",)
WHO = {"all", "participants", "nobody"}
every_method = pytest.mark.parametrize("name", sorted(METHODS))
every_round = pytest.mark.parametrize("round_", [1, 3, 4, 9])


def arrays(first, names=NAMES):
    """Give each name an array of its own that tells where it came from."""
    return {name: np.full((2, 3), first + i, np.float32) for i, name in enumerate(names)}


def method_of(name, round_=1, private=HEAD):
    return METHODS[name](MethodOptions(round_, switch_round=3, private=private))


def values(some):
    return {name: value.tolist() for name, value in some.items()}


@every_method
@every_round
def test_functions_leave_their_inputs_as_they_were(name, round_):
    method = method_of(name, round_)
    own, shared = arrays(10.0), method.end(arrays(20.0))[0]
    before = values(own), values(shared)
    working = method.begin(shared, own)
    method.serve(shared, own)
    worked = values(working)
    method.end(working)
    assert (values(own), values(shared)) == before
    assert values(working) == worked


@every_method
@every_round
def test_a_device_works_with_every_parameter(name, round_):
    method = method_of(name, round_)
    shared = method.end(arrays(20.0))[0]
    assert method.begin(shared, arrays(10.0)).keys() == set(NAMES)
    assert method.serve(shared, arrays(10.0)).keys() == set(NAMES)


@every_method
@every_round
def test_update_and_private_arrays_divide_what_was_worked_with(name, round_):
    working = arrays(10.0)
    update, private = method_of(name, round_).end(working)
    assert not update.keys() & private.keys()
    assert values({**update, **private}) == values(working)


@every_method
@every_round
def test_what_is_private_neither_leaves_the_device_nor_comes_from_the_server(name, round_):
    method = method_of(name, round_)
    own = arrays(10.0)
    _, private = method.end(own)
    # Even a server that sends everything cannot replace what is private.
    for mixed in (method.begin(arrays(20.0), own), method.serve(arrays(20.0), own)):
        assert values({key: mixed[key] for key in private}) == values(private)
    assert not method.end(method.begin(arrays(20.0), own))[0].keys() & private.keys()


@every_method
@every_round
def test_what_is_shared_is_as_the_server_sent_it(name, round_):
    method = method_of(name, round_)
    shared = method.end(arrays(20.0))[0]
    begun = method.begin(shared, arrays(10.0))
    assert values({key: begun[key] for key in shared}) == values(shared)


@every_method
@every_round
def test_serving_at_the_start_of_a_round_is_what_the_device_begins_with(name, round_):
    method = method_of(name, round_)
    own, shared = arrays(10.0), method.end(arrays(20.0))[0]
    begun = method.begin(shared, own)
    assert values(method.serve(shared, own)) == values(begun)
    assert values(method.serve(shared, begun)) == values(begun)


@every_method
@every_round
def test_who_takes_part_is_said_in_words_of_the_contract(name, round_):
    method = method_of(name, round_)
    assert method.learns in WHO
    assert method.downloads in WHO
    # Whoever uploads has learnt from what it downloaded.
    assert not method.uploads or (method.learns, method.downloads) == ("participants",) * 2


@every_method
def test_functions_treat_a_leading_device_axis_alike(name):
    method = method_of(name)
    own, shared = arrays(10.0), method.end(arrays(20.0))[0]
    stacked = method.begin(
        {key: value[None] for key, value in shared.items()},
        {key: value[None] for key, value in own.items()},
    )
    single = method.begin(shared, own)
    assert values({key: value[0] for key, value in stacked.items()}) == values(single)


@pytest.mark.parametrize("name", ["frozen", "heuristic", "local"])
def test_bounds_and_local_learning_need_no_server(name):
    method = method_of(name)
    assert (method.downloads, method.uploads) == ("nobody", False)
    assert method.end(arrays(10.0))[0] == {}
    assert method.learns == ("all" if name == "local" else "nobody")


def test_fedavg_shares_everything():
    update, private = method_of("fedavg").end(arrays(10.0))
    assert (sorted(update), private) == (sorted(NAMES), {})
    assert method_of("fedavg").uploads


@pytest.mark.parametrize(
    ("round_", "uploads", "downloads", "learns", "shared"),
    [
        (1, True, "participants", "participants", 4),
        (3, True, "participants", "participants", 4),
        (4, False, "all", "all", 4),
        (5, False, "nobody", "all", 0),
    ],
)
def test_finetune_switches_after_one_last_download(round_, uploads, downloads, learns, shared):
    method = method_of("finetune", round_)
    assert (method.uploads, method.downloads, method.learns) == (uploads, downloads, learns)
    assert len(method.end(arrays(10.0))[0]) == shared


def test_finetune_begins_the_round_after_the_switch_with_the_shared_model():
    last = method_of("finetune", 4).begin(arrays(20.0), arrays(10.0))
    assert values(last) == values(arrays(20.0))
    later = method_of("finetune", 5).begin({}, last)
    assert values(later) == values(arrays(20.0))


@pytest.mark.parametrize(
    ("patterns", "kept"),
    [
        (("classes/*",), {"classes/kernel", "classes/bias"}),
        (("*/bias",), {"conv1/bias", "classes/bias"}),
        (("conv1/kernel", "classes/bias"), {"conv1/kernel", "classes/bias"}),
        (("*",), set(NAMES)),
        (("CLASSES/*",), set()),
        ((), set()),
    ],
)
def test_fedper_keeps_what_its_patterns_name(patterns, kept):
    update, private = method_of("fedper", private=patterns).end(arrays(10.0))
    assert private.keys() == kept
    assert update.keys() == set(NAMES) - kept


@given(st.sets(st.sampled_from(NAMES)))
def test_fedper_mixes_shared_layers_with_private_ones(kept):
    method = method_of("fedper", private=tuple(kept))
    own, sent = arrays(10.0), arrays(20.0)
    begun = method.begin(method.end(sent)[0], own)
    assert values(begun) == values({n: own[n] if n in kept else sent[n] for n in NAMES})

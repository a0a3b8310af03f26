"""A contract that every way of learning keeps on the device, and what each one shares."""

from dataclasses import replace
from fnmatch import fnmatchcase

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.methods import METHODS
from clients.methods.groups import flat
from clients.methods.method import descend
from clients.naming import is_statistic, slot_of
from simulator.scenario.options import OWN_KEYS
from tests.clients.made_methods import (
    DEVICES,
    HEAD,
    NORMS,
    SHAPES,
    SLOTS,
    Valley,
    everything,
    layout,
    method_of,
    numbered,
    own_of,
    plainly,
    sent_of,
    take_of,
)

NAMES = tuple(SHAPES)
WHO = {"all", "participants", "nobody"}
PLAIN = {
    "frozen", "heuristic", "pooled", "local", "fedavg", "fedavgm", "fedadam", "fedyogi",
    "fedadagrad", "qfedavg", "fedbuff", "fedmedian", "fedtrimmedavg", "krum", "multikrum", "bulyan",
    "dpfedavg", "finetune", "fedper", "fedbn", "ifca",
}  # fmt: skip
LOOKING = {"qfedavg", "perfedavg", "ifca"}
every_method = pytest.mark.parametrize("name", sorted(METHODS))
every_round = pytest.mark.parametrize("round_", [1, 3, 4, 9])


def kept(name):
    """Name what stays on the device: whole groups, or patterns of parameters in them."""
    if name in ("frozen", "heuristic", "local"):
        return {"parameters": ("*",), "slots": ("*",)}
    heads = {"parameters": HEAD, "slots": HEAD}
    return {
        "fedper": heads,
        "fedrep": heads,
        "fedbn": {"parameters": NORMS, "slots": NORMS},
        "ditto": {"parameters": ("*",), "slots": ("*",)},
        "apfl": {"personal": ("*",), "slots": ("*",), "mix": ("*",)},
        "pfedme": {"parameters": ("*",), "slots": ("*",)},
        "scaffold": {"control": ("*",)},
    }.get(name, {})


def is_kept(name, group, array):
    patterns = kept(name).get(group, ())
    return any(fnmatchcase(slot_of(array) or array, p) if group == "slots" else
               fnmatchcase(array, p) for p in patterns)  # fmt: skip


def private_of(name, own):
    """Give what of a device is its own business."""
    return {
        group: {a: v for a, v in arrays.items() if is_kept(name, group, a)}
        for group, arrays in own.items()
    }


def begun(method, own, shared, functions=None):
    """Let devices take in what was sent, by what they see in their memories where they look."""
    return method.begin(shared, own, take_of(method, functions) if method.looks else None)


def received_in_step(shared):
    return {g: {n: v[:1] for n, v in arrays.items()} for g, arrays in shared.items()}


def a_round(method, own, shared, steps=3, functions=None):
    """Give what devices are when a round has begun, after each step, and in the end."""
    states = [begun(method, own, shared, functions)]
    for index in range(steps):
        take = take_of(method, functions, index=index)
        states.append(method.step(take, states[-1], received_in_step(shared))[0])
    sent, last, told = method.end(states[-1], received_in_step(shared))
    return [*states, last], sent, told


@every_method
@every_round
def test_functions_leave_their_inputs_as_they_were(name, round_):
    method = method_of(name, round_)
    own, shared = own_of(method), sent_of(method)
    states = [own, begun(method, own, shared)]
    before = plainly(shared), [plainly(state) for state in states]
    states.append(method.step(take_of(method), states[1], received_in_step(shared))[0])
    before[1].append(plainly(states[2]))
    method.end(states[2], received_in_step(shared))
    method.start({g: own[g] for g in ("parameters", "slots")}, np.zeros(DEVICES, np.float32))
    np.testing.assert_equal((plainly(shared), [plainly(state) for state in states]), before)


@every_method
@every_round
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_device_has_the_same_arrays_all_the_time_and_every_parameter_among_them(
    name, round_, dtype
):
    method = method_of(name, round_)
    own = own_of(method, dtype=dtype)
    states, _, _ = a_round(method, own, sent_of(method, dtype=dtype))
    assert {
        layout_name: shape for layout_name, (shape, _) in layout(own)["parameters"].items()
    } == {array: (DEVICES, *shape) for array, shape in SHAPES.items()}
    assert own["slots"].keys() == {"learning_rate", *SLOTS}
    for state in states:
        assert layout(state) == layout(own)


@every_method
@every_round
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_update_has_the_groups_and_arrays_that_were_offered(name, round_, dtype):
    """The guard compares it with what was sent, array by array."""
    method = method_of(name, round_)
    shared = sent_of(method, dtype=dtype)
    _, sent, told = a_round(method, own_of(method, dtype=dtype), shared)
    offered = [flat(shared)]
    if method.clusters:
        offered = list(shared.values())
        assert len(offered) == method.clusters
        assert np.isin(told["cluster"], np.arange(method.clusters)).all()
    for arrays in offered:
        assert layout({"": flat(sent)}) == layout({"": arrays})
    assert {np.shape(value) for value in told.values()} <= {(DEVICES,)}


@every_method
@every_round
def test_a_device_that_takes_no_step_sends_what_it_received(name, round_):
    method = method_of(name, round_)
    shared = sent_of(method)
    own = method.begin(
        shared, own_of(method), take_of(method, there=False) if method.looks else None
    )
    sent, _, told = method.end(own, received_in_step(shared))
    if method.clusters:
        which = np.asarray(told["cluster"])
        assert sorted(which) == [0, 1]  # one of them begins by chance with another model
        shared = {
            "parameters": {
                array: np.stack([shared[f"cluster/{c}"][array][d] for d, c in enumerate(which)])
                for array in NAMES
            }
        }
    assert plainly(sent) == plainly(shared)


@every_method
@every_round
def test_what_is_private_does_not_come_from_the_server(name, round_):
    method = method_of(name, round_)
    own = own_of(method)
    # Even a server that sends everything cannot replace it.
    new = begun(method, own, everything(method))
    assert plainly(private_of(name, new)) == plainly(private_of(name, own))
    others = {g: {a for a in arrays if not is_kept(name, g, a)} for g, arrays in own.items()}
    replaced = {
        a for a in others["parameters"] if np.any(new["parameters"][a] != own["parameters"][a])
    }
    assert replaced == others["parameters"]


@every_method
@every_round
def test_what_is_private_does_not_leave_the_device(name, round_):
    method = method_of(name, round_)
    own, shared = own_of(method), received_in_step(sent_of(method))
    changed = {
        group: {
            array: value + 0.125 if is_kept(name, group, array) else value
            for array, value in arrays.items()
        }
        for group, arrays in own.items()
    }
    (sent, _, told), (other, _, said) = method.end(own, shared), method.end(changed, shared)
    if name == "scaffold":  # by how much its control changed is what it sends
        sent, other = {"parameters": sent["parameters"]}, {"parameters": other["parameters"]}
    assert plainly(sent) == plainly(other)
    np.testing.assert_equal(plainly({"": told}), plainly({"": said}))


@every_method
@every_round
def test_a_private_part_learns_or_rests_but_is_never_lost(name, round_):
    """What was learnt privately in a round is there when the next one begins."""
    method = method_of(name, round_)
    states, _, _ = a_round(method, own_of(method), sent_of(method))
    again = begun(method, states[-1], sent_of(method, 70.0))
    assert plainly(private_of(name, again)) == plainly(private_of(name, states[-1]))


@every_method
@every_round
def test_taking_in_the_same_twice_is_taking_it_in_once(name, round_):
    method = method_of(name, round_)
    own, shared = own_of(method), sent_of(method)
    once = begun(method, own, shared)
    assert plainly(begun(method, once, shared)) == plainly(once)


@every_method
@every_round
def test_the_optimizer_starts_afresh_for_what_is_shared_and_goes_on_for_what_is_private(
    name, round_
):
    method = method_of(name, round_)
    own = own_of(method)
    new = begun(method, own, sent_of(method))
    groups = [group for group in own if group.endswith("slots")]
    assert "slots" in groups
    for group in groups:
        for slot, value in own[group].items():
            assert np.all(value != 0.0)
            persists = slot == "learning_rate" or is_kept(name, group, slot)
            assert np.array_equal(new[group][slot], value if persists else 0.0 * value), slot


@every_method
def test_a_step_counts_the_gradients_that_it_takes(name):
    for values in ({}, {"inner_steps": 2}, {"inner_steps": 7}):
        method, functions = method_of(name, **values), Valley()
        own, shared = own_of(method), sent_of(method)
        own = begun(method, own, shared)
        _, loss = method.step(take_of(method, functions), own, received_in_step(shared))
        assert len(functions.calls) == method.gradients
        assert np.shape(loss) == (DEVICES,)


@every_method
def test_a_plain_step_is_the_programs_own(name):
    method = method_of(name)
    assert (method.plain, method.step is descend) == (name in PLAIN,) * 2
    if not method.plain:
        return
    own = own_of(method)
    new, loss = method.step(take_of(method), own, {})
    # Windows 1 to 4 and 11 to 14 pull towards 2.5 and 12.5, at a rate of an eighth.
    targets = {
        array: np.array([2.5, 12.5]).reshape(-1, *[1] * len(s)) for array, s in SHAPES.items()
    }
    apart = {array: own["parameters"][array] - target for array, target in targets.items()}
    for array in NAMES:
        stepped = own["parameters"][array] - apart[array] / (1 if is_statistic(array) else 8)
        np.testing.assert_allclose(new["parameters"][array], stepped)
    for slot, value in own["slots"].items():
        summed = value if slot == "learning_rate" else value + apart[slot_of(slot)]
        np.testing.assert_allclose(new["slots"][slot], summed)
    expected = sum(0.5 * np.square(value).reshape(DEVICES, -1).sum(1) for value in apart.values())
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    others = own.keys() - {"parameters", "slots"}
    np.testing.assert_equal(*(plainly({g: one[g] for g in others}) for one in (new, own)))


@pytest.mark.parametrize(
    ("name", "group"),
    [("fedprox", "parameters"), ("scaffold", "parameters"), ("ditto", "parameters"),
     ("ditto", "shared"), ("apfl", "personal"), ("apfl", "shared"), ("perfedavg", "meta")],
)  # fmt: skip
def test_a_running_statistic_moves_as_the_program_says_whatever_the_method_adds(name, group):
    method = method_of(name)
    own, shared = own_of(method), sent_of(method)
    new, _ = method.step(take_of(method), own, received_in_step(shared))
    # It becomes the mean of the windows that are looked at, 1 to 4 and 11 to 14, as of the model
    # at which the program takes its gradients.
    statistic = "norm1/running_mean"
    at = {"personal": "parameters"}.get(group, group)
    before, target = own[group][statistic], np.array([[2.5], [12.5]])
    looked = own[at][statistic]
    if name == "perfedavg":  # ahead by windows 1, 3 and 11, 13; learns from 2, 4 and 12, 14
        looked, target = np.array([[2.0], [12.0]]), target + 0.5
    np.testing.assert_allclose(new[group][statistic], before - (looked - target))


def test_methods_that_are_no_plain_ones_are_known():
    assert METHODS.keys() > PLAIN
    assert {name for name in METHODS if method_of(name).looks} == LOOKING
    assert {name: m.clusters for name in METHODS if (m := method_of(name)).clusters} == {"ifca": 2}


@every_method
def test_devices_learn_alike_alone_and_among_others(name):
    method = method_of(name)
    own, shared = own_of(method), sent_of(method)

    def play(rows, take):
        def part(groups):
            return {g: {n: np.asarray(v)[rows] for n, v in a.items()} for g, a in groups.items()}

        state = method.begin(part(shared), part(own), take(0) if method.looks else None)
        for index in range(3):
            state, loss = method.step(take(index), state, received_in_step(shared))
        sent, state, told = method.end(state, received_in_step(shared))
        return {**state, "sent": flat(sent), "told": told, "loss": {"": loss}}

    together = play(slice(None), lambda index: take_of(method, index=index))
    for device in range(DEVICES):
        rows = slice(device, device + 1)
        alone = play(rows, lambda index, rows=rows: take_of(method, rows=rows, index=index))
        for group, arrays in together.items():
            for array, value in arrays.items():
                np.testing.assert_allclose(alone[group][array], value[rows], rtol=1e-12)


@pytest.mark.parametrize("name", sorted(LOOKING))
def test_without_a_memory_a_device_begins_as_if_it_did_not_look(name):
    method = method_of(name)
    own, shared = own_of(method), sent_of(method)
    blind = method.begin(shared, own, take_of(method, there=False))
    np.testing.assert_equal(plainly(blind), plainly(method.begin(shared, own, None)))


def outcome_of(method, own, shared):
    """Give what a compiled call of the method comes to."""
    state = begun(method, own, shared) if method.looks else own
    for index in range(4):
        state, loss = method.step(take_of(method, index=index), state, received_in_step(shared))
    return plainly({**state, "loss": {"": loss}})


OTHER = {"adaptive": True, "inner_steps": 2, "head_steps": 1, "clusters": 3}


@pytest.mark.parametrize(
    ("name", "key"),
    [(name, key) for name in sorted(METHODS) for key in OWN_KEYS.get(name, {})],
)
def test_whatever_makes_a_step_come_out_otherwise_is_in_its_key_or_a_number_of_it(name, key):
    usual = OWN_KEYS[name][key]
    other = OTHER.get(key, usual / 2 or 1)
    assert other != usual
    one, two = method_of(name), method_of(name, **{key: other})
    # Only steps are compared: devices and what they receive are the same.
    own, shared = own_of(two), sent_of(two)
    if one.key == two.key:  # a compiled step of the one serves the other, given its numbers
        same_step = replace(one, numbers=two.numbers)
        assert outcome_of(same_step, own, shared) == outcome_of(two, own, shared)
    assert method_of(name).key == one.key


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("fedprox", "mu"), ("ditto", "lambda"), ("pfedme", "lambda"), ("pfedme", "eta"),
        ("perfedavg", "alpha"),
    ],
)  # fmt: skip
def test_a_number_is_not_built_into_a_step_but_changes_it(name, key):
    one, two = method_of(name), method_of(name, **{key: OWN_KEYS[name][key] / 2})
    assert one.key == two.key
    own, shared = own_of(one), sent_of(one)
    assert outcome_of(one, own, shared) != outcome_of(two, own, shared)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("pfedme", "inner_steps"), ("ifca", "clusters"), ("fedrep", "head_steps"),
        ("apfl", "adaptive"),
    ],
)  # fmt: skip
def test_what_is_built_into_a_step_is_in_its_key(name, key):
    other = OTHER.get(key, OWN_KEYS[name][key] / 2)
    assert method_of(name).key != method_of(name, **{key: other}).key


def test_the_head_is_built_into_the_steps_of_fedrep():
    assert method_of("fedrep").key != method_of("fedrep", private=("*/bias",)).key


def test_methods_whose_compiled_calls_differ_have_keys_that_differ():
    special = [name for name in METHODS if name not in PLAIN or name in LOOKING]
    keys = {method_of(name).key for name in special}
    assert len(keys) == len(special)
    assert () not in keys
    assert len({hash(key) for key in keys}) == len(keys)


@every_method
@every_round
def test_who_takes_part_is_said_in_words_of_the_contract(name, round_):
    method = method_of(name, round_)
    assert method.learns in WHO
    assert method.downloads in WHO | {"once"}
    # Whoever uploads has learnt from what it downloaded.
    assert not method.uploads or (method.learns, method.downloads) == ("participants",) * 2


@pytest.mark.parametrize("name", ["frozen", "heuristic", "local"])
def test_bounds_and_local_learning_need_no_server(name):
    method = method_of(name)
    assert (method.downloads, method.uploads) == ("nobody", False)
    assert flat(method.offer(numbered(0.0))) == {}
    assert flat(method.end(own_of(method), {})[0]) == {}
    assert method.learns == ("all" if name == "local" else "nobody")


def test_pooled_devices_answer_with_the_servers_model_and_never_learn():
    method = method_of("pooled")
    assert (method.learns, method.downloads, method.uploads) == ("nobody", "all", False)
    new = method.begin(sent_of(method), own_of(method), None)
    assert plainly({"parameters": new["parameters"]}) == plainly(sent_of(method))


def test_fedavg_shares_everything():
    method = method_of("fedavg")
    assert plainly(method.offer(numbered(0.0))) == plainly({"parameters": numbered(0.0)})
    own = own_of(method)
    assert plainly(method.end(own, {})[0]) == plainly({"parameters": own["parameters"]})
    assert method.uploads


@pytest.mark.parametrize(
    ("round_", "uploads", "downloads", "learns", "shared"),
    [
        (1, True, "participants", "participants", len(NAMES)),
        (3, True, "participants", "participants", len(NAMES)),
        (4, False, "once", "all", len(NAMES)),
        (5, False, "once", "all", len(NAMES)),
    ],
)
def test_finetune_switches_after_one_last_download(round_, uploads, downloads, learns, shared):
    method = method_of("finetune", round_)
    assert (method.uploads, method.downloads, method.learns) == (uploads, downloads, learns)
    assert len(flat(method.end(own_of(method), {})[0])) == shared


def test_finetune_begins_the_round_after_the_switch_with_the_shared_model():
    last = method_of("finetune", 4)
    shared = sent_of(last)
    own = last.begin(shared, own_of(last), None)
    assert plainly({"parameters": own["parameters"]}) == plainly(shared)


@pytest.mark.parametrize("name", ["fedper", "fedrep", "fedbn"])
@pytest.mark.parametrize(
    ("patterns", "private"),
    [
        (("classes/*",), {"classes/kernel", "classes/bias"}),
        (("*/bias",), {"conv1/bias", "classes/bias"}),
        (("conv1/kernel", "classes/bias"), {"conv1/kernel", "classes/bias"}),
        (("*",), set(NAMES)),
        (("CLASSES/*",), set()),
        (("norm*/*",), {"norm1/scale", "norm1/running_mean"}),
    ],
)
def test_what_the_patterns_name_is_kept(name, patterns, private):
    method = method_of(name, private=patterns)
    own = own_of(method)
    assert method.offer(numbered(0.0))["parameters"].keys() == set(NAMES) - private
    assert method.end(own, {})[0]["parameters"].keys() == set(NAMES) - private
    new = method.begin({"parameters": numbered(50.0, devices=DEVICES)}, own, None)
    same = {n for n in NAMES if np.array_equal(new["parameters"][n], own["parameters"][n])}
    assert same == private


@given(st.sets(st.sampled_from(NAMES)))
def test_fedper_mixes_shared_layers_with_private_ones(private):
    method = method_of("fedper", private=tuple(private))
    own, sent = own_of(method), numbered(50.0, devices=DEVICES)
    new = method.begin({"parameters": sent}, own, None)["parameters"]
    expected = {n: own["parameters"][n] if n in private else sent[n] for n in NAMES}
    assert plainly({"": new}) == plainly({"": expected})


@pytest.mark.parametrize(
    ("name", "answering"),
    [("ditto", "parameters"), ("apfl", "personal"), ("pfedme", "parameters")],
)
def test_a_personal_model_is_not_what_is_sent(name, answering):
    method = method_of(name)
    own, shared = own_of(method), sent_of(method)
    states, sent, _ = a_round(method, own, shared)
    assert plainly(sent) == plainly({"parameters": states[-1]["shared"]})
    for array in (name for name in NAMES if not is_statistic(name)):
        assert np.all(states[-1][answering][array] != states[-1]["shared"][array])
        assert np.all(states[-1][answering][array] != own[answering][array])  # it has learnt


def test_only_devices_with_a_chance_of_it_begin_with_another_cluster():
    method = method_of("ifca", clusters=4)
    base = {g: own_of(method)[g] for g in ("parameters", "slots")}
    for chances, clusters in (
        ([0.0, 0.24], [0, 0]),
        ([0.25, 0.5], [1, 2]),
        ([0.75, 0.999], [3, 3]),
    ):
        own = method.start(base, np.array(chances, np.float32))
        assert np.asarray(own["choice"]["cluster"]).tolist() == clusters


def test_a_device_joins_the_cluster_that_is_least_wrong_in_its_memory():
    method = method_of("ifca", clusters=3)
    # Devices see windows around 2.5 and 12.5.
    models = {
        f"cluster/{i}": {n: np.full((DEVICES, *s), value) for n, s in SHAPES.items()}
        for i, value in enumerate([30.0, 14.0, 2.0])
    }
    own = own_of(method)
    new = method.begin(models, own, take_of(method))
    assert np.asarray(new["choice"]["cluster"]).tolist() == [2, 1]
    for array in NAMES:
        assert np.unique(new["parameters"][array][0]).tolist() == [2.0]
        assert np.unique(new["parameters"][array][1]).tolist() == [14.0]

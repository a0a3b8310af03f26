"""What servers make of replies, by numbers worked out by hand; their state; the clip."""

import gc
from math import exp, sqrt

import numpy as np
import pytest
from flwr.app import ConfigRecord
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from clients.messages import pack, unpack
from clients.outcome import Update
from server.clip import clipped
from server.strategies import STRATEGIES
from server.strategies.kept import restore, state
from simulator.running.grid import FleetGrid
from simulator.scenario.options import OWN_KEYS

COMMON = {"devices": 8, "learning_rate": 0.1, "participation": 0.5, "seed": 5}


@pytest.fixture(scope="module", autouse=True)
def _settled():
    """Keep what other tests left out of the garbage that Flower collects for every reply."""
    gc.freeze()
    yield
    gc.unfreeze()


def server_of(method, **keys):
    return STRATEGIES[method].strategy({**OWN_KEYS.get(method, {}), **COMMON, **keys})


def came(examples, loss=1.0, *, told=(), **arrays):
    """Give what one node sends."""
    values = {name.replace("_", "/"): np.asarray(value) for name, value in arrays.items()}
    return Update(values, examples, loss, dict(told))


def aggregate(strategy, sent, *updates, round_=1):
    """Run a round of one node for each update; returns the arrays, as plain numbers, and more."""
    replies = dict(enumerate(updates))
    grid = FleetGrid(lambda _: replies)
    grid.addressed = range(max(1, len(updates)))
    sent = {name.replace("_", "/"): np.asarray(value) for name, value in sent.items()}
    messages = strategy.configure_train(round_, pack(sent), ConfigRecord(), grid)
    arrays, told = strategy.aggregate_train(round_, list(grid.send_and_receive(messages)))
    return None if arrays is None else unpack(arrays), told


def plain(arrays):
    return {name: np.asarray(value).tolist() for name, value in arrays.items()}


# --- SCAFFOLD ------------------------------------------------------------------------------------


def test_controls_move_by_the_share_of_devices_that_took_part():
    # Two of four devices: x = 2 + 0.5 (4 - 2); c = 1 + 2 / 4 (3 - 1).
    strategy = server_of("scaffold", devices=4, server_learning_rate=0.5)
    found, _ = aggregate(
        strategy, {"x": [2.0], "control_x": [1.0]}, came(2, x=[4.0], control_x=[3.0])
    )
    assert plain(found) == {"x": [3.0], "control/x": [2.0]}


def test_means_of_several_devices_and_single_ones_make_one_mean():
    # x: (3 * 4 + 8) / 4 = 5; c: (3 * 3 + 7) / 4 = 4, and 1 + 4 / 8 (4 - 1).
    strategy = server_of("scaffold")
    updates = came(3, x=[4.0], control_x=[3.0]), came(1, x=[8.0], control_x=[7.0])
    found, _ = aggregate(strategy, {"x": [2.0], "control_x": [1.0]}, *updates)
    assert plain(found) == {"x": [5.0], "control/x": [2.5]}


def test_controls_of_all_devices_are_their_mean_and_types_stay():
    strategy = server_of("scaffold", devices=2)
    sent = {"x": np.float32([2.0]), "control_x": np.float32([1.0])}
    found, _ = aggregate(strategy, sent, came(2, x=np.float32([0.1]), control_x=np.float32([0.3])))
    assert found["x"] == np.float32(0.1)
    assert found["control/x"] == np.float32(0.3)
    assert {value.dtype for value in found.values()} == {np.dtype("float32")}


@pytest.mark.parametrize("method", ["scaffold", "ifca"])
def test_without_a_reply_there_is_nothing_new(method):
    assert aggregate(server_of(method), {"x": [2.0]})[0] is None


# --- IFCA ----------------------------------------------------------------------------------------


def test_each_cluster_is_the_mean_of_those_who_chose_it():
    # Cluster 2: (3 * 20 + 40) / 4.
    sent = {f"cluster_{i}_x": [float(i)] for i in range(3)}
    found, _ = aggregate(
        server_of("ifca"),
        sent,
        came(1, told={"cluster": 0}, x=[10.0]),
        came(3, told={"cluster": 2}, x=[20.0]),
        came(1, told={"cluster": 2}, x=[40.0]),
    )
    assert plain(found) == {"cluster/0/x": [10.0], "cluster/1/x": [1.0], "cluster/2/x": [25.0]}


# --- FedBuff -------------------------------------------------------------------------------------


def flown(examples, change, version=0):
    return came(examples, told={"version": version}, x=[change])


def test_shared_arrays_move_when_enough_changes_are_there():
    strategy = server_of("fedbuff", buffer=2, server_learning_rate=0.5)
    found, told = aggregate(strategy, {"x": [10.0]}, flown(1, 4.0))
    assert (plain(found), told["held"], strategy.version) == ({"x": [10.0]}, 1, 0)
    # (1 * 4 + 3 * 2) / 4, half of it.
    found, told = aggregate(strategy, {"x": [10.0]}, flown(3, 2.0), round_=2)
    assert (plain(found), told["held"], strategy.version) == ({"x": [11.25]}, 0, 1)


def test_old_changes_move_less():
    strategy = server_of("fedbuff", buffer=2)
    aggregate(strategy, {"x": [0.0]}, *[flown(1, 0.0)] * 6)
    assert strategy.version == 3
    # Three versions and none behind: (1 * 8 / sqrt(4) + 1 * 6) / 2.
    found, _ = aggregate(strategy, {"x": [1.0]}, flown(1, 8.0, 0), flown(1, 6.0, 3), round_=2)
    assert plain(found) == {"x": [6.0]}


def test_a_move_in_the_middle_of_a_round_makes_what_comes_after_it_older():
    strategy = server_of("fedbuff", buffer=1)
    found, told = aggregate(strategy, {"x": [0.0]}, flown(2, 1.0), flown(2, sqrt(2.0)))
    np.testing.assert_allclose(found["x"], [2.0])
    assert told["versions"] == 2


def test_a_buffer_of_a_round_takes_whatever_comes_in_it():
    strategy = server_of("fedbuff", buffer="round")
    found, _ = aggregate(strategy, {"x": [0.0]}, flown(1, 1.0), flown(1, 2.0), flown(2, 4.0))
    assert plain(found) == {"x": [2.75]}
    found, _ = aggregate(strategy, {"x": [2.75]}, round_=2)
    assert (plain(found), strategy.version) == ({"x": [2.75]}, 1)


# --- Privacy -------------------------------------------------------------------------------------


def private(**keys):
    return server_of("dpfedavg", **{"noise": 0.0, "clip": 0.5, "devices": 4, **keys})


def test_sum_of_changes_is_divided_by_the_devices_that_were_expected():
    # Two of four are; three came, with a mean change of [1, 2].
    found, _ = aggregate(private(), {"x": [1.0, 2.0]}, came(3, x=[2.0, 4.0]))
    assert plain(found) == {"x": [2.5, 5.0]}
    found, _ = aggregate(private(), {"x": [1.0, 2.0]})
    assert plain(found) == {"x": [1.0, 2.0]}


@pytest.mark.parametrize("participants", [0, 1, 7])
def test_noise_is_that_of_the_clip_whoever_takes_part(participants):
    sent = {"x": np.zeros(40_000), "b": np.ones(10_000)}
    updates = [came(participants, **sent)] if participants else []
    found, _ = aggregate(private(noise=3.0), sent, *updates)
    noise = np.concatenate([found["x"], found["b"] - 1.0])
    # Standard deviation 3 * 0.5 / 2; its own is 0.3% of it.
    assert np.std(noise) == pytest.approx(0.75, rel=0.015)
    assert abs(np.mean(noise)) < 0.02
    # Not one value twice, nor the same noise for both arrays.
    assert np.unique(noise).size == noise.size


def test_noise_is_drawn_by_seed_and_round_alone():
    sent = {"x": np.zeros(50), "b": np.zeros(3)}

    def noise(round_=1, **keys):
        return aggregate(private(noise=1.0, **keys), sent, round_=round_)[0]["x"]

    assert noise().tobytes() == noise().tobytes()
    backwards = dict(reversed(sent.items()))
    other_order, _ = aggregate(private(noise=1.0), backwards)
    assert other_order["x"].tobytes() == noise().tobytes()
    for other in (noise(round_=2), noise(seed=6)):
        assert np.abs(other - noise()).min() > 0.0
        assert abs(np.corrcoef(other, noise())[0, 1]) < 0.5


def test_clip_follows_the_share_that_moves_less_far():
    # Two of three moved less far: (2 - 3 / 2) / 2 + 1 / 2 = 0.75 of the two that were expected.
    strategy = private(clip_quantile=0.5, clip_learning_rate=0.2)
    update = came(3, told={"within": 2}, x=[1.0])
    _, told = aggregate(strategy, {"x": [1.0]}, update)
    assert told["clip"] == 0.5
    assert strategy.clip == pytest.approx(0.5 * exp(-0.2 * (0.75 - 0.5)))
    # Nobody came: half of them, as it were.
    aggregate(strategy, {"x": [1.0]}, round_=2)
    assert strategy.clip == pytest.approx(0.5 * exp(-0.2 * (0.75 - 0.5)))


def test_noise_of_the_count_is_paid_for_by_that_of_the_sum():
    # 10 of 200 expected devices' worth on the count: (1 - 1 / 20^2)^(-1/2).
    sent = {"x": np.zeros(100_000)}
    keys = {"devices": 400, "noise": 1.0, "clip_quantile": 0.5, "clip": 200.0}
    found, _ = aggregate(private(**keys), sent)
    assert np.std(found["x"]) == pytest.approx((1.0 - 1.0 / 400.0) ** -0.5, rel=0.01)
    clips = []
    for seed in range(400):
        strategy = private(**keys, seed=seed, clip_learning_rate=1.0)
        aggregate(strategy, {"x": [0.0]})
        clips.append(np.log(strategy.clip / 200.0))
    # The count's noise is 10 of 200.
    assert np.std(clips) == pytest.approx(0.05, rel=0.15)
    assert abs(np.mean(clips)) < 0.01


def test_clip_that_cannot_adapt_is_refused():
    # A twentieth of ten devices is half a device: its count takes all that noise of 1 pays for.
    with pytest.raises(ValueError, match=r"10 expected devices.*give more devices"):
        private(noise=1.0, devices=20, clip_quantile=0.5)
    private(noise=0.9, devices=20, clip_quantile=0.5)


# --- The clip ------------------------------------------------------------------------------------

SENT = {"w": np.array([[1.0, 1.0]]), "b": np.array(2.0)}


def moved(*changes):
    """Give updates of devices of the form (of w[0, 0], of w[0, 1], of b)."""
    changes = np.array(changes, np.float64)
    return {"w": SENT["w"] + changes[:, None, :2], "b": SENT["b"] + changes[:, 2]}


def norms_of(updates):
    squares = [np.square(updates[n] - SENT[n]).reshape(len(updates["b"]), -1).sum(1) for n in SENT]
    return np.sqrt(sum(squares))


def test_changes_beyond_the_clip_are_shortened_as_a_whole():
    # 2, 3 and 6 are 7 long.
    updates = moved((2.0, 3.0, 6.0), (0.2, 0.3, 0.6))
    found = clipped(SENT, updates, norms_of(updates), 3.5)
    np.testing.assert_allclose(found["w"], [[[2.0, 2.5]], [[1.2, 1.3]]])
    np.testing.assert_allclose(found["b"], [5.0, 2.6])


def test_what_is_not_finite_is_left_to_the_guard():
    updates = moved((np.nan, 3.0, 6.0), (np.inf, 0.0, 0.0), (0.0, 0.0, 2.0))
    found = clipped(SENT, updates, norms_of(updates), 1.0)
    assert np.isnan(found["w"][0, 0, 0])
    assert np.isinf(found["w"][1, 0, 0])
    assert found["b"].tolist() == [8.0, 2.0, 3.0]


@given(
    changes=st.lists(st.tuples(*[st.floats(-1e3, 1e3, width=32)] * 3), min_size=1, max_size=5),
    clip=st.floats(1e-3, 1e3),
)
def test_no_change_is_longer_than_the_clip_and_short_ones_stay(changes, clip):
    updates = moved(*changes)
    norms = norms_of(updates)
    found = clipped(SENT, updates, norms, clip)
    after = norms_of(found)
    assert (after <= np.maximum(clip, 1e-9) * (1 + 1e-6) + 1e-9).all()
    for row in np.flatnonzero(norms <= clip):
        assert all(found[n][row].tobytes() == updates[n][row].tobytes() for n in SENT)
    assert all(found[n].dtype == updates[n].dtype for n in SENT)


def test_clip_keeps_the_type_of_updates_and_leaves_them_as_they_were():
    sent = {"w": np.zeros(2, np.float32)}
    updates = {"w": np.array([[3.0, 4.0]], np.float32)}
    found = clipped(sent, updates, np.array([5.0]), 1.0)
    assert found["w"].dtype == np.float32
    np.testing.assert_allclose(found["w"], [[0.6, 0.8]], rtol=1e-6)
    assert updates["w"].tolist() == [[3.0, 4.0]]


# --- What is kept --------------------------------------------------------------------------------


class Keeper:
    """A strategy as far as its state goes."""

    def __init__(self, **attributes):
        vars(self).update(attributes)


def through_a_file(arrays, path):
    """Save and load, as a checkpoint does; names come back in the file's order."""
    save_file(dict(arrays), path)
    return load_file(path)


def test_every_kind_of_attribute_comes_back_as_it_was(tmp_path):
    record = pack({"b/kernel": np.arange(6.0).reshape(2, 3), "a": np.array(7.0)})
    one = Keeper(
        count=3,
        share=0.25,
        nothing=None,
        empty={},
        named={"x/y": np.array([1, 2]), "x": np.array(3.5)},
        listed=[np.full(i + 1, i) for i in range(12)],
        record=record,
        names=1,
    )
    keeps = tuple(vars(one))
    other = Keeper(**dict.fromkeys(keeps, "old"))
    restore(other, keeps, through_a_file(state(one, keeps), tmp_path / "state"))
    assert (other.count, other.share, other.nothing, other.empty) == (3, 0.25, None, {})
    assert (type(other.count), type(other.share)) == (int, float)
    np.testing.assert_equal(other.named, one.named)
    np.testing.assert_equal(other.listed, one.listed)
    np.testing.assert_equal(unpack(other.record), unpack(record))
    assert other.names == 1


SIZES = {"z": ((2, 3), "float32"), "a": ((4,), "float64"), "m": ((3, 2), "float32")}
PER_METHOD = {
    "scaffold": ("", "control/"),
    "ifca": ("cluster/0/", "cluster/1/"),
}


def numbered(seed, prefix=""):
    random = np.random.default_rng(seed)
    return {prefix + n: random.normal(size=size).astype(t) for n, (size, t) in SIZES.items()}


def sent_at_first(method):
    """Give what a server sends in the first round."""
    sent = {}
    for number, prefix in enumerate(PER_METHOD.get(method, ("",))):
        sent |= numbered(number, prefix)
    return sent


def one_round(strategy, method, sent, round_):
    """Let four devices reply with numbers of their own."""
    updates, devices = {}, 4
    for device in range(devices):
        arrays, seed = {}, 100 * round_ + device
        prefixes = ("",) if method == "ifca" else PER_METHOD.get(method, ("",))
        for number, prefix in enumerate(prefixes):
            arrays |= numbered(seed + 1000 * number, prefix)
        told = {"cluster": device % 2, "version": max(0, round_ - 2), "within": device % 2}
        updates[device] = Update(arrays, device + 1, 0.5 + device, told)
    grid = FleetGrid(lambda _: updates)
    grid.addressed = range(devices)
    messages = strategy.configure_train(round_, pack(sent), ConfigRecord(), grid)
    arrays, _ = strategy.aggregate_train(round_, list(grid.send_and_receive(messages)))
    return {n: np.asarray(v, sent[n].dtype) for n, v in unpack(arrays).items()}


KEYS = {"fedavgm": {"server_momentum": 0.5}, "dpfedavg": {"clip_quantile": 0.5, "noise": 0.2}}
KEYS |= {"fedbuff": {"buffer": 3}, "pfedme": {"server_learning_rate": 0.5}}


@pytest.mark.parametrize("method", STRATEGIES)
def test_strategy_that_was_restored_goes_on_to_the_same_bytes(method, tmp_path):
    """Arrays come back in the order of the file, which is by their types and then by name."""
    keeps, keys = STRATEGIES[method].keeps, KEYS.get(method, {})
    one, other = server_of(method, **keys), server_of(method, **keys)
    shared = one_round(one, method, sent_at_first(method), 1)
    found = through_a_file(state(one, keeps), tmp_path / "state")
    assert set(found) == set(state(one, keeps))
    restore(other, keeps, found)
    after, again = (one_round(each, method, shared, 2) for each in (one, other))
    assert [n for n, v in after.items() if v.tobytes() != again[n].tobytes()] == []
    ours, theirs = state(one, keeps), state(other, keeps)
    assert ours.keys() == theirs.keys()
    assert [name for name, v in ours.items() if v.tobytes() != theirs[name].tobytes()] == []
    assert [n for n, v in after.items() if np.array_equal(v, shared[n])] == []


# --- How many updates are enough -----------------------------------------------------------------


@pytest.mark.parametrize("method", sorted(STRATEGIES))
def test_a_server_says_how_many_updates_outvote_the_liars(method):
    """Blanchard et al. 2017: n >= 2 f + 3; Guerraoui & Rouault 2018: n >= 4 f + 3."""
    for liars in (0, 1, 4):
        keys = {**OWN_KEYS.get(method, {}), **COMMON, "liars": liars}
        wanted = {"krum": 2 * liars + 3, "multikrum": 2 * liars + 3, "bulyan": 4 * liars + 3}
        assert STRATEGIES[method].least(keys) == wanted.get(method, 1)


@pytest.mark.parametrize("method", ["krum", "multikrum", "bulyan"])
def test_so_many_updates_are_enough_indeed(method):
    count = STRATEGIES[method].least({**OWN_KEYS[method], **COMMON, "liars": 1})
    honest = [came(3, w=[1.0 + 0.01 * i, 2.0]) for i in range(count - 1)]
    updates = [*honest, came(3, w=[1e6, -1e6])]
    found, _ = aggregate(server_of(method, liars=1, selected=1), {"w": [0.0, 0.0]}, *updates)
    np.testing.assert_allclose(found["w"], [1.0, 2.0], atol=0.1)

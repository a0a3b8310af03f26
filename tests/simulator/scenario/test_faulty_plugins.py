"""What plug-ins do wrong is told in a line that names them, and nothing is left of the run."""

import numpy as np
import pytest
import tensorflow as tf

from clients.drift import Change, Course, changed
from clients.errors import BadInput
from clients.methods import MethodOptions
from clients.models import built
from clients.plugins import DRIFT, METHODS, MODELS, STRATEGIES, load_plugin
from clients.variation import as_recorded
from simulator.cli import main
from simulator.running.added_strategy import aggregated, half_of
from simulator.scenario.ways import half_on_device
from tests.simulator.made_plugins import install

THEIRS = {
    DRIFT: """
from dataclasses import replace
import numpy as np
from clients.plugins import DriftPlugin

def _fails(now, change, draws):
    raise SystemExit(0)

def _writes(now, change, draws):
    now.bias[:] = 1.0
    return now

nan = DriftPlugin(lambda now, change, draws: replace(now, bias=now.bias * np.nan))
few = DriftPlugin(lambda now, change, draws: replace(now, bias=now.bias[:1]))
none = DriftPlugin(lambda now, change, draws: None)
text = DriftPlugin(lambda now, change, draws: replace(now, noise="much"))
back = DriftPlugin(lambda now, change, draws: replace(now, cadence=-now.cadence))
gone = DriftPlugin(lambda now, change, draws: replace(now, missing=now.missing + 1.5))
whole = DriftPlugin(lambda now, change, draws: replace(now, offset=now.offset + 0.5))
fails = DriftPlugin(_fails)
writes = DriftPlugin(_writes)
good = DriftPlugin(lambda now, change, draws: replace(now, bias=now.bias + np.float64(2.0)))
""",
    METHODS: """
from dataclasses import replace
from clients.methods.fedavg import fedavg
from clients.plugins import MethodPlugin

def _fails(options):
    raise RuntimeError("no\\nway")

def _with(**functions):
    return MethodPlugin(lambda options: replace(fedavg(options), **functions), "fedavg")

def _wide(take, own, shared):
    _, loss = take.gradients(own["parameters"])
    return {**own, "parameters": {n: v[None] for n, v in own["parameters"].items()}}, loss

fails = MethodPlugin(_fails, "fedavg")
three = MethodPlugin(lambda options: 3, "fedavg")
many = _with(learns="many")
bare = _with(step=lambda take, own, shared: {})
lost = _with(step=lambda take, own, shared: ({}, take))
half = _with(begin=lambda shared, own, take: {"parameters": {}})
pair = _with(end=lambda own, shared: (own, own))
wide = _with(step=_wide, key=("wide",))
closed = MethodPlugin(lambda options: replace(fedavg(options), key=("closed",)), "fedavg")
told = MethodPlugin(lambda options: replace(fedavg(options), numbers={"pull": 1.0}), "fedavg")
""",
    MODELS: """
import numpy as np
import tensorflow as tf

class Bare:
    head, isotropic, tracks, carried = ("*",), False, False, {}
    def __init__(self, length, channels, classes): pass
    def init(self, random): return {"w": np.ones((2, 2), np.float32)}
    def forward(self, params, x): return x

class Whole(Bare):
    def __init__(self, length, channels, classes):
        self.length, self.channels, self.classes = length, channels, classes

class Headed(Whole):
    head = "w"

class Tracking(Whole):
    tracks = True

class Listed(Whole):
    def init(self, random): return [1.0]

class Whole64(Whole):
    def init(self, random): return {"w": np.ones(2, np.int64)}

class Failing(Whole):
    def __init__(self, length, channels, classes): raise KeyError("classes")

class Right(Whole):
    def forward(self, params, x): return tf.zeros([*x.shape[:2], self.classes])
""",
    STRATEGIES: """
from flwr.serverapp.strategy import FedAvg
from server.strategies import EVERYBODY, ServerHalf

class Empty(FedAvg):
    def aggregate_train(self, server_round, replies): return {}, {}

three = ServerHalf(lambda options: 3)
none = ServerHalf(lambda options: FedAvg(**EVERYBODY), least=lambda options: 0)
forgets = ServerHalf(lambda options: FedAvg(**EVERYBODY), keeps=("nowhere",))
odd = ServerHalf(lambda options: FedAvg(**EVERYBODY), folds="some")
empty = ServerHalf(lambda options: Empty(**EVERYBODY))
""",
}


@pytest.fixture
def theirs(tmp_path, forgetful):
    """Give a function that installs a package with one plug-in, called `mine`."""

    def put(group, name):
        packages = tmp_path / "packages"
        install(packages, "theirs", "3.1", {group: {"mine": f"theirs:{name}"}})
        (packages / "theirs.py").write_text(THEIRS[group])
        forgetful(packages)
        return f"plug-in 'mine' ({group}) of theirs 3.1: "

    return put


def drifted():
    plain = as_recorded(1, 3, 8)
    change = Change("mine", Course(0.0), np.ones(3, np.bool_))
    return plain, changed(1, np.arange(3), [change], plain, [1])[1]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nan", "bias of what its signal returns holds nan; expected finite numbers"),
        ("few", "bias of what its signal returns is of shape [1, 3]; expected an array of shape"),
        ("none", "its signal returns nothing; expected clients.variation.Variations"),
        ("text", "noise of what its signal returns is a str; expected an array of shape [3]"),
        ("back", "cadence of what its signal returns holds -1; expected finite numbers above 0"),
        ("gone", "missing of what its signal returns holds 1.5; expected finite numbers from 0 to"),
        ("whole", "offset of what its signal returns is of float64; expected int64"),
        ("fails", "its signal fails (SystemExit: 0)"),
        ("writes", "its signal fails (ValueError: assignment destination is read-only)"),
    ],
)
def test_a_drift_that_returns_what_nobody_can_measure_is_refused(theirs, name, told):
    who = theirs(DRIFT, name)
    with pytest.raises(BadInput) as error:
        drifted()
    assert str(error.value).startswith(who + told)
    assert "\n" not in str(error.value)


def test_a_drift_may_compute_with_more_digits_than_are_kept(theirs):
    theirs(DRIFT, "good")
    plain, found = drifted()
    assert found.bias.dtype == plain.bias.dtype
    np.testing.assert_array_equal(found.bias, plain.bias + 2.0)


@pytest.mark.parametrize("raised", ["SystemExit(0)", "ImportError('what\\nis')"])
def test_a_package_that_ends_the_process_cannot_be_imported(tmp_path, forgetful, raised):
    install(tmp_path, "theirs", "3.1", {METHODS: {"mine": "theirs:x"}})
    (tmp_path / "theirs.py").write_text(f"raise {raised}\n")
    forgetful(tmp_path)
    with pytest.raises(BadInput, match=r"^plug-in 'mine' .* of theirs 3\.1: ") as told:
        load_plugin(METHODS, "mine")
    assert raised.partition("(")[0] in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Bare", "a Bare has no 'length'; expected length, channels, classes, head, isotropic, tr"),
        ("Headed", "head of a Headed is 'w'; expected patterns of names"),
        ("Tracking", "follows single samples"),
        ("Listed", "its init returns a list; expected arrays by name"),
        ("Whole64", "'w' of what its init returns is of int64; expected an array of finite fracti"),
        ("Failing", "its class fails (KeyError: 'classes')"),
        ("Whole", "what its forward returns is of shape [2, 5, 8, 3]; expected [2, 5, 4] (devices"),
    ],
)
def test_a_model_that_is_none_is_refused(theirs, name, told):
    who = theirs(MODELS, name)
    with pytest.raises(BadInput) as error:
        asked_of_model()
    assert str(error.value).startswith(who + told)


def test_a_model_that_is_one_is_computed(theirs):
    theirs(MODELS, "Right")
    assert asked_of_model().shape == (2, 5, 4)


def asked_of_model():
    model = built("mine", 8, 3, 4)
    return model.forward(model.init(np.random.default_rng(0)), tf.zeros([2, 5, 8, 3]))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("fails", "its device fails (RuntimeError: no way)"),
        ("three", "its device returns an int; expected a clients.methods.Method"),
        ("many", "its device returns learns = 'many'; expected all, participants or nobody"),
        ("bare", "its step returns a dict; expected a tuple (own, loss)"),
        ("lost", "its step returns a loss that is nothing; expected an array of shape [any]"),
        ("half", "its begin returns what lacks 'w' of the group 'parameters'"),
        ("pair", "its end returns 2 values; expected a tuple (sent, own, told)"),
    ],
)
def test_a_method_that_returns_something_else_is_refused(theirs, name, told):
    who = theirs(METHODS, name)
    with pytest.raises(BadInput) as error:
        go_through_method()
    assert str(error.value).startswith(who + told)


def go_through_method():
    arrays = {"w": tf.ones([1, 2])}
    method = half_on_device("mine")(MethodOptions(1))
    own = method.begin({"parameters": arrays}, {"parameters": arrays, "slots": {}}, None)
    if not method.plain:
        method.step(None, own, own)
    method.end(own, own)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("three", "its strategy makes an int; expected a Strategy of flwr"),
        ("none", "its least returns 0; expected a whole number from 1"),
        ("forgets", "keeps = ('nowhere',): a FedAvg has no 'nowhere'"),
        ("odd", "folds = 'some'; expected one of: mean, cluster, none"),
        ("empty", "its aggregate_train returns (dict, dict); expected a tuple of an ArrayRecord"),
    ],
)
def test_a_strategy_that_is_none_is_refused(theirs, name, told):
    who = theirs(STRATEGIES, name)
    with pytest.raises(BadInput) as error:
        go_through_strategy()
    assert str(error.value).startswith(who + told)


def go_through_strategy():
    half = half_of("mine")
    half.least({})
    aggregated("mine", half.strategy({}), 1, [], {})


SCENARIO = """
name = "faulty"
seed = 1
[data]
users = 4
activities = ["walking", "sitting"]
minutes = 1.0
[split]
folds = 1
donors = 2
[model]
program = "dense"
base = "random"
[stream]
rounds = 1
[[arms]]
name = "a"
method = "fedavg"
"""


@pytest.mark.parametrize(
    ("group", "name", "key", "told"),
    [
        (MODELS, "Whole", "model.program", "what its forward returns is of shape"),
        (METHODS, "wide", "arms.a.method", "its step returns what has "),
    ],
)
def test_a_run_with_a_faulty_plugin_ends_in_one_line_and_leaves_nothing(
    theirs, tmp_path, capsys, group, name, key, told
):
    who = theirs(group, name)
    (tmp_path / "faulty.toml").write_text(SCENARIO)
    run = ["run", str(tmp_path / "faulty.toml"), "--workers=1", "--quiet"]
    with pytest.raises(SystemExit) as stop:
        main([*run, "--out", str(tmp_path / "out"), "--set", f"{key}=mine"])
    assert stop.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert f"faulty.toml: {who}{told}" in lines[0]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "same"), [("closed", False), ("told", True)])
def test_steps_that_close_over_other_values_are_told_apart(theirs, name, same):
    """One compiled step would else serve two arms; a number is given to it, not compiled."""
    theirs(METHODS, name)
    one, again, other = (
        half_on_device("mine")(MethodOptions(1, values={"pull": pull})).key
        for pull in (0.1, 0.1, 0.2)
    )
    assert one == again
    assert (one == other) == same

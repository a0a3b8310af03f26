"""One loaded program that devices share by turns."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.learner import Pure
from clients.lent import Lender, Lent
from clients.program import Program
from tests.clients.made_programs import Restless, saved

DEVICES = 3


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """Load a foreign program once for each device to have, and once for them to share."""
    path = saved(tmp_path_factory.mktemp("lent") / "restless", Restless())
    return [Program(path) for _ in range(DEVICES + 1)]


@pytest.fixture(scope="module")
def start(programs):
    return programs[0].read_state()


@pytest.fixture
def devices(programs, start):
    """Give devices that have a program each, and as many that share one."""
    for program in programs:
        program.assign_state(start)
    *own, shared = programs
    lender = Lender(shared)
    return own, [Lent(lender, start) for _ in range(DEVICES)]


def batch(seed):
    random = np.random.default_rng(seed)
    return random.normal(size=(4, 10, 3)).astype(np.float32), np.array([0, 1, 1, 0], np.int32)


def raw(value):
    """Give what a device returned as bytes."""
    if isinstance(value, dict):
        return {name: (v.dtype, v.shape, v.tobytes()) for name, v in value.items()}
    if hasattr(value, "logits"):
        return value.classes.tobytes(), value.logits.tobytes()
    return value


ACTIONS = {
    "predict": lambda device, seed: device.predict(batch(seed)[0]),
    "predict aside": lambda device, seed: device.predict_aside(batch(seed)[0]),
    "learn": lambda device, seed: device.learn(*batch(seed)),
    "read parameters": lambda device, _: device.read_parameters(),
    "read state": lambda device, _: device.read_state(),
    "read context": lambda device, _: device.read_context(),
    "set context": lambda device, _: device.assign_context(device.read_context()),
    "read pure": lambda device, _: device.read_pure().params,
    # Another's program has no functions that would change more than this.
    "set pure": lambda device, _: device.assign_pure(Pure({}, {}, {})),
    "ask for functions": lambda device, _: device.functions,
    "download": lambda device, seed: device.assign_parameters(
        {"weight": np.full((3, 2), seed, np.float32)}, fresh_slots=True
    ),
    "set parameters": lambda device, seed: device.assign_parameters(
        {"weight": np.full((3, 2), seed, np.float32)}
    ),
    "set some state": lambda device, seed: device.assign_state({"predictions": np.float32(seed)}),
    "set all state": lambda device, seed: device.assign_state(
        {
            "weight": np.full((3, 2), seed, np.float32),
            "momentum": np.full((3, 2), seed + 1, np.float32),
            "predictions": np.float32(seed),
        }
    ),
}


def test_a_lent_program_offers_what_is_tried_here_and_no_more():
    public = {name for name in vars(Lent) if not name.startswith("_")}
    assert public == {
        *("predict", "predict_aside", "learn", "read_context", "assign_context"),
        *("read_parameters", "assign_parameters", "read_state", "assign_state"),
        *("functions", "read_pure", "assign_pure"),
    }


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_what_one_device_does_changes_no_other(devices, start, action):
    _, (first, second, third) = devices
    first.learn(*batch(1))
    second.predict(batch(2)[0])
    before = raw(first.read_state()), raw(third.read_state())
    ACTIONS[action](second, 7)
    assert (raw(first.read_state()), raw(third.read_state())) == before
    assert before[1] == raw(start)


def test_devices_begin_with_their_own_variables(programs, start):
    lender = Lender(programs[-1])
    starts = [start | {"weight": np.full((3, 2), value, np.float32)} for value in range(DEVICES)]
    devices = [Lent(lender, own) for own in starts]
    found = [device.read_parameters()["weight"][0, 0] for device in devices]
    assert found == [0.0, 1.0, 2.0]
    assert [raw(device.read_state()) for device in devices] == [raw(own) for own in starts]


def test_what_a_device_was_given_at_first_stays_as_it_was(devices, start):
    before = raw(start)
    for device in devices[1] * 2:
        device.learn(*batch(3))
    assert raw(start) == before


DID = st.tuples(st.integers(0, DEVICES - 1), st.sampled_from(sorted(ACTIONS)), st.integers(0, 9))


def test_devices_that_share_a_program_behave_as_those_that_have_their_own(programs, start):
    # Loading takes long, so that all examples have the same programs, put back before each.
    @settings(deadline=None)
    @given(st.lists(DID, max_size=12))
    def behave_alike(done):
        for program in programs:
            program.assign_state(start)
        *own, shared = programs
        lender = Lender(shared)
        lent = [Lent(lender, start) for _ in range(DEVICES)]
        for device, action, seed in done:
            expected = ACTIONS[action](own[device], seed)
            assert raw(ACTIONS[action](lent[device], seed)) == raw(expected)
        for one, other in zip(own, lent, strict=True):
            assert raw(other.read_state()) == raw(one.read_state())

    behave_alike()


def test_learning_moves_momentum_and_predicting_is_counted(devices):
    """The program that is shared is one that would show it if variables were mixed up."""
    _, (first, second, _) = devices
    first.learn(*batch(1))
    second.predict(batch(1)[0])
    states = first.read_state(), second.read_state()
    assert states[0]["momentum"].any()
    assert not states[1]["momentum"].any()
    assert [state["predictions"] for state in states] == [0.0, 1.0]
    first.assign_parameters({"weight": np.ones((3, 2), np.float32)}, fresh_slots=True)
    assert not first.read_state()["momentum"].any()

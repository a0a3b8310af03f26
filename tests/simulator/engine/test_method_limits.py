"""Ways of learning at the limit at which they become another one."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

from tests.simulator.made_few import EQUAL, USUAL, InNumpy, open_few

LATE = {"faults": {"duration_rounds": 3.0}}
FEDAVG = {
    "fedprox without a pull": ({"method": "fedprox", "mu": 0.0}, USUAL),
    "ifca with one cluster": ({"method": "ifca", "clusters": 1}, USUAL),
    "fedper with an empty head": ({"method": "fedper", "private": ["nothing/*"]}, USUAL),
    "fedbn with nothing that normalises": ({"method": "fedbn", "private": ["norm*/*"]}, USUAL),
    "trimmed mean without trimming": ({"method": "fedtrimmedavg", "trim": 0.0}, EQUAL),
    "dpfedavg without noise and a huge clip": (
        {"method": "dpfedavg", "noise": 0.0, "clip": 1e9},
        EQUAL,
    ),
    "fedbuff without delays that takes all of a round": (
        {"method": "fedbuff", "buffer": "round"},
        USUAL,
    ),
    "fedbuff without delays and a full buffer": ({"method": "fedbuff", "buffer": 3}, EQUAL),
    "fedavgm without momentum": ({"method": "fedavgm", "server_momentum": 0.0}, USUAL),
    "multikrum that selects all": ({"method": "multikrum", "selected": 3}, EQUAL),
    "bulyan without liars": ({"method": "bulyan"}, EQUAL),
    "finetune that never does": ({"method": "finetune", "switch_round": 9}, USUAL),
}
SHARES_AS_FEDAVG = {
    "ditto": {"method": "ditto", "lambda": 2.0},
    "apfl": {"method": "apfl", "alpha": 0.3},
}
LOCAL = {
    "ditto without a pull": {"method": "ditto", "lambda": 0.0},
    "apfl that mixes nothing in": {"method": "apfl", "alpha": 1.0},
}


@pytest.fixture(scope="module")
def play(fleets):
    """Run an arm for three rounds."""

    def run(arm, tables, rounds=3):
        return open_few(fleets("dense"), arm, **tables).run(rounds)

    made = cache(lambda method, equal: run({"method": method}, EQUAL if equal else USUAL))
    return lambda arm, tables, rounds=3: (
        made(arm["method"], tables is EQUAL)
        if arm.keys() == {"method"} and rounds == 3 and tables in (USUAL, EQUAL)
        else run(arm, tables, rounds)
    )


def assert_same_service(one, other):
    """Compare what devices said and the SavedModels that they became, optimizers and all."""
    pd.testing.assert_frame_equal(
        one.windows.drop(columns="loss"), other.windows.drop(columns="loss")
    )
    assert one.devices.keys() == other.devices.keys()
    for name, variables in one.devices.items():
        assert variables.keys() == other.devices[name].keys()
        for key, value in variables.items():
            np.testing.assert_allclose(
                value, other.devices[name][key], rtol=0, atol=1e-12, err_msg=f"{name} {key}"
            )


def assert_same_shared(one, other):
    found = {name.removeprefix("cluster/0/"): value for name, value in one.shared.items()}
    assert found.keys() == other.shared.keys()
    for name, value in found.items():
        np.testing.assert_allclose(value, other.shared[name], rtol=0, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("limit", FEDAVG)
def test_limit_is_fedavg(play, limit):
    arm, tables = FEDAVG[limit]
    found, wanted = play(arm, tables), play({"method": "fedavg"}, tables)
    assert_same_shared(found, wanted)
    assert_same_service(found, wanted)


@pytest.mark.parametrize("method", SHARES_AS_FEDAVG)
def test_model_that_is_shared_does_not_depend_on_the_one_that_is_not(play, method):
    found, wanted = play(SHARES_AS_FEDAVG[method], USUAL), play({"method": "fedavg"}, USUAL)
    assert_same_shared(found, wanted)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("limit", LOCAL)
def test_limit_serves_what_local_serves(play, limit, optimizer):
    more = {} if optimizer == "sgd" else {"optimizer": "adam"}
    found, wanted = play({**LOCAL[limit], **more}, USUAL), play({"method": "local", **more}, USUAL)
    assert (wanted.rounds["steps"].sum()) > 10
    assert_same_service(found, wanted)


def test_apfl_that_mixes_nothing_of_its_own_in_answers_as_fedavg(play):
    found, wanted = play({"method": "apfl", "alpha": 0.0}, USUAL), play({"method": "fedavg"}, USUAL)
    assert_same_shared(found, wanted)
    said = ["device", "round", "question", "predicted", "voted", "downloaded_correct"]
    pd.testing.assert_frame_equal(found.windows[said], wanted.windows[said])


def test_scaffold_begins_as_fedavg(play):
    """No control is known in the first round."""
    arms = {"method": "scaffold"}, {"method": "fedavg"}
    found, wanted = (play(arm, EQUAL, rounds=1) for arm in arms)
    for name, value in wanted.shared.items():
        np.testing.assert_allclose(found.shared[name], value, rtol=0, atol=1e-12)
    assert any(np.abs(found.shared[f"control/{name}"]).max() > 1e-3 for name in wanted.shared)


@pytest.mark.parametrize(
    "arm",
    [
        {"method": "fedtrimmedavg", "trim": 0.0},
        {"method": "qfedavg", "q": 0.0},
    ],
    ids=lambda arm: arm["method"],
)
def test_limit_is_the_plain_mean_where_devices_answer_unequally(fleets, arm):
    """NumPy's trimmed mean without trimming; a device without examples is not in it."""
    opened = open_few(fleets("dense"), arm)
    trial = opened.run(2)
    like = open_few(fleets("dense"), {"method": "fedtrimmedavg", "trim": 0.0})
    rounds = trial.rounds[trial.rounds["round"] > 0]
    assert rounds.groupby("round")["answered"].nunique().max() > 1
    wanted = InNumpy(like, trial, 2)
    for name, value in wanted.server.sent.items():
        np.testing.assert_allclose(trial.shared[name], value, rtol=0, atol=1e-11)
    plain = open_few(fleets("dense"), {"method": "fedavg"}).run(2)
    assert max(np.abs(plain.shared[n] - v).max() for n, v in trial.shared.items()) > 1e-4


def test_delays_matter_to_fedbuff_alone(play):
    on_time, late = (play({"method": "fedavg"}, tables) for tables in (USUAL, {**USUAL, **LATE}))
    assert_same_shared(on_time, late)
    arm = {"method": "fedbuff", "buffer": "round"}
    waiting = play(arm, {**USUAL, **LATE}, rounds=2)
    moved = [np.abs(v - on_time.shared[n]).max() for n, v in waiting.shared.items()]
    assert max(moved) > 1e-4

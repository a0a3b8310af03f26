"""One fold with donors of its own: some train the base model, the others wear all devices."""

import numpy as np
import pytest

from clients.errors import BadScenario
from simulator.plan.plan import build_plan
from simulator.scenario.file import load_scenario

SCENARIO = """
name = "split"
seed = 5
[data]
users = 7
activities = ["walking", "sitting"]
minutes = 1.0
[split]
folds = 1
donors = 3
[[arms]]
name = "local"
method = "local"
"""


@pytest.fixture
def scenario(tmp_path):
    path = tmp_path / "split.toml"
    path.write_text(SCENARIO)
    return lambda *overrides: load_scenario(path, overrides)


def test_donors_and_wearers_are_all_users_and_nobody_is_both(scenario):
    plan = build_plan(scenario())
    (fold,) = plan.folds
    assert len(fold.donors) == 3
    assert len(fold.wearers) == 4
    assert {*fold.donors, *fold.wearers} == set(plan.population.recordings)
    assert plan.pool.users == fold.wearers
    assert fold.devices.tolist() == [0, 1, 2, 3]


def test_variations_are_of_wearers_alone(scenario):
    plan = build_plan(scenario("fleet.devices=50"))
    (fold,) = plan.folds
    wear = plan.wear(fold.devices)
    assert set(wear.users) == set(fold.wearers)
    assert wear.names[:5] == [*fold.wearers, f"{fold.wearers[0]}+1"]
    assert np.bincount(plan.users_of(fold.devices)).tolist() == [13, 13, 12, 12]


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("split.folds=2", "split.donors = 3 with split.folds = 2"),
        ("split.donors=0", 'model.base: "donors" with split.folds = 1'),
    ],
)
def test_impossible_splits_are_refused_when_the_file_is_read(scenario, override, told):
    with pytest.raises(BadScenario, match=told):
        scenario(override)


@pytest.mark.parametrize("donors", [1, 7, 9])
def test_donors_must_leave_a_wearer_and_be_two(scenario, donors):
    with pytest.raises(BadScenario, match=f"split.donors = {donors}: the data has 7 users"):
        build_plan(scenario(f"split.donors={donors}"))


def test_fewer_devices_than_wearers_are_refused(scenario):
    with pytest.raises(BadScenario, match=r"fleet\.devices = 3: 4 users wear"):
        build_plan(scenario("fleet.devices=3"))

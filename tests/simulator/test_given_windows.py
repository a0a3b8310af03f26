"""What somebody who brings a model may train it on."""

import numpy as np
import pytest

from clients.errors import BadScenario
from simulator import Scenario, recordings_of
from simulator.plan.plan import build_plan

TABLES = {
    "name": "mine",
    "seed": 5,
    "data": {"users": 6, "minutes": 0.5, "activities": ["walking", "sitting"]},
    "split": {"folds": 1, "donors": 3},
    "arms": [{"name": "local", "method": "local"}],
}


def test_windows_are_those_of_people_who_wear_no_device():
    scenario = Scenario.from_dict(TABLES)
    windows, labels, users = recordings_of(scenario)
    plan = build_plan(scenario)
    (fold,) = plan.folds
    assert set(users) == set(fold.donors)
    assert not set(users) & {plan.name_of(device) for device in fold.devices}
    assert (windows.dtype, windows.shape[1:]) == (np.float32, (80, 3))
    assert (labels.dtype, len(labels), len(users)) == (np.int64, len(windows), len(windows))
    own = {r.activity: r for r in plan.population.recordings[users[0]]}
    np.testing.assert_array_equal(windows[0], own["walking"].samples[:80])
    assert set(labels[users == users[0]]) == {0, 1}


def test_a_model_that_is_not_there_yet_can_be_the_scenarios(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(
        'name = "mine"\nseed = 5\n[data]\nusers = 4\nminutes = 0.5\nwindow_s = 2.0\n'
        '[split]\nfolds = 1\ndonors = 2\n[model]\nprogram = "mine"\nbase = "random"\n'
        '[[arms]]\nname = "local"\nmethod = "local"\n'
    )
    assert recordings_of(file).windows.shape[1:] == (40, 3)


def test_an_activity_that_a_drift_brings_as_new_is_not_shown():
    drift = [{"kind": "new-activity", "at": 0.5, "activity": "sitting"}]
    three = {**TABLES["data"], "activities": ["walking", "sitting", "standing"]}
    scenario = Scenario.from_dict(TABLES | {"data": three, "drift": drift})
    assert set(recordings_of(scenario).labels) == {0, 2}


@pytest.mark.parametrize("split", [{}, {"folds": 1}, {"folds": 2}])
def test_where_everybody_wears_a_device_there_is_nobody_to_learn_from(split):
    with pytest.raises(BadScenario, match=r"give split.folds = 1 and split.donors = so many"):
        recordings_of(Scenario.from_dict(TABLES | {"split": split, "model": {"base": "random"}}))

"""Sites of a deployed fleet have what a device begins with, each its own user's."""

import numpy as np
import pytest
from safetensors.numpy import load_file

from clients.errors import BadInput
from clients.program import Program
from clients.recordings import read_recordings
from clients.synthetic import synthesize
from clients.wisdm.writer import write_recordings
from server.deploy.folder import FleetFolder
from simulator.base.programs import export_builtin
from simulator.wearing.sites import furnish, wearers
from tests.clients.made_programs import Linear, saved

SIX = ("walking", "jogging", "upstairs", "downstairs", "sitting", "standing")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "dense"
    export_builtin("dense", path, 0)
    return path


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Give a file of v1.1 with the users 5 and 12."""
    folder = tmp_path_factory.mktemp("recordings")
    made = synthesize(2, SIX, rate_hz=20.0, seed=1, minutes=0.3)
    lines = ""
    for user, name in zip((12, 5), sorted({each.user for each in made}), strict=True):
        own = [each for each in made if each.user == name]
        lines += write_recordings(own, user, folder / str(user)).read_text()
    whole = folder / "all" / "WISDM_ar_v1.1_raw.txt"
    whole.parent.mkdir()
    whole.write_text(lines)
    return whole.parent


def test_each_site_gets_its_users_recordings_and_a_model_of_its_own(tmp_path, model, recordings):
    people = wearers(model, recordings, 2)
    assert list(people) == ["5", "12"]
    ports = {user: 19100 + i for i, user in enumerate(people)}
    fleet = FleetFolder(tmp_path, (), "127.0.0.1", 9443, 18000, ports)
    (tmp_path / "superlink").mkdir()
    furnish(fleet, model, people)
    for site in fleet.sites:
        found, _ = read_recordings(site.recordings, source="auto", rate_hz=20.0)
        assert {each.user for each in found} == {site.name}
        assert {each.activity for each in found} == set(SIX)
        assert Program(site.model).activities == SIX
    shared = load_file(fleet.shared)
    own = Program(model).read_parameters()
    assert shared.keys() == own.keys()
    assert all(np.array_equal(shared[name], value) for name, value in own.items())


def test_the_first_users_are_taken(model, recordings):
    assert list(wearers(model, recordings, 1)) == ["5"]


def test_synthetic_people_get_numbers_as_wisdm_has_them(model):
    people = wearers(model, None, 3)
    assert list(people) == ["1600", "1601", "1602"]
    assert [len(own) for own in people.values()] == [6, 6, 6]


def test_a_model_that_no_device_can_begin_with_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no SavedModel there"):
        wearers(tmp_path, None, 1)
    with pytest.raises(BadInput, match="has no table of activities"):
        wearers(saved(tmp_path / "linear", Linear()), None, 1)

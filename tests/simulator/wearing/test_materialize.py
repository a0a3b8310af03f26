"""The SavedModel of any device, from an arm's checkpoint."""

import shutil

import numpy as np
import pytest

from clients.checkpoints import read_checkpoint
from clients.errors import BadInput
from clients.program import Program
from simulator.cohort.checkpoint import find_device, read_shared
from simulator.wearing.materialize import materialize

LEARNING = ["local", "all", "half", "half-personal", "finetune"]


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize("arm", [*LEARNING, "frozen"])
def test_it_is_the_model_that_the_run_wrote_for_the_device(finished, arm, tmp_path):
    written = sorted((finished.path / "devices" / arm).glob("*/round-00004"))
    assert len(written) == 5
    for number, version in enumerate(written):
        out = tmp_path / str(number)
        materialize(finished.path, arm, version.parent.name, out)
        assert same(read_checkpoint(out), read_checkpoint(version))


def test_it_loads_and_predicts(finished, tmp_path):
    device = next((finished.path / "devices" / "local").iterdir()).name
    materialize(finished.path, "local", device, tmp_path / "model")
    program = Program(tmp_path / "model")
    said = program.predict(np.zeros((2, program.length, program.channels), np.float32))
    assert said.classes.shape == (2,)


def test_devices_beyond_those_that_are_written_can_be_had_on_demand(run_small, tmp_path):
    short = ["stream.rounds=2", "fleet.devices=9"]
    few = run_small(["checkpoints.materialize=1", *short]).path
    every = run_small(["checkpoints.materialize=9", *short]).path
    assert len(list((few / "devices" / "half-personal").iterdir())) == 1
    written = sorted((every / "devices" / "half-personal").glob("*/round-00002"))
    assert len(written) == 9
    for version in written:
        name = version.parent.name
        materialize(few, "half-personal", name, tmp_path / name)
        assert same(read_checkpoint(tmp_path / name), read_checkpoint(version))


@pytest.mark.parametrize(
    ("arm", "device", "told"),
    [
        ("nobody", "p001", "has the arms frozen, rules, local"),
        ("local", "p999", "device 'p999'"),
        ("rules", "p001", "no state of devices"),
    ],
)
def test_what_the_run_lacks_is_refused_and_nothing_is_left(finished, arm, device, told, tmp_path):
    with pytest.raises(BadInput, match=told):
        materialize(finished.path, arm, device, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_is_taken_is_refused(finished, tmp_path):
    with pytest.raises(BadInput, match="is there already"):
        materialize(finished.path, "local", "p001", tmp_path)


def test_after_the_switch_to_learning_alone_nothing_is_shared(finished):
    folder = finished.path / "checkpoints" / "finetune"
    device = next((finished.path / "devices" / "finetune").iterdir()).name
    found = find_device(folder, device)
    assert (found.round_, found.shares) == (4, False)
    shared = read_shared(found.folder)  # the server is kept, and is not asked any more
    own = {
        k.removeprefix("params/"): v for k, v in found.variables.items() if k.startswith("params/")
    }
    assert shared.keys() == own.keys()
    assert not any(np.array_equal(shared[name], own[name]) for name in own)


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(finished, tmp_path):
    folder = tmp_path / "local"
    shutil.copytree(finished.path / "checkpoints" / "local", folder)
    for path in folder.glob("*/00004/cohort-*"):
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    device = next((finished.path / "devices" / "local").iterdir()).name
    found = find_device(folder, device)
    assert found.round_ == 3
    version = read_checkpoint(finished.path / "devices" / "local" / device / "round-00003")
    assert same(found.variables, {name: version[name] for name in found.variables})

"""A device's own copy of a SavedModel: complete, small, and its own."""

import shutil

import numpy as np
import pytest
import tensorflow as tf

from clients.checkpoints import _share, read_checkpoint, write_copy
from clients.models import MODELS
from clients.program import Program

every_program = pytest.mark.parametrize("name", sorted(MODELS))


def windows(count, length=40):
    random = np.random.default_rng(count)
    return (random.normal(size=(count, length, 3)) * 3.0 + [0, 0, 9]).astype(np.float32)


def learnt(path):
    """Load a program and let it learn a little, of one activity."""
    program = Program(path)
    program.learn(windows(6, program.length), np.full(6, 3, np.int32))
    return program


def raw(state):
    return {key: (value.dtype, value.shape, value.tobytes()) for key, value in state.items()}


@every_program
def test_a_copy_is_a_complete_program_that_predicts_the_same(name, build, tmp_path):
    program = learnt(build(name).path)
    write_copy(build(name).path, tmp_path / "device" / "round-1", program.read_state())
    own = Program(tmp_path / "device" / "round-1")
    x = windows(5, program.length)
    assert own.predict(x).logits.tobytes() == program.predict(x).logits.tobytes()
    assert raw(own.read_state()) == raw(program.read_state())
    assert own.activities == program.activities
    assert own.parameters == program.parameters


def test_a_copy_loads_by_itself_and_goes_on_learning(build, tmp_path):
    source = tmp_path / "source"
    shutil.copytree(build("dense").path, source)
    program = learnt(source)
    write_copy(source, tmp_path / "copy", program.read_state())
    shutil.rmtree(source)
    own, labels = Program(tmp_path / "copy"), np.array([4, 3, 2, 1], np.int32)
    assert own.learn(windows(4), labels) == program.learn(windows(4), labels)
    assert raw(own.read_state()) == raw(program.read_state())
    assert own.read_state()["step"] == 2


def test_a_copy_shares_the_graph_file_and_has_variables_of_its_own(build, tmp_path):
    source = build("dense").path
    state = learnt(source).read_state()
    write_copy(source, tmp_path / "copy", state)
    inode = {p: (p / "saved_model.pb").stat().st_ino for p in (source, tmp_path / "copy")}
    assert len(set(inode.values())) == 1
    found, original = read_checkpoint(tmp_path / "copy"), read_checkpoint(source)
    assert raw(found) == raw(state)
    assert original["step"] == 0
    assert found["step"] == 1
    assert found["params/classes/bias"].tolist() != original["params/classes/bias"].tolist()
    for file in (tmp_path / "copy" / "variables").iterdir():
        assert file.stat().st_nlink == 1


def test_a_copy_of_a_copy_is_as_good(build, tmp_path):
    program = learnt(build("dense").path)
    write_copy(build("dense").path, tmp_path / "first", program.read_state())
    program = learnt(tmp_path / "first")
    write_copy(tmp_path / "first", tmp_path / "second", program.read_state())
    own = Program(tmp_path / "second")
    assert raw(own.read_state()) == raw(program.read_state())
    assert own.read_state()["step"] == 2
    assert own.predict(windows(3)).logits.tobytes() == program.predict(windows(3)).logits.tobytes()


def test_a_copy_never_overwrites_another(build, tmp_path):
    state = read_checkpoint(build("dense").path)
    write_copy(build("dense").path, tmp_path / "copy", state)
    with pytest.raises(FileExistsError):
        write_copy(build("dense").path, tmp_path / "copy", state)


def test_equal_variables_are_written_in_equal_bytes(build, tmp_path):
    state = learnt(build("dense").path).read_state()
    for name in ("a", "b"):
        write_copy(build("dense").path, tmp_path / name, state)
    files = [
        {f.name: f.read_bytes() for f in (tmp_path / name / "variables").iterdir()}
        for name in ("a", "b")
    ]
    assert files[0] == files[1]


def test_a_program_stands_for_another_copy_without_loading_it(build, tmp_path):
    source = build("dense").path
    there = learnt(source)
    write_copy(source, tmp_path / "copy", there.read_state())
    program = Program(source)
    program.become(tmp_path / "copy", read_checkpoint(tmp_path / "copy"))
    assert program.path == tmp_path / "copy"
    assert program.predict(windows(5)).logits.tolist() == there.predict(windows(5)).logits.tolist()


class Layer(tf.Module):
    """A layer within a module within a module, as people nest them."""

    def __init__(self):
        super().__init__()
        self.kernel = tf.Variable(np.zeros((3, 2), np.float32))


class Net(tf.Module):
    """What holds the layer."""

    def __init__(self):
        super().__init__()
        self.layer = Layer()


class Nested(tf.Module):
    """A foreign program whose variables are named over three levels."""

    def __init__(self):
        super().__init__()
        self.net = Net()
        self.net.layer.kernel.assign(np.ones((3, 2)))

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 10, 3], tf.float32, "sensor_data"),
            tf.TensorSpec([None], tf.int32, "labels"),
        ]
    )
    def learn(self, sensor_data, labels):
        del sensor_data
        self.net.layer.kernel.assign_add(tf.ones([3, 2]))
        return {"loss": tf.cast(tf.size(labels), tf.float32)}

    @tf.function(input_signature=[tf.TensorSpec([None, 10, 3], tf.float32, "sensor_data")])
    def predict(self, sensor_data):
        said = tf.reduce_mean(sensor_data, axis=1) @ self.net.layer.kernel
        return {"predictions": tf.argmax(said, axis=1, output_type=tf.int32)}


def test_a_copy_of_a_nested_foreign_program_holds_what_was_learnt(tmp_path):
    module = Nested()
    signatures = {"learn": module.learn, "predict": module.predict}
    tf.saved_model.save(module, str(tmp_path / "source"), signatures=signatures)
    program = Program(tmp_path / "source")
    program.learn(np.zeros((2, 10, 3), np.float32), np.zeros(2, np.int32))
    assert program.read_state()["net/layer/kernel"].tolist() == [[2.0, 2.0]] * 3
    write_copy(tmp_path / "source", tmp_path / "copy", program.read_state())
    own = Program(tmp_path / "copy")
    assert own.read_state()["net/layer/kernel"].tolist() == [[2.0, 2.0]] * 3
    assert raw(read_checkpoint(tmp_path / "copy")) == raw(own.read_state())


def test_a_file_that_too_many_share_is_replaced_by_its_newest_copy(tmp_path):
    source = tmp_path / "graph.pb"
    source.write_bytes(b"graph")
    for number in range(7):
        _share(source, tmp_path / f"copy-{number}", most=3)
    files = [tmp_path / f"copy-{number}" for number in range(7)]
    assert all(file.read_bytes() == b"graph" for file in [source, *files])
    assert max(file.stat().st_nlink for file in files) <= 3
    assert len({file.stat().st_ino for file in files}) <= 4

"""A program as a file for LiteRT."""

import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from clients.program import Program
from simulator.base.programs import export_builtin
from simulator.cli import main
from simulator.lite import check
from simulator.lite.check import Learnt, Said, check_learning, check_predictions
from simulator.lite.conversion import in_sentences
from simulator.lite.export import Asked, write_lite
from simulator.lite.lowering import lower
from simulator.lite.questions import synthetic_questions
from simulator.lite.runtime import LiteProgram
from tests.clients.made_programs import X, Y, saved
from tests.made_docs import ROOT, blocks

MOST = 64
SLICES = [
    lambda v: v[1:],
    lambda v: v[:, 1:3],
    lambda v: v[-2:, :-1],
    lambda v: v[2],
    lambda v: v[:, -1],
    lambda v: v[:, None],
    lambda v: v[1, None, 2:],
    lambda v: v[1:9, 3],
    lambda v: v[3:1],
]


class Foreign(tf.Module):
    """A program of Keras layers, windows of 10 samples, two classes."""

    def __init__(self, *layers):
        super().__init__()
        kinds = [*layers, keras.layers.GlobalMaxPooling1D(), keras.layers.Dense(2)]
        self.net = keras.Sequential([keras.Input([10, 3]), *kinds])
        self.optimizer = keras.optimizers.SGD(0.1)
        self.optimizer.build(self.net.trainable_variables)

    @tf.function(input_signature=[X, Y])
    def learn(self, sensor_data, labels):
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, self.net(sensor_data))
        self.optimizer.apply(tape.gradient(losses, self.net.trainable_variables))
        return {"loss": tf.reduce_mean(losses)}

    @tf.function(input_signature=[X])
    def predict(self, sensor_data):
        return {"predictions": tf.argmax(self.net(sensor_data), 1, output_type=tf.int32)}


class Sliced(tf.Module):
    """A program whose step takes gradients of a rectifier and of slices of all kinds."""

    def __init__(self):
        super().__init__()
        self.values = tf.Variable(tf.reshape(tf.range(-7.0, 8.0), [3, 5]))

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 10, 3], tf.float32, "sensor_data"),
            tf.TensorSpec([None], tf.int32, "labels"),
        ]
    )
    def learn(self, sensor_data, labels):
        with tf.GradientTape() as tape:
            parts = [tf.reduce_sum(tf.nn.relu(cut(self.values)) ** 2) for cut in SLICES]
            weighed = [(1.0 + place) * part for place, part in enumerate(parts)]
            loss = tf.add_n(weighed) + 0.0 * tf.reduce_sum(sensor_data[:, 0, 0])
        self.values.assign_sub(0.1 * tape.gradient(loss, self.values))
        return {"loss": loss + tf.cast(0 * labels[0], tf.float32)}

    @tf.function(input_signature=[tf.TensorSpec([None, 10, 3], tf.float32, "sensor_data")])
    def predict(self, sensor_data):
        return {"predictions": tf.cast(sensor_data[:, 0, 0] > 0.0, tf.int32)}


def ops_of_library(path):
    from tensorflow.core.protobuf import saved_model_pb2

    content = (path / "saved_model.pb").read_bytes()
    library = saved_model_pb2.SavedModel.FromString(content).meta_graphs[0].graph_def.library
    return {node.op for function in library.function for node in function.node_def}


def test_gradients_in_other_ops_are_the_same_gradients(tmp_path):
    source = saved(tmp_path / "source", Sliced())
    lower(source, tmp_path / "lowered", None)
    absent = {"ReluGrad", "StridedSliceGrad"}
    assert absent <= ops_of_library(source)
    assert not absent & ops_of_library(tmp_path / "lowered")
    one, other = Program(source), Program(tmp_path / "lowered")
    x, labels = np.ones((2, 10, 3), np.float32), np.zeros(2, np.int32)
    before = one.read_state()["values"]
    assert one.learn(x, labels) == pytest.approx(other.learn(x, labels))
    assert not np.allclose(one.read_state()["values"], before)
    np.testing.assert_allclose(one.read_state()["values"], other.read_state()["values"], rtol=1e-6)


def frames_of_the_page():
    """Return the layer that the documentation shows, for windows of 10 samples."""
    names = {"keras": keras, "tf": tf}
    code = next(c for c in blocks(ROOT / "docs" / "lite.md", "python") if "Frames" in c)
    exec(code.replace("i + 75", "i + 5"), names)
    return names["Frames"]()


def test_a_convolution_of_ones_own_learns_in_a_file_where_it_is_a_product(tmp_path, capsys):
    frames = [frames_of_the_page(), keras.layers.Dense(4, activation="relu")]
    source = saved(tmp_path / "frames", Foreign(*frames))
    report = write_lite(source, tmp_path / "frames.tflite", Asked(windows=MOST))
    assert report.learnt.share < 0.01
    source = saved(tmp_path / "conv", Foreign(keras.layers.Conv1D(4, 6, activation="relu")))
    with pytest.raises(SystemExit) as ended:
        main(["model", "lite", str(source), "--out", str(tmp_path / "c"), "--windows", "64"])
    assert not ended.value.code
    told = " ".join(capsys.readouterr().out.split())
    assert "learn not in the file: LiteRT has no op for a part of it" in told
    assert "Conv2DBackpropFilter" in told
    assert "inference. Fo" not in told


def test_words_of_others_end_at_a_sentence():
    first, second = "Not here (see x.y).", "Nor there! Z" + "z" * 200
    assert in_sentences(f"{first}\n{second}") == f"{first} Nor there!"
    assert in_sentences("y" * 500 + ". And more.") == "y" * 500 + "."


@pytest.fixture(scope="module")
def version(finished):
    """Give the SavedModel of a device that has learnt."""
    return next((finished.path / "devices" / "local").glob("*/round-00004"))


@pytest.fixture(scope="module")
def written(finished, version, tmp_path_factory):
    """Give a device's file, and the report on it."""
    file = tmp_path_factory.mktemp("lite") / "device.tflite"
    report = write_lite(version, file, Asked(windows=finished.path))
    return file, report


def test_a_devices_file_says_what_the_device_says(version, written):
    file, report = written
    assert report.other == []
    assert report.refused == ()
    assert report.said.equal == report.said.windows > 100
    signatures = tf.lite.Interpreter(model_path=str(file), num_threads=1)
    predict = signatures.get_signature_runner("predict")
    program = Program(version)
    x = np.random.default_rng(1).normal(0.0, 5.0, (16, 80, 3)).astype(np.float32)
    np.testing.assert_allclose(
        predict(sensor_data=x)["logits"], program.predict(x).logits, atol=1e-4
    )


def test_it_learns_alike_from_fewer_windows_too_and_keeps_what_it_learnt(version, written):
    _, report = written
    lite, program = LiteProgram(report.converted), Program(version)
    random = np.random.default_rng(2)
    for count in (16, 5, 1):
        x = random.normal(0.0, 5.0, (count, 80, 3)).astype(np.float32)
        labels = random.integers(0, 4, count).astype(np.int32)
        assert lite.learn(x, labels) == pytest.approx(program.learn(x, labels), rel=1e-4)
    state, found = program.read_state(), lite.variables()
    assert found.keys() == state.keys() - {"mean", "scale"}
    for name, value in found.items():
        np.testing.assert_allclose(value, state[name], atol=1e-4)
    assert found["step"] == state["step"]
    again = LiteProgram(report.converted)
    assert not np.array_equal(again.save(), lite.save())
    again.restore(lite.save())
    np.testing.assert_array_equal(again.save(), lite.save())
    np.testing.assert_array_equal(again.predict(x).logits, lite.predict(x).logits)


def test_another_program_is_told_from_the_one_in_the_file(version, written):
    _, report = written
    other, lite = Program(version), LiteProgram(report.converted)
    questions = synthetic_questions(other, 16, MOST)
    assert check_predictions(other, lite, questions).unlike() == ""
    other.assign_parameters({name: -value for name, value in other.read_parameters().items()})
    said = check_predictions(other, lite, questions)
    assert said.clear > 0
    assert "predicts otherwise" in said.unlike()


class Lazy(LiteProgram):
    """A file in which a variable learns less than it should: `name` by a share of `learns`."""

    name, learns = "", 1.0

    def learn(self, x, labels):
        before = self.variables()
        loss = super().learn(x, labels)
        after = self.variables()
        after[self.name] = before[self.name] + self.learns * (after[self.name] - before[self.name])
        self.restore(np.concatenate([value.ravel() for value in after.values()]))
        return loss


@pytest.mark.parametrize(
    ("name", "learns"),
    [
        ("params/classes/bias", 0.9),  # of all that is learnt too little to be seen
        ("slots/second/classes/bias", 0.97),
        ("step", 0.0),
    ],
)
def test_a_file_in_which_one_variable_learns_otherwise_is_refused(version, written, name, learns):
    _, report = written
    program = Program(version)
    questions = synthetic_questions(program, 16, MOST)
    lazy = Lazy(report.converted)
    lazy.name, lazy.learns = name, learns
    learnt = check_learning(program, lazy, questions, report.converted)
    assert learnt.share < 0.01
    assert learnt.unlike().startswith(f"learns otherwise: after 20 steps {name} is")


def test_a_file_that_does_not_restore_all_that_it_saves_is_refused(version, written, monkeypatch):
    class Forgets(LiteProgram):
        def restore(self, state):
            super().restore(np.where(np.arange(state.size) == state.size - 1, 0.0, state))

    monkeypatch.setattr(check, "LiteProgram", Forgets)
    _, report = written
    program = Program(version)
    given = program, LiteProgram(report.converted), synthetic_questions(program, 16, MOST)
    told = check_learning(*given, report.converted).unlike()
    assert told == "what it saved is not what it is after it is restored"


def test_a_file_that_predicts_otherwise_once_it_has_learnt_is_refused():
    learnt = Learnt(20, 0.0, 0.0, 0.0, "", 0.0, Said(8, 3, 5, None), restored=True)
    assert "after 20 steps it predicts otherwise: 5 of 8 windows" in learnt.unlike()


def test_a_recurrent_tracker_learns_in_the_interpreters_own_ops(tmp_path, capsys):
    export_builtin("tracker_lstm", tmp_path / "tracker", seed=0)
    file = tmp_path / "tracker.tflite"
    told = ["--windows", "64", "--json"]
    with pytest.raises(SystemExit) as ended:
        main(["model", "lite", str(tmp_path / "tracker"), "--out", str(file), *told])
    assert not ended.value.code
    figures = json.loads(capsys.readouterr().out)
    assert figures["bytes"] == file.stat().st_size
    assert figures["tensorflow_ops"] == []
    assert {"WHILE", "TANH", "ASSIGN_VARIABLE"} <= set(figures["own_ops"])
    assert figures["predictions"]["equal"] == figures["predictions"]["windows"] == 64
    assert figures["learning"]["share"] < 0.01
    assert figures["learn_ms"] > 0.0
    learnt = sum(math.prod(shape) for _, shape in figures["state"])
    save = tf.lite.Interpreter(model_path=str(file)).get_signature_runner("save")
    assert save()["state"].shape == (learnt,)


def test_quantized_parameters_make_a_small_file_that_does_not_learn(version, tmp_path):
    small = write_lite(version, tmp_path / "small.tflite", Asked("dynamic", windows=MOST))
    whole = write_lite(version, tmp_path / "whole.tflite", Asked(learns=False, windows=MOST))
    sizes = [(tmp_path / name).stat().st_size for name in ("small.tflite", "whole.tflite")]
    assert 2 * sizes[0] < sizes[1]
    assert small.learnt is whole.learnt is None
    assert small.said.logits > whole.said.logits
    assert whole.said.equal == whole.said.windows == MOST


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["{version}", "--out", "{here}"], "is there already"),
        (["{version}", "--out", "{here}/x", "--quantize", "int8"], "none, float16, dynamic"),
        (["{version}", "--out", "{here}/x", "--windows", "{here}"], "no run folder"),
        (["{version}", "--out", "{here}/x", "--windows", "3"], "a question has 16"),
        (["{here}", "--out", "{here}/x"], "no SavedModel there"),
    ],
)
def test_bad_input_is_told_in_a_line_and_leaves_nothing(version, tmp_path, capsys, arguments, told):
    words = [word.format(version=version, here=tmp_path) for word in arguments]
    with pytest.raises(SystemExit) as ended:
        main(["model", "lite", *words])
    assert ended.value.code == 2
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []

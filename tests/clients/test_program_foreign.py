"""SavedModels that others wrote: what is accepted, and what is refused with which words."""

import numpy as np
import pytest
import tensorflow as tf

from clients.described import inspect_program
from clients.errors import BadProgram
from clients.program import Program
from tests.clients.made_programs import Linear, Restless, X, Y, saved


@pytest.fixture(scope="module")
def linear(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("foreign") / "linear")


def batch():
    """Make windows of two activities, told apart by the sign of the first axis."""
    x = np.zeros((6, 10, 3), np.float32)
    x[:, :, 0] = np.array([2, -2, 3, -3, 1, -1])[:, None]
    return x, np.array([1, 0, 1, 0, 1, 0], np.int32)


def test_a_module_with_two_signatures_is_a_program(linear):
    program = Program(linear)
    assert (program.length, program.channels, program.activities) == (10, 3, None)
    assert program.parameters == ("weights",)
    assert sorted(program.read_state()) == ["steps", "weights"]


def test_it_predicts_without_logits_and_learns(linear):
    program, (x, y) = Program(linear), batch()
    said = program.predict(x)
    assert said.logits is None
    assert said.classes.tolist() == [0] * 6
    assert program.learn(x, y) == pytest.approx(np.log(2.0))
    assert program.learn(x, y) < 0.5
    assert program.predict(x).classes.tolist() == y.tolist()
    assert program.read_state()["steps"] == 2


def test_its_step_is_the_one_that_it_brings(linear):
    program, (x, y) = Program(linear), batch()
    program.learn(x, y)
    # From zero weights both classes have probability 1/2: the gradient for class 1 is the mean of
    # -|mean x| / 2 = -1, and +1 for class 0; half of it is taken off.
    expected = [[-0.5, 0.5], [0.0, 0.0], [0.0, 0.0]]
    np.testing.assert_allclose(program.read_parameters()["weights"], expected, atol=1e-6)


def test_its_parameters_and_variables_can_be_set(linear):
    program = Program(linear)
    program.assign_parameters({"weights": np.ones((3, 2))}, fresh_slots=True)
    assert program.read_parameters()["weights"].tolist() == [[1.0, 1.0]] * 3
    program.assign_state({"weights": np.zeros((3, 2)), "steps": np.int32(7)})
    assert program.read_state()["steps"] == 7
    assert not program.read_parameters()["weights"].any()


def test_it_has_no_learning_rate_that_could_be_set(linear):
    assert not Program(linear).has_learning_rate


def test_inspecting_it_says_that_it_has_no_table(linear):
    rows = dict(inspect_program(linear))
    assert rows["activities"] == "no table inside"
    assert rows["parameters"] == "6 in 1 arrays"


def test_predictions_by_sample_count_as_the_last_ones(tmp_path):
    @tf.function(input_signature=[X])
    def predict(sensor_data):
        # Each sample's class is its first value.
        return {"predictions": tf.cast(sensor_data[:, :, 0], tf.int32)}

    x = np.zeros((2, 10, 3), np.float32)
    x[0, :, 0], x[1, :, 0] = np.arange(10), np.arange(10)[::-1]
    program = Program(saved(tmp_path / "program", predict=predict))
    assert program.predict(x).classes.tolist() == [9, 0]


def refusal(path):
    with pytest.raises(BadProgram) as refused:
        Program(path)
    message = str(refused.value)
    assert str(path) in message
    return message


def test_a_folder_that_is_missing_is_refused(tmp_path):
    message = refusal(tmp_path / "nowhere")
    assert "no file saved_model.pb" in message
    assert "cnn, cnn_norm, dense" in message


def test_a_folder_without_a_saved_model_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    assert "no file saved_model.pb" in refusal(tmp_path)


def test_a_file_is_refused(tmp_path):
    (tmp_path / "model.keras").write_bytes(b"PK")
    assert "no file saved_model.pb" in refusal(tmp_path / "model.keras")


@pytest.mark.parametrize("content", [b"", b"\x00\xff" * 500, b"not a graph"])
def test_a_damaged_saved_model_is_refused(tmp_path, content):
    (tmp_path / "saved_model.pb").write_bytes(content)
    message = refusal(tmp_path)
    assert "TensorFlow cannot load this SavedModel" in message
    assert "export it again" in message


def test_variables_that_are_missing_are_refused(tmp_path):
    path = saved(tmp_path / "program")
    for file in (path / "variables").iterdir():
        file.unlink()
    assert "TensorFlow cannot load this SavedModel" in refusal(path)


@pytest.mark.parametrize(("lacking", "other"), [("predict", "learn"), ("learn", "predict")])
def test_a_missing_signature_is_named_with_those_that_are_there(tmp_path, lacking, other):
    message = refusal(saved(tmp_path / "program", **{lacking: None}))
    assert f"signature {lacking!r} is missing" in message
    assert f"found: {other}" in message


def test_a_saved_model_without_signatures_is_refused(tmp_path):
    tf.saved_model.save(Linear(), str(tmp_path / "program"), signatures={})
    assert "found: none" in refusal(tmp_path / "program")


def predicting(spec):
    """Make a `predict` that takes another input."""

    @tf.function(input_signature=[spec])
    def predict(value):
        return {"predictions": tf.zeros([tf.shape(value)[0]], tf.int32)}

    return predict


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        (tf.TensorSpec([None, 10, 3], tf.float32, "x"), "'x': 'float32 (None, 10, 3)'"),
        (tf.TensorSpec([None, 10, 3], tf.float64, "sensor_data"), "float64 (None, 10, 3)"),
        (tf.TensorSpec([None, 3], tf.float32, "sensor_data"), "float32 (None, 3)"),
        (tf.TensorSpec([None, None, 3], tf.float32, "sensor_data"), "float32 (None, None, 3)"),
    ],
    ids=["name", "type", "rank", "length"],
)
def test_another_input_is_refused_with_what_was_found_and_expected(tmp_path, spec, found):
    message = refusal(saved(tmp_path / "program", predict=predicting(spec)))
    assert "signature 'predict'" in message
    assert found in message
    assert "'sensor_data': 'float32 of rank 3'" in message


def test_labels_of_another_type_are_refused(tmp_path):
    @tf.function(input_signature=[X, tf.TensorSpec([None], tf.int64, "labels")])
    def learn(sensor_data, labels):
        del sensor_data
        return {"loss": tf.cast(tf.size(labels), tf.float32)}

    message = refusal(saved(tmp_path / "program", learn=learn))
    assert "signature 'learn'" in message
    assert "'labels': 'int64 (None,)'" in message
    assert "'labels': 'int32 of rank 1'" in message


def learning(outputs):
    """Make a `learn` that returns other outputs."""

    @tf.function(input_signature=[X, Y])
    def learn(sensor_data, labels):
        del sensor_data
        return outputs(labels)

    return learn


@pytest.mark.parametrize(
    ("outputs", "found"),
    [
        (lambda y: {"cost": tf.cast(tf.size(y), tf.float32)}, "'cost': 'float32 ()'"),
        (lambda y: {"loss": tf.cast(tf.size(y), tf.float64)}, "'loss': 'float64 ()'"),
        (lambda y: {"loss": tf.cast(y, tf.float32)}, "'loss': 'float32 (None,)'"),
    ],
    ids=["missing", "type", "by window"],
)
def test_another_loss_is_refused(tmp_path, outputs, found):
    message = refusal(saved(tmp_path / "program", learn=learning(outputs)))
    assert "signature 'learn' returns" in message
    assert found in message
    assert "expected 'loss', float32 []" in message


@pytest.mark.parametrize("name", ["predictions", "classes"])
def test_other_predictions_are_refused(tmp_path, name):
    @tf.function(input_signature=[X])
    def predict(sensor_data):
        return {name: tf.zeros([tf.shape(sensor_data)[0]], tf.int64)}

    message = refusal(saved(tmp_path / "program", predict=predict))
    assert f"'{name}': 'int64 (None,)'" in message
    assert "expected 'predictions', int32 [None]" in message


def test_predicting_aside_leaves_a_program_that_changes_by_predicting_as_it_was(tmp_path):
    program = Program(saved(tmp_path / "restless", Restless()))
    x = np.ones((5, 10, 3), np.float32)
    program.predict(x)
    program.predict_aside(x)
    assert program.read_state()["predictions"] == 1.0


def test_it_offers_no_pure_functions(linear):
    assert Program(linear).functions is None

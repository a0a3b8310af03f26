"""What trials find out about a program of others."""

import numpy as np
import pytest
import tensorflow as tf

from clients.described import inspect_program
from clients.errors import BadProgram
from clients.program import Program
from clients.trial import check_classes
from tests.clients.made_programs import Linear, Restless, X, Y, saved


class OneHot(Linear):
    """A program whose loss is zero for a class that it does not have."""

    @tf.function(input_signature=[X, Y])
    def learn(self, sensor_data, labels):
        with tf.GradientTape() as tape:
            said = tf.nn.log_softmax(self.logits(sensor_data))
            loss = -tf.reduce_mean(tf.reduce_sum(said * tf.one_hot(labels, 2), 1))
        self.weights.assign_sub(0.5 * tape.gradient(loss, self.weights))
        return {"loss": loss}


class Whole(Linear):
    """A program that is taught one activity at a time."""

    @tf.function(input_signature=[X, Y])
    def learn(self, sensor_data, labels):
        tf.debugging.assert_equal(labels, labels[0], "more than one activity")
        return Linear.learn.python_function(self, sensor_data, labels)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("programs")
    return lambda kind: Program(saved(folder / f"{kind.__name__}-{id(object())}", kind()))


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (Linear, "'learn' failed on 4 windows of the classes [2]"),
        (Restless, "gives logits of shape (4, 2)"),
        (OneHot, "nothing of it changes when it is taught class 2"),
    ],
)
def test_a_program_with_too_few_classes_is_told_before_it_learns(program, kind, why):
    given = program(kind)
    before = given.read_state()
    check_classes(given, 4, ["walking", "sitting"])
    with pytest.raises(BadProgram) as refused:
        check_classes(given, 4, ["walking", "sitting", "standing"])
    for told in (str(given.path), why, "the scenario has 3 activities", "give it 3 classes"):
        assert told in str(refused.value)
    assert all(np.array_equal(before[key], value) for key, value in given.read_state().items())


@pytest.mark.parametrize(
    ("kind", "classes", "mixed"),
    [(Linear, "2 (`learn` fails on class 2)", True), (Restless, "2", True), (Whole, "2 (", False)],
)
def test_inspecting_says_how_many_classes_and_whether_batches_may_be_mixed(
    program, kind, classes, mixed
):
    rows = dict(inspect_program(program(kind).path))
    assert rows["classes"].startswith(classes)
    assert rows["learns"].startswith("one activity at a time")
    assert ("mixed batches" in rows["learns"]) == mixed

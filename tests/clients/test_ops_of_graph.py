"""Functions of a SavedModel that only its saver may lead to, and the ways in which others could."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from clients.errors import BadProgram, Untrusted
from clients.inspection import inspect_saved_model
from clients.program import Program
from tests.clients.hostile_programs import changed, function_of
from tests.clients.made_programs import Linear, X, saved

WINDOWS = np.zeros((2, 10, 3), np.float32)
HIDDEN = "__inference_hidden_1"


def write(target):
    return tf.raw_ops.SaveV2(
        prefix=str(target), tensor_names=["x"], shape_and_slices=[""], tensors=[[1.0]]
    )


def hide(graph, function):
    """Add a traced function to a library, where nothing calls it; return its FunctionDef."""
    hidden = graph.graph_def.library.function.add()
    hidden.CopyFrom(function.get_concrete_function().function_def)
    hidden.signature.name = HIDDEN
    return hidden


def initialiser(target):
    """Make a function without inputs that writes a file."""

    @tf.function(input_signature=[])
    def hidden():
        write(target)

    return hidden


def replacement(target):
    """Make a function int32 [] -> int32 [] that writes a file."""

    @tf.function(input_signature=[tf.TensorSpec([], tf.int32)])
    def hidden(x):
        with tf.control_dependencies([write(target)]):
            return tf.identity(x + 2)

    return hidden


def initialiser_names_a_function_of_the_library(graph):
    objects = graph.object_graph_def
    first = len(objects.nodes)
    objects.nodes.add().bare_concrete_function.concrete_function_name = HIDDEN
    objects.nodes.add().resource.SetInParent()
    start = objects.nodes[-1].children.add()
    start.node_id, start.local_name = first, "_initialize"
    door = objects.nodes[0].children.add()
    door.node_id, door.local_name = first + 1, "door"


def function_of_an_object(graph):
    graph.object_graph_def.nodes.add().function.concrete_functions.append(HIDDEN)


def captured_by_an_object(graph):
    graph.object_graph_def.nodes.add().captured_tensor.concrete_function = HIDDEN


@pytest.mark.parametrize(
    "name",
    [initialiser_names_a_function_of_the_library, function_of_an_object, captured_by_an_object],
)
def test_an_object_cannot_name_a_function_that_is_not_among_those_of_objects(tmp_path, name):
    def change(graph):
        hide(graph, initialiser(tmp_path / "written"))
        name(graph)

    path = changed(tmp_path / "program", change)
    with pytest.raises(BadProgram, match="refers to what is not there"):
        inspect_saved_model(path, trusted=True)


def test_the_initialiser_would_write_as_soon_as_it_is_loaded(tmp_path):
    def change(graph):
        hide(graph, initialiser(tmp_path / "written"))
        initialiser_names_a_function_of_the_library(graph)

    path = changed(tmp_path / "program", change)
    with pytest.raises(BadProgram):
        Program(path)
    assert not list(tmp_path.glob("written*"))
    tf.saved_model.load(str(path))
    assert list(tmp_path.glob("written*"))


def test_a_function_that_saves_is_refused_though_nothing_leads_to_it(tmp_path):
    hidden = initialiser(tmp_path / "written")
    path = changed(tmp_path / "program", lambda graph: hide(graph, hidden))
    with pytest.raises(Untrusted, match=rf"SaveV2 .*{HIDDEN}.*the saver does not lead to it"):
        Program(path)


def test_a_gradient_that_is_registered_under_a_name_counts_as_called(tmp_path):
    def change(graph):
        name = function_of(graph, "traced_save").signature.name
        gradient = graph.graph_def.library.registered_gradients.add()
        gradient.gradient_func, gradient.registered_op_type = name, "CustomGradient-1"

    with pytest.raises(Untrusted, match="leads to it, which is not the saver"):
        Program(changed(tmp_path / "program", change))


def implementing(name):
    """Make a function int32 [] -> int32 [] that says what it implements."""

    @tf.function(
        input_signature=[tf.TensorSpec([], tf.int32)],
        experimental_attributes={"api_implements": name, "api_preferred_device": "GPU"},
    )
    def good(x):
        return x + 1

    return good


class _Door(tf.saved_model.experimental.TrackableResource):
    """A resource whose initialiser calls a function that says what it implements."""

    def __init__(self):
        super().__init__()
        self.good = implementing("sums")

    def _create_resource(self):
        return tf.raw_ops.HashTableV2(
            key_dtype=tf.string, value_dtype=tf.int32, shared_name="wearfleet-door"
        )

    def _initialize(self):
        tf.print("began with", self.good(tf.constant(1)))


class Opens(Linear):
    """Has a resource, and looks at it when it predicts."""

    def __init__(self):
        super().__init__()
        self.door = _Door()

    @tf.function(input_signature=[X])
    def predict(self, sensor_data):
        size = tf.raw_ops.LookupTableSizeV2(table_handle=self.door.resource_handle)
        rows = tf.shape(sensor_data)[0]
        return {"predictions": tf.fill([rows], tf.cast(size, tf.int32))}


def with_another_implementation(path, target, *, called_by_saver):
    """Save `Opens` with a function that may run in place of the one that it calls."""
    file = saved(path, Opens()) / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    graph = model.meta_graphs[0]
    hidden = hide(graph, replacement(target))
    hidden.attr["api_implements"].s, hidden.attr["api_preferred_device"].s = b"sums", b"CPU"
    if called_by_saver:
        function_of(graph, "traced_save").attr["forward_function_name"].s = HIDDEN.encode()
    file.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("called_by_saver", [False, True])
def test_what_may_run_in_place_of_a_function_counts_as_called(tmp_path, called_by_saver):
    path = with_another_implementation(
        tmp_path / "program", tmp_path / "written", called_by_saver=called_by_saver
    )
    with pytest.raises(Untrusted, match="leads to it, which is not the saver"):
        Program(path)
    assert not list(tmp_path.glob("written*"))


def test_the_other_implementation_would_write_as_soon_as_it_is_loaded(tmp_path):
    path = with_another_implementation(
        tmp_path / "program", tmp_path / "written", called_by_saver=False
    )
    tf.saved_model.load(str(path))
    assert list(tmp_path.glob("written*"))


def test_two_implementations_that_compute_need_no_trust(tmp_path):
    path = saved(tmp_path / "program", Opens())
    model = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    library = model.meta_graphs[0].graph_def.library
    good = next(each for each in library.function if "api_implements" in each.attr)
    library.function.add().CopyFrom(good)
    library.function[-1].signature.name = "__inference_good_for_cpu_1"
    library.function[-1].attr["api_preferred_device"].s = b"CPU"
    (path / "saved_model.pb").write_bytes(model.SerializeToString())
    assert Program(path).predict(WINDOWS).classes.tolist() == [0, 0]

"""What is refused before TensorFlow loads it, and what is not."""

import os

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry

from clients.errors import BadProgram, Untrusted
from clients.inspection import inspect_saved_model
from clients.permitted_ops import PERMITTED, RESTORING, SAVING, is_permitted
from clients.program import Program
from tests.clients.hostile_programs import (
    Knows,
    Writes,
    WritesWhenLoaded,
    changed,
    function_of,
    node_that_calls,
    predicting,
)
from tests.clients.made_programs import Linear, Restless, saved

WINDOWS = np.zeros((2, 10, 3), np.float32)


def refusal(path, kind=Untrusted):
    with pytest.raises(kind) as refused:
        Program(path)
    message = str(refused.value)
    assert message.startswith(str(path))
    return message


def test_every_permitted_op_is_one_that_tensorflow_has():
    assert [op for op in [*PERMITTED, *SAVING, *RESTORING] if op_def_registry.get(op) is None] == []


@pytest.mark.parametrize(
    "word",
    ["File", "Dataset", "Iterator", "Py", "Summary", "Queue", "Rpc", "Debug", "Checkpoint", "Xla",
     "TPU", "Collective", "Nccl", "Save", "Restore", "Decode", "Parse", "Send", "Recv", "Remote",
     "Session", "Abort", "Stage", "ImmutableConst", "LoadAndRemap", "Barrier", "Mutex", "Custom"],
)  # fmt: skip
def test_no_permitted_op_is_of_a_family_that_does_more_than_compute(word):
    assert [op for op in PERMITTED if word in op] == []


@pytest.mark.parametrize("stream", ["stdout", "stderr", "log(info)"])
def test_printing_is_permitted_where_people_look(stream):
    assert is_permitted("PrintV2", stream)
    assert not is_permitted("PrintV2", f"file:///tmp/{stream}")


@pytest.mark.parametrize("make", [Linear, Restless])
def test_a_program_that_computes_is_accepted(tmp_path, make):
    inspect_saved_model(saved(tmp_path / "program", make()))


def test_a_program_that_writes_is_named_with_its_op_its_place_and_the_way_out(tmp_path):
    message = refusal(saved(tmp_path / "program", Writes(tmp_path / "seen")))
    assert "WriteFile (node 'WriteFile' in function '__inference_predict_" in message
    assert "give --trust-program" in message


def test_a_trusted_program_does_what_it_wants(tmp_path):
    program = Program(saved(tmp_path / "program", Writes(tmp_path / "seen")), trusted=True)
    (tmp_path / "seen").unlink(missing_ok=True)
    program.predict(WINDOWS)
    assert (tmp_path / "seen").read_text() == "seen"


def test_an_initialiser_does_not_run_before_it_is_refused(tmp_path):
    path = saved(tmp_path / "program", WritesWhenLoaded(tmp_path / "loaded"))
    (tmp_path / "loaded").unlink(missing_ok=True)
    message = refusal(path)
    assert "WriteFile" in message
    assert "MutexV2" in message
    assert not (tmp_path / "loaded").exists()
    tf.saved_model.load(str(path))
    assert (tmp_path / "loaded").read_text() == "loaded"  # it would have


@tf.function
def _reads():
    return tf.io.read_file("/etc/hostname")


TOUCHES = {
    "ReadFile": lambda _: _reads(),
    "MatchingFiles": lambda _: tf.io.matching_files("/*"),
    "EagerPyFunc": lambda x: tf.py_function(lambda each: each, [x], tf.float32),
    "PyFunc": lambda x: tf.numpy_function(lambda each: each, [x], tf.float32),
    "SaveV2": lambda x: tf.raw_ops.SaveV2(
        prefix="/tmp/x", tensor_names=["x"], shape_and_slices=[""], tensors=[x]
    ),
    "RestoreV2": lambda _: tf.raw_ops.RestoreV2(
        prefix="/tmp/x", tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32]
    ),
    "PrintV2": lambda x: tf.print(x, output_stream="file:///tmp/printed"),
    "TextLineDataset": lambda _: tf.data.TextLineDataset("/etc/passwd").reduce(
        0, lambda count, _: count + 1
    ),
    "ImmutableConst": lambda _: tf.raw_ops.ImmutableConst(
        dtype=tf.float32, shape=[1], memory_region_name="/etc/hostname"
    ),
    "DebugIdentityV2": lambda x: tf.raw_ops.DebugIdentityV2(
        input=x, tfdbg_context_id="x", debug_urls=["file:///tmp/debug"]
    ),
    "FIFOQueueV2": lambda _: tf.raw_ops.FIFOQueueV2(component_types=[tf.int32]),
    "Abort": lambda _: tf.raw_ops.Abort(),
}


@pytest.mark.parametrize("op", sorted(TOUCHES))
def test_what_touches_more_than_tensors_is_refused(tmp_path, op):
    message = refusal(saved(tmp_path / "program", predicting(TOUCHES[op])))
    assert f"{op} (node " in message


@pytest.mark.parametrize(
    "hidden",
    [
        lambda x: tf.cond(tf.size(x) > 0, lambda: tf.io.read_file("/x"), lambda: ""),
        lambda x: tf.while_loop(
            lambda i: i < 2, lambda i: i + tf.strings.length(tf.io.read_file("/x")), [tf.size(x)]
        ),
        lambda x: tf.switch_case(tf.size(x), [lambda: "", lambda: tf.io.read_file("/x")]),
    ],
    ids=["If", "While", "Case"],
)
def test_what_a_branch_holds_is_seen(tmp_path, hidden):
    assert "ReadFile (node " in refusal(saved(tmp_path / "program", predicting(hidden)))


def test_printing_asserting_and_a_table_in_memory_need_no_trust(tmp_path):
    def tells(x):
        tf.debugging.assert_all_finite(x, "finite")
        tf.debugging.assert_less(x, 1e6)
        return tf.print("mean", tf.reduce_mean(x))

    Program(saved(tmp_path / "tells", predicting(tells))).predict(WINDOWS)
    keys = tf.lookup.KeyValueTensorInitializer(["walking", "sitting"], [3, 4])
    program = Program(saved(tmp_path / "knows", Knows(keys)))
    assert program.predict(WINDOWS).classes.tolist() == [3, 3]


def test_a_table_from_a_file_is_refused(tmp_path):
    (tmp_path / "words").write_text("walking\nsitting\n")
    words = tf.lookup.TextFileInitializer(
        str(tmp_path / "words"),
        tf.string,
        tf.lookup.TextFileIndex.WHOLE_LINE,
        tf.int64,
        tf.lookup.TextFileIndex.LINE_NUMBER,
    )
    assert "InitializeTableFromTextFileV2" in refusal(saved(tmp_path / "program", Knows(words)))


def rename(graph, part, op):
    node = function_of(graph, part).node_def.add()
    node.name, node.op = "added", op


def calls(graph, name):
    node = function_of(graph, "_learn_").node_def.add()
    node.name, node.op = "added", "StatefulPartitionedCall"
    node.attr["f"].func.name = name
    return node


def saving(graph):
    return function_of(graph, "traced_save").signature.name


def restoring(graph):
    return function_of(graph, "traced_restore").signature.name


def call_by_op(graph):
    node = function_of(graph, "_learn_").node_def.add()
    node.name, node.op = "added", saving(graph)


def call_in_a_list(graph):
    node = calls(graph, function_of(graph, "_predict_").signature.name)
    node.attr["branches"].list.func.add().name = saving(graph)


def call_by_text(graph):
    function_of(graph, "_learn_").attr["backward_function_name"].s = saving(graph).encode()


def call_by_an_inner_attribute(graph):
    node = calls(graph, function_of(graph, "_predict_").signature.name)
    node.attr["f"].func.attr["g"].func.name = restoring(graph)


def signature_saves(graph):
    name = f"{node_that_calls(graph, 'traced_save').name}:0"
    graph.signature_def["predict"].outputs["predictions"].name = name


def initialiser_restores(graph):
    (name,) = graph.collection_def["saved_model_main_op"].node_list.value
    node = next(n for n in graph.graph_def.node if n.name == name)
    node.input.append(f"^{node_that_calls(graph, 'traced_restore').name}")


def old_initialiser_saves(graph):
    name = node_that_calls(graph, "traced_save").name
    graph.collection_def["legacy_init_op"].node_list.value.append(name)


def restoring_saves(graph):
    graph.saver_def.restore_op_name = node_that_calls(graph, "traced_save").name


def nobody_saves(graph):
    graph.saver_def.save_tensor_name = ""


def object_saves(graph):
    graph.object_graph_def.concrete_functions[saving(graph)].bound_inputs.extend([])
    graph.object_graph_def.nodes.add().function.concrete_functions.append(saving(graph))


def gradient_saves(graph):
    gradient = graph.graph_def.library.gradient.add()
    gradient.function_name = function_of(graph, "_learn_").signature.name
    gradient.gradient_func = saving(graph)


@pytest.mark.parametrize(
    "change",
    [call_by_op, call_in_a_list, call_by_text, call_by_an_inner_attribute, signature_saves,
     initialiser_restores, old_initialiser_saves, restoring_saves, nobody_saves, object_saves,
     gradient_saves],
)  # fmt: skip
def test_nothing_but_the_saver_leads_to_the_ops_of_the_saver(tmp_path, change):
    message = refusal(changed(tmp_path / "program", change))
    assert "leads to it, which is not the saver" in message


def test_an_op_that_nothing_calls_is_refused_as_well(tmp_path):
    def add(graph):
        function = graph.graph_def.library.function.add()
        function.signature.name = "unused"
        node = function.node_def.add()
        node.name, node.op = "write", "WriteFile"

    assert "in function 'unused'" in refusal(changed(tmp_path / "program", add))


def test_an_op_that_nobody_knows_is_refused(tmp_path):
    path = changed(tmp_path / "program", lambda graph: rename(graph, "_learn_", "Wearfleet>Evil"))
    assert "Wearfleet>Evil" in refusal(path)


def test_a_function_cannot_take_the_name_of_an_op(tmp_path):
    def add(graph):
        graph.graph_def.library.function.add().signature.name = "WriteFile"
        rename(graph, "_learn_", "WriteFile")

    assert "it has the name of an op" in refusal(changed(tmp_path / "program", add))


def test_two_functions_of_one_name_are_refused(tmp_path):
    def add(graph):
        first = graph.graph_def.library.function[0]
        graph.graph_def.library.function.add().CopyFrom(first)

    assert "there are two of this name" in refusal(changed(tmp_path / "program", add))


def test_a_function_that_is_not_there_is_refused(tmp_path):
    path = changed(tmp_path / "program", lambda graph: calls(graph, "__inference_other_7"))
    assert "__inference_other_7" in refusal(path)


def asset_outside(graph):
    graph.asset_file_def.add().filename = "../../../etc/passwd"


def registered(graph):
    graph.object_graph_def.nodes[0].registered_name = "Custom>Thing"


def registered_saver(graph):
    graph.object_graph_def.nodes[0].registered_saver = "Custom>Saver"


def large_constant(graph):
    node = function_of(graph, "_learn_").node_def.add()
    node.name, node.op = "large", "Const"
    node.attr["value"].tensor.dtype = types_pb2.DT_FLOAT
    node.attr["value"].tensor.float_val.append(1.0)
    for _ in range(4):
        node.attr["value"].tensor.tensor_shape.dim.add().size = 2**40


def constant(graph, op, dtype):
    """Add a node with a value, and an object that takes it as it is loaded; return the value."""
    node = graph.graph_def.node.add()
    node.name, node.op = "large", op
    node.attr["dtype"].type = node.attr["value"].tensor.dtype = dtype
    objects = graph.object_graph_def
    child = objects.nodes[0].children.add()
    child.node_id, child.local_name = len(objects.nodes), "large"
    objects.nodes.add().constant.operation = "large"
    return node.attr["value"].tensor


def value_of_another_op(graph):
    tensor = constant(graph, "NoOp", types_pb2.DT_FLOAT)
    tensor.float_val.append(1.0)
    tensor.tensor_shape.dim.add().size = 3 * 2**30


def constant_of_another_op(graph):
    constant(graph, "NoOp", types_pb2.DT_FLOAT).float_val.append(1.0)


def constant_that_is_not_there(graph):
    constant(graph, "Const", types_pb2.DT_FLOAT).float_val.append(1.0)
    graph.object_graph_def.nodes[-1].constant.operation = "nowhere"


def repeated_text(graph):
    tensor = constant(graph, "Const", types_pb2.DT_STRING)
    tensor.string_val.append(b"x" * 16 * 2**20)
    tensor.tensor_shape.dim.add().size = 400


def tensors_in_a_variant(graph):
    variant = constant(graph, "Const", types_pb2.DT_VARIANT).variant_val.add()
    variant.type_name = "tensorflow::TensorList"
    tensor = variant.tensors.add()
    tensor.dtype = types_pb2.DT_FLOAT
    tensor.float_val.append(1.0)
    tensor.tensor_shape.dim.add().size = 2**40


def large_variable(graph):
    variable = next(n for n in graph.object_graph_def.nodes if n.HasField("variable")).variable
    variable.shape.dim.add().size = 2**60


def child_that_is_not_there(graph):
    graph.object_graph_def.nodes[0].children.add().node_id = 10**6


def function_that_is_not_there(graph):
    graph.object_graph_def.nodes[0].children[0].node_id = len(graph.object_graph_def.nodes)
    graph.object_graph_def.nodes.add().function.concrete_functions.append("nowhere")


def no_objects(graph):
    graph.ClearField("object_graph_def")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (asset_outside, "'../../../etc/passwd' lies outside of the folder `assets`"),
        (registered, "registered class 'Custom>Thing'"),
        (registered_saver, "registered class"),
        (large_constant, "constants take"),
        (value_of_another_op, "refers to what is not there"),
        (constant_of_another_op, "refers to what is not there"),
        (constant_that_is_not_there, "refers to what is not there"),
        (repeated_text, "constants take"),
        (tensors_in_a_variant, "constants take"),
        (large_variable, "variables take"),
        (child_that_is_not_there, "refers to what is not there"),
        (function_that_is_not_there, "refers to what is not there"),
        (no_objects, "without objects"),
    ],
)
def test_other_tricks_are_refused_even_of_a_trusted_program(tmp_path, change, said):
    path = changed(tmp_path / "program", change)
    assert said in refusal(path, BadProgram)
    with pytest.raises(BadProgram) as refused:
        Program(path, trusted=True)
    assert said in str(refused.value)


def test_two_graphs_are_refused(tmp_path):
    file = saved(tmp_path / "program") / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    model.meta_graphs.add().CopyFrom(model.meta_graphs[0])
    file.write_bytes(model.SerializeToString())
    assert "2 graphs in it" in refusal(tmp_path / "program", BadProgram)


@pytest.mark.parametrize("name", ["saved_model.pbtxt", "saved_model.cpb"])
def test_another_form_beside_the_protobuf_is_refused(tmp_path, name):
    (saved(tmp_path / "program") / name).write_bytes(b"")
    with pytest.raises(BadProgram, match="a SavedModel in another form"):
        Program(tmp_path / "program")


def test_a_graph_that_is_too_large_is_refused_unread(tmp_path):
    os.truncate(saved(tmp_path / "program") / "saved_model.pb", 2**31)
    message = refusal(tmp_path / "program", BadProgram)
    assert "2,147,483,648 bytes" in message or "more than" in message


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    (tmp_path / "secret").write_text("x")
    assets = saved(tmp_path / "program") / "assets"
    (assets / "inside").symlink_to("../saved_model.pb")
    Program(tmp_path / "program")
    (assets / "outside").symlink_to(tmp_path / "secret")
    with pytest.raises(BadProgram, match=r"a link to .*secret"):
        Program(tmp_path / "program")


def test_what_is_neither_file_nor_folder_is_refused(tmp_path):
    os.mkfifo(saved(tmp_path / "program") / "assets" / "pipe")
    with pytest.raises(BadProgram, match="neither a file nor a folder"):
        Program(tmp_path / "program")

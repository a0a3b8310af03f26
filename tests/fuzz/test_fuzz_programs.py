"""Malformed SavedModels: their protobuf, its fields, and the few that pass, loaded."""

import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorflow.core.protobuf import saved_model_pb2

from clients.inspection import inspect_saved_model
from clients.permitted_ops import PERMITTED
from clients.program import Program
from tests.clients.made_programs import Restless, saved
from tests.fuzz.mutations import bytes_like
from tests.fuzz.sandbox import inputs

OPS = ["WriteFile", "ReadFile", "PyFunc", "SaveV2", "RestoreV2", "PrintV2", "", "\u00e9", "A" * 999,
       *sorted(PERMITTED)[::40]]  # fmt: skip
NUMBERS = st.sampled_from([-1, 0, 1, 2, 2**31 - 1, 10**6])


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    """Save the least program, and one with momentum."""
    folder = tmp_path_factory.mktemp("programs")
    return [saved(folder / "linear"), saved(folder / "restless", Restless())]


@pytest.fixture(scope="module")
def put(sandbox, valid):
    """Give a function that writes a SavedModel with another protobuf; it returns its folder."""
    shutil.copytree(valid[0], sandbox.inside / "program")

    def into(content):
        (sandbox.inside / "program" / "saved_model.pb").write_bytes(content)
        return sandbox.inside / "program"

    return into


@inputs(0.06)
@given(data=st.data())
def test_bytes_of_programs(sandbox, valid, put, data):
    contents = [(path / "saved_model.pb").read_bytes() for path in valid]
    path = put(data.draw(bytes_like(*contents)))
    with sandbox.only_refusals("programs"):
        inspect_saved_model(path)


def _change(draw, graph):
    """Change one thing in a graph."""
    library, objects = graph.graph_def.library, graph.object_graph_def
    functions = list(library.function)
    if not functions or not objects.nodes:
        return
    function = draw(st.sampled_from(functions))
    names = [each.signature.name for each in functions]
    node = draw(st.sampled_from([*graph.graph_def.node, *function.node_def]))
    each = draw(st.sampled_from(list(objects.nodes)))
    kind = draw(st.integers(0, 17))
    if kind == 0:
        node.op = draw(st.sampled_from([*OPS, *names]))
    elif kind == 1:
        node.attr["f"].func.name = draw(st.sampled_from([*OPS, *names]))
    elif kind == 2:
        added = function.node_def.add()
        added.name, added.op = "added", draw(st.sampled_from([*OPS, *names]))
    elif kind == 3:
        library.function.add().CopyFrom(function)
    elif kind == 4:
        library.function.remove(function)
    elif kind == 5:
        graph.asset_file_def.add().filename = draw(st.text(max_size=10) | st.just("../x"))
    elif kind == 6:
        each.children.add().node_id = draw(NUMBERS)
    elif kind == 7:
        each.variable.shape.dim.add().size = draw(NUMBERS)
    elif kind == 8:
        each.registered_name = draw(st.text(max_size=5))
    elif kind == 9:
        each.function.concrete_functions.append(draw(st.sampled_from([*OPS, *names])))
    elif kind == 10:
        graph.saver_def.restore_op_name = draw(
            st.sampled_from([each.name for each in graph.graph_def.node])
        )
    elif kind == 11:
        tensor = node.attr["value"].tensor
        tensor.dtype = draw(st.integers(0, 30))
        tensor.tensor_shape.dim.add().size = draw(NUMBERS)
    elif kind == 12:
        objects.nodes.remove(each)
    elif kind == 13:
        node.input.append(draw(st.text(max_size=5)))
    elif kind == 14:
        graph.signature_def["learn"].outputs["loss"].name = draw(st.text(max_size=5))
    elif kind == 15:
        graph.meta_info_def.tags.append(draw(st.text(max_size=5)))
    elif kind == 16:
        each.asset.asset_file_def_index = draw(NUMBERS)
    else:
        each.constant.operation = draw(st.text(max_size=5))


def _changed(data, valid):
    content = (data.draw(st.sampled_from(valid)) / "saved_model.pb").read_bytes()
    model = saved_model_pb2.SavedModel.FromString(content)
    for _ in range(data.draw(st.integers(1, 3))):
        _change(data.draw, model.meta_graphs[0])
    return model.SerializeToString()


@inputs(0.056)
@given(data=st.data())
def test_fields_of_programs(sandbox, valid, put, data):
    path = put(_changed(data, valid))
    with sandbox.only_refusals("programs"):
        inspect_saved_model(path)


@inputs(0.004)
@given(data=st.data())
def test_programs_that_are_loaded_if_they_pass(sandbox, valid, put, data):
    path = put(_changed(data, valid))
    with sandbox.only_refusals("loaded programs"):
        program = Program(path)
        windows = np.zeros((2, program.length, program.channels), np.float32)
        program.predict(windows)
        program.learn(windows, np.zeros(2, np.int32))

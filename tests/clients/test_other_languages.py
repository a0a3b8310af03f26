"""Exported programs in a client of TensorFlow's C API, against the same in Python."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tensorflow.core.protobuf import saved_model_pb2

from clients.export import Blueprint, export_program
from clients.models import MODELS
from clients.program import Program

CLIENT = Path(__file__).with_name("c_client.py")
STEPS = 200


def length_of(name):
    return 1 if name.startswith("tracker") else 80


def exported(path, program):
    blueprint = Blueprint(program, length_of(program), 3, ("a", "b", "c"), "adam", 0.005)
    params = blueprint.model().init(np.random.default_rng(5))
    export_program(blueprint, params, np.zeros(3), np.ones(3), path)
    return path


def names_of(path):
    """Return the names of the signatures' tensors, as `saved_model_cli show` prints them."""
    model = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    (graph,) = model.meta_graphs
    assert list(graph.meta_info_def.tags) == ["serve"]
    learn, predict = (graph.signature_def[name] for name in ("learn", "predict"))
    return {
        "learn": {
            "x": learn.inputs["sensor_data"].name,
            "labels": learn.inputs["labels"].name,
            "loss": learn.outputs["loss"].name,
        },
        "predict": {
            "x": predict.inputs["sensor_data"].name,
            "predictions": predict.outputs["predictions"].name,
        },
    }


@pytest.mark.parametrize("name", sorted(MODELS))
def test_program_predicts_and_learns_in_c_as_it_does_in_python(tmp_path, name):
    path = exported(tmp_path / name, name)
    random = np.random.default_rng(6)
    labels = np.array([0, 1, 2] * 4, np.int32)
    if name == "tracker_lstm":  # one activity at a time
        labels[:] = 1
    x = random.normal(size=(12, length_of(name), 3)).astype(np.float32)
    x[:, :, 0] += 2.0 * labels[:, None]
    ask = {"folder": str(path), "x": x.tolist(), "labels": labels.tolist(), "steps": STEPS}
    done = subprocess.run(
        [sys.executable, str(CLIENT)],
        input=json.dumps(ask | names_of(path)),
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    program = Program(path)
    assert said["before"] == program.predict(x).classes.tolist()
    losses = [program.learn(x, labels) for _ in range(STEPS)]
    np.testing.assert_allclose(said["losses"], losses, rtol=1e-3, atol=1e-5)
    assert said["losses"][-1] < 0.1 * said["losses"][0]
    assert said["after"] == program.predict(x).classes.tolist() == labels.tolist()


def test_signatures_have_the_names_of_the_contract(tmp_path):
    names = names_of(exported(tmp_path / "dense", "dense"))
    assert names["learn"]["x"] == "learn_sensor_data:0"
    assert names["learn"]["labels"] == "learn_labels:0"
    assert names["predict"]["x"] == "predict_sensor_data:0"

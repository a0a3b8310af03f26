"""Whole runs by both engines: programs of float32, thresholds, and programs that others wrote."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from clients.checkpoints import read_checkpoint
from clients.models import MODELS
from clients.program import Program
from simulator.plan.plan import build_plan
from simulator.scenario.file import load_scenario
from tests.simulator.conftest import contents, read_all
from tests.simulator.made_fleets import ACTIVITIES

WHOLE = (
    'arms=[{name="rules", method="heuristic"}, {name="local", method="local"},'
    ' {name="all", method="fedavg"}, {name="body", method="fedper"},'
    ' {name="finetune", method="finetune", switch_round=3}]',
    "fleet.devices=10",
    "data.minutes=1.5",
    "stream.rounds=6",
    "stream.questions_per_round=1",
    "measure.holdout_every=3",
)
"""Overrides: one question per round, so that the model that answers it is a version on disk."""
SELDOM = ("checkpoints.every_rounds=100", "checkpoints.materialize=2")
EVERY_VERSION = ("checkpoints.every_rounds=1", "checkpoints.keep=100")
SHORT = (
    'arms=[{name="local", method="local"}, {name="all", method="fedavg"},'
    ' {name="finetune", method="finetune", switch_round=2}]',
    "stream.rounds=3",
    "fleet.devices=6",
    "model.base=random",
)


@pytest.fixture(scope="module")
def whole(run_small):
    """Give a function that runs a small scenario of float32 programs by one of the engines."""
    made = {}

    def run(program, engine, more=SELDOM):
        if (program, engine, more) not in made:
            keys = (*WHOLE, f"model.program={program}", f"fleet.engine={engine}", *more)
            made[program, engine, more] = run_small(keys)
        return made[program, engine, more]

    return run


KEYS = ["arm", "round", "question", "device", "time_s"]


def margins(run, windows):
    """Return by how much the model that answered preferred its first to its second choice.

    Args:
        run: one that kept every version of every device.
        windows: rows of windows/, of a run with one question per round.
    """
    plan = build_plan(load_scenario(run.path / "scenario.toml"))
    names = [plan.name_of(device) for device in range(plan.devices)]
    folds = {device: fold.index for fold in plan.folds for device in fold.devices.tolist()}
    found = []
    programs = {}
    for row in windows.itertuples():
        device = names.index(row.device)
        before = run.path / "devices" / row.arm / row.device / f"round-{row.round - 1:05d}"
        path = before if row.round > 1 else run.path / "base" / f"fold-{folds[device]}"
        asked, _ = plan.wear(np.array([device])).streams.in_round(row.round, 1)
        own = asked[0, 0][asked[0, 0] >= 0]
        (place,) = np.flatnonzero(plan.pool.windows.time_s[own] == row.time_s)
        program = programs.setdefault(folds[device], Program(path))
        program.become(path, read_checkpoint(path))
        x = plan.wear(np.array([device])).read(own[None, [place]])[0]
        said = program.predict(x)
        first, second = np.sort(said.logits[0])[::-1][:2]
        found.append((ACTIVITIES[said.classes[0]], float(first - second)))
    return found


@pytest.mark.parametrize(
    "program",
    ["dense", *(pytest.param(p, marks=pytest.mark.exhaustive) for p in MODELS if p != "dense")],
)
def test_float32_runs_predict_alike_but_where_two_classes_tie(whole, program):
    stacked, one_by_one = (whole(program, engine) for engine in ("fleet", "reference"))
    ours, theirs = (read_all(run.path / "windows") for run in (stacked, one_by_one))
    pd.testing.assert_frame_equal(ours[KEYS], theirs[KEYS])
    differ = ours["predicted"] != theirs["predicted"]
    assert len(ours) > 2000
    assert differ.mean() <= 0.005
    if differ.any():
        kept = whole(program, "fleet", EVERY_VERSION)
        ties = margins(kept, ours[differ])
        assert [said for said, _ in ties] == ours.loc[differ, "predicted"].tolist()
        assert max(margin for _, margin in ties) < 1e-3


def test_version_that_is_saved_after_a_round_answers_in_the_next(whole):
    # What the test above says of margins rests on this.
    kept = whole("dense", "fleet", (*EVERY_VERSION, *SHORT))
    some = read_all(kept.path / "windows").iloc[::17]
    assert len(some) > 20
    assert [said for said, _ in margins(kept, some)] == some["predicted"].tolist()


def test_thresholds_say_the_same_in_both_engines(whole):
    stacked, one_by_one = (contents(whole("dense", e).path) for e in ("fleet", "reference"))
    parts = ("windows", "rounds")  # checkpoints hold each engine's own rows of devices
    own = [name for name in stacked if name.startswith(parts) and "/rules/" in name]
    assert {name.partition("/")[0] for name in own} == set(parts)
    assert [name for name in own if stacked[name] != one_by_one[name]] == []


class Foreign(tf.Module):
    """A program that others wrote: with momentum, and with a state that predicting changes."""

    _x = tf.TensorSpec([None, 80, 3], tf.float32, "sensor_data")
    _y = tf.TensorSpec([None], tf.int32, "labels")

    def __init__(self):
        super().__init__()
        self.head = tf.Variable(tf.zeros([6, 4]), name="head")
        self.bias = tf.Variable(tf.zeros([4]), name="bias")
        self.velocity = tf.Variable(tf.zeros([6, 4]), trainable=False)
        self.asked = tf.Variable(0.0, trainable=False)

    def logits(self, x):
        features = tf.concat([tf.reduce_mean(x, 1) / 10.0, tf.math.reduce_std(x, 1)], axis=1)
        return features @ self.head + self.bias

    @tf.function(input_signature=[_x, _y])
    def learn(self, sensor_data, labels):
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                labels, self.logits(sensor_data)
            )
            loss = tf.reduce_mean(losses)
        for_head, for_bias = tape.gradient(loss, [self.head, self.bias])
        self.velocity.assign(0.5 * self.velocity + for_head)
        self.head.assign_sub(0.2 * self.velocity)
        self.bias.assign_sub(0.2 * for_bias)
        return {"loss": loss}

    @tf.function(input_signature=[_x])
    def predict(self, sensor_data):
        self.asked.assign_add(1.0)
        tired = tf.one_hot(0, 4) * 0.02 * self.asked  # the more often asked, the sooner class 0
        logits = self.logits(sensor_data) + tired
        said = tf.argmax(logits, axis=1, output_type=tf.int32)
        return {"predictions": said, "logits": logits}


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    module, path = Foreign(), tmp_path_factory.mktemp("foreign") / "program"
    signatures = {"learn": module.learn, "predict": module.predict}
    tf.saved_model.save(module, str(path), signatures=signatures)
    return path


def test_foreign_program_leaves_the_same_bytes_by_either_engine(foreign, run_small):
    keys = [
        'arms=[{name="local", method="local"}, {name="half", method="fedavg", participation=0.5},'
        ' {name="bias", method="fedper", private=["bias"]},'
        ' {name="finetune", method="finetune", switch_round=2}]',
        f"model.program={foreign}",
        "model.base=random",
        "fleet.devices=12",
        "measure.holdout_every=2",
        'labels={ask="uncertain", budget=2, delay_rounds=1}',
        "stream.questions_per_round=3",
        "stream.batch=4",
        "stream.rounds=4",
        "guard.max_norm=1.5",
        "checkpoints.every_rounds=2",
    ]
    stacked, one_by_one = (
        run_small([*keys, f"fleet.engine={engine}"]) for engine in ("fleet", "reference")
    )
    ours, theirs = contents(stacked.path), contents(one_by_one.path)
    ours.pop("scenario.toml"), theirs.pop("scenario.toml")  # the engine is a key of it
    assert ours.keys() == theirs.keys()
    assert {name.partition("/")[0] for name in ours} >= {"windows", "rounds", "events", "devices"}
    assert [name for name in ours if ours[name] != theirs[name]] == []
    learnt = stacked.rounds().groupby("arm")["steps"].sum()
    assert (learnt > 0).all()

"""Programs that follow single samples, by what they say and lose, against the same in NumPy."""

import re
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.checkpoints import write_copy
from clients.errors import BadProgram
from clients.export import Blueprint, export_program
from clients.program import Program
from tests.clients.test_cells import gru, lstm

MEAN, SCALE = np.array([0.5, -1.0, 9.0]), np.array([2.0, 3.0, 4.0])
KINDS = [("tracker_lstm", "sgd"), ("tracker_lstm", "adam"), ("gru", "sgd")]
RATES = {"sgd": 0.3, "adam": 0.02}
TINY = 1e-30  # along the imaginary axis, where differences are exact
close = partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-6)
WHAT = st.sampled_from(["predict", "learn", "predict_aside"])


class ByHand:
    """A tracker in NumPy: a recurrent cell, a layer to the classes, gradients back through time."""

    def __init__(self, name, optimizer, params, rate):
        self.params, self.slots, self.optimizer, self.rate = dict(params), {}, optimizer, rate
        self.step, count = (gru, 1) if name == "gru" else (lstm, 2)
        self.zero = (np.zeros(32),) * count
        self.live, self.start, self.activity = self.zero, None, None

    def predict(self, x):
        self.start, (logits, _, self.live) = self.live, self.follow(x, self.live)
        return logits

    def predict_aside(self, x):
        return self.follow(x, self.zero)[0]

    def learn(self, x, label):
        """Start from where the last prediction did, from the live state or from zero."""
        begin = self.live if self.start is None else self.start
        begin = begin if label == self.activity else self.zero
        loss, gradients, self.live = self.gradients(x, begin, label)
        self.start, self.activity = None, label
        for name, step in gradients.items():
            if self.optimizer == "adam":
                t, first, second = self.slots.get(name, (0, 0.0, 0.0))
                t, first, second = t + 1, 0.9 * first + 0.1 * step, 0.999 * second + 0.001 * step**2
                self.slots[name] = t, first, second
                step = np.sqrt(1.0 - 0.999**t) / (1.0 - 0.9**t) * first / (np.sqrt(second) + 1e-7)
            self.params[name] = self.params[name] - self.rate * step
        return loss

    def follow(self, x, begin):
        """Return the logits [B, K], what each step was computed from, and the end."""
        p, state, steps, logits = self.params, begin, [], []
        for sample in (x[:, 0].astype(np.float64) - MEAN) / SCALE:
            given = sample @ p["forth/inputs"] + p["forth/bias"]
            kept = state[0] @ p["forth/state"] + p["forth/state_bias"]
            before, state = state, self.step(given, kept, state)
            steps.append((sample, state[0], given, kept, *before))
            logits.append(state[0] @ p["classes/kernel"] + p["classes/bias"])
        return np.array(logits), steps, state

    def gradients(self, x, begin, label):
        """Return the mean cross-entropy, its gradients, and the state in the end."""
        logits, steps, end = self.follow(x, begin)
        chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        errors = (chances - np.eye(logits.shape[1])[label]) / len(x)
        p, total = self.params, {name: 0.0 * value for name, value in self.params.items()}
        ahead = [*self.zero]
        for (sample, output, *inputs), error in zip(steps[::-1], errors[::-1], strict=True):
            total["classes/kernel"] += np.outer(output, error)
            total["classes/bias"] += error
            ahead[0] = ahead[0] + p["classes/kernel"] @ error
            to_given, to_kept, *ahead = (self.back(inputs, i, ahead) for i in range(len(inputs)))
            total["forth/inputs"] += np.outer(sample, to_given)
            total["forth/bias"] += to_given
            total["forth/state"] += np.outer(inputs[2], to_kept)
            total["forth/state_bias"] += to_kept
            ahead[0] = ahead[0] + p["forth/state"] @ to_kept
        return -np.mean(np.log(chances[:, label])), total, end

    def back(self, inputs, which, ahead):
        """Return a step's gradient of one of its inputs; units do not touch one another in it."""
        slopes = []
        for gate in np.eye(inputs[which].size // 32).repeat(32, axis=1):
            moved = [*inputs[:which], inputs[which] + 1j * TINY * gate, *inputs[which + 1 :]]
            after = self.step(*moved[:2], moved[2:])
            slopes.append(sum(a * b.imag / TINY for a, b in zip(ahead, after, strict=True)))
        return np.concatenate(slopes)


@pytest.fixture(scope="module", params=KINDS, ids="-".join)
def fresh(request, tmp_path_factory):
    """Give a program as exported, but for its learning rate, and the same in NumPy."""
    name, optimizer = request.param
    blueprint = Blueprint(name, 1, 3, tuple("abcde"), optimizer=optimizer, dtype="float64")
    random = np.random.default_rng(5)
    first = blueprint.model().init(random)
    params = {key: v + 0.2 * random.normal(size=v.shape) for key, v in first.items()}
    path = tmp_path_factory.mktemp("trackers") / "program"
    export_program(blueprint, params, MEAN, SCALE, path)
    program = Program(path)
    exported = program.read_state()

    def give(rate=RATES[optimizer]):
        program.assign_state(exported)
        program.set_learning_rate(rate)
        return program, ByHand(name, optimizer, params, rate)

    return give


def samples(seed, count=4):
    """Draw samples that are about as large as acceleration is."""
    x = np.random.default_rng(seed).normal(size=(count, 1, 3)) * 3.0 + [0, 0, 9]
    return x.astype(np.float32)


def variables(program):
    return {name: value.tobytes() for name, value in program.read_state().items()}


def call(program, by_hand, what, x, label=0):
    """Make one call of both, and compare what comes of it."""
    if what == "learn":
        close(program.learn(x, np.full(len(x), label, np.int32)), by_hand.learn(x, label))
    else:
        close(getattr(program, what)(x).logits, getattr(by_hand, what)(x))


@settings(max_examples=25)
@given(calls=st.lists(st.tuples(WHAT, st.integers(1, 5), st.integers(0, 2)), max_size=11))
def test_any_calls_give_what_the_same_in_numpy_gives(fresh, calls):
    program, by_hand = fresh()
    for seed, (what, count, label) in enumerate([*calls, ("predict", 3, 0), ("learn", 3, 1)]):
        call(program, by_hand, what, samples(seed, count), label)
    for name, value in program.read_parameters().items():
        np.testing.assert_allclose(value, by_hand.params[name], rtol=0, atol=1e-9)


# Calls, P to predict and else a label to learn -> those that the last call goes on from.
BEFORE = {"0": [], "P0": [], "00": [0], "01": [], "010": [], "000": [0, 1], "0P0": [0]}
BEFORE |= {"0PP0": [0, 1], "0P00": [0, 2], "0PPP1": [], "01PP1": [1, 2], "0P": [0], "0PP": [0, 1]}
BEFORE |= {"01P": [1], "0P0P": [0, 2], "0P1P": [2], "00P1PP": [3, 4]}


@pytest.mark.parametrize("calls", BEFORE)
def test_the_state_starts_anew_when_and_only_when_the_activity_changes(fresh, calls):
    """Without a learning rate, a series predicted at once tells what a call went on from."""
    program, _ = fresh(0.0)
    for seed, what in enumerate(calls):
        x, labels = samples(seed), np.full(4, -1 if what == "P" else int(what), np.int32)
        found = program.predict(x).logits if what == "P" else program.learn(x, labels)

    def after(before):
        whole, _ = fresh(0.0)
        said = whole.predict(np.concatenate([samples(seed) for seed in (*before, len(calls) - 1)]))
        return said.logits[-4:] if what == "P" else np.mean(said.losses(int(what))[-4:])

    close(found, after(BEFORE[calls]))
    for others in {tuple(range(count)) for count in range(len(calls))} - {tuple(BEFORE[calls])}:
        assert np.abs(found - after(others)).max() > 1e-4


def test_a_copy_written_between_two_calls_goes_on_as_the_program_does(fresh, tmp_path):
    program, by_hand = fresh()
    for seed, what in enumerate(["learn", "predict", "predict", "learn", "predict", "learn"]):
        call(program, by_hand, what, samples(seed))
        if seed in (2, 3):
            write_copy(program.path, tmp_path / str(seed), program.read_state())
            program = Program(tmp_path / str(seed))


def test_predicting_aside_starts_from_zero_and_leaves_no_trace(fresh):
    program, _ = fresh(0.0)
    first = program.predict(samples(7)).logits
    program.learn(samples(0), np.full(4, 2, np.int32))
    before = variables(program)
    close(program.predict_aside(samples(7)).logits, first)
    assert variables(program) == before


def test_samples_of_several_activities_are_refused_without_a_trace(fresh):
    program, by_hand = fresh()
    call(program, by_hand, "learn", samples(0))
    call(program, by_hand, "predict", samples(1))
    before = variables(program)
    told = r"'learn' failed on 4 windows of the classes \[0, 2\].*one activity at a time"
    with pytest.raises(BadProgram, match=told):
        program.learn(samples(1), np.array([0, 0, 2, 0], np.int32))
    assert variables(program) == before
    call(program, by_hand, "learn", samples(1))
    call(program, by_hand, "predict", samples(2))


def test_each_device_of_a_stack_follows_its_own_samples(fresh):
    by_hand, (program, _) = [fresh(0.0)[1] for _ in range(3)], fresh()
    params, _, state = ({k: np.stack([v] * 3) for k, v in p.items()} for p in program.read_pure())
    random = np.random.default_rng(8)
    for seed, learns in enumerate(random.random(40) < 0.5):
        x, counts = samples(seed, 15).reshape(3, 5, 1, 3), random.integers(6, size=3)
        mask = np.arange(5) < counts[:, None]  # the rest is padding
        y = np.where(mask, random.integers(2, size=(3, 1)), -1).astype(np.int32)
        if learns:
            _, state, said = program.functions.fleet_gradients(params, state, x, y, mask)
        else:
            said, state = program.functions.fleet_predict(params, state, x, mask)
        for d in np.flatnonzero(counts):
            own = x[d, : counts[d]]
            expected = by_hand[d].learn(own, y[d, 0]) if learns else by_hand[d].predict(own)
            close(said[d] if learns else said[d, : counts[d]], expected)
        assert not np.any(np.array(said)[counts == 0])


def test_a_tracker_without_a_state_remembers_the_last_tracked_activity_alone(build):
    program, x = Program(build("tracker_dense").path), samples(0, 6)
    assert program.read_context() == {"state/activity": -1}
    for seed, labels in enumerate([(3, 3), (1, 4, 0), (2,)]):
        program.learn(samples(seed, len(labels)), np.array(labels, np.int32))
        assert program.read_context() == {"state/activity": labels[0]}
        before, said = variables(program), program.predict(x).logits.tobytes()
        assert program.predict_aside(x).logits.tobytes() == said
        assert variables(program) == before


X = {"sensor_data": "DT_FLOAT (-1, 1, 3)"}
SHOWN = {
    "learn": {**X, "labels": "DT_INT32 (-1)", "loss": "DT_FLOAT ()"},
    "predict": {**X, "predictions": "DT_INT32 (-1)", "logits": "DT_FLOAT (-1, 5)"},
}


@pytest.mark.parametrize("signature", SHOWN)
def test_the_command_line_of_tensorflow_shows_what_goes_in_and_comes_out(signature, build):
    command = [f"{sys.prefix}/bin/saved_model_cli", "show", "--tag_set", "serve"]
    command += ["--dir", build("tracker_lstm").path, "--signature_def", signature]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    shown = re.findall(r"puts\['(.*)'\] .*\n *dtype: (.*)\n *shape: (.*)", done.stdout)
    assert {name: f"{dtype} {shape}" for name, dtype, shape in shown} == SHOWN[signature]

"""One contract that every built-in program keeps: export -> load -> predict, learn, stack."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from clients.checkpoints import read_checkpoint
from clients.described import inspect_program
from clients.models import MODELS, answer
from clients.naming import is_statistic
from clients.program import Program

every_program = pytest.mark.parametrize("name", sorted(MODELS))
RECURRENT = ("tracker_lstm",)
stateless = pytest.mark.parametrize("name", sorted(set(MODELS) - set(RECURRENT)))
every_type = pytest.mark.parametrize("dtype", ["float32", "float64"])
TOLERANCE = {"float32": 1e-6, "float64": 1e-10}
ACTIVITIES = ("walking", "jogging", "stairs", "sitting", "standing")
LENGTH, CHANNELS, CLASSES = 40, 3, 5


def length_of(name):
    return 1 if name.startswith("tracker") else LENGTH


def windows_of(name, count, seed=0):
    """Draw windows, or samples, that are about as large as acceleration is."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, length_of(name), CHANNELS)) * 3.0 + [0, 0, 9]
    return x.astype(np.float32)


def labels_of(name, count, seed=0):
    """Draw classes; all of them are one where a program learns one activity at a time."""
    labels = np.random.default_rng(seed).integers(CLASSES, size=count).astype(np.int32)
    return np.full_like(labels, labels[0]) if name in RECURRENT else labels


@pytest.fixture(scope="module")
def loaded(build):
    """Load each program once; a test gets it as it was exported."""
    programs = {}

    def load(name, dtype="float32", optimizer="adam"):
        key = name, dtype, optimizer
        if key not in programs:
            program = Program(build(*key).path)
            programs[key] = program, program.read_state()
        program, state = programs[key]
        program.assign_state(state)
        return program

    return load


@pytest.fixture(scope="module")
def fleet(build):
    """Load each program once for its functions over stacked parameters."""
    modules = {}

    def load(name, dtype="float32", optimizer="adam"):
        key = name, dtype, optimizer
        if key not in modules:
            modules[key] = tf.saved_model.load(str(build(*key).path))
        return modules[key]

    return load


def part(state, kind):
    """Return one kind of variables, "params" or "slots", by their own names."""
    return {k.split("/", 1)[1]: v for k, v in state.items() if k.startswith(f"{kind}/")}


def stack(states, kind):
    """Give several devices' variables of one kind a device axis."""
    parts = [part(state, kind) for state in states]
    return {name: tf.constant(np.stack([p[name] for p in parts])) for name in parts[0]}


def step(module, states, x, y, mask):
    """Take one step for stacked devices: gradients, then the optimizer; (params, slots, loss)."""
    params, slots = stack(states, "params"), stack(states, "slots")
    gradients, _, loss = module.fleet_gradients(params, stack(states, "state"), x, y, mask)
    params, slots = module.fleet_apply(params, slots, gradients)
    return params, slots, loss.numpy()


def advanced(name, program, count):
    """Return what a program is after each of `count` different steps from where it is."""
    states = []
    for seed in range(count):
        program.learn(windows_of(name, 6, seed), labels_of(name, 6, seed))
        states.append(program.read_state())
    return states


@every_program
def test_signatures_are_those_of_the_contract(name, fleet):
    signatures = fleet(name).signatures
    x = tf.TensorSpec([None, length_of(name), CHANNELS], tf.float32, "sensor_data")
    y = tf.TensorSpec([None], tf.int32, "labels")
    assert {"learn", "predict"} <= set(signatures)
    assert signatures["learn"].structured_input_signature == ((), {"sensor_data": x, "labels": y})
    assert signatures["predict"].structured_input_signature == ((), {"sensor_data": x})
    loss = signatures["learn"].structured_outputs["loss"]
    said = signatures["predict"].structured_outputs
    assert (loss.dtype, loss.shape.rank) == (tf.float32, 0)
    assert (said["predictions"].dtype, said["predictions"].shape.rank) == (tf.int32, 1)
    assert (said["logits"].dtype, said["logits"].shape[1]) == (tf.float32, CLASSES)


@every_program
def test_graphs_hold_no_custom_and_no_compiled_parts(name, build):
    content = (build(name).path / "saved_model.pb").read_bytes()
    graph = saved_model_pb2.SavedModel.FromString(content).meta_graphs[0].graph_def
    assert len(graph.library.function) >= 6
    assert not [f for f in graph.library.function if f.attr["_XlaMustCompile"].b]
    ops = {node.op for function in graph.library.function for node in function.node_def}
    assert "MatMul" in ops or "BatchMatMulV2" in ops
    assert not {op for op in ops if op.startswith("Xla") or "PyFunc" in op}


@every_program
def test_a_loaded_program_knows_its_windows_activities_and_parameters(name, build, loaded):
    program = loaded(name)
    built = build(name)
    assert (program.length, program.channels) == (length_of(name), CHANNELS)
    assert program.activities == ACTIVITIES
    assert program.parameters == tuple(sorted(built.params))
    found = program.read_parameters()
    assert found.keys() == built.params.keys()
    for key, value in built.params.items():
        assert found[key].tobytes() == value.tobytes()


@every_program
@pytest.mark.parametrize("count", [1, 8, 13])
def test_predicting_gives_the_class_of_the_largest_logit_of_each_window(name, count, loaded):
    said = loaded(name).predict(windows_of(name, count))
    assert (said.classes.shape, said.classes.dtype) == ((count,), np.int32)
    assert (said.logits.shape, said.logits.dtype) == ((count, CLASSES), np.float32)
    assert said.classes.tolist() == said.logits.argmax(axis=1).tolist()


@stateless
def test_a_window_is_predicted_alike_alone_and_among_others(name, loaded):
    program, x = loaded(name), windows_of(name, 13)
    together = program.predict(x).logits
    alone = np.concatenate([program.predict(x[i : i + 1]).logits for i in range(13)])
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-5)


@stateless
def test_predicting_changes_nothing(name, loaded):
    program = loaded(name)
    before = program.read_state()
    program.predict(windows_of(name, 8))
    after = program.read_state()
    assert {k: v.tobytes() for k, v in before.items()} == {k: v.tobytes() for k, v in after.items()}


@every_program
def test_a_missing_feature_counts_as_an_average_one(name, build, loaded):
    holes = windows_of(name, 3)
    filled, mean = holes.copy(), build(name).mean
    for window, sample, channel in [(0, 5 % length_of(name), 1), (1, 0, 0), (1, -1, 2)]:
        holes[window, sample, channel] = np.nan
        filled[window, sample, channel] = mean[channel]
    holes[2], filled[2] = np.nan, mean
    program = loaded(name)
    said = program.predict_aside(holes).logits
    assert np.isfinite(said).all()
    np.testing.assert_allclose(said, program.predict_aside(filled).logits, rtol=1e-6, atol=1e-6)


@every_program
def test_samples_are_scaled_by_the_donors_figures(name, build, fleet):
    """The same parameters on windows scaled by hand: only the scaling differs."""
    built, x = build(name), windows_of(name, 4)
    model = built.blueprint.model()
    params = {key: tf.constant(value[None]) for key, value in built.params.items()}
    by_hand, _ = answer(model, params, tf.constant((x - built.mean) / built.scale)[None, None])
    said = fleet(name).signatures["predict"](sensor_data=tf.constant(x))["logits"]
    np.testing.assert_allclose(said, by_hand[0, 0], rtol=1e-5, atol=1e-5)


@every_program
def test_learning_lowers_the_loss_of_a_fixed_batch(name, loaded):
    program = loaded(name)
    x, y = windows_of(name, 8), np.array([0, 1, 2, 3, 4, 0, 1, 2], np.int32)
    y = np.full_like(y, 2) if name in RECURRENT else y
    losses = [program.learn(x, y) for _ in range(120)]
    assert losses[-1] < 0.7 * losses[0]
    assert all(np.isfinite(losses))


@every_program
def test_each_step_is_counted(name, loaded):
    program = loaded(name)
    assert program.read_state()["step"] == 0
    for _ in range(3):
        program.learn(windows_of(name, 4), labels_of(name, 4))
    assert program.read_state()["step"] == 3


@every_program
@every_type
def test_learning_is_the_fleets_step_of_one_device(name, dtype, loaded, fleet):
    program = loaded(name, dtype)
    before = advanced(name, program, 2)[-1]
    x, y = windows_of(name, 8, 9), labels_of(name, 8, 9)
    loss = program.learn(x, y)
    mask = np.ones((1, 8), np.bool_)
    params, slots, losses = step(fleet(name, dtype), [before], x[None], y[None], mask)
    assert abs(loss - losses[0]) < 1e-6
    after = program.read_state()
    for kind, found in (("params", params), ("slots", slots)):
        for key, value in part(after, kind).items():
            np.testing.assert_allclose(found[key][0], value, rtol=0, atol=TOLERANCE[dtype])


@every_program
@every_type
def test_each_device_of_a_stack_learns_as_it_does_alone(name, dtype, loaded, fleet):
    program = loaded(name, dtype)
    states = advanced(name, program, 3)
    x = np.stack([windows_of(name, 8, 20 + d) for d in range(3)])
    y = np.stack([labels_of(name, 8, 20 + d) for d in range(3)])
    # Devices have 8, 5 and 1 windows; the rest is padding.
    counts = (8, 5, 1)
    mask = np.arange(8) < np.array(counts)[:, None]
    params, slots, losses = step(fleet(name, dtype), states, x, y, mask)
    for d, count in enumerate(counts):
        program.assign_state(states[d])
        assert abs(program.learn(x[d, :count], y[d, :count]) - losses[d]) < 1e-6
        after = program.read_state()
        for kind, found in (("params", params), ("slots", slots)):
            for key, value in part(after, kind).items():
                np.testing.assert_allclose(found[key][d], value, rtol=0, atol=TOLERANCE[dtype])


@every_program
def test_each_device_of_a_stack_predicts_as_it_does_alone(name, loaded, fleet):
    program = loaded(name)
    states = advanced(name, program, 3)
    x = np.stack([windows_of(name, 5, 30 + d) for d in range(3)])
    mask = np.arange(5) < np.array([5, 2, 0])[:, None]
    params, carried = stack(states, "params"), stack(states, "state")
    logits, _ = fleet(name).fleet_predict(params, carried, x, mask)
    for d, state in enumerate(states):
        program.assign_state(state)
        expected = program.predict(x[d]).logits * mask[d][:, None]
        np.testing.assert_allclose(logits[d], expected, rtol=1e-5, atol=1e-5)


@every_program
def test_gradients_are_what_small_differences_show(name, loaded, fleet):
    module = fleet(name, "float64")
    states = advanced(name, loaded(name, "float64"), 2)
    params = {key: value.numpy() for key, value in stack(states, "params").items()}
    x = np.stack([windows_of(name, 6, 40), windows_of(name, 6, 41)])
    y = np.array([[0, 1, 2, 3, 4, 0], [2, 2, 1, 1, 1, 0]], np.int32)
    y = np.repeat(y[:, :1], 6, axis=1) if name in RECURRENT else y
    mask = np.arange(6) < np.array([6, 5])[:, None]
    carried = stack(states, "state")

    def gradients_at(values):
        values = {key: tf.constant(value) for key, value in values.items()}
        gradients, _, loss = module.fleet_gradients(values, carried, x, y, mask)
        return gradients, loss.numpy()

    gradients, _ = gradients_at(params)
    random, small = np.random.default_rng(6), 1e-6
    for key, value in params.items():
        if is_statistic(key):  # what it "follows" is no gradient of the loss
            continue
        for device in range(2):
            place = (device, *(int(random.integers(n)) for n in value.shape[1:]))
            losses = []
            for sign in (1.0, -1.0):
                moved = {k: v.copy() for k, v in params.items()}
                moved[key][place] += sign * small
                losses.append(gradients_at(moved)[1])
            slope = (losses[0] - losses[1]) / (2.0 * small)
            np.testing.assert_allclose(slope[device], gradients[key][place], rtol=1e-4, atol=1e-7)
            # A device's parameters matter to its own loss alone.
            assert slope[1 - device] == 0.0


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_a_learning_rate_that_is_set_scales_the_step(factor, loaded):
    program = loaded("dense", optimizer="sgd")
    assert program.has_learning_rate
    x, y = windows_of("dense", 6), labels_of("dense", 6)
    start = program.read_parameters()
    moved = []
    for rate in (0.01, 0.01 * factor):
        program.assign_parameters(start)
        program.set_learning_rate(rate)
        program.learn(x, y)
        moved.append({k: v - start[k] for k, v in program.read_parameters().items()})
    for key in start:
        np.testing.assert_allclose(moved[1][key], factor * moved[0][key], rtol=1e-2, atol=1e-6)
    assert max(np.abs(value).max() for value in moved[0].values()) > 1e-4


def test_parameters_are_set_by_name_and_the_others_stay(loaded):
    program = loaded("dense")
    before = program.read_parameters()
    program.assign_parameters({"classes/bias": np.arange(5.0)})
    after = program.read_parameters()
    assert after.pop("classes/bias").tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert all(after[key].tobytes() == before[key].tobytes() for key in after)


def test_the_optimizer_starts_afresh_for_the_parameters_that_were_set_alone(loaded):
    program = loaded("dense")
    program.learn(windows_of("dense", 6), labels_of("dense", 6))
    before = program.read_state()
    program.assign_parameters({"classes/bias": np.zeros(5)}, fresh_slots=True)
    after = program.read_state()
    fresh = {f"slots/{slot}/classes/bias" for slot in ("count", "first", "second")}
    changed = {key for key in after if after[key].tobytes() != before[key].tobytes()}
    assert changed == {*fresh, "params/classes/bias"}
    assert not any(after[key].any() for key in fresh)


@every_program
def test_its_pure_functions_take_what_it_gives_for_them(name, loaded):
    program, x = loaded(name), windows_of(name, 5)
    program.learn(windows_of(name, 6), labels_of(name, 6))
    state, (params, slots, carried) = program.read_state(), program.read_pure()
    for kind, found in (("params", params), ("slots", slots), ("state", carried)):
        expected = part(state, kind)
        assert found.keys() == expected.keys()
        assert all(found[key].tobytes() == expected[key].tobytes() for key in expected)
    stacked, begin = (
        {key: tf.constant(value[None]) for key, value in some.items()} for some in (params, carried)
    )
    logits, _ = program.functions.fleet_predict(stacked, begin, x[None], np.ones((1, 5), np.bool_))
    np.testing.assert_allclose(logits[0], program.predict(x).logits, rtol=1e-5, atol=1e-5)


def test_what_was_read_does_not_change_when_the_program_learns(loaded):
    program = loaded("dense")
    state = program.read_state()
    kept = {key: value.copy() for key, value in state.items()}
    program.learn(windows_of("dense", 6), labels_of("dense", 6))
    assert all(state[key].tobytes() == kept[key].tobytes() for key in kept)


@every_program
def test_variables_read_without_loading_are_those_of_the_program(name, build, loaded):
    state, read = loaded(name).read_state(), read_checkpoint(build(name).path)
    assert read.keys() == state.keys()
    assert all(read[key].tobytes() == state[key].tobytes() for key in state)


@every_program
def test_inspecting_tells_windows_activities_and_number_of_parameters(name, build):
    rows = dict(inspect_program(build(name).path))
    count = sum(value.size for value in build(name).params.values())
    samples = "single samples" if length_of(name) == 1 else "40 samples"
    assert rows["window"] == f"{samples} x 3 channels"
    assert rows["learns"] == ("one activity at a time" if name in RECURRENT else "mixed batches")
    assert rows["activities"] == ", ".join(ACTIVITIES)
    assert rows["parameters"] == f"{count:,} in {len(build(name).params)} arrays"
    assert rows["  classes/bias"] == "(5,)"

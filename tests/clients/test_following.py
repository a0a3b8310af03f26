"""A device on disk follows a server as a simulated one does, whatever interrupts it."""

import numpy as np
import pytest

from clients import following
from clients.checkpoints import read_checkpoint
from clients.device import Device
from clients.device_folder import DeviceFolder
from clients.errors import BadInput
from clients.methods.groups import PARAMETERS
from clients.node import Place, method_of
from clients.playing import recorded
from clients.program import Program
from clients.user import NO_ANSWER
from clients.wearable import Wearable

RUN = {
    "model": "",
    "method": "fedavg",
    "private": "classes/*",
    "rounds": 3,
    "data-path": "",
    "seed": 7,
    "holdout": 0.25,
    "questions-per-round": 3,
    "batch": 4,
    "answer-rate": 0.8,
    "mistake-rate": 0.1,
    "steps": 2,
    "memory": 12,
}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Give a WISDM 2019 folder of one user, with five minutes of three activities."""
    folder, rng = tmp_path_factory.mktemp("watch"), np.random.default_rng(3)
    lines = []
    for start_s, (code, mean) in enumerate({"A": 9.0, "B": -3.0, "D": 2.0}.items(), 1):
        xyz = rng.normal(mean, 2.0, (800, 3))
        lines += [
            f"1600,{code},{start_s * 10**12 + 50_000_000 * i},{x:.4f},{y:.4f},{z:.4f};\n"
            for i, (x, y, z) in enumerate(xyz)
        ]
    (folder / "data_1600_accel_watch.txt").write_text("".join(lines))
    return folder


@pytest.fixture
def place(tmp_path, build, recordings):
    def at(program="dense", **node):
        config = {
            "device": str(tmp_path / "device"),
            "model": str(build(program).path),
            "data-path": str(recordings),
            "partition-id": 5,
        }
        return Place.of({**config, **node}, RUN)

    return at


def sent_by_a_server(wearable, round_):
    """Make what a server could send: parameters that differ from round to round."""
    rng = np.random.default_rng(round_)
    return {
        name: (value + rng.normal(0.0, 0.01, value.shape)).astype(value.dtype)
        for name, value in wearable.parameters().items()
    }


def simulated(place, sent):
    """Let a simulated device live through the same rounds; return it and its updates."""
    wearable = place.open(RUN)
    settings = wearable.settings
    wearable.close()
    method = method_of(RUN, 1)
    program = Program(place.model)
    device, updates = Device(recorded(settings), settings.habits, program, method), []
    for round_, arrays in enumerate(sent, 1):
        device.begin(method, {PARAMETERS: arrays}, round_)
        outcome = device.work(round_, learns=True, method=method, shared={PARAMETERS: arrays})
        updates.append((outcome, device.update(method, {PARAMETERS: arrays})))
    return device, program, updates


@pytest.mark.parametrize("name", ["dense", "tracker_lstm"])
def test_it_learns_what_a_simulated_device_learns(place, name):
    here = place(name)
    wearable = here.open(RUN)
    sent = [sent_by_a_server(wearable, round_) for round_ in range(4)]
    wearable.close()
    _, program, expected = simulated(here, sent)
    for arrays, (outcome, update) in zip(sent, expected, strict=True):
        wearable = here.open(RUN)  # as a new process would, for each message
        found = following.work_round(wearable, arrays)
        wearable.close()
        assert found.examples == outcome.examples[0]
        assert found.loss == pytest.approx(float(outcome.learning_loss[0]), nan_ok=True)
        for parameter, value in found.arrays.items():
            assert np.array_equal(value, update.arrays[parameter][0]), parameter
    state = program.read_state()
    last = read_checkpoint(sorted((here.folder / "versions").iterdir())[-1])
    assert state.keys() == last.keys()
    assert all(np.array_equal(state[key], last[key]) for key in state)
    assert sum(outcome.examples[0] for outcome, _ in expected) > 0


def test_a_round_that_a_kill_cut_short_is_worked_to_its_end(place):
    here = place()
    wearable = here.open(RUN)
    following.work_round(wearable, sent_by_a_server(wearable, 0))
    arrays = sent_by_a_server(wearable, 1)
    wearable.receive(arrays)
    wear, habits = recorded(wearable.settings), wearable.settings.habits
    windows, labels = wear.streams.in_round(2, habits.questions_per_round)
    answers = following._answers(habits, wear, 2, labels)
    for question in range(2):
        x = following._read(wear, windows[0, question])
        wearable.take(x, wearable.predict(x), int(answers[0, question]))
    wearable.close()  # and nothing was saved
    again = here.open(RUN)
    assert (again.differing, again.score.questions) == (0, 5)
    following.work_round(again, sent_by_a_server(again, 2))
    assert again.score.questions == 6
    assert sorted(path.name for path in (here.folder / "versions").iterdir())[-1] == "00000006"
    again.close()


@pytest.mark.parametrize("questions", [0, 1, 3])
def test_what_was_received_is_part_of_what_a_killed_device_is(place, questions):
    here = place()
    wearable = here.open(RUN)
    following.work_round(wearable, sent_by_a_server(wearable, 0))
    arrays = sent_by_a_server(wearable, 1)
    wearable.receive(arrays)
    x = np.random.default_rng(1).normal(0.0, 3.0, (4, 40, 3)).astype(np.float32)
    for answer in (1, 0, NO_ANSWER)[:questions]:
        wearable.take(x, wearable.predict(x), answer)
    before = wearable._now
    wearable.close()
    again = here.open(RUN)
    assert again.differing == 0
    assert again.score == before.score
    for name, value in before.variables.items():
        assert np.array_equal(again._now.variables[name], value), name
    again.close()


def test_going_back_forgets_what_was_received_since(place):
    here = place()
    wearable = here.open(RUN)
    for round_ in range(2):
        following.work_round(wearable, sent_by_a_server(wearable, round_))
    before = wearable._now.variables
    arrays = sent_by_a_server(wearable, 2)
    following.work_round(wearable, arrays)
    wearable.close()
    folder = DeviceFolder(here.folder)
    assert folder.received()[0] == 6
    assert folder.undo() == 3
    assert folder.received()[0] == 6
    assert folder.undo() == 3
    assert folder.received() == (-1, {})
    folder.close()
    assert (here.folder / "undone" / "received.safetensors").is_file()
    again = here.open(RUN)
    assert again.score.questions == 3
    following.work_round(again, sent_by_a_server(again, 1))
    assert again.score.questions == 6
    again.close()
    assert before.keys() == again._now.variables.keys()


def test_versions_are_named_after_questions_and_limited(place):
    here = place(keep=2)
    for round_ in range(4):
        wearable = here.open(RUN)
        following.work_round(wearable, sent_by_a_server(wearable, round_))
        wearable.close()
    assert sorted(path.name for path in (here.folder / "versions").iterdir()) == [
        "00000000",
        "00000009",
        "00000012",
    ]


def test_a_stream_that_is_over_learns_nothing_and_receives_all_the_same(place):
    here = place()
    wearable = here.open(RUN)
    rounds = -(-int(recorded(wearable.settings).streams.lengths()[0]) // 3)
    for round_ in range(rounds):
        following.work_round(wearable, sent_by_a_server(wearable, round_))
    questions = wearable.score.questions
    arrays = sent_by_a_server(wearable, 99)
    update = following.work_round(wearable, arrays)
    assert (update.examples, wearable.score.questions) == (0, questions)
    assert all(np.array_equal(update.arrays[name], value) for name, value in arrays.items())
    wearable.close()


def test_holdout_is_scored_with_what_the_server_sent_and_leaves_no_trace(place):
    here = place("tracker_lstm")
    wearable = here.open(RUN)
    sent = [sent_by_a_server(wearable, round_) for round_ in range(2)]
    following.work_round(wearable, sent[0])
    before = wearable._program.read_state()
    found = following.score_holdout(wearable, sent[1])
    after = wearable._program.read_state()
    wearable.close()
    assert all(np.array_equal(before[name], value) for name, value in after.items())
    device, *_ = simulated(here, sent[:1])
    expected = device.score_holdout(method_of(RUN, 1), {PARAMETERS: sent[1]}, 1)
    assert found.tolist() == expected.tolist()
    assert found.sum() > 0


@pytest.mark.parametrize("bad", ["another name", "another shape", "another type", "nan"])
def test_what_does_not_fit_is_refused_and_the_device_stays(place, bad):
    wearable = place().open(RUN)
    arrays = sent_by_a_server(wearable, 1)
    name = next(iter(arrays))
    if bad == "another name":
        arrays["strange"] = arrays.pop(name)
    elif bad == "another shape":
        arrays[name] = arrays[name][None]
    elif bad == "another type":
        arrays[name] = arrays[name].astype(np.float64)
    else:
        arrays[name].flat[0] = np.nan
    before = wearable._program.read_state()
    with pytest.raises(BadInput, match="the server sent"):
        wearable.receive(arrays)
    after = wearable._program.read_state()
    wearable.close()
    assert all(np.array_equal(before[name], value) for name, value in after.items())


def test_a_damaged_file_of_what_was_received_is_named(place):
    here = place()
    wearable = here.open(RUN)
    wearable.receive(sent_by_a_server(wearable, 1))
    wearable.close()
    (here.folder / "received.safetensors").write_bytes(b"no")
    with pytest.raises(BadInput, match=r"received\.safetensors: damaged"):
        Wearable(here.folder)


def test_a_node_without_a_folder_has_no_place_on_disk():
    assert Place.of({"partition-id": 0}, RUN) is None


def test_a_device_on_disk_needs_recordings(tmp_path, build):
    node = {"device": str(tmp_path / "device"), "model": str(build("dense").path)}
    with pytest.raises(BadInput, match=r"data-path: nothing given"):
        Place.of(node, RUN).open(RUN)
    assert not (tmp_path / "device").exists()

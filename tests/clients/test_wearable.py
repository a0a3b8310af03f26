"""A device in hand is the same after any interrupt, and goes back to what it was."""

import json

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

from clients.checkpoints import read_checkpoint
from clients.device_folder import MEMORY, DeviceFolder, create
from clients.errors import BadInput, BadProgram
from clients.journal import Asked
from clients.program import Program
from clients.user import NO_ANSWER
from clients.wearable import Wearable
from tests.clients.made_programs import Linear, Restless, X, Y, saved
from tests.clients.made_wearables import (
    BATCH,
    SKIPS,
    Sitting,
    begun,
    contents,
    newcomer_of,
    questions_of,
)

PROGRAMS = ("dense", "tracker_lstm", "restless")


@pytest.fixture(scope="module")
def newcomers(build, tmp_path_factory):
    """Give newcomers: one on windows, one with a recurrent state, and one by others."""
    path = saved(tmp_path_factory.mktemp("others") / "restless", Restless())
    own = {name: newcomer_of(build(name).path) for name in PROGRAMS[:2]}
    return own | {"restless": newcomer_of(path, ("walking", "sitting"))}


@pytest.fixture(scope="module")
def undisturbed(newcomers, tmp_path_factory):
    """Give what becomes of each in a sitting that nothing disturbs: score and last version."""

    def sit(name):
        folder = tmp_path_factory.mktemp(name) / "device"
        sitting = begun(folder, newcomers[name], answers=answers_for(name)).answer()
        return sitting.wearable.score, sitting.end()

    return {name: sit(name) for name in PROGRAMS}


def answers_for(name):
    return tuple(min(answer, 1) for answer in SKIPS) if name == "restless" else SKIPS


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("every", [2, 100])
def test_a_device_killed_after_any_question_ends_as_if_it_had_not_been(
    newcomers, undisturbed, name, every, tmp_path
):
    sitting = begun(tmp_path / "device", newcomers[name], answers=answers_for(name), every=every)
    for number in range(len(SKIPS)):
        sitting.answer(number + 1)
        if number % 3 != 1:
            sitting.again()
        assert sitting.wearable.differing == 0
    assert (sitting.wearable.score, sitting.end()) == undisturbed[name]


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_answer_that_was_written_and_not_learnt_is_learnt_when_the_device_is_back(
    newcomers, undisturbed, name, tmp_path
):
    sitting = begun(tmp_path / "device", newcomers[name], answers=answers_for(name)).answer(5)
    x, answer = sitting.questions[5], sitting.answers[5]
    said = sitting.wearable.predict(x)
    vote = said.vote(len(sitting.wearable.settings.activities))
    sitting.wearable.close()
    folder = DeviceFolder(sitting.folder)
    folder.journal.add(Asked(x, said.classes, vote, answer))
    folder.close()
    sitting.again()
    assert sitting.wearable.score.questions == 6
    assert (sitting.answer().wearable.score, sitting.end()) == undisturbed[name]


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_question_that_waits_for_its_answer_leaves_no_trace_in_a_version(
    newcomers, undisturbed, name, tmp_path
):
    sitting = begun(tmp_path / "device", newcomers[name], answers=answers_for(name))
    for number in (0, 1, 4, 7):
        sitting.answer(number)
        sitting.wearable.predict(sitting.questions[number])
        sitting.wearable.save()
        sitting.again()
    assert (sitting.answer().wearable.score, sitting.end()) == undisturbed[name]


@pytest.mark.parametrize("name", PROGRAMS)
def test_going_back_and_answering_the_same_again_gives_the_same_bytes(newcomers, name, tmp_path):
    sitting = begun(tmp_path / "device", newcomers[name], answers=answers_for(name), every=4)
    sitting.answer(10)
    sitting.wearable.save()
    before = contents(sitting.folder)
    for forgotten in (2, 4):  # questions after the version of 8, and of 4
        sitting.wearable.close()
        folder = DeviceFolder(sitting.folder)
        assert folder.undo() == forgotten
        folder.close()
        sitting.again()
    assert sitting.wearable.score.questions == 4
    sitting.answer(10)
    sitting.wearable.save()
    after = contents(sitting.folder)
    assert {path: after[path] for path in before} == before
    assert {path.partition("/")[0] for path in after.keys() - before.keys()} == {"undone"}


def test_a_score_is_of_what_was_predicted_before_it_was_learnt(newcomers, tmp_path):
    sitting = begun(tmp_path / "device", newcomers["dense"])
    right = windows = votes = 0
    for x, answer in zip(sitting.questions, SKIPS, strict=True):
        said = sitting.wearable.predict(x)
        if answer != NO_ANSWER:
            right, windows = right + (said.classes == answer).sum(), windows + len(x)
            votes += np.bincount(said.classes).argmax() == answer
        sitting.wearable.take(x, said, answer)
    score = sitting.wearable.score
    assert (score.right, score.windows, score.votes) == (right, windows, votes)
    assert (score.questions, score.answered) == (len(SKIPS), len(SKIPS) - SKIPS.count(NO_ANSWER))
    assert windows == sum(len(x) for x, a in zip(sitting.questions, SKIPS, strict=True) if a >= 0)


def test_a_version_is_a_savedmodel_that_says_what_the_device_would_say(newcomers, tmp_path):
    sitting = begun(tmp_path / "device", newcomers["dense"]).answer()
    path, x = sitting.wearable.save(), sitting.questions[0]
    alone = tf.saved_model.load(str(path)).signatures["predict"](sensor_data=tf.constant(x))
    assert alone["predictions"].numpy().tolist() == sitting.wearable.predict(x).classes.tolist()
    assert path.name == f"{len(SKIPS):08d}"


def test_a_device_keeps_the_windows_that_it_remembers_and_no_others(newcomers, tmp_path):
    sitting = begun(tmp_path / "device", newcomers["tracker_lstm"]).answer()
    kept = load_file(sitting.wearable.save() / MEMORY)
    remembered = {int(window) // BATCH for window in kept["memory/windows"].ravel() if window >= 0}
    assert {int(name[2:]) for name in kept if name.startswith("x/")} == remembered
    assert len(remembered) == 4  # of 10 that were answered
    assert remembered <= {number for number, answer in enumerate(SKIPS) if answer >= 0}


def test_a_device_learns_only_from_answers(newcomers, tmp_path):
    newcomer = newcomers["dense"]
    sitting = begun(tmp_path / "device", newcomer, answers=(NO_ANSWER,) * len(SKIPS)).answer()
    assert sitting.wearable.score.questions == len(SKIPS)
    state = read_checkpoint(sitting.wearable.save())
    assert all(np.array_equal(state[name], value) for name, value in newcomer.state.items())


def test_saving_twice_writes_one_version_and_old_ones_go(newcomers, tmp_path):
    create(tmp_path / "device", newcomers["dense"])
    questions = questions_of(newcomers["dense"], len(SKIPS))
    wearable = Wearable(tmp_path / "device", keep=2)
    for x, answer in zip(questions[:5], SKIPS, strict=False):
        wearable.take(x, wearable.predict(x), answer)
        assert wearable.save() == wearable.save()
    names = sorted(path.name for path in (tmp_path / "device" / "versions").iterdir())
    assert names == ["00000000", "00000004", "00000005"]


def test_what_an_interrupt_left_of_a_version_goes(newcomers, tmp_path):
    sitting = begun(tmp_path / "device", newcomers["dense"]).answer(3)
    left = sitting.folder / "versions" / ".00000003"
    (left / "variables").mkdir(parents=True)
    sitting.wearable.save()
    left.mkdir()
    sitting.again()
    assert not left.exists()
    assert sitting.wearable.score.questions == 3


def test_a_device_is_used_by_one_at_a_time(newcomers, tmp_path):
    sitting = begun(tmp_path / "device", newcomers["dense"])
    with pytest.raises(BadInput, match="in use by another process"):
        Wearable(sitting.folder)
    sitting.again()


def test_predictions_that_come_out_otherwise_are_counted(newcomers, tmp_path):
    sitting = begun(tmp_path / "device", newcomers["dense"]).answer(3)
    journal = sitting.folder / "journal.jsonl"
    lines = journal.read_text().splitlines()
    fields = json.loads(lines[1])
    fields["predicted"][2] = (fields["predicted"][2] + 1) % 5
    journal.write_text("\n".join([lines[0], json.dumps(fields), lines[2]]) + "\n")
    assert sitting.again().wearable.differing == 1


DAMAGE = {
    "variables that end early": ("variables/variables.data-00000-of-00001", lambda b: b[:50]),
    "an index of nonsense": ("variables/variables.index", lambda _: b"nonsense"),
    "a changed byte": (
        "variables/variables.data-00000-of-00001",
        lambda b: b[:9] + bytes([b[9] ^ 1]) + b[10:],
    ),
    "a memory that ends early": (str(MEMORY), lambda b: b[:50]),
    "no memory": (str(MEMORY), None),
    "no variables": ("variables/variables.index", None),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_version_is_named_and_without_it_the_device_is_back(
    newcomers, undisturbed, case, tmp_path
):
    sitting = begun(tmp_path / "device", newcomers["dense"], every=4).answer()
    name, change = DAMAGE[case]
    path = sitting.wearable.save()
    content = (path / name).read_bytes()
    (path / name).unlink()
    if change:
        (path / name).write_bytes(change(content))
    with pytest.raises(BadInput, match=f"{path}: this version is damaged .*move it away"):
        sitting.again()
    path.rename(tmp_path / "away")
    sitting = Sitting(sitting.folder, sitting.questions)
    assert (sitting.wearable.score, sitting.end()) == undisturbed["dense"]


def test_a_journal_that_is_shorter_than_the_last_version_is_refused(newcomers, tmp_path):
    sitting = begun(tmp_path / "device", newcomers["dense"]).answer(4)
    path = sitting.wearable.save()
    journal = sitting.folder / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:3]))
    with pytest.raises(BadInput, match=f"{path}: has learnt 4 questions, and the journal has 3"):
        sitting.again()
    journal.write_text("".join(lines))
    assert sitting.again().wearable.score.questions == 4


class Moody(Linear):
    """It learns from everything but sitting."""

    @tf.function(input_signature=[X, Y])
    def learn(self, sensor_data, labels):
        tf.debugging.assert_less(labels, 1, "not this one")
        return super().learn(sensor_data, labels)


def test_a_program_that_cannot_learn_an_answer_says_so_and_the_device_can_go_back(tmp_path):
    newcomer = newcomer_of(saved(tmp_path / "moody", Moody()), ("walking", "sitting"), memory=0)
    sitting = begun(tmp_path / "device", newcomer, answers=(0, 0, 1))
    sitting.answer(2)
    before = sitting.wearable.score
    with pytest.raises(BadProgram, match="'learn' failed on 3 windows of the classes \\[1\\]"):
        sitting.answer(3)
    assert sitting.wearable.save().name == "00000002"
    assert sitting.wearable.score == before
    with pytest.raises(BadProgram, match="'learn' failed"):
        sitting.again()
    folder = DeviceFolder(sitting.folder)
    assert folder.undo() == 1
    folder.close()
    assert Wearable(sitting.folder).score == before


def test_classes_that_no_activity_has_are_refused(tmp_path):
    class Wild(Linear):
        @tf.function(input_signature=[X])
        def predict(self, sensor_data):
            return {"predictions": tf.fill([tf.shape(sensor_data)[0]], 7)}

    newcomer = newcomer_of(saved(tmp_path / "wild", Wild()), ("walking", "sitting"))
    sitting = begun(tmp_path / "device", newcomer)
    with pytest.raises(BadProgram, match=r"returned the classes \[7, 7, 7, 7\]; expected 0 to 1"):
        sitting.answer(1)
    assert sitting.wearable.score.questions == 0


def test_a_device_does_not_change_the_program_that_it_began_with(build, tmp_path):
    path = build("dense").path
    before = contents(path)
    begun(tmp_path / "device", newcomer_of(path), every=2).answer().end()
    assert contents(path) == before
    assert Program(path).read_state().keys() == newcomer_of(path).state.keys()

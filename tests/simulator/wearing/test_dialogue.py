"""The dialogue with a wearer: what they may say, who waits for whom, and how it ends."""

import os
import pty
import signal
import threading
import time
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest

from clients.errors import BadInput
from clients.journal import Asked, Score
from clients.prediction import Prediction
from simulator.wearing.dialogue import Dialogue, Lines

ACTIVITIES = ("walking", "Nordic walking", "sitting")
SITTING = 2
STOPPED, ENDED = False, True


@pytest.fixture(autouse=True)
def in_time():
    """Fail where everybody waits for somebody else."""

    def late(*_):
        raise TimeoutError("nothing goes on")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@dataclass
class Fake:
    """A device that always says sitting, and notes what is done with it."""

    done: list = field(default_factory=list)
    score: Score = field(default_factory=Score)
    settings: SimpleNamespace = field(
        default_factory=lambda: SimpleNamespace(activities=ACTIVITIES)
    )
    wrong_at: int = -1

    def predict(self, x):
        self.done.append(("predict", int(x[0, 0, 0])))
        if x[0, 0, 0] == self.wrong_at:
            raise BadInput("cannot predict")
        return Prediction(np.full(len(x), SITTING, np.int32), None)

    def take(self, x, said, answer):
        time.sleep(0.002)  # so that a prediction that does not wait would come first
        self.done.append(("take", int(x[0, 0, 0])))
        self.score = self.score.after(Asked(x, said.classes, SITTING, answer))

    def save(self):
        self.done.append(("save", self.score.questions))

    @property
    def answers(self):
        """Return how many questions were taken."""
        return self.score.questions, self.score.answered, self.score.votes


class Pipe:
    """Standard input as a script has it, or as a person at a terminal."""

    def __init__(self, text="", *, channels=None, terminal=False, ends=True):
        self.told = []
        self.reads, self.writes = pty.openpty()[::-1] if terminal else os.pipe()
        self.lines = Lines(channels, self.told.append, self.reads)
        self.lines.start()
        if text:
            threading.Thread(target=self.say, args=(text, ends), daemon=True).start()
        elif ends:
            os.close(self.writes)

    def say(self, text, ends=False):
        data = text.encode()
        while data:
            data = data[os.write(self.writes, data) :]
        if ends:
            os.close(self.writes)


def numbered(count, seconds=0.0):
    """Give questions whose first sample is their number."""
    for number in range(count):
        yield np.full((2, 1, 3), number, np.float32), seconds


def run(pipe, questions, wearable=None, *, every=100, speed=0.0):
    """Run a dialogue; return how it ended and the device."""
    wearable = wearable or Fake()
    dialogue = Dialogue(wearable, pipe.lines, every=every, speed=speed, tell=pipe.told.append)
    return dialogue.run(questions), wearable


def answered(text, count=1, **more):
    """Return what a device was answered: questions, answers, right votes."""
    pipe = Pipe(text, **more)
    ended, wearable = run(pipe, numbered(count))
    return ended, wearable.answers, pipe.told


@pytest.mark.parametrize("reply", ["", "y", "Yes", "3", "sitting", "SITTING ", " 3\r"])
def test_a_reply_that_confirms(reply):
    assert answered(f"{reply}\n") == (ENDED, (1, 1, 1), [])


@pytest.mark.parametrize("reply", ["1", "2", "walking", "nordic WALKING"])
def test_a_reply_that_corrects(reply):
    assert answered(f"{reply}\n") == (ENDED, (1, 1, 0), [])


@pytest.mark.parametrize("reply", ["s", "skip", "S"])
def test_a_reply_that_skips(reply):
    assert answered(f"{reply}\n") == (ENDED, (1, 0, 0), [])


@pytest.mark.parametrize("reply", ["q", "quit", "STOP"])
def test_a_reply_that_stops(reply):
    assert answered(f"\n{reply}\n\n", count=3) == (STOPPED, (1, 1, 1), [])


@pytest.mark.parametrize(
    "reply", ["0", "4", "-1", "1.0", "²", "01", "9" * 5000, "n", "1,2", "\xff"]
)
def test_a_reply_that_is_none_is_asked_again(reply, capsys):
    ended, done, told = answered(f"{reply}\n1\n")
    assert (ended, done) == (ENDED, (1, 1, 0))
    assert len(told) == 1
    assert "is no answer: 1 walking, 2 Nordic walking, 3 sitting; Enter for yes" in told[0]
    assert len(told[0]) < 200
    assert capsys.readouterr().out.count("sitting? [Enter = yes, 1-3 = another") == 2


def test_names_that_are_numbers_or_words_of_the_dialogue_give_way(capsys):
    wearable = Fake(settings=SimpleNamespace(activities=("3", "s", "1")))
    assert run(Pipe("3\n1\ns\n"), numbered(3), wearable)[0] is ENDED
    assert wearable.answers == (3, 2, 1)
    assert capsys.readouterr().out.startswith("1? [Enter = yes, 1-3")


def test_the_input_may_end_at_any_time():
    assert answered("", count=2) == (STOPPED, (0, 0, 0), [])
    assert answered("\n1", count=3) == (STOPPED, (2, 2, 1), [])  # the last line lacks its end
    assert answered("\n1\n", count=2) == (ENDED, (2, 2, 1), [])


def test_an_input_that_is_closed_has_ended():
    pipe = Pipe(ends=False)
    lines = Lines(None, pipe.told.append, 10_000)  # no such file is open
    lines.start()
    assert (lines.answer(), lines.answer(), list(lines.samples())) == (None, None, [])


def test_every_prompt_on_a_pipe_is_a_line_and_shows_the_accuracy_so_far(capsys):
    run(Pipe("\n1\ns\n\n"), numbered(4))
    asked = "sitting? [Enter = yes, 1-3 = another, s = skip, q = stop]"
    assert capsys.readouterr().out.splitlines() == [
        asked,
        f"{asked}  [1 of 1 right so far]",
        f"{asked}  [1 of 2 right so far]",
        f"{asked}  [1 of 2 right so far]",
    ]


def test_a_question_is_predicted_when_the_one_before_it_is_learnt():
    wearable = run(Pipe("\n" * 20), numbered(20))[1]
    assert wearable.done == [(what, i) for i in range(20) for what in ("predict", "take")]


def test_a_version_is_saved_after_every_so_many_answers_of_a_devices_life():
    wearable = Fake(score=Score(questions=9, answered=1))
    run(Pipe("\ns\n\n\n\ns\n\n"), numbered(7), wearable, every=2)
    assert [asked for what, asked in wearable.done if what == "save"] == [10, 13, 16]


def test_what_goes_wrong_elsewhere_is_raised_once_all_before_it_is_done():
    def broken():
        yield from numbered(3)
        raise BadInput("no more")

    wearable = Fake()
    with pytest.raises(BadInput, match="no more"):
        run(Pipe("\n" * 9), broken(), wearable)
    assert wearable.answers == (3, 3, 3)
    wearable = Fake(wrong_at=1)
    with pytest.raises(BadInput, match="cannot predict"):
        run(Pipe("\n" * 9), numbered(3), wearable)
    assert wearable.answers == (1, 1, 1)


class Slow(Fake):
    """A device that thinks for long."""

    def predict(self, x):
        time.sleep(0.5)
        return super().predict(x)


def test_an_interrupt_waits_for_the_prediction_that_is_going_on():
    wearable = Slow()
    threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        run(Pipe(ends=False), numbered(3), wearable)
    assert wearable.done == [("predict", 0)]
    time.sleep(0.6)
    assert wearable.done == [("predict", 0)]


def test_questions_come_at_the_pace_of_the_recording_times_the_speed():
    start = time.monotonic()
    pipe = Pipe("\n" * 5)
    run(pipe, numbered(5, seconds=2.0), speed=40.0)
    assert 0.25 <= time.monotonic() - start < 2.0
    assert pipe.told == ["first question in 0.05 s; --speed makes it faster"]


def test_what_is_typed_before_a_question_is_no_answer_to_it():
    pipe = Pipe(terminal=True, ends=False)
    pipe.say("1\n1\n")
    answers = threading.Timer(1.0, pipe.say, ["3\n"])
    answers.start()
    done = run(pipe, numbered(1, seconds=0.5), speed=1.0)[1]
    assert done.answers == (1, 1, 1)


@pytest.mark.parametrize("typed", ["q\n", "\x04"])
def test_a_person_who_waits_for_a_question_can_stop(typed):
    pipe = Pipe(terminal=True, ends=False)
    pipe.say(typed)
    start = time.monotonic()
    assert run(pipe, numbered(1, seconds=60.0), speed=1.0)[0] is STOPPED
    assert time.monotonic() - start < 10.0


def sampled(lines, batch=4):
    """Cut samples into questions as they come."""
    rows = lines.samples()
    while len(some := [row for _, row in zip(range(batch), rows, strict=False)]) == batch:
        yield np.array(some, np.float32)[:, None], 0.0


SAMPLES = "".join(f"{i % 100},0,9.81\n" for i in range(20_000))
FEW = "0,0,9.81\n" * 12


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (FEW + "\n1\n3\n", (3, 3, 2)),
        ("\n1\n3\n" + FEW, (3, 3, 2)),
        (SAMPLES + "\n" * 3 + "q\n", (3, 3, 3)),
        ("\n" * 20_000 + FEW, (3, 3, 3)),
        ("0,0,9.81\n\n0,0,9.81\n1\n" * 6, (3, 3, 2)),
    ],
    ids=["samples first", "answers first", "many samples", "many answers", "by turns"],
)
def test_samples_and_answers_on_one_pipe_come_in_any_order(text, expected):
    pipe = Pipe(text, channels=3)
    assert run(pipe, sampled(pipe.lines))[1].answers == expected
    assert pipe.told == []


def test_what_does_not_fill_a_question_is_not_asked():
    pipe = Pipe("0,0,9.81\n" * 7 + "\n\n", channels=3)
    ended, wearable = run(pipe, sampled(pipe.lines))
    assert (ended, wearable.answers) == (ENDED, (1, 1, 1))


ODD = ["1,2", "1,2,3,4", "nan,1,2", "inf,1,2", "200.5,1,2", "a,b,c", ",,", "1;2,3"]


def test_lines_that_are_no_samples_are_told_and_left_out():
    text = "x,y,z\n" + "1,2,3;\n-200,200,1e-3\n" + "\n".join(ODD) + "\n"
    pipe = Pipe(text, channels=3)
    assert list(pipe.lines.samples()) == [[1.0, 2.0, 3.0], [-200.0, 200.0, 0.001]]
    assert len(pipe.told) == 5
    assert pipe.told[0] == (
        "line 4 is left out: '1,2'; expected 3 numbers within ±200, with commas between"
    )
    assert pipe.told[4].endswith("others are left out in silence")


def test_a_program_on_other_values_takes_them_as_they_are():
    pipe = Pipe("7000.0,-5\n1,2,3\n", channels=2)
    assert list(pipe.lines.samples()) == [[7000.0, -5.0]]
    pipe = Pipe("7000.0,\n", channels=1)
    assert list(pipe.lines.samples()) == [[7000.0]]


def test_an_endless_input_is_not_read_without_end():
    pipe = Pipe(ends=False)
    written = 0
    os.set_blocking(pipe.writes, False)
    for _ in range(200):
        try:
            written += os.write(pipe.writes, b"\n" * 65_536)
        except BlockingIOError:
            time.sleep(0.01)
    assert written < 1_000_000
    assert run(pipe, numbered(3))[1].answers == (3, 3, 3)
